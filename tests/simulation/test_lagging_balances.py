"""The daemon at an exchange whose balances and Data API are late: no shares vanish, nothing is adjusted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import structlog

from polystra.app import sessions
from polystra.app.book_reading import read_both
from polystra.app.report import build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.exchange.account_rules import AccountRules
from polystra.exchange.builtin import BuiltInConfig

LAGS = {
    "the book sees arrivals 10 s late": AccountRules(balance_lag_ms=10_000),
    "the book sees arrivals 60 s late, the second source is a minute old": AccountRules(
        balance_lag_ms=60_000, positions_cache_s=60
    ),
    "and one trade in five fails on chain": AccountRules(
        balance_lag_ms=60_000, positions_cache_s=60, fail_ppm=200_000, late_ppm=200_000
    ),
}


@pytest.mark.parametrize(
    "lag", [*(pytest.param(name, marks=pytest.mark.slow) for name in list(LAGS)[:2]), list(LAGS)[2]]
)
def test_late_balances_cost_nothing(
    lag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions, "BuiltInConfig", partial(BuiltInConfig, account_rules=LAGS[lag]))
    told = {"WINDOWS": "5m", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "WARNING", "LOG_FORMAT": "json"}
    settings = load_settings(told, None)
    summary = run_session(settings, RunOptions(seed=7, markets=4, speed=None))
    structlog.reset_defaults()
    report = build_report(read_both(settings))
    assert summary.settled_markets == 4
    assert report.fills > 0
    assert report.discrepancies == ()
    assert report.adjustments == ()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert not [line for line in lines if line["event"] == "market.frozen"]
