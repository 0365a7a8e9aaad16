"""Books and their changes on the market channel, decoded straight into their fields.

What lives here: the two messages that are nearly all of the traffic, in the one shape in which the venue sends
them today. What must not: any other message or shape; those are read by `decode_market`, which this must equal.

A frame that is not exactly that is `Unfit` and is read there: fields that are numbers, empty or missing, several
messages in one frame, prices finer than a millionth, nonsense. So nothing is refused or understood here that is not
refused or understood there in the same way (but for a timestamp with an exponent, which only this understands).

Texts of numbers are remembered: a price of a share has a thousand texts at most, and a size comes again with the
mirrored level of the other token and with the next snapshot. Measured (`benchmarks/decode.py`): a message of two
levels takes 2.0 us here and 11.8 us there, a book of 99 levels 22 us and 85 us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from polystra.adapters.polymarket.wire import plain_micros
from polystra.domain.book import Level
from polystra.domain.events import BookChanged, BookSnapshot, LevelChange
from polystra.domain.ids import TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_MS, MicroPrice, MicroShares

_READ_ELSEWHERE: Final = frozenset({"", "price_change", "last_trade_price", "tick_size_change", "market_resolved"})
"""Kinds that mean something and are rarer; the empty one is told by its fields."""
_MS_FROM: Final = 10**12
_MS_UNTIL: Final = 10**13
"""A whole number of thirteen digits is milliseconds (see `wire.parse_instant`)."""
_REMEMBERED: Final = 16_384
"""Texts of one kind of number that are remembered: about 2 MB."""
_SIZE_DIGITS: Final = 40
_TENS: Final = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
"""What a number with so many places is multiplied with."""
_make: Final = tuple.__new__
"""Makes a named tuple of its fields in order: 0.13 us, its own constructor takes 0.26 us."""

T = TypeVar("T")


class Unfit(Exception):
    """Not a frame for here: `decode_market` reads it."""


class _Level(msgspec.Struct, gc=False):
    price: str
    size: str


class _Change(msgspec.Struct, gc=False):
    asset_id: str
    price: str
    size: str
    side: Side
    best_bid: str = ""
    best_ask: str = ""


class _Message(msgspec.Struct, gc=False):
    event_type: str
    timestamp: int = 0
    price_changes: list[_Change] | None = None
    asset_id: str = ""
    bids: list[_Level] | None = None
    asks: list[_Level] | None = None
    tick_size: str = ""


_DECODER: Final = msgspec.json.Decoder(_Message, strict=False)
"""Not strict: the timestamp is a number in text."""


class _Texts(dict[str, T]):
    """What the texts met so far mean; a text that is unfit is not remembered."""

    def __init__(self, read: Callable[[str], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> T:
        """Read a text that is new."""
        value = self._read(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = value
        return value


class _Sizes(dict[str, MicroShares]):
    """The same for sizes, most of which are new: read as `plain_micros` does, in one call less."""

    def __missing__(self, text: str) -> MicroShares:
        """Read a text that is new."""
        whole, _, fraction = text.partition(".")
        digits, places = whole + fraction, len(fraction)
        if places > 6 or len(digits) > _SIZE_DIGITS or not (digits.isascii() and digits.isdigit()):
            raise Unfit
        if len(self) >= _REMEMBERED:
            self.clear()
        size = self[text] = int(digits) * _TENS[places]
        return size


def book_message(frame: str | bytes) -> BookChanged | BookSnapshot | None:
    """Return the book or the changes in a frame, None when it holds a message of no interest.

    Raises:
        Unfit: it is anything else.
    """
    try:
        message = _DECODER.decode(frame)
    except (ValueError, RecursionError) as error:
        raise Unfit from error
    kind = message.event_type
    if kind == "price_change" and message.price_changes:
        listed = message.price_changes
        if len(listed) == 2:  # one level and its mirror: written out, because a comprehension takes 0.25 us more
            x, y = listed
            changes: tuple[LevelChange, ...] = (
                _make(
                    LevelChange,
                    (
                        _TOKENS[x.asset_id],
                        x.side,
                        _PRICES[x.price],
                        _SIZES[x.size],
                        _BEST_BIDS[x.best_bid],
                        _BEST_ASKS[x.best_ask],
                    ),
                ),
                _make(
                    LevelChange,
                    (
                        _TOKENS[y.asset_id],
                        y.side,
                        _PRICES[y.price],
                        _SIZES[y.size],
                        _BEST_BIDS[y.best_bid],
                        _BEST_ASKS[y.best_ask],
                    ),
                ),
            )
        else:
            changes = tuple([_change(each) for each in listed])
        at_ms = message.timestamp
        if _MS_FROM <= at_ms < _MS_UNTIL:
            return _make(BookChanged, (changes, at_ms * NS_PER_MS))
        raise Unfit
    if kind == "book":
        return _snapshot(message)
    if kind in _READ_ELSEWHERE:
        raise Unfit
    return None


def _change(each: _Change) -> LevelChange:
    return _make(
        LevelChange,
        (
            _TOKENS[each.asset_id],
            each.side,
            _PRICES[each.price],
            _SIZES[each.size],
            _BEST_BIDS[each.best_bid],
            _BEST_ASKS[each.best_ask],
        ),
    )


def _snapshot(message: _Message) -> BookSnapshot:
    at_ms = message.timestamp
    if message.bids is None or message.asks is None or not _MS_FROM <= at_ms < _MS_UNTIL:
        raise Unfit
    return BookSnapshot(
        token_id=_TOKENS[message.asset_id],
        bids=_levels(message.bids),
        asks=_levels(message.asks),
        at_ns=at_ms * NS_PER_MS,
        tick_size=_PRICES[message.tick_size] or None if message.tick_size else None,
    )


def _levels(listed: list[_Level]) -> tuple[Level, ...]:
    prices, sizes = _PRICES, _SIZES
    return tuple([(prices[each.price], sizes[each.size]) for each in listed])


def _token(text: str) -> TokenId:
    if not text:
        raise Unfit
    return TokenId(text)


def _price(text: str) -> MicroPrice:
    price = plain_micros(text)
    if price is None or price > MICRO:
        raise Unfit
    return price


def _best(text: str, absent: MicroPrice) -> MicroPrice | None:
    """The venue's own best price, None when it does not say; `absent` is the end that says nothing."""
    if not text:
        return None
    price = _price(text)
    return None if price == absent else price


_TOKENS: Final = _Texts(_token)
_PRICES: Final = _Texts(_price)
_SIZES: Final = _Sizes()
_BEST_BIDS: Final = _Texts(lambda text: _best(text, MICRO))
_BEST_ASKS: Final = _Texts(lambda text: _best(text, 0))
