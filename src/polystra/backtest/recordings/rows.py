"""Inputs of the engine as rows of a recording, and back: exact, compact, one place for both directions.

What lives here: the shape of a row per kind of input. What must not: files, blocks, compression (`blocks`),
deciding what is recorded (`writer`).

The four kinds that are nearly all of the traffic have shapes of their own, in which tokens and symbols are
numbers into a list of names that stands before the rows of a block; every other kind is kept by its name with
its fields as JSON. Prices and sizes are the integers that the engine gets, times are nanoseconds: what is
read is equal to what was written, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias, get_args

import msgspec

from polystra.domain.book import Level
from polystra.domain.errors import RecordingError
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    LevelChange,
    PriceSource,
    PriceTicked,
    PublicTrade,
    WorldEvent,
)
from polystra.domain.ids import TokenId
from polystra.domain.orders import Side
from polystra.domain.units import Nanos


class Recorded(NamedTuple):
    """One input and when it was taken (UTC ns, the recorder's clock)."""

    now_ns: Nanos
    event: WorldEvent


LevelRow: TypeAlias = tuple[int, int, int, int, int | None, int | None]
"""A level change: token (a number in the names), side (0 for a bid), price, size, best bid, best ask."""


class ChangedRow(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """`BookChanged`."""

    now_ns: int
    at_ns: int
    changes: tuple[LevelRow, ...]


class SnapshotRow(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """`BookSnapshot`."""

    now_ns: int
    at_ns: int
    token: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick_size: int | None


class PriceRow(msgspec.Struct, array_like=True, frozen=True, tag=3, gc=False):
    """`PriceTicked`; `source` is a place in `_SOURCES`."""

    now_ns: int
    at_ns: int
    symbol: int
    source: int
    price: int


class TradeRow(msgspec.Struct, array_like=True, frozen=True, tag=5, gc=False):
    """`PublicTrade`; `side` 0 for a buyer."""

    now_ns: int
    at_ns: int
    token: int
    side: int
    price: int
    size: int


class OtherRow(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """Every other kind: its name and its fields as JSON (an allowance has 256 bits, too many for msgpack)."""

    now_ns: int
    kind: str
    fields: str


Row: TypeAlias = ChangedRow | SnapshotRow | PriceRow | TradeRow | OtherRow


class Rows(msgspec.Struct, array_like=True, frozen=True):
    """What is in a block: the names, then the rows in the order in which the inputs were taken."""

    names: tuple[str, ...]
    rows: tuple[Row, ...]


_SOURCES: Final = (PriceSource.SETTLEMENT, PriceSource.AVERAGE, PriceSource.SPOT)
"""In the order of their numbers in files: only ever added to."""
_SIDES: Final = (Side.BUY, Side.SELL)
_KINDS: Final = {kind.__name__: kind for kind in get_args(WorldEvent)}
_DECODERS: Final = {name: msgspec.json.Decoder(kind) for name, kind in _KINDS.items()}
_ENCODER: Final = msgspec.msgpack.Encoder()
_FIELDS: Final = msgspec.json.Encoder()
_ROWS: Final = msgspec.msgpack.Decoder(Rows)


def encode(inputs: Sequence[Recorded]) -> bytes:
    """Write inputs as the content of a block."""
    numbers: dict[str, int] = {}
    rows = tuple(_row(recorded.now_ns, recorded.event, numbers) for recorded in inputs)
    return _ENCODER.encode(Rows(tuple(numbers), rows))


def _row(now_ns: Nanos, event: WorldEvent, numbers: dict[str, int]) -> Row:
    def number(name: str) -> int:
        return numbers.setdefault(name, len(numbers))

    match event:
        case BookChanged(changes=changes, at_ns=at_ns):
            levels = tuple(
                (number(c.token_id), int(c.side is Side.SELL), c.price, c.size, c.best_bid, c.best_ask) for c in changes
            )
            return ChangedRow(now_ns, at_ns, levels)
        case BookSnapshot():
            return SnapshotRow(now_ns, event.at_ns, number(event.token_id), event.bids, event.asks, event.tick_size)
        case PriceTicked():
            return PriceRow(now_ns, event.at_ns, number(event.symbol), _SOURCES.index(event.source), event.price)
        case PublicTrade():
            sells = int(event.side is Side.SELL)
            return TradeRow(now_ns, event.at_ns, number(event.token_id), sells, event.price, event.size)
        case _:
            return OtherRow(now_ns, type(event).__name__, _FIELDS.encode(event).decode())


def decode(content: bytes) -> Iterator[Recorded]:
    """Read the content of a block, in order.

    Raises:
        RecordingError: it is not what this version writes.
    """
    try:
        block = _ROWS.decode(content)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"the block's rows cannot be read: {error}") from error
    names = block.names
    tokens = tuple(TokenId(name) for name in names)
    for row in block.rows:
        try:
            yield Recorded(row.now_ns, _event(row, names, tokens))
        except (IndexError, KeyError, msgspec.MsgspecError) as error:
            raise RecordingError(f"a row of {type(row).__name__} cannot be read: {error!r}") from error


def _event(row: Row, names: Sequence[str], tokens: Sequence[TokenId]) -> WorldEvent:
    if type(row) is ChangedRow:
        # In the order of the fields: by name it would take twice as long.
        changes = [
            LevelChange(tokens[token], _SIDES[side], price, size, best_bid, best_ask)
            for token, side, price, size, best_bid, best_ask in row.changes
        ]
        return BookChanged(changes=tuple(changes), at_ns=row.at_ns)
    if type(row) is PriceRow:
        return PriceTicked(symbol=names[row.symbol], source=_SOURCES[row.source], price=row.price, at_ns=row.at_ns)
    if type(row) is SnapshotRow:
        return BookSnapshot(
            token_id=tokens[row.token], bids=row.bids, asks=row.asks, at_ns=row.at_ns, tick_size=row.tick_size
        )
    if type(row) is TradeRow:
        return PublicTrade(
            token_id=tokens[row.token], side=_SIDES[row.side], price=row.price, size=row.size, at_ns=row.at_ns
        )
    assert isinstance(row, OtherRow)
    event: WorldEvent = _DECODERS[row.kind].decode(row.fields)
    return event
