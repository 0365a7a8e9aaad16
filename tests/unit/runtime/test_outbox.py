from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from polystra.domain.events import (
    AccountSnapshot,
    BookSnapshot,
    HoldingsRead,
    MarketResolved,
    MarketsListed,
    SubmitAccepted,
    SubmitRefused,
    TokenBalanceRead,
)
from polystra.domain.ids import OrderId, TokenId
from polystra.domain.orders import Purpose, SignedOrder
from polystra.domain.units import Nanos
from polystra.engine import effects as fx
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.outbox import UNDER_WAY, Outbox, Urgency
from polystra.runtime.send_queue import BATCH_LIMIT, SendQueue
from tests.fakes.clock import ManualClock, settle
from tests.fakes.streams import FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery, ScriptedVenue
from tests.unit.engine.desk import CONDITION, MARKET
from tests.unit.runtime.lines import Lines


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.inbox = Inbox()
        self.log = Lines()
        self.venue = ScriptedVenue(self.clock)
        self.discovery = ScriptedDiscovery([MARKET])
        self.stream = FakeTokenStream()
        self.outbox = Outbox(
            venue=self.venue,
            discovery=self.discovery,
            market_stream=self.stream,
            clock=self.clock,
            inbox=self.inbox,
            log=self.log,
        )

    async def work(self) -> list[object]:
        """One worker serves everything that waits; what came back."""
        task = asyncio.get_running_loop().create_task(self.outbox.run())
        await settle(60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return list(await self.inbox.take(1_000)) if len(self.inbox) else []


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def submit(n: int, purpose: Purpose = Purpose.ENTRY) -> fx.SubmitOrder:
    signed = SignedOrder(
        client_order_id=f"o{n}",  # type: ignore[arg-type]
        order_id=OrderId(f"0x{n}"),
        body=b"",
        salt=n,
        timestamp_ms=n,
        quantity=1,
    )
    return fx.SubmitOrder(signed=signed, purpose=purpose)


def cancel(n: int) -> fx.CancelOrder:
    return fx.CancelOrder(order_id=OrderId(f"0x{n}"))


LOOKUP = fx.LookupOrder(order_id=OrderId("0x9"), condition_id=CONDITION, since_ns=0)


async def test_submits_released_together_travel_together(bench):
    bench.outbox.release([submit(1), submit(2), submit(3)])
    outcomes = await bench.work()
    assert [len(batch) for batch in bench.venue.submitted] == [3]
    assert [outcome.order_id for outcome in outcomes] == ["0x1", "0x2", "0x3"]


async def test_one_request_carries_at_most_fifteen(bench):
    bench.outbox.release([submit(n) for n in range(2 * BATCH_LIMIT + 1)])
    await bench.work()
    assert [len(batch) for batch in bench.venue.submitted] == [15, 15, 1]


async def test_cancels_released_together_are_one_request(bench):
    bench.outbox.release([cancel(1), cancel(2)])
    await bench.work()
    assert bench.venue.cancelled == [("0x1", "0x2")]


async def test_cancels_before_exits_before_look_ups_before_entries_before_the_rest(bench):
    bench.outbox.release(
        [
            fx.ReadAccount(since_ns=0, tokens=(), trigger="periodic"),
            submit(1),
            LOOKUP,
            submit(2, Purpose.STOP_LOSS),
            cancel(3),
        ]
    )
    await bench.work()
    assert bench.venue.calls == ["cancel", "submit", "lookup", "submit", "account"]
    assert [batch[0].order_id for batch in bench.venue.submitted] == ["0x2", "0x1"]


async def test_within_a_class_first_come_first_served(bench):
    for n in range(5):
        bench.outbox.release([submit(n)])
    await bench.work()
    assert [batch[0].order_id for batch in bench.venue.submitted] == [f"0x{n}" for n in range(5)]


async def test_every_outcome_goes_through_the_inbox_as_it_is(bench):
    bench.venue.submit_outcomes.append(SubmitRefused(order_id=OrderId("0x1"), message="no"))
    bench.outbox.release([submit(1), submit(2)])
    refused, accepted = await bench.work()
    assert isinstance(refused, SubmitRefused)
    assert isinstance(accepted, SubmitAccepted)


async def test_questions_are_answered_through_the_inbox(bench):
    token = TokenId("1")
    bench.venue.balances[token] = 5
    bench.venue.books[token] = BookSnapshot(token_id=token, bids=(), asks=(), at_ns=0)
    bench.venue.verdicts[CONDITION] = MarketResolved(condition_id=CONDITION, up_payout=0, at_ns=0)
    bench.outbox.release(
        [
            fx.ReadTokenBalance(token_id=token),
            fx.ReadBook(token_id=token),
            fx.ReadResolution(condition_id=CONDITION),
            fx.DiscoverMarket(symbol="BTC", window_s=900, opens_at_s=MARKET.opens_at_s),
        ]
    )
    answers = await bench.work()
    assert {type(answer) for answer in answers} == {TokenBalanceRead, BookSnapshot, MarketResolved, MarketsListed}


async def test_no_verdict_and_no_market_are_no_answers(bench):
    bench.outbox.release(
        [
            fx.ReadResolution(condition_id=CONDITION),
            fx.DiscoverMarket(symbol="ETH", window_s=900, opens_at_s=MARKET.opens_at_s),
        ]
    )
    assert await bench.work() == []


async def test_a_question_that_fails_is_logged_and_is_no_answer(bench):
    bench.venue.unreachable = True
    bench.outbox.release([fx.ReadBook(token_id=TokenId("1")), fx.ReadResolution(condition_id=CONDITION)])
    assert await bench.work() == []
    assert [fields["question"] for fields in bench.log.of(LogEvent.QUESTION_FAILED)] == ["book", "resolution"]


async def test_a_balance_that_cannot_be_read_is_told_as_unknown(bench):
    bench.venue.unreachable = True
    bench.outbox.release([fx.ReadTokenBalance(token_id=TokenId("1"))])
    [answer] = await bench.work()
    assert isinstance(answer, TokenBalanceRead)
    assert answer.shares is None


async def test_tokens_are_watched_at_once_and_dropped(bench):
    bench.outbox.release([fx.WatchTokens(token_ids=(TokenId("1"), TokenId("2")))])
    bench.outbox.release([fx.UnwatchTokens(token_ids=(TokenId("1"),))])
    assert bench.stream.tokens == {"2"}


async def test_a_bug_in_an_adapter_is_not_swallowed(bench):
    async def broken(orders, told):
        raise ZeroDivisionError

    bench.venue.submit = broken
    bench.outbox.release([submit(1)])
    with pytest.raises(ExceptionGroup) as raised:
        await bench.outbox.run()
    assert raised.group_contains(ZeroDivisionError)


async def test_requests_under_way_are_bounded_by_class(bench):
    going = asyncio.Event()

    async def slow(orders, told):
        bench.venue.calls.append("submit")
        await going.wait()

    bench.venue.submit = slow
    task = asyncio.get_running_loop().create_task(bench.outbox.run())
    for n in range(2 * UNDER_WAY[Urgency.ENTRY]):
        bench.outbox.release([submit(n)])
    bench.outbox.release([submit(99, Purpose.STOP_LOSS), cancel(1_000)])
    await settle(60)
    assert len(bench.venue.calls) == UNDER_WAY[Urgency.ENTRY] + 2
    assert bench.venue.cancelled
    going.set()
    await settle(60)
    assert len(bench.venue.calls) == 2 * UNDER_WAY[Urgency.ENTRY] + 2
    assert (len(bench.outbox), bench.outbox.requests) == (0, len(bench.venue.calls))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Hanging(ScriptedVenue):
    """Answers no question for ever, commands at once."""

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> AccountSnapshot:
        await asyncio.get_running_loop().create_future()
        raise AssertionError((since_ns, tokens))


async def test_questions_that_hang_delay_no_cancel_no_exit_and_no_look_up(bench):
    loop = asyncio.get_running_loop()
    venue = Hanging(bench.clock)
    bench.outbox._venue = venue
    bench.outbox._sends = SendQueue(venue.budget)
    task = loop.create_task(bench.outbox.run())
    for second in range(20):
        bench.outbox.release([fx.ReadAccount(since_ns=second, tokens=(), trigger="periodic")])
        await settle()
    bench.outbox.release([cancel(1), submit(2, Purpose.STOP_LOSS), LOOKUP])
    await settle(60)
    assert venue.cancelled == [(OrderId("0x1"),)]
    assert [signed.order_id for batch in venue.submitted for signed in batch] == [OrderId("0x2")]
    assert venue.looked_up == [OrderId("0x9")]
    assert len(bench.outbox) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_question_that_waits_is_asked_once_as_it_was_put_last(bench):
    old, new = (fx.ReadAccount(since_ns=since, tokens=(), trigger="periodic") for since in (1, 2))
    bench.outbox.release([old, LOOKUP, new, LOOKUP])
    assert len(bench.outbox) == 2
    await bench.work()
    bench.outbox.release([LOOKUP])
    assert len(bench.outbox) == 1


async def test_held_entries_never_leave_whenever_they_were_released_and_exits_go_on(bench):
    bench.outbox.release([submit(1), submit(2, Purpose.STOP_LOSS)])
    bench.outbox.release([fx.HoldEntries(reason="the kill switch is on", order_ids=(OrderId("0x0"),))])
    assert bench.venue.withdrawn == [OrderId("0x0")]
    bench.outbox.release([submit(3)])
    answers = await bench.work()
    refused = [answer for answer in answers if isinstance(answer, SubmitRefused)]
    assert [answer.order_id for answer in refused] == [OrderId("0x1"), OrderId("0x3")]
    assert all("kill switch" in answer.message for answer in refused)
    assert [order.order_id for batch in bench.venue.submitted for order in batch] == [OrderId("0x2")]
    bench.outbox.release([fx.HoldEntries(reason=""), submit(4)])
    await bench.work()
    assert bench.venue.submitted[-1][0].order_id == OrderId("0x4")


class Wallet:
    """A second source that answers once and then fails."""

    def __init__(self) -> None:
        self.answers = [
            HoldingsRead(asked_at_ns=1, at_ns=2, complete=True),
            HoldingsRead(asked_at_ns=3, at_ns=4, complete=False, detail="a page failed"),
        ]

    async def holdings(self) -> HoldingsRead:
        return self.answers.pop(0)


async def test_the_second_source_is_asked_and_its_failure_is_told(bench):
    bench.outbox._holdings = Wallet()
    for complete in (True, False):
        bench.outbox.release([fx.ReadHoldings(trigger="start")])
        [read] = await bench.work()
        assert read.complete is complete
    assert bench.log.of(LogEvent.QUESTION_FAILED) == [{"question": "holdings", "error": "a page failed"}]


async def test_without_a_second_source_the_answer_says_nothing(bench):
    bench.outbox.release([fx.ReadHoldings(trigger="start")])
    [read] = await bench.work()
    assert not read.complete
    assert bench.log.of(LogEvent.QUESTION_FAILED) == []


async def test_a_batch_that_asks_for_nothing_wakes_nobody_unless_an_order_waits_to_leave(bench):
    bench.outbox.release([])
    assert not bench.outbox._news.is_set()
    bench.outbox.release([submit(1)])
    bench.outbox._news.clear()
    bench.outbox.release([])
    assert bench.outbox._news.is_set()
