"""`--scenario` on the command line: a wrong file ends run and exchange with one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.app.settings import known_names

USAGE = 2


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no setting from outside."""
    for name in (*known_names(), "POLYSTRA_ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [("run", "--speed", "max", "--markets", "1"), ("exchange", "--port", "0")])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: [{fault: rain}]", "entry 1: fault is 'rain'; choose one of"),
        ("faults: [{fault: half_open, probability: 3}]", "entry 1 (half_open): probability is 3, expected"),
        ("{", "is not YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_scenario_is_named_in_one_line(
    command: tuple[str, ...], text: str | None, said: str, folder: Path
) -> None:
    path = folder / "day.yaml"
    if text is not None:
        path.write_text(text)
    result = CliRunner().invoke(app, [*command, "--scenario", str(path)])
    assert result.exit_code == USAGE, result.output
    assert result.stderr.startswith(f"polystra: --scenario {path}")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(folder.glob("data/*.sqlite*")) == []


def test_a_run_with_a_scenario_tells_its_faults(folder: Path) -> None:
    path = folder / "day.yaml"
    path.write_text("faults: [{fault: http_error, count: 1, where: {path: /time}}]")
    command = ["run", "--speed", "max", "--markets", "1", "--scenario", str(path)]
    result = CliRunner().invoke(app, command, env={"WINDOWS": "5m", "SYMBOLS": "BTC", "LOG_FORMAT": "json"})
    assert result.exit_code == 0, result.output
    assert '"event":"fault.injected","id":"f1.1","kind":"http_error"' in result.stdout
