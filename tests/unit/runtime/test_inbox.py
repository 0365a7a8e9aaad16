from __future__ import annotations

import asyncio

import pytest

from polystra.domain.errors import InvariantViolation
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    CancelAccepted,
    LevelChange,
    PriceSource,
    PriceTicked,
    PublicTrade,
    StreamConnected,
    StreamLost,
    StreamName,
    TimerFired,
    WorldEvent,
)
from polystra.domain.ids import OrderId, TokenId
from polystra.domain.orders import Side
from polystra.runtime.inbox import Inbox
from tests.fakes.clock import settle

BOOK = BookChanged(changes=(), at_ns=0)
PRICE = PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=1, at_ns=0)
PRINT = PublicTrade(token_id=TokenId("1"), side=Side.BUY, price=1, size=1, at_ns=0)
ORDER = CancelAccepted(order_id=OrderId("0x1"))


async def test_inputs_come_out_oldest_first_and_at_most_so_many():
    inbox = Inbox()
    for n in range(5):
        inbox.put(TimerFired(key=str(n)))
    assert [event.key for event in await inbox.take(3) if isinstance(event, TimerFired)] == ["0", "1", "2"]
    assert len(inbox) == 2
    assert len(await inbox.take(10)) == 2


async def test_taking_waits_for_an_input():
    inbox = Inbox()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(inbox.take(1))
        await settle()
        assert not taking.done()
        inbox.put(BOOK)
        assert await taking == [BOOK]


async def test_market_data_beyond_the_limit_is_dropped_and_told_as_a_broken_stream():
    inbox = Inbox(market_data_limit=3)
    for event in (BOOK, BOOK, BOOK, PRINT, PRICE):
        inbox.put(event)
    assert inbox.dropped == 2
    taken = await inbox.take(10)
    assert taken[:3] == [BOOK] * 3
    assert [type(event) for event in taken[3:]] == [StreamLost, StreamConnected]
    lost = taken[3]
    assert isinstance(lost, StreamLost)
    assert lost.stream is StreamName.MARKET
    inbox.put(BOOK)
    assert await inbox.take(10) == [BOOK]


async def test_the_loss_is_told_where_the_gap_is_and_before_what_came_after_it():
    inbox = Inbox(market_data_limit=2)
    for event in (BOOK, BOOK, PRICE):
        inbox.put(event)
    assert await inbox.take(2) == [BOOK, BOOK]
    inbox.put(PRICE)
    inbox.put(ORDER)
    kinds = [type(event) for event in await inbox.take(10)]
    assert kinds == [StreamLost, StreamConnected, PriceTicked, CancelAccepted]


async def test_a_stream_that_really_broke_during_a_gap_is_not_told_as_connected():
    inbox = Inbox(market_data_limit=1)
    for event in (BOOK, BOOK, StreamLost(stream=StreamName.MARKET, reason="broken")):
        inbox.put(event)
    assert StreamConnected(stream=StreamName.MARKET) not in await inbox.take(10)


async def test_account_facts_are_never_dropped():
    inbox = Inbox(market_data_limit=2, hard_limit=100)
    for _ in range(50):
        inbox.put(ORDER)
    assert inbox.dropped == 0
    assert len(inbox) == 50


async def test_beyond_the_hard_limit_the_process_stops():
    inbox = Inbox(market_data_limit=2, hard_limit=3)
    for _ in range(3):
        inbox.put(ORDER)
    with pytest.raises(InvariantViolation, match="does not keep up"):
        inbox.put(ORDER)
    inbox.put(BOOK)
    assert inbox.dropped == 1


def level(cents: int, size: int, *, token: str = "1", side: Side = Side.BUY) -> BookChanged:
    change = LevelChange(TokenId(token), side, cents * 10_000, size, 500_000, 520_000)
    return BookChanged(changes=(change,), at_ns=size)


async def test_an_engine_that_is_behind_is_told_each_level_as_it_was_last_and_everything_else_in_full():
    inbox = Inbox(conflate_from=2)
    for event in (ORDER, ORDER, level(50, 1), level(49, 2), level(50, 3), level(40, 4, token="2"), ORDER):
        inbox.put(event)
    taken = await inbox.take(10)
    assert taken[:2] == [ORDER, ORDER]
    joined, other, order = taken[2:]
    assert isinstance(joined, BookChanged)
    assert [(each.price, each.size) for each in joined.changes] == [(490_000, 2), (500_000, 3)]
    assert joined.at_ns == 3
    assert other == level(40, 4, token="2")
    assert order == ORDER
    assert inbox.conflated == 2
    inbox.put(level(50, 5))
    assert await inbox.take(1) == [level(50, 5)]


async def test_changes_never_pass_a_snapshot_or_a_broken_stream():
    snapshot = BookSnapshot(token_id=TokenId("1"), bids=(), asks=(), at_ns=0)
    lost = StreamLost(stream=StreamName.MARKET, reason="gone")
    inbox = Inbox(conflate_from=0)
    told: list[WorldEvent] = [level(50, 1), snapshot, level(50, 2), lost, level(50, 3)]
    for event in told:
        inbox.put(event)
    assert await inbox.take(10) == told


async def test_a_message_about_two_places_that_wait_comes_behind_both():
    both = BookChanged(changes=(level(50, 3).changes[0], level(50, 3, token="2").changes[0]), at_ns=3)
    inbox = Inbox(conflate_from=0)
    for event in (level(50, 1), level(50, 2, token="2"), both, level(50, 4)):
        inbox.put(event)
    taken = await inbox.take(10)
    assert taken[:2] == [level(50, 1), level(50, 2, token="2")]
    last = taken[2]
    assert isinstance(last, BookChanged)
    assert [(each.token_id, each.size) for each in last.changes] == [("2", 3), ("1", 4)]


async def test_a_change_never_passes_one_of_its_book_that_came_when_the_engine_was_less_behind():
    inbox = Inbox(conflate_from=3)
    for event in (ORDER, ORDER, ORDER, level(50, 1)):
        inbox.put(event)
    assert await inbox.take(2) == [ORDER, ORDER]
    for event in (level(50, 2), ORDER, level(50, 3)):
        inbox.put(event)
    assert await inbox.take(10) == [ORDER, level(50, 1), level(50, 2), ORDER, level(50, 3)]


async def test_what_comes_after_a_lost_change_is_not_told_before_the_loss():
    both = BookChanged(changes=(level(50, 3).changes[0], level(50, 3, token="2").changes[0]), at_ns=3)
    inbox = Inbox(conflate_from=0, market_data_limit=2)
    for event in (level(50, 1), level(50, 2, token="2"), both, level(50, 4)):
        inbox.put(event)
    taken = await inbox.take(10)
    assert taken[:2] == [level(50, 1), level(50, 2, token="2")]
    assert [type(event) for event in taken[2:]] == [StreamLost, StreamConnected]
    assert inbox.dropped == 2
