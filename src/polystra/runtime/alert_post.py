"""The way of alerts to one channel: a bounded queue, a rate, retries, and a digest of what is too much.

What lives here: waiting, dropping, counting, sending. What must not: which facts are told and how often the
same (`alerts`), the shape of a message (adapters). `notify` may be called from any thread and only appends;
all the rest happens in `run`, on a loop that trades nothing.

Rate: a token bucket of `per_minute`. When more waits than there are tokens, all of it becomes one message.
A message that could not be delivered waits and is tried again with what has come meanwhile; one that the
channel refuses for good is dropped and counted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.notify import Alert, AlertChannel, AlertNotDelivered, Severity

CAPACITY: Final = 500
LOOK_EVERY_S: Final = 0.2
ATTEMPTS: Final = 3
PAUSE_AFTER_FAILURE_S: Final = 30.0
DIGEST_LINES: Final = 8
_FIRST_WAIT_S: Final = 1.0


class AlertPost:
    """Fulfils `Notifier` for one channel. `clean` takes secrets out of a text; `trouble` is told what goes wrong."""

    def __init__(
        self,
        channel: AlertChannel,
        *,
        clock: Clock,
        per_minute: int,
        clean: Callable[[str], str],
        trouble: Callable[[str], None],
        capacity: int = CAPACITY,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._per_minute = per_minute
        self._clean = clean
        self._trouble = trouble
        self._capacity = capacity
        self._waiting: deque[Alert] = deque()
        self._guard = Lock()
        self._dropped_untold = 0
        self._tokens = float(per_minute)
        self._filled_ns = clock.monotonic_ns()
        self._told_failure = False
        self._told_crowded = False
        self._sending = False
        self.dropped = 0
        self.delivered = 0
        """Messages that arrived; a digest is one."""

    @property
    def is_idle(self) -> bool:
        """True when nothing waits or is on its way."""
        return not self._waiting and not self._sending

    def notify(self, alert: Alert) -> None:
        """Take an alert; without room the oldest one goes."""
        with self._guard:
            self._waiting.append(alert)
            self._make_room()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            pause_s = LOOK_EVERY_S
            if self._waiting and self._take_token():
                pause_s = 0.0 if await self._deliver() else PAUSE_AFTER_FAILURE_S
            await self._clock.sleep(pause_s)

    # --- inside -----------------------------------------------------------------------

    async def _deliver(self) -> bool:
        """Send the next message; False when the channel should be left alone for a while."""
        self._sending = True
        try:
            taken = self._take()
            message = taken[0] if len(taken) == 1 and not self._dropped_untold else self._digest(taken)
            try:
                await self._send(message)
            except AlertNotDelivered as error:
                return self._failed(taken, error)
            self.delivered += 1
            self._dropped_untold, self._told_failure, self._told_crowded = 0, False, False
            return True
        finally:
            self._sending = False

    async def _send(self, alert: Alert) -> None:
        clean = Alert(
            kind=alert.kind,
            subject=self._clean(alert.subject),
            severity=alert.severity,
            text=self._clean(alert.text),
            at_ns=alert.at_ns,
        )
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait_s,
            retry=retry_if_exception(_is_worth_it),
            reraise=True,
        )
        await retrying(self._channel.send, clean)

    def _failed(self, taken: Sequence[Alert], error: AlertNotDelivered) -> bool:
        if not self._told_failure:
            self._told_failure = True
            self._trouble(self._clean(f"{error}; alerts to it wait or are dropped, trading goes on"))
        with self._guard:
            if error.may_retry:
                self._waiting.extendleft(reversed(taken))
                self._make_room()
            else:
                self._count_dropped(len(taken))
        return not error.may_retry

    def _take(self) -> list[Alert]:
        """One alert while there are tokens for the rest, else all."""
        with self._guard:
            if len(self._waiting) - 1 <= self._tokens:
                return [self._waiting.popleft()]
            taken = list(self._waiting)
            self._waiting.clear()
            return taken

    def _make_room(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self._count_dropped(1)
            if not self._told_crowded:
                self._told_crowded = True
                self._trouble(
                    f"more than {self._capacity} alerts wait for {self._channel.name}: the oldest are dropped"
                )

    def _count_dropped(self, count: int) -> None:
        self.dropped += count
        self._dropped_untold += count

    def _take_token(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        earned = (now_ns - self._filled_ns) / NS_PER_S * self._per_minute / 60
        self._tokens = min(float(self._per_minute), self._tokens + earned)
        self._filled_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _digest(self, alerts: Sequence[Alert]) -> Alert:
        """One message for many: how many of each kind, and the gravest in their own words."""
        counts = Counter(alert.kind for alert in alerts)
        gravest = sorted(alerts, key=lambda alert: -alert.severity)[:DIGEST_LINES]
        kinds = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common())
        lines = [f"{len(alerts)} alerts at once ({kinds})" + self._dropped_words()]
        lines += [f"- {alert.kind}: {alert.text}" for alert in gravest]
        if len(alerts) > len(gravest):
            lines.append(f"and {len(alerts) - len(gravest)} more, in the log")
        severity = max((alert.severity for alert in alerts), default=Severity.WARNING)
        return Alert(
            kind="digest", subject="", severity=severity, text="\n".join(lines), at_ns=max(a.at_ns for a in alerts)
        )

    def _dropped_words(self) -> str:
        return f"; {self._dropped_untold} more were dropped" if self._dropped_untold else ""


def _is_worth_it(error: BaseException) -> bool:
    return isinstance(error, AlertNotDelivered) and error.may_retry


def _wait_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the channel asked for, at least 1, 2, 4, ..."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after_s if isinstance(error, AlertNotDelivered) else 0.0
    return max(asked, _FIRST_WAIT_S * float(1 << (state.attempt_number - 1)))
