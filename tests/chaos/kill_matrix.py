"""The kill matrix over real processes: `python -m tests.chaos.kill_matrix` kills the daemon at every point in turn.

What lives here: which points, the workers, the table. What must not: one run (`kill_processes`), what is right
(`kill_story`).

The points of a story are found by a run with nothing in its way, of real processes or, quicker, in virtual time.
Every commit and every send is one; `--points moving` leaves out commits that move no order, share or dollar,
`--points weighty` takes bytes under way and what was made durable and not yet acted upon.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from tests.chaos import kill_loop, kill_processes
from tests.chaos.kill_points import Point, is_quiet, is_weighty
from tests.chaos.kill_story import STORIES

_DOWN_S = (0.1, 1.5)
"""Real seconds for which the daemon is gone, in turn: at once back, and half a simulated minute later."""
_TRIES = 2
"""In real time a commit may hold other facts than in the run before: then its point is not met."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of one story."""

    story: str
    point: Point
    down_s: float
    speed: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: `verdict` is "right", "not reached" or what is wrong."""

    cell: Cell
    outcome: str
    verdict: str
    took_s: float


def play(cell: Cell) -> Result:
    """Kill the daemon at one point, in a folder of its own."""
    began = time.monotonic()
    outcome = ""
    for _ in range(_TRIES):
        with tempfile.TemporaryDirectory() as folder:
            try:
                told = kill_processes.tell(cell.story, Path(folder), cell.point, down_s=cell.down_s, speed=cell.speed)
            except AssertionError as error:
                return Result(cell, "", f"ended: {error}", time.monotonic() - began)
        outcome = told.outcome
        if told.wrong:
            return Result(cell, outcome, "; ".join(told.wrong), time.monotonic() - began)
        if told.died:
            return Result(cell, outcome, "right", time.monotonic() - began)
    return Result(cell, outcome, "not reached", time.monotonic() - began)


def find(story: str, *, virtual: bool) -> tuple[Point, ...]:
    """The points of a story, from a run with nothing in its way; raises AssertionError when that goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        if virtual:
            calm = kill_loop.tell(story, Path(folder))
            assert calm.wrong == (), f"{story}: {calm.wrong}"
            return calm.points
        told = kill_processes.tell(story, Path(folder))
        assert told.wrong == (), f"{story}: {told.wrong}"
        return told.points


def main() -> int:
    """Fill the matrix; exit code 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kill_matrix", description=__doc__)
    parser.add_argument("--story", choices=STORIES, action="append", help="default: all")
    parser.add_argument("--points", choices=("all", "moving", "weighty"), default="all")
    parser.add_argument("--every", type=int, default=1, help="take every so manieth point only")
    parser.add_argument("--virtual", action="store_true", help="find the points in virtual time")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--speed", type=float, default=kill_processes.SPEED, help="slower for a busy machine")
    told = parser.parse_args()
    began = time.monotonic()
    stories = told.story or list(STORIES)
    with multiprocessing.get_context("spawn").Pool(told.jobs) as pool:
        found = pool.starmap(_find, [(story, told.virtual) for story in stories], chunksize=1)
        cells = [
            Cell(story, point, _DOWN_S[number % 2], told.speed)
            for story, points in zip(stories, found, strict=True)
            for number, point in enumerate(_chosen(points, told.points)[:: told.every])
        ]
        for story, points in zip(stories, found, strict=True):
            moving, weighty = len(_chosen(points, "moving")), len(_chosen(points, "weighty"))
            typer.echo(f"{story}: {len(points)} points, {moving} move something, {weighty} are weighty")
        results = list(_told(pool.imap_unordered(play, cells)))
    for line in table(results, stories):
        typer.echo(line)
    typer.echo(f"{len(results)} deaths in {time.monotonic() - began:.0f} s")
    return 1 if any(result.verdict not in ("right", "not reached") for result in results) else 0


def table(results: Sequence[Result], stories: Sequence[str]) -> Iterator[str]:
    """What came of each story's deaths."""
    for story in stories:
        of_it = [result for result in results if result.cell.story == story]
        count = {word: sum(each.verdict == word for each in of_it) for word in ("right", "not reached")}
        wrong = len(of_it) - sum(count.values())
        yield f"{story:12} {count['right']:4} right {wrong:4} wrong {count['not reached']:4} not reached"


def _find(story: str, virtual: bool) -> tuple[Point, ...]:
    return find(story, virtual=virtual)


def _chosen(points: Sequence[Point], which: str) -> list[Point]:
    if which == "weighty":
        return [point for point in points if is_weighty(point)]
    return [point for point in points if which == "all" or not is_quiet(point)]


def _told(results: Iterator[Result]) -> Iterator[Result]:
    """Show each as it comes."""
    for each in results:
        line = f"{each.cell.story:12} {each.cell.point!s:44} {each.verdict:12} {each.took_s:4.0f} s  {each.outcome}"
        typer.echo(line)
        yield each


if __name__ == "__main__":
    sys.exit(main())
