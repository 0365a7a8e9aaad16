"""The inbox: the one way in. Inputs are taken one at a time, in the order in which they came.

Bounded. Market data is dropped beyond `market_data_limit` waiting inputs and the loss is
told, at the place of the gap, as a broken and re-made market stream, so that every book is
distrusted until its next snapshot. Order, fill and account facts are never dropped: beyond the hard limit the process
stops rather than trade on a false picture.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from polystra.domain.errors import InvariantViolation
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    PriceTicked,
    PublicTrade,
    StreamConnected,
    StreamLost,
    StreamName,
    WorldEvent,
)

_MARKET_DATA: Final = (BookChanged, BookSnapshot, PriceTicked, PublicTrade)
MARKET_DATA_LIMIT: Final = 20_000
HARD_LIMIT: Final = 200_000
_GAP: Final = StreamLost(stream=StreamName.MARKET, reason="inbox overflow: market data was dropped")
_GAP_ENDED: Final = StreamConnected(stream=StreamName.MARKET)


class Inbox:
    """A queue with one reader and any number of writers on the same loop."""

    def __init__(self, *, market_data_limit: int = MARKET_DATA_LIMIT, hard_limit: int = HARD_LIMIT) -> None:
        self._waiting: deque[WorldEvent] = deque()
        self._filled = asyncio.Event()
        self._market_data_limit = market_data_limit
        self._hard_limit = hard_limit
        self._dropping = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: WorldEvent) -> None:
        """Add an input; never blocks.

        Raises:
            InvariantViolation: more than `hard_limit` inputs wait that may not be dropped.
        """
        is_market_data = isinstance(event, _MARKET_DATA)
        if is_market_data and len(self._waiting) >= self._market_data_limit:
            self._drop()
            return
        if len(self._waiting) >= self._hard_limit:
            raise InvariantViolation(f"inbox: {self._hard_limit} inputs wait; the engine does not keep up")
        if is_market_data and self._dropping:
            self._dropping = False
            self._waiting.append(_GAP_ENDED)
        if isinstance(event, StreamLost | StreamConnected) and event.stream is StreamName.MARKET:
            self._dropping = False
        self._waiting.append(event)
        self._filled.set()

    async def take(self, most: int) -> list[WorldEvent]:
        """Wait for at least one input and return up to `most`, oldest first."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if self._dropping and not self._waiting:
            self._dropping = False
            taken.append(_GAP_ENDED)
        return taken

    def _drop(self) -> None:
        self.dropped += 1
        if not self._dropping:
            self._dropping = True
            self._waiting.append(_GAP)
