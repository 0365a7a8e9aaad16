"""A user's own strategy in the whole daemon: it trades by its opinion, and when it breaks, only entries end."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "late_leader.py"
BREAKS = """
from polystra.engine.strategy.advisor import Opinion

class Breaks:
    asked = 0

    def decide(self, view, fused, signals):
        self.asked += 1
        if self.asked > 300:
            raise RuntimeError("out of ideas")
        return Opinion(0.9 if fused.p_up >= 0.5 else 0.1, 1.0)
"""


def trade(folder: Path, strategy: str) -> tuple[Report, list[dict[str, object]]]:
    """One market; the report, and the stored inputs of every decision."""
    values = {"WINDOWS": "5m", "SYMBOLS": "BTC", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR", "STRATEGY": strategy}
    settings = load_settings(values, None)
    run_session(settings, RunOptions(seed=7, markets=1, speed=None))
    structlog.reset_defaults()
    with sqlite3.connect(folder / "polystra-sim.db") as database:
        rows = database.execute("SELECT inputs FROM decisions ORDER BY decision_id").fetchall()
    return build_report(read_both(settings)), [json.loads(inputs) for (inputs,) in rows]


def test_the_example_gives_its_opinion_in_the_last_third_only(tmp_path: Path) -> None:
    report, decisions = trade(tmp_path, f"{EXAMPLE}:LateLeader")
    told = [decision for decision in decisions if "strategy" in decision]
    assert told
    assert len(told) < len(decisions)
    assert all(0.0 <= decision["strategy"]["p_up"] <= 1.0 for decision in told)  # type: ignore[index]
    assert report.discrepancies == ()


def test_one_that_breaks_costs_entries_alone(tmp_path: Path) -> None:
    path = tmp_path / "breaks.py"
    path.write_text(BREAKS)
    report, _ = trade(tmp_path, f"{path}:Breaks")
    assert report.fills > 0
    assert report.discrepancies == ()
    with sqlite3.connect(tmp_path / "polystra-sim.db") as database:
        [(count,)] = database.execute("SELECT count(*) FROM notices WHERE kind = 'strategy.failed'").fetchall()
    assert count == 1
