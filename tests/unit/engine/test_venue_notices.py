"""Notices: hints to look, marked as read after they are applied, the same one twice changes nothing."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from polystra.domain.events import NoticesRead, StreamConnected, StreamLost, StreamName
from polystra.domain.facts import NoticeKind
from polystra.domain.fills import FillStatus
from polystra.domain.ids import ConditionId, OrderId, TradeId
from polystra.domain.notices import NoticeTopic, VenueNotice
from polystra.engine.effects import DismissNotices, LookupOrder, ReadNotices, ReadResolution
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CONDITION, Desk, config, ledger_sums

OF_ORDERS = (NoticeTopic.ORDER_CANCELLED, NoticeTopic.ORDER_FILLED, NoticeTopic.FILL_FAILED)


def notice(topic: NoticeTopic, number: int = 1, **words: object) -> VenueNotice:
    return VenueNotice(notice_id=number, topic=topic, kind=99, **words)  # type: ignore[arg-type]


def of_order(topic: NoticeTopic, track: OrderTrack, number: int = 1, trade: str | None = None) -> VenueNotice:
    trade_id = None if trade is None else TradeId(trade)
    return notice(topic, number, order_id=track.order_id, condition_id=CONDITION, trade_id=trade_id)


def tell(desk: Desk, *notices: VenueNotice) -> Desk:
    return desk.clear().step(NoticesRead(notices=notices))


def dismissed(desk: Desk) -> list[int]:
    return [number for effect in desk.asked(DismissNotices) for number in effect.notice_ids]


def test_they_are_read_after_the_first_complete_snapshot_then_every_interval_and_after_reconnects():
    desk = Desk().start()
    desk.step(StreamConnected(stream=StreamName.USER))
    desk.snapshot(complete=False)
    assert desk.asked(ReadNotices) == []
    desk.snapshot()
    assert len(desk.asked(ReadNotices)) == 1
    desk.clear().snapshot()
    assert desk.asked(ReadNotices) == []
    desk.advance(31)
    assert len(desk.asked(ReadNotices)) == 1
    desk.clear().step(StreamLost(stream=StreamName.USER, reason="gone"), StreamConnected(stream=StreamName.USER))
    assert len(desk.asked(ReadNotices)) == 1


def test_an_interval_of_zero_reads_none():
    desk = Desk(config(notices_every_s=0)).ready()
    desk.advance(120)
    desk.step(StreamConnected(stream=StreamName.USER))
    assert desk.asked(ReadNotices) == []


@pytest.mark.parametrize("topic", OF_ORDERS)
def test_a_notice_of_a_live_order_has_it_looked_up_and_is_marked_as_read(topic: NoticeTopic):
    desk = Desk().ready()
    track = desk.enter()
    desk.accept(track)
    tell(desk, of_order(topic, track))
    assert desk.lookups() == [track.order_id]
    assert dismissed(desk) == [1]


@pytest.mark.parametrize("topic", OF_ORDERS)
def test_a_notice_of_a_strange_order_is_only_marked_as_read(topic: NoticeTopic):
    desk = Desk().ready()
    tell(desk, notice(topic, order_id=OrderId("0x" + "9" * 64)))
    assert desk.lookups() == []
    assert dismissed(desk) == [1]


def test_a_fill_that_is_booked_already_is_not_looked_for():
    desk = Desk().ready()
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 4)
    tell(desk, of_order(NoticeTopic.ORDER_FILLED, track, trade=f"t{desk.trades}"))
    assert desk.lookups() == []
    tell(desk, of_order(NoticeTopic.ORDER_FILLED, track, 2, trade="another"))
    assert desk.lookups() == [track.order_id]


def test_a_failed_fill_of_a_settled_order_is_looked_for_until_it_is_posted_back():
    desk = Desk().ready()
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 10)
    assert track.is_settled
    tell(desk, of_order(NoticeTopic.FILL_FAILED, track, trade=report.trade_id))
    assert desk.lookups() == [track.order_id]
    desk.settle(report, "FAILED")
    assert [fill.status for fill in desk.state.fills.values()] == [FillStatus.FAILED]
    tell(desk, of_order(NoticeTopic.FILL_FAILED, track, 2, trade=report.trade_id))
    assert desk.lookups() == []


def test_a_resolved_market_is_asked_for_its_verdict_and_nothing_is_believed():
    desk = Desk().ready()
    tell(desk, notice(NoticeTopic.MARKET_RESOLVED, condition_id=CONDITION))
    assert desk.asked(ReadResolution) == [ReadResolution(condition_id=CONDITION)]
    assert desk.state.markets[CONDITION].resolution is None
    tell(desk, notice(NoticeTopic.MARKET_RESOLVED, 2, condition_id=ConditionId("0x" + "7" * 64)))
    assert desk.asked(ReadResolution) == []
    assert dismissed(desk) == [2]


def test_what_is_for_a_person_stays_unread_and_is_told_once():
    desk = Desk().ready()
    tell(desk, notice(NoticeTopic.PERSONAL))
    assert dismissed(desk) == []
    assert len(desk.notices(NoticeKind.VENUE_NOTICE)) == 1
    tell(desk, notice(NoticeTopic.PERSONAL))
    assert desk.facts == []


def test_unknown_types_stay_unread_and_are_counted_and_told_once_a_type():
    desk = Desk().ready()
    tell(desk, notice(NoticeTopic.UNKNOWN, 1), notice(NoticeTopic.UNKNOWN, 2))
    assert dismissed(desk) == []
    assert len(desk.notices(NoticeKind.VENUE_NOTICE)) == 1
    assert desk.engine._notices.unknown == 2


@pytest.mark.parametrize("topic", list(NoticeTopic))
def test_the_same_notice_twice_changes_nothing(topic: NoticeTopic):
    desk = Desk().ready()
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 4)
    told = of_order(topic, track)
    tell(desk, told)
    first = dismissed(desk)
    before = (asdict(track.order), track.lookups, ledger_sums(desk), dict(desk.timers))
    tell(desk, told)
    assert desk.facts == []
    assert desk.asked(LookupOrder) == []
    assert dismissed(desk) == first
    assert (asdict(track.order), track.lookups, ledger_sums(desk), dict(desk.timers)) == before
