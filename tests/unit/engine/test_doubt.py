"""How long an order stays in doubt, what ends it, what is told meanwhile, and that a restart goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import DoubtRecorded, NoticeKind, PositionRecorded
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.core import Engine
from polystra.engine.state import OrderTrack
from polystra.runtime.daemon import restore
from tests.fakes.memory_store import MemoryStore
from tests.unit.engine.desk import Desk, config, enter

S = OrderStatus


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def status(track: OrderTrack) -> OrderStatus:
    return track.order.status


def found_nowhere(desk: Desk, track: OrderTrack, seconds: int, cancelled: Callable[[], object] = lambda: None) -> None:
    """Every look-up finds nothing for so long; `cancelled` answers each cancel of the order."""
    for _ in range(seconds):
        for _ in range(5):
            effects, desk.effects = desk.effects, []
            for effect in effects:
                if isinstance(effect, fx.LookupOrder) and effect.order_id == track.order_id:
                    desk.answer(track)
                elif isinstance(effect, fx.CancelOrder) and effect.order_id == track.order_id:
                    cancelled()
        desk.advance(1)


def test_absence_is_not_believed_while_nothing_shows_that_the_venue_works(desk):
    track = desk.enter()
    reserved = desk.state.reserved_cash()
    desk.unknown(track)
    found_nowhere(desk, track, 400)
    assert track.is_live
    assert desk.state.reserved_cash() == reserved > 0


def test_cancels_that_nobody_answers_are_repeated_with_growing_pauses(desk):
    track = desk.enter()
    desk.unknown(track)
    sent: list[int] = []

    def unanswered() -> None:
        sent.append(desk.now_ns // NS_PER_S)
        desk.cancel_unknown(track)

    found_nowhere(desk, track, 300, unanswered)
    gaps = [after - before for before, after in pairwise(sent)]
    assert 5 <= len(sent) <= 14
    assert max(gaps) <= 40
    assert track.is_live


def test_the_answer_to_its_cancel_shows_that_the_venue_works(desk):
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 58, lambda: desk.cancel_refused(track))
    assert track.is_live, "the horizon is not over"
    found_nowhere(desk, track, 40)
    assert status(track) is S.REJECTED
    assert desk.state.reserved_cash() == 0


def test_another_order_that_was_taken_since_shows_it_too(desk):
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 10)
    desk.accept(desk.enter(enter(5)))
    found_nowhere(desk, track, 90)
    assert status(track) is S.REJECTED


def test_no_absence_is_believed_before_a_cancel_was_sent_however_well_the_venue_works(desk):
    track = desk.enter()
    desk.unknown(track)
    desk.advance(1).accept(desk.enter(enter(5)))
    sent: list[OrderStatus] = []
    found_nowhere(desk, track, 90, lambda: sent.append(status(track)))
    assert sent == [S.PENDING_CANCEL], "a zombie that arrives late must meet its cancel"
    assert status(track) is S.REJECTED


def test_an_order_that_was_sent_before_the_doubt_began_shows_nothing(desk):
    other = desk.enter(enter(5))
    track = desk.enter()
    desk.advance(1).unknown(track)
    desk.accept(other)
    found_nowhere(desk, track, 200)
    assert track.is_live


def test_the_verdict_of_the_market_ends_a_doubt_without_a_healthy_venue(desk):
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 100)
    assert track.is_live
    desk.resolve()
    found_nowhere(desk, track, 40)
    assert status(track) is S.REJECTED


def test_an_answer_asked_within_the_horizon_is_no_proof_however_late_it_comes(desk):
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 20, lambda: desk.cancel_refused(track))
    asked_at_ns = desk.now_ns
    desk.advance(100)
    desk.step(
        ev.OrderLookedUp(order_id=track.order_id, open_order=None, fills=(), asked_at_ns=asked_at_ns, complete=True)
    )
    assert track.is_live


def test_the_horizon_counts_from_the_last_time_that_the_bytes_were_sent():
    desk = Desk().ready()
    desk.hold()
    [track] = desk.orders(Purpose.TAKE_PROFIT)
    desk.unknown(track)
    found_nowhere(desk, track, 60)
    assert track.sent_again > 3
    last_s = (desk.now_ns - track.sent_ns) // NS_PER_S
    assert last_s < 30
    found_nowhere(desk, track, 55 - last_s, lambda: desk.cancel_refused(track))
    assert track.is_live
    found_nowhere(desk, track, 60, lambda: desk.cancel_refused(track))
    assert status(track) is S.REJECTED


def test_the_horizon_counts_from_the_moment_that_an_outcome_was_told_as_unknown(desk):
    """One request may send the bytes more than once before it gives up."""
    track = desk.enter()
    desk.advance(25).unknown(track)
    found_nowhere(desk, track, 58, lambda: desk.cancel_refused(track))
    assert track.is_live
    found_nowhere(desk, track, 40, lambda: desk.cancel_refused(track))
    assert status(track) is S.REJECTED


def test_a_doubt_that_lasts_is_told_three_times_and_not_at_every_look_up(desk):
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 29)
    assert not desk.notices(NoticeKind.DOUBT_LASTS)
    found_nowhere(desk, track, 400)
    told = [(notice.at_ns - track.doubt_since_ns) // NS_PER_S for notice in desk.notices(NoticeKind.DOUBT_LASTS)]
    assert len(told) == 3
    assert 30 <= told[0] < 60 <= told[1] < 120
    assert 300 <= told[2] <= 340
    assert track.order_id in desk.notices(NoticeKind.DOUBT_LASTS)[0].message


def test_every_look_up_that_is_scheduled_is_on_record_and_the_end_too(desk):
    track = desk.enter()
    assert not desk.found(DoubtRecorded)
    desk.unknown(track)
    for _ in range(4):
        desk.answer(track).advance(1)
    records = desk.found(DoubtRecorded)
    assert all(fact.next_lookup_ns > fact.at_ns for fact in records)
    assert desk.timers[f"order:{track.order.terms.client_order_id}"] == records[-1].next_lookup_ns
    assert len({fact.at_ns for fact in records}) == len(records), "one a turn"
    desk.answer(track, open_as=0)
    last = desk.found(DoubtRecorded)[-1]
    assert last.next_lookup_ns == 0
    assert last.outcome.startswith("OPEN")
    assert not desk.state.doubts


def test_an_order_that_was_never_in_doubt_leaves_no_record(desk):
    desk.hold()
    for track in desk.orders(Purpose.TAKE_PROFIT):
        desk.accept(track)
    desk.books(20, 22)
    for track in desk.orders(Purpose.TAKE_PROFIT):
        desk.cancelled(track).answer(track)
    assert not desk.found(DoubtRecorded)


def committed(desk: Desk) -> MemoryStore:
    """A store that holds every fact of the desk."""
    store = MemoryStore()
    commit = store.commit(desk.facts)
    with pytest.raises(StopIteration):
        commit.send(None)
    return store


def restarted(desk: Desk) -> Desk:
    """The next run over what this one committed, a second later."""
    load = committed(desk).load()
    with pytest.raises(StopIteration) as loaded:
        load.send(None)
    engine = Engine(config())
    restore(engine, loaded.value.value)
    again = Desk(engine=engine, now_ns=desk.now_ns + NS_PER_S)
    again.trades = desk.trades
    return again.start()


@pytest.fixture
def remembered() -> Desk:
    """A desk that forgets no fact."""
    desk = Desk()
    desk.clear = lambda: desk  # type: ignore[method-assign]
    return desk.ready()


def test_a_restart_goes_on_where_the_search_was(remembered):
    desk = remembered
    track = desk.enter()
    desk.unknown(track)
    for _ in range(4):
        if desk.lookups():
            desk.effects.clear()
            desk.answer(track)
        desk.advance(1)
    doubt = desk.state.doubts[track.order.terms.client_order_id]
    assert doubt.next_lookup_ns > desk.now_ns + NS_PER_S
    again = restarted(desk)
    assert track.order_id not in again.lookups(), "it is not due yet"
    new = again.state.orders[track.order.terms.client_order_id]
    assert (new.lookups, new.absences) == (doubt.lookups, doubt.absences)
    assert new.doubt_since_ns == doubt.since_ns
    assert again.timers[f"order:{track.order.terms.client_order_id}"] == doubt.next_lookup_ns
    again.advance((doubt.next_lookup_ns - again.now_ns) / NS_PER_S)
    assert again.lookups() == [track.order_id]


def test_after_a_restart_the_venue_must_show_anew_that_it_works(remembered):
    desk = remembered
    track = desk.enter()
    desk.unknown(track)
    found_nowhere(desk, track, 30, lambda: desk.cancel_refused(track))
    again = restarted(desk)
    new = again.state.orders[track.order.terms.client_order_id]
    found_nowhere(again, new, 100)
    assert new.is_live
    found_nowhere(again, new, 60, lambda: again.cancel_refused(new))
    assert status(new) is S.REJECTED


def test_a_doubt_that_is_over_is_not_taken_up_again(remembered):
    desk = remembered
    track = desk.enter()
    desk.unknown(track).answer(track, open_as=0)
    assert not restarted(desk).state.doubts


# --- refusals that ask for a new plan ---------------------------------------------------


def test_a_refusal_of_the_figures_has_the_book_read_and_the_position_looked_at(desk):
    desk.hold()
    [track] = desk.orders(Purpose.TAKE_PROFIT)
    desk.clear().forget_records()
    desk.step(
        ev.SubmitRefused(order_id=track.order_id, message="breaks minimum tick size", kind=ev.RefusalClass.REPLAN)
    )
    assert track.order.status is S.REJECTED
    assert track.refused is ev.RefusalClass.REPLAN
    assert desk.position().token_id in [ask.token_id for ask in desk.asked(fx.ReadBook)]
    assert [fact.position_id for fact in desk.found(PositionRecorded)] == [desk.position().position_id]


def test_a_finer_grid_is_used_by_the_next_exit_and_leaves_resting_orders_alone(desk):
    entry = desk.enter(enter(10, 50.0))
    desk.accept(entry)
    desk.settle(desk.fill(entry, 5), "CONFIRMED")
    [first] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(first)
    desk.step(ev.TickSizeChanged(token_id=desk.position().token_id, tick_size=1_000, at_ns=desk.now_ns))
    assert not desk.cancels()
    desk.settle(desk.fill(entry, 5), "CONFIRMED")
    desk.advance(4).books(49, 51)
    second = desk.orders(Purpose.TAKE_PROFIT)[-1]
    assert second is not first
    assert second.order.terms.tick_size == 1_000
    assert first.order.status is S.OPEN


def test_a_finer_grid_has_the_positions_of_its_market_looked_at(desk):
    desk.hold()
    desk.clear().forget_records()
    desk.step(ev.TickSizeChanged(token_id=desk.position().token_id, tick_size=1_000, at_ns=desk.now_ns))
    assert [fact.position_id for fact in desk.found(PositionRecorded)] == [desk.position().position_id]


def test_a_purchase_that_the_venue_matches_later_is_not_over_because_it_is_not_on_the_book_yet(desk):
    track = desk.enter()
    desk.accept(track, status=ev.VenueOrderStatus.DELAYED)
    desk.step(ev.CancelRequested(request_id="c", scope=ev.CancelScope.ALL))
    desk.cancel_refused(track)
    found_nowhere(desk, track, 40, lambda: desk.cancel_refused(track))
    assert track.is_live
    desk.report(track, "LIVE")
    found_nowhere(desk, track, 40, lambda: desk.cancelled(track))
    assert status(track) is S.CANCELED


def test_a_purchase_that_was_to_be_matched_later_and_never_shows_is_given_up(desk):
    track = desk.enter()
    desk.accept(track, status=ev.VenueOrderStatus.DELAYED)
    desk.step(ev.CancelRequested(request_id="c", scope=ev.CancelScope.ALL))
    desk.cancel_refused(track)
    found_nowhere(desk, track, 120, lambda: desk.cancel_refused(track))
    assert status(track) is S.CANCELED
    assert desk.state.reserved_cash() == 0


def sells_of_a_fired_stop(desk):
    desk.hold()
    desk.book(20, 22)
    [target] = desk.orders(Purpose.TAKE_PROFIT)
    desk.cancelled(target).answer(target)
    [stop] = desk.orders(Purpose.STOP_LOSS)
    desk.accept(stop, status=ev.VenueOrderStatus.DELAYED)
    return stop


def test_a_stop_that_the_venue_matches_a_moment_later_is_not_sold_a_second_time(desk):
    stop = sells_of_a_fired_stop(desk)
    for _ in range(4):
        desk.advance(1).book(20, 22).answer(stop)
    assert desk.orders(Purpose.STOP_LOSS) == [stop]
    assert stop.is_live
    desk.fill(stop, 10, 20, maker=False)
    assert status(stop) is S.FILLED
    assert desk.position().shares == 0


def test_a_look_up_from_before_a_delayed_order_came_to_rest_says_nothing(desk):
    """Accepted as delayed, cancelled in vain, asked for, then shown on the book: "nowhere" is from before."""
    track = desk.enter()
    desk.accept(track, status=ev.VenueOrderStatus.DELAYED)
    desk.step(ev.CancelRequested(request_id="c", scope=ev.CancelScope.ALL))
    asked_at_ns = desk.advance(1).now_ns
    desk.cancel_unknown(track)
    desk.advance(1).report(track, "LIVE")
    nowhere = ev.OrderLookedUp(
        order_id=track.order_id, open_order=None, fills=(), asked_at_ns=asked_at_ns, complete=True
    )
    desk.step(nowhere)
    assert track.is_live
    desk.cancelled(track).answer(track)
    assert status(track) is S.CANCELED


def test_a_stop_that_was_to_be_matched_later_and_never_shows_is_sold_anew(desk):
    stop = sells_of_a_fired_stop(desk)
    for _ in range(40):
        desk.advance(1).book(20, 22).answer(stop)
    assert status(stop) is S.CANCELED
    assert len(desk.orders(Purpose.STOP_LOSS)) == 2
