"""Markets of an hour and of four: listed, traded and settled by the same daemon under their own names."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings


@pytest.mark.parametrize(
    ("window", "begins"),
    [
        pytest.param("1h", "bitcoin-up-or-down-", id="1h"),
        pytest.param("4h", "btc-updown-4h-", id="4h", marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
    ],
)
def test_a_long_window_is_traded_and_settled(tmp_path: Path, window: str, begins: str):
    settings = load_settings(
        {"WINDOWS": window, "SYMBOLS": "BTC", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR", "FUSION": "additive"},
        None,
    )
    summary = run_session(settings, RunOptions(seed=3, markets=1, speed=None))
    structlog.reset_defaults()
    report = build_report(read_both(settings))
    [market] = report.markets
    assert market.slug.startswith(begins)
    assert market.orders > 0
    assert report.discrepancies == ()
    assert summary.left_open == ()
