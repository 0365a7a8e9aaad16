"""Streams that say what a test tells them to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from polystra.domain.events import StreamConnected, StreamName, WorldEvent
from polystra.domain.ids import TokenId
from polystra.ports.venue import Sink


class FakeStream:
    """Fulfils `EventStream`: connects at once, then delivers whatever `say` is given."""

    def __init__(self, name: StreamName) -> None:
        self._name = name
        self._sink: Sink | None = None

    async def run(self, sink: Sink) -> None:
        self._sink = sink
        sink(StreamConnected(stream=self._name))
        await asyncio.get_running_loop().create_future()

    def say(self, event: WorldEvent) -> None:
        assert self._sink is not None, "the stream does not run yet"
        self._sink(event)


class FakeTokenStream(FakeStream):
    """Fulfils `TokenStream` and remembers the subscriptions."""

    def __init__(self) -> None:
        super().__init__(StreamName.MARKET)
        self.tokens: set[TokenId] = set()

    def subscribe(self, token_ids: Iterable[TokenId]) -> None:
        self.tokens |= set(token_ids)

    def unsubscribe(self, token_ids: Iterable[TokenId]) -> None:
        self.tokens -= set(token_ids)
