from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind, PostingRecorded, SettlementRecorded
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from tests.unit.engine.desk import CASH, CLOSES, CONDITION, DOWN, UP, Desk, enter


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def after_close(desk: Desk) -> Desk:
    """Ten Up shares bought at 60 cents (no take-profit fits), the window over."""
    desk.hold(10, 60)
    return desk.advance((CLOSES * NS_PER_S - desk.now_ns) / NS_PER_S + 5).clear()


def balance(desk: Desk, shares: int | None, token=UP) -> Desk:
    return desk.step(ev.TokenBalanceRead(token_id=token, shares=shares, at_ns=desk.now_ns))


def postings(desk: Desk) -> list[str]:
    return [fact.posting.kind.value for fact in desk.found(PostingRecorded)]


def test_a_winner_becomes_a_claim_and_not_cash(desk):
    after_close(desk)
    cash = desk.state.ledger.cash
    desk.resolve(100)
    position = desk.position()
    assert desk.state.ledger.cash == cash
    assert desk.state.ledger.claims == 10_000_000
    assert position.status is PositionStatus.RESOLVED
    assert position.shares == 0
    assert position.realised_pnl == 4_000_000
    [settled] = desk.found(SettlementRecorded)
    assert settled.winner is Outcome.UP
    assert (settled.shares_held, settled.payout, settled.realised_pnl) == (10_000_000, 10_000_000, 4_000_000)


def test_a_loser_is_worth_nothing_and_waits_for_nothing(desk):
    after_close(desk).resolve(0)
    assert desk.state.ledger.claims == 0
    assert desk.position().realised_pnl == -6_000_000
    assert desk.found(SettlementRecorded)[0].winner is Outcome.DOWN
    desk.advance(60)
    assert not desk.asked(fx.ReadTokenBalance)


def test_fifty_fifty_pays_half_of_both_outcomes(desk):
    desk.hold(10, 60)
    desk.enter(enter(10, 60, outcome=Outcome.DOWN))
    desk.fill(desk.last_order(), 10, status="CONFIRMED")
    desk.advance(700).clear()
    desk.resolve(50)
    assert desk.state.ledger.balance(UP).claim == 5_000_000
    assert desk.state.ledger.balance(DOWN).claim == 5_000_000
    [settled] = desk.found(SettlementRecorded)
    assert settled.winner is None
    assert settled.realised_pnl == -2_000_000


def test_the_claim_becomes_cash_only_when_the_shares_are_gone_and_the_cash_is_there(desk):
    after_close(desk)
    cash = desk.state.ledger.cash
    desk.resolve(100).advance(5)
    assert [each.token_id for each in desk.asked(fx.ReadTokenBalance)] == [UP]
    balance(desk, 10_000_000)
    assert desk.state.ledger.claims == 10_000_000
    desk.advance(600)
    balance(desk, None)
    assert desk.state.ledger.claims == 10_000_000
    desk.advance(30)
    assert len(desk.asked(fx.ReadTokenBalance)) == 3
    balance(desk, 0)
    assert desk.state.ledger.claims == 10_000_000
    desk.snapshot(cash=cash)
    assert desk.state.ledger.claims == 10_000_000
    desk.snapshot(cash=cash + 10_000_000)
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == cash + 10_000_000
    [notice] = desk.notices(NoticeKind.REDEMPTION_SEEN)
    assert notice.message.startswith("released $10:")
    balance(desk, 0)
    assert desk.state.ledger.cash == cash + 10_000_000


def waiting(desk: Desk) -> Desk:
    """A claim of ten dollars whose shares were seen in the wallet."""
    after_close(desk).resolve(100).advance(5)
    return balance(desk, 10_000_000).clear()


def test_a_claim_that_waits_costs_a_look_in_ten_minutes_and_later_one_an_hour(desk):
    waiting(desk)
    for _ in range(11):
        desk.advance(599)
        assert len(desk.asked(fx.ReadTokenBalance)) <= 1
        balance(desk, 10_000_000).clear()
    desk.advance(3_599)
    assert not desk.asked(fx.ReadTokenBalance)
    desk.advance(2)
    assert len(desk.asked(fx.ReadTokenBalance)) == 1


def test_cash_that_may_be_a_claims_has_its_balance_read_at_once(desk):
    waiting(desk)
    cash = desk.state.ledger.cash
    desk.advance(6).snapshot(cash=cash).snapshot(cash=cash + 4_000_000)
    assert not desk.asked(fx.ReadTokenBalance)
    desk.snapshot(cash=cash + 10_000_000)
    assert [each.token_id for each in desk.asked(fx.ReadTokenBalance)] == [UP]
    balance(desk, 0)
    desk.snapshot(cash=cash + 10_000_000)
    assert (desk.state.ledger.claims, desk.state.ledger.cash) == (0, cash + 10_000_000)


def test_a_balance_that_is_gone_is_read_again_soon(desk):
    waiting(desk)
    balance(desk, 0).clear().advance(6)
    assert len(desk.asked(fx.ReadTokenBalance)) == 1
    balance(desk, 10_000_000)
    desk.snapshot()
    assert desk.state.ledger.claims == 10_000_000


def test_a_zero_balance_without_a_claim_is_nothing(desk):
    after_close(desk)
    balance(desk, 0)
    assert not postings(desk)


def test_a_repeated_verdict_changes_nothing(desk):
    after_close(desk).resolve(100).clear()
    desk.resolve(100)
    assert not postings(desk)
    assert not desk.found(SettlementRecorded)
    assert not desk.state.markets[CONDITION].frozen


def test_a_contradicting_verdict_freezes_the_market_and_pays_nothing_more(desk):
    after_close(desk).resolve(100).clear()
    desk.resolve(0)
    assert desk.notices(NoticeKind.MARKET_FROZEN)
    assert desk.state.markets[CONDITION].frozen
    assert not postings(desk)


def test_shares_of_a_provisional_trade_wait_for_its_confirmation(desk):
    entry = desk.enter(enter(10, 60))
    desk.accept(entry)
    report = desk.fill(entry, 10)
    desk.advance(700).clear()
    desk.resolve(100).advance(10)
    assert desk.state.ledger.claims == 0
    assert not desk.found(SettlementRecorded)
    desk.settle(report, "CONFIRMED")
    assert desk.state.ledger.claims == 10_000_000
    assert len(desk.found(SettlementRecorded)) == 1


def test_a_provisional_trade_that_fails_after_the_verdict_pays_nothing(desk):
    entry = desk.enter(enter(10, 60))
    desk.accept(entry)
    report = desk.fill(entry, 10)
    desk.advance(700).clear()
    desk.resolve(100)
    desk.settle(report, "FAILED").advance(10)
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == CASH
    assert desk.found(SettlementRecorded)[0].realised_pnl == 0


def test_an_order_in_doubt_keeps_its_market_unsettled_until_it_is_known(desk):
    entry = desk.enter(enter(10, 60))
    desk.unknown(entry)
    desk.advance(700).clear()
    desk.resolve(100)
    assert entry.order_id in desk.lookups()
    assert not desk.found(SettlementRecorded)
    desk.answer(entry, desk.leg(entry, 10, status="CONFIRMED")).advance(5)
    assert desk.found(SettlementRecorded)[0].shares_held == 10_000_000


def test_a_take_profit_that_the_venue_dropped_at_the_end_is_looked_up_and_the_rest_resolves(desk):
    desk.hold(10, 50)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).advance(700)
    desk.resolve(100)
    assert not desk.found(SettlementRecorded)
    desk.answer(resting, desk.leg(resting, 4, status="CONFIRMED")).advance(5)
    assert resting.order.status is OrderStatus.CANCELED
    [settled] = desk.found(SettlementRecorded)
    assert settled.shares_held == 6_000_000
    assert settled.realised_pnl == 4 * 400_000 + 6 * 500_000


def test_a_late_fill_after_the_settlement_is_claimed_too(desk):
    entry = desk.enter(enter(10, 60))
    desk.accept(entry)
    desk.fill(entry, 6, status="CONFIRMED")
    desk.advance(700)
    desk.cancelled(entry).answer(entry).resolve(100).advance(5)
    desk.redeemed()
    assert desk.state.settled_markets == 1
    cash = desk.state.ledger.cash
    desk.fill(entry, 4, status="CONFIRMED")
    assert desk.state.ledger.claims == 4_000_000
    assert desk.state.ledger.cash == cash - 2_400_000
    assert desk.state.settled_markets == 1
    desk.advance(6)
    desk.redeemed()
    assert desk.state.ledger.claims == 0


def test_two_positions_in_one_token_are_redeemed_together(desk):
    desk.hold(10, 60)
    desk.hold(8, 60)
    desk.advance(700).resolve(100)
    assert desk.state.ledger.balance(UP).claim == 18_000_000
    desk.advance(5)
    desk.redeemed()
    assert desk.state.ledger.claims == 0
    assert postings(desk).count("REDEEMED") == 1


def test_two_positions_in_one_token_of_which_one_is_provisional(desk):
    desk.hold(10, 60)
    second = desk.enter(enter(8, 60))
    desk.accept(second)
    report = desk.fill(second, 8)
    desk.advance(700).resolve(100).advance(5)
    desk.redeemed()
    assert desk.state.ledger.claims == 10_000_000
    assert not desk.found(SettlementRecorded)
    desk.settle(report, "CONFIRMED")
    assert desk.state.ledger.claims == 18_000_000
    desk.advance(6).redeemed()
    assert desk.state.ledger.claims == 0
    assert desk.found(SettlementRecorded)[0].payout == 18_000_000


def test_the_verdict_is_asked_for_after_the_close_until_there_is_one(desk):
    desk.advance(600 + 9)
    assert not desk.asked(fx.ReadResolution)
    desk.advance(2)
    assert len(desk.asked(fx.ReadResolution)) == 1
    desk.advance(60)
    assert len(desk.asked(fx.ReadResolution)) == 3
    desk.resolve(100).clear()
    desk.advance(120)
    assert not desk.asked(fx.ReadResolution)


def test_an_announced_verdict_pays_nothing_and_is_asked_for(desk):
    after_close(desk)
    desk.step(ev.MarketResolved(condition_id=CONDITION, up_payout=0, at_ns=desk.now_ns, confirmed=False))
    assert desk.state.markets[CONDITION].resolution is None
    assert [ask.condition_id for ask in desk.asked(fx.ReadResolution)] == [CONDITION]
    desk.resolve(100)
    assert desk.state.markets[CONDITION].resolution is not None
    assert desk.state.ledger.claims > 0


def test_a_verdict_of_a_market_that_is_not_ours_is_nothing(desk):
    desk.step(ev.MarketResolved(condition_id="0xother", up_payout=0, at_ns=0))  # type: ignore[arg-type]
    assert not desk.facts


def test_a_market_without_business_settles_at_once(desk):
    desk.resolve(100)
    assert len(desk.found(SettlementRecorded)) == 1
    assert desk.state.settled_markets == 1


def test_the_results_of_two_positions_add_up_net_of_fees(desk):
    desk.hold(10, 60)
    other = desk.enter(enter(10, 60, outcome=Outcome.DOWN))
    desk.step(desk.leg(other, 10, 60, status="CONFIRMED", maker=False))
    desk.advance(700).resolve(0)
    [settled] = desk.found(SettlementRecorded)
    assert settled.fees == 168_000
    assert settled.realised_pnl == -6_000_000 + 4_000_000 - 168_000


def test_a_zero_reading_in_the_lag_of_a_late_fill_is_no_redemption(desk):
    """Bought seconds before the end; the balance has not caught up, the cash has not come."""
    entry = desk.enter(enter(10, 60))
    desk.accept(entry).advance(595)
    desk.fill(entry, 10, status="CONFIRMED")
    desk.advance(10).resolve(100)
    cash = desk.state.ledger.cash
    for _ in range(20):
        desk.advance(5)
        balance(desk, 0).snapshot(cash=cash)
    assert desk.state.ledger.claims == 10_000_000
    desk.advance(5)
    balance(desk, 10_000_000)
    for _ in range(60):
        desk.advance(5).snapshot(cash=cash)
    assert desk.state.ledger.claims == 10_000_000
    desk.redeemed()
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == cash + 10_000_000


def test_shares_that_leave_without_cash_end_the_claim_and_are_told(desk):
    after_close(desk).resolve(100)
    cash = desk.state.ledger.cash
    for _ in range(32):
        desk.advance(5)
        balance(desk, 0).snapshot(cash=cash)
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == cash
    assert "left the wallet and no cash came" in desk.notices(NoticeKind.FILL_STRANGE)[0].message


def test_a_claim_with_dust_in_it_is_redeemed_whole(desk):
    desk.hold(10, 60)
    [position] = desk.state.positions.values()
    desk.advance(200).snapshot(tokens=[(UP, 10_001_489)])
    desk.advance(6).snapshot(tokens=[(UP, 10_001_489)])
    assert position.shares == 10_001_489
    after_close_of = (CLOSES * NS_PER_S - desk.now_ns) / NS_PER_S + 5
    desk.advance(after_close_of).resolve(100)
    assert desk.state.ledger.claims == 10_001_489
    desk.advance(6).redeemed()
    assert desk.state.ledger.claims == 0


def test_two_claims_are_told_apart_by_the_cash_that_came(desk):
    desk.hold(10, 60)
    desk.enter(enter(8, 60, outcome=Outcome.DOWN))
    desk.fill(desk.last_order(), 8, status="CONFIRMED")
    desk.advance(700).resolve(50).advance(6)
    cash = desk.state.ledger.cash
    balance(desk, 0)
    balance(desk, 0, DOWN).snapshot(cash=cash + 4_000_000)
    assert desk.state.ledger.balance(DOWN).claim == 0
    assert desk.state.ledger.balance(UP).claim == 5_000_000
    for _ in range(3):
        desk.advance(6).snapshot(cash=cash + 9_000_000)
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == cash + 9_000_000


def test_orders_of_a_resolved_market_are_looked_up_with_growing_pauses(desk):
    entry = desk.enter(enter(10, 60))
    desk.unknown(entry).advance(700).clear()
    desk.resolve(100).clear()
    desk.state.markets[CONDITION].settle_asks = 0
    asked = []
    for second in range(60):
        before = len(desk.lookups())
        desk.advance(1)
        if len(desk.lookups()) > before:
            asked.append(second)
    assert len(asked) < 12


def test_a_claim_that_brought_less_ends_with_the_cash_that_came(desk):
    """Some of the shares had been moved away before the end, unnoticed."""
    after_close(desk).resolve(100)
    cash = desk.state.ledger.cash
    for _ in range(32):
        desk.advance(5)
        balance(desk, 0).snapshot(cash=cash + 4_000_000)
    assert desk.state.ledger.claims == 0
    assert desk.state.ledger.cash == cash + 4_000_000
