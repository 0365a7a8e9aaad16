"""What a fired exit does in each mode of the venue, and that it sells when the mode is over."""

from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import Purpose, TimeInForce
from polystra.domain.venue import VenueMode
from polystra.engine.config import ExitConfig, PostOnlyExit
from polystra.engine.positions.exit_selling import POLICIES, ExitPolicy, policy_of
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import Desk, config

TP, SL = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS


def guarded(mode: VenueMode, **changes: object) -> tuple[Desk, OrderTrack]:
    """Shares with an accepted take-profit, then the venue in `mode` and the stop fired at a bid of 24."""
    desk = Desk(config(exits=ExitConfig(**changes))).ready()  # type: ignore[arg-type]
    desk.hold()
    [take_profit] = desk.orders(TP)
    desk.accept(take_profit)
    desk.state.venue_mode = mode
    desk.clear()
    desk.book(24, 30)
    assert desk.notices(NoticeKind.STOP_FIRED)
    return desk, take_profit


def normal(desk: Desk) -> Desk:
    desk.state.venue_mode = VenueMode.NORMAL
    return desk.book(24, 30)


def test_every_mode_has_a_policy():
    assert set(POLICIES) == set(VenueMode)


@pytest.mark.parametrize(
    ("mode", "choice", "policy"),
    [
        (VenueMode.NORMAL, PostOnlyExit.WAIT, ExitPolicy.SELL),
        (VenueMode.POST_ONLY, PostOnlyExit.POST_ONLY, ExitPolicy.POST_ONLY),
        (VenueMode.POST_ONLY, PostOnlyExit.WAIT, ExitPolicy.HOLD),
        (VenueMode.RESTARTING, PostOnlyExit.POST_ONLY, ExitPolicy.WAIT),
        (VenueMode.CANCEL_ONLY, PostOnlyExit.POST_ONLY, ExitPolicy.HOLD),
        (VenueMode.DISABLED, PostOnlyExit.POST_ONLY, ExitPolicy.HOLD),
        (VenueMode.CLOSED_ONLY, PostOnlyExit.POST_ONLY, ExitPolicy.SELL),
    ],
)
def test_the_policy_of_a_mode(mode, choice, policy):
    assert policy_of(mode, choice) is policy


@pytest.mark.parametrize("mode", [VenueMode.CANCEL_ONLY, VenueMode.DISABLED])
def test_where_nothing_can_be_sold_the_take_profit_stays(mode):
    desk, take_profit = guarded(mode)
    desk.advance(20)
    assert not desk.cancels()
    assert not desk.sent()
    normal(desk)
    assert desk.cancels() == [take_profit.order_id]
    desk.cancelled(take_profit).answer(take_profit)
    assert [order.terms.rule for order in desk.sent()] == ["stop-loss"]


def test_a_restart_waits_and_sends_nothing():
    desk, take_profit = guarded(VenueMode.RESTARTING)
    desk.advance(20)
    assert not desk.sent()
    desk.report(take_profit, "CANCELED")
    desk.advance(10)
    assert not desk.sent()
    normal(desk)
    assert [order.terms.time_in_force for order in desk.sent()] == [TimeInForce.FAK]


def test_in_the_post_only_minutes_the_stop_rests_at_the_touch_and_takes_afterwards():
    desk, take_profit = guarded(VenueMode.POST_ONLY)
    desk.cancelled(take_profit).answer(take_profit)
    [touch] = desk.orders(SL)
    terms = touch.order.terms
    assert (terms.time_in_force, terms.post_only, terms.price) == (TimeInForce.GTC, True, 290_000)
    desk.accept(touch).clear()
    desk.book(24, 29).advance(10)
    assert not desk.cancels()
    normal(desk)
    assert desk.cancels() == [touch.order_id]
    desk.cancelled(touch).answer(touch).advance(6)
    assert desk.orders(SL)[-1].order.terms.time_in_force is TimeInForce.FAK


def test_the_pause_named_by_a_post_only_venue_does_not_hold_back_what_it_takes():
    desk = Desk(config(exits=ExitConfig(take_profit=False))).ready()
    desk.hold()
    desk.book(24, 30)
    [stop] = desk.orders(SL)
    desk.step(
        ev.SubmitRefused(
            order_id=stop.order_id,
            message="post-only",
            kind=ev.RefusalClass.MODE,
            mode=VenueMode.POST_ONLY,
            retry_after_s=120,
        )
    )
    desk.advance(8)
    assert desk.orders(SL)[-1].order.terms.post_only


def test_an_undercut_stop_follows_the_touch_with_pauses():
    desk, take_profit = guarded(VenueMode.POST_ONLY)
    desk.cancelled(take_profit).answer(take_profit)
    [touch] = desk.orders(SL)
    desk.accept(touch).clear()
    desk.book(22, 25)
    assert not desk.cancels()
    desk.advance(6)
    assert desk.cancels() == [touch.order_id]
    desk.cancelled(touch).answer(touch).advance(6)
    assert desk.orders(SL)[-1].order.terms.price == 240_000


def test_by_choice_the_post_only_minutes_are_waited_out():
    desk, take_profit = guarded(VenueMode.POST_ONLY, post_only_exit=PostOnlyExit.WAIT)
    desk.advance(20)
    assert not desk.cancels()
    assert not desk.sent()
    assert take_profit.is_live


@pytest.mark.parametrize(
    ("mode", "placed", "post_only"),
    [
        (VenueMode.NORMAL, 1, False),
        (VenueMode.POST_ONLY, 1, True),
        (VenueMode.CLOSED_ONLY, 1, False),
        (VenueMode.RESTARTING, 0, False),
        (VenueMode.CANCEL_ONLY, 0, False),
        (VenueMode.DISABLED, 0, False),
    ],
)
def test_the_take_profit_is_placed_where_the_mode_takes_it(mode, placed, post_only):
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    desk.state.venue_mode = mode
    desk.fill(entry, 10, status="CONFIRMED")
    desk.advance(10)
    assert len(desk.orders(TP)) == placed
    assert all(track.order.terms.post_only is post_only for track in desk.orders(TP))
    desk.state.venue_mode = VenueMode.NORMAL
    desk.book(49, 51).advance(2)
    assert len(desk.orders(TP)) == 1


def test_in_the_post_only_minutes_a_target_that_is_bid_waits():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry).book(91, 93)
    desk.state.venue_mode = VenueMode.POST_ONLY
    desk.fill(entry, 10, status="CONFIRMED")
    desk.advance(20)
    assert not desk.orders(TP)
    desk.book(80, 82).advance(2)
    assert [track.order.terms.post_only for track in desk.orders(TP)] == [True]
