"""The report of a backtest: page, pictures and JSON tell the same figures, in one process or several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.backtest.jobs import run_all
from polystra.backtest.recordings.reader import recording_files
from polystra.backtest.runs import units_of
from polystra.domain.errors import RecordingError
from polystra.domain.units import NS_PER_S
from tests.fakes.recordings import moved, read_recording, record_session, write_recording
from tests.unit.app.report_reading import read_page

DAY_S = 86_400


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same quarter of an hour on two days, recorded by two recorders."""
    folder = tmp_path_factory.mktemp("days")
    inputs = read_recording(record_session(folder))
    return [write_recording(folder / f"day{day}", moved(inputs, day * DAY_S), created_ns=day + 1) for day in range(2)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def backtest(*arguments: str):
    return CliRunner().invoke(app, ["backtest", *arguments])


def data_of(*arguments: str):
    result = backtest(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def dollars(text: str) -> int:
    return round(float(text) * 1_000_000)


def test_the_positions_add_up_to_the_markets(days: list[Path], here: Path):
    data = data_of(str(days[0]))
    assert data["positions"]
    earned = sum(dollars(each["realised_pnl"]) for each in data["positions"])
    assert earned == sum(dollars(each["realised_pnl"]) for each in data["markets"])
    fees = sum(dollars(each["fees"]) for each in data["positions"])
    assert fees == dollars(data["costs"]["fees"]) == sum(dollars(each["fees"]) for each in data["markets"])
    assert dollars(data["equity"][-1]["result"]) == earned
    for name in ("spread", "slippage"):
        assert sum(dollars(each[name]) for each in data["positions"]) == dollars(data["costs"][name])
    for each in data["positions"]:
        gained = dollars(each["exit_price"]) - dollars(each["entry_price"])
        reckoned = gained * dollars(each["shares"]) // 1_000_000 - dollars(each["fees"])
        assert abs(reckoned - dollars(each["realised_pnl"])) <= 100, "but for the rounding of average prices"
        assert each["entry_reason"].startswith("edge ")
        assert each["exit_reason"]


def test_the_page_tells_the_figures_of_the_json(days: list[Path], here: Path):
    data = data_of(str(days[0]), "--html", "out/report.html", "--png", "pictures", "--set", "MIN_EDGE_PERCENT=2")
    page = (here / "out" / "report.html").read_text()
    reading = read_page(page)
    assert reading.outside == []
    assert reading.inner <= set(reading.ids)
    assert len(reading.ids) == len(set(reading.ids))
    assert reading.figures == 3 + len(data["markets"])
    for each in data["positions"]:
        assert each["position"] in reading.words
        assert each["realised_pnl"] in reading.words
        assert each["entry_reason"] in reading.words
    for name in ("fees", "spread", "slippage"):
        assert f"{data['costs'][name]} $" in reading.words
    assert "MIN_EDGE_PERCENT 2" in reading.words
    assert "--set" in reading.words
    assert "means nothing about real markets" in reading.words
    assert "not what they will do" in reading.words
    assert {"name": "MIN_EDGE_PERCENT", "value": "2", "source": "--set"} in data["settings"]
    names = {path.name for path in (here / "pictures").iterdir()}
    assert {"equity.png", "costs.png", "calibration.png"} < names
    assert {f"path-{each['slug']}.png" for each in data["markets"]} < names


def test_several_processes_come_to_what_one_comes_to(days: list[Path], here: Path):
    """To the byte of the page, whichever is named first; and drawing changes nothing of a run."""
    first, second = (str(each) for each in days)
    alone = data_of(first, second, "--jobs", "1", "--html", "one.html")
    assert data_of(second, first, "--jobs", "2", "--html", "two.html") == alone
    assert (here / "one.html").read_bytes() == (here / "two.html").read_bytes()
    assert alone["recordings"]["recordings"] == 2
    single = data_of(first)
    assert alone["windows"] == 2 * single["windows"]
    assert dollars(alone["cash"]) == 2 * dollars(single["cash"])
    assert dollars(alone["realised_pnl"]["mean"]) == 2 * dollars(single["realised_pnl"]["mean"])
    assert len(alone["positions"]) == 2 * len(single["positions"])


def test_recordings_close_to_each_other_run_on_one_account(days: list[Path], tmp_path: Path):
    inputs = read_recording(days[0])
    (paths, _) = units_of(recording_files(days))
    assert [len(unit.paths) for unit in paths] == [1, 1]
    after_s = (inputs[-1].now_ns - inputs[0].now_ns) // NS_PER_S + 600
    near = write_recording(tmp_path / "near", moved(inputs, after_s), created_ns=9)
    units, notes = units_of(recording_files([days[0], near]))
    assert [len(unit.paths) for unit in units] == [2]
    assert units[0].inputs == 2 * len(inputs)
    assert notes == []


def test_files_of_one_recorder_are_one_recording_however_long_it_was_silent(days: list[Path], tmp_path: Path):
    inputs = read_recording(days[0])
    write_recording(tmp_path, inputs, created_ns=5)
    write_recording(tmp_path, moved(inputs, DAY_S), created_ns=5)
    units, _ = units_of(recording_files([tmp_path]))
    assert [len(unit.paths) for unit in units] == [2]


def test_a_file_that_cannot_be_used_is_one_sentence_beside_the_result(days: list[Path], here: Path):
    (here / "text.rec").write_text("time,price\n")
    data = data_of(str(days[0]), "text.rec")
    assert any("is not a recording of this program" in note for note in data["recordings"]["notes"])
    assert data["positions"]


def test_a_page_that_cannot_be_written_is_one_sentence(days: list[Path], here: Path):
    (here / "file").write_text("")
    result = backtest(str(days[0]), "--html", "file/report.html")
    assert result.exit_code == 2
    assert "the page cannot be written" in " ".join(result.output.split())


def _double(job: int, progress: object) -> int:
    if job > 9:
        raise RecordingError(f"recording {job} is gone")
    return 2 * job


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs_and_errors_are_told(processes: int):
    if processes == 1:
        assert run_all(_double, [3, 1, 2], processes=processes) == [6, 2, 4]
    with pytest.raises(RecordingError, match="recording 10 is gone"):
        run_all(_double, [1, 10], processes=processes)
