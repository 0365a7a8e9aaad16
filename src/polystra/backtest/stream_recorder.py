"""The stream recorder: what public streams say of the configured markets, into files, for as long as it runs.

What lives here: listening, finding markets and their verdicts, and what happens when the disk takes nothing. What
must not: the format (`recordings`), sockets (the streams are handed in), an account: no key is needed.

A disk that is full is said once and looked at again every `RETRY_S`; then a new file begins with what is known by
then, and what came meanwhile is missing. Each file begins so and stands alone. Times never run backwards in a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.index import IndexLine
from polystra.backtest.recordings.writer import RecordingWriter, Sizes
from polystra.backtest.scene import Scene
from polystra.backtest.watchlist import Watchlist
from polystra.domain.errors import RecordingError, VenueError
from polystra.domain.events import BookSnapshot, MarketResolved, MarketsListed, WorldEvent
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.config import EngineConfig
from polystra.engine.effects import DiscoverMarket
from polystra.ports.clock import Clock
from polystra.ports.venue import EventStream, MarketDiscovery, TokenStream

LOOK_EVERY_S: Final = 1.0
CALENDAR_EVERY_S: Final = 10.0
RETRY_S: Final = 30
_RESYNC_PAUSE_NS: Final = 2 * NS_PER_S


class PublicQuestions(Protocol):
    """What is asked of the venue without an account."""

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token; raises `VenueError`."""
        ...

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        """The verdict, None while there is none; raises `VenueError`."""
        ...


class Notes(Protocol):
    """Hears what is worth a line."""

    def rotated(self, line: IndexLine) -> None:
        """A file is whole and in the index."""
        ...

    def failed(self, error: RecordingError) -> None:
        """The disk takes nothing; it is tried again."""
        ...

    def resumed(self) -> None:
        """The disk takes blocks again."""
        ...

    def unanswered(self, question: str, error: VenueError) -> None:
        """A question to the venue failed; it is asked again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where everything comes from."""

    market_stream: TokenStream
    streams: Mapping[str, EventStream]
    discovery: MarketDiscovery
    questions: PublicQuestions


class StreamRecorder:
    """One run. `stop` may be called from a signal handler of the same loop."""

    def __init__(
        self,
        *,
        folder: Path,
        head: Head,
        sizes: Sizes,
        config: EngineConfig,
        sources: Sources,
        clock: Clock,
        notes: Notes,
        markets_limit: int = 0,
    ) -> None:
        """Make the folder where it is missing.

        Raises:
            RecordingError: it cannot be made.
        """
        self._clock: Final = clock
        self._sources: Final = sources
        self._notes: Final = notes
        self._limit: Final = markets_limit
        self._scene: Final = Scene()
        self._watchlist: Final = Watchlist(config)
        self.writer: Final = RecordingWriter(
            folder, head, sizes, opening=self._scene.opening, on_closed=self._notes.rotated
        )
        self._last_ns: Nanos = 0
        self._paused_ns: Nanos | None = None
        self._torn: dict[TokenId, Nanos] = {}
        self._stopping = asyncio.Event()
        self.resolved = 0
        """Markets whose verdict was recorded."""

    def stop(self) -> None:
        """End in order: what waits is written, the file closed."""
        self._stopping.set()

    async def run(self) -> None:
        """Record until stopped.

        Raises:
            RecordingError: the last block could not be written.
        """
        sources = self._sources
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(sources.market_stream.run(self.take), name="market stream"),
                    *(group.create_task(each.run(self.take), name=name) for name, each in sources.streams.items()),
                    group.create_task(self._every(CALENDAR_EVERY_S, self._find_markets), name="calendar"),
                    group.create_task(self._every(LOOK_EVERY_S, self._look_after), name="care"),
                ]
                await self._stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            if self._paused_ns is None:
                self.writer.close()

    def take(self, event: WorldEvent) -> None:
        """Record one input now."""
        now_ns = self._last_ns = max(self._last_ns, self._clock.now_ns())
        for token in self._scene.saw(event, now_ns):
            self._torn.setdefault(token, 0)
        if self._paused_ns is None:
            self._try(lambda: self.writer.add(event, now_ns))

    # --- inside -----------------------------------------------------------------------

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except RecordingError as error:
            if self._paused_ns is None:
                self._notes.failed(error)
            self._paused_ns = self._clock.monotonic_ns()
            self.writer.abandon()

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await work()
            await self._clock.sleep(seconds)

    async def _look_after(self) -> None:
        """Write what has waited long enough, try a full disk again, read torn books, ask for verdicts."""
        now_ns = self._last_ns = max(self._last_ns, self._clock.now_ns())
        if self._paused_ns is None:
            self._try(lambda: self.writer.flush_due(now_ns))
        elif self._clock.monotonic_ns() - self._paused_ns >= RETRY_S * NS_PER_S:
            self._resume(now_ns)
        for token, asked_ns in list(self._torn.items()):
            if now_ns - asked_ns >= _RESYNC_PAUSE_NS:
                self._torn[token] = now_ns
                await self._read_book(token)
        for market in self._watchlist.awaiting_verdict(now_ns):
            await self._ask_verdict(market)
        for market in self._watchlist.given_up():
            self._forget(market)

    def _resume(self, now_ns: Nanos) -> None:
        self._try(lambda: self.writer.begin_anew(now_ns))
        if self.writer.is_open:
            self._paused_ns = None
            self._notes.resumed()

    async def _find_markets(self) -> None:
        for wanted in self._watchlist.missing(self._clock.now_ns()):
            await self._find(wanted)

    async def _find(self, wanted: DiscoverMarket) -> None:
        try:
            market = await self._sources.discovery.find(wanted.symbol, wanted.window_s, wanted.opens_at_s)
        except VenueError as error:
            self._notes.unanswered("market", error)
            return
        if market is not None:
            event = MarketsListed(markets=(market,))
            tokens = self._watchlist.listed(event, self._clock.now_ns())
            self.take(event)
            self._sources.market_stream.subscribe(tokens)

    async def _read_book(self, token_id: TokenId) -> None:
        try:
            snapshot = await self._sources.questions.book(token_id)
        except VenueError as error:
            self._notes.unanswered("book", error)
            return
        self._torn.pop(token_id, None)
        self.take(snapshot)

    async def _ask_verdict(self, market: Market) -> None:
        try:
            verdict = await self._sources.questions.resolution(market.condition_id)
        except VenueError as error:
            self._notes.unanswered("resolution", error)
            return
        if verdict is None or self._watchlist.resolved(verdict) is None:
            return
        self.take(verdict)
        self._forget(market)
        self.resolved += 1
        if self._limit and self.resolved >= self._limit:
            self.stop()

    def _forget(self, market: Market) -> None:
        """Its business is done: it is listened to no longer, and no file begins with its books."""
        tokens = (market.up_token, market.down_token)
        self._sources.market_stream.unsubscribe(tokens)
        for token in tokens:
            self._torn.pop(token, None)
        self._scene.forget(market)
