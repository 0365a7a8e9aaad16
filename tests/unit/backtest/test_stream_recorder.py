"""The stream recorder: every file stands alone, a full disk is said once and outlived, verdicts are asked for."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.index import IndexLine, complete_index, read_index
from polystra.backtest.recordings.reader import RecordingReader, recording_files
from polystra.backtest.recordings.writer import Sizes
from polystra.backtest.stream_recorder import RETRY_S, Sources, StreamRecorder
from polystra.domain import events as ev
from polystra.domain.errors import RecordingError, VenueError, VenueUnreachable
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S
from tests.fakes.clock import ManualClock, settle
from tests.fakes.streams import FakeStream, FakeTokenStream
from tests.unit.engine.desk import DOWN, MARKET, UP, config

HEAD = Head(origin="record", mode="sim", created_ns=0, symbols=("BTC",), windows=("15m",))


class Notes:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def rotated(self, line: IndexLine) -> None:
        self.said.append(f"rotated {line.inputs}")

    def failed(self, error: RecordingError) -> None:
        self.said.append(f"failed: {error}")

    def resumed(self) -> None:
        self.said.append("resumed")

    def unanswered(self, question: str, error: VenueError) -> None:
        self.said.append(f"unanswered {question}: {error}")


class Venue:
    """Discovery and public questions."""

    def __init__(self) -> None:
        self.verdict: ev.MarketResolved | None = None
        self.book_down = False
        self.books_asked: list[TokenId] = []

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        wanted = (MARKET.symbol, MARKET.window_s, MARKET.opens_at_s)
        return MARKET if (symbol, window_s, opens_at_s) == wanted else None

    async def book(self, token_id: TokenId) -> ev.BookSnapshot:
        self.books_asked.append(token_id)
        if self.book_down:
            raise VenueUnreachable("not now")
        return snapshot(token_id, 40, 42)

    async def resolution(self, condition_id: ConditionId) -> ev.MarketResolved | None:
        assert condition_id == MARKET.condition_id
        return self.verdict


def snapshot(token: TokenId, bid: int, ask: int) -> ev.BookSnapshot:
    return ev.BookSnapshot(
        token_id=token, bids=((bid * 10_000, 5 * MICRO),), asks=((ask * 10_000, 6 * MICRO),), at_ns=1
    )


def change(price: int, size: int, *, best_bid: int) -> ev.BookChanged:
    level = ev.LevelChange(UP, Side.BUY, price * 10_000, size * MICRO, best_bid * 10_000)
    return ev.BookChanged(changes=(level,), at_ns=2)


class Scene:
    """A recorder at the beginning of the window of `MARKET`, its streams and its folder."""

    def __init__(self, folder: Path, sizes: Sizes, limit: int = 0) -> None:
        self.folder = folder
        self.clock = ManualClock(MARKET.opens_at_s * NS_PER_S + NS_PER_S)
        self.market = FakeTokenStream()
        self.prices = FakeStream(ev.StreamName.PRICES)
        self.notes = Notes()
        self.venue = Venue()
        self.recorder = StreamRecorder(
            folder=folder,
            head=HEAD,
            sizes=sizes,
            config=replace(config(), windows_s=(MARKET.window_s,), symbols=(MARKET.symbol,)),
            sources=Sources(
                market_stream=self.market,
                streams={"prices": self.prices},
                discovery=self.venue,
                questions=self.venue,
            ),
            clock=self.clock,
            notes=self.notes,
            markets_limit=limit,
        )

    def read(self, *paths: Path) -> list[ev.WorldEvent]:
        return [each.event for each in RecordingReader(paths or recording_files([self.folder]))]


@asynccontextmanager
async def recording(folder: Path, *, sizes: Sizes | None = None, limit: int = 0) -> AsyncIterator[Scene]:
    scene = Scene(folder, sizes or Sizes(), limit)
    running = asyncio.ensure_future(scene.recorder.run())
    await settle()
    yield scene
    scene.recorder.stop()
    await running


def tick(number: int) -> ev.PriceTicked:
    return ev.PriceTicked(symbol="BTC", source=ev.PriceSource.SETTLEMENT, price=number, at_ns=number)


async def test_what_the_streams_say_comes_back_in_order(tmp_path: Path):
    printed = ev.PublicTrade(token_id=UP, side=Side.BUY, price=420_000, size=MICRO, at_ns=3)
    async with recording(tmp_path) as scene:
        assert scene.market.tokens == {UP, DOWN}
        said: list[ev.WorldEvent] = [snapshot(UP, 40, 42), change(41, 7, best_bid=41), printed]
        for event in said:
            scene.market.say(event)
        scene.prices.say(tick(5))
    events = scene.read()
    assert events[-4:] == [*said, tick(5)]
    assert ev.MarketsListed(markets=(MARKET,)) in events
    [line] = read_index(tmp_path)
    assert (line.origin, line.markets, line.inputs) == ("record", (MARKET.slug,), len(events))
    assert line.kinds["PublicTrade"] == 1
    assert scene.notes.said == [f"rotated {len(events)}"]


async def test_every_file_stands_alone(tmp_path: Path):
    async with recording(tmp_path, sizes=Sizes(file_bytes=1)) as scene:
        scene.market.say(snapshot(UP, 40, 42))
        scene.market.say(change(41, 7, best_bid=41))
        scene.recorder.writer.flush()
        scene.prices.say(tick(5))
    first, second = recording_files([tmp_path])
    assert ev.MarketsListed(markets=(MARKET,)) in scene.read(second)
    shown = [event for event in scene.read(second) if isinstance(event, ev.BookSnapshot)]
    assert [(each.token_id, each.bids) for each in shown] == [(UP, ((410_000, 7 * MICRO), (400_000, 5 * MICRO)))]
    streams = {event.stream for event in scene.read(second) if isinstance(event, ev.StreamConnected)}
    assert streams == {ev.StreamName.MARKET, ev.StreamName.PRICES}
    assert len(RecordingReader([first, second]).heads) == 2


async def test_a_file_is_not_begun_for_what_is_known_already(tmp_path: Path):
    async with recording(tmp_path, sizes=Sizes(file_bytes=1)) as scene:
        scene.prices.say(tick(5))
        scene.recorder.writer.flush()
        await scene.clock.advance(60)
    assert len(recording_files([tmp_path])) == 1


async def test_silence_does_not_hold_up_what_was_heard(tmp_path: Path):
    async with recording(tmp_path, sizes=Sizes(block_s=5)) as scene:
        scene.prices.say(tick(5))
        await scene.clock.advance(4)
        assert not scene.recorder.writer.is_open
        await scene.clock.advance(2)
        assert tick(5) in scene.read()


async def test_a_full_disk_is_said_once_and_outlived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.fsync

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with recording(tmp_path) as scene:
        scene.market.say(snapshot(UP, 40, 42))
        await scene.clock.advance(6)
        monkeypatch.setattr(os, "fsync", full)
        for number in range(1, 5):
            scene.prices.say(tick(number))
            await scene.clock.advance(RETRY_S)
        scene.market.say(change(41, 7, best_bid=41))
        assert [words.partition(" ")[0] for words in scene.notes.said] == ["failed:", "rotated"]
        assert "No space left on device" in scene.notes.said[0]
        monkeypatch.setattr(os, "fsync", real)
        await scene.clock.advance(RETRY_S + 1)
        assert scene.notes.said[-1] == "resumed"
        scene.prices.say(tick(9))
    events = scene.read()
    assert [event.price for event in events if isinstance(event, ev.PriceTicked)] == [9]
    *_, last = [event for event in events if isinstance(event, ev.BookSnapshot)]
    assert dict(last.bids)[410_000] == 7 * MICRO
    assert len(read_index(tmp_path)) == 2


async def test_the_verdict_is_recorded_once_and_ends_a_limited_run(tmp_path: Path):
    async with recording(tmp_path, limit=1) as scene:
        await scene.clock.advance(MARKET.window_s + 60)
        assert scene.recorder.resolved == 0
        scene.venue.verdict = ev.MarketResolved(condition_id=MARKET.condition_id, up_payout=MICRO, at_ns=1)
        await scene.clock.advance(11)
        assert scene.recorder.resolved == 1
        assert scene.market.tokens == set()
    assert scene.read().count(scene.venue.verdict) == 1


async def test_a_market_whose_verdict_never_comes_is_not_listened_to_for_ever(tmp_path: Path):
    async with recording(tmp_path) as scene:
        scene.market.say(snapshot(UP, 40, 42))
        await scene.clock.advance(MARKET.window_s + 6 * 3_600)
        await settle()
        assert scene.market.tokens == {UP, DOWN}
        await scene.clock.advance(120)
        await settle()
        assert scene.market.tokens == set()
        scene.recorder.writer.abandon()
        scene.recorder.writer.begin_anew(scene.clock.now_ns())
    last = scene.read(recording_files([tmp_path])[-1])
    assert not [event for event in last if isinstance(event, ev.BookSnapshot | ev.MarketsListed)]


async def test_a_book_that_contradicts_the_venue_is_read_anew(tmp_path: Path):
    async with recording(tmp_path) as scene:
        scene.market.say(snapshot(UP, 40, 42))
        scene.venue.book_down = True
        scene.market.say(change(39, 7, best_bid=41))
        await scene.clock.advance(2)
        scene.venue.book_down = False
        await scene.clock.advance(3)
        asked = len(scene.venue.books_asked)
        await scene.clock.advance(30)
    assert len(scene.venue.books_asked) == asked == 2
    assert "unanswered book: not now" in scene.notes.said
    assert scene.read().count(snapshot(UP, 40, 42)) == 2


async def test_a_clock_that_is_set_back_does_not_turn_the_recording_back(tmp_path: Path):
    async with recording(tmp_path) as scene:
        scene.prices.say(tick(1))
        scene.clock._now_ns -= 50 * NS_PER_S
        scene.prices.say(tick(2))
    reader = RecordingReader(recording_files([tmp_path]))
    assert [event.price for _, event in reader if isinstance(event, ev.PriceTicked)] == [1, 2]
    assert reader.report.left_out == 0


async def test_a_file_that_a_dead_recorder_left_is_entered_into_the_index(tmp_path: Path):
    async with recording(tmp_path) as scene:
        scene.prices.say(tick(1))
        await scene.clock.advance(6)
        inputs = len(scene.read())
    [whole] = recording_files([tmp_path])
    (tmp_path / "index.jsonl").unlink()
    content = whole.read_bytes()
    whole.write_bytes(content + b"PRBKtorn")
    assert complete_index(tmp_path, "session") == []
    [said] = complete_index(tmp_path, "record")
    assert said == (
        f"{whole.name}: was not closed; {inputs} inputs are whole and in the index now; its last 8 bytes are an "
        "unfinished block, which readers leave out"
    )
    assert [line.inputs for line in read_index(tmp_path)] == [inputs]
    assert complete_index(tmp_path, "record") == []
