"""The whole daemon inside a recorded window: it finds the market, trades in it, settles and adds up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from polystra.app.book_reading import read_both
from polystra.app.cli import app
from polystra.app.report import build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
WINDOW = SHARED / "data/market_ws/btc5m_full_depth/btc-updown-5m-1776263700.book.jsonl.gz"


@pytest.mark.skipif(not WINDOW.exists(), reason=f"the recording {WINDOW} is not there")
def test_the_daemon_trades_inside_a_recorded_window(tmp_path: Path):
    settings = load_settings({"DATA_DIR": str(tmp_path), "LOG_LEVEL": "WARNING"}, None)
    summary = run_session(settings, RunOptions(replay=WINDOW, speed=None))
    structlog.reset_defaults()
    assert summary.reason == "1 markets settled"
    assert summary.left_open == ()
    report = build_report(read_both(settings))
    assert report.discrepancies == ()
    (market,) = report.markets
    assert (market.slug, market.result) == ("btc-updown-5m-1776263700", "DOWN")
    assert market.fills > 0


def test_a_replay_describes_a_new_world():
    assert RunOptions(replay=Path("x.book.jsonl")).starts_afresh


@pytest.mark.parametrize("command", ["run", "exchange"])
def test_prices_and_a_replay_are_not_mixed(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command, "--prices", "a.csv", "--replay", "b.book.jsonl"])
    assert result.exit_code == 2
    assert "--replay" in result.stderr
