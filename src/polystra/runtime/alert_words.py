"""Which committed facts a person is told, how gravely, and in what words.

What lives here: one function from a fact to an alert or None, with the little memory that a change needs. What
must not: repetition, rates, channels (`alerts`, `alert_post`). Facts that only repeat or that the story has in
better words (a position's closing instead of its last order) are told to nobody.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from polystra.domain import facts as ft
from polystra.domain.events import SwitchName
from polystra.domain.fills import FillStatus
from polystra.domain.ledger import PostingKind
from polystra.domain.orders import OrderStatus
from polystra.domain.positions import PositionStatus
from polystra.domain.units import Nanos, format_micros
from polystra.domain.venue import VenueMode
from polystra.ports.notify import Alert, Severity

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_K = ft.NoticeKind

NOTICES: Final = MappingProxyType(
    {
        _K.STOP_FIRED: ("stop", INFO),
        _K.EXIT_HEALED: ("exit mended", WARNING),
        _K.EXIT_FROZEN: ("freeze", CRITICAL),
        _K.MARKET_FROZEN: ("freeze", CRITICAL),
        _K.MARKET_THAWED: ("thaw", INFO),
        _K.POSITION_ADOPTED: ("adopted", WARNING),
        _K.REPAIRED: ("repair", WARNING),
        _K.CONFIG_CHANGED: ("settings", WARNING),
        _K.ORDER_STRANGE: ("strange order", CRITICAL),
        _K.FILL_STRANGE: ("strange fill", CRITICAL),
        _K.TRADING_HALTED: ("halted", CRITICAL),
        _K.STRATEGY_FAILED: ("strategy", WARNING),
        _K.REQUEST_REFUSED: ("refusal", WARNING),
        _K.DOUBT_LASTS: ("in doubt", CRITICAL),
        _K.REDEMPTION_SEEN: ("redeemed", INFO),
        _K.SHUTDOWN_STARTED: ("stopping", WARNING),
        _K.HEARTBEAT_ARMED: ("heartbeat", INFO),
        _K.HEARTBEAT_FAILED: ("heartbeat", CRITICAL),
        _K.HEARTBEAT_RECOVERED: ("heartbeat", INFO),
        _K.CLOCK_DRIFTED: ("clock", CRITICAL),
        _K.CLOCK_AGREED: ("clock", INFO),
        _K.BALANCE_JUDGED: ("balance", WARNING),
        _K.BALANCE_LOW: ("low balance", WARNING),
        _K.FEE_MISMATCHED: ("fees", CRITICAL),
    }
)
"""Notices that are told, by kind of alert and severity."""

UNTOLD: Final = frozenset(
    {
        _K.ENTRIES_BLOCKED,
        _K.ENTRIES_ALLOWED,
        _K.STREAM_CONNECTED,
        _K.STREAM_LOST,
        _K.BOOK_RESYNCED,
        _K.STOP_ARMED,
        _K.EXIT_SKIPPED,
        _K.VENUE_NOTICE,
        _K.CLOCK_CORRECTED,
        _K.RETRY_SKIPPED,
        _K.SCALE_IN_PLACED,
        _K.SCALE_IN_SKIPPED,
        _K.REVERSAL_STARTED,
        _K.REVERSAL_ENDED,
    }
)
"""Notices that come often, mend themselves, or whose cause is told by another fact."""

_GRAVE_SWITCHES: Final = (
    SwitchName.KILL,
    SwitchName.DAILY_LOSS,
    SwitchName.DRAWDOWN,
    SwitchName.CONSECUTIVE_LOSSES,
    SwitchName.VENUE_REFUSED,
    SwitchName.SECOND_DAEMON,
    SwitchName.CRASH_LOOP,
)
_TOLD_MAX: Final = 1_000


class AlertWords:
    """Turns facts into alerts."""

    def __init__(self) -> None:
        self._positions: dict[str, PositionStatus] = {}
        """The last status seen of each position, the oldest forgotten."""

    def alert(self, fact: ft.Fact) -> Alert | None:
        """The alert of one committed fact, None when nobody is told."""
        match fact:
            case ft.FillRecorded():
                return _fill(fact)
            case ft.PositionRecorded():
                return self._position(fact)
            case ft.OrderChanged():
                return _order(fact)
            case ft.Notice():
                return _notice(fact)
            case ft.SettlementRecorded():
                return _settlement(fact)
            case ft.SwitchChanged():
                return _switch(fact)
            case ft.VenueModeChanged():
                return _venue_mode(fact)
            case _:
                return _rare(fact)

    def _position(self, fact: ft.PositionRecorded) -> Alert | None:
        before = self._positions.pop(fact.position_id, None)
        self._positions[fact.position_id] = fact.status
        while len(self._positions) > _TOLD_MAX:
            del self._positions[next(iter(self._positions))]
        if before in (None, fact.status) or fact.status is not PositionStatus.CLOSED:
            return None
        words = (
            f"{fact.position_id} is closed: {format_micros(fact.realised_pnl)} dollars after "
            f"{format_micros(fact.fees)} of fees{f', by {fact.exit_reason}' if fact.exit_reason else ''}"
        )
        return _made("exit", fact.position_id, INFO, words, fact.at_ns)


def _fill(fact: ft.FillRecorded) -> Alert | None:
    fill = fact.fill
    words = f"{fill.side} {format_micros(fill.quantity)} shares at {format_micros(fill.price)} for {fill.position_id}"
    if fill.status is FillStatus.FAILED:
        return _made("fill failed", fill.key, WARNING, f"{words}: the trade failed on chain, posted back", fact.at_ns)
    if not fact.is_new:
        return None
    liquidity = fill.liquidity.lower()
    return _made("fill", fill.key, INFO, f"{words} ({liquidity}, fee {format_micros(fill.fee)})", fact.at_ns)


def _order(fact: ft.OrderChanged) -> Alert | None:
    """Refusals; a doubt is told when it lasts."""
    terms = fact.order.terms
    if fact.order.status is not OrderStatus.REJECTED:
        return None
    words = f"{terms.purpose} {terms.client_order_id} for {terms.position_id} was refused: {fact.detail or 'no words'}"
    return _made("refusal", f"{terms.purpose}:{fact.detail}", WARNING, words, fact.at_ns)


def _notice(fact: ft.Notice) -> Alert | None:
    told = NOTICES.get(fact.kind)
    if told is None:
        return None
    kind, severity = told
    return _made(kind, f"{fact.kind}:{fact.subject}", severity, f"{fact.subject}: {fact.message}", fact.at_ns)


def _settlement(fact: ft.SettlementRecorded) -> Alert | None:
    if not fact.shares_held and not fact.realised_pnl:
        return None
    words = (
        f"{fact.slug} resolved {fact.winner or '50/50'}: {format_micros(fact.realised_pnl)} dollars after "
        f"{format_micros(fact.fees)} of fees, {format_micros(fact.payout)} to be redeemed"
    )
    return _made("settled", fact.slug, INFO, words, fact.at_ns)


def _switch(fact: ft.SwitchChanged) -> Alert:
    subject = f"{fact.name}{f' {fact.subject}' if fact.subject else ''}"
    severity = INFO if not fact.on else CRITICAL if fact.name in _GRAVE_SWITCHES else WARNING
    state = "on: entries stop, exits go on" if fact.on else "off"
    words = f"{subject} is {state} ({fact.reason}; by {fact.source})"
    return _made("switch", f"{subject}:{fact.on}", severity, words, fact.at_ns)


def _venue_mode(fact: ft.VenueModeChanged) -> Alert:
    calm = fact.mode is VenueMode.NORMAL
    words = f"{fact.previous} -> {fact.mode}{f': {fact.reason}' if fact.reason else ''}"
    return _made("venue mode", fact.mode, INFO if calm else WARNING, words, fact.at_ns)


def _rare(fact: ft.Fact) -> Alert | None:
    match fact:
        case ft.IntentDenied():
            words = f"{fact.terms.purpose} for {fact.terms.position_id} was not sent: {fact.reason}"
            return _made("refusal", f"{fact.terms.purpose}:{fact.reason}", WARNING, words, fact.at_ns)
        case ft.RequestAnswered(refusal=refusal) if refusal:
            words = f"request {fact.request_id} of {fact.source}: {refusal}"
            return _made("refusal", f"request:{refusal}", WARNING, words, fact.at_ns)
        case ft.PostingRecorded(posting=posting) if posting.kind is PostingKind.ADJUSTMENT:
            cash, shares = posting.pending_cash + posting.settled_cash, posting.pending_shares + posting.settled_shares
            words = (
                f"our books were corrected by {format_micros(cash)} dollars and {format_micros(shares)} shares: "
                f"{posting.reason} ({posting.evidence})"
            )
            return _made("books", posting.source_id, WARNING, words, posting.at_ns)
        case ft.ReconcileCompleted(differences=differences) if differences:
            return _made("reconcile", "; ".join(differences), WARNING, "; ".join(differences), fact.at_ns)
        case _:
            return None


def _made(kind: str, subject: str, severity: Severity, text: str, at_ns: Nanos) -> Alert:
    return Alert(kind=kind, subject=subject, severity=severity, text=text, at_ns=at_ns)
