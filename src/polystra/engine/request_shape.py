"""The shape of what a person, a tool or an outside signal asks for: figures and names that can be kept.

What lives here: bounds of numbers and texts, before anything is made of a request. What must not: the
venue's rules (`validation`), limits (`risk`). A request of another shape is answered in one sentence and
leaves nothing else behind: a figure beyond 64 bits or a text that is none could not be written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from polystra.domain.events import CancelRequested, EntryRequested, ExitRequested, OrderRequested
from polystra.domain.units import MICRO, format_micros

LONGEST_TEXT: Final = 200
MOST: Final = 1_000_000_000 * MICRO
"""Shares, dollars and prices, in millionths: a billion of them."""
LATEST_S: Final = 10_000_000_000
"""UTC seconds and lengths of time: the year 2286."""

_TELLABLE_BITS: Final = 128

Request: TypeAlias = EntryRequested | ExitRequested | OrderRequested | CancelRequested


def misshapen(request: Request) -> str:
    """Return what is wrong with the shape of a request, in one sentence, or the empty string."""
    return next(_problems(request), "")


def answerable(request: Request) -> Request:
    """Return the request under an id and a source that can be written down."""
    return replace(request, request_id=_shown(request.request_id), source=_shown(request.source))


def _problems(request: Request) -> Iterator[str]:
    if not request.request_id:
        yield "request_id is empty, expected a name of its own: the same one never makes a second order"
    for field, text in _texts(request).items():
        if _odd(text):
            yield f"{field} is {_shown(text)}, expected at most {LONGEST_TEXT} printable characters: use a plain name"
    if isinstance(request, EntryRequested | OrderRequested):
        for field, amount in (("price", request.price), ("quantity", request.quantity), ("budget", request.budget)):
            if not 0 <= amount <= MOST:
                yield f"{field} is {_figure(amount)}, expected 0 to {format_micros(MOST)}: give another figure"
    if isinstance(request, OrderRequested):
        for field, value in (("life_s", request.life_s), ("expires_at_s", request.expires_at_s)):
            if not 0 <= value <= LATEST_S:
                yield f"{field} is {_figure(value * MICRO)}, expected 0 to {LATEST_S} seconds: give another time"


def _texts(request: Request) -> dict[str, str]:
    texts = {"request_id": request.request_id, "source": request.source}
    match request:
        case EntryRequested():
            texts["condition_id"] = request.condition_id
        case ExitRequested():
            texts["position_id"] = request.position_id
        case OrderRequested():
            texts["token_id"] = request.token_id
        case CancelRequested():
            texts["condition_id"] = request.condition_id or ""
            texts |= {f"orders[{number}]": name for number, name in enumerate(request.orders)}
    return texts


def _figure(amount: int) -> str:
    return _cut(format_micros(amount)) if amount.bit_length() <= _TELLABLE_BITS else "a number beyond all bounds"


def _cut(words: str) -> str:
    return words if len(words) <= 40 else f"{words[:40]}…"


def _shown(text: str) -> str:
    """The text as far as it can be written: unprintable characters as `?`, cut."""
    return _cut("".join(character if character.isprintable() else "?" for character in text)) if _odd(text) else text


def _odd(text: str) -> bool:
    return len(text) > LONGEST_TEXT or not text.isprintable()
