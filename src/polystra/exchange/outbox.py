"""A bounded queue between a broadcaster and one websocket client.

What lives here: never waiting for a slow reader. When the queue is full the oldest frames give
way and are counted. What must not: what the frames mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Frame = TypeVar("Frame")


class Outbox(Generic[Frame]):
    """Frames on their way to one client; `dropped` counts those that gave way since it was last reset."""

    def __init__(self, limit: int) -> None:
        self._frames: deque[Frame] = deque()
        self._limit = limit
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Add a frame without waiting."""
        if len(self._frames) >= self._limit:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(frame)
        self._filled.set()

    async def get(self) -> Frame:
        """Wait for the next frame."""
        while not self._frames:
            self._filled.clear()
            await self._filled.wait()
        return self._frames.popleft()
