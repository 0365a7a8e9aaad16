"""The outbox: the one way out. Effects of committed turns, carried out by a few workers.

Order of service: cancels, exits, look-ups, entries, everything else; within a class first
come, first served. Submits that were released together travel together, up to 15 in one
request. Every answer goes back through the inbox. A question that fails is not an answer:
the engine's timers ask again.

While entries are held (the kill switch) none is sent, whenever it was released.

A venue that answers slowly must not delay a cancel or a stop: some workers serve only the urgent
classes (`LANES`), and a question that waits already is not asked a second time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from polystra.domain.errors import VenueError
from polystra.domain.events import HoldingsRead, MarketsListed, SubmitRefused, TokenBalanceRead
from polystra.engine import effects as fx
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.venue import HoldingsSource, MarketDiscovery, TokenStream, TradingVenue
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log

BATCH_LIMIT: Final = 15
"""Most orders in one request (Polymarket CLOB docs, POST /orders)."""

_CANCEL, _EXIT, _LOOKUP, _ENTRY, _READ = range(5)
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

LANES: Final = (_EXIT, _EXIT, _LOOKUP, _LOOKUP, _READ, _READ, _READ, _READ)
"""One worker each, by the least urgent class that it serves."""


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
    ) -> None:
        self._venue = venue
        self._discovery = discovery
        self._holdings = holdings
        self._market_stream = market_stream
        self._clock = clock
        self._inbox = inbox
        self._log = log
        self._jobs: list[tuple[int, int, _Job]] = []
        self._asked: dict[tuple[object, ...], _Question] = {}
        self._sequence = 0
        self._held = ""
        """Why no entry is sent; empty when they are."""
        self._filled = asyncio.Event()
        self.requests = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def release(self, effects: Sequence[fx.Effect]) -> None:
        """Take the effects of one commit; called only after it is durable."""
        submits: dict[int, list[fx.SubmitOrder]] = {}
        cancels: list[fx.CancelOrder] = []
        for effect in effects:
            if isinstance(effect, fx.SubmitOrder):
                submits.setdefault(_EXIT if effect.purpose.is_exit else _ENTRY, []).append(effect)
            elif isinstance(effect, fx.CancelOrder):
                cancels.append(effect)
            elif isinstance(effect, fx.HoldEntries):
                self._held = effect.reason
            else:
                self._release_question(effect)
        for priority, orders in submits.items():
            for start in range(0, len(orders), BATCH_LIMIT):
                self._add(priority, self._submit(orders[start : start + BATCH_LIMIT]))
        if cancels:
            self._add(_CANCEL, self._cancel(cancels))

    async def run(self, lane: int = _READ) -> None:
        """Work for ever; several workers may run. `lane` is the least urgent class that this one serves."""
        while True:
            while not self._jobs or self._jobs[0][0] > lane:
                self._filled.clear()
                await self._filled.wait()
            job = heapq.heappop(self._jobs)[2]
            self.requests += 1
            await job()

    # --- inside -----------------------------------------------------------------------

    def _add(self, priority: int, job: _Job) -> None:
        self._sequence += 1
        heapq.heappush(self._jobs, (priority, self._sequence, job))
        self._filled.set()

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

    def _ask(self, priority: int, key: tuple[object, ...], question: _Question) -> None:
        """Ask once: a question that waits already is asked as it was put last."""
        if key not in self._asked:
            self._add(priority, self._question(key))
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

    def _submit(self, orders: Sequence[fx.SubmitOrder]) -> _Job:
        async def job() -> None:
            sendable = [order for order in orders if not self._is_held(order)]
            if not sendable:
                return
            for outcome in await self._venue.submit([order.signed for order in sendable]):
                self._inbox.put(outcome)

        return job

    def _is_held(self, order: fx.SubmitOrder) -> bool:
        """True for an entry while entries are held: it never leaves, and the engine is told so."""
        if not self._held or order.purpose.is_exit:
            return False
        self._inbox.put(SubmitRefused(order_id=order.signed.order_id, message=f"not sent: {self._held}"))
        return True

    def _cancel(self, cancels: Sequence[fx.CancelOrder]) -> _Job:
        async def job() -> None:
            for outcome in await self._venue.cancel([cancel.order_id for cancel in cancels]):
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
