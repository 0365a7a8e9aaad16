"""How the daemon feels its own pulse, and tells it: the engine's loop and every stream, once a second.

What lives here: the watching and its rhythm. What must not: limits and verdicts (`app/health`), files (adapters).

Streams are counted, not timed: one addition per message on the way in, and the look once a second finds out
which count has moved. Ages are of the clock handed over, which is the system's, so that a probe outside can add
what has passed since. When the event loop hangs, nothing is told any more, and the age of the last word grows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from polystra.domain.events import StreamConnected, StreamLost, WorldEvent
from polystra.domain.units import Nanos
from polystra.ports.clock import Clock
from polystra.ports.health import HealthBoard, HealthReading, StreamHealth
from polystra.ports.heartbeat import LifeSign
from polystra.ports.logbook import LogEvent
from polystra.ports.venue import Sink
from polystra.runtime.log import Log

LOOK_EVERY_S: Final = 1.0


class _Watched:
    """One stream: how many messages came, and when a look last found more."""

    __slots__ = ("connected", "heard", "moved_ns", "seen")

    def __init__(self, now_ns: Nanos) -> None:
        self.heard = 0
        self.seen = 0
        self.moved_ns = now_ns
        self.connected = False


class Pulse:
    """See the module docstring. `mode` is told for people."""

    def __init__(self, board: HealthBoard, *, life: LifeSign, clock: Clock, log: Log, mode: str) -> None:
        self._board = board
        self._life = life
        self._clock = clock
        self._log = log
        self._mode = mode
        self._started_at_ns = clock.now_ns()
        now_ns = clock.monotonic_ns()
        self._life_seen = life.marked_ns
        self._life_moved_ns = now_ns
        self._streams: dict[str, _Watched] = {}
        self._told_trouble = False

    def watch(self, name: str, sink: Sink) -> Sink:
        """Return a sink that counts what the stream of that name says, and passes it on."""
        watched = self._streams[name] = _Watched(self._clock.monotonic_ns())

        def deliver(event: WorldEvent) -> None:
            watched.heard += 1
            if isinstance(event, StreamConnected | StreamLost):
                watched.connected = isinstance(event, StreamConnected)
            sink(event)

        return deliver

    async def run(self) -> None:
        """Look and tell, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(None, self._safely(self._board.post, self.look()))
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self) -> HealthReading:
        """How things stand now."""
        now_ns = self._clock.monotonic_ns()
        if self._life.marked_ns != self._life_seen:
            self._life_seen, self._life_moved_ns = self._life.marked_ns, now_ns
        streams = []
        for name, watched in self._streams.items():
            if watched.heard != watched.seen:
                watched.seen, watched.moved_ns = watched.heard, now_ns
            streams.append(StreamHealth(name=name, connected=watched.connected, quiet_ns=now_ns - watched.moved_ns))
        return HealthReading(
            at_ns=self._clock.now_ns(),
            started_at_ns=self._started_at_ns,
            process=os.getpid(),
            mode=self._mode,
            loop_quiet_ns=now_ns - self._life_moved_ns,
            streams=tuple(streams),
        )

    def _safely(self, post: Callable[[HealthReading], None], reading: HealthReading) -> Callable[[], None]:
        def told() -> None:
            try:
                post(reading)
            except OSError as error:
                if not self._told_trouble:
                    self._told_trouble = True
                    self._log.warning(LogEvent.HEALTH_UNTOLD, error=str(error))
                return
            self._told_trouble = False

        return told
