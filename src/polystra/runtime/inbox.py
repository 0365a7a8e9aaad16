"""The inbox: the one way in. Inputs are taken one at a time, in the order in which they came.

While the engine is behind (`conflate_from` waiting inputs), changes of a market's books join those of it that wait
already: each level as it was told last, so that what is looked at next is the latest. They never pass a snapshot, the
news of a broken stream, or a change of their book that waits by itself.

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
    LevelChange,
    PriceTicked,
    PublicTrade,
    StreamConnected,
    StreamLost,
    StreamName,
    WorldEvent,
)
from polystra.domain.ids import TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MicroPrice, Nanos

_MARKET_DATA: Final = (BookChanged, BookSnapshot, PriceTicked, PublicTrade)
CONFLATE_FROM: Final = 1_000
MARKET_DATA_LIMIT: Final = 20_000
HARD_LIMIT: Final = 200_000
_GAP: Final = StreamLost(stream=StreamName.MARKET, reason="inbox overflow: market data was dropped")
_GAP_ENDED: Final = StreamConnected(stream=StreamName.MARKET)


class _Joined:
    """Changes of the books of one market, each level as it was told last, in the order of being told."""

    __slots__ = ("at_ns", "levels", "tokens")

    def __init__(self) -> None:
        self.levels: dict[tuple[TokenId, Side, MicroPrice], LevelChange] = {}
        self.tokens: set[TokenId] = set()
        self.at_ns: Nanos = 0

    def add(self, event: BookChanged) -> None:
        """Take the changes of a later message; the last of a token tells its top."""
        for change in event.changes:
            key = (change.token_id, change.side, change.price)
            self.levels.pop(key, None)
            self.levels[key] = change
            self.tokens.add(change.token_id)
        self.at_ns = event.at_ns

    def event(self) -> BookChanged:
        """One message with all of it."""
        return BookChanged(changes=tuple(self.levels.values()), at_ns=self.at_ns)


class Inbox:
    """A queue with one reader and any number of writers on the same loop."""

    def __init__(
        self,
        *,
        market_data_limit: int = MARKET_DATA_LIMIT,
        hard_limit: int = HARD_LIMIT,
        conflate_from: int = CONFLATE_FROM,
    ) -> None:
        self._waiting: deque[WorldEvent | _Joined] = deque()
        self._joined: dict[TokenId, _Joined] = {}
        self._conflate_from = conflate_from
        self._filled = asyncio.Event()
        self._market_data_limit = market_data_limit
        self._hard_limit = hard_limit
        self._dropping = False
        self.dropped = 0
        self.conflated = 0
        """Messages that joined one that waited."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: WorldEvent) -> None:
        """Add an input; never blocks.

        Raises:
            InvariantViolation: more than `hard_limit` inputs wait that may not be dropped.
        """
        if type(event) is BookChanged:
            if len(self._waiting) >= self._conflate_from and self._join(event):
                return
            if self._joined:
                self._part(event)
        elif self._joined and isinstance(event, BookSnapshot | StreamLost | StreamConnected):
            self._joined.clear()
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
        taken = [self._popped() for _ in range(min(most, len(self._waiting)))]
        if self._dropping and not self._waiting:
            self._dropping = False
            taken.append(_GAP_ENDED)
        return taken

    def _join(self, event: BookChanged) -> bool:
        """Have a message join one of its market that waits, or be the first to wait for others; True: it has its place.

        Where a message is about tokens that wait in two places it begins a third, behind both.
        """
        places = {id(found): found for each in event.changes if (found := self._joined.get(each.token_id)) is not None}
        if len(places) == 1:
            (joined,) = places.values()
            self.conflated += 1
        elif len(self._waiting) >= self._market_data_limit or self._dropping:
            return False
        else:
            joined = _Joined()
            self._waiting.append(joined)
            self._filled.set()
        joined.add(event)
        for change in event.changes:
            self._joined[change.token_id] = joined
        return True

    def _part(self, event: BookChanged) -> None:
        """A message waits by itself behind those that wait joined, or is lost: later ones must not come before it."""
        for change in event.changes:
            self._joined.pop(change.token_id, None)

    def _popped(self) -> WorldEvent:
        first = self._waiting.popleft()
        if not isinstance(first, _Joined):
            return first
        for token_id in first.tokens:
            if self._joined.get(token_id) is first:
                del self._joined[token_id]
        return first.event()

    def _drop(self) -> None:
        self.dropped += 1
        if not self._dropping:
            self._dropping = True
            self._waiting.append(_GAP)
