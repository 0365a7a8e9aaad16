"""Full-depth books of one market, one JSON message per line: `<slug>.book.jsonl[.gz]`.

What lives here: lines `{"recv_ts": seconds, "msg": book message of the market channel}`, or the bare message, as
snapshots of both tokens. What must not: which market it is and how it ended (`windows`).

Where the recorder kept one token only, the other one's book is its mirror: a bid for one outcome at p is an offer
of the other at 1 - p. A message is taken when it was received, or when the venue stamped it where that is later
(recorders' clocks lag); time never runs backwards, and a message that repeats the one before it is left out.

Speed: nearly every level of a book is byte for byte what it was in the message before, so levels are looked up by
their bytes (75 000 messages a second, where decoding each of them and turning its texts into integers makes 25 000).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from polystra.backtest.imports.lines import Faults, ImportReport, lines_of
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.book import Level
from polystra.domain.errors import PolystraError
from polystra.domain.events import BookSnapshot
from polystra.domain.ids import TokenId
from polystra.domain.units import MICRO, NS_PER_MS, Nanos, parse_micros

_KEPT: Final = 200_000
"""So many levels are remembered before they are forgotten together."""


class _Level(msgspec.Struct, gc=False):
    price: str
    size: str


class _Message(msgspec.Struct, gc=False):
    asset_id: str
    bids: msgspec.Raw
    asks: msgspec.Raw
    timestamp: str
    event_type: str = "book"


class _Line(msgspec.Struct, gc=False):
    msg: _Message
    recv_ts: float


_WRAPPED: Final = msgspec.json.Decoder(_Line)
_BARE: Final = msgspec.json.Decoder(_Message)
_LEVELS: Final = msgspec.json.Decoder(list[_Level])


class _Sides:
    """Turns sides of books into levels, as they are and in the other outcome's terms."""

    def __init__(self) -> None:
        self._levels: dict[bytes, Level] = {}
        """By the bytes between their braces."""
        self._mirrored: dict[bytes, Level] = {}

    def read(self, raw: msgspec.Raw) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """One side of a book, and the opposite side of the other outcome."""
        content = bytes(raw)
        if content.startswith(b"[{") and content.endswith(b"}]"):
            pieces = content[2:-2].split(b"},{")
            levels, mirrored = self._levels, self._mirrored
            if all(map(levels.__contains__, pieces)) or self._learn(pieces):
                return tuple([levels[piece] for piece in pieces]), tuple([mirrored[piece] for piece in pieces])
        read = tuple(_level(level.price, level.size) for level in _LEVELS.decode(content))
        return read, tuple((MICRO - price, size) for price, size in read)

    def _learn(self, pieces: list[bytes]) -> bool:
        """Remember the levels that are new; False where the side is not written as the venue writes it."""
        levels, mirrored = self._levels, self._mirrored
        if len(levels) > _KEPT:
            levels.clear()
            mirrored.clear()
        for piece in pieces:
            if piece not in levels:
                parts = piece.split(b'"')
                if len(parts) != 9 or parts[1] != b"price" or parts[5] != b"size":
                    return False
                price, size = levels[piece] = _level(parts[3].decode(), parts[7].decode())
                mirrored[piece] = (MICRO - price, size)
        return True


def _level(price_text: str, size_text: str) -> Level:
    price, size = _millionths(price_text), _millionths(size_text)
    if not 0 < price < MICRO or size < 0:
        raise ValueError(f"a level of {size_text} at {price_text} cannot be")
    return price, size


def _millionths(text: str) -> int:
    """As `parse_micros`, four times as fast for the plain texts that the venue sends."""
    whole, _, part = text.partition(".")
    if whole.isdecimal() and len(part) <= 6 and text.isascii() and (part.isdecimal() or not part):
        return int(whole + part.ljust(6, "0"))
    return parse_micros(text, field="price or size")


class FullDepth:
    """Reads one file; iterate once."""

    def __init__(self, path: Path, up_token: TokenId, down_token: TokenId, report: ImportReport) -> None:
        self._path = path
        self._other = {up_token: down_token, down_token: up_token}
        self._report = report
        self._sides = _Sides()
        self._shown: tuple[str, bytes, bytes] | None = None
        """The message that was taken last."""
        self._last_ns: Nanos = 0

    def __iter__(self) -> Iterator[Recorded]:
        """Yield the snapshots of both tokens, message by message.

        Raises:
            RecordingError: the file cannot be opened, is empty, or none of its lines is such a message.
        """
        self._sides = _Sides()
        faults = Faults(self._report, self._path.name)
        for number, line in lines_of(self._path, self._report):
            try:
                now_ns, message = _message(line)
                snapshots = self._snapshots(message, now_ns)
            except (msgspec.MsgspecError, PolystraError, ValueError) as error:
                faults.count(_what(error), number)
                continue
            if not snapshots:
                faults.count(self._why_not(message, now_ns), number)
                continue
            self._report.messages += 1
            for snapshot in snapshots:
                yield Recorded(now_ns, snapshot)
        self._sides = _Sides()  # many files are open at once in a merge: what is read keeps nothing
        self._report.files += 1
        faults.tell()

    def _snapshots(self, message: _Message, now_ns: Nanos) -> tuple[BookSnapshot, ...]:
        token = TokenId(message.asset_id)
        other = self._other.get(token)
        if other is None or message.event_type != "book" or now_ns < self._last_ns:
            return ()
        shown = (message.asset_id, bytes(message.bids), bytes(message.asks))
        if shown == self._shown:
            return ()
        bids, mirrored_bids = self._sides.read(message.bids)
        asks, mirrored_asks = self._sides.read(message.asks)
        self._shown = shown
        self._last_ns = now_ns
        at_ns = int(message.timestamp) * NS_PER_MS
        return (
            BookSnapshot(token_id=token, bids=bids, asks=asks, at_ns=at_ns),
            BookSnapshot(token_id=other, bids=mirrored_asks, asks=mirrored_bids, at_ns=at_ns),
        )

    def _why_not(self, message: _Message, now_ns: Nanos) -> str:
        if TokenId(message.asset_id) not in self._other:
            return "the message is of another market"
        if message.event_type != "book":
            return f"a message {message.event_type!r}, not a book"
        if now_ns < self._last_ns:
            return "it is older than the message before it"
        return "it repeats the book before it"


def _message(line: bytes) -> tuple[Nanos, _Message]:
    """A line and when it was taken: received, or stamped where that is later."""
    if line.startswith(b'{"recv_ts"'):
        wrapped = _WRAPPED.decode(line)
        received_ns = round(wrapped.recv_ts * 1_000_000) * 1_000
        message = wrapped.msg
    else:
        message = _BARE.decode(line)
        received_ns = 0
    return max(received_ns, int(message.timestamp) * NS_PER_MS), message


def _what(error: Exception) -> str:
    return (
        "not a book message as the market channel sends it" if isinstance(error, msgspec.MsgspecError) else str(error)
    )
