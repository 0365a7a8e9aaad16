"""All rules of positions at once over the built-in exchange: they fire, and the books still agree."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings

ON = {
    "ENABLE_SCALE_IN": "YES",
    "SCALE_IN_MAX": "2",
    "SCALE_IN_TRIGGER_PERCENT": "5",
    "SCALE_IN_MIN_DOLLARS": "3",
    "ENABLE_REVERSAL": "YES",
    "BLACKLIST_AFTER_STOP_SECONDS": "120",
    "STOP_LOSS_PERCENT": "30",
    "UNFILLED_TIMEOUT_SECONDS": "20",
}


def trade(folder: Path, **environment: str) -> Report:
    values = {"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"} | environment
    settings = load_settings(values, None)
    run_session(settings, RunOptions(seed=7, markets=6, speed=None))
    structlog.reset_defaults()
    return build_report(read_both(settings))


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "polystra-sim.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


@pytest.mark.slow
def test_every_rule_fires_and_nothing_is_left_unexplained(tmp_path: Path):
    report = trade(tmp_path, **ON)
    assert report.discrepancies == ()
    assert report.adjustments == ()
    asked = {str(rule) for (rule,) in rows(tmp_path, "SELECT DISTINCT rule FROM orders")}
    assert {"entry", "scale-in", "reversal", "stop-loss"} <= asked
    additions = rows(tmp_path, "SELECT count(*) FROM orders WHERE rule = 'scale-in' GROUP BY position_id")
    assert all(count <= 2 for (count,) in additions if isinstance(count, int))
    turns = rows(tmp_path, "SELECT count(*) FROM orders WHERE rule = 'reversal' AND side = 'BUY' GROUP BY condition_id")
    assert all(count == 1 for (count,) in turns)
    assert rows(tmp_path, "SELECT 1 FROM switches WHERE name = 'blacklist'")


def test_under_the_kill_file_no_order_is_made_and_the_run_still_ends(tmp_path: Path):
    (tmp_path / "KILL").touch()
    report = trade(tmp_path, **ON)
    assert report.markets_settled == 6
    assert report.orders == 0
    [(reason,)] = rows(tmp_path, "SELECT reason FROM switches WHERE name = 'kill' AND is_on")
    assert str(tmp_path) in str(reason)


@pytest.mark.slow
def test_with_the_rules_off_none_of_them_asks_for_an_order(tmp_path: Path):
    report = trade(tmp_path)
    assert report.discrepancies == ()
    asked = {str(rule) for (rule,) in rows(tmp_path, "SELECT DISTINCT rule FROM orders")}
    assert not asked & {"scale-in", "reversal"}
    assert not rows(tmp_path, "SELECT 1 FROM switches WHERE name = 'blacklist'")
