from __future__ import annotations

from dataclasses import dataclass

import pytest

from polystra.engine.balance_truth import (
    BalanceAnswer,
    BalanceVerdict,
    in_cooldown,
    judge,
    judge_cash,
    judge_shares,
    may_be_lag,
)
from polystra.engine.state import BalanceReading
from tests.unit.engine.desk import CASH, UP, Desk, enter

TEN = 10_000_000


@dataclass(frozen=True)
class Case:
    needed: int
    ledger: int
    venue: int | None
    reserved: int
    since_fill_s: int | None
    verdict: str
    usable: int


@pytest.mark.parametrize(
    "case",
    [
        Case(5, 10, 10, 0, None, "ENOUGH", 10),
        Case(5, 10, None, 0, None, "ENOUGH", 10),
        Case(5, 10, 8, 3, None, "ENOUGH", 5),
        Case(11, 10, 20, 0, 1, "INSUFFICIENT", 10),
        Case(5, 10, 10, 6, None, "LOCKED", 4),
        Case(5, 10, 0, 0, 1, "LAGGING", 10),
        Case(5, 10, 0, 0, 149, "LAGGING", 10),
        Case(5, 10, 0, 0, 150, "INSUFFICIENT", 0),
        Case(5, 10, 0, 0, None, "INSUFFICIENT", 0),
        Case(5, 10, 4, 2, 10, "LAGGING", 8),
    ],
)
def test_what_is_missing_is_told_from_what_is_locked_or_late(case):
    answer = judge(
        needed=case.needed,
        ledger=case.ledger,
        venue=case.venue,
        reserved=case.reserved,
        since_fill_s=case.since_fill_s,
        unit="shares",
    )
    assert answer.verdict is BalanceVerdict(case.verdict)
    assert answer.usable == case.usable
    assert answer.may_retry is (case.verdict in ("LOCKED", "LAGGING"))


def unseen(since_fill_s: int) -> BalanceAnswer:
    """Ten in our books, nothing at the venue, without the enhanced validation."""
    return judge(needed=5, ledger=10, venue=0, reserved=0, since_fill_s=since_fill_s, unit="shares", enhanced=False)


def test_without_the_enhanced_validation_a_reading_counts_after_the_cooldown():
    assert unseen(2).verdict is BalanceVerdict.LAGGING
    assert unseen(2).usable == 0
    assert unseen(3).verdict is BalanceVerdict.INSUFFICIENT


def test_the_sentence_names_the_figures():
    answer = judge(needed=5 * 10**6, ledger=TEN, venue=0, reserved=0, since_fill_s=4, unit="shares")
    assert answer.sentence.startswith("lagging: 5 shares are needed and our books hold 10; the venue shows 0 4 s after")


def test_shares_just_bought_are_lagging_and_not_lost():
    desk = Desk().ready()
    position = desk.hold(10, 60)
    desk.state.readings[UP] = BalanceReading(0, desk.now_ns)
    assert judge_shares(desk.state, position.position_id, TEN, desk.now_ns).verdict is BalanceVerdict.LAGGING
    desk.advance(151)
    assert judge_shares(desk.state, position.position_id, TEN, desk.now_ns).verdict is BalanceVerdict.INSUFFICIENT


def test_cash_promised_to_an_open_entry_is_locked():
    desk = Desk().ready(cash=20_000_000)
    desk.accept(desk.enter(enter(20, 50)))
    assert desk.state.available_cash() < 10_000_000
    answer = judge_cash(desk.state, 15_000_000, desk.now_ns)
    assert answer.verdict is BalanceVerdict.LOCKED
    assert answer.usable == desk.state.available_cash()


def test_available_dollars_never_go_below_zero():
    assert Desk().state.available_cash() == 0
    assert Desk().ready().state.available_cash() == CASH


def test_the_cooldown_begins_with_a_fill_and_ends():
    desk = Desk().ready()
    assert not in_cooldown(desk.state, UP, desk.now_ns)
    desk.hold(10, 60)
    assert in_cooldown(desk.state, UP, desk.now_ns)
    assert in_cooldown(desk.state, None, desk.now_ns)
    desk.advance(4)
    assert not in_cooldown(desk.state, UP, desk.now_ns)


@pytest.mark.parametrize(
    ("difference", "movements", "explained"),
    [
        (-5_000_000, [5_000_000], True),
        (-3, [5_000_000], False),
        (-3, [], False),
        (-5_000_000, [], False),
        (-3, [5_000_000, -5_000_000], True),
        (7, [5_000_000] * 11, True),
    ],
)
def test_a_rounding_difference_is_no_lag_unless_movements_could_cancel_out(difference, movements, explained):
    assert may_be_lag(difference, movements) is explained
