"""The kill matrix in virtual time: one process, the daemon dropped dead at a point and started again.

What lives here: finding the points of a story, and telling the story with a death at one of them. What must
not: judging (`kill_story`), real processes (`kill_processes`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import structlog

from polystra.app.book_reading import Reading, read_both
from polystra.app.wiring import Run, run_daemon
from polystra.exchange.builtin import BuiltInExchange
from polystra.exchange.model import OrderEvent
from polystra.runtime.daemon import RunSummary
from tests.chaos.kill_points import Point, Points
from tests.chaos.kill_story import outcome, story, wrong
from tests.simulation.scenario_runner import Script, arranged
from tests.simulation.scripted_run import run_scripted
from tests.simulation.search_deaths import Killed
from tests.simulation.search_invariants import Watch
from tests.simulation.search_venue import VenueEye, tapped_session
from tests.unit.runtime.lines import Lines

SEED = 1
_DOWN_S = (2.0, 25.0)
"""A container that restarts at once, and one that takes its time."""


@dataclass(frozen=True, slots=True)
class Told:
    """A story with a death in it, or without."""

    points: tuple[Point, ...]
    died: bool
    outcome: str
    wrong: tuple[str, ...]
    reading: Reading


def tell(name: str, folder: Path, doom: Point | None = None, *, again: Point | None = None) -> Told:
    """Tell a story in an empty folder; `again` is a second death, in the run after the first."""
    scenario = story(name)
    settings, config = arranged(scenario, folder, seed=SEED)
    eye = VenueEye()
    watch = Watch(None, eye)
    seen: list[Points] = []

    async def legs(run: Run, exchange: BuiltInExchange) -> RunSummary:
        assert run.wallet is not None
        eye.owner = run.wallet.credentials.api_key
        exchange.core.add_listener(eye.heard, OrderEvent)
        chance = Random(f"{doom}")
        for number, point in enumerate((doom, again)):
            if point is None:
                break
            points = await _until_death(run, point, number, watch)
            seen.append(points)
            if not points.struck:
                raise AssertionError(f"{name}: {point} was not reached")
            await run.clock.sleep(chance.choice(_DOWN_S))
        points = Points(_never, durable=watch.durable)
        seen.append(points)
        watch.begin_leg()
        return await run_daemon(_seen(run, points, len(seen)))

    summary = run_scripted(
        settings,
        config,
        lambda exchange, clock: Script(scenario, exchange, clock, again=True),
        log=Lines(),
        markets_limit=1,
        session=tapped_session(watch.left),
        inspect=watch.look,
        legs=legs,
    )
    structlog.reset_defaults()
    reading = read_both(settings)
    found = [*watch.broken, *wrong(name, reading, summary.left_open, eye)]
    return Told(tuple(seen[-1].seen), doom is not None, outcome(reading), tuple(found), reading)


async def _until_death(run: Run, point: Point, number: int, watch: Watch) -> Points:
    tasks: list[asyncio.Task[RunSummary]] = []

    def strike() -> None:
        tasks[0].cancel()

    points = Points(_dead, point, strike=strike, durable=watch.durable)
    watch.begin_leg()
    task = asyncio.get_running_loop().create_task(run_daemon(_seen(run, points, number)), name="daemon")
    tasks.append(task)
    try:
        await task
    except (Killed, asyncio.CancelledError):
        if not task.done():
            raise
    return points


def _seen(run: Run, points: Points, number: int) -> Run:
    return replace(
        run,
        store=points.store,
        session=points.session(run.session),
        chance=Random(f"{SEED}:daemon {number}"),
    )


def _dead() -> None:
    raise Killed


def _never() -> None:
    raise AssertionError("this run was not to die")
