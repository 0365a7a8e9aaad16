from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import OrderStatus, Purpose, TimeInForce
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig, ExitMode
from polystra.engine.state import ExitPhase
from tests.unit.engine.desk import CLOSES, UP, Desk, config, enter, live_sells

TP, SL = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def guarded(desk: Desk):
    """Ten shares at 50 cents with an accepted take-profit at 90."""
    desk.hold()
    [track] = desk.orders(TP)
    desk.accept(track).clear()
    return track


def stop_out(desk: Desk) -> Desk:
    """The bid falls to the stop of half the price paid."""
    return desk.book(25, 27)


# --- the take-profit ---------------------------------------------------------------------


@pytest.mark.parametrize(("status", "placed"), [("MATCHED", 0), ("MINED", 1), ("CONFIRMED", 1), ("RETRYING", 0)])
def test_the_take_profit_rests_only_when_the_shares_have_arrived(desk, status, placed):
    desk.hold(status=status)
    assert len(desk.orders(TP)) == placed


def test_the_take_profit_is_a_resting_sell_of_what_arrived_at_the_target(desk):
    desk.hold()
    [track] = desk.orders(TP)
    terms = track.order.terms
    assert (terms.quantity, terms.price, terms.side, terms.time_in_force) == (
        10_000_000,
        900_000,
        "SELL",
        TimeInForce.GTC,
    )


def test_the_target_is_rounded_up_to_the_tick_and_the_stop_down(desk):
    desk.hold(10, 47)
    assert desk.exits().take_profit_price == 850_000
    assert desk.exits().stop_price == 230_000


def test_a_target_beyond_the_highest_price_means_hold(desk):
    desk.hold(10, 60)
    assert not desk.orders(TP)
    assert desk.exits().take_profit_price is None
    assert desk.exits().stop_price == 300_000


def test_shares_that_arrive_in_two_steps_are_covered_in_two_steps(desk):
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 5, status="CONFIRMED")
    desk.fill(track, 5, status="MATCHED")
    assert [t.order.terms.quantity for t in desk.orders(TP)] == [5_000_000]
    desk.accept(desk.orders(TP)[0])
    desk.fill(track, 5, status="CONFIRMED", trade=desk.trades)
    desk.advance(3)
    assert [t.order.terms.quantity for t in desk.orders(TP)] == [5_000_000, 5_000_000]


def test_what_is_too_small_to_rest_is_watched(desk):
    track = desk.enter(enter(4, budget=2))
    desk.accept(track)
    desk.fill(track, 4, status="CONFIRMED")
    desk.report(track, "MATCHED", 4)
    assert not desk.orders(TP)
    desk.book(89, 91)
    assert not desk.sent()[1:]
    desk.book(90, 92)
    [order] = desk.orders(TP)
    assert order.order.terms.time_in_force is TimeInForce.FAK
    assert order.order.terms.quantity == 4_000_000


def test_a_filled_take_profit_closes_the_position_at_a_profit(desk):
    track = guarded(desk)
    desk.fill(track, 10, status="CONFIRMED")
    assert desk.position().status is PositionStatus.CLOSED
    assert desk.position().realised_pnl == 4_000_000
    assert desk.exits().phase is ExitPhase.DONE
    assert desk.exits().reason is TP
    stop_out(desk)
    assert not desk.sent()


def test_a_take_profit_refused_twice_is_watched_instead(desk):
    desk.hold()
    desk.refuse(desk.orders(TP)[0], message="not enough balance")
    desk.advance(3)
    desk.refuse(desk.orders(TP)[1], message="not enough balance")
    desk.advance(3)
    assert len(desk.orders(TP)) == 2
    assert desk.exits().mode is ExitMode.LIMIT_ORDERS
    assert desk.exits().watched == "take-profit was refused twice"
    assert desk.notices(NoticeKind.EXIT_SKIPPED)
    desk.advance(60).book(90, 92)
    assert desk.orders(TP)[-1].order.terms.time_in_force is TimeInForce.FAK


def test_a_refused_take_profit_is_not_placed_again_at_once(desk):
    desk.hold()
    desk.refuse(desk.orders(TP)[0])
    assert len(desk.orders(TP)) == 1
    desk.advance(3)
    assert len(desk.orders(TP)) == 2


def test_looking_again_without_a_change_asks_for_nothing(desk):
    guarded(desk)
    for _ in range(5):
        desk.book(49, 51)
        desk.advance(1)
    assert not desk.sent()
    assert not desk.cancels()


# --- the stop ----------------------------------------------------------------------------


def test_the_stop_cancels_waits_and_sells_exactly_what_is_left(desk):
    track = guarded(desk)
    stop_out(desk)
    assert desk.notices(NoticeKind.STOP_FIRED)
    assert desk.cancels() == [track.order_id]
    assert not desk.sent()
    desk.cancelled(track)
    assert not desk.sent()
    desk.answer(track)
    [order] = desk.sent()
    terms = order.terms
    assert (terms.purpose, terms.time_in_force, terms.quantity) == (SL, TimeInForce.FAK, 10_000_000)
    assert terms.price == 170_000
    assert desk.position().status is PositionStatus.EXITING or desk.exits().phase is ExitPhase.SELLING


def test_the_stop_sells_only_what_the_take_profit_left(desk):
    track = guarded(desk)
    desk.fill(track, 4)
    stop_out(desk)
    desk.cancelled(track)
    desk.answer(track, desk.leg(track, 4, trade=desk.trades))
    assert [order.terms.quantity for order in desk.sent()] == [6_000_000]


@pytest.mark.parametrize("matched", [0, 4, 10])
@pytest.mark.parametrize("order", list(permutations(["fill", "cancelled", "refused", "lookup", "report"])))
def test_whatever_order_the_venue_speaks_in_no_more_is_sold_than_is_held(matched, order):
    """The five events of a take-profit that trades while its cancel runs; a cancel is accepted or refused, not both."""
    for outcome in ("cancelled", "refused"):
        desk = Desk().ready()
        track = guarded(desk)
        stop_out(desk)
        leg = desk.leg(track, matched, status="MATCHED") if matched else None
        words = [word for word in order if word not in ("cancelled", "refused") or word == outcome]
        if outcome == "refused" and matched < 10:
            words.append("ended")
        for word in words:
            _say(desk, track, word, leg, matched)
            held = desk.state.arrived_shares(desk.position().position_id)
            assert live_sells(desk, desk.position().position_id) <= held
        for _ in range(4):
            desk.advance(8).answer(track, *([leg] if leg else []))
        assert track.is_settled
        left = 10_000_000 - matched * 1_000_000
        assert [sold.terms.quantity for sold in desk.sent()] == ([left] if left else [])


def _say(desk, track, word, leg, matched):
    if word == "fill" and leg is not None:
        desk.step(leg)
    elif word == "cancelled":
        desk.cancelled(track)
    elif word == "refused":
        desk.cancel_refused(track)
    elif word == "lookup":
        desk.answer(track, *([leg] if leg else []), open_as=None)
    elif word in ("report", "ended"):
        desk.report(track, "MATCHED" if matched == 10 else "CANCELED", matched)


def test_a_refused_cancel_makes_no_storm_while_the_trade_is_delayed(desk):
    track = guarded(desk)
    stop_out(desk)
    requests = 0
    for _ in range(10):
        for _ in range(5):
            effects, desk.effects = desk.effects, []
            for effect in effects:
                if isinstance(effect, fx.CancelOrder):
                    requests += 1
                    desk.cancel_refused(track)
                elif isinstance(effect, fx.LookupOrder):
                    requests += 1
                    desk.answer(track, complete=False)
        desk.book(24.5, 27)
        desk.advance(0.5)
    assert requests <= 8
    desk.fill(track, 10)
    assert desk.position().shares == 0
    assert not desk.sent()


def test_a_cancel_of_unknown_outcome_delays_the_stop_only_until_the_look_up(desk):
    track = guarded(desk)
    stop_out(desk).cancel_unknown(track)
    assert not desk.sent()
    desk.answer(track)
    assert [order.terms.quantity for order in desk.sent()] == [10_000_000]


def test_what_the_take_profit_never_covered_waits_for_its_fate_too(desk):
    """One sale of everything, not one of the uncovered part and another of the rest."""
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 6, status="CONFIRMED")
    desk.fill(entry, 4, status="CONFIRMED")
    [resting] = desk.orders(TP)
    desk.accept(resting).clear()
    stop_out(desk).cancelled(resting)
    assert not desk.sent()
    desk.answer(resting)
    assert [order.terms.quantity for order in desk.sent()] == [10_000_000]


def test_the_stop_fires_while_the_entry_still_rests(desk):
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 5, status="CONFIRMED")
    [exit_order] = desk.orders(TP)
    desk.accept(exit_order).clear()
    stop_out(desk)
    assert set(desk.cancels()) == {entry.order_id, exit_order.order_id}
    desk.cancelled(exit_order).answer(exit_order)
    assert not desk.sent()
    desk.cancelled(entry)
    late = desk.leg(entry, 2)
    desk.answer(entry, late)
    assert [order.terms.quantity for order in desk.sent()] == [5_000_000]
    sale = desk.orders(SL)[0]
    desk.accept(sale, status=ev.VenueOrderStatus.MATCHED, making=5_000_000, taking=1_250_000)
    desk.fill(sale, 5, 25, maker=False)
    desk.report(sale, "MATCHED", 5)
    desk.settle(late, "CONFIRMED").advance(10)
    assert [order.terms.quantity for order in desk.sent()] == [5_000_000, 2_000_000]


def test_a_stop_on_shares_that_have_not_arrived_waits_for_them(desk):
    track = desk.enter()
    desk.accept(track)
    bought = desk.fill(track, 10)
    desk.clear()
    stop_out(desk)
    assert desk.notices(NoticeKind.STOP_FIRED)
    assert not desk.sent()
    desk.settle(bought, "MINED")
    assert [order.terms.quantity for order in desk.sent()] == [10_000_000]


def test_a_killed_sale_is_tried_again_with_growing_pauses_at_the_new_bid(desk):
    track = guarded(desk)
    stop_out(desk).cancelled(track).answer(track)
    sent_at = [desk.now_ns // NS_PER_S]
    for _ in range(30):
        sale = desk.orders(SL)[-1]
        if sale.is_live:
            desk.refuse(sale, killed=True, message="no orders found to match with FAK order")
        count = len(desk.orders(SL))
        desk.book(20, 27).advance(1)
        if len(desk.orders(SL)) > count:
            sent_at.append(desk.now_ns // NS_PER_S)
    gaps = [after - before for before, after in pairwise(sent_at)]
    assert gaps[:3] == sorted(gaps[:3])
    assert 4 <= len(gaps) <= 8
    assert desk.orders(SL)[-1].order.terms.price == 140_000
    assert all(sale.order.terms.quantity == 10_000_000 for sale in desk.orders(SL))


def test_a_partly_matched_sale_is_followed_by_the_rest_and_dust_is_kept(desk):
    track = guarded(desk)
    stop_out(desk).cancelled(track).answer(track)
    first = desk.orders(SL)[0]
    desk.accept(first, status=ev.VenueOrderStatus.MATCHED, making=6_000_000, taking=1_500_000)
    report = desk.fill(first, 6, 25, maker=False)
    desk.advance(4).answer(first, report).advance(4)
    second = desk.orders(SL)[1]
    assert second.order.terms.quantity == 4_000_000
    desk.accept(second, status=ev.VenueOrderStatus.MATCHED, making=3_995_000, taking=900_000)
    report = desk.fill(second, 3.995, 25, maker=False)
    desk.advance(4).answer(second, report).advance(10)
    assert len(desk.orders(SL)) == 2
    assert desk.exits().phase is ExitPhase.DONE
    assert desk.position().shares == 5_000


def test_a_failed_sale_brings_the_shares_back_and_they_are_guarded_again(desk):
    track = guarded(desk)
    report = desk.fill(track, 10)
    desk.advance(5)
    assert desk.position().shares == 0
    desk.settle(report, "FAILED")
    assert desk.position().shares == 10_000_000
    desk.advance(3)
    assert [order.terms.purpose for order in desk.sent()] == [TP]
    assert live_sells(desk, desk.position().position_id) == 10_000_000


def test_a_purchase_that_fails_after_the_take_profit_was_placed_takes_it_back(desk):
    entry = desk.enter()
    desk.accept(entry)
    first = desk.fill(entry, 4, status="MINED")
    second = desk.fill(entry, 6, status="MINED")
    desk.advance(3)
    resting = desk.orders(TP)
    for track in resting:
        desk.accept(track)
    assert live_sells(desk, desk.position().position_id) >= 6_000_000
    desk.clear()
    desk.settle(second, "FAILED")
    assert desk.cancels()
    for track in resting:
        if track.order_id in desk.cancels():
            desk.cancelled(track).answer(track)
    desk.advance(5)
    assert live_sells(desk, desk.position().position_id) <= 4_000_000
    desk.settle(first, "FAILED")
    assert desk.position().shares == 0


def test_a_sale_in_doubt_keeps_its_shares_reserved(desk):
    track = guarded(desk)
    stop_out(desk).cancelled(track).answer(track)
    sale = desk.orders(SL)[0]
    desk.unknown(sale)
    desk.advance(20)
    assert len(desk.orders(SL)) == 1
    desk.answer(sale, desk.leg(sale, 10, 25, maker=False))
    desk.advance(20)
    assert len(desk.orders(SL)) == 1
    assert desk.position().shares == 0


# --- when the stop must not fire ---------------------------------------------------------


@pytest.mark.parametrize(("bid", "ask"), [(25, None), (None, 27), (None, None), (25, 24), (25, 25)])
def test_a_one_sided_or_crossed_book_fires_nothing(desk, bid, ask):
    guarded(desk)
    desk.book(bid, ask)
    assert not desk.notices(NoticeKind.STOP_FIRED)


def test_a_book_out_of_sync_fires_nothing(desk):
    guarded(desk)
    desk.step(ev.StreamLost(stream=ev.StreamName.MARKET, reason="broken"))
    change = ev.LevelChange(token_id=UP, side="BUY", price=490_000, size=0)  # type: ignore[arg-type]
    low = ev.LevelChange(token_id=UP, side="BUY", price=250_000, size=5_000_000)  # type: ignore[arg-type]
    desk.step(ev.BookChanged(changes=(change, low), at_ns=desk.now_ns))
    assert not desk.notices(NoticeKind.STOP_FIRED)
    stop_out(desk)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_a_stale_book_fires_nothing():
    desk = Desk(config(check_every_s=10_000)).ready()
    desk.hold(status="MATCHED")
    [report] = list(desk.state.fills.values())
    desk.state.markets[report.condition_id].books[UP].replace(
        [(250_000, 10_000_000)], [(270_000, 10_000_000)], desk.now_ns
    )
    desk.advance(31).clear()
    desk.fill(desk.last_order(), 10, status="MINED", trade=desk.trades)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    stop_out(desk)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_the_bid_above_the_stop_fires_nothing(desk):
    guarded(desk)
    desk.book(26, 28)
    assert not desk.notices(NoticeKind.STOP_FIRED)


def test_nothing_is_sold_after_the_window(desk):
    guarded(desk)
    desk.advance((CLOSES * NS_PER_S - desk.now_ns) / NS_PER_S + 1).clear()
    stop_out(desk)
    assert not desk.sent()
    assert not desk.notices(NoticeKind.STOP_FIRED)


# --- rules, one by one -------------------------------------------------------------------


def watching(**changes: object) -> Desk:
    return Desk(config(exits=ExitConfig(**changes))).ready()  # type: ignore[arg-type]


def test_monitor_mode_rests_nothing_and_sells_at_the_target():
    desk = watching(mode=ExitMode.MONITOR)
    desk.hold()
    desk.advance(30)
    assert not desk.orders(TP)
    desk.book(90, 92)
    [track] = desk.orders(TP)
    assert track.order.terms.time_in_force is TimeInForce.FAK
    assert track.order.terms.quantity == 10_000_000


def test_monitor_mode_stops_too():
    desk = watching(mode=ExitMode.MONITOR)
    desk.hold()
    stop_out(desk)
    assert [track.order.terms.quantity for track in desk.orders(SL)] == [10_000_000]


def test_only_the_stop():
    desk = watching(take_profit=False)
    desk.hold()
    desk.book(95, 97)
    assert not desk.orders(TP)
    stop_out(desk)
    assert desk.orders(SL)


def test_only_the_take_profit():
    desk = watching(stop_loss=False)
    desk.hold()
    assert desk.orders(TP)
    desk.book(1, 3)
    assert not desk.orders(SL)


def test_no_exits_at_all():
    desk = watching(enabled=False)
    desk.hold()
    desk.book(1, 3)
    desk.book(97, 99)
    assert not desk.orders(TP)
    assert not desk.orders(SL)


def test_a_frozen_market_is_left_alone(desk):
    guarded(desk)
    desk.state.markets[desk.position().condition_id].frozen = "the venue contradicts itself"
    stop_out(desk)
    assert not desk.cancels()
    assert not desk.sent()


def test_an_external_loss_of_shares_takes_the_resting_sell_back(desk):
    """Two quiet snapshots agree that half of the shares are gone."""
    guarded(desk)
    desk.advance(151)
    for _ in range(2):
        desk.advance(6).snapshot(tokens=[(UP, 5_000_000)], open_orders=[desk.word(desk.orders(TP)[0], "LIVE")])
    assert desk.position().shares == 5_000_000
    assert desk.cancels() == [desk.orders(TP)[0].order_id]


def test_a_second_entry_in_the_same_token_has_its_own_exits(desk):
    guarded(desk)
    desk.hold(8)
    assert [t.order.terms.quantity for t in desk.orders(TP)] == [10_000_000, 8_000_000]
    assert len({t.order.terms.position_id for t in desk.orders(TP)}) == 2


def test_an_entry_by_dollars_is_guarded_too(desk):
    track = desk.enter(enter(10, 50, budget=5))
    desk.accept(track, status=ev.VenueOrderStatus.MATCHED, taking=10_500_000, making=5_000_000)
    report = desk.fill(track, 10.5, 47.61, maker=False)
    desk.settle(replace(report), "MINED")
    [resting] = desk.orders(TP)
    assert resting.order.terms.quantity == 10_500_000
    assert resting.order.status is OrderStatus.SUBMITTED
