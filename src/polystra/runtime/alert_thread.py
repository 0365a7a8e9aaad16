"""The thread that alerts leave from: a loop of its own, so that no slow channel ever holds a trade.

What lives here: start, orderly end within a bound, the hand-over of alerts and of troubles. What must not: the
queues (`alert_post`), the words (`alerts`). It runs in real time whatever the pace of the run: a person's
phone does not know simulated time, and on the deterministic loop nothing of it draws chance or makes a task.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.notify import Alert
from polystra.runtime.alert_post import LOOK_EVERY_S, AlertPost
from polystra.runtime.dead_man import DeadMan

LAST_WORDS_S: Final = 5.0
"""How long a stop waits for what still has to leave."""
_JOIN_MARGIN_S: Final = 1.0
_TROUBLES_KEPT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What runs in the thread; connections are opened on its loop, at the first message."""

    posts: Sequence[AlertPost]
    closers: Sequence[Callable[[], Awaitable[None]]]
    """Each releases a connection."""
    dead_man: DeadMan | None = None
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Further eternal tasks that belong to no trade: a chat's commands."""


class AlertThread:
    """Fulfils `Notifier` for all channels. `make` is given where troubles go."""

    def __init__(self, make: Callable[[Callable[[str], None]], Outgoing], *, clock: Clock) -> None:
        self._clock = clock
        self._troubles: deque[str] = deque(maxlen=_TROUBLES_KEPT)
        self._outgoing = make(self._troubles.append)
        self._closing = threading.Event()
        self._started = False
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._started = True
        self._thread.start()

    def notify(self, alert: Alert) -> None:
        """Hand an alert to every channel."""
        for post in self._outgoing.posts:
            post.notify(alert)

    def troubles(self) -> list[str]:
        """What went wrong since this was last asked, in words."""
        found = []
        while self._troubles:
            found.append(self._troubles.popleft())
        if self._started and not self._closing.is_set() and not self._thread.is_alive():
            self._started = False
            found.append("the thread that alerts leave from has ended: no alert leaves until the next start")
        return found

    def close(self) -> None:
        """Give what waits a last chance, then end; returns within `LAST_WORDS_S` and a second."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(LAST_WORDS_S + _JOIN_MARGIN_S)

    # --- inside the thread ------------------------------------------------------------

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        out = self._outgoing
        eternal = [post.run() for post in out.posts]
        if out.dead_man is not None:
            eternal.append(out.dead_man.run())
        eternal += [beside() for beside in out.beside]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(task) for task in eternal]
            while not self._closing.is_set():
                await self._clock.sleep(LOOK_EVERY_S)
            give_up_ns = self._clock.monotonic_ns() + int(LAST_WORDS_S * NS_PER_S)
            while self._clock.monotonic_ns() < give_up_ns and not all(post.is_idle for post in out.posts):
                await self._clock.sleep(LOOK_EVERY_S / 4)
            for task in tasks:
                task.cancel()
        for close in out.closers:
            await close()
