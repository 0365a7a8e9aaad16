"""A look at exits that would lead to nothing is left out, and no other one (the bench looks all the same)."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from polystra.domain.facts import NoticeKind
from polystra.domain.orders import Purpose
from polystra.domain.units import NS_PER_S
from polystra.engine.config import CloseAction, ExitConfig, ExitMode
from polystra.engine.positions.exits import Exits
from tests.unit.engine.desk import CLOSES, Desk, config


def holding(**rules) -> Desk:
    """Ten shares bought at 50 cents, guarded, their book calm at 50 / 52."""
    winners = rules.pop("sell_winners_at", 0)
    desk = Desk(config(exits=ExitConfig(**rules), sell_winners_at=winners)).ready()
    desk.hold(10)
    for track in desk.orders(Purpose.TAKE_PROFIT):
        desk.accept(track)
    return desk.books(50, 52).books(50, 52).clear()


def test_a_book_that_moves_between_bids_that_led_to_nothing_is_not_looked_at_again(monkeypatch):
    desk = holding()
    desk.books(48, 50).books(55, 57)
    seen = []
    monkeypatch.setattr(desk.engine._exits, "_plan", lambda *args: seen.append(args))
    monkeypatch.setattr(desk.engine._exits, "review", partial(Exits.review, desk.engine._exits))
    for bid in (50, 48, 53, 55, 51):
        desk.books(bid, bid + 2)
    assert not seen


def test_a_stop_fires_at_its_bid_after_a_calm_stretch():
    desk = holding()
    for bid in (52, 48, 51, 30, 45):
        desk.books(bid, bid + 2)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    desk.books(25, 27)
    assert desk.notices(NoticeKind.STOP_FIRED)


@pytest.mark.parametrize(
    ("rules", "at_s"),
    [
        ({"time_stop": True, "time_stop_s": 120}, None),
        ({"close_guard_s": 100, "close_action": CloseAction.EXIT}, CLOSES - 100),
    ],
)
def test_a_rule_that_goes_by_the_clock_fires_with_the_first_event_after_its_time(rules, at_s):
    desk = holding(**rules)
    opened_ns = desk.position().opened_at_ns
    due_ns = opened_ns + 120 * NS_PER_S if at_s is None else at_s * NS_PER_S
    desk.now_ns = due_ns - 5 * NS_PER_S
    desk.books(50, 52).books(50, 52)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    desk.now_ns = due_ns
    desk.books(50, 52)
    assert desk.notices(NoticeKind.STOP_FIRED)


@pytest.mark.parametrize("seed", range(12))
def test_no_walk_of_the_books_finds_a_look_that_was_left_out_and_would_have_led_to_something(seed):
    rng = Random(seed)
    desk = holding(
        mode=rng.choice(list(ExitMode)),
        trailing=rng.random() < 0.5,
        break_even=rng.random() < 0.5,
        time_stop=rng.random() < 0.5,
        time_stop_s=200,
        take_profit_ppm=rng.choice([100_000, 400_000]),
        stop_loss_ppm=rng.choice([200_000, 500_000]),
        sell_winners_at=rng.choice([0, 800_000]),
    )
    bid = 50
    for _ in range(150):
        bid = min(97, max(2, bid + rng.choice([-4, -1, -1, 0, 0, 1, 1, 4])))
        spread = rng.choice([1, 2, 2, 30])
        desk.now_ns += rng.choice([NS_PER_S // 10, NS_PER_S, 15 * NS_PER_S])
        desk.book(bid, min(99, bid + spread))
        if rng.random() < 0.1:
            desk.advance(rng.choice([0, 1, 5]))
