"""The audit's way to the store: batched, bounded, and never in the way of trading."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from polystra.domain.errors import PolystraError, StoreBusy, StoreCorrupt
from polystra.domain.ids import OrderId
from polystra.domain.units import NS_PER_S
from polystra.ports.audit import ApiCall
from polystra.ports.logbook import LogEvent
from polystra.runtime.audit_journal import CAPACITY, WRITTEN_AT_ONCE, AuditJournal
from tests.fakes.clock import ManualClock, settle
from tests.unit.runtime.lines import Lines

HOUR_S = 3_600
DAY_NS = 86_400 * NS_PER_S


class Shelf:
    """Fulfils `AuditStore`; `errors` are raised by the next writes, one each."""

    def __init__(self, *errors: PolystraError) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.batches: list[list[ApiCall]] = []
        self.pruned: list[tuple[int, int]] = []
        self.errors = list(errors)

    @property
    def numbers(self) -> list[int]:
        return [call.at_ns for batch in self.batches for call in batch]

    async def write_calls(self, calls: Sequence[ApiCall]) -> None:
        await asyncio.sleep(0)
        self.meanwhile()
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(list(calls))

    async def prune_calls(self, before_ns: int, routine_before_ns: int) -> int:
        if self.errors:
            raise self.errors.pop(0)
        self.pruned.append((before_ns, routine_before_ns))
        return 0


def call(number: int) -> ApiCall:
    return ApiCall(
        at_ns=number,
        method="POST",
        path="/order",
        latency_ns=1,
        status=200,
        request="{}",
        reply="{}",
        outcome="live",
        orders=((OrderId(f"0x{number}"), "live"),),
    )


def journal(shelf: Shelf, lines: Lines, clock: ManualClock, **more: int) -> AuditJournal:
    return AuditJournal(store=shelf, clock=clock, log=lines, **more)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lines() -> Lines:
    return Lines()


async def test_calls_are_written_once_a_second_in_their_order(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf()
    kept = journal(shelf, lines, clock)
    task = asyncio.ensure_future(kept.run())
    for number in range(3):
        kept.record(call(number))
    await clock.advance(0.9)
    assert shelf.batches == []
    await clock.advance(0.2)
    assert [len(batch) for batch in shelf.batches] == [3]
    kept.record(call(3))
    await clock.advance(1)
    assert shelf.numbers == [0, 1, 2, 3]
    assert len(kept) == 0
    task.cancel()


async def test_many_calls_go_in_small_transactions(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf()
    kept = journal(shelf, lines, clock)
    for number in range(2 * WRITTEN_AT_ONCE + 1):
        kept.record(call(number))
    await kept.flush()
    assert [len(batch) for batch in shelf.batches] == [WRITTEN_AT_ONCE, WRITTEN_AT_ONCE, 1]
    assert shelf.numbers == list(range(2 * WRITTEN_AT_ONCE + 1))


async def test_without_room_the_oldest_go_and_it_is_said_once(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf()
    kept = journal(shelf, lines, clock)
    for number in range(CAPACITY + 7):
        kept.record(call(number))
    assert len(kept) == CAPACITY
    await kept.flush()
    assert shelf.numbers == list(range(7, CAPACITY + 7))
    assert kept.dropped == 7
    for number in range(CAPACITY + 1):
        kept.record(call(number))
    await kept.flush()
    assert kept.dropped == 8
    assert [line["dropped"] for line in lines.of(LogEvent.AUDIT_DROPPED)] == [7]


async def test_a_busy_store_is_tried_again_in_order_and_said_once(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf(StoreBusy("locked"), StoreBusy("locked"))
    kept = journal(shelf, lines, clock)
    task = asyncio.ensure_future(kept.run())
    kept.record(call(0))
    await clock.advance(1)
    kept.record(call(1))
    await clock.advance(1)
    assert shelf.batches == []
    await clock.advance(1)
    assert shelf.numbers == [0, 1]
    assert kept.dropped == 0
    assert len(lines.of(LogEvent.AUDIT_BLOCKED)) == 1
    assert not task.done()
    task.cancel()


async def test_what_comes_while_a_write_fails_stays_behind_it(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf(StoreBusy("locked"))
    kept = journal(shelf, lines, clock)
    shelf.meanwhile = lambda: kept.record(call(2)) if shelf.errors else None
    kept.record(call(0))
    kept.record(call(1))
    await kept.flush()
    await kept.flush()
    assert shelf.numbers == [0, 1, 2]


async def test_a_store_that_refuses_costs_calls_and_nothing_else(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf(StoreCorrupt("no such table"))
    kept = journal(shelf, lines, clock)
    task = asyncio.ensure_future(kept.run())
    kept.record(call(0))
    await clock.advance(1)
    kept.record(call(1))
    await clock.advance(1)
    assert shelf.numbers == [1]
    assert kept.dropped == 1
    assert [line["error"] for line in lines.of(LogEvent.AUDIT_DROPPED)] == ["no such table"]
    assert not task.done()
    task.cancel()


async def test_old_calls_go_at_the_start_and_every_hour(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf()
    begun_ns = clock.now_ns()
    task = asyncio.ensure_future(journal(shelf, lines, clock, keep_ns=30 * DAY_NS).run())
    await settle()
    assert shelf.pruned == [(begun_ns - 30 * DAY_NS, begun_ns - 3 * DAY_NS)]
    await clock.advance(HOUR_S + 1)
    assert len(shelf.pruned) == 2
    task.cancel()
    brief = Shelf()
    task = asyncio.ensure_future(journal(brief, lines, clock, keep_ns=DAY_NS).run())
    await settle()
    assert brief.pruned == [(clock.now_ns() - DAY_NS, clock.now_ns() - DAY_NS)]
    task.cancel()


async def test_nothing_goes_when_all_is_kept_and_a_failure_to_prune_ends_nothing(
    lines: Lines, clock: ManualClock
) -> None:
    forever, failing = Shelf(), Shelf(StoreCorrupt("gone"))
    tasks = [
        asyncio.ensure_future(journal(forever, lines, clock).run()),
        asyncio.ensure_future(journal(failing, lines, clock, keep_ns=DAY_NS).run()),
    ]
    await clock.advance(HOUR_S + 2)
    assert forever.pruned == []
    assert len(failing.pruned) == 1
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()


async def test_other_threads_may_record(lines: Lines, clock: ManualClock) -> None:
    shelf = Shelf()
    kept = journal(shelf, lines, clock)

    def record_many() -> None:
        for number in range(300):
            kept.record(call(number))

    threads = [threading.Thread(target=record_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await kept.flush()
    assert len(shelf.numbers) == 1_200
