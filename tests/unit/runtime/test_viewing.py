"""A look at the engine's memory: what is held and rests, as data of its own, and nothing is changed by looking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from polystra.domain.facts import Fact
from polystra.domain.units import MICRO
from polystra.ports.viewing import View
from polystra.runtime.viewing import Viewing
from tests.fakes.clock import ManualClock, settle
from tests.unit.engine.desk import CENT, MARKET, START_NS, Desk


class Seen:
    def __init__(self) -> None:
        self.views: list[View] = []

    def show(self, view: View) -> None:
        self.views.append(view)

    def heard(self, facts: Sequence[Fact]) -> None:
        raise AssertionError("looks bring no facts")


def looking(desk: Desk, clock: ManualClock | None = None) -> tuple[Viewing, Seen, ManualClock]:
    clock, seen = clock or ManualClock(START_NS), Seen()
    viewing = Viewing(seen, state=desk.state, clock=clock, real=clock, waiting=lambda: 3, commit_began=lambda: None)
    return viewing, seen, clock


def test_what_is_held_and_what_rests_is_shown_with_the_book() -> None:
    desk = Desk().ready()
    desk.hold(10, 50)
    desk.books(54, 56)
    view = looking(desk)[0].look()
    [held] = view.positions
    assert held.booked.shares == 10 * MICRO
    assert held.book is not None
    assert (held.book.bid, held.book.ask, held.book.mid) == (54 * CENT, 56 * CENT, 55 * CENT)
    assert {order.terms.position_id for order in view.orders} <= {held.recorded.position_id}
    assert [watched.market for watched in view.markets] == [MARKET]
    assert (view.waiting_inputs, view.number) == (3, 1)


def test_what_was_shown_does_not_change_with_the_engine() -> None:
    desk = Desk().ready()
    desk.hold(10, 50)
    viewing, _, _ = looking(desk)
    view = viewing.look()
    before = replace(view.positions[0].booked)
    desk.books(10, 12)
    desk.advance(5)
    desk.state.positions[before.position_id].sold += MICRO
    assert view.positions[0].booked == before


def test_looking_changes_no_result_even_over_midnight() -> None:
    desk = Desk().ready()
    desk.hold(10, 50)
    results = replace(desk.state.results)
    clock = ManualClock(START_NS + 2 * 86_400 * 1_000_000_000)
    assert looking(desk, clock)[0].look().today == 0
    assert desk.state.results == results


async def test_a_look_comes_once_a_second() -> None:
    desk = Desk().ready()
    viewing, seen, clock = looking(desk)
    task = asyncio.get_running_loop().create_task(viewing.run())
    await settle()
    for _ in range(3):
        await clock.advance(1)
    task.cancel()
    assert [view.number for view in seen.views] == [1, 2, 3, 4]
