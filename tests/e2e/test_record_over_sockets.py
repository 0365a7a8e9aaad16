"""`polystra record` against an exchange in another process: killed, started again, stopped in order, and backtested."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.backtest.recordings.index import read_index
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from tests.chaos.processes import DEADLINE_S, Exchange, Process

HELD = "another recorder writes there"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    serving = Exchange(tmp_path_factory.mktemp("exchange"), seed=4, SYMBOLS="BTC,ETH")
    yield serving
    serving.close()


def recorder(folder: Path, exchange: Exchange, *options: str) -> Process:
    process = Process(
        folder, "record", str(folder / "rec"), *options, CLOB_URL=exchange.urls["clob_url"], SYMBOLS="BTC,ETH"
    )
    process.wait_for("recording.started")
    return process


def wait_for_inputs(folder: Path, least: int) -> int:
    """Until so many inputs of several kinds are on the disk; returns how many are."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if list(folder.glob("*.rec")):
            reader = RecordingReader(recording_files([folder]))
            kinds = {type(each.event).__name__ for each in reader}
            if reader.report.inputs >= least and {"BookChanged", "PriceTicked", "PublicTrade"} <= kinds:
                return reader.report.inputs
        time.sleep(0.2)
    raise AssertionError("nothing was recorded")


def test_what_a_killed_recorder_left_is_used_and_a_stopped_one_is_whole(exchange: Exchange, tmp_path: Path):
    folder = tmp_path / "rec"
    first = recorder(tmp_path, exchange)
    least = wait_for_inputs(folder, 500)
    second_at_once = Process(tmp_path, "record", str(folder), CLOB_URL=exchange.urls["clob_url"])
    assert second_at_once.finish() == 2
    assert HELD in second_at_once.errors()
    first.kill()

    again = recorder(tmp_path, exchange, "--rotate-megabytes", "0.02")
    [left] = [json.loads(line) for line in again.lines if '"recording.found"' in line]
    assert "was not closed" in left["found"]
    again.wait_for("recording.rotated")
    again.popen.send_signal(signal.SIGTERM)
    assert again.finish() == 0, again.errors()
    ended = json.loads(again.lines[-1])
    assert ended["event"] == "recording.ended"

    lines = read_index(folder)
    assert [line.file for line in lines] == [path.name for path in recording_files([folder])]
    assert len(lines) >= 2
    assert lines[0].inputs >= least
    assert sum(line.inputs for line in lines[1:]) == ended["inputs"]
    assert all(any("updown-5m" in slug for slug in line.markets) for line in lines)

    told = CliRunner().invoke(app, ["backtest", str(folder), "--json"], env={"DATA_DIR": str(tmp_path / "data")})
    assert told.exit_code == 0, told.output
    data = json.loads(told.output)
    assert data["recordings"]["files"] == len(lines)
    assert data["recordings"]["inputs"] + data["recordings"]["left_out"] >= sum(line.inputs for line in lines)
    assert data["decisions"] > 0
    alone = CliRunner().invoke(app, ["backtest", str(folder / lines[-1].file), "--json"])
    assert json.loads(alone.output)["recordings"]["inputs"] > 0


def test_without_a_server_there_is_one_line(tmp_path: Path):
    process = Process(tmp_path, "record", str(tmp_path / "rec"))
    assert process.finish() == 2
    [line] = process.errors().strip().splitlines()
    assert "CLOB_URL is empty" in line
