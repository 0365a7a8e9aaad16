"""The venue of paper mode: public questions go to the real one, orders to a simulated account on its live books.

What lives here: the agenda of `matching.paper_venue` on a clock, and the way its answers find whoever asked. What must
not: matching, sockets, anything that is signed. Nothing of ours ever leaves: this class has no way to send an order.

`run` is the account's own stream (`ports.venue.EventStream`): what happens to orders and fills is told there.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final, Protocol, TypeVar

from polystra.domain import events as ev
from polystra.domain.fills import FillReport
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import OrderTerms, SignedOrder
from polystra.domain.units import NS_PER_MS, NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.matching.paper_account import PaperAccount
from polystra.matching.paper_venue import PaperRules, PaperVenue
from polystra.ports.clock import Clock
from polystra.ports.rate import RateBudget
from polystra.ports.venue import OutcomeSink, Sink, SpendableBalance, Submission

T = TypeVar("T")
_TERMS_KEPT: Final = 10_000
"""Signed orders whose terms are remembered: the newest."""


class PublicVenue(Protocol):
    """What anybody may ask of the venue; each raises `VenueError` when there is no answer."""

    async def book(self, token_id: TokenId) -> ev.BookSnapshot:
        """The book of one token."""
        ...

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        ...

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        ...

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        ...

    async def resolution(self, condition_id: ConditionId) -> ev.MarketResolved | None:
        """The verdict, None while there is none."""
        ...

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds)."""
        ...

    async def measure_clock(self) -> ev.ClockDriftMeasured:
        """Compare our clock with the venue's."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class PaperTradingVenue:
    """Fulfils `ports.venue.TradingVenue`, `HoldingsSource` and, with `run`, `EventStream`."""

    def __init__(self, *, rules: PaperRules, public: PublicVenue, budget: RateBudget, clock: Clock) -> None:
        self.budget: Final = budget
        self._public: Final = public
        self._clock: Final = clock
        self._venue: Final = PaperVenue(rules, self, run=f"{clock.now_ns() // NS_PER_MS}-")
        self._heap: list[tuple[Nanos, int, Callable[[Nanos], None]]] = []
        self._asked = 0
        self._due = asyncio.Event()
        self._waiting: dict[Hashable, deque[asyncio.Future[ev.WorldEvent]]] = {}
        self._terms: OrderedDict[OrderId, OrderTerms] = OrderedDict()
        self._sink: Sink | None = None
        self._untold: list[ev.WorldEvent] = []
        """What happened before anybody listened."""

    # --- before the first order -----------------------------------------------------------

    def resume(self, account: PaperAccount, markets: Iterable[Market]) -> None:
        """Go on with the account of an earlier run."""
        self._venue.listed(markets)
        self._venue.resume(account, self._clock.now_ns())

    # --- what the streams show ------------------------------------------------------------

    def listed(self, market: Market) -> None:
        """A market was found."""
        self._venue.listed((market,))

    def saw(self, event: ev.WorldEvent) -> None:
        """A word of the market stream, or a book that was read."""
        now_ns = self._clock.now_ns()
        match event:
            case ev.BookChanged():
                self._venue.changed(event, now_ns)
            case ev.BookSnapshot():
                self._venue.snapshot(event, now_ns)
            case ev.PublicTrade():
                self._venue.traded(event, now_ns)
            case _:
                return

    def expect(self, signed: SignedOrder, terms: OrderTerms) -> None:
        """The terms of an order that may be sent: its bytes say nothing here."""
        self._terms[signed.order_id] = terms
        while len(self._terms) > _TERMS_KEPT:
            self._terms.popitem(last=False)

    # --- the agenda of the simulated account ------------------------------------------------

    def at(self, due_ns: Nanos, call: Callable[[Nanos], None]) -> None:
        """Call back at that time."""
        self._asked += 1
        heapq.heappush(self._heap, (due_ns, self._asked, call))
        self._due.set()

    def tell(self, event: ev.WorldEvent) -> None:
        """An answer goes to whoever waits for it, everything else is the account's own news."""
        waiting = self._waiting.get(_key_of(event))
        if waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(event)
        elif self._sink is None:
            self._untold.append(event)
        else:
            self._sink(event)

    async def run(self, sink: Sink) -> None:
        """Let things happen when they are due, and tell of them; ends only by cancellation."""
        self._sink = sink
        sink(ev.StreamConnected(stream=ev.StreamName.USER))
        untold, self._untold = self._untold, []
        for event in untold:
            sink(event)
        while True:
            self._due.clear()
            now_ns = self._clock.now_ns()
            while self._heap and self._heap[0][0] <= now_ns:
                _, _, call = heapq.heappop(self._heap)
                call(now_ns)
            await self._wait()

    async def _wait(self) -> None:
        if not self._heap:
            await self._due.wait()
            return
        wait_ns = max(0, self._heap[0][0] - self._clock.now_ns())
        try:
            async with self._clock.timeout(wait_ns / NS_PER_S):
                await self._due.wait()
        except TimeoutError:
            return

    # --- commands -------------------------------------------------------------------------

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[ev.SubmitOutcome]:
        """Hand orders to the simulated account; one outcome each."""

        async def one(order: Submission) -> ev.SubmitOutcome:
            outcome = await self._submit(order)
            if told is not None:
                told(outcome)
            return outcome

        return await _all([one(order) for order in orders])

    async def _submit(self, order: Submission) -> ev.SubmitOutcome:
        signed = order.signed
        terms = self._terms.get(signed.order_id)
        if terms is None:
            text = "the simulated account does not know this order's terms"
            return ev.SubmitRefused(order_id=signed.order_id, message=text)
        answer = self._expecting(("submit", signed.order_id))
        self._venue.submit(signed, terms, order.deadline_ns, self._clock.now_ns())
        outcome = await answer
        assert isinstance(outcome, ev.SubmitAccepted | ev.SubmitRefused | ev.SubmitUnknown)
        return outcome

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[ev.CancelOutcome]:
        """Cancel orders by id, one outcome each."""

        async def one(order_id: OrderId) -> ev.CancelOutcome:
            answer = self._expecting(("cancel", order_id))
            self._venue.cancel(order_id, self._clock.now_ns())
            outcome = await answer
            assert isinstance(outcome, ev.CancelAccepted | ev.CancelRefused)
            return outcome

        return await _all([one(order_id) for order_id in order_ids])

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        """Nothing waits to be sent again here."""

    # --- questions about the account --------------------------------------------------------

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos) -> ev.OrderLookedUp:
        """What became of one order."""
        answer = self._expecting(("lookup", order_id))
        self._venue.lookup(order_id, condition_id, since_ns, self._clock.now_ns())
        found = await answer
        assert isinstance(found, ev.OrderLookedUp)
        return found

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> ev.AccountSnapshot:
        """Orders, fills and balances of the simulated account."""
        del refresh
        answer = self._expecting(("account",))
        self._venue.account(since_ns, tokens, self._clock.now_ns())
        found = await answer
        assert isinstance(found, ev.AccountSnapshot)
        return found

    async def cash(self) -> MicroDollars:
        """Settled dollars."""
        return self._venue.cash

    async def token_balance(self, token_id: TokenId) -> MicroShares:
        """Settled shares of a token."""
        answer = self._expecting(("balance", token_id))
        self._venue.token_balance(token_id, self._clock.now_ns())
        found = await answer
        assert isinstance(found, ev.TokenBalanceRead)
        return found.shares or 0

    async def holdings(self) -> ev.HoldingsRead:
        """Every token held."""
        answer = self._expecting(("holdings",))
        self._venue.holdings(self._clock.now_ns())
        found = await answer
        assert isinstance(found, ev.HoldingsRead)
        return found

    async def order(self, order_id: OrderId) -> ev.OrderReport | None:
        """One order, None when it is not open."""
        return next((each for each in await self.open_orders() if each.order_id == order_id), None)

    async def open_orders(self) -> Sequence[ev.OrderReport]:
        """Every open order."""
        return (await self.account(since_ns=self._clock.now_ns(), tokens=())).open_orders

    async def trades(self, since_ns: Nanos) -> Sequence[FillReport]:
        """Our trades since then, in markets that are not paid out yet."""
        return (await self.account(since_ns=since_ns, tokens=())).fills

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        """Balance of the collateral or of a token; no contract limits it."""
        del refresh
        return SpendableBalance(balance=self._venue.cash if token_id is None else self._venue.tokens.get(token_id, 0))

    async def notices(self) -> ev.NoticesRead:
        """Nobody writes to a simulated account."""
        return ev.NoticesRead(notices=())

    async def dismiss(self, ids: Iterable[int]) -> None:
        """There is nothing to dismiss."""

    @asynccontextmanager
    async def own_heartbeat(self, rng: Random, session: object) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """A heart whose beats are always accepted: nothing can be cancelled by their absence here."""
        del rng, session

        async def beat() -> bool:
            return False

        yield beat

    # --- public questions -----------------------------------------------------------------------

    async def book(self, token_id: TokenId) -> ev.BookSnapshot:
        """The venue's book, which is that of the simulated account too."""
        snapshot = await self._public.book(token_id)
        self.saw(snapshot)
        return snapshot

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        return await self._public.midpoint(token_id)

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        return await self._public.spread(token_id)

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        return await self._public.tick_size(token_id)

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds)."""
        return await self._public.server_time_ns()

    async def measure_clock(self) -> ev.ClockDriftMeasured:
        """Compare our clock with the venue's."""
        return await self._public.measure_clock()

    async def resolution(self, condition_id: ConditionId) -> ev.MarketResolved | None:
        """The venue's verdict; winners of the simulated account are paid by it."""
        verdict = await self._public.resolution(condition_id)
        if verdict is not None:
            self._venue.resolved(verdict, self._clock.now_ns())
        return verdict

    async def close(self) -> None:
        """Release the connections."""
        await self._public.close()

    # --- inside -----------------------------------------------------------------------

    def _expecting(self, key: Hashable) -> asyncio.Future[ev.WorldEvent]:
        """The next answer to this question; answers come in the order of the questions."""
        future: asyncio.Future[ev.WorldEvent] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(future)
        future.add_done_callback(lambda _: self._forget(key))
        return future

    def _forget(self, key: Hashable) -> None:
        if not self._waiting.get(key):
            self._waiting.pop(key, None)


def _key_of(event: ev.WorldEvent) -> Hashable:
    """Which question an event answers; None: none."""
    match event:
        case ev.SubmitAccepted() | ev.SubmitRefused() | ev.SubmitUnknown():
            return ("submit", event.order_id)
        case ev.CancelAccepted() | ev.CancelRefused():
            return ("cancel", event.order_id)
        case ev.OrderLookedUp():
            return ("lookup", event.order_id)
        case ev.AccountSnapshot():
            return ("account",)
        case ev.TokenBalanceRead():
            return ("balance", event.token_id)
        case ev.HoldingsRead():
            return ("holdings",)
        case _:
            return None


async def _all(awaited: Sequence[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*awaited))
