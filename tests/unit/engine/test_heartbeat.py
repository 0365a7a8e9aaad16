"""The dead man's switch: armed in view of what it would cancel; a gap makes resting orders doubtful, by look-up."""

from __future__ import annotations

from polystra.domain.events import HeartbeatState, HeartbeatTold, StopMode, StopRequested, SwitchName
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.heartbeat import HEARTBEAT_BLOCK
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import Desk, config


def desk() -> Desk:
    return Desk(config(venue_heartbeat=True))


def told(state: str, gap_s: float = 0) -> HeartbeatTold:
    return HeartbeatTold(state=HeartbeatState(state), gap_ns=round(gap_s * NS_PER_S), reason="the reason")


def with_take_profit(on: Desk) -> OrderTrack:
    """A position with its take-profit at rest."""
    on.ready()
    on.hold()
    [resting] = on.orders(Purpose.TAKE_PROFIT)
    on.accept(resting)
    assert resting.order.status is OrderStatus.OPEN
    on.step(told("BEATING"))
    on.answer(resting, open_as=0).snapshot(open_orders=[on.word(resting, "LIVE")])
    on.clear()
    return resting


def test_it_is_armed_once_after_the_first_complete_snapshot_and_says_what_it_cancels():
    on = desk().start()
    on.snapshot(complete=False)
    assert on.asked(fx.StartHeartbeat) == []
    on.snapshot().snapshot()
    assert len(on.asked(fx.StartHeartbeat)) == 1
    [line] = on.notices(NoticeKind.HEARTBEAT_ARMED)
    assert line.message.startswith("0 open order(s) of this API key now; if this daemon dies")
    assert "there is no disarm" in line.message


def test_it_is_not_armed_unless_it_is_wanted():
    on = Desk().start().snapshot()
    assert on.asked(fx.StartHeartbeat) == []
    assert on.notices(NoticeKind.HEARTBEAT_ARMED) == []


def test_two_failures_are_one_line_compare_the_clocks_and_block_nothing():
    on = desk().ready().step(told("FAILING"))
    assert len(on.asked(fx.MeasureClock)) == 1
    assert len(on.notices(NoticeKind.HEARTBEAT_FAILED)) == 1
    assert on.state.blocks == {}


def test_another_sender_for_our_key_blocks_entries_until_a_beat_follows_ours_again():
    on = desk().ready().step(told("CONTESTED", 5))
    assert on.state.switches[SwitchName.SECOND_DAEMON, "heartbeat"].reason.startswith("the reason; ")
    assert len(on.notices(NoticeKind.HEARTBEAT_FAILED)) == 1
    on.step(told("BEATING", 5))
    assert on.state.switches == {}


def test_silence_blocks_entries_and_changes_no_order():
    on = desk()
    resting = with_take_profit(on)
    on.step(told("SILENT", 8.5))
    assert "8.5 s" in on.state.blocks[HEARTBEAT_BLOCK]
    assert resting.order.status is OrderStatus.OPEN
    on.snapshot(open_orders=[on.word(resting, "LIVE")])
    assert HEARTBEAT_BLOCK in on.state.blocks


def test_after_a_gap_resting_orders_are_looked_up_and_a_later_snapshot_ends_the_block():
    on = desk()
    resting = with_take_profit(on)
    early = on.now_ns
    on.step(told("SILENT", 8.5), told("BEATING", 14))
    assert on.lookups() == [resting.order_id]
    assert [effect.trigger for effect in on.asked(fx.ReadAccount)] == ["heartbeat gap"]
    assert resting.order.status is OrderStatus.OPEN
    on.snapshot(open_orders=[on.word(resting, "LIVE")], asked_at_ns=early)
    assert HEARTBEAT_BLOCK in on.state.blocks
    on.snapshot(open_orders=[on.word(resting, "LIVE")], complete=False)
    assert HEARTBEAT_BLOCK in on.state.blocks
    on.answer(resting, open_as=0).snapshot(open_orders=[on.word(resting, "LIVE")])
    assert HEARTBEAT_BLOCK not in on.state.blocks
    assert resting.order.status is OrderStatus.OPEN
    on.clear().advance(100)
    assert on.lookups() == []


def test_a_take_profit_that_the_venue_cancelled_is_found_gone_and_placed_again():
    on = desk()
    resting = with_take_profit(on)
    on.step(told("BEATING", 14))
    on.answer(resting)
    on.advance(3)
    on.answer(resting)
    assert resting.order.status is OrderStatus.CANCELED
    again = on.orders(Purpose.TAKE_PROFIT)
    assert len(again) == 2
    assert again[-1].is_live


def test_a_look_up_that_fails_is_asked_again_until_it_is_answered():
    on = desk()
    resting = with_take_profit(on)
    on.step(told("BEATING", 14)).answer(resting, complete=False)
    for _ in range(3):
        on.clear().advance(31)
        assert resting.order_id in on.lookups()
        on.answer(resting, complete=False)


def test_a_look_up_that_is_never_answered_is_asked_again():
    on = desk()
    resting = with_take_profit(on)
    on.step(told("BEATING", 14)).clear().advance(31)
    assert resting.order_id in on.lookups()


def test_a_short_gap_is_told_and_doubts_nothing():
    on = desk()
    with_take_profit(on)
    on.step(told("FAILING", 6), told("BEATING", 7.5))
    assert len(on.notices(NoticeKind.HEARTBEAT_RECOVERED)) == 1
    assert on.lookups() == []
    assert on.state.blocks == {}


def test_the_first_beat_doubts_what_rests_from_the_last_run_and_nothing_else():
    on = desk().ready().step(told("BEATING"))
    assert on.state.blocks == {}
    other = desk().ready()
    track = other.enter()
    other.accept(track)
    other.clear().step(told("BEATING"))
    assert other.lookups() == [track.order_id]
    assert HEARTBEAT_BLOCK in other.state.blocks


def test_a_stop_says_what_the_venue_will_cancel():
    on = desk()
    resting = with_take_profit(on)
    on.step(StopRequested(mode=StopMode.KEEP_EXITS, reason="signal"))
    [line] = on.notices(NoticeKind.SHUTDOWN_STARTED)
    assert line.message == "signal; 1 exit(s) rest, which the venue cancels when the heartbeats end with the daemon"
    [finish] = on.asked(fx.Finish)
    assert any(resting.order_id in words for words in finish.left_open)
    assert any("within 10-15 s the venue cancels every open order" in words for words in finish.left_open)


def test_a_stop_without_it_says_nothing_of_it():
    on = Desk().ready()
    on.hold()
    on.accept(on.orders(Purpose.TAKE_PROFIT)[0])
    on.step(StopRequested(mode=StopMode.KEEP_EXITS, reason="signal"))
    [finish] = on.asked(fx.Finish)
    assert not any("heartbeat" in words for words in finish.left_open)
