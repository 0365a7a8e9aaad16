"""The log as a view of the journal: one line for one fact that a person wants to know.

INFO is the story of the money. Facts that only repeat (projections, skipped decisions whose
line would come every second) are DEBUG. No field holds a secret or a signature.
"""

from __future__ import annotations

from collections.abc import Iterable

from polystra.domain import facts as ft
from polystra.domain.fills import FillStatus
from polystra.domain.ledger import PostingKind
from polystra.domain.orders import OrderStatus
from polystra.domain.units import E8, format_micros
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log

_ORDER_EVENTS = {
    OrderStatus.OPEN: LogEvent.ORDER_ACKNOWLEDGED,
    OrderStatus.IN_DOUBT: LogEvent.ORDER_IN_DOUBT,
    OrderStatus.REJECTED: LogEvent.ORDER_REFUSED,
    OrderStatus.CANCELED: LogEvent.ORDER_CANCELED,
    OrderStatus.EXPIRED: LogEvent.ORDER_EXPIRED,
    OrderStatus.FILLED: LogEvent.ORDER_FILLED,
    OrderStatus.PENDING_CANCEL: LogEvent.ORDER_CANCEL_REQUESTED,
}
_WARN_ORDERS = (OrderStatus.IN_DOUBT, OrderStatus.REJECTED)
_NOTICES = {
    ft.NoticeKind.ENTRIES_BLOCKED: LogEvent.ENTRIES_BLOCKED,
    ft.NoticeKind.ENTRIES_ALLOWED: LogEvent.ENTRIES_ALLOWED,
    ft.NoticeKind.STREAM_CONNECTED: LogEvent.STREAM_CONNECTED,
    ft.NoticeKind.STREAM_LOST: LogEvent.STREAM_LOST,
    ft.NoticeKind.BOOK_RESYNCED: LogEvent.BOOK_RESYNCED,
    ft.NoticeKind.STOP_ARMED: LogEvent.EXIT_ARMED,
    ft.NoticeKind.STOP_FIRED: LogEvent.STOP_FIRED,
    ft.NoticeKind.EXIT_SKIPPED: LogEvent.EXIT_SKIPPED,
    ft.NoticeKind.EXIT_HEALED: LogEvent.EXIT_HEALED,
    ft.NoticeKind.EXIT_FROZEN: LogEvent.EXIT_FROZEN,
    ft.NoticeKind.MARKET_FROZEN: LogEvent.MARKET_FROZEN,
    ft.NoticeKind.MARKET_THAWED: LogEvent.MARKET_THAWED,
    ft.NoticeKind.POSITION_ADOPTED: LogEvent.POSITION_ADOPTED,
    ft.NoticeKind.ORDER_STRANGE: LogEvent.ORDER_STRANGE,
    ft.NoticeKind.FILL_STRANGE: LogEvent.FILL_STRANGE,
    ft.NoticeKind.TRADING_HALTED: LogEvent.TRADING_HALTED,
    ft.NoticeKind.STRATEGY_FAILED: LogEvent.STRATEGY_FAILED,
    ft.NoticeKind.REQUEST_REFUSED: LogEvent.REQUEST_REFUSED,
    ft.NoticeKind.DOUBT_LASTS: LogEvent.ORDER_DOUBT_LASTS,
    ft.NoticeKind.REDEMPTION_SEEN: LogEvent.REDEMPTION_SEEN,
    ft.NoticeKind.SHUTDOWN_STARTED: LogEvent.SHUTDOWN_STARTED,
    ft.NoticeKind.VENUE_NOTICE: LogEvent.VENUE_NOTICE_LEFT,
    ft.NoticeKind.HEARTBEAT_ARMED: LogEvent.HEARTBEAT_ARMED,
    ft.NoticeKind.HEARTBEAT_FAILED: LogEvent.HEARTBEAT_FAILED,
    ft.NoticeKind.HEARTBEAT_RECOVERED: LogEvent.HEARTBEAT_RECOVERED,
    ft.NoticeKind.CLOCK_DRIFTED: LogEvent.CLOCK_DRIFTED,
    ft.NoticeKind.CLOCK_AGREED: LogEvent.CLOCK_AGREED,
    ft.NoticeKind.CLOCK_CORRECTED: LogEvent.CLOCK_CORRECTED,
    ft.NoticeKind.BALANCE_JUDGED: LogEvent.BALANCE_JUDGED,
    ft.NoticeKind.BALANCE_LOW: LogEvent.BALANCE_LOW,
    ft.NoticeKind.FEE_MISMATCHED: LogEvent.FEE_MISMATCHED,
    ft.NoticeKind.REVERSAL_STARTED: LogEvent.REVERSAL_STARTED,
    ft.NoticeKind.REVERSAL_ENDED: LogEvent.REVERSAL_ENDED,
    ft.NoticeKind.REPAIRED: LogEvent.OPERATOR_REPAIRED,
    ft.NoticeKind.CONFIG_CHANGED: LogEvent.CONFIG_CHANGED,
    ft.NoticeKind.RETRY_SKIPPED: LogEvent.RETRY_SKIPPED,
    ft.NoticeKind.SCALE_IN_PLACED: LogEvent.SCALE_IN_PLACED,
    ft.NoticeKind.SCALE_IN_SKIPPED: LogEvent.SCALE_IN_SKIPPED,
}
_TOLD_MAX = 1_000
_CALM_NOTICES = (
    ft.NoticeKind.MARKET_THAWED,
    ft.NoticeKind.ENTRIES_ALLOWED,
    ft.NoticeKind.STREAM_CONNECTED,
    ft.NoticeKind.STOP_ARMED,
    ft.NoticeKind.REDEMPTION_SEEN,
    ft.NoticeKind.SHUTDOWN_STARTED,
    ft.NoticeKind.VENUE_NOTICE,
    ft.NoticeKind.HEARTBEAT_RECOVERED,
    ft.NoticeKind.CLOCK_AGREED,
    ft.NoticeKind.CLOCK_CORRECTED,
)


class FactLog:
    """Writes facts to the log after their commit."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[str, tuple[object, ...]] = {}
        """What was last told of each position, the oldest forgotten."""
        self._markets: dict[str, LogEvent] = {}
        """What was last told of each market, likewise."""

    def write(self, facts: Iterable[ft.Fact]) -> None:
        """One line for one fact."""
        for fact in facts:
            self._write(fact)

    def _write(self, fact: ft.Fact) -> None:
        match fact:
            case ft.DecisionRecorded():
                self._decision(fact)
            case ft.IntentRecorded():
                self._intent(fact)
            case ft.OrderChanged():
                self._order(fact)
            case ft.FillRecorded():
                self._fill(fact)
            case ft.PositionRecorded():
                self._position(fact)
            case ft.Notice():
                self._notice(fact)
            case _:
                self._rare(fact)

    def _rare(self, fact: ft.Fact) -> None:
        match fact:
            case ft.MarketRecorded():
                self._market(fact)
            case ft.SettlementRecorded():
                self._settlement(fact)
            case ft.PostingRecorded():
                self._posting(fact)
            case ft.ReconcileCompleted():
                self._reconciled(fact)
            case ft.BalanceObserved():
                self._log.info(
                    LogEvent.BALANCE_OBSERVED,
                    cash=format_micros(fact.cash),
                    ledger=format_micros(fact.ledger_cash),
                    trigger=fact.source,
                )
            case ft.SwitchChanged():
                self._log.warning(
                    LogEvent.SWITCH_SET if fact.on else LogEvent.SWITCH_CLEARED,
                    switch=fact.name,
                    subject_id=fact.subject or None,
                    reason=fact.reason,
                    source=fact.source,
                )
            case ft.VenueModeChanged():
                self._log.warning(
                    LogEvent.VENUE_MODE_CHANGED, mode=fact.mode, previous=fact.previous, reason=fact.reason
                )
            case _:
                self._of_one_order(fact)

    def _of_one_order(self, fact: ft.Fact) -> None:
        match fact:
            case ft.RequestAnswered():
                write = self._log.warning if fact.refusal else self._log.info
                write(
                    LogEvent.REQUEST_REFUSED if fact.refusal else LogEvent.REQUEST_TAKEN,
                    request=fact.request_id,
                    orders=" ".join(fact.orders) or None,
                    reason=fact.refusal or None,
                    source=fact.source,
                )
            case ft.DoubtRecorded():
                self._log.debug(
                    LogEvent.ORDER_LOOKUP_SCHEDULED,
                    order=fact.client_order_id,
                    lookups=fact.lookups,
                    absences=fact.absences,
                    outcome=fact.outcome,
                )
            case ft.IntentDenied():
                self._log.warning(
                    LogEvent.INTENT_DENIED, order=fact.terms.client_order_id, reason=fact.reason, side=fact.terms.side
                )

    def _decision(self, fact: ft.DecisionRecorded) -> None:
        write = self._log.info if fact.action == "ENTER" else self._log.debug
        write(
            LogEvent.DECISION_MADE,
            symbol=fact.symbol,
            action=fact.action,
            outcome=fact.outcome,
            reason=fact.reason,
            edge=round(fact.edge, 4),
            p_up=round(fact.p_up, 4),
            fair_value_up=round(fact.fair_value_up, 4),
            market_prior_p_up=round(fact.market_prior_p_up, 4),
            additive=f"{fact.additive_bias:+.2f}/{fact.additive_confidence:.2f}",
            bayesian=f"{fact.bayesian_bias:+.2f}/{fact.bayesian_confidence:.2f}",
            decision=fact.decision_id,
        )

    def _intent(self, fact: ft.IntentRecorded) -> None:
        terms = fact.order.terms
        self._log.info(
            LogEvent.ORDER_SUBMITTED,
            order=terms.client_order_id,
            purpose=terms.purpose,
            side=terms.side,
            quantity=format_micros(terms.quantity),
            price=format_micros(terms.price),
            time_in_force=terms.time_in_force,
            position=terms.position_id,
            reason=terms.reason,
            venue_order_id=fact.signed.order_id,
        )

    def _order(self, fact: ft.OrderChanged) -> None:
        order = fact.order
        event = _ORDER_EVENTS.get(order.status, LogEvent.ORDER_ACKNOWLEDGED)
        calm_end = order.status is OrderStatus.OPEN and fact.event != "ACCEPT"
        write = self._log.warning if order.status in _WARN_ORDERS else self._log.debug if calm_end else self._log.info
        write(
            event,
            order=order.terms.client_order_id,
            purpose=order.terms.purpose,
            filled=f"{format_micros(order.filled)}/{format_micros(order.terms.quantity)}",
            detail=fact.detail,
        )

    def _fill(self, fact: ft.FillRecorded) -> None:
        fill = fact.fill
        settled = {FillStatus.CONFIRMED: LogEvent.FILL_CONFIRMED, FillStatus.FAILED: LogEvent.FILL_FAILED}
        event = LogEvent.FILL_BOOKED if fact.is_new else settled.get(fill.status, LogEvent.FILL_ADVANCED)
        write = self._log.info if fact.is_new else self._log.debug
        if fill.status is FillStatus.FAILED:
            write = self._log.warning
        write(
            event,
            order=fill.client_order_id,
            side=fill.side,
            quantity=format_micros(fill.quantity),
            price=format_micros(fill.price),
            fee=format_micros(fill.fee),
            liquidity=fill.liquidity,
            status=fill.status,
            trade=fill.trade_id,
            position=fill.position_id,
        )

    def _position(self, fact: ft.PositionRecorded) -> None:
        told = (fact.status, fact.exit_reason)
        if self._positions.get(fact.position_id) == told or (fact.status == "FLAT" and not fact.average_price):
            return
        self._positions.pop(fact.position_id, None)
        self._positions[fact.position_id] = told
        while len(self._positions) > _TOLD_MAX:
            del self._positions[next(iter(self._positions))]
        events = {
            "OPEN": LogEvent.POSITION_OPENED,
            "EXITING": LogEvent.POSITION_EXITING,
            "CLOSED": LogEvent.POSITION_CLOSED,
            "RESOLVED": LogEvent.POSITION_SETTLED,
            "FROZEN": LogEvent.POSITION_FROZEN,
        }
        self._log.info(
            events.get(fact.status, LogEvent.POSITION_OPENED),
            symbol=fact.symbol,
            position=fact.position_id,
            outcome=fact.outcome,
            shares=format_micros(fact.pending_shares + fact.settled_shares),
            average_price=format_micros(fact.average_price),
            take_profit=None if fact.take_profit_price is None else format_micros(fact.take_profit_price),
            stop=None if fact.stop_price is None else format_micros(fact.stop_price),
            realised_pnl=format_micros(fact.realised_pnl),
            fees=format_micros(fact.fees),
            exit_reason=fact.exit_reason or None,
        )

    def _notice(self, fact: ft.Notice) -> None:
        write = self._log.info if fact.kind in _CALM_NOTICES else self._log.warning
        write(_NOTICES[fact.kind], subject_id=fact.subject, message=fact.message)

    def _market(self, fact: ft.MarketRecorded) -> None:
        event = LogEvent.MARKET_LISTED if fact.price_to_beat is None else LogEvent.MARKET_OPENED
        if self._markets.get(fact.market.slug) is event:
            event = LogEvent.MARKET_CHANGED
        else:
            self._markets[fact.market.slug] = event
            while len(self._markets) > _TOLD_MAX:
                del self._markets[next(iter(self._markets))]
        self._log.info(
            event,
            symbol=fact.market.symbol,
            slug=fact.market.slug,
            price_to_beat=None if fact.price_to_beat is None else f"{fact.price_to_beat / E8:.2f}",
            tick=format_micros(fact.market.tick_size),
        )

    def _settlement(self, fact: ft.SettlementRecorded) -> None:
        self._log.info(
            LogEvent.MARKET_RESOLVED,
            symbol=fact.symbol,
            slug=fact.slug,
            winner=fact.winner or "50/50",
            shares=format_micros(fact.shares_held),
            payout=format_micros(fact.payout),
            realised_pnl=format_micros(fact.realised_pnl),
            fees=format_micros(fact.fees),
        )

    def _posting(self, fact: ft.PostingRecorded) -> None:
        posting = fact.posting
        loud = posting.kind in (PostingKind.ADJUSTMENT, PostingKind.TRANSFER)
        write = self._log.info if loud else self._log.debug
        write(
            LogEvent.LEDGER_POSTED,
            kind=posting.kind,
            reason=posting.reason,
            cash=format_micros(posting.pending_cash + posting.settled_cash),
            shares=format_micros(posting.pending_shares + posting.settled_shares),
            source=posting.source_id,
            evidence=posting.evidence,
        )

    def _reconciled(self, fact: ft.ReconcileCompleted) -> None:
        write = self._log.warning if fact.differences else self._log.info
        write(
            LogEvent.RECONCILE_MISMATCHED if fact.differences else LogEvent.RECONCILE_COMPLETED,
            trigger=fact.trigger,
            open_orders=fact.open_orders,
            fills_applied=fact.fills_applied,
            differences="; ".join(fact.differences) or "none",
        )
