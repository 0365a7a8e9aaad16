"""What our orders would have met in a recorded book: always on our disadvantage."""

from __future__ import annotations

import pytest

from polystra.matching.book import DOWN, ONE, UP
from polystra.matching.recorded_book import RecordedBook, RestingFill


def book(bids=((400_000, 10), (390_000, 20)), asks=((420_000, 5), (430_000, 7))) -> RecordedBook:
    made = RecordedBook()
    made.snapshot(UP, bids, asks, 0)
    return made


def test_a_taker_walks_the_displayed_levels_within_its_limit():
    assert book().plan(UP, "BUY", 425_000, size=12) == [(420_000, 5)]
    assert book().plan(UP, "BUY", 430_000, size=12) == [(420_000, 5), (430_000, 7)]
    assert book().plan(UP, "SELL", 395_000, size=12) == [(400_000, 10)]
    assert book().plan(UP, "BUY", 410_000, size=1) == []


def test_the_other_outcome_is_the_same_book_mirrored():
    assert book().plan(DOWN, "BUY", 600_000, size=12) == [(600_000, 10)]
    assert book().plan(DOWN, "SELL", 580_000, size=3) == [(580_000, 3)]
    assert book().levels(DOWN, "BUY") == [(580_000, 5), (570_000, 7)]
    mirrored = RecordedBook()
    mirrored.snapshot(DOWN, ((580_000, 5), (570_000, 7)), ((600_000, 10), (610_000, 20)), 0)
    assert mirrored.levels(UP, "SELL") == book().levels(UP, "SELL")
    assert mirrored.levels(UP, "BUY") == book().levels(UP, "BUY")


def test_a_budget_buys_no_more_than_it_pays_for():
    rich = book(asks=((400_000, 5 * ONE), (500_000, 5 * ONE)))
    assert rich.plan(UP, "BUY", 600_000, budget=3 * ONE) == [(400_000, 5 * ONE), (500_000, 2 * ONE)]


def test_what_we_took_stays_taken_until_the_level_shrinks_below_it():
    made = book()
    made.take(UP, "BUY", made.plan(UP, "BUY", 420_000, size=4))
    assert made.levels(UP, "SELL") == [(420_000, 1), (430_000, 7)]
    made.change(UP, "SELL", 420_000, 6, 0)
    assert made.levels(UP, "SELL") == [(420_000, 2), (430_000, 7)]
    made.change(UP, "SELL", 420_000, 3, 0)
    assert made.levels(UP, "SELL") == [(430_000, 7)]
    made.change(UP, "SELL", 420_000, 0, 0)
    made.change(UP, "SELL", 420_000, 5, 0)
    assert made.levels(UP, "SELL") == [(420_000, 5), (430_000, 7)]


def test_the_other_side_at_our_price_fills_no_more_than_is_displayed():
    made = book()
    made.rest("a", UP, "BUY", 410_000, 8)
    assert made.crossed() == []
    made.change(UP, "SELL", 410_000, 5, 0)
    assert made.crossed() == [RestingFill("a", 5)]
    assert made.crossed() == []
    made.change(UP, "SELL", 405_000, 9, 0)
    assert made.crossed() == [RestingFill("a", 3)]
    assert made.levels(UP, "SELL")[0] == (405_000, 6)


@pytest.mark.parametrize(
    ("side", "limit", "takes"), [("BUY", 420_000, True), ("BUY", 419_000, False), ("SELL", 400_000, True)]
)
def test_whether_an_order_would_take(side, limit, takes):
    assert book().would_take(UP, side, limit) is takes


def test_a_snapshot_takes_away_what_it_does_not_show():
    made = book()
    made.snapshot(UP, ((380_000, 1),), (), 0)
    assert made.levels(UP, "BUY") == [(380_000, 1)]
    assert made.levels(UP, "SELL") == []


SECOND = 1_000_000_000


def resting(size: int = 8) -> RecordedBook:
    """Our bid at the best price, behind the ten that are displayed there."""
    made = book()
    made.rest("a", UP, "BUY", 400_000, size)
    return made


def test_trades_at_our_price_first_eat_what_stood_before_us():
    made = resting()
    assert made.traded(UP, "SELL", 400_000, 7, 0) == []
    assert made.traded(UP, "SELL", 400_000, 5, 0) == [RestingFill("a", 2)]
    assert made.traded(UP, "SELL", 400_000, 50, 0) == [RestingFill("a", 6)]
    assert made.traded(UP, "SELL", 400_000, 50, 0) == []


def test_a_trade_through_our_price_fills_us_by_its_size():
    made = resting()
    assert made.traded(UP, "SELL", 390_000, 3, 0) == [RestingFill("a", 3)]


def test_trades_of_buyers_or_above_our_price_do_not_concern_our_bid():
    made = resting()
    assert made.traded(UP, "BUY", 400_000, 50, 0) == []
    assert made.traded(UP, "SELL", 410_000, 50, 0) == []
    assert made.traded(UP, "SELL", 400_000, 10, 0) == []


def test_a_buyer_of_the_other_outcome_meets_our_bid():
    made = resting()
    assert made.traded(DOWN, "BUY", 600_000, 12, 0) == [RestingFill("a", 2)]
    made.rest("b", DOWN, "SELL", 610_000, 4)
    assert made.traded(UP, "SELL", 390_000, 30, 0) == [RestingFill("a", 6), RestingFill("b", 4)]


def test_a_level_that_shrinks_and_a_print_of_the_same_moment_count_once():
    told_after = resting()
    told_after.change(UP, "BUY", 400_000, 4, SECOND)
    assert told_after.traded(UP, "SELL", 400_000, 6, SECOND) == []
    assert told_after.traded(UP, "SELL", 400_000, 5, SECOND) == [RestingFill("a", 1)]
    told_before = resting()
    assert told_before.traded(UP, "SELL", 400_000, 6, SECOND) == []
    told_before.change(UP, "BUY", 400_000, 4, SECOND)
    assert told_before.traded(UP, "SELL", 400_000, 5, SECOND) == [RestingFill("a", 1)]


def test_what_left_the_level_long_ago_no_longer_stands_before_us():
    made = resting()
    made.change(UP, "BUY", 400_000, 4, SECOND)
    assert made.traded(UP, "SELL", 400_000, 6, 3 * SECOND) == [RestingFill("a", 2)]


def test_what_joined_the_level_later_stands_behind_us():
    made = resting()
    made.change(UP, "BUY", 400_000, 500, SECOND)
    assert made.traded(UP, "SELL", 400_000, 12, 3 * SECOND) == [RestingFill("a", 2)]


def test_one_print_is_not_handed_to_two_of_our_orders():
    made = resting()
    made.rest("b", UP, "BUY", 410_000, 5)
    made.rest("c", UP, "BUY", 400_000, 5)
    assert made.traded(UP, "SELL", 400_000, 20, 0) == [RestingFill("b", 5), RestingFill("a", 5)]
