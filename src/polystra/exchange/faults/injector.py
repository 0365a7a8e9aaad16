"""When a fault fires: triggers, places, chance, counts, and the log of what was injected.

What lives here: the decision and its record. What must not: what a fault does (`rest_faults`,
`stream_faults`, `shown_books`, `chain_faults`), sockets, tasks.

At each occasion the faults are asked in the order in which they were added and the first that fires
wins. Each has a generator of its own, seeded by the exchange's seed and its id, so that adding one
does not change the others. The same occasions at the same instants give the same log.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

import msgspec

from polystra.domain.errors import ConfigError
from polystra.exchange.faults.plan import MILLION, FaultPlan
from polystra.ports.clock import Clock

KEPT: Final = 10_000
MOST_FAULTS: Final = 1_000

Occasion: TypeAlias = Mapping[str, tuple[str, ...]]
"""What a fault's place is compared with: by its name, every value that fits."""


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """One injection: `id` names the fault and the number of its hit, `what` the occasion."""

    id: str
    fault: str
    kind: str
    at_ns: int
    what: str


@dataclass(eq=False, slots=True)
class Armed:
    """A fault that waits; `seen` and `hits` count matching occasions and injections."""

    id: str
    plan: FaultPlan
    rng: random.Random
    seen: int = 0
    hits: int = 0
    episodes: dict[str, tuple[int, int | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Episode:
    """A lasting fault that is on: which, and since when."""

    plan: FaultPlan
    began_ns: int


class Injector:
    """All faults of one exchange."""

    def __init__(self, clock: Clock, *, seed: int, start_ns: int) -> None:
        self._clock = clock
        self._seed = seed
        self._start_ns = start_ns
        self._families: dict[str, list[Armed]] = {}
        self._armed: dict[str, Armed] = {}
        self._numbers = 0
        self._log: deque[Injected] = deque(maxlen=KEPT)
        self._digest = hashlib.sha256()
        self._injected = 0
        self._listeners: list[Callable[[Injected], None]] = []

    def on_injected(self, callback: Callable[[Injected], None]) -> None:
        """Call `callback` for every injection."""
        self._listeners.append(callback)

    def add(self, plan: FaultPlan) -> str:
        """Arm a fault; returns its id (`f1`, `f2`, ...).

        Raises:
            ConfigError: there are too many.
        """
        if len(self._armed) >= MOST_FAULTS:
            raise ConfigError(f"there are {MOST_FAULTS} faults already; remove one first")
        self._numbers += 1
        fault_id = f"f{self._numbers}"
        armed = Armed(fault_id, plan, random.Random(f"{self._seed}:fault:{fault_id}"))
        self._armed[fault_id] = armed
        self._families.setdefault(plan.family, []).append(armed)
        return fault_id

    def remove(self, fault_id: str) -> bool:
        """Disarm a fault and end what it keeps up; False when there is none of that id."""
        armed = self._armed.pop(fault_id, None)
        if armed is None:
            return False
        self._families[armed.plan.family].remove(armed)
        return True

    def armed(self) -> list[Armed]:
        """Return all faults in the order of their adding."""
        return list(self._armed.values())

    def has(self, *families: str) -> bool:
        """Tell whether any fault of some families is armed; cheap."""
        for family in families:  # noqa: SIM110 - asked for every frame, and a generator costs three times as much
            if self._families.get(family):
                return True
        return False

    def may_strike(self, stream: str, *families: str) -> bool:
        """Tell whether any fault of some families could strike a frame of a stream now; cheap.

        Asked for every frame, so that one which nothing can befall is not decoded: in a search of seeds, whose
        faults have hours, this took 8 % of the time.
        """
        since_ns = self._clock.now_ns() - self._start_ns
        for family in families:
            for armed in self._families.get(family, ()):
                plan = armed.plan
                if since_ns < plan.from_ns or (plan.until_ns is not None and since_ns >= plan.until_ns):
                    continue
                if plan.where.get("stream", stream).lower() == stream.lower():
                    return True
        return False

    @property
    def log(self) -> list[Injected]:
        """The newest injections, oldest first."""
        return list(self._log)

    @property
    def injected(self) -> int:
        """How many injections there were."""
        return self._injected

    @property
    def digest(self) -> str:
        """Hash of all injections so far."""
        return self._digest.hexdigest()

    def fires(self, family: str, occasion: Occasion) -> FaultPlan | None:
        """Return the first fault that strikes at this occasion, after recording it."""
        now_ns = self._clock.now_ns()
        for armed in self._families.get(family, ()):
            if self._matches(armed, occasion, now_ns) and self._draw(armed):
                self._record(armed, occasion, now_ns)
                return armed.plan
        return None

    def lasting(self, family: str, subject: str, occasion: Occasion) -> list[Episode]:
        """Return the faults that are on for a subject now, those that begin with this occasion included."""
        now_ns = self._clock.now_ns()
        episodes = (self._episode(armed, subject, occasion, now_ns) for armed in self._families.get(family, ()))
        return [episode for episode in episodes if episode is not None]

    def is_on(self, kind: str, subject: str) -> bool:
        """Tell whether a lasting fault is on for a subject, without giving it an occasion to begin."""
        now_ns = self._clock.now_ns()
        for armed in self._armed.values():
            if armed.plan.kind == kind and subject in armed.episodes:
                end_ns = armed.episodes[subject][1]
                if end_ns is None or now_ns < end_ns:
                    return True
        return False

    def forget(self, subject: str) -> None:
        """Drop what is on for a subject that is gone."""
        for armed in self._armed.values():
            armed.episodes.pop(subject, None)

    def _episode(self, armed: Armed, subject: str, occasion: Occasion, now_ns: int) -> Episode | None:
        known = armed.episodes.get(subject)
        if known is not None:
            began_ns, end_ns = known
            if end_ns is None or now_ns < end_ns:
                return Episode(armed.plan, began_ns)
            del armed.episodes[subject]
        if not self._matches(armed, occasion, now_ns) or not self._draw(armed):
            return None
        armed.episodes[subject] = (now_ns, self._end_of(armed.plan, now_ns))
        self._record(armed, occasion, now_ns)
        return Episode(armed.plan, now_ns)

    def _end_of(self, plan: FaultPlan, now_ns: int) -> int | None:
        ends = [] if plan.until_ns is None else [self._start_ns + plan.until_ns]
        if plan.number("for"):
            ends.append(now_ns + plan.nanos("for"))
        return min(ends, default=None)

    def _matches(self, armed: Armed, occasion: Occasion, now_ns: int) -> bool:
        plan = armed.plan
        since_ns = now_ns - self._start_ns
        if since_ns < plan.from_ns or (plan.until_ns is not None and since_ns >= plan.until_ns):
            return False
        if plan.count is not None and armed.hits >= plan.count:
            return False
        return all(_fits(name, wanted, occasion.get(name, ())) for name, wanted in plan.where.items())

    def _draw(self, armed: Armed) -> bool:
        plan = armed.plan
        armed.seen += 1
        if plan.nth is not None and armed.seen != plan.nth:
            return False
        return plan.probability_ppm >= MILLION or armed.rng.randrange(MILLION) < plan.probability_ppm

    def _record(self, armed: Armed, occasion: Occasion, now_ns: int) -> None:
        armed.hits += 1
        self._injected += 1
        what = " ".join(f"{name}={values[0]}" for name, values in occasion.items() if values)
        entry = Injected(id=f"{armed.id}.{armed.hits}", fault=armed.id, kind=armed.plan.kind, at_ns=now_ns, what=what)
        self._log.append(entry)
        self._digest.update(msgspec.json.encode(entry))
        for listener in self._listeners:
            listener(entry)


def _fits(name: str, wanted: str, values: tuple[str, ...]) -> bool:
    """A path may have wildcards; a market may be given by its slug's beginning."""
    if name == "path":
        return any(fnmatchcase(value, wanted) for value in values)
    if name == "market":
        return any(value == wanted or value.startswith(wanted + "-") for value in values)
    return any(value.lower() == wanted.lower() for value in values)
