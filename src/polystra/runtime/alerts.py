"""Alerts: committed facts that a person should hear of, each told once in a while.

What lives here: the listener after the commit, the level, the memory of what was told, the daily summary, the
words of start and stop. What must not: decisions of the trade, anything that waits for a network: `heard`
appends to queues and returns.

The same (kind, subject) is told once per `REPEAT_AFTER_NS` of the run's clock; what was held back in between is
counted in the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from polystra.domain import facts as ft
from polystra.domain.fills import FillStatus
from polystra.domain.ids import ClientOrderId, ConditionId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.orders import OrderStatus
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros
from polystra.engine.results import DAY_NS, Results, next_day_ns
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.notify import Alert, Notifier, Severity
from polystra.runtime.alert_words import AlertWords
from polystra.runtime.log import Log

REPEAT_AFTER_NS: Final[Nanos] = 600 * NS_PER_S
LOOK_EVERY_S: Final = 5.0
STUCK_AFTER_NS: Final[Nanos] = 10 * NS_PER_S
"""A commit that takes longer is told: until it is done no order leaves, and no fact tells of it."""
_REMEMBERED: Final = 2_000


@dataclass(slots=True)
class Day:
    """What happened since midnight UTC, as far as this run and the books it began with know."""

    orders: int = 0
    fills: int = 0
    doubts: set[ClientOrderId] = field(default_factory=set)
    fees: MicroDollars = 0


class Alerts:
    """See the module docstring. `troubles` tells what kept alerts from leaving, since it was last asked."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        clock: Clock,
        log: Log,
        level: Severity,
        troubles: Callable[[], Sequence[str]] = list,
        repeat_after_ns: Nanos = REPEAT_AFTER_NS,
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._log = log
        self._level = level
        self._troubles = troubles
        self._repeat_after_ns = repeat_after_ns
        self._words = AlertWords()
        self._told: dict[tuple[str, str], tuple[Nanos, int]] = {}
        self._results = Results()
        self._day = Day()
        self._day_ends_ns = next_day_ns(clock.now_ns())
        self._starts = 0
        self._settled: tuple[set[ConditionId], set[ConditionId]] = (set(), set())
        """Markets settled yesterday and today: late failures of their trades still count."""
        self._told_bug = False
        self._commit_began: Callable[[], Nanos | None] = lambda: None
        self._told_stuck = False

    # --- the life of a run ------------------------------------------------------------

    def resume(self, postings: Iterable[Posting]) -> None:
        """Before the first fact: what the books hold of today."""
        now_ns = self._clock.now_ns()
        midnight = now_ns // DAY_NS * DAY_NS
        old: set[ConditionId] = set()
        for posting in postings:
            self._results.book(posting)
            if posting.at_ns >= midnight:
                self._day.fees += posting.fee
            elif posting.kind is PostingKind.RESOLVED and posting.condition_id is not None:
                old.add(posting.condition_id)
        for condition_id in old:
            self._results.forget(condition_id)

    def started(self, words: str, *, earlier: int = 0) -> None:
        """The daemon begins to trade; `earlier` counts its starts before this one, today (UTC)."""
        self._starts = earlier + 1
        self._tell("started", "", Severity.INFO, words)

    def stopped(self, reason: str, left_open: Sequence[str]) -> None:
        """The daemon has stopped in order; what is left has no stop until it runs again."""
        left = "; ".join(left_open)
        words = f"stopped ({reason}); left unprotected: {left}" if left else f"stopped ({reason}); nothing is left open"
        self._tell("stopped", "", Severity.CRITICAL if left else Severity.WARNING, words)

    def failed(self, error: BaseException) -> None:
        """The daemon ends because of an error."""
        words = f"the daemon ended by {type(error).__name__}: {error}; open positions have no stop until it runs again"
        self._tell("failed", "", Severity.CRITICAL, words)

    def heard(self, facts: Iterable[ft.Fact]) -> None:
        """Take committed facts; called by the engine's loop after every commit. Never blocks."""
        try:
            for fact in facts:
                self._count(fact)
                alert = self._words.alert(fact)
                if alert is not None:
                    self.tell(alert)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A bug in words must not stop a trade: it is told once, alerts of that commit are lost.
            if not self._told_bug:
                self._told_bug = True
                self._log.error(LogEvent.ALERT_FAILED, error=f"{type(error).__name__}: {error}")

    def tell(self, alert: Alert) -> None:
        """Pass an alert on, unless it is below the level or was told a moment ago."""
        if alert.severity < self._level:
            return
        key = (alert.kind, alert.subject)
        told_ns, held_back = self._told.get(key, (None, 0))
        if told_ns is not None and alert.at_ns - told_ns < self._repeat_after_ns:
            self._told[key] = (told_ns, held_back + 1)
            return
        self._told.pop(key, None)
        self._told[key] = (alert.at_ns, 0)
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        text = f"{alert.text} ({held_back} more like it since the last one)" if held_back else alert.text
        self._notifier.notify(
            Alert(kind=alert.kind, subject=alert.subject, severity=alert.severity, text=text, at_ns=alert.at_ns)
        )

    def watch(self, commit_began: Callable[[], Nanos | None]) -> None:
        """Look at the engine's loop: since when, by the monotonic clock, a commit is under way."""
        self._commit_began = commit_began

    async def run(self) -> None:
        """For ever: the daily summary, a commit that hangs, and a log line for what keeps alerts from leaving."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            self._look_at_the_database()
            if self._clock.now_ns() >= self._day_ends_ns:
                self._end_of_day(self._clock.now_ns())
            self.log_troubles()

    def log_troubles(self) -> None:
        """Write down what kept alerts from leaving."""
        for trouble in self._troubles():
            self._log.warning(LogEvent.ALERT_FAILED, error=trouble)

    # --- inside -----------------------------------------------------------------------

    def _look_at_the_database(self) -> None:
        """What the database does not take is no fact, so that nothing else would tell of it."""
        began_ns = self._commit_began()
        if began_ns is None:
            if self._told_stuck:
                self._tell("database", "freed", Severity.INFO, "the database takes commits again; trading goes on")
            self._told_stuck = False
            return
        waited_ns = self._clock.monotonic_ns() - began_ns
        if waited_ns < STUCK_AFTER_NS or self._told_stuck:
            return
        self._told_stuck = True
        self._log.error(LogEvent.STORE_STUCK, seconds=waited_ns // NS_PER_S)
        self._tell(
            "database",
            "stuck",
            Severity.CRITICAL,
            f"the database has taken no commit for {waited_ns // NS_PER_S} s: no order, cancel or stop leaves until "
            "it does; look at its disk and at who holds it",
        )

    def _tell(self, kind: str, subject: str, severity: Severity, text: str) -> None:
        self.tell(Alert(kind=kind, subject=subject, severity=severity, text=text, at_ns=self._clock.now_ns()))

    def _count(self, fact: ft.Fact) -> None:
        match fact:
            case ft.PostingRecorded(posting=posting):
                if posting.at_ns >= self._day_ends_ns:
                    self._end_of_day(posting.at_ns)
                self._results.book(posting)
                self._day.fees += posting.fee
            case ft.IntentRecorded():
                self._day.orders += 1
            case ft.FillRecorded(is_new=True) if fact.fill.status is not FillStatus.FAILED:
                self._day.fills += 1
            case ft.OrderChanged() if fact.order.status is OrderStatus.IN_DOUBT:
                self._day.doubts.add(fact.order.terms.client_order_id)
            case ft.SettlementRecorded():
                self._settled[1].add(fact.condition_id)

    def _end_of_day(self, now_ns: Nanos) -> None:
        day, ended_ns = self._day, self._day_ends_ns
        result = self._results.today(ended_ns - 1)
        starts = self._starts
        self._day, self._day_ends_ns, self._starts = Day(), next_day_ns(now_ns), 0
        for condition_id in self._settled[0]:
            self._results.forget(condition_id)
        self._settled = (self._settled[1], set())
        words = (
            f"{_date(ended_ns - 1)} UTC: {format_micros(result)} dollars realised after {format_micros(day.fees)} of "
            f"fees; {day.orders} orders, {day.fills} fills, {len(day.doubts)} orders were in doubt, "
            f"{starts} starts of the daemon"
        )
        self._tell("daily summary", _date(ended_ns - 1), Severity.INFO, words)


def _date(at_ns: Nanos) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).date().isoformat()
