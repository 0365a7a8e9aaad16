"""When a heart beats: every five seconds while the engine's loop lives, from a thread of its own.

What lives here: the rhythm, the two ways to run it, what is told of it. What must not: the request and
its chain of ids (`heartbeats`), what a gap means for orders (engine).

`ThreadHeart` is for real time: a stall of the main loop shorter than `LIFE_LIMIT_S` does not stop it.
`InlineHeart` is for virtual time, where there is one loop and no thread may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from polystra.adapters.polymarket.heartbeats import HEARTBEAT_EVERY_S
from polystra.domain.errors import RateLimited, VenueError
from polystra.domain.events import HeartbeatState, HeartbeatTold
from polystra.domain.units import NS_PER_S, Nanos
from polystra.domain.venue import HEARTBEAT_GAP_NS
from polystra.ports.clock import Clock
from polystra.ports.heartbeat import HeartSink, LifeSign

Beat: TypeAlias = Callable[[], Awaitable[bool]]
"""Beats once; True when the venue expected another id than our last one. Raises VenueError."""
OpenBeat: TypeAlias = Callable[[], AbstractAsyncContextManager[Beat]]
"""Opens a connection for beats, inside the loop that will use it."""
_Running: TypeAlias = tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]
"""The thread's loop and its one task."""

LIFE_LIMIT_S: Final = 8.0
ALARM_AFTER: Final = 2
"""Failures in a row that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Seconds: between beats, for one answer, before the next try, and how old the sign of life may be."""

    every_s: float = HEARTBEAT_EVERY_S
    answer_s: float = 2.5
    again_s: float = 1.0
    life_limit_s: float = LIFE_LIMIT_S


class Pacemaker:
    """One series of beats; the same on whichever loop it runs."""

    def __init__(self, *, clock: Clock, life: LifeSign, tell: HeartSink, rhythm: Rhythm) -> None:
        self._clock = clock
        self._life = life
        self._tell = tell
        self._rhythm = rhythm
        self._accepted_ns: Nanos | None = None
        """When the last accepted beat was sent: the venue took it no earlier."""
        self._failures = 0
        self._silent = False
        self._contested = False
        self._followed = False
        """A beat of ours has followed another of ours in this run."""

    async def run(self, beat: Beat) -> None:
        """Beat for ever."""
        while True:
            if self._life.age_ns() > self._rhythm.life_limit_s * NS_PER_S:
                self._watch("the daemon's own loop stands still, so that no beat is sent")
                await self._clock.sleep(self._rhythm.again_s / 2)
                continue
            started_ns = self._clock.monotonic_ns()
            pause_s = await self._beat(beat)
            spent_s = (self._clock.monotonic_ns() - started_ns) / NS_PER_S
            await self._clock.sleep(max(0.0, pause_s - spent_s))

    async def _beat(self, beat: Beat) -> float:
        """Beat once; returns the seconds from its start to the next."""
        sent_ns = self._clock.monotonic_ns()
        try:
            async with self._clock.timeout(self._rhythm.answer_s):
                was_adopted = await beat()
        except TimeoutError:
            return self._failed(f"no answer within {self._rhythm.answer_s:g} s", self._rhythm.again_s)
        except RateLimited as error:
            return self._failed(str(error), min(self._rhythm.every_s, max(self._rhythm.again_s, error.retry_after_s)))
        except VenueError as error:
            return self._failed(str(error), self._rhythm.again_s)
        self._accepted(sent_ns, was_adopted)
        return self._rhythm.every_s

    def _accepted(self, sent_ns: Nanos, was_adopted: bool) -> None:
        first, previous_ns = self._accepted_ns is None, self._accepted_ns
        gap_ns = 0 if previous_ns is None else self._clock.monotonic_ns() - previous_ns
        was_told = self._silent or self._contested or self._failures >= ALARM_AFTER
        is_contested = was_adopted and not (first or self._failures or self._silent)
        if is_contested and not self._contested:
            words = "the venue expected an id that another sender was given: somebody else beats for this API key"
            self._tell(HeartbeatTold(state=HeartbeatState.CONTESTED, gap_ns=gap_ns, reason=words))
        self._contested = is_contested
        self._accepted_ns, self._failures, self._silent = sent_ns, 0, False
        if first or (was_told and not is_contested) or gap_ns > HEARTBEAT_GAP_NS:
            self._tell(HeartbeatTold(state=HeartbeatState.BEATING, gap_ns=gap_ns, reason="accepted"))
        if not (first or was_adopted or self._followed):
            self._followed = True
            self._tell(HeartbeatTold(state=HeartbeatState.FOLLOWED, gap_ns=gap_ns, reason="accepted"))

    def _failed(self, reason: str, pause_s: float) -> float:
        self._failures += 1
        if self._failures == ALARM_AFTER:
            self._tell(HeartbeatTold(state=HeartbeatState.FAILING, gap_ns=self._gap_ns(), reason=reason))
        self._watch(reason)
        return pause_s

    def _watch(self, reason: str) -> None:
        """Tell once when the silence has become too long."""
        gap_ns = self._gap_ns()
        if gap_ns > HEARTBEAT_GAP_NS and not self._silent:
            self._silent = True
            self._tell(HeartbeatTold(state=HeartbeatState.SILENT, gap_ns=gap_ns, reason=reason))

    def _gap_ns(self) -> Nanos:
        return 0 if self._accepted_ns is None else self._clock.monotonic_ns() - self._accepted_ns


class InlineHeart:
    """A heart on the daemon's own loop."""

    def __init__(self, open_beat: OpenBeat, *, clock: Clock, life: LifeSign, rhythm: Rhythm | None = None) -> None:
        self._open_beat = open_beat
        self._clock = clock
        self._life = life
        self._rhythm = rhythm or Rhythm()
        self._wanted = asyncio.Event()

    def start(self) -> None:
        """Begin to beat."""
        self._wanted.set()

    async def run(self, sink: HeartSink) -> None:
        """Wait for `start`, then beat for ever."""
        await self._wanted.wait()
        async with self._open_beat() as beat:
            await Pacemaker(clock=self._clock, life=self._life, tell=sink, rhythm=self._rhythm).run(beat)


class ThreadHeart:
    """A heart with a thread, a loop and a connection of its own. The clock must be one that any thread may read."""

    def __init__(self, open_beat: OpenBeat, *, clock: Clock, life: LifeSign, rhythm: Rhythm | None = None) -> None:
        self._open_beat = open_beat
        self._clock = clock
        self._life = life
        self._rhythm = rhythm or Rhythm()
        self._wanted = asyncio.Event()

    def start(self) -> None:
        """Begin to beat."""
        self._wanted.set()

    async def run(self, sink: HeartSink) -> None:
        """Wait for `start`, then beat for ever; cancelling it ends the thread before it returns.

        Raises:
            Exception: whatever the thread failed with, which is a bug.
        """
        await self._wanted.wait()
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[HeartbeatTold | None] = asyncio.Queue()
        beating: asyncio.Future[_Running | None] = loop.create_future()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="heartbeat")

        def post(event: HeartbeatTold | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, event)

        def resolve(running: _Running | None) -> None:
            if not beating.done():
                beating.set_result(running)

        async def beat_for_ever() -> None:
            task = asyncio.current_task()
            assert task is not None  # it runs as one
            loop.call_soon_threadsafe(resolve, (asyncio.get_running_loop(), task))
            async with self._open_beat() as beat:
                await Pacemaker(clock=self._clock, life=self._life, tell=post, rhythm=self._rhythm).run(beat)

        def work() -> None:
            try:
                with asyncio.Runner() as runner, suppress(asyncio.CancelledError):
                    runner.run(beat_for_ever())
            finally:
                loop.call_soon_threadsafe(resolve, None)
                post(None)

        ended = executor.submit(work)
        try:
            while (event := await told.get()) is not None:
                sink(event)
        finally:
            await _end(beating)
            executor.shutdown(wait=True)
        ended.result()


async def _end(beating: asyncio.Future[_Running | None]) -> None:
    """Cancel the thread's task, unless it never began or its loop is closed already."""
    running = await beating
    if running is None:
        return
    thread_loop, task = running
    with suppress(RuntimeError):
        thread_loop.call_soon_threadsafe(task.cancel)
