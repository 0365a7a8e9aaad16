"""Which stop holds, when time is up, which book is believed: pure answers."""

from __future__ import annotations

import pytest

from polystra.domain.book import OrderBook
from polystra.domain.units import NS_PER_S
from polystra.engine.config import CloseAction, ExitConfig
from polystra.engine.positions import stops
from polystra.engine.positions.stops import StopLevel
from tests.unit.engine.desk import CENT, MARKET

HALF = 500_000


def level(config: ExitConfig, *, high_water: int = 0, break_even: int | None = None) -> StopLevel | None:
    return stops.stop_level(config, MARKET, average=HALF, high_water=high_water, break_even=break_even)


def book(bids: dict[int, int], asks: dict[int, int], at_ns: int = 0) -> OrderBook:
    made = OrderBook()
    made.replace(bids.items(), asks.items(), at_ns)
    return made


@pytest.mark.parametrize(
    ("config", "high_water", "break_even", "expected"),
    [
        (ExitConfig(), 900_000, None, StopLevel(250_000, "stop-loss")),
        (ExitConfig(trailing=True), 0, None, StopLevel(250_000, "stop-loss")),
        (ExitConfig(trailing=True), 300_000, None, StopLevel(250_000, "stop-loss")),
        (ExitConfig(trailing=True), 600_000, None, StopLevel(450_000, "trailing-stop")),
        (ExitConfig(trailing=True, stop_loss=False), 605_000, None, StopLevel(450_000, "trailing-stop")),
        (ExitConfig(trailing=True), 600_000, 540_000, StopLevel(540_000, "break-even")),
        (ExitConfig(trailing=True), 800_000, 540_000, StopLevel(600_000, "trailing-stop")),
        (ExitConfig(stop_loss=False), 900_000, None, None),
        (ExitConfig(stop_loss_ppm=990_000), 0, None, None),
    ],
)
def test_the_highest_of_the_stops_that_are_on_holds(config, high_water, break_even, expected):
    assert level(config, high_water=high_water, break_even=break_even) == expected


def test_break_even_gives_back_the_price_and_both_fees():
    # 0.50 paid, 0.0175 a share paid as fee, 0.0175 for the sale: 0.535, on the grid 0.54
    assert stops.break_even_price(MARKET, average=HALF, fees_per_share=17_500) == 540_000
    assert stops.break_even_price(MARKET, average=HALF, fees_per_share=0) == 520_000


@pytest.mark.parametrize(
    ("on", "bid", "armed"), [(True, 600_000, True), (True, 599_999, False), (False, 900_000, False)]
)
def test_break_even_is_armed_by_the_gain(on, bid, armed):
    config = ExitConfig(break_even=on, break_even_after_ppm=200_000)
    assert stops.arms_break_even(config, MARKET, best_bid=bid, average=HALF, level=540_000) is armed


def test_break_even_is_not_armed_where_it_would_fire_at_once():
    config = ExitConfig(break_even=True, break_even_after_ppm=20_000)
    assert not stops.arms_break_even(config, MARKET, best_bid=550_000, average=HALF, level=540_000)
    assert stops.arms_break_even(config, MARKET, best_bid=560_000, average=HALF, level=540_000)


@pytest.mark.parametrize(
    ("changes", "now_s", "rule"),
    [
        ({}, 999, ""),
        ({"time_stop": True, "time_stop_s": 600}, 699, ""),
        ({"time_stop": True, "time_stop_s": 600}, 700, "time-stop"),
        ({"close_guard_s": 20, "close_action": CloseAction.HOLD}, 990, ""),
        ({"close_guard_s": 20, "close_action": CloseAction.HOLD, "time_stop": True}, 979, "time-stop"),
        ({"close_guard_s": 20, "close_action": CloseAction.HOLD, "time_stop": True}, 990, ""),
        ({"close_guard_s": 20, "close_action": CloseAction.EXIT}, 979, ""),
        ({"close_guard_s": 20, "close_action": CloseAction.EXIT}, 980, "close-guard"),
        ({"close_guard_s": 20, "close_action": CloseAction.EXIT, "time_stop": True}, 980, "close-guard"),
    ],
)
def test_time_is_up_by_rule(changes, now_s, rule):
    config = ExitConfig(**changes)
    found = stops.clock_rule(config, opened_ns=100 * NS_PER_S, closes_ns=1_000 * NS_PER_S, now_ns=now_s * NS_PER_S)
    assert found == rule


@pytest.mark.parametrize(
    ("bids", "asks", "age_s", "in_sync", "doubt"),
    [
        ({400_000: 1}, {420_000: 1}, 0, True, ""),
        ({400_000: 1}, {420_000: 1}, 30, True, ""),
        ({400_000: 1}, {420_000: 1}, 31, True, "stale"),
        ({400_000: 1}, {420_000: 1}, 0, False, "out of sync"),
        ({400_000: 1}, {}, 0, True, "one-sided"),
        ({}, {420_000: 1}, 0, True, "one-sided"),
        ({420_000: 1}, {420_000: 1}, 0, True, "crossed"),
    ],
)
def test_which_book_is_believed(bids, asks, age_s, in_sync, doubt):
    made = book(bids, asks)
    made.in_sync = in_sync
    assert stops.distrust(made, now_ns=age_s * NS_PER_S, oldest_ns=30 * NS_PER_S) == doubt


@pytest.mark.parametrize(
    ("quantity", "price"), [(5, 30 * CENT), (6, 29 * CENT), (9, 29 * CENT), (10, 21 * CENT), (100, 20 * CENT)]
)
def test_the_price_that_a_sale_reaches_is_found_by_walking_the_book(quantity, price):
    made = book({30 * CENT: 5, 29 * CENT: 4, 21 * CENT: 1, 15 * CENT: 1_000}, {40 * CENT: 1})
    assert stops.price_for(made, quantity, 20 * CENT) == price
