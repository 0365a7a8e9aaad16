from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest

from polystra.domain import facts as ft
from polystra.domain.events import SwitchName
from polystra.domain.fills import FillStatus
from polystra.domain.ids import ClientOrderId
from polystra.domain.orders import OrderStatus
from polystra.domain.positions import PositionStatus
from polystra.domain.venue import VenueMode
from polystra.ports.logbook import LogEvent
from polystra.runtime import fact_log
from polystra.runtime.fact_log import FactLog
from tests.unit.engine.desk import UP, Desk
from tests.unit.runtime.lines import Lines


def story() -> list[ft.Fact]:
    """The facts of a desk's day: enter, fill, protect, stop, sell, settle, reconcile, be denied."""
    desk = Desk().start()
    desk.ready()
    made = Desk()
    made.clear = lambda: made  # type: ignore[method-assign]
    made.ready()
    made.hold()
    [resting] = list(made.state.orders.values())[1:]
    made.accept(resting)
    made.fill(resting, 4, status="CONFIRMED")
    made.signer.refusal = "does not fit"
    made.enter()
    made.advance(700).answer(resting, made.leg(resting, 4, status="CONFIRMED", trade=made.trades)).resolve(100).advance(
        5
    )
    made.snapshot(complete=False)
    return [*made.facts, *rare_facts()]


def rare_facts() -> list[ft.Fact]:
    """Facts that a calm day does not bring."""
    return [
        ft.SwitchChanged(
            name=SwitchName.KILL, subject="", on=True, reason="asked for", source="file", until_ns=0, at_ns=1
        ),
        ft.VenueModeChanged(
            mode=VenueMode.RESTARTING, previous=VenueMode.NORMAL, reason="HTTP 425", until_ns=0, at_ns=1
        ),
        ft.RequestAnswered(request_id="r1", orders=(ClientOrderId("o1"),), refusal="", source="operator", at_ns=1),
        ft.DoubtRecorded(
            client_order_id=ClientOrderId("o1"),
            since_ns=1,
            lookups=1,
            absences=1,
            next_lookup_ns=2,
            outcome="absent",
            at_ns=1,
        ),
    ]


KINDS = get_args(ft.Fact)


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_the_story_has_every_kind_of_fact():
    assert {type(fact) for fact in story()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_fact_is_a_line_with_a_catalogued_name(kind, lines):
    facts = [fact for fact in story() if isinstance(fact, kind)]
    FactLog(lines).write(facts)
    assert lines.lines
    for _, event, values in lines.lines:
        assert isinstance(event, LogEvent)
        assert "event" not in values
        assert "level" not in values


def test_no_line_holds_a_signature_or_a_body(lines):
    facts = story()
    FactLog(lines).write(facts)
    intents = [fact for fact in facts if isinstance(fact, ft.IntentRecorded)]
    text = repr(lines.lines)
    assert intents
    for intent in intents:
        assert intent.signed.body.decode() not in text
        assert str(intent.signed.salt) not in text
    names = {field.name for field in fields(intents[0].signed)} - {"order_id", "quantity", "client_order_id"}
    used = {name for _, _, values in lines.lines for name in values}
    assert not names & used


def test_every_notice_has_a_name():
    assert set(fact_log._NOTICES) == set(ft.NoticeKind)


@pytest.mark.parametrize("kind", list(ft.NoticeKind))
def test_a_notice_names_its_subject(kind, lines):
    FactLog(lines).write([ft.Notice(kind=kind, subject="s", message="m", at_ns=0)])
    [(level, _, values)] = lines.lines
    assert values == {"subject_id": "s", "message": "m"}
    assert level in ("info", "warning")


def test_an_order_in_doubt_or_refused_is_a_warning(lines):
    change = next(fact for fact in story() if isinstance(fact, ft.OrderChanged))
    for status, level in [
        (OrderStatus.IN_DOUBT, "warning"),
        (OrderStatus.REJECTED, "warning"),
        (OrderStatus.FILLED, "info"),
        (OrderStatus.CANCELED, "info"),
    ]:
        lines.lines.clear()
        FactLog(lines).write([replace(change, order=replace(change.order, status=status))])
        assert lines.lines[0][0] == level


def test_a_failed_fill_is_a_warning(lines):
    fact = next(fact for fact in story() if isinstance(fact, ft.FillRecorded))
    FactLog(lines).write([replace(fact, is_new=False, fill=replace(fact.fill, status=FillStatus.FAILED))])
    assert lines.lines[0][:2] == ("warning", LogEvent.FILL_FAILED)


def test_a_skipped_decision_is_traffic_and_an_entry_is_the_story(lines):
    fact = next(fact for fact in story() if isinstance(fact, ft.DecisionRecorded))
    FactLog(lines).write([replace(fact, action="SKIP"), replace(fact, action="ENTER")])
    assert [level for level, _, _ in lines.lines] == ["debug", "info"]


def record(status: PositionStatus, n: int = 1) -> ft.PositionRecorded:
    fact = next(fact for fact in story() if isinstance(fact, ft.PositionRecorded) and fact.average_price)
    return replace(fact, status=status, position_id=f"p{n}")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [PositionStatus.OPEN, PositionStatus.CLOSED, PositionStatus.RESOLVED])
def test_a_position_is_told_once_per_state(status, lines):
    log = FactLog(lines)
    log.write([record(status)])
    log.write([record(status)])
    assert len(lines.lines) == 1


def test_the_memory_of_told_positions_is_bounded(lines):
    log = FactLog(lines)
    for status in (PositionStatus.CLOSED, PositionStatus.RESOLVED):
        made = record(status)
        log.write(replace(made, position_id=f"{status}{n}") for n in range(3_000))  # type: ignore[arg-type]
    assert len(log._positions) <= 2_000


def test_money_is_told_in_decimals(lines):
    FactLog(lines).write(fact for fact in story() if isinstance(fact, ft.BalanceObserved))
    assert lines.lines[0][2]["cash"] == "1000"


def test_an_adjustment_is_loud_and_a_settlement_line_is_not(lines):
    fact = next(fact for fact in story() if isinstance(fact, ft.PostingRecorded) and fact.posting.token_id == UP)
    FactLog(lines).write([fact])
    assert lines.lines[0][0] == "debug"


def test_a_market_opens_once_however_often_its_terms_change(lines):
    listed = next(fact for fact in story() if isinstance(fact, ft.MarketRecorded))
    opened = replace(listed, price_to_beat=1)
    finer = replace(opened, market=replace(opened.market, tick_size=1_000))
    FactLog(lines).write([replace(listed, price_to_beat=None), opened, finer])
    assert [event for _, event, _ in lines.lines] == [
        LogEvent.MARKET_LISTED,
        LogEvent.MARKET_OPENED,
        LogEvent.MARKET_CHANGED,
    ]
