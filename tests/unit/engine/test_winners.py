from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.book import OrderBook
from polystra.domain.facts import IntentDenied
from polystra.domain.units import NS_PER_S
from polystra.engine.config import ExitConfig
from polystra.engine.positions.winners import WinnerSale, winner_sale
from tests.unit.engine.desk import CENT, CLOSES, MARKET, Desk, config, micros

LATE = (CLOSES - 30) * NS_PER_S
NINETY_NINE = 99 * CENT


def book(bid: float, shares: float = 100) -> OrderBook:
    made = OrderBook()
    made.replace([(round(bid * CENT), micros(shares))], [], LATE)
    return made


def test_a_winner_is_sold_at_the_users_price_in_the_last_minute():
    sale = winner_sale(book(99), MARKET, sellable=micros(10), sell_at=NINETY_NINE, now_ns=LATE)
    assert sale == WinnerSale(NINETY_NINE, micros(10))


def test_no_more_is_sold_than_the_book_bids_for():
    sale = winner_sale(book(99, 4.127), MARKET, sellable=micros(10), sell_at=NINETY_NINE, now_ns=LATE)
    assert sale == WinnerSale(NINETY_NINE, micros(4.12))


def test_a_market_that_takes_no_orders_is_left_alone():
    closed = replace(MARKET, accepting_orders=False)
    assert winner_sale(book(99), closed, sellable=micros(10), sell_at=NINETY_NINE, now_ns=LATE) is None


@pytest.mark.parametrize(
    ("bid", "sell_at", "sellable", "before_end_s"),
    [(98, NINETY_NINE, 10, 30), (99, 0, 10, 30), (99, NINETY_NINE, 0.004, 30), (99, NINETY_NINE, 10, 61)],
)
def test_otherwise_nothing_is_sold(bid, sell_at, sellable, before_end_s):
    now_ns = (CLOSES - before_end_s) * NS_PER_S
    assert winner_sale(book(bid), MARKET, sellable=micros(sellable), sell_at=sell_at, now_ns=now_ns) is None


def test_a_price_off_the_grid_is_rounded_towards_more():
    assert winner_sale(book(98), MARKET, sellable=micros(10), sell_at=975_000, now_ns=LATE) == WinnerSale(
        980_000, micros(10)
    )
    assert winner_sale(book(99), MARKET, sellable=micros(10), sell_at=995_000, now_ns=LATE) is None


def test_a_book_out_of_sync_is_not_believed():
    doubtful = book(99)
    doubtful.in_sync = False
    assert winner_sale(doubtful, MARKET, sellable=micros(10), sell_at=NINETY_NINE, now_ns=LATE) is None


def late_winner(**settings: object) -> Desk:
    """Ten Up shares bought at 60 cents, half a minute before the end, nobody selling."""
    desk = Desk(config(**settings)).ready()
    desk.hold(10, 60)
    desk.advance((LATE - desk.now_ns) / NS_PER_S).clear()
    return desk


def test_the_exits_sell_a_winner_once_and_never_more_than_is_held():
    desk = late_winner(sell_winners_at=NINETY_NINE)
    desk.book(99, None).book(99, None, size=900)
    [sold] = desk.sent()
    assert (sold.terms.rule, sold.terms.price, sold.terms.quantity) == ("winner-sale", NINETY_NINE, micros(10))
    assert sold.terms.time_in_force == "FAK"
    desk.fill(desk.last_order(), 10, 99, status="CONFIRMED", maker=False)
    desk.advance(5).book(99, None)
    assert len(desk.sent()) == 1
    assert desk.position().shares == 0


def test_a_winner_is_sold_without_an_exit_plan_too():
    desk = late_winner(sell_winners_at=NINETY_NINE, exits=ExitConfig(enabled=False))
    desk.book(99, None)
    assert [order.terms.rule for order in desk.sent()] == ["winner-sale"]


def test_without_the_rule_a_winner_is_held_to_resolution():
    desk = late_winner()
    desk.book(99, None)
    assert not desk.sent()


def test_after_the_end_nothing_is_asked_for_and_nothing_denied():
    desk = late_winner(sell_winners_at=NINETY_NINE)
    desk.advance(CLOSES - desk.now_ns / NS_PER_S).clear()
    for _ in range(30):
        desk.book(99, None).advance(2)
    assert not desk.sent()
    assert not desk.found(IntentDenied)
