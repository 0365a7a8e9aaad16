"""The second look: a book whose spread is torn open is looked at again before it is sold into.

What lives here: when a spread is abnormally wide, and how long that must last to be the truth. What must
not: stops, orders. For an instant the best bid of a thin book may be missing (a maker replaces its quotes)
and the next one lies at a few cents: that is no price. A market that really fell shows its new bids a
moment later, and then the sale goes on.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.units import NS_PER_MS, MicroPrice, Nanos
from polystra.engine.state import ExitState

LEAST_TORN: Final[MicroPrice] = 100_000
"""Ten cents: a spread up to this is never called torn."""
TIMES_CALM: Final = 3
"""A torn spread is wider than so many times the last calm one."""
ASK_AGAIN_NS: Final[Nanos] = 1_000 * NS_PER_MS
"""A book that stays torn for so long is fetched by REST: an answer given then is no picture of the first instant."""
BELIEVED_NS: Final[Nanos] = 1_500 * NS_PER_MS
"""A book that stays torn for so long is the market."""


def observe(exits: ExitState, book: OrderBook, now_ns: Nanos) -> None:
    """Remember the spread of a calm book, and since when the book has been torn; call it at every look."""
    if not book.in_sync or book.best_bid is None or book.best_ask is None:
        return
    spread = book.best_ask - book.best_bid
    if spread <= max(LEAST_TORN, TIMES_CALM * exits.calm_spread):
        exits.calm_spread = max(0, spread)
        exits.torn_since_ns = 0
    elif not exits.torn_since_ns:
        exits.torn_since_ns = now_ns
    elif now_ns >= exits.torn_since_ns + BELIEVED_NS:
        exits.calm_spread = spread
        exits.torn_since_ns = 0


def wait_until_ns(exits: ExitState, now_ns: Nanos) -> Nanos:
    """When to look again at a torn book that must not be sold into yet; 0: it may be believed now."""
    if not exits.torn_since_ns or now_ns >= exits.torn_since_ns + BELIEVED_NS:
        return 0
    ask_ns = exits.torn_since_ns + ASK_AGAIN_NS
    return ask_ns if now_ns < ask_ns else exits.torn_since_ns + BELIEVED_NS
