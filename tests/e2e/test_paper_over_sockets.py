"""MODE=paper against an exchange in another process: it trades for itself, and the exchange never hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from tests.chaos.processes import Exchange, Process
from tests.fakes.calibration import written


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    serving = Exchange(tmp_path_factory.mktemp("exchange"), seed=4, SYMBOLS="BTC,ETH")
    yield serving
    serving.close()


@pytest.fixture
def environment(exchange: Exchange, tmp_path: Path) -> dict[str, str]:
    return {
        "MODE": "paper",
        "CALIBRATION_FILE": str(written(tmp_path / "calibration")),
        "CLOB_URL": exchange.urls["clob_url"],
        "SYMBOLS": "BTC,ETH",
        "WINDOWS": "5m",
        "DATA_DIR": str(tmp_path / "data"),
        "POLYSTRA_ENV_FILE": str(tmp_path / "no.env"),
        "ENABLE_API": "NO",
    }


def polystra(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def test_a_paper_run_is_marked_and_leaves_no_trace_at_the_exchange(
    exchange: Exchange, environment: dict[str, str], tmp_path: Path
):
    process = Process(tmp_path, "run", "--markets", "2", **environment)
    assert process.finish() == 0, process.errors()
    lines = [json.loads(line) for line in process.lines]
    started = next(line for line in lines if line["event"] == "app.started")
    assert started["account"] == "PAPER: simulated, no order leaves this process"
    own = [line for line in lines if line["event"] in {"order.submitted", "fill.booked", "market.listed"}]
    assert {line["mode"] for line in own} == {"paper"}
    assert lines[-1]["event"] == "shutdown.completed"

    assert all(account["house"] for account in exchange.books()["accounts"].values())
    status = json.loads(polystra(environment, "status", "--json").stdout)
    assert (status["mode"], status["account"], status["markets_settled"]) == ("paper", "paper", 2)
    assert "no money moves" in polystra(environment, "status").stdout.replace("\n", " ")
    assert (tmp_path / "data" / "polystra-paper.db").exists()
    report = polystra(environment, "report", "--json")
    assert report.exit_code == 0, report.output
    assert json.loads(report.stdout)["discrepancies"] == 0


def test_doctor_says_what_applies_in_paper_and_livetest_refuses(environment: dict[str, str]):
    told = json.loads(polystra(environment, "doctor", "--json").stdout)
    checks = {check["name"]: check for check in told["checks"]}
    assert told["ok"] is True, told
    assert "none is needed" in checks["key"]["evidence"]
    assert "PAPER_BALANCE_DOLLARS 1000" in checks["settings"]["evidence"]
    assert "simulated" in checks["wallet"]["evidence"]
    assert checks["market stream"]["verdict"] == checks["price stream"]["verdict"] == "ok"
    livetest = polystra(environment, "livetest", "--yes")
    assert livetest.exit_code == 2
    assert "MODE is paper" in livetest.stderr
