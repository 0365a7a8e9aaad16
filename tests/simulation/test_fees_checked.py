"""The daemon at an exchange that charges other fees than it tells: found by the cash, told, and not paid again."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.exchange import builtin
from polystra.exchange.model import CoreConfig

Lines = list[dict[str, object]]


def trade(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **fees: Any) -> Lines:
    """Take with every entry in two windows; returns the warnings."""
    monkeypatch.setattr(builtin, "CoreConfig", partial(CoreConfig, **fees))
    told = {
        "WINDOWS": "15m",
        "SYMBOLS": "BTC,ETH",
        "ENTRY_STYLE": "market",
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "json",
    }
    settings = load_settings(told, None)
    run_session(settings, RunOptions(seed=7, markets=2, speed=None))
    structlog.reset_defaults()
    assert build_report(read_both(settings)).fills > 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def of(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


def test_another_rate_is_told_and_blocks_its_market(tmp_path, monkeypatch, capsys):
    lines = trade(tmp_path, monkeypatch, capsys, fee_charged_ppm=100_000)
    mismatches = of(lines, "fee.mismatched")
    assert mismatches
    blocked = {line["subject_id"] for line in of(lines, "switch.set") if line["switch"] == "fees"}
    assert {line["subject_id"] for line in mismatches} == blocked


@pytest.mark.parametrize(
    "fees",
    [{"fee_rounding": "ceil", "fee_per_leg": True}, pytest.param({"fee_rounding": "floor"}, marks=pytest.mark.slow)],
)
def test_another_rounding_is_not(fees, tmp_path, monkeypatch, capsys):
    lines = trade(tmp_path, monkeypatch, capsys, **fees)
    assert not of(lines, "fee.mismatched")
