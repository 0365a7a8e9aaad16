"""The outbox: the one way out. Effects of committed turns, carried out by tasks of its own.

Order of service: cancels, exits, look-ups, entries, everything else. What leaves, and when, is decided
by `send_queue` under the venue's budget; this file starts it. Every answer goes back through the inbox,
as soon as it is known. A question that fails is not an answer: the engine's timers ask again.

No order leaves while the account may have another holder (`tenure`).

While entries are held (the kill switch) none is sent, whenever it was released.

A venue that answers slowly, and an order that waits to be sent again, must not delay a cancel or a stop:
each class has its own number of requests under way (`UNDER_WAY`), and a question that waits already is
not asked a second time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeAlias

from polystra.domain.errors import VenueError
from polystra.domain.events import HoldingsRead, MarketsListed, TokenBalanceRead
from polystra.domain.ids import OrderId
from polystra.engine import effects as fx
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.rate import Traffic
from polystra.ports.venue import HoldingsSource, MarketDiscovery, Submission, TokenStream, TradingVenue
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log
from polystra.runtime.send_queue import SendQueue
from polystra.runtime.tenure import TenureKeeper

_SHORTEST_WAIT_S: Final = 0.001


class Urgency(IntEnum):
    """The classes of requests, the most urgent first."""

    CANCEL = 0
    EXIT = 1
    LOOKUP = 2
    ENTRY = 3
    READ = 4


UNDER_WAY: Final[Mapping[Urgency, int]] = {
    Urgency.CANCEL: 8,
    Urgency.EXIT: 32,
    Urgency.LOOKUP: 6,
    Urgency.ENTRY: 8,
    Urgency.READ: 4,
}
"""Most requests of a class that are under way at once (waiting to be sent again included)."""

_TRAFFIC: Final = {
    Urgency.CANCEL: Traffic.CANCEL,
    Urgency.EXIT: Traffic.EXIT,
    Urgency.ENTRY: Traffic.ENTRY,
}
_TASK_NAMES: Final = {urgency: f"outbox {urgency.name.lower()}" for urgency in Urgency}
_LOOKUP, _READ = Urgency.LOOKUP, Urgency.READ
_Job: TypeAlias = Callable[[], Awaitable[None]]
_Question: TypeAlias = (
    fx.LookupOrder
    | fx.ReadAccount
    | fx.ReadTokenBalance
    | fx.ReadHoldings
    | fx.ReadBook
    | fx.ReadResolution
    | fx.MeasureClock
    | fx.ReadNotices
    | fx.DiscoverMarket
)


class Outbox:
    """See the module docstring."""

    def __init__(
        self,
        *,
        venue: TradingVenue,
        discovery: MarketDiscovery,
        market_stream: TokenStream,
        clock: Clock,
        inbox: Inbox,
        log: Log,
        holdings: HoldingsSource | None = None,
        keeper: TenureKeeper | None = None,
    ) -> None:
        self._venue = venue
        self._discovery = discovery
        self._holdings = holdings
        self._keeper = keeper
        self._market_stream = market_stream
        self._clock = clock
        self._inbox = inbox
        self._log = log
        self._sends = SendQueue(venue.budget)
        self._questions: dict[Urgency, deque[_Job]] = {_LOOKUP: deque(), _READ: deque()}
        self._asked: dict[tuple[object, ...], _Question] = {}
        self._under_way = dict.fromkeys(Urgency, 0)
        self._news = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        """Of the requests under way, while this runs."""
        self.requests = 0

    def __len__(self) -> int:
        return len(self._sends) + sum(len(jobs) for jobs in self._questions.values())

    def release(self, effects: Sequence[fx.Effect]) -> None:
        """Take the effects of one commit; called only after it is durable.

        Most batches hold market data and ask for nothing: while nothing waits to be sent, those wake nobody.
        """
        if not effects and not len(self._sends):
            return
        submits: list[fx.SubmitOrder] = []
        cancels: list[fx.CancelOrder] = []
        for effect in effects:
            if isinstance(effect, fx.SubmitOrder):
                submits.append(effect)
            elif isinstance(effect, fx.CancelOrder):
                cancels.append(effect)
            elif isinstance(effect, fx.HoldEntries):
                for ended in self._sends.hold_entries(effect.reason):
                    self._inbox.put(ended)
                self._venue.withdraw(effect.order_ids)
            else:
                self._release_question(effect)
        for ended in self._sends.add(submits, cancels):
            self._inbox.put(ended)
        self._begin()
        self._news.set()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                while True:
                    self._news.clear()
                    self._begin()
                    await self._wait_for_news()
            finally:
                self._group = None

    # --- inside -----------------------------------------------------------------------

    def _begin(self) -> None:
        """Start what may leave now; at once on release, so that an order waits for no other task's turn."""
        if self._group is None:
            return
        for ended in self._sends.drop_stale(self._clock.now_ns()):
            self._inbox.put(ended)
        while (found := self._next_job()) is not None:
            urgency, job = found
            self._under_way[urgency] += 1
            self.requests += 1
            self._group.create_task(self._carry_out(urgency, job), name=_TASK_NAMES[urgency])

    async def _carry_out(self, urgency: Urgency, job: _Job) -> None:
        await job()
        self._under_way[urgency] -= 1
        self._news.set()

    def _has_place(self, urgency: Urgency) -> bool:
        return self._under_way[urgency] < UNDER_WAY[urgency]

    def _next_job(self) -> tuple[Urgency, _Job] | None:
        """The most urgent request that may leave now."""
        for urgency in Urgency:
            if self._has_place(urgency):
                job = self._job(urgency)
                if job is not None:
                    return urgency, job
        return None

    def _job(self, urgency: Urgency) -> _Job | None:
        match urgency:
            case Urgency.CANCEL:
                cancels = self._sends.next_cancels()
                return self._cancel(cancels) if cancels else None
            case Urgency.EXIT:
                exits = self._sends.next_exits()
                return self._submit(exits, Traffic.EXIT) if exits else None
            case Urgency.ENTRY:
                entries = self._sends.next_entries()
                return self._submit(entries, Traffic.ENTRY) if entries else None
            case _:
                jobs = self._questions[urgency]
                return jobs.popleft() if jobs else None

    async def _wait_for_news(self) -> None:
        """Sleep until something is released or answered, or until what waits may leave or becomes stale."""
        now_ns = self._clock.now_ns()
        waits = [self._sends.wait_s(traffic, now_ns) for each, traffic in _TRAFFIC.items() if self._has_place(each)]
        due = [wait_s for wait_s in waits if wait_s is not None]
        if not due:
            await self._news.wait()
            return
        try:
            async with self._clock.timeout(max(_SHORTEST_WAIT_S, min(due))):
                await self._news.wait()
        except TimeoutError:
            return

    def _add(self, urgency: Urgency, job: _Job) -> None:
        self._questions[urgency].append(job)
        self._news.set()

    def _release_question(self, effect: fx.Effect) -> None:
        match effect:
            case fx.LookupOrder():
                self._ask(_LOOKUP, ("order", effect.order_id), effect)
            case fx.ReadAccount():
                self._ask(_READ, ("account",), effect)
            case fx.ReadTokenBalance():
                self._ask(_READ, ("token balance", effect.token_id), effect)
            case fx.ReadHoldings():
                self._ask(_READ, ("holdings",), effect)
            case fx.ReadBook():
                self._ask(_LOOKUP, ("book", effect.token_id), effect)
            case fx.ReadResolution():
                self._ask(_READ, ("resolution", effect.condition_id), effect)
            case fx.DiscoverMarket():
                self._ask(_READ, ("market", effect.symbol, effect.window_s, effect.opens_at_s), effect)
            case _:
                self._release_rare(effect)

    def _release_rare(self, effect: fx.Effect) -> None:
        match effect:
            case fx.MeasureClock():
                self._ask(_READ, ("clock",), effect)
            case fx.ReadNotices():
                self._ask(_READ, ("notices",), effect)
            case fx.DismissNotices():
                self._add(_READ, self._dismiss(effect))
            case fx.WatchTokens():
                self._market_stream.subscribe(effect.token_ids)
            case fx.UnwatchTokens():
                self._market_stream.unsubscribe(effect.token_ids)
            case _:
                return

    def _ask(self, urgency: Urgency, key: tuple[object, ...], question: _Question) -> None:
        """Ask once: a question that waits already is asked as it was put last."""
        if key not in self._asked:
            self._add(urgency, self._question(key))
        self._asked[key] = question

    def _question(self, key: tuple[object, ...]) -> _Job:
        async def job() -> None:
            question = self._asked.pop(key)
            match question:
                case fx.LookupOrder():
                    await self._lookup(question)
                case fx.ReadAccount():
                    await self._account(question)
                case fx.ReadTokenBalance():
                    await self._token_balance(question)
                case fx.ReadHoldings():
                    await self._read_holdings()
                case _:
                    await self._read(str(key[0]), question)

        return job

    def _dismiss(self, effect: fx.DismissNotices) -> _Job:
        async def job() -> None:
            try:
                await self._venue.dismiss(effect.notice_ids)
            except VenueError as error:
                self._log.warning(LogEvent.QUESTION_FAILED, question="notices read", error=str(error))

        return job

    def _submit(self, effects: Sequence[fx.SubmitOrder], traffic: Traffic) -> _Job:
        async def job() -> None:
            if self._keeper is not None and not self._keeper.is_current:
                await self._keeper.confirm()
            orders = [
                Submission(signed=effect.signed, deadline_ns=effect.deadline_ns, traffic=traffic) for effect in effects
            ]
            await self._venue.submit(orders, self._inbox.put)

        return job

    def _cancel(self, order_ids: Sequence[OrderId]) -> _Job:
        async def job() -> None:
            for outcome in await self._venue.cancel(order_ids):
                self._inbox.put(outcome)

        return job

    async def _lookup(self, effect: fx.LookupOrder) -> None:
        self._inbox.put(await self._venue.lookup(effect.order_id, effect.condition_id, effect.since_ns))

    async def _account(self, effect: fx.ReadAccount) -> None:
        self._inbox.put(
            await self._venue.account(since_ns=effect.since_ns, tokens=effect.tokens, refresh=effect.refresh)
        )

    async def _read_holdings(self) -> None:
        now_ns = self._clock.now_ns()
        read = HoldingsRead(asked_at_ns=now_ns, at_ns=now_ns, complete=False, detail="there is no second source")
        if self._holdings is not None:
            read = await self._holdings.holdings()
            if not read.complete:
                self._log.warning(LogEvent.QUESTION_FAILED, question="holdings", error=read.detail)
        self._inbox.put(read)

    async def _token_balance(self, effect: fx.ReadTokenBalance) -> None:
        shares: int | None = None
        try:
            shares = await self._venue.token_balance(effect.token_id)
        except VenueError as error:
            self._log.warning(LogEvent.QUESTION_FAILED, question="token balance", error=str(error))
        self._inbox.put(TokenBalanceRead(token_id=effect.token_id, shares=shares, at_ns=self._clock.now_ns()))

    async def _read(
        self,
        name: str,
        question: fx.ReadBook | fx.ReadResolution | fx.MeasureClock | fx.ReadNotices | fx.DiscoverMarket,
    ) -> None:
        """Ask; a failure is told in the log only."""
        try:
            match question:
                case fx.ReadBook():
                    self._inbox.put(await self._venue.book(question.token_id))
                case fx.ReadResolution():
                    await self._resolution(question)
                case fx.MeasureClock():
                    self._inbox.put(await self._venue.measure_clock())
                case fx.ReadNotices():
                    self._inbox.put(await self._venue.notices())
                case fx.DiscoverMarket():
                    await self._discover(question)
        except VenueError as error:
            self._log.warning(LogEvent.QUESTION_FAILED, question=name, error=str(error))

    async def _resolution(self, effect: fx.ReadResolution) -> None:
        verdict = await self._venue.resolution(effect.condition_id)
        if verdict is not None:
            self._inbox.put(verdict)

    async def _discover(self, effect: fx.DiscoverMarket) -> None:
        market = await self._discovery.find(effect.symbol, effect.window_s, effect.opens_at_s)
        if market is not None:
            self._inbox.put(MarketsListed(markets=(market,)))
