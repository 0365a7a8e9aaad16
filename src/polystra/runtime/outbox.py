"""The outbox: the one way out. Effects of committed turns, carried out by a few workers.

Order of service: cancels, exits, look-ups, entries, everything else; within a class first
come, first served. Submits that were released together travel together, up to 15 in one
request. Every answer goes back through the inbox. A question that fails is not an answer:
the engine's timers ask again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from polystra.domain.errors import VenueError
from polystra.domain.events import MarketsListed, TokenBalanceRead
from polystra.engine import effects as fx
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.venue import MarketDiscovery, TokenStream, TradingVenue
from polystra.runtime.inbox import Inbox
from polystra.runtime.log import Log

BATCH_LIMIT: Final = 15
"""Most orders in one request (Polymarket CLOB docs, POST /orders)."""

_CANCEL, _EXIT, _LOOKUP, _ENTRY, _READ = range(5)
_Job: TypeAlias = Callable[[], Awaitable[None]]


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
    ) -> None:
        self._venue = venue
        self._discovery = discovery
        self._market_stream = market_stream
        self._clock = clock
        self._inbox = inbox
        self._log = log
        self._jobs: list[tuple[int, int, _Job]] = []
        self._sequence = 0
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
            else:
                self._release_question(effect)
        for priority, orders in submits.items():
            for start in range(0, len(orders), BATCH_LIMIT):
                self._add(priority, self._submit(orders[start : start + BATCH_LIMIT]))
        if cancels:
            self._add(_CANCEL, self._cancel(cancels))

    async def run(self) -> None:
        """Work for ever; several workers may run."""
        while True:
            while not self._jobs:
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
                self._add(_LOOKUP, self._lookup(effect))
            case fx.ReadAccount():
                self._add(_READ, self._account(effect))
            case fx.ReadTokenBalance():
                self._add(_READ, self._token_balance(effect))
            case fx.ReadBook():
                self._add(_LOOKUP, self._asked("book", lambda: self._book(effect)))
            case fx.ReadResolution():
                self._add(_READ, self._asked("resolution", lambda: self._resolution(effect)))
            case fx.DiscoverMarket():
                self._add(_READ, self._asked("market", lambda: self._discover(effect)))
            case fx.WatchTokens():
                self._market_stream.subscribe(effect.token_ids)
            case fx.UnwatchTokens():
                self._market_stream.unsubscribe(effect.token_ids)
            case _:
                return

    def _submit(self, orders: Sequence[fx.SubmitOrder]) -> _Job:
        async def job() -> None:
            for outcome in await self._venue.submit([order.signed for order in orders]):
                self._inbox.put(outcome)

        return job

    def _cancel(self, cancels: Sequence[fx.CancelOrder]) -> _Job:
        async def job() -> None:
            for outcome in await self._venue.cancel([cancel.order_id for cancel in cancels]):
                self._inbox.put(outcome)

        return job

    def _lookup(self, effect: fx.LookupOrder) -> _Job:
        async def job() -> None:
            self._inbox.put(await self._venue.lookup(effect.order_id, effect.condition_id, effect.since_ns))

        return job

    def _account(self, effect: fx.ReadAccount) -> _Job:
        async def job() -> None:
            self._inbox.put(await self._venue.account(since_ns=effect.since_ns, tokens=effect.tokens))

        return job

    def _token_balance(self, effect: fx.ReadTokenBalance) -> _Job:
        async def job() -> None:
            try:
                shares = await self._venue.token_balance(effect.token_id)
            except VenueError as error:
                self._log.warning(LogEvent.QUESTION_FAILED, question="token balance", error=str(error))
                self._inbox.put(TokenBalanceRead(token_id=effect.token_id, shares=None, at_ns=self._clock.now_ns()))
                return
            self._inbox.put(TokenBalanceRead(token_id=effect.token_id, shares=shares, at_ns=self._clock.now_ns()))

        return job

    def _asked(self, question: str, ask: Callable[[], Awaitable[None]]) -> _Job:
        async def job() -> None:
            try:
                await ask()
            except VenueError as error:
                self._log.warning(LogEvent.QUESTION_FAILED, question=question, error=str(error))

        return job

    async def _book(self, effect: fx.ReadBook) -> None:
        self._inbox.put(await self._venue.book(effect.token_id))

    async def _resolution(self, effect: fx.ReadResolution) -> None:
        verdict = await self._venue.resolution(effect.condition_id)
        if verdict is not None:
            self._inbox.put(verdict)

    async def _discover(self, effect: fx.DiscoverMarket) -> None:
        market = await self._discovery.find(effect.symbol, effect.window_s, effect.opens_at_s)
        if market is not None:
            self._inbox.put(MarketsListed(markets=(market,)))
