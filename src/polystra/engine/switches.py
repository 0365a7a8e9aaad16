"""Switches: what stops entries until a person or a time clears it, and the limits that set them.

Set from outside: kill (entries stop, those that rest are cancelled), stop_entry, pause (until a
time). Set from here: the loss of the day, the drawdown, losses in a row, refused orders, and the
blacklist of a symbol after a stop. Each change is a fact, so that it is durable before anything
else leaves, and is there again after a restart. Exits are never touched.

The result of the day is what was realised since midnight UTC plus what is open, marked at the best
bid: what a sale would bring. Where no bid was seen yet, an open position counts at its cost.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from polystra.domain.controls import is_meant
from polystra.domain.events import RefusalClass, SubmitRefused, SwitchName, SwitchRequested
from polystra.domain.facts import (
    IntentDenied,
    Notice,
    NoticeKind,
    PositionRecorded,
    PostingRecorded,
    SwitchChanged,
)
from polystra.domain.ids import PositionId, TokenId
from polystra.domain.orders import Purpose
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, Nanos, format_micros
from polystra.engine.effects import HoldEntries
from polystra.engine.gateway import Gateway
from polystra.engine.results import next_day_ns
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, Turn

_LIMITS: Final = "limits"
_MINUTE_NS: Final = 60 * NS_PER_S
_REVIEW_EVERY_NS: Final = NS_PER_S
BREAKER_PAUSE_S: Final = 300
"""How long refused orders stop entries."""
_CANCELLING: Final = (SwitchName.KILL, SwitchName.DAILY_LOSS, SwitchName.DRAWDOWN, SwitchName.CRASH_LOOP)
"""Switches that also cancel the entries that rest."""
_COUNTED: Final = (RefusalClass.REFUSED, RefusalClass.REPLAN, RefusalClass.AUTH, RefusalClass.STOP)
_NEVER_LEFT: Final = ("stale", "withdrawn", "held")
"""Codes of orders that ended before they were sent."""
STOP_WORDS: Final = frozenset({"STOP_LOSS", "stop-loss", "trailing-stop", "break-even", "time-stop"})
"""Exit reasons after which a loss blacklists its symbol."""


class Switches:
    """Owns `EngineState.switches`."""

    def __init__(self, state: EngineState, gateway: Gateway, risk: Risk) -> None:
        self._state = state
        self._gateway = gateway
        self._risk = risk
        self._refusals: deque[Nanos] = deque()
        self._marks: dict[TokenId, MicroPrice] = {}
        self._reviewed_ns: Nanos = 0
        self._balance_is_low = False
        self._stopped: set[PositionId] = set()

    def start(self, turn: Turn) -> None:
        """Ask for the time at which each restored switch ends; stops of the last run blacklist nothing again."""
        for switch in self._state.switches.values():
            self._set_timer(switch, turn)
            if switch.name in _CANCELLING:
                self._cancel_entries(switch.name, turn)
            if switch.name is SwitchName.KILL:
                self._hold_entries(switch.reason, turn)
        self._stopped = {p.position_id for p in self._state.positions.values() if p.status is PositionStatus.CLOSED}

    def requested(self, event: SwitchRequested, turn: Turn) -> None:
        """Set or clear a switch; what stands already is not told twice."""
        if event.on:
            self._set(event.name, event.reason, turn, source=event.source, subject=event.subject, until=event.until_ns)
        else:
            for name, subject in [each for each in self._state.switches if is_meant(event, each)]:
                self._clear(name, subject, event.reason, event.source, turn)

    def refused(self, event: SubmitRefused, turn: Turn) -> None:
        """The venue refused an entry; what never left, found nothing or met a venue that rests is no refusal."""
        track = self._state.track_of(event.order_id)
        is_entry = track is not None and track.order.terms.purpose is Purpose.ENTRY
        if is_entry and event.kind in _COUNTED and not event.killed and event.code not in _NEVER_LEFT:
            self._count_refusal(turn)

    def expire(self, turn: Turn) -> None:
        """At the beginning of a turn: clear what was set until now."""
        if not self._state.switches:
            return
        for switch in list(self._state.switches.values()):
            if 0 < switch.until_ns <= turn.now_ns:
                self._clear(switch.name, switch.subject, "its time is over", _LIMITS, turn)

    def review(self, turn: Turn) -> None:
        """At the end of a turn: does what became true in it trip a switch?"""
        posted = False
        for fact in list(turn.facts):
            match fact:
                case PostingRecorded():
                    posted = True
                case IntentDenied(terms=terms) if terms.purpose is Purpose.ENTRY:
                    self._count_refusal(turn)
                case PositionRecorded():
                    self._ended(fact, turn)
                case Notice(kind=NoticeKind.FEE_MISMATCHED):
                    self._block_for_fees(fact, turn)
        if posted or turn.now_ns - self._reviewed_ns >= _REVIEW_EVERY_NS:
            self._reviewed_ns = turn.now_ns
            self._review_results(turn)
            self._review_balance(turn)

    def unrealised(self) -> MicroDollars:
        """What the open positions would win or lose if they were sold at the best bid."""
        total = 0
        marks, self._marks = self._marks, {}
        for position in self._state.positions.held():
            if position.token_id in marks:
                self._marks[position.token_id] = marks[position.token_id]
            book = self._state.book(position.token_id)
            if book is not None and book.in_sync and book.best_bid is not None:
                self._marks[position.token_id] = book.best_bid
            mark = self._marks.get(position.token_id)
            total += 0 if mark is None else position.unrealised_pnl(mark)
        return total

    # --- limits -----------------------------------------------------------------------

    def _count_refusal(self, turn: Turn) -> None:
        limit = self._state.config.risk.max_rejections_per_minute
        self._refusals.append(turn.now_ns)
        while self._refusals[0] <= turn.now_ns - _MINUTE_NS:
            self._refusals.popleft()
        if limit and len(self._refusals) >= limit:
            reason = f"{len(self._refusals)} entries were refused within a minute"
            until = turn.now_ns + BREAKER_PAUSE_S * NS_PER_S
            self._set(SwitchName.REJECTIONS, reason, turn, until=until)

    def _ended(self, fact: PositionRecorded, turn: Turn) -> None:
        """A position that a stop sold at a loss keeps its symbol out for a while."""
        pause_ns = self._state.config.risk.blacklist_after_stop_ns
        if not pause_ns or fact.status is not PositionStatus.CLOSED or fact.position_id in self._stopped:
            return
        if fact.exit_reason not in STOP_WORDS:
            return
        self._stopped = {known for known in self._stopped if known in self._state.positions} | {fact.position_id}
        if fact.realised_pnl < 0:
            reason = f"{fact.position_id} was stopped with {format_micros(fact.realised_pnl)} dollars"
            until = turn.now_ns + pause_ns
            self._set(SwitchName.BLACKLIST, reason, turn, subject=fact.symbol, until=until)

    def _block_for_fees(self, notice: Notice, turn: Turn) -> None:
        """No entry that takes until the market ends; `subject` of the notice is its slug."""
        ends = [
            m.market.closes_at_s * NS_PER_S for m in self._state.markets.values() if m.market.slug == notice.subject
        ]
        self._set(SwitchName.FEES, notice.message, turn, subject=notice.subject, until=max(ends, default=0))

    def _review_results(self, turn: Turn) -> None:
        risk, results = self._state.config.risk, self._state.results
        unrealised = self.unrealised() if risk.daily_loss_limit or risk.max_drawdown else 0
        today = results.today(turn.now_ns) + unrealised
        if risk.daily_loss_limit and today <= -risk.daily_loss_limit:
            reason = f"{format_micros(today)} dollars today, the limit is {format_micros(risk.daily_loss_limit)}"
            self._set(SwitchName.DAILY_LOSS, reason, turn, until=next_day_ns(turn.now_ns))
        down = results.peak - results.realised - unrealised
        if risk.max_drawdown and down >= risk.max_drawdown:
            reason = f"{format_micros(down)} dollars below the peak, the limit is {format_micros(risk.max_drawdown)}"
            self._set(SwitchName.DRAWDOWN, reason, turn)
        losses = results.losses_in_row()
        if risk.max_consecutive_losses and losses >= risk.max_consecutive_losses:
            self._set(SwitchName.CONSECUTIVE_LOSSES, f"{losses} losses in a row", turn)

    def _review_balance(self, turn: Turn) -> None:
        """Tell once when the available dollars fall below the alert, and again after they were above it."""
        alert = self._state.config.risk.low_balance_alert
        if not alert or not self._state.funded:
            return
        available = self._risk.available()
        if available >= alert:
            self._balance_is_low = False
        elif not self._balance_is_low:
            self._balance_is_low = True
            claims = self._state.ledger.claims
            more = f"; unredeemed winnings of ${format_micros(claims)} would let trading go on" if claims > 0 else ""
            message = f"{format_micros(available)} dollars are available, less than {format_micros(alert)}{more}"
            turn.notice(NoticeKind.BALANCE_LOW, "balance", message)

    # --- inside -----------------------------------------------------------------------

    def _set(
        self,
        name: SwitchName,
        reason: str,
        turn: Turn,
        *,
        source: str = _LIMITS,
        subject: str = "",
        until: Nanos = 0,
    ) -> None:
        known = self._state.switches.get((name, subject))
        if known is not None and (source == _LIMITS or known.until_ns == until):
            return
        switch = SwitchChanged(
            name=name, subject=subject, on=True, reason=reason, source=source, until_ns=until, at_ns=turn.now_ns
        )
        self._state.switches[name, subject] = switch
        turn.facts.append(switch)
        self._set_timer(switch, turn)
        if name is SwitchName.KILL:
            self._hold_entries(reason, turn)
        if name in _CANCELLING:
            self._cancel_entries(name, turn)

    def _clear(self, name: SwitchName, subject: str, reason: str, source: str, turn: Turn) -> None:
        known = self._state.switches.pop((name, subject), None)
        if known is None:
            return
        turn.facts.append(
            SwitchChanged(
                name=name, subject=subject, on=False, reason=reason, source=source, until_ns=0, at_ns=turn.now_ns
            )
        )
        if name is SwitchName.KILL:
            turn.effects.append(HoldEntries(reason=""))
        elif name is SwitchName.CONSECUTIVE_LOSSES:
            self._state.results.resume_row(turn.now_ns)
        elif name is SwitchName.DRAWDOWN:
            self._state.results.resume_peak(turn.now_ns)
        elif name is SwitchName.REJECTIONS:
            self._refusals.clear()

    def _hold_entries(self, reason: str, turn: Turn) -> None:
        """Whatever the venue's mode lets us cancel, nothing is sent (again)."""
        entries = (t for t in self._state.live_orders() if t.order.terms.purpose is Purpose.ENTRY)
        order_ids = tuple(track.order.order_id for track in entries if track.order.order_id is not None)
        turn.effects.append(HoldEntries(reason=f"the kill switch is on: {reason}", order_ids=order_ids))

    def _cancel_entries(self, name: SwitchName, turn: Turn) -> None:
        """What rests, what is in doubt and what is on its way."""
        for track in list(self._state.live_orders()):
            if track.order.terms.purpose is Purpose.ENTRY:
                self._gateway.cancel(track, turn, f"{name} switch")

    @staticmethod
    def _set_timer(switch: SwitchChanged, turn: Turn) -> None:
        if switch.until_ns:
            turn.timer(f"switch:{switch.name}:{switch.subject}", switch.until_ns)
