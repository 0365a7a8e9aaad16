"""The dead man's ping: an external monitor hears of us only while the engine's loop works.

What lives here: the rhythm and the condition. What must not: the request (adapters), the venue's own switch
(heartbeats). The monitor alarms when pings stay away: that also covers a machine that is off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.heartbeat import LifeSign
from polystra.ports.notify import AlertNotDelivered

LIFE_LIMIT_S: Final = 30.0
"""The loop marks its life about once a second; a commit that waits for a busy database may take longer."""


class DeadMan:
    """Pings every `every_s` of `clock` while `life` is young. `trouble` is told once of each silence."""

    def __init__(
        self,
        ping: Callable[[], Awaitable[None]],
        *,
        life: LifeSign,
        clock: Clock,
        every_s: int,
        trouble: Callable[[str], None],
    ) -> None:
        self._ping = ping
        self._life = life
        self._clock = clock
        self._every_s = every_s
        self._trouble = trouble
        self._told = False
        self.pings = 0

    async def run(self) -> None:
        """Ping for ever."""
        while True:
            await self._beat()
            await self._clock.sleep(self._every_s)

    async def _beat(self) -> None:
        age_s = self._life.age_ns() // NS_PER_S
        if age_s > LIFE_LIMIT_S:
            self._tell(f"the engine's loop has stood still for {age_s} s: the monitor is not pinged")
            return
        try:
            await self._ping()
        except AlertNotDelivered as error:
            self._tell(str(error))
            return
        self.pings += 1
        self._told = False

    def _tell(self, words: str) -> None:
        if not self._told:
            self._told = True
            self._trouble(words)
