"""db backup and db restore: under a running daemon, refused over it, and a start after it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.adapters.store.backup import read_backup
from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process

FAILED = 1


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for process in processes:
        if process.popen.poll() is None:
            process.kill()


def run(folder: Path, started: list[Process]) -> Process:
    started.append(Process(folder, "run", "--speed", "10"))
    started[-1].wait_for("reconcile.completed")
    return started[-1]


def db(folder: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["db", *arguments], env={"DATA_DIR": str(folder), "WINDOWS": "5m"}, input=typed)


def end(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish() == 0, process.errors()


def test_a_backup_under_a_daemon_is_restored_without_one(tmp_path: Path, started: list[Process]) -> None:
    daemon = run(tmp_path, started)
    result = db(tmp_path, "backup", "--to", str(tmp_path / "copy.db"))
    assert result.exit_code == 0, result.output
    assert "mode sim, account 0x" in result.stdout
    assert "read back and compared" in result.stdout
    copy = tmp_path / "copy.db"
    assert read_backup(copy).contents.rows["ledger"] >= 1

    refused = db(tmp_path, "restore", str(copy), "--yes")
    assert refused.exit_code == FAILED
    assert "another polystra" in refused.stderr
    end(daemon)

    asked = db(tmp_path, "restore", str(copy), typed="n\n")
    assert asked.exit_code == FAILED
    assert not (tmp_path / "backups").exists()

    latest = db(tmp_path, "backup")
    [path] = (tmp_path / "backups").iterdir()
    assert str(path) in latest.stdout
    (tmp_path / "polystra-sim.db").write_bytes(b"ruined" * 4_096)
    done = db(tmp_path, "restore", str(path), typed="y\n")
    assert done.exit_code == 0, done.output
    [aside] = [folder for folder in (tmp_path / "backups").iterdir() if folder.is_dir()]
    assert f"what was there before is in {aside}" in done.stdout

    again = Process(tmp_path, "run", "--speed", "10")
    started.append(again)
    assert again.wait_for("reconcile.completed")["differences"] == "none"
    end(again)


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, words in (
        (("backup",), "does not exist"),
        (("restore", "nothing.db", "--yes"), "nothing.db does not exist"),
    ):
        result = db(tmp_path, *arguments)
        assert result.exit_code == FAILED
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    shutil.rmtree(tmp_path / "backups", ignore_errors=True)
