"""The whole daemon with the dead man's switch armed, in virtual time: beats lost and refused, and healed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings
from polystra.runtime.daemon import RunSummary

LOST_AND_REFUSED = """
name: Heartbeats in trouble
faults:
  - fault: reply_dropped
    probability: 0.15
    where: {path: /v1/heartbeats}
  - fault: message_dropped
    from: 40
    until: 91
    where: {stream: user}
  - fault: http_error
    from: 40
    until: 90
    where: {path: /v1/heartbeats}
    with: {status: 503, text: "Service not ready"}
"""


def trade(folder: Path, scenario: Path | None) -> tuple[RunSummary, Report]:
    told = {
        "WINDOWS": "5m",
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
        "ENABLE_VENUE_HEARTBEAT": "YES",
    }
    settings = load_settings(told, None)
    summary = run_session(settings, RunOptions(seed=7, markets=3, scenario=scenario, speed=None))
    structlog.reset_defaults()
    return summary, build_report(read_both(settings))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_orders_live_while_it_beats_and_a_gap_heals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "heartbeats.yaml"
    scenario.write_text(LOST_AND_REFUSED)
    ends = []
    for name in ("once", "again"):
        summary, report = trade(tmp_path / name, scenario)
        assert summary.left_open == ()
        assert report.discrepancies == ()
        assert report.adjustments == ()
        assert report.fills > 0
        written = lines(capsys)
        told = [line["event"] for line in written]
        exits = [line for line in written if line.get("purpose") == "TAKE_PROFIT"]
        asked = {line["order"] for line in exits if line["event"] == "order.cancel_requested"}
        gone = {line["order"] for line in exits if line["event"] == "order.canceled"}
        assert gone - asked, "the venue cancelled nothing, so that nothing was healed"
        assert told.count("heartbeat.armed") == 1
        assert told.count("heartbeat.failed") >= 2
        assert "heartbeat.recovered" in told
        ends.append(summary.digest)
    assert ends[0] == ends[1]


def test_an_undisturbed_heart_is_told_once_and_cancels_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary, report = trade(tmp_path, None)
    assert report.discrepancies == ()
    told = [line["event"] for line in lines(capsys) if line["event"].startswith("heartbeat.")]
    assert told == ["heartbeat.armed"]
    assert summary.left_open == ()
