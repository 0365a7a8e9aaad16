"""The daemon at an exchange that misbehaves as a scenario says: the books agree, and a seed repeats its faults."""

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
from polystra.domain.errors import ConfigError
from polystra.runtime.daemon import RunSummary

SCENARIOS = Path(__file__).resolve().parents[2] / "docs" / "scenarios"


def trade(folder: Path, scenario: str, *, seed: int, markets: int, level: str = "ERROR") -> tuple[RunSummary, Report]:
    """Run the daemon to its end under a scenario."""
    told = {"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": level, "LOG_FORMAT": "json"}
    settings = load_settings(told, None)
    options = RunOptions(seed=seed, markets=markets, scenario=SCENARIOS / f"{scenario}.yaml", speed=None)
    summary = run_session(settings, options)
    structlog.reset_defaults()
    return summary, build_report(read_both(settings))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_a_bad_day_adds_up_and_repeats_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs in one test: one would not show that the faults repeat, three would say the same again."""
    ends = []
    for name in ("once", "again"):
        summary, report = trade(tmp_path / name, "bad-day", seed=7, markets=3, level="INFO")
        assert summary.settled_markets == 3
        assert summary.left_open == ()
        assert report.discrepancies == ()
        assert report.adjustments == ()
        assert report.fills > 0
        told = lines(capsys)
        faults = [(line["id"], line["kind"], line["what"]) for line in told if line["event"] == "fault.injected"]
        (end,) = [line for line in told if line["event"] == "sim.completed"]
        assert end["faults"] == len(faults)
        assert {"reply_dropped", "message_dropped", "message_duplicated", "http_error"} <= {
            kind for _, kind, _ in faults
        }
        ends.append((end["faults_hash"], summary.digest, faults))
    assert ends[0] == ends[1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [8, 9])
def test_other_bad_days_add_up(seed: int, tmp_path: Path) -> None:
    summary, report = trade(tmp_path, "bad-day", seed=seed, markets=4)
    assert summary.left_open == ()
    assert report.discrepancies == ()
    assert report.adjustments == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 13])
def test_verdicts_that_are_late_or_announced_wrong_pay_only_what_is_true(seed: int, tmp_path: Path) -> None:
    summary, report = trade(tmp_path, "wrong-verdicts", seed=seed, markets=6)
    assert summary.settled_markets == 6
    assert report.discrepancies == ()
    assert report.adjustments == ()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["quiet-lines", "strange-books", "wrong-clock"])
def test_other_days_end_without_a_discrepancy(scenario: str, tmp_path: Path) -> None:
    summary, report = trade(tmp_path, scenario, seed=7, markets=3)
    assert summary.left_open == ()
    assert report.discrepancies == ()
    assert report.fills > 0


def test_a_scenario_is_refused_where_the_exchange_is_another(tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), "CLOB_URL": "http://127.0.0.1:9"}, None)
    with pytest.raises(ConfigError, match="--scenario needs the exchange inside this run"):
        run_session(settings, RunOptions(scenario=SCENARIOS / "bad-day.yaml"))
