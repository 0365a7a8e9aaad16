"""`polystra calibrate` from recordings to its file, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.backtest.calibration.file import decoded
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.recordings.writer import RecordingWriter
from tests.unit.backtest.calibration.made_recording import recording


def record(folder: Path, inputs: list[Recorded], mode: str) -> Path:
    head = Head(origin="import", mode=mode, created_ns=1, symbols=("BTC",))
    with RecordingWriter(folder, head) as writer:
        for each in inputs:
            writer.add(each.event, each.now_ns)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def calibrate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["calibrate", *arguments])


def test_a_few_windows_make_a_file_that_says_unknown(here: Path):
    places = record(here / "rec", recording(windows=4), "import")
    out = here / "c.json"
    shown = calibrate(str(places), "--out", str(out), "--test-share", "0.5")
    assert shown.exit_code == 0, shown.output
    assert "2 windows, 2 independent" in shown.output
    assert "only 2 independent windows were tested" in shown.output
    file = decoded(out.read_bytes(), name="c.json")
    assert file.origin == "recordings"
    assert [source.name for source in file.sources] == sorted(path.name for path in places.glob("*.rec"))
    assert len(file.sources[0].sha256) == 64
    assert all(strength is None for each in file.fitted.signals for strength in each.by_bucket)
    assert not any(gate.passed for gate in file.tested.gates)
    again = calibrate(str(places), "--out", str(out), "--test-share", "0.5", "--json")
    assert json.loads(again.output)["digest"] == file.digest
    assert not out.with_name("c.json.new").exists()


def test_a_calibration_file_of_the_settings_plays_no_part(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALIBRATION_FILE", str(here / "c.json"))
    places = record(here / "rec", recording(windows=2), "import")
    shown = calibrate(str(places), "--out", str(here / "c.json"))
    assert shown.exit_code == 0, shown.output


def test_simulated_and_real_recordings_are_not_mixed(here: Path):
    real = record(here / "real", recording(windows=1), "import")
    simulated = record(here / "sim", recording(windows=1, seed=2), "sim")
    shown = calibrate(str(real), str(simulated), "--out", "c.json")
    assert shown.exit_code != 0
    assert "simulated and real recordings are named together" in shown.output
    assert not (here / "c.json").exists()


@pytest.mark.parametrize(("place", "words"), [("nowhere", "does not exist"), (".", "holds no recording")])
def test_bad_places_are_named(here: Path, place: str, words: str):
    shown = calibrate(place, "--out", "c.json")
    assert shown.exit_code != 0
    assert words in shown.output


def test_a_place_that_cannot_be_written_is_named(here: Path):
    places = record(here / "rec", recording(windows=2), "import")
    shown = calibrate(str(places), "--out", "no/such/folder/c.json")
    assert shown.exit_code != 0
    assert "--out no/such/folder/c.json: cannot be written" in shown.output
