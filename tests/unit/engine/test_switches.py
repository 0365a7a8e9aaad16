"""Switches and the limits that set them: when each fires, when it does not, and what a restart keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from polystra.domain.events import (
    MarketsListed,
    StreamConnected,
    StreamName,
    SubmitRefused,
    SwitchName,
    SwitchRequested,
)
from polystra.domain.facts import (
    IntentRecorded,
    MarketRecorded,
    NoticeKind,
    OrderChanged,
    PostingRecorded,
    SwitchChanged,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig, RiskConfig
from polystra.engine.core import Engine
from polystra.engine.results import DAY_NS, next_day_ns
from polystra.engine.switches import BREAKER_PAUSE_S
from tests.unit.engine.desk import CONDITION, MARKET, START_NS, Desk, config, enter

NO_EXITS = ExitConfig(enabled=False)
OTHER = replace(
    MARKET,
    condition_id=ConditionId("0xother"),
    slug="eth-updown-15m-1800000000",
    symbol="ETH",
    up_token=TokenId("3"),
    down_token=TokenId("4"),
)


def desk_with(**limits: int) -> Desk:
    return Desk(config(symbols=("BTC", "ETH"), risk=RiskConfig(**limits), exits=NO_EXITS)).ready()


def switched(desk: Desk, name: SwitchName) -> list[SwitchChanged]:
    return [fact for fact in desk.found(SwitchChanged) if fact.name is name]


def ask(desk: Desk, name: SwitchName, *, on: bool = True, until_ns: int = 0) -> Desk:
    return desk.step(SwitchRequested(name=name, on=on, reason="because", source="command", until_ns=until_ns))


def block(desk: Desk) -> str:
    return desk.engine._risk.entry_block() or ""


# --- asked for from outside ----------------------------------------------------------------


@pytest.mark.parametrize("name", [SwitchName.KILL, SwitchName.STOP_ENTRY, SwitchName.PAUSE])
def test_a_switch_blocks_entries_until_it_is_cleared_and_is_told_once(name):
    desk = desk_with()
    ask(ask(desk, name), name)
    assert "because" in block(desk)
    assert [fact.on for fact in switched(desk, name)] == [True]
    ask(ask(desk, name, on=False), name, on=False)
    assert not block(desk)
    assert [fact.on for fact in switched(desk, name)] == [True, False]


def test_the_kill_switch_cancels_entries_sent_or_resting_and_no_exit():
    desk = Desk().ready()
    desk.hold()
    [exit_order] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(exit_order)
    sent = desk.enter()
    resting = desk.enter()
    desk.accept(resting).clear()
    ask(desk, SwitchName.KILL)
    assert sorted(desk.cancels()) == sorted([sent.order_id, resting.order_id])
    assert exit_order.order.status is OrderStatus.OPEN


def test_stopping_entries_leaves_those_that_rest():
    desk = desk_with()
    track = desk.enter()
    desk.accept(track).clear()
    ask(desk, SwitchName.STOP_ENTRY)
    assert not desk.cancels()


def test_a_pause_ends_by_itself_and_a_new_one_replaces_its_time():
    desk = desk_with()
    ask(desk, SwitchName.PAUSE, until_ns=desk.now_ns + 60 * NS_PER_S)
    ask(desk, SwitchName.PAUSE, until_ns=desk.now_ns + 120 * NS_PER_S)
    desk.advance(100)
    assert block(desk)
    desk.advance(21)
    assert not block(desk)
    assert switched(desk, SwitchName.PAUSE)[-1].reason == "its time is over"


# --- losses --------------------------------------------------------------------------------


def lose(desk: Desk, cents: float = 0) -> None:
    """Buy 10 shares at 50 cents and have them resolve at `cents`; the market is then there for the next."""
    desk.hold()
    _resolve(desk, cents)


def _resolve(desk: Desk, cents: float) -> None:
    desk.resolve(cents)
    desk.state.markets[CONDITION].resolution = None
    desk.state.markets[CONDITION].settled = False


def test_the_loss_of_the_day_stops_entries_until_the_next_utc_day():
    desk = desk_with(daily_loss_limit=10_000_000)
    lose(desk)
    assert not switched(desk, SwitchName.DAILY_LOSS)
    lose(desk)
    [switch] = switched(desk, SwitchName.DAILY_LOSS)
    assert switch.until_ns == next_day_ns(START_NS)
    assert switch.until_ns % DAY_NS == 0
    assert "daily loss" in block(desk)
    desk.clear().advance((switch.until_ns - desk.now_ns) / NS_PER_S + 1)
    assert not block(desk)
    assert [fact.on for fact in switched(desk, SwitchName.DAILY_LOSS)] == [False]


def test_an_open_loss_counts_at_the_best_bid_and_an_open_gain_makes_up_for_a_loss():
    desk = desk_with(daily_loss_limit=4_000_000)
    desk.hold()
    desk.books(20, 80).advance(2).books(20, 80)
    assert not switched(desk, SwitchName.DAILY_LOSS)
    desk.books(9, 80).advance(2).books(9, 80)
    assert switched(desk, SwitchName.DAILY_LOSS)


def test_the_drawdown_is_from_the_highest_result_and_clearing_it_starts_anew():
    desk = desk_with(max_drawdown=9_000_000)
    lose(desk, 100)
    assert not switched(desk, SwitchName.DRAWDOWN)
    lose(desk)
    assert not switched(desk, SwitchName.DRAWDOWN)
    lose(desk)
    [switch] = switched(desk, SwitchName.DRAWDOWN)
    assert switch.until_ns == 0
    ask(desk, SwitchName.DRAWDOWN, on=False)
    desk.advance(5).books(49, 51)
    assert not block(desk)
    lose(desk)
    lose(desk)
    assert block(desk)


def test_losses_in_a_row_pause_and_a_gain_between_does_not():
    desk = desk_with(max_consecutive_losses=2)
    lose(desk)
    lose(desk, 100)
    lose(desk)
    assert not switched(desk, SwitchName.CONSECUTIVE_LOSSES)
    lose(desk)
    assert switched(desk, SwitchName.CONSECUTIVE_LOSSES)
    ask(desk, SwitchName.CONSECUTIVE_LOSSES, on=False)
    desk.advance(5).books(49, 51)
    assert not block(desk)
    lose(desk)
    assert not block(desk)
    lose(desk)
    assert block(desk)


def test_a_limit_of_zero_is_off():
    desk = desk_with()
    for _ in range(6):
        lose(desk)
    assert not desk.found(SwitchChanged)


# --- refusals, blacklist, balance ----------------------------------------------------------


def test_refused_orders_within_a_minute_break_for_a_while():
    desk = desk_with(max_rejections_per_minute=3)
    for _ in range(2):
        desk.refuse(desk.enter())
    desk.advance(61)
    for _ in range(2):
        desk.refuse(desk.enter())
    assert not block(desk)
    desk.refuse(desk.enter())
    assert "refused" in block(desk)
    desk.advance(BREAKER_PAUSE_S + 1)
    assert not block(desk)


def test_refused_exits_and_entries_that_never_left_do_not_stop_entries():
    desk = Desk(config(risk=RiskConfig(max_rejections_per_minute=1))).ready()
    desk.hold()
    desk.refuse(desk.orders(Purpose.TAKE_PROFIT)[0])
    never = desk.enter()
    desk.step(SubmitRefused(order_id=never.order_id, message="stale: it never left", code="stale"))
    assert not block(desk)
    desk.refuse(desk.enter())
    assert block(desk)


def test_a_killed_fak_is_no_refusal():
    desk = desk_with(max_rejections_per_minute=1)
    desk.refuse(desk.enter(enter(budget=5)), killed=True)
    assert not block(desk)


def stop_out(desk: Desk, cents: float) -> None:
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).book(25, 27).cancelled(resting).answer(resting)
    sale = desk.orders(Purpose.STOP_LOSS)[0]
    desk.accept(sale).fill(sale, 10, cents, status="CONFIRMED", maker=False)
    desk.report(sale, "MATCHED", 10)


def test_a_stop_at_a_loss_blacklists_its_symbol_only_and_only_for_a_while():
    desk = Desk(config(risk=RiskConfig(blacklist_after_stop_ns=600 * NS_PER_S))).ready()
    desk.step(MarketsListed(markets=(OTHER,)))
    stop_out(desk, 25)
    [switch] = switched(desk, SwitchName.BLACKLIST)
    assert switch.subject == "BTC"
    risk, state = desk.engine._risk, desk.state
    desk.books(49, 51).book(49, 51, TokenId("3")).book(49, 51, TokenId("4"))
    assert "BTC is blacklisted" in risk.market_block(state.markets[CONDITION], desk.now_ns)
    assert not risk.market_block(state.markets[OTHER.condition_id], desk.now_ns)
    assert not block(desk)
    desk.advance(590).books(49, 51)
    assert state.switches
    desk.advance(11).books(49, 51)
    assert not risk.market_block(state.markets[CONDITION], desk.now_ns)


def test_a_stop_that_still_won_and_a_rule_that_is_off_blacklist_nothing():
    desk = Desk(config(risk=RiskConfig(blacklist_after_stop_ns=600 * NS_PER_S))).ready()
    stop_out(desk, 60)
    off = Desk().ready()
    stop_out(off, 25)
    assert not desk.found(SwitchChanged)
    assert not off.found(SwitchChanged)


def test_a_low_balance_is_told_once_per_crossing():
    desk = Desk(config(risk=RiskConfig(low_balance_alert=10_000_000), exits=NO_EXITS)).ready(cash=12 * MICRO)
    desk.hold()
    desk.advance(5).books(49, 51).advance(5).books(49, 51)
    assert len(desk.notices(NoticeKind.BALANCE_LOW)) == 1
    _resolve(desk, 100)
    desk.advance(5).books(49, 51)
    assert len(desk.notices(NoticeKind.BALANCE_LOW)) == 1


def test_a_low_balance_names_the_winnings_that_would_let_trading_go_on():
    desk = Desk(config(risk=RiskConfig(low_balance_alert=10_000_000), exits=NO_EXITS)).ready(cash=12 * MICRO)
    desk.hold()
    assert "winnings" not in desk.notices(NoticeKind.BALANCE_LOW)[-1].message
    _resolve(desk, 100)
    desk.engine._switches._balance_is_low = False
    desk.advance(5).books(49, 51)
    [_, second] = desk.notices(NoticeKind.BALANCE_LOW)
    assert second.message.endswith("; unredeemed winnings of $10 would let trading go on")


def test_no_entry_below_the_floor():
    desk = Desk(config(risk=RiskConfig(balance_floor=10_000_000))).ready(cash=12 * MICRO)
    risk, market = desk.engine._risk, desk.state.markets[CONDITION]
    assert risk.budget(CONDITION).room == 2_000_000
    assert not risk.market_block(market, desk.now_ns)
    desk.enter()
    assert risk.budget(CONDITION).room == 0
    assert "floor" in risk.market_block(market, desk.now_ns)


# --- exposure ------------------------------------------------------------------------------


def test_the_limit_of_a_symbol_counts_all_its_markets_and_no_other():
    desk = desk_with(max_exposure_per_symbol=8_000_000)
    desk.step(MarketsListed(markets=(OTHER,)))
    desk.enter()
    risk = desk.engine._risk
    assert risk.budget(CONDITION).room == 3_000_000
    assert risk.budget(OTHER.condition_id).room == 8_000_000


def test_the_direction_is_net_of_what_is_held_against_it_but_not_of_orders():
    desk = desk_with(max_exposure_per_direction=8_000_000)
    risk = desk.engine._risk
    desk.hold()
    assert risk.room(CONDITION, Outcome.UP) == 3_000_000
    assert risk.room(CONDITION, Outcome.DOWN) == 13_000_000
    down = desk.enter(enter(outcome=Outcome.DOWN))
    assert risk.room(CONDITION, Outcome.UP) == 3_000_000
    assert risk.room(CONDITION, Outcome.DOWN) == 8_000_000
    desk.accept(down).fill(down, 10, 50)
    assert risk.room(CONDITION, Outcome.UP) == 8_000_000


def test_a_cancelled_entry_counts_until_its_trades_are_known():
    desk = desk_with()
    track = desk.enter()
    desk.accept(track).cancelled(track)
    assert desk.engine._risk.exposure() == 5_000_000
    desk.report(track, "CANCELED", 4)
    assert desk.engine._risk.exposure() == 2_000_000
    desk.fill(track, 4)
    assert desk.engine._risk.exposure() == 2_000_000


# --- a restart -----------------------------------------------------------------------------


def restarted(desk: Desk, facts: Sequence[object], **limits: int) -> Desk:
    """The next run over the postings and switches of this one."""
    engine = Engine(config(risk=RiskConfig(**limits), exits=NO_EXITS))
    orders = {f.order.terms.client_order_id: f.order for f in facts if isinstance(f, IntentRecorded | OrderChanged)}
    signed = {f.signed.client_order_id: f.signed for f in facts if isinstance(f, IntentRecorded)}
    switches = {(fact.name, fact.subject): fact for fact in facts if isinstance(fact, SwitchChanged)}
    engine.restore(
        markets=[(fact.market, None) for fact in facts if isinstance(fact, MarketRecorded)][:1],
        orders=[(order, signed[key]) for key, order in orders.items()],
        fills=(),
        postings=[fact.posting for fact in facts if isinstance(fact, PostingRecorded)],
        positions=(),
        next_order_number=1_000,
        next_decision_id=1_000,
        last_fill_ns=desk.now_ns,
        switches=switches.values(),
    )
    again = Desk(engine=engine, now_ns=desk.now_ns + 5 * NS_PER_S).start()
    for stream in StreamName:
        again.step(StreamConnected(stream=stream))
    return again.snapshot()


def test_switches_are_there_after_a_restart_and_end_at_their_time():
    desk = desk_with()
    ask(desk, SwitchName.KILL)
    ask(desk, SwitchName.PAUSE, until_ns=desk.now_ns + 60 * NS_PER_S)
    again = restarted(desk, desk.facts)
    assert "kill" in block(again)
    assert (SwitchName.PAUSE, "") in again.state.switches
    again.advance(61)
    assert (SwitchName.PAUSE, "") not in again.state.switches
    assert "kill" in block(again)


def test_under_the_kill_switch_a_restart_cancels_what_rests_and_holds_entries_from_the_first_turn():
    desk = desk_with()
    track = desk.enter()
    desk.accept(track)
    facts = list(desk.facts)
    ask(desk, SwitchName.KILL)
    kill = [fact for fact in desk.facts if isinstance(fact, SwitchChanged)]
    again = restarted(desk, [*facts, *kill])
    assert again.cancels() == [track.order_id]
    assert [held.reason for held in again.asked(fx.HoldEntries)] == ["the kill switch is on: because"]
    ask(again, SwitchName.KILL, on=False)
    assert again.asked(fx.HoldEntries)[-1].reason == ""


def test_a_switch_that_was_cleared_stays_cleared():
    desk = desk_with()
    ask(ask(desk, SwitchName.KILL), SwitchName.KILL, on=False)
    assert not block(restarted(desk, desk.facts))


def test_the_figures_of_the_day_survive_a_restart():
    desk = desk_with()
    desk.facts.clear()
    lose(desk)
    lose(desk)
    again = restarted(desk, desk.facts, daily_loss_limit=10_000_000, max_consecutive_losses=2, max_drawdown=10_000_000)
    results, before = again.state.results, desk.state.results
    assert results.today(again.now_ns) == before.today(desk.now_ns) == -10_000_000
    assert results.losses_in_row() == 2
    again.advance(1).books(49, 51)
    names = {name for name, _ in again.state.switches}
    assert names == {SwitchName.DAILY_LOSS, SwitchName.CONSECUTIVE_LOSSES, SwitchName.DRAWDOWN}


def test_yesterdays_losses_are_not_todays_after_a_restart():
    desk = desk_with()
    desk.facts.clear()
    lose(desk)
    desk.now_ns = next_day_ns(desk.now_ns) + NS_PER_S
    again = restarted(desk, desk.facts, daily_loss_limit=1_000_000)
    again.advance(2)
    assert again.state.results.today(again.now_ns) == 0
    assert not again.state.switches


def test_a_limit_that_was_cleared_is_not_tripped_by_the_same_losses_after_a_restart():
    limits = {"max_consecutive_losses": 2, "max_drawdown": 10_000_000}
    desk = desk_with(**limits)
    desk.facts.clear()
    lose(desk)
    lose(desk)
    ask(desk, SwitchName.CONSECUTIVE_LOSSES, on=False)
    ask(desk, SwitchName.DRAWDOWN, on=False)
    again = restarted(desk, desk.facts, **limits)
    again.advance(2)
    assert not again.state.switches
