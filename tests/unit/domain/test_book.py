import pytest

from polystra.domain.book import OrderBook
from polystra.domain.orders import Side
from polystra.domain.units import MICRO


def sample() -> OrderBook:
    book = OrderBook()
    book.replace([(480_000, 5 * MICRO), (490_000, 2 * MICRO)], [(510_000, 3 * MICRO), (520_000, 4 * MICRO)], at_ns=7)
    return book


def test_a_new_book_knows_nothing():
    book = OrderBook()
    assert not book.in_sync
    assert (book.best_bid, book.best_ask, book.mid, book.spread) == (None, None, None, None)
    assert not book.is_crossed


def test_a_snapshot_replaces_everything_and_skips_empty_levels():
    book = sample()
    assert (book.best_bid, book.best_ask, book.mid, book.spread) == (490_000, 510_000, 500_000, 20_000)
    assert book.in_sync
    assert book.updated_at_ns == 7
    book.replace([(100_000, 0)], [], at_ns=8)
    assert (book.bids, book.asks, book.best_bid, book.best_ask) == ({}, {}, None, None)


def test_a_better_level_becomes_the_best_and_a_worse_one_does_not():
    book = sample()
    book.set_level(Side.BUY, 500_000, 1, at_ns=9)
    book.set_level(Side.BUY, 100_000, 1, at_ns=9)
    book.set_level(Side.SELL, 505_000, 1, at_ns=9)
    book.set_level(Side.SELL, 900_000, 1, at_ns=9)
    assert (book.best_bid, book.best_ask, book.updated_at_ns) == (500_000, 505_000, 9)


def test_removing_the_best_uncovers_the_next_one():
    book = sample()
    book.set_level(Side.BUY, 490_000, 0, at_ns=9)
    book.set_level(Side.SELL, 510_000, 0, at_ns=9)
    assert (book.best_bid, book.best_ask) == (480_000, 520_000)
    book.set_level(Side.BUY, 480_000, 0, at_ns=9)
    book.set_level(Side.SELL, 520_000, 0, at_ns=9)
    assert (book.best_bid, book.best_ask) == (None, None)


def test_removing_another_level_or_none_changes_no_best():
    book = sample()
    for price in (480_000, 111_111):
        book.set_level(Side.BUY, price, 0, at_ns=9)
        book.set_level(Side.SELL, MICRO - price, 0, at_ns=9)
    assert (book.best_bid, book.best_ask) == (490_000, 510_000)


def test_crossed_or_touching_books_are_noticed():
    book = sample()
    book.set_level(Side.BUY, 510_000, 1, at_ns=9)
    assert book.is_crossed
    book.set_level(Side.BUY, 520_000, 1, at_ns=9)
    assert book.is_crossed


@pytest.mark.parametrize(
    ("bid", "ask", "agrees"),
    [
        (None, None, True),
        (490_000, 510_000, True),
        (490_000, None, True),
        (480_000, None, False),
        (None, 520_000, False),
        (0, MICRO, False),
    ],
)
def test_the_venues_own_best_prices_check_the_book(bid, ask, agrees):
    assert sample().agrees_with(bid, ask) is agrees


def test_an_empty_side_is_nought_or_one_in_the_venues_words():
    assert OrderBook().agrees_with(0, MICRO)
    assert not OrderBook().agrees_with(10_000, MICRO)


def test_depth_counts_up_to_a_price():
    book = sample()
    assert book.asks_up_to(510_000) == 3 * MICRO
    assert book.asks_up_to(999_999) == 7 * MICRO
    assert book.bids_down_to(485_000) == 2 * MICRO
    assert book.bids_down_to(1) == 7 * MICRO


def test_cost_walks_the_asks_and_rounds_up():
    book = sample()
    assert book.cost_of(3 * MICRO) == 1_530_000
    assert book.cost_of(4 * MICRO) == 1_530_000 + 520_000
    assert book.cost_of(1) == 1
    assert book.cost_of(8 * MICRO) is None
    assert OrderBook().cost_of(1) is None


def test_one_side_alone_has_no_mid():
    book = OrderBook()
    book.replace([], [(510_000, 1)], at_ns=0)
    assert (book.mid, book.spread, book.is_crossed) == (None, None, False)


def test_a_snapshot_is_laid_out_when_its_levels_are_asked_for_or_changed():
    read, changed = OrderBook(), OrderBook()
    for book in (read, changed):
        book.replace(((500_000, 7), (480_000, 5)), ((520_000, 6), (540_000, 4)), at_ns=1)
        book.replace(((490_000, 3), (470_000, 2)), ((530_000, 8),), at_ns=2)
        assert (book.best_bid, book.best_ask, book.updated_at_ns) == (490_000, 530_000, 2)
    assert (read.bids, read.asks) == ({490_000: 3, 470_000: 2}, {530_000: 8})
    changed.set_level(Side.BUY, 490_000, 0, at_ns=3)
    assert (changed.bids, changed.best_bid) == ({470_000: 2}, 470_000)
    assert changed.asks == {530_000: 8}
    assert changed != read


def test_levels_of_size_zero_are_not_best_prices_of_a_snapshot():
    book = OrderBook()
    book.replace(((500_000, 0), (480_000, 5)), ((520_000, 6), (510_000, 0)), at_ns=1)
    assert (book.best_bid, book.best_ask) == (480_000, 520_000)
    assert (book.bids, book.asks) == ({480_000: 5}, {520_000: 6})
    book.replace(((500_000, 0),), (), at_ns=2)
    assert (book.best_bid, book.best_ask, book.bids) == (None, None, {})


def test_a_snapshot_from_a_generator_is_taken_whole():
    book = OrderBook()
    book.replace(((price, 1) for price in (1, 2, 3)), ((price, 1) for price in (9, 8)), at_ns=1)
    assert (book.best_bid, book.best_ask, len(book.bids), len(book.asks)) == (3, 8, 3, 2)
