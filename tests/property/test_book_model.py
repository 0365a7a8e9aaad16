"""The book against a naive model that sorts everything each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.book import OrderBook
from polystra.domain.orders import Side

PRICES = st.integers(1, 12).map(lambda tick: tick * 10_000)
SIZES = st.sampled_from([0, 0, 1, 5_000_000, 70_000_000])
CHANGES = st.lists(st.tuples(st.sampled_from(list(Side)), PRICES, SIZES), max_size=40)
LEVELS = st.dictionaries(PRICES, SIZES, max_size=8)


@dataclass
class Naive:
    sides: dict[Side, dict[int, int]] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})

    def set(self, side: Side, price: int, size: int) -> None:
        self.sides[side][price] = size

    def levels(self, side: Side) -> dict[int, int]:
        return {price: size for price, size in sorted(self.sides[side].items()) if size > 0}


def compare(book: OrderBook, naive: Naive) -> None:
    bids, asks = naive.levels(Side.BUY), naive.levels(Side.SELL)
    assert book.bids == bids
    assert book.asks == asks
    assert book.best_bid == max(bids, default=None)
    assert book.best_ask == min(asks, default=None)
    assert book.is_crossed == bool(bids and asks and max(bids) >= min(asks))
    assert book.agrees_with(max(bids, default=0), min(asks, default=1_000_000))
    for limit in (10_000, 60_000, 120_000):
        assert book.asks_up_to(limit) == sum(size for price, size in asks.items() if price <= limit)
        assert book.bids_down_to(limit) == sum(size for price, size in bids.items() if price >= limit)


def cost(asks: dict[int, int], quantity: int) -> int | None:
    """Buy one micro-share after another from the cheapest level: far too slow for large sizes."""
    shares = [price for price, size in sorted(asks.items()) for _ in range(min(size, quantity))]
    return -(-sum(shares[:quantity]) // 1_000_000) if len(shares) >= quantity else None


@given(LEVELS, LEVELS, CHANGES)
def test_the_book_is_what_the_model_says_after_every_change(bids, asks, changes):
    book, naive = OrderBook(), Naive()
    book.replace(bids.items(), asks.items(), at_ns=1)
    naive.sides = {Side.BUY: dict(bids), Side.SELL: dict(asks)}
    compare(book, naive)
    for at, (side, price, size) in enumerate(changes):
        book.set_level(side, price, size, at_ns=at)
        naive.set(side, price, size)
        compare(book, naive)
        assert book.updated_at_ns == at


@given(LEVELS, LEVELS, CHANGES)
def test_changes_and_a_snapshot_of_their_result_agree(bids, asks, changes):
    book, copy = OrderBook(), OrderBook()
    book.replace(bids.items(), asks.items(), at_ns=1)
    for side, price, size in changes:
        book.set_level(side, price, size, at_ns=2)
    copy.replace(book.bids.items(), book.asks.items(), at_ns=2)
    assert (copy.bids, copy.asks, copy.best_bid, copy.best_ask) == (book.bids, book.asks, book.best_bid, book.best_ask)


@given(CHANGES, CHANGES)
def test_applying_a_message_twice_is_harmless(before, message):
    once, twice = OrderBook(), OrderBook()
    for book, times in ((once, 1), (twice, 2)):
        for side, price, size in [*before, *message * times]:
            book.set_level(side, price, size, at_ns=1)
    last = {(side, price): size for side, price, size in [*before, *message]}
    assert once == twice
    assert {**once.bids} == {p: s for (side, p), s in last.items() if side is Side.BUY and s}


@given(st.dictionaries(PRICES, st.integers(1, 30), max_size=6), st.integers(1, 100))
def test_cost_is_what_buying_share_by_share_would_be(asks, quantity):
    book = OrderBook()
    book.replace([], asks.items(), at_ns=0)
    assert book.cost_of(quantity) == cost(asks, quantity)
