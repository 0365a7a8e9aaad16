"""The daemon dies at every commit and every send of six stories, in virtual time, and everything adds up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kill_loop import tell
from tests.chaos.kill_points import Point, is_weighty
from tests.chaos.kill_story import STORIES


def die_at(name: str, points: list[Point], folder: Path) -> None:
    for number, point in enumerate(points):
        told = tell(name, folder / str(number), point)
        assert told.wrong == (), f"{name}: {point}: {told.outcome}"


def points_of(name: str, folder: Path) -> tuple[Point, ...]:
    told = tell(name, folder / "undisturbed")
    assert told.wrong == (), told.outcome
    return told.points


@pytest.mark.parametrize("name", STORIES)
def test_who_dies_with_bytes_under_way_accounts_for_them(name: str, tmp_path: Path) -> None:
    points = points_of(name, tmp_path)
    assert any(point.place.startswith("POST /order") for point in points)
    die_at(name, [point for point in points if is_weighty(point)], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", STORIES)
def test_who_dies_anywhere_accounts_for_everything(name: str, tmp_path: Path) -> None:
    die_at(name, [point for point in points_of(name, tmp_path) if not is_weighty(point)], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", STORIES)
def test_who_dies_a_second_time_while_finding_out_does_too(name: str, tmp_path: Path) -> None:
    """Each weighty point, and then each commit and send of an order in the run that comes after it."""
    for place, point in enumerate(each for each in points_of(name, tmp_path) if is_weighty(each)):
        after = tell(name, tmp_path / f"{place}", point)
        for number, again in enumerate(each for each in after.points if is_weighty(each)):
            told = tell(name, tmp_path / f"{place}-{number}", point, again=again)
            assert told.wrong == (), f"{name}: {point}, then {again}: {told.outcome}"
