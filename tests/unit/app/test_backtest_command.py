"""`polystra backtest` from a recording to its tables, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    settings = load_settings({"WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR"}, None)
    run_session(settings, RunOptions(seed=3, markets=2, record=folder / "recordings", speed=None))
    structlog.reset_defaults()
    return folder / "recordings"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def told(*arguments: str):
    return CliRunner().invoke(app, ["backtest", *arguments])


def test_the_figures_add_up_and_repeat(recording: Path, here: Path):
    first = told(str(recording), "--json")
    assert first.exit_code == 0, first.output
    data = json.loads(first.output)
    assert data["windows"] == len(data["markets"]) >= 2
    assert data["left_open"] == []
    assert data["recordings"]["notes"] == []
    earned = sum(round(float(market["realised_pnl"]) * 1_000_000) for market in data["markets"])
    assert round(float(data["cash"]) * 1_000_000) == 1_000_000_000 + earned
    assert {each["name"] for each in data["forecasters"]} == {
        "market",
        "additive",
        "bayesian",
        "fair value",
        "digital",
        "last trade",
        "coin",
    }
    assert all("better" not in each["verdict"] for each in data["forecasters"])
    again = told(str(recording), "--json")
    assert json.loads(again.output)["facts_hash"] == data["facts_hash"]
    assert not (here / "data").exists()


def test_a_setting_of_the_command_line_changes_what_is_done(recording: Path, here: Path):
    result = told(str(recording), "--set", "MIN_EDGE_PERCENT=90", "--json")
    assert json.loads(result.output)["orders"] == 0


def test_the_table_is_honest(recording: Path, here: Path):
    result = told(str(recording))
    assert result.exit_code == 0
    assert "too few windows" in result.output
    assert "independent windows: the intervals above say little" in result.output
    assert "not what they will do" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("missing.rec",), "missing.rec: does not exist"),
        (("empty",), "holds no recording"),
        (("text.rec",), "is not a recording of this program"),
        (("text.rec", "--set", "EDGE"), "expected KEY=VALUE"),
        (("text.rec", "--set", "NO_SUCH=1"), "there is no setting NO_SUCH"),
        (("text.rec", "--set", "MIN_EDGE_PERCENT=much"), "MIN_EDGE_PERCENT"),
    ],
)
def test_bad_input_is_one_sentence(here: Path, arguments: tuple[str, ...], sentence: str):
    (here / "empty").mkdir()
    (here / "text.rec").write_text("time,price\n")
    result = told(*arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_recordings_of_others_become_one_that_can_be_run(here: Path):
    start = 1_784_850_900
    (here / "windows.csv").write_text(
        "slug,start,end,winner\n" + f"btc-updown-5m-{start},{start},{start + 300},Up\nbad,1,2,Up\n"
    )
    ticks = "".join(f"{(start + s) * 1_000},{100 + s % 7},{(start + s) * 1_000 + 500}\n" for s in range(-90, 400))
    (here / "feed.csv").write_text("feed_ts_ms,value,recv_ms\n" + ticks)
    arguments = ["import", "out", "--windows", "windows.csv", "--feed", "feed.csv"]
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0, made.output
    assert "windows.csv: line 3 is left out" in made.output
    assert "491 lines of 2 files used, 1 left out: 494 inputs in 1 files" in made.output
    data = json.loads(told("out", "--json").output)
    assert (data["windows"], data["orders"], data["left_open"]) == (1, 0, [])
    assert [each["name"] for each in data["forecasters"]] == ["fair value", "digital", "coin"]
    assert data["forecasters"][0]["brier_less_market"] is None


def test_an_import_of_nothing_is_refused(here: Path):
    (here / "windows.csv").write_text("slug,start,end,winner\n")
    result = CliRunner().invoke(app, ["import", "out", "--windows", "windows.csv"])
    assert result.exit_code == 2
    assert "nothing to import" in " ".join(result.output.split())
    result = CliRunner().invoke(app, ["import", "out", "--windows", "windows.csv", "--books", "nowhere"])
    assert "--books nowhere: does not exist" in " ".join(result.output.split())
