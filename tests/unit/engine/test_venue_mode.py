"""The venue's modes: entered by a refusal, obeyed by entries and cancels, left by themselves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import VenueModeChanged
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.engine import effects as fx
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import Desk

M = VenueMode


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def refused(desk: Desk, mode: VenueMode, *, retry_after_s: int = 0, track: OrderTrack | None = None) -> OrderTrack:
    """An entry is refused for the mode's sake; a new one unless it is given."""
    track = track or desk.enter()
    desk.step(
        ev.SubmitRefused(
            order_id=track.order_id,
            message="not now",
            kind=ev.RefusalClass.MODE,
            mode=mode,
            retry_after_s=retry_after_s,
        )
    )
    return track


def cancel_in_vain(desk: Desk, track: OrderTrack, mode: VenueMode) -> None:
    desk.step(ev.CancelUnknown(order_id=track.order_id, message="not now", mode=mode))


def block(desk: Desk) -> str:
    return desk.engine._risk.entry_block() or ""


def mode_of(desk: Desk) -> VenueMode:
    return desk.state.venue_mode


def modes(desk: Desk) -> list[VenueMode]:
    return [fact.mode for fact in desk.found(VenueModeChanged)]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (M.RESTARTING, "restarts"),
        (M.POST_ONLY, "post-only"),
        (M.CANCEL_ONLY, "only cancels"),
        (M.DISABLED, "disabled"),
        (M.CLOSED_ONLY, "only reduce"),
    ],
)
def test_a_refusal_shows_the_mode_once_and_entries_stop_with_a_reason(desk, mode, words):
    other = desk.enter()
    track = refused(desk, mode)
    assert track.order.status is OrderStatus.REJECTED
    assert mode_of(desk) is mode
    assert modes(desk) == [mode]
    assert words in block(desk)
    refused(desk, mode, track=other)
    assert modes(desk) == [mode]


def test_a_restart_is_followed_by_two_post_only_minutes_and_then_by_nothing(desk):
    track = refused(desk, M.RESTARTING)
    desk.clear().advance(2)
    assert desk.cancels() == [track.order_id]
    desk.cancel_refused(track)
    assert mode_of(desk) is M.POST_ONLY
    desk.advance(119)
    assert mode_of(desk) is M.POST_ONLY
    assert "post-only" in block(desk)
    desk.advance(2)
    assert mode_of(desk) is M.NORMAL
    assert not block(desk)
    assert modes(desk) == [M.POST_ONLY, M.NORMAL]


def test_an_order_that_a_restart_may_have_caught_is_in_doubt_and_shows_the_mode(desk):
    track = desk.enter()
    desk.step(ev.SubmitUnknown(order_id=track.order_id, message="service not ready", mode=M.RESTARTING))
    assert track.order.status is OrderStatus.IN_DOUBT
    assert mode_of(desk) is M.RESTARTING
    assert "restarts" in block(desk)


def test_open_orders_are_read_anew_after_a_restart(desk):
    track = refused(desk, M.RESTARTING)
    desk.advance(2).clear().cancel_refused(track).advance(0)
    assert [ask.trigger for ask in desk.asked(fx.ReadAccount)] == ["venue restarted"]


def test_tries_grow_to_thirty_seconds_and_are_never_a_storm(desk):
    track = refused(desk, M.DISABLED)
    desk.clear()
    sent = []
    for _ in range(300):
        desk.advance(1)
        for _ in desk.cancels():
            sent.append((desk.now_ns - track.order.created_at_ns) // NS_PER_S)
            cancel_in_vain(desk, track, M.DISABLED)
        desk.clear()
    gaps = [after - before for before, after in pairwise(sent)]
    assert 10 <= len(sent) <= 17
    assert gaps[0] <= 3
    assert 30 <= max(gaps) <= 39
    assert mode_of(desk) is M.DISABLED


def test_the_pause_that_the_venue_asks_for_is_kept(desk):
    refused(desk, M.RESTARTING, retry_after_s=20)
    desk.clear().advance(19)
    assert not desk.cancels()
    desk.advance(2)
    assert len(desk.cancels()) == 1


def test_the_time_that_the_venue_names_ends_the_post_only_mode(desk):
    refused(desk, M.POST_ONLY, retry_after_s=79)
    desk.advance(78)
    assert mode_of(desk) is M.POST_ONLY
    desk.advance(2)
    assert mode_of(desk) is M.NORMAL


@pytest.mark.parametrize("mode", [M.RESTARTING, M.DISABLED])
def test_cancels_wait_for_the_venue_and_leave_when_it_takes_them(desk, mode):
    first = desk.enter()
    desk.accept(first)
    second = desk.enter()
    desk.accept(second)
    refused(desk, mode)
    desk.clear()
    for track in (first, second):
        desk.step(ev.TimerFired(key=f"unfilled:{track.order.terms.client_order_id}"))
    assert not desk.cancels(), "the venue takes none"
    assert first.order.status is OrderStatus.PENDING_CANCEL
    desk.advance(2.5)
    assert set(desk.cancels()) == {first.order_id}, "one is tried"
    desk.clear().cancelled(first)
    assert desk.cancels() == [second.order_id]


def test_a_cancel_refused_for_the_mode_is_sent_again(desk):
    track = desk.enter()
    desk.accept(track).advance(201).clear()
    cancel_in_vain(desk, track, M.RESTARTING)
    assert mode_of(desk) is M.RESTARTING
    for _ in range(6):
        desk.advance(1)
        if track.order_id in desk.lookups():
            desk.answer(track, open_as=0)
    tried = len(desk.cancels())
    assert 1 <= tried <= 3
    desk.cancelled(track).answer(track)
    assert mode_of(desk) is M.POST_ONLY
    assert track.is_settled


def test_an_answer_to_a_cancel_sent_before_the_restart_proves_nothing(desk):
    track = desk.enter()
    desk.accept(track).advance(201)
    refused(desk, M.RESTARTING)
    desk.cancelled(track)
    assert mode_of(desk) is M.RESTARTING


def test_an_order_sent_before_the_mode_was_shown_proves_nothing(desk):
    early = desk.enter()
    refused(desk, M.CANCEL_ONLY)
    desk.accept(early)
    assert mode_of(desk) is M.CANCEL_ONLY


def test_cancel_only_is_left_when_an_order_that_was_tried_is_taken(desk):
    refused(desk, M.CANCEL_ONLY)
    desk.advance(59)
    assert block(desk), "no entry is tried within the first minute"
    desk.advance(35)
    assert not block(desk), "one entry may be tried"
    track = desk.enter()
    assert block(desk), "and only one"
    desk.accept(track)
    assert mode_of(desk) is M.NORMAL


def test_an_exit_is_tried_within_seconds_and_uses_the_try_up(desk):
    desk.hold()
    refused(desk, M.CANCEL_ONLY)
    assert not desk.state.venue_takes(purpose=Purpose.STOP_LOSS, post_only=False)
    desk.advance(1.5)
    assert desk.state.venue_takes(purpose=Purpose.STOP_LOSS, post_only=False)
    assert not desk.state.venue_takes(purpose=Purpose.ENTRY, post_only=False)


def test_a_mode_that_is_over_lets_positions_be_looked_at(desk):
    desk.hold()
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit)
    refused(desk, M.POST_ONLY, retry_after_s=10)
    desk.clear().forget_records().advance(11)
    assert [fact.position_id for fact in desk.facts if hasattr(fact, "exit_reason")]


def test_a_reduction_that_is_taken_says_nothing_of_a_closed_only_account(desk):
    desk.hold()
    refused(desk, M.CLOSED_ONLY)
    desk.advance(3)
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)[:1]
    desk.accept(take_profit)
    assert mode_of(desk) is M.CLOSED_ONLY
    desk.advance(300)
    assert block(desk)
    desk.advance(500)
    assert not block(desk), "seldom, one entry is tried"


def test_an_unknown_outcome_may_show_a_mode_too(desk):
    track = desk.enter()
    desk.step(ev.SubmitUnknown(order_id=track.order_id, message="an earlier send may be there", mode=M.RESTARTING))
    assert mode_of(desk) is M.RESTARTING
    assert track.order.status is OrderStatus.IN_DOUBT


def test_a_refusal_without_a_mode_changes_no_mode(desk):
    desk.refuse(desk.enter())
    assert mode_of(desk) is M.NORMAL
    assert not modes(desk)


def test_a_new_run_does_not_believe_the_mode_of_the_last_one():
    again = Desk()
    again.state.venue_mode = M.CANCEL_ONLY
    again.start()
    assert mode_of(again) is M.NORMAL
    assert [(fact.mode, fact.previous) for fact in again.found(VenueModeChanged)] == [(M.NORMAL, M.CANCEL_ONLY)]
    assert not modes(Desk().start())
