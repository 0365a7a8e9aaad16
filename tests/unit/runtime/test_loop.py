from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Self

import pytest

from polystra.domain.errors import StoreCorrupt
from polystra.domain.events import (
    BookSnapshot,
    EntryRequested,
    MarketsListed,
    StopMode,
    StopRequested,
    StreamConnected,
    StreamName,
    WorldEvent,
)
from polystra.domain.facts import FillRecorded, IntentDenied, IntentRecorded, Notice, NoticeKind
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, TokenId, TradeId
from polystra.domain.market import Outcome
from polystra.domain.orders import Purpose, Side
from polystra.engine import effects as fx
from polystra.engine.core import Engine
from polystra.engine.fact_digest import FactDigest
from polystra.engine.state import Turn
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.loop import EngineLoop
from polystra.runtime.outbox import Outbox
from polystra.runtime.timers import Timers
from tests.fakes.clock import ManualClock, settle
from tests.fakes.signer import FakeSigner
from tests.fakes.store import MemoryStore
from tests.fakes.streams import FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery, ScriptedVenue
from tests.unit.engine.desk import CONDITION, MARKET, START_NS, config, enter
from tests.unit.runtime.lines import Lines


class EnteringEngine(Engine):
    """Makes an entry whenever the spot stream says that it is connected."""

    def step(self, event: WorldEvent, now_ns: int) -> Turn:
        turn = super().step(event, now_ns)
        if isinstance(event, StreamConnected) and event.stream is StreamName.SPOT:
            self._trader._enter(self.state.markets[CONDITION], enter(), turn)
        return turn


GO = StreamConnected(stream=StreamName.SPOT)
STOP = StopRequested(mode=StopMode.KEEP_EXITS, reason="test over")


class Bench:
    """A loop over a store and a venue of memory; the market is known from the last run."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_NS)
        self.inbox = Inbox()
        self.log = Lines()
        self.store = MemoryStore()
        self.venue = ScriptedVenue(self.clock, cash=1_000_000_000)
        self.signer = FakeSigner()
        self.engine = EnteringEngine(config(check_every_s=10_000))
        self.engine.restore(
            markets=[(MARKET, None)],
            orders=[],
            fills=[],
            postings=[],
            positions=[],
            next_order_number=1,
            next_decision_id=1,
            last_fill_ns=0,
        )
        self.timers = Timers(self.clock, self.inbox)
        self.outbox = Outbox(
            venue=self.venue,
            discovery=ScriptedDiscovery(),
            market_stream=FakeTokenStream(),
            clock=self.clock,
            inbox=self.inbox,
            log=self.log,
        )
        self.loop = EngineLoop(
            engine=self.engine,
            store=self.store,
            signer=self.signer,
            clock=self.clock,
            inbox=self.inbox,
            outbox=self.outbox,
            timers=self.timers,
            log=self.log,
        )

    async def __aenter__(self) -> Self:
        running = asyncio.get_running_loop()
        self.tasks = [running.create_task(work) for work in (self.loop.run(), self.timers.run(), self.outbox.run())]
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def say(self, *inputs: WorldEvent) -> None:
        for event in inputs:
            self.inbox.put(event)
        await settle(60)

    def recorded(self) -> list[IntentRecorded]:
        return [fact for fact in self.store.facts if isinstance(fact, IntentRecorded)]


async def test_nothing_leaves_before_its_intent_is_durable():
    async with Bench() as bench:
        bench.store.gate.clear()
        await bench.say(GO)
        assert len(bench.signer.asked) == 1
        assert not bench.venue.submitted
        bench.store.gate.set()
        await settle(60)
        [intent] = bench.recorded()
        assert bench.venue.submitted == [(intent.signed,)]


async def test_a_stop_that_a_busy_store_holds_up_says_once_what_would_be_left():
    async with Bench() as bench:
        await bench.say(GO)
        bench.store.busy = 1_000
        bench.loop.expect_stop()
        await bench.say(STOP)
        for _ in range(30):
            await bench.clock.advance(0.5)
        [line] = bench.log.of(LogEvent.SHUTDOWN_HELD)
        assert "BUY" in str(line["left_open"])
        bench.store.busy = 0


async def test_a_stop_that_a_hanging_commit_holds_up_says_what_would_be_left():
    async with Bench() as bench:
        bench.tasks.append(asyncio.get_running_loop().create_task(bench.loop.show_life()))
        bench.loop.expect_stop()
        for _ in range(30):
            await bench.clock.advance(1)
        assert not bench.log.of(LogEvent.SHUTDOWN_HELD), "nothing holds it up"
        bench.store.gate.clear()
        await bench.say(GO, STOP)
        for _ in range(30):
            await bench.clock.advance(1)
        [line] = bench.log.of(LogEvent.SHUTDOWN_HELD)
        assert "BUY" in str(line["left_open"])
        bench.store.gate.set()


async def test_a_busy_store_holds_the_effects_and_is_tried_again():
    async with Bench() as bench:
        bench.store.busy = 3
        await bench.say(GO)
        for _ in range(2):
            await bench.clock.advance(0.5)
            assert not bench.venue.submitted
        await bench.clock.advance(0.5)
        await settle(60)
        assert len(bench.venue.submitted) == 1
        assert len(bench.recorded()) == 1
        assert len(bench.log.of(LogEvent.STORE_BUSY)) == 1
        assert len(bench.log.of(LogEvent.STORE_FREED)) == 1


async def test_it_shows_since_when_a_commit_is_under_way():
    async with Bench() as bench:
        assert bench.loop.commit_began_ns is None
        bench.store.gate.clear()
        await bench.say(GO)
        began_ns = bench.loop.commit_began_ns
        assert began_ns == bench.clock.monotonic_ns()
        await bench.clock.advance(30)
        assert bench.loop.commit_began_ns == began_ns
        bench.store.gate.set()
        await settle(60)
        assert bench.loop.commit_began_ns is None


async def test_a_broken_store_ends_the_loop_and_nothing_leaves():
    bench = Bench()
    async with bench:
        bench.store.error = StoreCorrupt("malformed")
        await bench.say(GO)
        assert isinstance(bench.tasks[0].exception(), StoreCorrupt)
        assert not bench.venue.submitted


async def test_inputs_that_wait_together_are_one_commit_and_one_request():
    async with Bench() as bench:
        before = len(bench.store.commits)
        await bench.say(GO, GO, GO)
        assert [len(batch) for batch in bench.venue.submitted] == [3]
        first = bench.store.commits[before]
        assert sum(isinstance(fact, IntentRecorded) for fact in first) == 3


async def test_four_entries_in_four_markets_of_one_commit_leave_in_one_request():
    others = [
        replace(
            MARKET,
            condition_id=ConditionId(f"0x{number:064x}"),
            up_token=TokenId(f"{number}1"),
            down_token=TokenId(f"{number}2"),
            slug=f"eth-updown-15m-{number}",
        )
        for number in (1, 2, 3)
    ]
    markets = [MARKET, *others]
    level = ((490_000, 10**9),), ((510_000, 10**9),)
    async with Bench() as bench:
        await bench.say(
            MarketsListed(markets=tuple(others)),
            *(StreamConnected(stream=name) for name in StreamName if name is not StreamName.SPOT),
            *(
                BookSnapshot(token_id=token, bids=level[0], asks=level[1], at_ns=START_NS)
                for market in markets
                for token in (market.up_token, market.down_token)
            ),
        )
        before = len(bench.store.commits)
        await bench.say(
            *(
                EntryRequested(
                    request_id=market.slug,
                    condition_id=market.condition_id,
                    outcome=Outcome.UP,
                    price=500_000,
                    quantity=10_000_000,
                )
                for market in markets
            )
        )
        intents = [fact for fact in bench.store.commits[before] if isinstance(fact, IntentRecorded)]
        assert [intent.order.terms.condition_id for intent in intents] == [market.condition_id for market in markets]
        assert [len(batch) for batch in bench.venue.submitted] == [4]


async def test_an_intent_that_cannot_be_signed_is_denied_and_not_sent():
    async with Bench() as bench:
        bench.signer.refusal = "amounts do not fit"
        await bench.say(GO)
        assert [fact.reason for fact in bench.store.facts if isinstance(fact, IntentDenied)] == ["amounts do not fit"]
        assert not bench.venue.submitted


async def test_an_accepted_entry_that_fills_gets_its_take_profit_through_the_whole_shell():
    async with Bench() as bench:
        await bench.say(GO)
        [signed] = bench.venue.submitted[0]
        await bench.say(
            FillReport(
                trade_id=TradeId("t1"),
                order_id=signed.order_id,
                condition_id=CONDITION,
                token_id=MARKET.up_token,
                side=Side.BUY,
                price=500_000,
                quantity=10_000_000,
                liquidity=Liquidity.MAKER,
                status=FillStatus.CONFIRMED,
                matched_at_ns=bench.clock.now_ns(),
            )
        )
        assert [fact for fact in bench.store.facts if isinstance(fact, FillRecorded)]
        assert [intent.order.terms.purpose for intent in bench.recorded()] == [Purpose.ENTRY, Purpose.TAKE_PROFIT]
        assert len(bench.venue.submitted) == 2


async def test_timers_come_back_as_inputs():
    async with Bench() as bench:
        await bench.say(GO)
        await bench.clock.advance(201)
        await settle(60)
        [signed] = bench.venue.submitted[0]
        assert bench.venue.cancelled == [(signed.order_id,)]


async def test_the_run_ends_with_the_engines_last_word_after_its_commit():
    async with Bench() as bench:
        await bench.say(STOP)
        finish = await bench.tasks[0]
        assert isinstance(finish, fx.Finish)
        assert finish.reason == "test over"
        last = bench.store.facts[-1]
        assert isinstance(last, Notice)
        assert last.kind is NoticeKind.SHUTDOWN_STARTED


async def test_the_same_inputs_at_the_same_times_give_the_same_digest():
    digests = []
    for inputs in ((GO, STOP), (GO, STOP), (STOP,)):
        async with Bench() as bench:
            await bench.say(*inputs)
            digests.append((bench.loop.digest.hexdigest(), bench.loop.digest.facts))
    assert digests[0] == digests[1] != digests[2]


def test_a_digest_depends_on_every_fact_and_their_order():
    one = Notice(kind=NoticeKind.STREAM_LOST, subject="a", message="x", at_ns=1)
    two = Notice(kind=NoticeKind.STREAM_LOST, subject="a", message="x", at_ns=2)

    def digest(*facts: Notice) -> str:
        made = FactDigest()
        made.add(facts)
        return made.hexdigest()

    assert digest(one, two) == digest(one, two)
    assert len({digest(), digest(one), digest(two), digest(one, two), digest(two, one), digest(one, one)}) == 6


@pytest.mark.parametrize("batches", [[2], [1, 1]])
def test_a_digest_does_not_depend_on_the_batches(batches):
    facts = [Notice(kind=NoticeKind.STREAM_LOST, subject="a", message=str(n), at_ns=n) for n in range(2)]
    made = FactDigest()
    rest = list(facts)
    for size in batches:
        made.add(rest[:size])
        rest = rest[size:]
    whole = FactDigest()
    whole.add(facts)
    assert made.hexdigest() == whole.hexdigest()
    assert made.facts == 2
