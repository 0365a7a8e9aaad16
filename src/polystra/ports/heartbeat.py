"""The heart of an API key at the venue, and the sign of life that it depends on.

Contract of `Heart`:
1. Nothing is sent before `start`: the first accepted beat arms the venue's switch for good. From then
   on 10 to 15 seconds without one cancel every open order of the key (Polymarket CLOB docs, heartbeats).
2. `run` is eternal; it tells `HeartbeatTold` and ends only by cancellation, which stops the beats.
3. It does not beat while the sign of life is too old: a daemon that no longer takes inputs must not
   keep orders alive.

Contract of `LifeSign`: one thread marks, any other may ask for the age.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from polystra.domain.events import HeartbeatTold
from polystra.domain.units import Nanos
from polystra.ports.clock import Clock

HeartSink: TypeAlias = Callable[[HeartbeatTold], None]


class Heart(Protocol):
    """See the module docstring."""

    def start(self) -> None:
        """Begin to beat; called on the loop that runs `run`."""
        ...

    async def run(self, sink: HeartSink) -> None:
        """Wait for `start`, then beat for ever."""
        ...


class LifeSign:
    """When the engine's loop last proved that it works. Made where the clock may be read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marked_ns = clock.monotonic_ns()

    def mark(self) -> None:
        """The loop works now."""
        self._marked_ns = self._clock.monotonic_ns()

    @property
    def marked_ns(self) -> Nanos:
        """The moment of the last mark on the clock it was made with."""
        return self._marked_ns

    def age_ns(self) -> Nanos:
        """Nanoseconds since the last mark."""
        return self._clock.monotonic_ns() - self._marked_ns
