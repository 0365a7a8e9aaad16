from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.events import SwitchName
from polystra.domain.facts import Notice, NoticeKind, SwitchChanged
from polystra.domain.fills import FillStatus
from polystra.domain.orders import OrderStatus
from polystra.domain.units import MICRO
from polystra.engine.balance_truth import LAG_HORIZON_S
from tests.unit.engine.desk import CLOSES, CONDITION, MARKET, Desk, enter

FEE = 175_000
"""10 shares at 50 cents, 7 % x p(1-p): 0.175 dollars."""


@pytest.fixture
def desk() -> Desk:
    """Ready, its books agreed with the venue."""
    desk = Desk().ready()
    desk.advance(5).snapshot()
    assert desk.state.agreed_at_ns
    return desk.clear()


def take(desk: Desk) -> None:
    track = desk.enter(enter(10, 50))
    desk.accept(track)
    desk.fill(track, 10, 50, maker=False)
    desk.fill(track, 10, 50, maker=False, status="CONFIRMED", trade=desk.trades)
    for each in list(desk.state.orders.values()):
        if each.order.status is OrderStatus.SUBMITTED:
            desk.accept(each)
    assert [fill.fee for fill in desk.state.fills.values()] == [FEE]


def shows(desk: Desk, difference: int) -> Desk:
    """The venue's cash reads so much more than our books, in two quiet readings more than 5 s apart."""
    tokens = [(MARKET.up_token, 10 * MICRO)]
    desk.advance(10).snapshot(cash=desk.state.ledger.cash + difference, tokens=tokens)
    return desk.advance(6).snapshot(cash=desk.state.ledger.cash + difference, tokens=tokens)


def told(desk: Desk) -> list[Notice]:
    return [fact for fact in desk.found(Notice) if fact.kind is NoticeKind.FEE_MISMATCHED]


@pytest.mark.parametrize("difference", [-1_760, 1_760, -75_000, FEE])
def test_another_fee_is_told_and_stops_entries_that_take_in_its_market(desk, difference):
    take(desk)
    shows(desk, difference)
    [notice] = told(desk)
    assert notice.subject == MARKET.slug
    assert "0.175 dollars of fees" in notice.message
    [switch] = [fact for fact in desk.found(SwitchChanged) if fact.name is SwitchName.FEES]
    assert (switch.subject, switch.until_ns) == (MARKET.slug, CLOSES * 1_000_000_000)
    risk, market = desk.engine._risk, desk.state.markets[CONDITION]
    assert "the venue charged" in risk.market_block(market, desk.now_ns)
    assert "the venue charged" not in risk.market_block(market, desk.now_ns, takes=False)
    assert risk.entry_block() is None


@pytest.mark.parametrize("difference", [-1_750, -100, 100, 1_750])
def test_a_difference_within_one_percent_is_rounding(desk, difference):
    take(desk)
    shows(desk, difference)
    assert not told(desk)


@pytest.mark.parametrize("difference", [-3_000_000, FEE + 1_800, 50_000_000])
def test_what_no_fee_explains_is_somebody_elses_transfer(desk, difference):
    take(desk)
    shows(desk, difference)
    assert not told(desk)


def test_one_reading_is_not_believed(desk):
    take(desk)
    desk.advance(10).snapshot(cash=desk.state.ledger.cash - 75_000)
    assert not told(desk)
    desk.advance(6).snapshot()
    assert not told(desk)


def test_a_balance_that_lags_behind_another_fill_is_no_fee(desk):
    """A sale for a dollar that the venue's cash does not show yet reads like a fee that is a dollar too high."""
    take(desk)
    moved = next(iter(desk.state.movements.values()))
    late = type(moved)(at_ns=desk.now_ns, token_id=None, shares=0, cash=MICRO)
    desk.state.movements["settled:t9:o9"] = late
    shows(desk, -MICRO)
    assert not told(desk)
    del desk.state.movements["settled:t9:o9"]
    shows(desk, -MICRO)
    assert told(desk)


def test_without_a_taker_fill_nothing_is_said_of_fees(desk):
    desk.hold(10, 50)
    assert all(fill.fee == 0 and fill.status is FillStatus.CONFIRMED for fill in desk.state.fills.values())
    shows(desk, -75_000)
    assert not told(desk)


def test_fills_from_before_the_last_agreement_are_not_judged_again(desk):
    take(desk)
    desk.advance(10).snapshot(tokens=[(MARKET.up_token, 10 * MICRO)])
    shows(desk, -75_000)
    assert not told(desk)


def test_without_an_agreement_in_this_run_nothing_is_judged(desk):
    take(desk)
    desk.state.agreed_at_ns = 0
    shows(desk, -75_000)
    assert not told(desk)


def test_cash_that_moved_otherwise_too_is_not_judged(desk):
    take(desk)
    moved = next(iter(desk.state.movements.values()))
    desk.state.movements["redeemed:x"] = type(moved)(at_ns=desk.now_ns, token_id=None, shares=0, cash=7 * MICRO)
    shows(desk, -75_000)
    assert not told(desk)


def test_it_is_told_once_and_the_books_are_corrected_when_the_lag_is_over(desk):
    take(desk)
    before = desk.state.ledger.cash
    shows(desk, -75_000)
    for _ in range(3):
        desk.advance(LAG_HORIZON_S / 2).snapshot(cash=before - 75_000, tokens=[(MARKET.up_token, 10 * MICRO)])
    assert len(told(desk)) == 1
    assert desk.state.ledger.cash == before - 75_000


def test_polystra_start_clears_it_in_every_market(desk):
    take(desk)
    shows(desk, -75_000)
    desk.step(ev.SwitchRequested(name=SwitchName.FEES, on=False, reason="polystra start", source="command"))
    assert not desk.state.switches
    assert desk.found(SwitchChanged)[-1].subject == MARKET.slug


def test_it_ends_with_the_market(desk):
    take(desk)
    shows(desk, -75_000)
    assert desk.state.switches
    desk.advance(700)
    assert not desk.state.switches
