"""The order desk: what a person, a tool or an interface calls to trade and to ask.

What lives here: requests put into the inbox and the wait for what became of them, and questions
passed to the venue. What must not: any decision about an order, or a second way to send one: a
request travels `Engine.step`, journal, outbox like everything else, and the desk only listens to
committed facts.

A call that runs out of patience returns the order as it stands (PENDING while its fate is unknown);
the order itself goes on, and `order` shows it later. No call raises for a refusal: the view says it.
Prices are micro-dollars a share, sizes micro-shares, money micro-dollars.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from polystra.domain.events import CancelRequested, CancelScope, OrderReport, OrderRequested
from polystra.domain.facts import (
    Fact,
    FillRecorded,
    IntentDenied,
    IntentRecorded,
    OrderChanged,
    RequestAnswered,
)
from polystra.domain.fills import FillReport
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, TokenId
from polystra.domain.liquidity import Liquidity, liquidity_for
from polystra.domain.order_words import FieldStatus
from polystra.domain.orders import OrderStatus, Side, TimeInForce
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.engine.order_view import OrderView, view_of
from polystra.engine.request_shape import answerable
from polystra.engine.state import EngineState, OrderTrack
from polystra.ports.clock import Clock
from polystra.ports.venue import SpendableBalance, VenueQuestions
from polystra.runtime.inbox import Inbox

PATIENCE_S: Final = 30.0
"""How long a call waits for the fate of its orders."""

_IsDone = Callable[[OrderTrack], bool]


@dataclass(slots=True)
class _Wait:
    """One request under way, and how many wait for it."""

    request_id: str
    answered: RequestAnswered | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


class OrderDesk:
    """See the module docstring. All calls belong to the event loop that runs the engine."""

    def __init__(
        self,
        *,
        state: EngineState,
        inbox: Inbox,
        venue: VenueQuestions,
        clock: Clock,
        source: str = "operator",
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._state = state
        self._inbox = inbox
        self._venue = venue
        self._clock = clock
        self._source = source
        self._patience_s = patience_s
        self._waits: dict[str, _Wait] = {}
        self._number = 0

    # --- placing ----------------------------------------------------------------------

    async def place(self, order: OrderRequested) -> OrderView:
        """Place one order; returns when it rests, is over, or was refused.

        An empty `request_id` is filled in; told twice, an id makes one order.
        """
        return (await self.place_batch((order,)))[0]

    async def place_batch(self, orders: Iterable[OrderRequested]) -> tuple[OrderView, ...]:
        """Place any number of orders at the same moment; a refused one leaves the others standing.

        They are committed together and leave together, 15 in a request.
        """
        wanted = [replace(order, request_id=order.request_id or self._next_id()) for order in orders]
        waits = [self._wait_for(answerable(order).request_id) for order in wanted]
        for order in wanted:
            self._inbox.put(order)
        await self._patiently(waits, _is_placed)
        return tuple(self._view(wait) for wait in waits)

    async def buy_for_dollars(
        self,
        token_id: TokenId,
        dollars: MicroDollars,
        worst_price: MicroPrice,
        *,
        time_in_force: TimeInForce = TimeInForce.FAK,
    ) -> OrderView:
        """Market buy: spend up to `dollars` at `worst_price` or better, FAK or FOK."""
        return await self.place(
            OrderRequested(
                request_id="",
                token_id=token_id,
                side=Side.BUY,
                price=worst_price,
                budget=dollars,
                time_in_force=time_in_force,
                source=self._source,
            )
        )

    async def sell_shares(
        self,
        token_id: TokenId,
        shares: MicroShares,
        worst_price: MicroPrice,
        *,
        time_in_force: TimeInForce = TimeInForce.FAK,
    ) -> OrderView:
        """Market sell: give up to `shares` at `worst_price` or better, FAK or FOK."""
        return await self.limit(Side.SELL, token_id, worst_price, shares, time_in_force=time_in_force)

    async def limit(
        self,
        side: Side,
        token_id: TokenId,
        price: MicroPrice,
        shares: MicroShares,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        life_s: int = 0,
    ) -> OrderView:
        """Limit order by shares; a GTD one lives `life_s` seconds (120 at least) by the venue's clock."""
        return await self.place(
            OrderRequested(
                request_id="",
                token_id=token_id,
                side=side,
                price=price,
                quantity=shares,
                time_in_force=time_in_force,
                post_only=post_only,
                life_s=life_s,
                source=self._source,
            )
        )

    # --- cancelling -------------------------------------------------------------------

    async def cancel(self, *orders: ClientOrderId | OrderId | str) -> tuple[OrderView, ...]:
        """Cancel orders by our ids or the venue's; returns when each is over, with what it traded."""
        wait = self._ask_cancel(CancelScope.ORDERS, orders=tuple(str(order) for order in orders))
        return await self._cancelled(wait)

    async def cancel_market(self, condition_id: ConditionId) -> tuple[OrderView, ...]:
        """Cancel every live order of one market."""
        return await self._cancelled(self._ask_cancel(CancelScope.MARKET, condition_id=condition_id))

    async def cancel_all(self) -> tuple[OrderView, ...]:
        """Cancel every live order of ours."""
        return await self._cancelled(self._ask_cancel(CancelScope.ALL))

    # --- our own orders ---------------------------------------------------------------

    def order(self, name: str) -> OrderView | None:
        """One of our orders by our id, the venue's or its request's; None when it is not known (any more)."""
        state = self._state
        named = state.requests.get(name, ClientOrderId(name))
        track = state.orders.get(named) or state.track_of(OrderId(name))
        return None if track is None else view_of(state, track)

    def live_orders(self) -> tuple[OrderView, ...]:
        """Our orders that may still trade, oldest first."""
        return tuple(view_of(self._state, track) for track in self._state.live_orders())

    # --- questions to the venue -------------------------------------------------------

    async def venue_order(self, order_id: OrderId) -> OrderReport | None:
        """What the venue says of one order, None when it is not open; raises VenueError."""
        return await self._venue.order(order_id)

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order of the account that is open at the venue; raises VenueError."""
        return await self._venue.open_orders()

    async def trades(self, since_ns: Nanos) -> Sequence[FillReport]:
        """The account's trades since then; raises VenueError."""
        return await self._venue.trades(since_ns)

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        """Balance and allowances of the collateral or a token; raises VenueError."""
        return await self._venue.spendable(token_id, refresh=refresh)

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best prices; raises VenueError."""
        return await self._venue.midpoint(token_id)

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid; raises VenueError."""
        return await self._venue.spread(token_id)

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force; raises VenueError."""
        return await self._venue.tick_size(token_id)

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds); raises VenueError."""
        return await self._venue.server_time_ns()

    async def liquidity(
        self, token_id: TokenId, side: Side, shares: MicroShares, *, threshold: MicroPrice | None = None
    ) -> Liquidity:
        """What a size would trade at now: from the local book when it is in sync, else asked of the venue.

        Levels further than `threshold` from the best one are left alone; raises VenueError.
        """
        book = self._state.book(token_id)
        if book is not None and book.in_sync:
            levels = book.asks if side is Side.BUY else book.bids
            return liquidity_for(side, levels.items(), shares, threshold=threshold)
        snapshot = await self._venue.book(token_id)
        return liquidity_for(side, snapshot.asks if side is Side.BUY else snapshot.bids, shares, threshold=threshold)

    # --- listening --------------------------------------------------------------------

    def heard(self, facts: Iterable[Fact]) -> None:
        """Take committed facts; called by the engine's loop after every commit."""
        if not self._waits:
            return
        moved = False
        for fact in facts:
            if isinstance(fact, RequestAnswered):
                wait = self._waits.get(fact.request_id)
                if wait is not None:
                    wait.answered = fact
                moved = True
            elif isinstance(fact, OrderChanged | FillRecorded | IntentRecorded | IntentDenied):
                moved = True
        if moved:
            for wait in self._waits.values():
                wait.changed.set()

    # --- inside -----------------------------------------------------------------------

    def _next_id(self) -> str:
        """Unique over restarts: no two runs share an instant."""
        self._number += 1
        return f"desk-{self._clock.now_ns()}-{self._number}"

    def _wait_for(self, request_id: str) -> _Wait:
        """A request that is told twice at once is one: both wait for the same answer."""
        wait = self._waits.setdefault(request_id, _Wait(request_id))
        wait.waiting += 1
        return wait

    def _ask_cancel(
        self, scope: CancelScope, *, orders: tuple[str, ...] = (), condition_id: ConditionId | None = None
    ) -> _Wait:
        wait = self._wait_for(self._next_id())
        self._inbox.put(
            CancelRequested(
                request_id=wait.request_id,
                scope=scope,
                orders=orders,
                condition_id=condition_id,
                source=self._source,
            )
        )
        return wait

    async def _cancelled(self, wait: _Wait) -> tuple[OrderView, ...]:
        await self._patiently((wait,), lambda track: not track.is_live)
        answer = wait.answered
        if answer is None:
            return ()
        views = tuple(
            view_of(self._state, track, request_id=wait.request_id)
            for track in self._tracks(answer)
            if track is not None
        )
        if not answer.refusal:
            return views
        return (*views, OrderView(request_id=wait.request_id, status=FieldStatus.ERROR, refusal=answer.refusal))

    async def _patiently(self, waits: Sequence[_Wait], is_done: _IsDone) -> None:
        """Wait until every order of the requests is done, or patience ends."""
        try:
            async with self._clock.timeout(self._patience_s):
                for wait in waits:
                    while not self._is_over(wait, is_done):
                        wait.changed.clear()
                        await wait.changed.wait()
        except TimeoutError:
            return
        finally:
            for wait in waits:
                wait.waiting -= 1
                if not wait.waiting:
                    del self._waits[wait.request_id]

    def _is_over(self, wait: _Wait, is_done: _IsDone) -> bool:
        if wait.answered is None:
            return False
        return all(track is None or is_done(track) for track in self._tracks(wait.answered))

    def _tracks(self, answer: RequestAnswered) -> list[OrderTrack | None]:
        """The orders of a request; None for one that was forgotten with its market."""
        return [self._state.orders.get(client_order_id) for client_order_id in answer.orders]

    def _view(self, wait: _Wait) -> OrderView:
        answer = wait.answered
        if answer is None:
            words = "the daemon did not take the request in time: ask for the order by its request id"
            return OrderView(request_id=wait.request_id, status=FieldStatus.PENDING, refusal=words)
        for track in self._tracks(answer):
            if track is not None:
                return view_of(self._state, track, request_id=wait.request_id, refusal=answer.refusal)
        return OrderView(request_id=wait.request_id, status=FieldStatus.ERROR, refusal=answer.refusal, is_over=True)


def _is_placed(track: OrderTrack) -> bool:
    """It rests, or it is over with all of its fills booked."""
    order = track.order
    if order.status is OrderStatus.DENIED or track.is_settled:
        return True
    return order.status is OrderStatus.OPEN and order.terms.time_in_force.may_rest
