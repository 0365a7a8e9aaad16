"""Timing in interleaved rounds: every contender has its turn in each round, so that the machine's moods cancel out.

What lives here: the loop that times single calls. What must not: what is called, printing.
The collector is off inside a round for every contender alike, and runs between rounds.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns

from benchmarks.figures import percentile


@dataclass(slots=True)
class Timing:
    """The microseconds of one contender, by round."""

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def p50s(self) -> list[float]:
        """The median of each round."""
        return [median(samples) for samples in self.rounds]

    @property
    def p50(self) -> float:
        """The median of the rounds' medians."""
        return median(self.p50s)

    @property
    def p99(self) -> float:
        """The median of the rounds' 99th percentiles."""
        return median(self.p99s)

    @property
    def p99s(self) -> list[float]:
        """The 99th percentile of each round."""
        return [percentile(samples, 0.99) for samples in self.rounds]


def be_urgent() -> None:
    """Ask the machine for its time while measuring, if it lets us."""
    with suppress(PermissionError, OSError):
        os.nice(-10)


def race(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, seconds: float, most: int = 4_000
) -> dict[str, Timing]:
    """Time calls of each contender in turn: `rounds` times, about `seconds` each time, at most `most` calls."""
    timings = {name: Timing() for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            gc.collect()
            gc.disable()
            timings[name].rounds.append(_timed(call, seconds, most))
            gc.enable()
    return timings


def _timed(call: Callable[[], object], seconds: float, most: int) -> list[float]:
    samples: list[float] = []
    end = perf_counter_ns() + int(seconds * 1e9)
    while len(samples) < most:
        begun = perf_counter_ns()
        call()
        ended = perf_counter_ns()
        samples.append((ended - begun) / 1_000)
        if ended > end and len(samples) >= 5:
            break
    return samples
