"""A best bid that is missing for an instant sells nothing; one that stays gone does."""

from __future__ import annotations

import pytest

from polystra.domain.book import OrderBook
from polystra.domain.orders import Purpose
from polystra.domain.units import NS_PER_MS
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig, ExitMode
from polystra.engine.positions import second_look
from polystra.engine.state import ExitState
from tests.unit.engine.desk import Desk, config

CENT = 10_000


def book(bid: int, ask: int) -> OrderBook:
    made = OrderBook()
    made.replace([(bid * CENT, 1)], [(ask * CENT, 1)], 1)
    return made


def seen(*looks: tuple[int, int, int]) -> ExitState:
    """After books of (milliseconds, bid, ask)."""
    exits = ExitState(mode=ExitMode.MONITOR)
    for ms, bid, ask in looks:
        second_look.observe(exits, book(bid, ask), ms * NS_PER_MS)
    return exits


@pytest.mark.parametrize(
    ("looks", "waits"),
    [
        (((1, 49, 51),), False),
        (((1, 49, 51), (500, 38, 40)), False),
        (((1, 49, 51), (500, 41, 51)), False),
        (((1, 49, 51), (500, 40, 51)), True),
        (((1, 49, 51), (500, 1, 51)), True),
        (((1, 49, 51), (500, 1, 51), (900, 49, 51)), False),
        (((1, 49, 51), (500, 1, 51), (1_999, 1, 51)), True),
        (((1, 49, 51), (500, 1, 51), (2_000, 1, 51)), False),
        (((1, 40, 49), (500, 20, 47)), False),
        (((1, 1, 51),), True),
    ],
)
def test_a_spread_is_torn_against_the_last_calm_one(looks: tuple[tuple[int, int, int], ...], waits: bool):
    assert bool(second_look.wait_until_ns(seen(*looks), looks[-1][0] * NS_PER_MS)) is waits


def holding() -> Desk:
    desk = Desk(config(exits=ExitConfig(take_profit=False))).ready()
    desk.hold(10)
    return desk


def test_an_empty_instant_fires_no_stop():
    desk = holding()
    desk.book(1, 51, size=5)
    desk.advance(0.6)
    desk.book(49, 51)
    desk.advance(5)
    assert not desk.orders(Purpose.STOP_LOSS)
    assert not desk.exits().torn_since_ns


def test_bids_that_are_really_gone_fire_the_stop_a_moment_later():
    desk = holding()
    desk.book(20, 51)
    assert not desk.orders(Purpose.STOP_LOSS)
    before = len(desk.asked(fx.ReadBook))
    desk.advance(1.2)
    assert len(desk.asked(fx.ReadBook)) == before + 1
    desk.advance(0.4)
    [stop] = desk.orders(Purpose.STOP_LOSS)
    assert stop.order.terms.planned_price == 20 * CENT


def test_a_fired_stop_does_not_sell_into_an_empty_instant():
    desk = holding()
    desk.book(24, 26, size=4)
    [stop] = desk.orders(Purpose.STOP_LOSS)
    desk.book(1, 26, size=5)
    desk.refuse(stop, killed=True)
    desk.advance(1.2)
    assert len(desk.orders(Purpose.STOP_LOSS)) == 1
    desk.book(24, 26)
    assert len(desk.orders(Purpose.STOP_LOSS)) == 2
    assert desk.last_order().order.terms.planned_price == 24 * CENT
