"""reconcile, unfreeze, adopt and resolve-doubt: through a running daemon, with evidence and a question first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

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
def daemon(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, "run", "--speed", "1")  # the venue's patience is counted in simulated seconds
    process.wait_for("reconcile.completed")
    yield process
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish() == 0, process.errors()


def polystra(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(folder), "WINDOWS": "5m"})


def refusal(folder: Path, *arguments: str, code: int = 2) -> str:
    result = polystra(folder, *arguments)
    assert result.exit_code == code, result.output
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr


def test_a_repair_shows_both_sides_and_is_carried_out_by_the_daemon(tmp_path: Path, daemon: Process):
    result = polystra(tmp_path, "reconcile", "--yes")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Our books:"
    assert "The venue:" in lines
    assert any("order book (CLOB)" in line and "s old" in line for line in lines)
    assert any("second source (Data API)" in line for line in lines)
    assert "reconcile by operator: the account was read" in lines[-1]
    daemon.wait_for("operator.repaired")
    assert "asks before it changes anything" in refusal(tmp_path, "reconcile")
    assert "nothing of this account is frozen" in refusal(tmp_path, "unfreeze", "--yes", code=1)
    assert "not known here" in refusal(tmp_path, "resolve-doubt", "o9", "rejected", "--yes", code=1)
    assert "neither an order nor a position" in refusal(tmp_path, "adopt", "0xabc", "--yes", code=1)
    assert not list((tmp_path / "commands-sim").iterdir())
    assert not list((tmp_path / "answers-sim").iterdir())


@pytest.mark.parametrize(
    "arguments", [("reconcile",), ("unfreeze",), ("adopt", "x"), ("resolve-doubt", "x", "accepted")]
)
def test_without_a_daemon_nothing_is_mended(tmp_path: Path, arguments: tuple[str, ...]):
    assert "no daemon runs here" in refusal(tmp_path, *arguments, "--yes")
    assert not (tmp_path / "commands-sim").exists()


def test_wrong_words_are_one_line(tmp_path: Path):
    assert "expected accepted or rejected" in refusal(tmp_path, "resolve-doubt", "o1", "maybe", "--yes")
    assert "--price" in refusal(tmp_path, "adopt", "external:x", "--price", "7", "--yes")
    assert "--price" in refusal(tmp_path, "adopt", "external:x", "--price", "much", "--yes")
