"""The catalogue of faults: every kind with its parameters, where it may strike and how it is shown.

What lives here: names, meanings, parameters with defaults and bounds. What must not: the behaviour
(`rest_faults`, `stream_faults`, `shown_books`, `chain_faults`), when a fault fires (`injector`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Family: TypeAlias = Literal[
    "before", "after", "either", "message", "connection", "book", "clock", "trade", "order", "end"
]
"""What a kind strikes; `either` REST faults say by their `when` whether before or after acceptance."""

STREAMS: Final = ("market", "user", "price", "spot")
_REST: Final = ("method", "path", "account", "order_id", "market", "token", "side")
_STREAM: Final = ("stream", "message", "market", "token", "order_id", "account")
_CONNECTION: Final = ("stream",)
_BOOK: Final = ("market", "token")
_TRADE: Final = ("account", "order_id", "market", "token", "side")


@dataclass(frozen=True, slots=True)
class Number:
    """A parameter that is a number in [low, high]."""

    default: float
    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of some words; the first is the default."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A parameter that is free text."""

    default: str


Parameter: TypeAlias = Number | Choice | Text


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. A lasting one begins when its trigger fires and stays for `for` seconds."""

    family: Family
    meaning: str
    places: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    lasting: bool = False


_DELAY: Final = Number(5.0, 0.001, 3_600.0)
_FOR: Final = {"for": Number(0.0, 0.0, 86_400.0)}
"""Zero: until the fault's window ends or the fault is removed."""

_WHEN: Final = {"when": Choice(("before", "after"))}

CATALOGUE: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "request_dropped": Kind("before", "the connection is reset before the request is carried out", _REST),
        "request_delayed": Kind("before", "the request is carried out late", _REST, {"seconds": _DELAY}),
        "reply_dropped": Kind("after", "the request is carried out, then the connection is reset", _REST),
        "reply_delayed": Kind("after", "the request is carried out, its reply comes late", _REST, {"seconds": _DELAY}),
        "http_error": Kind(
            "either",
            "an error status, before or after the request is carried out",
            _REST,
            {"status": Number(500, 400, 599, whole=True), "text": Text(""), **_WHEN},
        ),
        "html_page": Kind(
            "either",
            "a web page of the firewall or proxy instead of JSON",
            _REST,
            {"status": Number(502, 200, 599, whole=True), **_WHEN},
        ),
        "truncated_json": Kind("after", "the request is carried out, its reply breaks off", _REST),
        "empty_body": Kind("after", "the request is carried out, its reply is empty", _REST),
        "wrong_order_id": Kind("after", "an accepted order's reply names another id", _REST),
        "message_dropped": Kind("message", "a message of a stream is lost", _STREAM),
        "message_delayed": Kind("message", "a message comes late, others overtake it", _STREAM, {"seconds": _DELAY}),
        "message_duplicated": Kind(
            "message", "a message comes again", _STREAM, {"times": Number(1, 1, 100, whole=True)}
        ),
        "message_reordered": Kind(
            "message", "a message comes after later ones", _STREAM, {"behind": Number(1, 1, 100, whole=True)}
        ),
        "connection_aborted": Kind("message", "the connection is reset instead of carrying a message", _STREAM),
        "stream_silent": Kind(
            "connection", "a connection answers pings and carries no data", _CONNECTION, _FOR, lasting=True
        ),
        "half_open": Kind(
            "connection", "a connection carries nothing at all, no pong", _CONNECTION, _FOR, lasting=True
        ),
        "slow_stream": Kind(
            "connection",
            "every message of a connection waits before it leaves",
            _CONNECTION,
            {"seconds": Number(0.5, 0.001, 60.0), **_FOR},
            lasting=True,
        ),
        "asset_silent": Kind("book", "no message about a token reaches the market stream", _BOOK, _FOR, lasting=True),
        "book_frozen": Kind("book", "the shown book of a token stands still", _BOOK, _FOR, lasting=True),
        "book_crossed": Kind("book", "the shown book has a bid above its asks", _BOOK, _FOR, lasting=True),
        "book_one_sided": Kind(
            "book", "the shown book lacks a side", _BOOK, {"missing": Choice(("asks", "bids")), **_FOR}, lasting=True
        ),
        "book_empty": Kind("book", "the shown book has no levels", _BOOK, _FOR, lasting=True),
        "clock_jump": Kind(
            "clock",
            "the server's clock, in /time and proofs, is off by some seconds",
            (),
            {"seconds": Number(60.0, -86_400.0, 86_400.0), **_FOR},
            lasting=True,
        ),
        "clock_drift": Kind(
            "clock",
            "the server's clock runs away by some milliseconds a second",
            (),
            {"ms_per_second": Number(1.0, -1_000.0, 1_000.0), **_FOR},
            lasting=True,
        ),
        "late_fill": Kind(
            "order",
            "an order is accepted now and reaches the book late",
            _TRADE,
            {"seconds": Number(30.0, 0.001, 3_600.0), "answer": Choice(("delayed", "live"))},
        ),
        "trade_failed": Kind("trade", "a trade fails on the chain", _TRADE, {"seconds": Number(1.0, 0.0, 600.0)}),
        "trade_retried": Kind(
            "trade", "a trade's transaction is lost and sent again", _TRADE, {"seconds": Number(1.0, 0.0, 4.0)}
        ),
        "trade_late": Kind("trade", "a trade is mined late", _TRADE, {"seconds": Number(60.0, 1.0, 3_600.0)}),
        "resolution_late": Kind(
            "end", "a market is resolved late", ("market",), {"seconds": Number(120.0, 1.0, 86_400.0)}
        ),
        "resolution_reversed": Kind(
            "end",
            "a market's verdict is announced wrong on the stream and stands the right way round after a delay",
            ("market",),
            {"seconds": Number(60.0, 1.0, 86_400.0)},
        ),
    }
)
