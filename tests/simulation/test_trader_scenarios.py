"""Every scenario of tests/scenarios plays as its file says, and the books agree with the exchange's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.scenario_file import ScenarioError, load
from tests.simulation.scenario_runner import differences, play

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_there_are_scenarios() -> None:
    assert FILES


def cases() -> list[object]:
    """Every file; one that names a known fault must fail until the fault is mended."""
    found: list[object] = []
    for path in FILES:
        scenario = load(path)
        marks = [pytest.mark.slow] if scenario.slow else []
        if scenario.known:
            marks.append(pytest.mark.xfail(strict=True, reason=scenario.known))
        found.append(pytest.param(path, id=path.stem, marks=marks))
    return found


@pytest.mark.parametrize("path", cases())
def test_the_scenario_plays_as_its_file_says(path: Path, tmp_path: Path) -> None:
    scenario = load(path)
    assert differences(scenario, play(scenario, tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: x\nquotes: {}\nthen: {}\ncolour: red", "colour is unknown"),
        ("title: x\nquotes: {0: 49 x 5}\nthen: {}", "expected `bids | asks`"),
        ("title: x\nquotes: {}\nwhen: {1: buy now}\nthen: {}", "'buy now' is not known"),
        ("title: x\nquotes: {}\nthen: {orders: [sell all]}", "order 'sell all' cannot be read"),
        ("quotes: {}\nthen: {}", "'title' is missing"),
    ],
)
def test_an_unknown_word_is_one_clear_error(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=words):
        load(path)
