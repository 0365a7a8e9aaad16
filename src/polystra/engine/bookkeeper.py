"""The bookkeeper: fills become postings, postings become positions. Nothing else sets a size.

A fill's identity is (trade id, order id): the first report of it books, later ones can only
advance its settlement. MATCHED is booked as pending, CONFIRMED moves it to settled, FAILED
is reversed by a compensating posting. Fills of orders that are not ours are booked as
adjustments with their evidence once confirmed, and never guessed at before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.facts import FillRecorded, NoticeKind, PositionRecorded, PostingRecorded
from polystra.domain.fills import Fill, FillReport, FillStatus, Liquidity, advance
from polystra.domain.ledger import (
    Posting,
    matched_posting,
    reversed_posting,
    settled_posting,
)
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderEvent, OrderStatus, fill_event
from polystra.domain.positions import Position, PositionEvent, PositionStatus, move
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, Nanos, notional_floor
from polystra.engine import exit_memory
from polystra.engine.external import trade_postings
from polystra.engine.gateway import Gateway
from polystra.engine.state import EXTERNAL, EngineState, ExitPhase, ExitState, MarketState, OrderTrack, Turn

CANCELLED_UNFILLED: Final = "CANCELLED_UNFILLED"
MARK_EVERY_NS: Final = 60 * NS_PER_S
"""A mark alone is recorded no more often; the same one is not recorded again."""
HIGH_WATER_EVERY_NS: Final = 5 * NS_PER_S
"""A new highest bid that moved no stop is recorded no more often."""


class Bookkeeper:
    """Owns the ledger and every position."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway

    def fill_reported(self, report: FillReport, turn: Turn) -> None:
        """Book what is new in a report of one of our legs; the rest confirms."""
        key = f"{report.trade_id}:{report.order_id}"
        known = self._state.fills.get(key)
        if known is not None:
            self._advance(known, report, turn)
            return
        track = self._state.track_of(report.order_id)
        if track is None:
            booked = report.order_id in self._state.retired or f"matched:{key}" in self._state.ledger
            if not booked:
                self._external(report, turn)
            return
        market = self._state.markets.get(report.condition_id)
        self._book(_fill_of(report, track, market, turn.now_ns), track, turn)

    def post(self, posting: Posting, turn: Turn) -> bool:
        """Book one posting and record it; False when it was booked before."""
        if not self._state.book_posting(posting):
            return False
        turn.facts.append(PostingRecorded(posting=posting))
        if posting.position_id is not None:
            turn.touch(posting.position_id)
        return True

    def record_position(self, position: Position, turn: Turn) -> None:
        """Move the position's state to what its sums and exits say, and record the projection when it is news."""
        market = self._state.markets.get(position.condition_id)
        if market is None:
            return
        exits = self._state.exits.get(position.position_id)
        event = self._position_event(position, market)
        position.status = move(position.status, event, position.position_id)
        known = self._state.recorded.get(position.position_id)
        mark, mark_at_ns = _mark(position, market, known, turn.now_ns)
        record = PositionRecorded(
            position_id=position.position_id,
            condition_id=position.condition_id,
            token_id=position.token_id,
            outcome=market.market.outcome_of(position.token_id),
            symbol=market.market.symbol,
            status=position.status,
            pending_shares=position.pending_shares,
            settled_shares=position.settled_shares,
            average_price=position.average_price,
            realised_pnl=position.realised_pnl,
            fees=position.fees,
            take_profit_price=exits.take_profit_price if exits else None,
            stop_price=exits.stop_price if exits else None,
            opened_at_ns=position.opened_at_ns,
            at_ns=turn.now_ns,
            exit_reason=self._exit_reason(position, exits),
            exit_mode=exits.mode if exits else "",
            high_water=exits.high_water if exits else 0,
            exits=exit_memory.to_text(exits) if exits else "",
            mark=mark,
            mark_at_ns=mark_at_ns,
        )
        if known is None or _is_news(record, known):
            self._state.recorded[position.position_id] = record
            turn.facts.append(record)

    # --- inside -----------------------------------------------------------------------

    def _exit_reason(self, position: Position, exits: ExitState | None) -> str:
        """How the position ends or ended; one that never held a share because its entries were cancelled says so."""
        if exits is not None and exits.phase is not ExitPhase.GUARDING:
            return exits.reason
        if position.bought > 0 or self._state.fills.of_position(position.position_id):
            return ""
        tracks = self._state.orders_of(position.position_id)
        ended = (OrderStatus.CANCELED, OrderStatus.EXPIRED)
        cancelled = any(track.order.status in ended for track in tracks)
        return CANCELLED_UNFILLED if cancelled and all(track.is_settled for track in tracks) else ""

    def _position_event(self, position: Position, market: MarketState) -> PositionEvent:
        if market.frozen and market.resolution is None:
            return PositionEvent.VENUE_DISAGREED
        if position.status is PositionStatus.FROZEN and market.resolution is None:
            held = position.shares >= SIZE_STEP
            return PositionEvent.RECONCILED_OPEN if held else PositionEvent.RECONCILED_FLAT
        if market.resolution is not None and position.shares == 0:
            return PositionEvent.MARKET_RESOLVED
        if position.shares < SIZE_STEP:
            return PositionEvent.SOLD_OUT
        exits = self._state.exits.get(position.position_id)
        if exits is not None and exits.phase is ExitPhase.SELLING:
            started = position.status in ("OPEN", "EXITING")
            return PositionEvent.EXIT_STARTED if started else PositionEvent.SHARES_HELD
        return PositionEvent.SHARES_HELD

    def _book(self, fill: Fill, track: OrderTrack, turn: Turn) -> None:
        state = self._state
        state.fills[fill.key] = fill
        state.last_fill_ns = max(state.last_fill_ns, fill.matched_at_ns)
        state.last_account_event_ns = turn.now_ns
        turn.facts.append(FillRecorded(fill=fill, is_new=True, at_ns=turn.now_ns))
        if fill.status is FillStatus.FAILED:
            track.failed += fill.quantity
            self._gateway.filled(track, track.order.filled, OrderEvent.FILL_PARTIAL, turn)
            turn.touch(fill.position_id)
            return
        self.post(matched_posting(fill, turn.now_ns), turn)
        if fill.status is FillStatus.CONFIRMED:
            self.post(settled_posting(fill, turn.now_ns), turn)
        filled = track.order.filled + fill.quantity
        self._gateway.filled(track, filled, fill_event(track.order, filled), turn)

    def _advance(self, known: Fill, report: FillReport, turn: Turn) -> None:
        try:
            status = advance(known.status, report.status, known.key)
        except IllegalTransition as error:
            self._freeze(known, str(error), turn)
            return
        if (report.price, report.quantity) != (known.price, known.quantity) and report.quantity != known.quantity:
            self._freeze(known, f"trade {known.key}: quantity was {known.quantity}, now {report.quantity}", turn)
            return
        if status is known.status:
            return
        fill = replace(
            known,
            status=status,
            updated_at_ns=turn.now_ns,
            transaction_hash=report.transaction_hash or known.transaction_hash,
        )
        self._state.fills[fill.key] = fill
        self._state.last_account_event_ns = turn.now_ns
        turn.facts.append(FillRecorded(fill=fill, is_new=False, at_ns=turn.now_ns))
        turn.touch(fill.position_id)
        if status is FillStatus.CONFIRMED:
            self.post(settled_posting(fill, turn.now_ns), turn)
        elif status is FillStatus.FAILED:
            self.post(reversed_posting(known, turn.now_ns), turn)
            track = self._state.track_of(known.order_id)
            if track is not None:
                filled = max(0, track.order.filled - known.quantity)
                track.failed += known.quantity
                self._gateway.filled(track, filled, OrderEvent.FILL_PARTIAL, turn)

    def _freeze(self, fill: Fill, message: str, turn: Turn) -> None:
        market = self._state.markets.get(fill.condition_id)
        if market is not None and not market.frozen:
            market.frozen = message
            market.may_thaw = True
            turn.notice(NoticeKind.MARKET_FROZEN, fill.condition_id, message)
            turn.touch(fill.position_id)

    def _external(self, report: FillReport, turn: Turn) -> None:
        """A trade of an order that this database does not know: another tool on this account."""
        key = f"{EXTERNAL}{report.trade_id}:{report.order_id}"
        if report.status is not FillStatus.CONFIRMED or key in self._state.ledger:
            return
        for posting in trade_postings(self._state, report, _cash_of(report), self._fee_of(report), turn):
            self.post(posting, turn)
        self._state.last_account_event_ns = turn.now_ns
        turn.notice(NoticeKind.FILL_STRANGE, report.trade_id, f"order {report.order_id} was not made by this daemon")

    def _fee_of(self, report: FillReport) -> MicroDollars:
        market = self._state.markets.get(report.condition_id)
        return 0 if market is None else _fee(report, market)


def _mark(
    position: Position, market: MarketState, known: PositionRecorded | None, now_ns: Nanos
) -> tuple[MicroPrice | None, Nanos]:
    """The midpoint of the token's book and now, or what was known before; nothing once nothing is held."""
    if position.shares < SIZE_STEP or market.resolution is not None:
        return None, 0
    book = market.books[position.token_id]
    if book.in_sync and book.mid is not None and not book.is_crossed:
        return book.mid, now_ns
    return (None, 0) if known is None else (known.mark, known.mark_at_ns)


def _is_news(record: PositionRecorded, known: PositionRecorded) -> bool:
    """True when something changed that a restart or a reader needs; marks and high bids are taken down seldom."""
    same = replace(record, at_ns=known.at_ns, high_water=known.high_water, mark=known.mark, mark_at_ns=known.mark_at_ns)
    if same != known:
        return True
    if record.high_water != known.high_water and record.at_ns - known.at_ns >= HIGH_WATER_EVERY_NS:
        return True
    return record.mark != known.mark and record.at_ns - known.mark_at_ns >= MARK_EVERY_NS


def _cash_of(report: FillReport) -> MicroDollars:
    """Dollars exchanged: as told, else price x quantity rounded down (the venue floors the counter amount)."""
    return notional_floor(report.price, report.quantity) if report.cash is None else report.cash


def _fee(report: FillReport, market: MarketState) -> MicroDollars:
    """The taker fee that the market's schedule predicts, per maker leg where the legs are told."""
    if report.liquidity is Liquidity.MAKER:
        return 0
    return market.market.fees.trade_fee(report.legs or ((report.price, report.quantity),))


def _fill_of(report: FillReport, track: OrderTrack, market: MarketState | None, now_ns: int) -> Fill:
    terms = track.order.terms
    return Fill(
        trade_id=report.trade_id,
        order_id=report.order_id,
        client_order_id=terms.client_order_id,
        position_id=terms.position_id,
        condition_id=report.condition_id,
        token_id=report.token_id,
        side=report.side,
        price=report.price,
        quantity=report.quantity,
        cash=_cash_of(report),
        fee=0 if market is None else _fee(report, market),
        liquidity=report.liquidity,
        status=report.status,
        matched_at_ns=report.matched_at_ns,
        updated_at_ns=now_ns,
        transaction_hash=report.transaction_hash,
    )
