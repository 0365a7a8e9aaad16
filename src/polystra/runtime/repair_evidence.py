"""The evidence before a repair: what our books say, what the venue says now, how old that is and who says it.

What lives here: reading both sides into sentences. What must not: changes, conclusions: the person decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from polystra.domain.controls import RepairAnswer, RepairCommand
from polystra.domain.errors import VenueError
from polystra.domain.events import HoldingsRead, OrderReport, RepairAct
from polystra.domain.ids import ClientOrderId, OrderId, PositionId, TokenId
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, Nanos, format_micros
from polystra.engine.order_life import LOOKUP_MARGIN_NS
from polystra.engine.state import EngineState, MarketState, OrderTrack
from polystra.ports.clock import Clock
from polystra.ports.venue import HoldingsSource, TradingVenue

_MOST_LINES = 40
_CLOB = "order book (CLOB)"
_SECOND = "second source (Data API)"


class RepairEvidence:
    """Reads the engine's memory and asks the venue."""

    def __init__(
        self, *, state: EngineState, venue: TradingVenue, holdings: HoldingsSource | None, clock: Clock
    ) -> None:
        self._state = state
        self._venue = venue
        self._holdings = holdings
        self._clock = clock

    async def gather(self, command: RepairCommand) -> RepairAnswer:
        """Both sides of what a repair is about; `refusal` where there is nothing to mend."""
        match command.act:
            case RepairAct.RECONCILE:
                return await self._of_account(command)
            case RepairAct.UNFREEZE:
                return await self._of_freezes(command)
            case RepairAct.ADOPT:
                return await self._of_adoption(command)
            case RepairAct.RESOLVE_DOUBT:
                return await self._of_doubt(command)

    # --- one act each -----------------------------------------------------------------

    async def _of_account(self, command: RepairCommand) -> RepairAnswer:
        state = self._state
        live = sum(1 for _ in state.live_orders())
        held = [token for token, balance in state.ledger.tokens.items() if balance.shares]
        cash, promised = format_micros(state.ledger.cash), format_micros(state.reserved_cash())
        ours = [
            f"cash {cash} dollars, {promised} of them promised to purchases",
            f"{live} orders may still trade, {len(state.doubts)} of them in doubt",
            *self._shares(held),
            self._reconciled(),
        ]
        return _both(command, ours, [*await self._account(held), *await self._second(held)])

    async def _of_freezes(self, command: RepairCommand) -> RepairAnswer:
        subject = command.subject
        meant = [m for m in self._state.markets.values() if _is_meant(m, subject)]
        frozen = [m for m in meant if m.frozen or self._watched(m)]
        if not frozen:
            return _both(command, [], [], f"nothing of {subject or 'this account'} is frozen")
        ours: list[str] = []
        tokens: list[TokenId] = []
        for market in frozen:
            if market.frozen:
                ours.append(f"{market.market.slug} is frozen: {market.frozen}")
            ours += self._watched(market)
            both = (market.market.up_token, market.market.down_token)
            tokens += both
            ours += self._shares(both)
        return _both(command, ours, [*await self._account(tokens), *await self._second(tokens)])

    async def _of_adoption(self, command: RepairCommand) -> RepairAnswer:
        report = self._state.external_orders.get(OrderId(command.subject))
        if report is not None:
            ours = [f"not ours; seen open by the last reading of the account: {_order(report)}"]
            return _both(command, ours, await self._order(report.order_id))
        position = self._state.positions.get(PositionId(command.subject))
        if position is None:
            foreign = [*self._state.external_orders, *(p for p in self._state.positions if p.startswith("external:"))]
            words = f"{command.subject} is neither an order nor a position that was made elsewhere"
            return _both(command, [], [], f"{words}; known: {', '.join(foreign[:_MOST_LINES]) or 'none'}")
        token = [position.token_id]
        return _both(command, [_position(position)], [*await self._account(token), *await self._second(token)])

    async def _of_doubt(self, command: RepairCommand) -> RepairAnswer:
        state = self._state
        name = command.subject
        track = state.orders.get(ClientOrderId(name)) or state.track_of(OrderId(name))
        doubt = None if track is None else state.doubts.get(track.order.terms.client_order_id)
        if track is None or doubt is None:
            words = "is not known here" if track is None else f"is not in doubt: it is {track.order.status.lower()}"
            known = ", ".join(list(state.doubts)[:_MOST_LINES]) or "none"
            return _both(command, [], [], f"order {name} {words}; in doubt: {known}")
        ours = [
            _own_order(track),
            f"in doubt for {self._age(doubt.since_ns)}: {track.order.detail or 'no words'}",
            f"{doubt.absences} of {doubt.lookups} look-ups found it nowhere",
        ]
        return _both(command, ours, await self._lookup(track))

    # --- ours -------------------------------------------------------------------------

    def _shares(self, tokens: Iterable[TokenId]) -> list[str]:
        lines = []
        for token_id in list(tokens)[:_MOST_LINES]:
            balance = self._state.ledger.balance(token_id)
            settled, pending = format_micros(balance.settled_shares), format_micros(balance.pending_shares)
            lines.append(f"{self._name(token_id)}: {settled} settled and {pending} pending shares")
        return lines

    def _watched(self, market: MarketState) -> list[str]:
        found = [(position_id, self._state.exits.get(position_id)) for position_id in market.positions]
        return [f"the take-profit of {p} is watched: {e.watched}" for p, e in found if e is not None and e.watched]

    def _reconciled(self) -> str:
        at_ns = self._state.reconciled_at_ns
        return f"last complete reading of the account: {f'{self._age(at_ns)} ago' if at_ns else 'none yet'}"

    def _name(self, token_id: TokenId) -> str:
        market = self._state.market_for(token_id)
        short = token_id if len(token_id) <= 16 else f"{token_id[:12]}..."
        return short if market is None else f"{market.market.slug} {market.market.outcome_of(token_id)} ({short})"

    # --- the venue's ------------------------------------------------------------------

    async def _account(self, tokens: list[TokenId]) -> list[str]:
        read = await self._venue.account(
            since_ns=self._clock.now_ns(), tokens=tuple(tokens[:_MOST_LINES]), refresh=True
        )
        how = "whole" if read.complete else f"not whole: {read.detail}"
        cash = "unknown" if read.cash is None else f"{format_micros(read.cash)} dollars"
        who = f"{_CLOB}, {self._age(read.asked_at_ns)} old"
        head = f"{who}: cash {cash}, {len(read.open_orders)} open orders ({how})"
        return [head, *(f"{who}: {self._name(token)}: {format_micros(n)} shares" for token, n in read.tokens)]

    async def _second(self, tokens: list[TokenId]) -> list[str]:
        if self._holdings is None:
            return [f"{_SECOND}: not asked"]
        read = await self._holdings.holdings()
        if not read.complete:
            return [f"{_SECOND}: no whole answer ({read.detail})"]
        who = f"{_SECOND}, {self._age(read.asked_at_ns)} old, may lag by minutes"
        return [f"{who}: {self._name(token)}: {_held(read, token)}" for token in tokens[:_MOST_LINES]] or [
            f"{who}: {len(read.holdings)} tokens held"
        ]

    async def _order(self, order_id: OrderId) -> list[str]:
        asked_ns = self._clock.now_ns()
        try:
            report = await self._venue.order(order_id)
        except VenueError as error:
            return [f"{_CLOB}: no answer ({error})"]
        who = f"{_CLOB}, {self._age(asked_ns)} old"
        return [f"{who}: not open (any more)" if report is None else f"{who}: open, {_order(report)}"]

    async def _lookup(self, track: OrderTrack) -> list[str]:
        since_ns = max(0, track.order.created_at_ns - LOOKUP_MARGIN_NS)
        condition_id = track.order.terms.condition_id
        read = await self._venue.lookup(track.order_id, condition_id, since_ns)
        who = f"{_CLOB}, {self._age(read.asked_at_ns)} old"
        if not read.complete:
            return [f"{who}: no whole answer; nothing may be concluded from it"]
        is_open = "not open" if read.open_order is None else f"open, {_order(read.open_order)}"
        shares = format_micros(sum(fill.quantity for fill in read.fills))
        return [f"{who}: {is_open}", f"{who}: {len(read.fills)} trades of it, {shares} shares"]

    def _age(self, at_ns: Nanos) -> str:
        tenths = max(0, self._clock.now_ns() - at_ns) * 10 // NS_PER_S
        return f"{tenths // 10}.{tenths % 10} s"


def _both(command: RepairCommand, ours: Iterable[str], venue: Iterable[str], refusal: str = "") -> RepairAnswer:
    return RepairAnswer(command_id=command.command_id, ours=tuple(ours), venue=tuple(venue), refusal=refusal)


def _is_meant(market: MarketState, subject: str) -> bool:
    return subject in ("", market.market.slug, market.condition_id) or subject in market.positions


def _order(report: OrderReport) -> str:
    size, price = format_micros(report.quantity), format_micros(report.price)
    return f"{report.side} {size} at {price}, {format_micros(report.matched)} matched, {report.status}"


def _own_order(track: OrderTrack) -> str:
    terms = track.order.terms
    return (
        f"{terms.client_order_id} ({track.order_id}): {terms.purpose} {terms.side} {format_micros(terms.quantity)} at "
        f"{format_micros(terms.price)} for {terms.position_id}, {track.order.status}, "
        f"{format_micros(track.order.filled)} filled"
    )


def _position(position: Position) -> str:
    cost = format_micros(position.average_price) if position.bought > 0 else "not known"
    settled, pending = format_micros(position.settled_shares), format_micros(position.pending_shares)
    return f"{position.position_id}: {settled} settled and {pending} pending shares, cost a share {cost}"


def _held(read: HoldingsRead, token_id: TokenId) -> str:
    found = [holding for holding in read.holdings if holding.token_id == token_id]
    if not found:
        return "0 shares"
    shares = format_micros(sum(holding.shares for holding in found))
    return f"{shares} shares, bought at {format_micros(found[0].average_price)} on average"
