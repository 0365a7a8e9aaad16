"""`polystra sweep` over recorded sessions: a grid, walked forward, in one process or several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from tests.fakes.recordings import moved, read_recording, record_session, write_recording
from tests.unit.app.report_reading import read_page


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("days")
    inputs = read_recording(record_session(folder))
    return [
        str(write_recording(folder / f"day{day}", moved(inputs, day * 86_400), created_ns=day + 1)) for day in range(2)
    ]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


SILENT = "class Silent:\n    def decide(self, view, fused, signals):\n        return None\n"


def swept(*arguments: str):
    return CliRunner().invoke(app, ["sweep", *arguments])


def test_a_grid_is_walked_forward_and_told_with_its_number_of_tries(days: list[str], here: Path):
    grid = ("--set", "min_edge_percent=3,90", "--folds", "1", "--embargo", "0")
    result = swept(*days, *grid, "--json", "--jobs", "2", "--html", "sweep.html")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["tries"] == 2
    assert [each["settings"] for each in data["combinations"]] == [
        "as set",
        "MIN_EDGE_PERCENT=3",
        "MIN_EDGE_PERCENT=90",
    ]
    as_set, three, ninety = data["combinations"]
    assert {**three, "settings": "as set"} == as_set, "3 is the default"
    assert three["fills"] > 0
    assert ninety["fills"] == 0
    assert (ninety["train_mean"], ninety["test_mean"]) == (0.0, 0.0)
    (fold,) = data["folds"]
    assert fold["train_mean"] == max(three["train_mean"], 0.0)
    assert fold["judged_from_s"] >= fold["chosen_on_windows_until_s"]
    assert data["windows_used"] == data["windows"] > 2
    told = " ".join(data["notes"])
    assert "independent windows are judged on: no choice can be made on so few" in told
    assert "2 tries" in told
    assert "means nothing about real markets" in told
    reading = read_page((here / "sweep.html").read_text())
    assert reading.outside == []
    assert "MIN_EDGE_PERCENT=90" in reading.words
    assert json.loads(swept(*days, *grid, "--json", "--jobs", "1").stdout) == data


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "MIN_EDGE_PERCENT=2"), "name a setting with several values"),
        ((), "name a setting with several values"),
        (("--set", "EDGE"), "expected KEY=V1,V2"),
        (("--set", "NO_SUCH=1,2"), "there is no setting NO_SUCH"),
        (("--set", "MIN_EDGE_PERCENT=2,much"), "MIN_EDGE_PERCENT"),
        (("--set", "SYMBOLS=BTC,ETH"), "name a setting with several values"),
        (("--set", f"STOP_LOSS_PERCENT={','.join(map(str, range(1, 502)))}"), "501 combinations are more than 500"),
    ],
)
def test_bad_words_are_one_sentence(days: list[str], here: Path, arguments: tuple[str, ...], sentence: str):
    result = swept(days[0], *arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_strategy_of_the_users_own_is_swept_too(days: list[str], here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "silent.py").write_text(SILENT)
    monkeypatch.setenv("STRATEGY", f"{here / 'silent.py'}:Silent")
    grid = ("--set", "min_edge_percent=3,4", "--folds", "1", "--embargo", "0")
    result = swept(*days, *grid, "--json", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert [each["fills"] for each in json.loads(result.stdout)["combinations"]] == [0, 0, 0]
