"""Drift: corrected where the venue's time counts, a block on entries beyond the limit, a line for a change."""

from __future__ import annotations

import pytest

from polystra.domain.events import (
    BookChanged,
    ClockDriftMeasured,
    LevelChange,
    OrderRequested,
    RefusalClass,
    StreamConnected,
    StreamLost,
    StreamName,
    SubmitRefused,
)
from polystra.domain.facts import NoticeKind, RequestAnswered
from polystra.domain.orders import OrderStatus, Purpose, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S
from polystra.engine.config import ExitConfig, ExitMode
from polystra.engine.effects import MeasureClock
from polystra.engine.entries import GTD_MINIMUM_S
from polystra.engine.venue_clock import CLOCK_BLOCK
from tests.unit.engine.desk import CLOSES, UP, Desk, config

KINDS = (NoticeKind.CLOCK_DRIFTED, NoticeKind.CLOCK_AGREED, NoticeKind.CLOCK_CORRECTED)


def drift(milliseconds: int, uncertainty: int = 0) -> ClockDriftMeasured:
    return ClockDriftMeasured(offset_ns=milliseconds * NS_PER_MS, uncertainty_ns=uncertainty * NS_PER_MS)


def told(desk: Desk) -> list[NoticeKind]:
    return [notice.kind for kind in KINDS for notice in desk.notices(kind)]


def test_the_clocks_are_compared_every_five_minutes_and_after_a_reconnect():
    desk = Desk().ready()
    desk.advance(299)
    assert desk.asked(MeasureClock) == []
    desk.advance(2)
    assert len(desk.asked(MeasureClock)) == 1
    desk.clear().advance(300)
    assert len(desk.asked(MeasureClock)) == 1
    desk.clear().step(StreamLost(stream=StreamName.USER, reason="gone"), StreamConnected(stream=StreamName.USER))
    assert len(desk.asked(MeasureClock)) == 1


def test_a_refused_proof_has_the_clocks_compared():
    desk = Desk().ready()
    track = desk.enter()
    refused = SubmitRefused(order_id=track.order_id, message="unauthorized", kind=RefusalClass.AUTH)
    desk.clear().step(refused)
    assert len(desk.asked(MeasureClock)) == 1


def heard(desk: Desk, seconds: float) -> None:
    """A message of the market stream that was made so much later than our clock tells."""
    level = LevelChange(token_id=UP, side=Side.BUY, price=480_000, size=MICRO)
    desk.step(BookChanged(changes=(level,), at_ns=desk.now_ns + round(seconds * NS_PER_S)))


@pytest.mark.parametrize("seconds", [2.5, -2.5, 30, -30])
def test_a_message_that_bears_another_time_has_the_clocks_compared_now_and_then(seconds):
    desk = Desk().ready()
    for _ in range(9):
        heard(desk, seconds)
        desk.advance(1)
    assert len(desk.asked(MeasureClock)) == 1
    desk.advance(2)
    heard(desk, seconds)
    assert len(desk.asked(MeasureClock)) == 2


def test_a_message_that_is_only_a_little_late_or_off_as_is_known_compares_nothing():
    desk = Desk().ready()
    heard(desk, -1.9)
    desk.step(drift(30_000)).clear()
    heard(desk, 29)
    assert desk.asked(MeasureClock) == []


def test_an_expiration_is_counted_from_the_venues_clock():
    desk = Desk().ready()
    desk.step(drift(-1_500))
    track = desk.enter()
    assert track.order.terms.time_in_force is TimeInForce.GTD
    venue_s = (desk.now_ns - 1_500 * NS_PER_MS) // NS_PER_S
    life_s = track.order.terms.expires_at_s - venue_s
    assert life_s >= GTD_MINIMUM_S
    behind = Desk().ready()
    assert behind.enter().order.terms.expires_at_s == track.order.terms.expires_at_s + 2


def test_a_drift_beyond_the_limit_blocks_entries_and_one_within_it_frees_them():
    desk = Desk().ready()
    desk.step(drift(2_100, 50))
    assert "NTP" in desk.state.blocks[CLOCK_BLOCK]
    assert told(desk) == [NoticeKind.CLOCK_DRIFTED]
    desk.step(drift(2_200, 50))
    assert told(desk) == [NoticeKind.CLOCK_DRIFTED]
    desk.clear().step(drift(1_900, 50))
    assert CLOCK_BLOCK not in desk.state.blocks
    assert told(desk) == [NoticeKind.CLOCK_AGREED]


@pytest.mark.parametrize("drift_ms", [0, -30_000, 30_000])
def test_a_stop_fires_until_both_clocks_say_that_the_window_is_over(drift_ms):
    """Close to the end by our clock, with the guard of its last seconds off."""
    desk = Desk(config(exits=ExitConfig(close_guard_s=0))).ready()
    desk.hold()
    desk.step(drift(drift_ms))
    ends_ns = CLOSES * NS_PER_S + max(0, -drift_ms) * NS_PER_MS
    desk.now_ns = ends_ns - NS_PER_S
    desk.clear().book(10, 12).advance(0.9)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_no_stop_fires_when_both_clocks_are_past_the_end():
    desk = Desk(config(exits=ExitConfig(close_guard_s=0))).ready()
    desk.hold()
    desk.step(drift(-30_000))
    desk.now_ns = (CLOSES + 31) * NS_PER_S
    desk.clear().book(10, 12).advance(5)
    assert not desk.notices(NoticeKind.STOP_FIRED)


def test_what_is_not_proven_blocks_nothing():
    desk = Desk().ready().step(drift(2_400, 500))
    assert CLOCK_BLOCK not in desk.state.blocks
    assert desk.state.venue_offset_ns == 1_900 * NS_PER_MS


def test_a_correction_is_told_when_it_moves_and_not_when_it_trembles():
    desk = Desk().ready()
    desk.step(drift(0), drift(200), drift(-200))
    assert told(desk) == []
    desk.step(drift(900), drift(1_000), drift(900))
    assert told(desk) == [NoticeKind.CLOCK_CORRECTED]


def test_a_stop_leaves_however_far_ahead_the_venues_clock_claims_to_be():
    """A proxy may answer with any time: the market is over only when our own clock agrees."""
    desk = Desk(config(exits=ExitConfig(mode=ExitMode.MONITOR))).ready()
    desk.hold(10)
    desk.step(drift(86_400_000))
    desk.books(24, 26)
    desk.advance(5)
    stops = desk.orders(Purpose.STOP_LOSS)
    assert [track.order.status for track in stops] == [OrderStatus.SUBMITTED]


@pytest.mark.parametrize(("milliseconds", "ended"), [(-1_000, False), (1_000, True)])
def test_a_market_has_ended_when_both_clocks_say_so(milliseconds: int, ended: bool):
    desk = Desk(config(exits=ExitConfig(mode=ExitMode.MONITOR))).ready()
    desk.hold(10)
    desk.step(drift(milliseconds))
    desk.now_ns = CLOSES * NS_PER_S + NS_PER_S // 2
    desk.step(OrderRequested(request_id="r1", token_id=UP, side=Side.SELL, price=400_000, quantity=10 * MICRO))
    [answer] = desk.found(RequestAnswered)
    assert ("ended at UTC second" in answer.refusal) is ended
