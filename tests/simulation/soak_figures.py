"""What a soak counts every simulated hour, and whether it grows.

What lives here: the sample, the limits with their reasons, least squares. What must not: the run (`soak`).

Each figure is judged over the second half of the run, when caches and windows are full: the slope of the
least-squares line must not carry it further than its limit over that half. A leak of one object a market is
96 objects an hour with four coins in windows of 5 and 15 minutes, far above every limit.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import BuiltinFunctionType, CodeType, CoroutineType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from polystra.runtime.daemon import Daemon
from polystra.runtime.timers import Timers

_PAGE = os.sysconf("SC_PAGE_SIZE")
_CODE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType, FrameType, CoroutineType)
_ELSEWHERE = ("asyncio", "_asyncio", "aiohttp", "polystra.runtime", "sqlite3", "sqlalchemy", "_contextvars")
_TRADING = ("polystra.exchange", "polystra.matching")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The figures of one hour. Sizes are at its end, lines, rows and markets what came in it."""

    hour: int
    memory_kb: int
    venue_kb: int
    """What the exchange's own memory weighs, which shares the process."""
    engine_kb: int
    """What the engine's memory weighs."""
    tasks: int
    handles: int
    wal_kb: int
    log_lines: int
    markets: int
    """Markets that settled in the hour."""
    own_objects: int
    """Objects of the daemon's classes that the garbage collector knows."""
    venue_objects: int
    """The same of the exchange, which shares the process."""

    @property
    def rest_kb(self) -> int:
        """Resident memory without the exchange's."""
        return self.memory_kb - self.venue_kb

    state: Mapping[str, int] = field(default_factory=dict)
    """Entries of every collection in the engine's memory, of its inbox and timers."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """New rows by table."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a figure may climb over the second half: a share of its mean, or so many units if that is more."""

    share: float
    units: float
    reason: str


LIMITS: Mapping[str, Limit] = {
    "rest_kb": Limit(0.06, 8_000, "the allocator keeps pages of busy hours, SQLite and OpenSSL fill caches once"),
    "engine_kb": Limit(0.20, 400, "markets that are open at the moment hold their books and prices"),
    "tasks": Limit(0.0, 3, "requests under way at the moment of the sample"),
    "handles": Limit(0.0, 2, "a database connection opened for a reading"),
    "wal_kb": Limit(0.25, 4_096, "the log is folded back in every few thousand facts and keeps its length"),
    "log_lines": Limit(0.30, 60, "hours trade more or less"),
    "own_objects": Limit(0.10, 3_000, "markets that are open at the moment hold their books and prices"),
    "state": Limit(0.25, 40, "markets and orders that are open at the moment; retired ids have their own bound"),
    "rows": Limit(0.35, 12, "rows for each settled market: hours trade more or less"),
}
"""The exchange's own objects and their weight are shown and not judged: it keeps every market in memory."""
BOUNDED = {"state retired": 10_000, "state results._ended": 200}
"""What fills up to a bound of its own, however long the run."""


def slope(values: Sequence[float]) -> float:
    """The least-squares slope, in units an hour; 0 for fewer than two values."""
    count = len(values)
    if count < 2:
        return 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    over = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    return over / sum((place - middle) ** 2 for place in range(count))


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure over the second half."""

    name: str
    first: float
    mean: float
    last: float
    climb: float
    """How far the line climbs over the second half."""
    allowed: float

    @property
    def grows(self) -> bool:
        """True when it is not flat."""
        return self.climb > self.allowed


def judge(samples: Sequence[Sample]) -> list[Judged]:
    """Every figure of the second half, those that grow first."""
    late = samples[len(samples) // 2 :]
    found = []
    for name, values in _series(late):
        limit = LIMITS[name.split()[0]]
        mean = sum(values) / len(values)
        climb = slope(values) * (len(values) - 1)
        allowed = max(limit.units, limit.share * mean)
        if name in BOUNDED and max(values) <= BOUNDED[name]:
            allowed = max(allowed, climb)
        found.append(Judged(name, values[0], mean, values[-1], climb, allowed))
    return sorted(found, key=lambda each: not each.grows)


def _series(samples: Sequence[Sample]) -> Iterator[tuple[str, list[float]]]:
    for name in ("rest_kb", "engine_kb", "tasks", "handles", "wal_kb", "log_lines", "own_objects"):
        yield name, [float(getattr(sample, name)) for sample in samples]
    for name in sorted({name for sample in samples for name in sample.state}):
        yield f"state {name}", [float(sample.state.get(name, 0)) for sample in samples]
    for name in sorted({name for sample in samples for name in sample.rows}):
        yield f"rows {name}", [sample.rows.get(name, 0) / max(1, sample.markets) for sample in samples]


# --- counting ----------------------------------------------------------------------------


def resident_kb() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE // 1_024


def weight_kb(*roots: object) -> int:
    """What these objects and all that they hold weigh, but for code, tasks, loops and connections."""
    seen: set[int] = set()
    waiting, total = list(roots), 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _CODE) or str(type(each).__module__).startswith(_ELSEWHERE):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        waiting += gc.get_referents(each)
    return total // 1_024


def open_handles() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def objects() -> tuple[int, int]:
    """Objects of the daemon's and of the exchange's classes."""
    gc.collect()
    counts: Counter[bool] = Counter()
    for each in gc.get_objects():
        module = str(type(each).__module__)
        if module.startswith("polystra."):
            counts[module.startswith(_TRADING)] += 1
    return counts[False], counts[True]


def sizes(daemon: Daemon) -> dict[str, int]:
    """Entries of every collection that the engine, its inbox and its timers hold."""
    found = dict(_collections("", daemon._engine.state))
    found["inbox"] = len(daemon._inbox)
    for each in gc.get_objects():
        if isinstance(each, Timers):
            found["timers"], found["timers._heap"] = len(each), len(each._heap)
    return found


def _collections(prefix: str, holder: Any) -> Iterator[tuple[str, int]]:
    for each in fields(holder):
        value = getattr(holder, each.name)
        if isinstance(value, Sized) and not isinstance(value, str | bytes | tuple):
            yield f"{prefix}{each.name}", len(value)
        elif each.name in ("ledger", "results"):
            yield from _collections(f"{each.name}.", value)
