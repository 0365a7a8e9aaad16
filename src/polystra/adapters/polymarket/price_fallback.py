"""A stand-in for the price stream: the older socket while the current one stays away.

What lives here: when the stand-in runs. What must not: sockets and payloads (`price_stream`,
`rtds_stream`).

Both streams speak for `StreamName.PRICES`, and what each says is passed on as it is: the
engine hears of a loss when the one that delivered broke, and of a connection when either is
back. The stand-in begins when the primary has been away for `patience_s` and is cancelled
when the primary is connected again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from polystra.domain.events import StreamConnected, StreamLost, WorldEvent
from polystra.ports.clock import Clock
from polystra.ports.venue import EventStream, Sink

PATIENCE_S: Final = 30.0


class FallbackPriceStream:
    """`ports.venue.EventStream` over two others; see the module docstring. Seconds are the clock's."""

    def __init__(
        self, *, primary: EventStream, fallback: EventStream, clock: Clock, patience_s: float = PATIENCE_S
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._clock = clock
        self._patience_s = patience_s
        self._up = asyncio.Event()
        self._down = asyncio.Event()

    async def run(self, sink: Sink) -> None:
        """Run the primary for ever, and the stand-in while it is missed; ends only by cancellation."""
        self._down.set()

        def relay(event: WorldEvent) -> None:
            if isinstance(event, StreamConnected):
                self._down.clear()
                self._up.set()
            elif isinstance(event, StreamLost):
                self._up.clear()
                self._down.set()
            sink(event)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._primary.run(relay), name="prices")
            group.create_task(self._stand_by(sink), name="prices stand-in")

    async def _stand_by(self, sink: Sink) -> None:
        while True:
            await self._down.wait()
            try:
                async with self._clock.timeout(self._patience_s):
                    await self._up.wait()
            except TimeoutError:
                await self._stand_in(sink)

    async def _stand_in(self, sink: Sink) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._fallback.run(sink), name="older prices")
            await self._up.wait()
            running.cancel()
