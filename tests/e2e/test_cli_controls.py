"""stop, start, stopentry and pause: over a running daemon, over none, and over a restart."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Starts daemons that are ended in any case."""
    made: list[Process] = []

    def start() -> Process:
        made.append(Process(tmp_path, "run", "--speed", "30", "--no-plot"))
        made[-1].wait_for("reconcile.completed")
        return made[-1]

    yield start
    for process in made:
        if process.popen.poll() is None:
            process.kill()


def polystra(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(folder), "WINDOWS": "5m"})


def said(folder: Path, *arguments: str) -> str:
    result = polystra(folder, *arguments)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.strip().splitlines()) == 1
    return result.stdout


def switches(folder: Path) -> dict[str, Any]:
    result = polystra(folder, "status", "--json")
    assert result.exit_code == 0, result.output
    return {line["name"]: line for line in json.loads(result.stdout)["switches"]}


def end(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish() == 0, process.errors()


def test_commands_reach_a_running_daemon_and_outlive_it(tmp_path: Path, daemon: Callable[[], Process]):
    first = daemon()
    assert "the running daemon has it" in said(tmp_path, "stop")
    assert first.wait_for("switch.set")["switch"] == "kill"
    kill = switches(tmp_path)["kill"]
    assert kill["reason"] == "polystra stop"
    assert kill["since"]
    assert kill["until"] == ""
    assert "the running daemon has it" in said(tmp_path, "pause", "2h")
    assert switches(tmp_path)["pause"]["until"]
    end(first)
    assert set(switches(tmp_path)) == {"kill", "pause"}
    second = daemon()
    assert set(switches(tmp_path)) == {"kill", "pause"}
    assert "the running daemon has it" in said(tmp_path, "start")
    assert second.wait_for("switch.cleared")["switch"] == "kill"
    assert not switches(tmp_path)
    end(second)
    assert not list((tmp_path / "commands-sim").iterdir())


def test_the_kill_file_stops_entries_and_its_removal_does_not_resume(tmp_path: Path, daemon: Callable[[], Process]):
    running = daemon()
    (tmp_path / "KILL").touch()
    assert running.wait_for("switch.set")["source"] == "file"
    refused = polystra(tmp_path, "start")
    assert refused.exit_code == 2
    assert "remove the file" in refused.stderr
    (tmp_path / "KILL").unlink()
    assert "kill" in switches(tmp_path)
    said(tmp_path, "start")
    assert "kill" not in switches(tmp_path)
    end(running)


def test_without_a_daemon_the_switches_are_written_for_the_next(tmp_path: Path, daemon: Callable[[], Process]):
    assert "no daemon has run yet" in said(tmp_path, "stop")
    end(daemon())
    assert "kill" in switches(tmp_path)
    assert "no daemon runs" in said(tmp_path, "start")
    assert not switches(tmp_path)
    assert "no daemon runs" in said(tmp_path, "stopentry")
    assert "no daemon runs" in said(tmp_path, "pause", "90s")
    assert set(switches(tmp_path)) == {"stop_entry", "pause"}


@pytest.mark.parametrize("length", ["", "30", "0m", "-5m", "1.5h", "soon", "30 m"])
def test_a_wrong_length_of_a_pause_is_one_line(tmp_path: Path, length: str):
    result = polystra(tmp_path, "pause", "--", length)
    assert result.exit_code == 2
    assert "polystra pause 30m" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_status_shows_the_limits_beside_what_is_used_of_them(tmp_path: Path, daemon: Callable[[], Process]):
    end(daemon())
    result = polystra(tmp_path, "status", "--json")
    limits = {line["name"]: line["limit"] for line in json.loads(result.stdout)["limits"]}
    assert limits == {
        "at risk": "100",
        "at risk in one market": "25",
        "at risk in one coin": "50",
        "positions": "8",
        "lost today": "25",
        "below the peak": "50",
        "losses in a row": "5",
    }
    shown = " ".join(polystra(tmp_path, "status").stdout.split())
    assert "losses in a row" in shown
    assert "of 100" in shown
