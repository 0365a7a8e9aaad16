from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, StreamName
from polystra.domain.facts import DecisionRecorded, NoticeKind
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import OrderStatus, Purpose, TimeInForce
from polystra.domain.units import E8, NS_PER_S
from polystra.engine.config import RiskConfig, UnfilledConfig
from polystra.engine.core import Engine
from polystra.engine.entries import Entries
from polystra.engine.strategy.evaluate import Action, Evaluation
from tests.unit.engine.desk import CASH, CONDITION, MARKET, OPENS, Desk, config, enter

SKIP = replace(enter(), action=Action.SKIP, reason="edge is too small", price=None, quantity=None)


class Strategy:
    """A strategy by script: says `answer` whenever it is asked, or raises it."""

    def __init__(self) -> None:
        self.answer: Evaluation | Exception = SKIP
        self.asked = 0

    def __call__(self, view, settings, advisor=None) -> Evaluation:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def strategy(monkeypatch) -> Strategy:
    made = Strategy()
    monkeypatch.setattr("polystra.engine.trader.evaluate", made)
    return made


@pytest.fixture
def desk(strategy) -> Desk:
    return Desk().ready()


def tick(desk: Desk, seconds: float = 1) -> Desk:
    """Time passes, the books are confirmed, a price comes: the trader looks."""
    desk.advance(seconds).books(49, 51)
    return desk.step(PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=60_000 * E8, at_ns=desk.now_ns))


def decisions(desk: Desk) -> list[DecisionRecorded]:
    return desk.found(DecisionRecorded)


def test_a_decision_to_enter_is_recorded_before_its_order_and_named_by_it(desk, strategy):
    strategy.answer = enter()
    tick(desk)
    [decision] = decisions(desk)
    [order] = desk.sent()
    assert decision.action == "ENTER"
    track = desk.last_order()
    assert track.decision_id == decision.decision_id
    names = [type(fact).__name__ for fact in desk.facts]
    assert names.index("DecisionRecorded") < names.index("IntentRecorded")
    assert (order.terms.price, order.terms.quantity, order.terms.purpose) == (500_000, 10_000_000, Purpose.ENTRY)


def test_one_entry_or_position_at_a_time(desk, strategy):
    strategy.answer = enter()
    tick(desk)
    track = desk.last_order()
    for _ in range(5):
        tick(desk)
    assert len(desk.sent()) == 1
    desk.accept(track)
    desk.fill(track, 10, 60, status="CONFIRMED")
    for _ in range(5):
        tick(desk)
    assert len(desk.orders(Purpose.ENTRY)) == 1
    assert "a position is open" in decisions(desk)[-1].reason


def test_an_order_in_doubt_is_a_working_order(desk, strategy):
    strategy.answer = enter()
    tick(desk).unknown(desk.last_order())
    for _ in range(10):
        tick(desk)
    assert len(desk.orders(Purpose.ENTRY)) == 1


def test_a_cancelled_entry_with_unseen_trades_is_a_working_order(desk, strategy):
    strategy.answer = enter()
    tick(desk)
    track = desk.last_order()
    desk.accept(track).report(track, "CANCELED", 4)
    for _ in range(3):
        tick(desk, 0.6)
    assert len(desk.orders(Purpose.ENTRY)) == 1


def test_a_second_entry_after_the_first_was_refused_and_none_beyond_the_limit(desk, strategy):
    strategy.answer = enter()
    for _ in range(5):
        tick(desk)
        if desk.last_order().is_live:
            desk.refuse(desk.last_order())
    assert len(desk.orders(Purpose.ENTRY)) == 2
    assert "2 entries" in decisions(desk)[-1].reason


def test_no_entry_after_a_stop_in_the_same_window(desk, strategy):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).book(25, 27).cancelled(resting).answer(resting)
    sale = desk.orders(Purpose.STOP_LOSS)[0]
    desk.accept(sale).fill(sale, 10, 25, status="CONFIRMED", maker=False)
    desk.report(sale, "MATCHED", 10)
    assert desk.position().shares == 0
    strategy.answer = enter()
    for _ in range(5):
        tick(desk)
    assert len(desk.orders(Purpose.ENTRY)) == 1
    assert "stopped out" in decisions(desk)[-1].reason


def test_skips_are_recorded_when_their_reason_changes_and_at_most_once_a_second(desk, strategy):
    tick(desk).clear()
    for _ in range(5):
        tick(desk)
    assert not decisions(desk)
    reasons = ["book is crossed", "spread is too wide", "edge is too small", "no book"]
    for n in range(40):
        strategy.answer = replace(SKIP, reason=reasons[n % 4])
        tick(desk, 0.5)
    assert 10 <= len(decisions(desk)) <= 20
    times = [decision.at_ns for decision in decisions(desk)]
    assert all(after - before >= NS_PER_S for before, after in pairwise(times))
    numbers = [decision.decision_id for decision in decisions(desk)]
    assert numbers == sorted(set(numbers))


def test_evaluations_are_rationed(desk, strategy):
    strategy.asked = 0
    for _ in range(50):
        tick(desk, 0.01)
    assert strategy.asked <= 2


def test_a_cheaper_offer_is_looked_at_at_once_and_the_same_one_not_again(desk, strategy):
    tick(desk)
    strategy.asked = 0
    desk.book(49, 50)
    assert strategy.asked == 1
    for cents in (51, 50, 52, 50):
        desk.book(49, cents)
    assert strategy.asked == 1
    desk.book(45, 47)
    assert strategy.asked == 2
    tick(desk)
    strategy.asked = 0
    desk.book(45, 47)
    assert strategy.asked == 1, "a look by the clock begins anew"


@pytest.mark.parametrize("error", [ValueError("bad"), ZeroDivisionError(), KeyError("x"), TypeError("t")])
def test_a_broken_strategy_is_off_in_its_market_only_and_exits_go_on(desk, strategy, error):
    other = replace(
        MARKET,
        condition_id=ConditionId("0xother"),
        slug="other",
        up_token=TokenId("3"),
        down_token=TokenId("4"),
    )
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting)
    strategy.answer = error
    tick(desk)
    assert len(desk.notices(NoticeKind.STRATEGY_FAILED)) == 1
    strategy.asked = 0
    tick(desk)
    assert strategy.asked == 0
    _list(desk, other)
    strategy.answer = SKIP
    tick(desk)
    assert strategy.asked == 1
    desk.book(25, 27)
    assert desk.notices(NoticeKind.STOP_FIRED)
    assert desk.cancels() == [resting.order_id]


def _list(desk: Desk, market: Market) -> None:
    from polystra.domain.events import MarketsListed

    desk.step(MarketsListed(markets=(market,)))


@pytest.mark.parametrize("stream", [StreamName.MARKET, StreamName.USER, StreamName.PRICES])
def test_a_lost_stream_blocks_entries_until_it_is_back(desk, strategy, stream):
    strategy.answer = enter()
    desk.step(StreamLost(stream=stream, reason="broken"))
    tick(desk)
    assert not desk.sent()
    assert desk.notices(NoticeKind.ENTRIES_BLOCKED)
    desk.step(StreamConnected(stream=stream)).snapshot()
    tick(desk)
    assert len(desk.sent()) == 1
    assert desk.notices(NoticeKind.ENTRIES_ALLOWED)


def test_the_spot_stream_is_not_required(desk, strategy):
    strategy.answer = enter()
    desk.step(StreamLost(stream=StreamName.SPOT, reason="broken"))
    tick(desk)
    assert len(desk.sent()) == 1


def test_a_stale_book_blocks_entries(desk, strategy):
    strategy.answer = enter()
    desk.advance(6)
    desk.step(PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=60_000 * E8, at_ns=desk.now_ns))
    assert not desk.sent()
    assert "stale" in decisions(desk)[-1].reason


def test_nothing_is_evaluated_outside_the_window(strategy):
    desk = Desk(now_ns=(OPENS - 20) * NS_PER_S).ready()
    tick(desk)
    assert strategy.asked == 0
    tick(desk, 20)
    assert strategy.asked == 1
    desk.advance(900)
    strategy.asked = 0
    tick(desk)
    assert strategy.asked == 0


def test_open_positions_are_limited_with_entries_counted(strategy):
    desk = Desk(config(risk=RiskConfig(max_open_positions=1))).ready()
    desk.enter()
    assert desk.engine._risk.open_positions() == 1
    desk.state.markets[CONDITION].positions.clear()
    other = replace(
        MARKET, condition_id=ConditionId("0xother"), slug="other", up_token=TokenId("3"), down_token=TokenId("4")
    )
    _list(desk, other)
    strategy.answer = enter()
    desk.clear()
    desk.book(49, 51, TokenId("3")).book(49, 51, TokenId("4"))
    tick(desk)
    assert not desk.sent()
    assert any("positions are open" in decision.reason for decision in decisions(desk))


# --- exposure ----------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["submitted", "open", "in doubt", "pending cancel"])
def test_entries_in_flight_count_as_exposure_and_reserve_cash(desk, fate):
    track = desk.enter()
    if fate == "open":
        desk.accept(track)
    elif fate == "in doubt":
        desk.unknown(track)
    elif fate == "pending cancel":
        desk.accept(track).advance(200)
    risk = desk.engine._risk
    assert track.is_live
    assert risk.exposure() == risk.exposure(CONDITION) >= 5_000_000
    assert risk.budget(CONDITION).room <= 20_000_000
    assert risk.budget(CONDITION).bankroll <= CASH - 5_000_000


def test_a_partly_filled_entry_counts_once(desk):
    track = desk.enter()
    desk.accept(track)
    before = desk.engine._risk.exposure()
    desk.fill(track, 4)
    assert abs(desk.engine._risk.exposure() - before) <= 200_000
    desk.fill(track, 6)
    assert desk.engine._risk.exposure() == 5_000_000


def test_sold_shares_and_dead_orders_are_no_exposure(desk):
    desk.refuse(desk.enter())
    assert desk.engine._risk.exposure() == 0
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).fill(resting, 4)
    assert desk.engine._risk.exposure() == 3_000_000


def test_capital_bounds_what_may_be_spent():
    desk = Desk(config(risk=RiskConfig(capital=8_000_000))).ready()
    assert desk.engine._risk.budget(CONDITION).bankroll == 8_000_000
    desk.hold()
    assert desk.engine._risk.budget(CONDITION).room == 3_000_000


# --- the life of an entry ------------------------------------------------------------------


def test_an_entry_is_cancelled_when_a_third_of_what_was_left_of_the_window_is_over(desk):
    track = desk.enter()
    desk.accept(track).advance(199)
    assert not track.cancel_asked_ns
    desk.advance(2)
    assert track.order.status is OrderStatus.PENDING_CANCEL


def test_the_configured_time_out_wins_when_it_is_shorter(strategy):
    desk = Desk(config(unfilled=UnfilledConfig(timeout_s=60))).ready()
    track = desk.enter()
    desk.accept(track).advance(61)
    assert track.order.status is OrderStatus.PENDING_CANCEL


def test_without_the_rule_an_entry_lives_until_the_window_closes(strategy):
    desk = Desk(config(unfilled=UnfilledConfig(cancel=False))).ready()
    track = desk.enter()
    desk.accept(track).advance(590)
    assert not track.cancel_asked_ns
    desk.advance(11)
    assert track.order.status is OrderStatus.PENDING_CANCEL


def test_a_take_profit_is_not_timed_out(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).advance(590)
    assert resting.order.status is OrderStatus.OPEN


@pytest.mark.parametrize(("left_s", "life_s"), [(900, 300), (600, 200), (30, 10), (0, 0)])
def test_the_life_of_an_entry(left_s, life_s):
    desk = Desk()
    entries = Entries(desk.state, desk.engine._gateway)
    now_ns = (MARKET.closes_at_s - left_s) * NS_PER_S
    assert entries.life_ns(MARKET, now_ns) == life_s * NS_PER_S


def test_an_entry_dies_by_itself_where_the_venue_allows_it(desk):
    terms = desk.enter().order.terms
    assert terms.time_in_force is TimeInForce.GTD
    now_s = desk.now_ns // NS_PER_S
    assert terms.expires_at_s >= now_s + 190
    assert terms.expires_at_s - 60 < MARKET.closes_at_s


def test_dollars_are_spent_with_fak(desk):
    terms = desk.enter(enter(budget=5)).order.terms
    assert terms.time_in_force is TimeInForce.FAK
    assert terms.budget == 5_000_000


class Breaks:
    """A user's strategy that answers once and then raises."""

    def __init__(self) -> None:
        self.asked = 0

    def decide(self, view, fused, signals):
        self.asked += 1
        raise RuntimeError("boom")


def test_a_users_strategy_that_fails_is_asked_no_more_and_positions_stay_protected():
    strategy = Breaks()
    desk = Desk(engine=Engine(config(), strategy)).ready()
    average = PriceTicked(symbol="BTC", source=PriceSource.AVERAGE, price=60_000 * E8, at_ns=OPENS * NS_PER_S)
    desk.step(average).hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).clear()
    for second in range(150):
        tick(desk, 0.7)
        desk.step(
            PriceTicked(
                symbol="BTC",
                source=PriceSource.SETTLEMENT,
                price=(60_000 + second % 7) * E8,
                at_ns=desk.now_ns + NS_PER_S // 3,
            )
        ).advance(0.3)
    assert strategy.asked == 1
    [notice] = desk.notices(NoticeKind.STRATEGY_FAILED)
    assert "RuntimeError: boom" in notice.message
    assert not desk.sent()
    desk.book(25, 27)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_an_opinion_that_is_looked_at_does_not_ask_a_strategy_that_may_remember():
    class Counts:
        asked = 0

        def decide(self, view, fused, signals):
            self.asked += 1

    counts = Counts()
    desk = Desk(engine=Engine(config(), counts)).ready()
    tick(desk)
    asked = counts.asked
    assert desk.engine.opinion(CONDITION, desk.now_ns) is not None
    assert counts.asked == asked
