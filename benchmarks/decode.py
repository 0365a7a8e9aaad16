"""Reading the market channel: from a frame to a typed event to the book, on the recorded sessions.

Against the way of common bots: `json.loads`, a dict of floats for each side, the best prices by `max` and `min`.
Ours is the daemon's own: `MarketStream` hands the frame to its decoder, the event goes to the engine's
`MarketData`, which also compares the top of the book with the venue's own word. Afterwards every snapshot of
the recording is compared with the book that the changes before it have made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import cycle
from random import Random
from typing import Any, Final

from benchmarks import recorded
from benchmarks.figures import Report, Row, ratio
from benchmarks.rounds import race
from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.streams import MarketStream
from polystra.domain.events import BookChanged, BookSnapshot, WorldEvent
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.units import MICRO
from polystra.engine.config import EngineConfig
from polystra.engine.market_data import MarketData
from polystra.engine.state import EngineState, Turn
from polystra.engine.strategy.config import StrategyConfig

SECTION: Final = "2 decode and apply: from a frame to the book"
_PER_CALL: Final = 100


class OurBooks:
    """The daemon's way, from the frame on."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.state = EngineState(config=EngineConfig(symbols=("BTC",), windows_s=(300,), strategy=StrategyConfig()))
        self._data = MarketData(self.state)
        self._stream = MarketStream(url="ws://127.0.0.1:1", clock=SystemClock(), rng=Random(1))
        self._turn = Turn(now_ns=1)
        self.feed: Callable[[bytes], object] = partial(self._stream._deliver, sink=self._take)
        """Takes a frame: what a connection calls for each."""
        for number in range(0, len(tokens), 2):
            self._list(number, tokens[number], tokens[number + 1])

    def _list(self, number: int, up: str, down: str) -> None:
        market = Market(
            condition_id=ConditionId(f"0x{number:064x}"),
            slug="",
            symbol="BTC",
            window_s=300,
            opens_at_s=0,
            closes_at_s=300,
            up_token=TokenId(up),
            down_token=TokenId(down),
            tick_size=10_000,
            minimum_size=5 * MICRO,
            fees=FeeSchedule(70_000),
            rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
        )
        self.state.markets[market.condition_id] = self._data.new_market(market, None)
        for token in (up, down):
            self.state.market_of_token[TokenId(token)] = market.condition_id

    def _take(self, event: WorldEvent) -> None:
        if type(event) is BookChanged:
            self._data.changed(event, self._turn)
        elif type(event) is BookSnapshot:
            self._data.snapshot(event, self._turn)

    def book(self, token: str) -> tuple[dict[int, int], dict[int, int]]:
        """Both sides of a book."""
        market = self.state.market_for(TokenId(token))
        assert market is not None
        book = market.books[TokenId(token)]
        assert book.in_sync, "the book differs from the venue's own top"
        return book.bids, book.asks


class CommonBooks:
    """The way of common bots."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[float, float]]] = {}
        self.best: dict[str, tuple[float | None, float | None]] = {}

    def feed(self, frame: bytes) -> None:
        """Take a frame."""
        message = json.loads(frame.decode())  # a text is what the websocket library hands over
        if message["event_type"] == "book":
            token = message["asset_id"]
            self.books[token] = {
                "BUY": {float(level["price"]): float(level["size"]) for level in message["bids"]},
                "SELL": {float(level["price"]): float(level["size"]) for level in message["asks"]},
            }
            self._top(token)
        elif message["event_type"] == "price_change":
            for change in message["price_changes"]:
                token = change["asset_id"]
                side = self.books[token][change["side"]]
                price, size = float(change["price"]), float(change["size"])
                if size == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
                self._top(token)

    def _top(self, token: str) -> None:
        book = self.books[token]
        self.best[token] = (max(book["BUY"], default=None), min(book["SELL"], default=None))


def measure(report: Report, *, quick: bool) -> None:
    """Print what decoding and applying costs, and whether the books are exact."""
    if not recorded.is_there():
        report.tell(f"{SECTION}: skipped, no recordings at {recorded.SHARED}")
        return
    starts, changed = recorded.changes(20_000 if quick else 60_000)
    firsts = [frame.encode() for frame in starts]
    snapshots = [frame.encode() for frame in recorded.books(1_500)]
    words = {"rounds": 3 if quick else 7, "seconds": 0.1 if quick else 0.25}
    _race(
        report, "a price change of two levels", firsts, [each.frame.encode() for each in changed], at_least=3.0, **words
    )
    _race(report, "a full-depth book", [], snapshots, at_least=1.3, per_call=10, **words)
    _real(report)
    checked, levels = check(starts, changed)
    report.add(
        Row(
            section=SECTION,
            what=f"books compared with {checked:,} snapshots, {levels:,} levels",
            figure=0,
            of="differences",
            at_most=0,
        )
    )


def _race(
    report: Report,
    what: str,
    starts: Sequence[bytes],
    frames: Sequence[bytes],
    *,
    at_least: float,
    per_call: int = _PER_CALL,
    **words: Any,
) -> None:
    tokens = sorted({*_tokens(starts), *_tokens(frames[:200])})
    ours, common = OurBooks(tokens if len(tokens) % 2 == 0 else [*tokens, "1"]), CommonBooks()
    for frame in starts:
        ours.feed(frame)
        common.feed(frame)
    names = (f"polystra, {what}", f"json + dict, {what}")
    timings = race(
        {
            names[0]: _batches(ours.feed, starts, frames, per_call),
            names[1]: _batches(common.feed, starts, frames, per_call),
        },
        **words,
    )
    mine, theirs = (timings[name] for name in names)
    for token in tokens:
        ours.book(token)  # still in step with the venue's own top: nothing was skipped
    report.add(
        Row(section=SECTION, what=names[1], p50=theirs.p50 / per_call, p99=theirs.p99 / per_call),
        Row(
            section=SECTION,
            what=names[0],
            p50=mine.p50 / per_call,
            p99=mine.p99 / per_call,
            figure=ratio(theirs.p50s, mine.p50s),
            of="x faster",
            at_least=at_least,
        ),
    )


def _batches(
    feed: Callable[[bytes], object], starts: Sequence[bytes], frames: Sequence[bytes], per_call: int
) -> Callable[[], object]:
    """A call that feeds some frames: one alone is too short for the clock. Each time through begins with `starts`."""
    cut = [frames[start : start + per_call] for start in range(0, len(frames) - per_call + 1, per_call)]
    parts = cycle([[*starts, *cut[0]], *cut[1:]])

    def call() -> None:
        for frame in next(parts):
            feed(frame)

    return call


def _tokens(frames: Sequence[bytes]) -> set[str]:
    messages = [json.loads(frame) for frame in frames]
    return {
        each["asset_id"]
        for message in messages
        for each in message.get("price_changes", [message])
        if "asset_id" in each
    }


def _real(report: Report) -> None:
    """The recorded frames of price changes: each must be understood by the quick decoder."""
    frames = recorded.real_changes()
    taken: list[WorldEvent] = []
    stream = MarketStream(url="ws://127.0.0.1:1", clock=SystemClock(), rng=Random(1))
    for frame in frames:
        stream._deliver(frame, taken.append)
    report.tell(f"  {len(taken)} of {len(frames)} recorded price_change frames understood")


def check(starts: Sequence[str], changed: Sequence[recorded.Change]) -> tuple[int, int]:
    """Apply every change and compare with each snapshot on the way; returns snapshots and levels compared.

    Raises:
        AssertionError: a book differs.
    """
    firsts = [frame.encode() for frame in starts]
    ours = OurBooks(sorted(_tokens(firsts)))
    for frame in firsts:
        ours.feed(frame)
    snapshots = levels = 0
    for change in changed:
        ours.feed(change.frame.encode())
        reached = change.reached
        if reached is None:
            continue
        expected = tuple(
            {_micros(level["price"]): _micros(level["size"]) for level in reached[side] if Decimal(level["size"])}
            for side in ("bids", "asks")
        )
        if ours.book(reached["asset_id"]) != expected:
            raise AssertionError(f"the book at {reached['timestamp']} differs from the recorded one")
        snapshots += 1
        levels += sum(len(side) for side in expected)
    return snapshots, levels


def _micros(written: str) -> int:
    return int(Decimal(written) * MICRO)
