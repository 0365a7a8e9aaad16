"""Books as the market stream shows them under a fault; the true book stays what it is.

What lives here: which messages about a token are replaced by what. What must not: sending
(`stream_faults`), when a fault is on (`injector`).

While a book is distorted, whatever would have changed it is replaced by a whole `book` that shows the
distortion (nothing at all for a frozen or silent one). The first message after the end is replaced by
the true book.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from polystra.exchange import payloads
from polystra.exchange.core import ExchangeCore
from polystra.exchange.faults.injector import Injector, Occasion
from polystra.exchange.faults.plan import FaultPlan
from polystra.ports.clock import Clock

Message: TypeAlias = dict[str, Any]
Rows: TypeAlias = Sequence[tuple[int, int]]

_BOOK_EVENTS: Final = ("book", "price_change", "best_bid_ask")
_CENT: Final = 10_000
_HIGHEST: Final = 990_000
_CROSSING_SIZE: Final = 100_000_000


class ShownBooks:
    """What one connection is shown; it remembers which of its books are distorted."""

    def __init__(self, core: ExchangeCore, clock: Clock, injector: Injector) -> None:
        self._core = core
        self._clock = clock
        self._injector = injector
        self._distorted: set[str] = set()

    def idle(self) -> bool:
        """Tell whether messages pass as they are."""
        return not self._distorted and not self._injector.has("book")

    def show(self, message: Message) -> list[Message]:
        """Return what the client gets in the place of a message, in order."""
        kind = message.get("event_type")
        tokens = tokens_of(message)
        if not tokens:
            return [message]
        shown: list[Message] = []
        untouched: list[str] = []
        for token_id in tokens:
            episodes = self._injector.lasting("book", token_id, self._occasion(token_id))
            plan = episodes[0].plan if episodes else None
            if kind in _BOOK_EVENTS:
                self._show_book(token_id, plan, shown, untouched)
            elif plan is None or plan.kind != "asset_silent":
                untouched.append(token_id)
        return ([_only(message, untouched, tokens)] if untouched else []) + shown

    def _show_book(self, token_id: str, plan: FaultPlan | None, shown: list[Message], untouched: list[str]) -> None:
        if plan is None and token_id not in self._distorted:
            untouched.append(token_id)
            return
        if plan is None:
            self._distorted.discard(token_id)
        else:
            self._distorted.add(token_id)
            if plan.kind in {"book_frozen", "asset_silent"}:
                return
        market = self._core.market_of_token(token_id)
        if market is None or market.closed:
            return
        bids, asks = self._core.depth(token_id)
        depth = (bids, asks) if plan is None else distorted(plan, bids, asks)
        shown.append(payloads.book_event(market, token_id, depth, self._clock.now_ns()))

    def _occasion(self, token_id: str) -> Occasion:
        return {"token": (token_id,), "market": market_names(self._core, token_id)}


def distorted(plan: FaultPlan, bids: Rows, asks: Rows) -> tuple[Rows, Rows]:
    """Return the sides of a book as a fault shows them, best levels last as they came."""
    if plan.kind == "book_empty":
        return (), ()
    if plan.kind == "book_one_sided":
        return (bids, ()) if plan.parameters["missing"] == "asks" else ((), asks)
    ask = min((price for price, _ in asks), default=_HIGHEST)
    if ask >= _HIGHEST:
        ask = _HIGHEST - _CENT
        asks = [*(row for row in asks if row[0] != ask), (ask, _CROSSING_SIZE)]
    price = ask + _CENT
    return [*(row for row in bids if row[0] != price), (price, _CROSSING_SIZE)], asks


def tokens_of(message: Message) -> tuple[str, ...]:
    """Return the tokens that a market message is about."""
    changes = message.get("price_changes")
    if isinstance(changes, list):
        return tuple(dict.fromkeys(str(change["asset_id"]) for change in changes))
    token_id = message.get("asset_id")
    return (str(token_id),) if token_id else ()


def market_names(core: ExchangeCore, token_id: str) -> tuple[str, ...]:
    """Return the slug and the condition id of a token's market."""
    market = core.market_of_token(token_id)
    return () if market is None else (market.spec.slug, market.spec.condition_id)


def _only(message: Message, tokens: list[str], of: tuple[str, ...]) -> Message:
    """Keep the changes of some tokens."""
    if len(tokens) == len(of):
        return message
    return {**message, "price_changes": [c for c in message["price_changes"] if c["asset_id"] in tokens]}
