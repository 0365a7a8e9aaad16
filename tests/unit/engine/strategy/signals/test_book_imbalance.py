import pytest

from polystra.domain.book import OrderBook
from polystra.engine.strategy.signals.book_imbalance import microprice, read

TICK = 10_000


def made(bids: dict[int, int], asks: dict[int, int]) -> OrderBook:
    """Cents to shares."""
    book = OrderBook()
    book.replace(
        [(cents * TICK, shares * 1_000_000) for cents, shares in bids.items()],
        [(cents * TICK, shares * 1_000_000) for cents, shares in asks.items()],
        at_ns=0,
    )
    return book


def mirrored(book: OrderBook) -> OrderBook:
    other = OrderBook()
    other.replace(
        [(1_000_000 - price, size) for price, size in book.asks.items()],
        [(1_000_000 - price, size) for price, size in book.bids.items()],
        at_ns=0,
    )
    return other


def test_five_ticks_of_each_side_count():
    book = made({49: 30, 47: 30, 45: 15, 44: 10_000}, {50: 10, 54: 15, 55: 10_000})
    reading = read(book, OrderBook(), TICK)
    assert reading.value == pytest.approx((75 - 25) / 100)
    assert reading.bias == reading.value
    assert reading.confidence == 1.0


def test_the_other_outcomes_book_says_the_same():
    book = made({49: 30, 47: 30}, {50: 10, 54: 30})
    assert read(OrderBook(), mirrored(book), TICK).value == pytest.approx(read(book, OrderBook(), TICK).value)
    assert read(book, mirrored(book), TICK).value == read(book, OrderBook(), TICK).value


def test_an_empty_side_says_nothing():
    one_sided = made({99: 50}, {})
    reading = read(one_sided, mirrored(one_sided), TICK)
    assert (reading.value, reading.confidence) == (None, 0.0)
    assert reading.reason == "a side of the book is empty"


def test_a_finer_grid_counts_five_of_its_own_ticks():
    book = OrderBook()
    book.replace([(990_000, 5), (986_000, 5), (985_000, 100)], [(991_000, 10)], at_ns=0)
    assert read(book, OrderBook(), 1_000).value == 0.0


def test_the_microprice_leans_to_the_thin_side():
    assert microprice(made({40: 30}, {60: 10})) == pytest.approx(0.55)
    assert microprice(made({40: 30}, {})) is None
