"""Refusals of the whole account and a second daemon: durable, told in one line, ended by a stated rule."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from polystra.domain import events as ev
from polystra.domain.controls import ControlCommand, ControlWord, wishes
from polystra.domain.events import RefusalClass, StreamName, SwitchName
from polystra.domain.facts import SwitchChanged
from polystra.domain.ids import OrderId
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import BalanceConfig
from polystra.engine.core import Engine
from tests.unit.engine.desk import MARKET, Desk, config

VENUE_REFUSED, SECOND_DAEMON = SwitchName.VENUE_REFUSED, SwitchName.SECOND_DAEMON


@pytest.fixture
def desk() -> Desk:
    return Desk(config()).ready()


def refuse(desk: Desk, kind: RefusalClass, code: str = "", message: str = "no") -> Desk:
    track = desk.enter()
    return desk.step(
        ev.SubmitRefused(order_id=track.order_id, message=message, code=code, kind=kind, stop_trading=True)
    ).clear()


def block(desk: Desk) -> str:
    return desk.engine._risk.entry_block() or ""


def checks(desk: Desk) -> list[str]:
    return [read.trigger for read in desk.asked(fx.ReadAccount) if read.trigger.endswith(" check")]


def subjects(desk: Desk) -> set[str]:
    return {subject for _, subject in desk.state.switches}


def start_wish(desk: Desk) -> Desk:
    command = ControlCommand(command_id="1", word=ControlWord.START)
    return desk.step(*wishes(command, desk.now_ns))


def restarted(desk: Desk) -> Desk:
    """The next run over what is durable; its streams are up, its account is not read yet."""
    engine = Engine(config())
    engine.restore(
        markets=[(MARKET, None)],
        orders=(),
        fills=(),
        postings=(),
        positions=(),
        next_order_number=1_000,
        next_decision_id=1_000,
        last_fill_ns=desk.now_ns,
        switches=desk.state.switches.values(),
    )
    again = Desk(engine=engine, now_ns=desk.now_ns + 5 * NS_PER_S).start()
    for stream in StreamName:
        again.step(ev.StreamConnected(stream=stream))
    return again


def test_a_refusal_of_the_account_is_durable_and_one_line_says_what_ends_it(desk):
    track = desk.enter()
    no = ev.SubmitRefused(
        order_id=track.order_id, message="address banned", kind=RefusalClass.STOP, code="banned", stop_trading=True
    )
    desk.clear().step(no)
    [switch] = desk.found(SwitchChanged)
    assert (switch.name, switch.subject, switch.on, switch.until_ns) == (VENUE_REFUSED, "account", True, 0)
    assert switch.reason == "address banned; a person must act; entries stop until polystra start"
    assert "banned" in block(desk)
    desk.clear().step(no)
    assert desk.found(SwitchChanged) == []


def test_what_only_a_person_can_mend_outlives_readings_and_a_restart_and_ends_by_start(desk):
    refuse(desk, RefusalClass.STOP, "wrong_wallet")
    desk.snapshot().advance(4 * 3_600)
    desk.snapshot()
    assert checks(desk) == []
    again = restarted(desk).snapshot()
    assert block(again)
    start_wish(again)
    assert not block(again)


def test_after_a_restart_a_beat_that_follows_ours_ends_the_sight_of_another():
    desk = Desk(config(venue_heartbeat=True)).ready()
    desk.step(ev.HeartbeatTold(state=ev.HeartbeatState.CONTESTED, gap_ns=5 * NS_PER_S, reason="another beats"))
    again = restarted(desk).snapshot()
    again.step(ev.HeartbeatTold(state=ev.HeartbeatState.BEATING, gap_ns=0, reason="accepted"))
    again.step(ev.HeartbeatTold(state=ev.HeartbeatState.FOLLOWED, gap_ns=5 * NS_PER_S, reason="accepted"))
    assert not block(again)


def test_credentials_are_checked_by_a_complete_reading_that_was_asked_for_later(desk):
    refuse(desk, RefusalClass.AUTH)
    desk.snapshot()
    assert block(desk), "a reading before the check proves nothing"
    desk.advance(5)
    assert checks(desk) == ["credentials check"]
    desk.snapshot(complete=False)
    assert block(desk)
    desk.snapshot(asked_at_ns=desk.now_ns - 60 * NS_PER_S)
    assert block(desk), "it was asked for before the refusal"
    desk.snapshot()
    assert not block(desk)


def test_credentials_that_stay_refused_are_checked_with_growing_pauses(desk):
    refuse(desk, RefusalClass.AUTH)
    times = []
    for _ in range(1_300):
        desk.clear().advance(1)
        times += [desk.now_ns // NS_PER_S] * len(checks(desk))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [10, 20, 40, 80, 160, 320, 600]


def test_an_account_that_reads_but_may_not_order_is_tried_ever_more_seldom_until_an_order_is_taken(desk):
    pauses = []
    for _ in range(4):
        refuse(desk, RefusalClass.AUTH)
        waited = 0
        while not checks(desk):
            desk.advance(1)
            waited += 1
        desk.snapshot()
        assert not block(desk)
        pauses.append(waited)
    assert pauses == sorted(set(pauses))
    desk.advance(1)
    track = desk.enter()
    desk.accept(track)
    refuse(desk, RefusalClass.AUTH)
    desk.clear().advance(5)
    assert checks(desk) == ["credentials check"]


def test_the_first_reading_of_a_new_run_proves_the_credentials_that_a_person_may_have_mended(desk):
    refuse(desk, RefusalClass.AUTH)
    again = restarted(desk)
    assert "credentials" in subjects(again)
    again.snapshot()
    assert not block(again)


def test_a_block_of_the_region_is_looked_at_again_after_ten_minutes(desk):
    refuse(desk, RefusalClass.STOP, "blocked")
    desk.advance(599).snapshot()
    assert block(desk)
    desk.advance(2).snapshot()
    assert not block(desk)


def test_a_refusal_after_the_check_was_asked_for_keeps_entries_stopped(desk):
    early = desk.enter()
    desk.step(ev.SubmitRefused(order_id=early.order_id, message="no", kind=RefusalClass.AUTH, stop_trading=True))
    desk.advance(5)
    desk.step(ev.SubmitRefused(order_id=early.order_id, message="no", kind=RefusalClass.AUTH, stop_trading=True))
    desk.snapshot()
    assert block(desk)


def stranger(desk: Desk) -> ev.OrderReport:
    return replace(desk.word(desk.enter(), "LIVE"), order_id=OrderId("0xelsewhere"))


def test_an_order_that_no_intent_explains_is_evidence_with_a_remedy_and_survives_a_restart(desk):
    order = stranger(desk)
    desk.clear().snapshot(open_orders=[order])
    [switch] = desk.found(SwitchChanged)
    assert (switch.name, switch.subject, switch.on) == (SECOND_DAEMON, "orders", True)
    assert "0xelsewhere" in switch.reason
    assert "stop it, or give each its own wallet" in switch.reason
    desk.clear().snapshot(open_orders=[order])
    assert desk.found(SwitchChanged) == []
    again = restarted(desk)
    assert (SECOND_DAEMON, "orders") in again.state.switches
    again.clear().snapshot()
    assert [fact.on for fact in again.found(SwitchChanged)] == [False]
    assert not block(again)


def test_orders_made_elsewhere_on_purpose_are_no_evidence():
    desk = Desk(config(balance=BalanceConfig(allow_external_orders=True))).ready()
    desk.snapshot(open_orders=[stranger(desk)])
    assert not desk.state.switches
    assert not block(desk)


def test_start_does_not_make_a_strange_order_harmless(desk):
    order = stranger(desk)
    desk.snapshot(open_orders=[order])
    start_wish(desk)
    assert "not made by this daemon" in block(desk)
    desk.snapshot(open_orders=[order])
    assert (SECOND_DAEMON, "orders") in desk.state.switches


def test_somebody_else_s_heartbeats_survive_a_restart_until_ours_follow_or_start():
    desk = Desk(config(venue_heartbeat=True)).ready()
    told = ev.HeartbeatTold(state=ev.HeartbeatState.CONTESTED, gap_ns=5 * NS_PER_S, reason="another beats")
    desk.clear().step(told)
    [switch] = desk.found(SwitchChanged)
    assert (switch.name, switch.subject) == (SECOND_DAEMON, "heartbeat")
    assert switch.reason.startswith("another beats; ")
    again = restarted(desk).snapshot()
    assert "another beats" in block(again)
    again.step(ev.HeartbeatTold(state=ev.HeartbeatState.BEATING, gap_ns=0, reason="accepted"))
    assert block(again), "the first beat of a run adopts whatever id the venue expects"
    start_wish(again)
    assert not block(again)
