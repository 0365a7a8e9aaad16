"""When the daemon of a searched run dies: at a line, around a commit, at a send, at the venue, at a time.

What lives here: the plan's deaths in their order, and the places that they are waited for at. What must
not: running the daemon again (`search_world`), the store's other faults (`search_faults`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S
from polystra.exchange.core import CoreEvent, TradeEvent
from polystra.exchange.model import OrderEvent
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.daemon import RunSummary
from tests.simulation.search_plan import Crash
from tests.unit.runtime.lines import Lines

_FOR_EVER_S = 86_400.0


class Killed(Exception):
    """The process is gone, as by `kill -9`."""


class Deaths:
    """The deaths of a plan: which one is waited for, how far its counting is, which ones came."""

    def __init__(self, clock: Clock, crashes: Sequence[Crash], begun_ns: int) -> None:
        self._clock = clock
        self._begun_ns = begun_ns
        self._waiting = sorted(crashes, key=lambda crash: crash.from_s)
        self._seen = 0
        self._counting_ns = begun_ns
        self.task: asyncio.Task[RunSummary] | None = None
        """The daemon that is to die."""
        self.over = False
        """The last leg: nothing dies any more."""
        self.last: Crash | None = None
        self.counts: Counter[str] = Counter()

    def begin_leg(self, task: asyncio.Task[RunSummary]) -> None:
        """A daemon starts."""
        self.task, self.last = task, None
        self._counting_ns = self._clock.now_ns()

    def current(self) -> Crash | None:
        """The death that is waited for now; one that has not come when the next is due is left out."""
        if self.over or self.task is None:
            return None
        second = (self._clock.now_ns() - self._begun_ns) / NS_PER_S
        while len(self._waiting) > 1 and self._waiting[1].from_s <= second:
            self._drop()
        return self._waiting[0] if self._waiting and self._waiting[0].from_s <= second else None

    def next_due_ns(self, *, orderly: bool) -> int | None:
        """When the death that comes by time comes, or the orderly stop, if it is the next one."""
        if self.over or not self._waiting:
            return None
        self.current()
        crash = self._waiting[0]
        if crash.orderly is not orderly or not (orderly or crash.how == "time"):
            return None
        begin_ns = max(self._counting_ns, self._begun_ns + crash.from_s * NS_PER_S)
        return begin_ns + crash.nth * NS_PER_S

    def strikes(self, how: str, whats: Iterable[str]) -> bool:
        """Something happened that a death may wait for: True when this is its moment."""
        crash = self.current()
        if crash is None or crash.orderly or crash.how != how or not (crash.at == "" or crash.at in whats):
            return False
        self._seen += 1
        if self._seen < crash.nth:
            return False
        self.comes(crash)
        return True

    def comes(self, crash: Crash) -> None:
        """The daemon dies of it."""
        self.last = crash
        name = "orderly" if crash.orderly else f"{crash.how} {crash.at}".strip()
        self.counts[name] += 1
        self._drop()

    def stopped(self) -> None:
        """The daemon ended in order: by the plan's wish if that was due."""
        due_ns = self.next_due_ns(orderly=True)
        if due_ns is not None and due_ns <= self._clock.now_ns():
            self.comes(self._waiting[0])

    def kill(self) -> None:
        """End the daemon's task; what it still does in this instant, it did before it died."""
        if self.task is not None:
            self.task.cancel()

    def _drop(self) -> None:
        self._waiting.pop(0)
        self._seen = 0

    # --- the places -----------------------------------------------------------------------

    async def by_time(self) -> None:
        """Kill at the planned times."""
        while True:
            due_ns = self.next_due_ns(orderly=False)
            now_ns = self._clock.now_ns()
            if due_ns is not None and due_ns <= now_ns and self.task is not None and not self.task.done():
                self.comes(self._waiting[0])
                self.kill()
            wait_s = 1.0 if due_ns is None or due_ns <= now_ns else min(1.0, (due_ns - now_ns) / NS_PER_S)
            await self._clock.sleep(wait_s)

    async def leaves(self, method: str, path: str) -> None:
        """A request is about to leave."""
        what = _sent(method, path)
        if what and self.strikes("sending", what):
            self.kill()
            await self._clock.sleep(_FOR_EVER_S)

    def left(self, method: str, path: str) -> None:
        """The bytes of a request have left."""
        what = _sent(method, path)
        if what and self.strikes("sent", what):
            self.kill()

    def commit(self, how: str, facts: Sequence[Fact]) -> bool:
        """A commit is "before", "after" or finds the disk "full"."""
        return self.strikes(how, [type(fact).__name__ for fact in facts])

    def heard(self, event: CoreEvent, owner: str) -> None:
        """The venue did something."""
        if isinstance(event, OrderEvent) and event.type == "PLACEMENT" and event.order.owner == owner:
            what = "placed"
        elif isinstance(event, TradeEvent) and event.trade.status == "MATCHED":
            if owner not in (event.trade.taker_owner, *(leg.owner for leg in event.trade.legs)):
                return
            what = "trade"
        else:
            return
        if self.strikes("venue", (what,)):
            self.kill()


def _sent(method: str, path: str) -> tuple[str, ...]:
    """What a request is, in the plan's words; none for one that changes nothing."""
    if not path.startswith(("/order", "/cancel")):
        return ()
    return {"POST": ("order",), "DELETE": ("cancel",)}.get(method, ())


class DeathLog(Lines):
    """A log that dies with the line that is waited for: after the commit, before anything leaves.

    No line may hold a secret.
    """

    def __init__(self, deaths: Deaths, say: Callable[[str], None]) -> None:
        super().__init__()
        self.secrets: tuple[str, ...] = ()
        self._deaths = deaths
        self._say = say

    def _keep(self, level: str, event: LogEvent, fields: dict[str, object]) -> object:
        words = repr(fields)
        if any(secret in words for secret in self.secrets):
            self._say(f"I12 the log line {event.value} holds a secret")
        if self._deaths.strikes("commit", (event.value,)):
            raise Killed
        return None
