from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from polystra.domain import facts as ft
from polystra.domain.events import SwitchName
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.positions import PositionStatus
from polystra.domain.venue import VenueMode
from polystra.ports.notify import Alert, Severity
from polystra.runtime.alert_words import NOTICES, UNTOLD, AlertWords
from polystra.runtime.alerts import Alerts
from tests.fakes.clock import ManualClock
from tests.unit.runtime.lines import Lines
from tests.unit.runtime.test_fact_log import story

TOLD = {
    ft.FillRecorded,
    ft.SettlementRecorded,
    ft.SwitchChanged,
    ft.VenueModeChanged,
    ft.IntentDenied,
    ft.ReconcileCompleted,
}


def test_every_notice_is_either_told_or_left_to_the_log_on_purpose():
    assert set(NOTICES) | UNTOLD == set(ft.NoticeKind)
    assert not set(NOTICES) & UNTOLD


@pytest.mark.parametrize("kind", get_args(ft.Fact), ids=lambda kind: kind.__name__)
def test_every_kind_of_fact_has_its_words_or_none(kind):
    words = AlertWords()
    alerts = [(fact, words.alert(fact)) for fact in story()]
    told = [alert for fact, alert in alerts if type(fact) is kind and alert is not None]
    assert bool(told) == (kind in TOLD)
    for alert in told:
        assert alert.kind
        assert len(alert.text) > 10


@pytest.mark.parametrize("kind", sorted(NOTICES))
def test_a_notice_names_its_subject(kind):
    alert = AlertWords().alert(ft.Notice(kind=kind, subject="btc-1", message="because", at_ns=5))
    assert alert is not None
    assert alert.text == "btc-1: because"
    assert (alert.kind, alert.severity) == NOTICES[kind]


@pytest.mark.parametrize("kind", sorted(UNTOLD))
def test_what_mends_itself_is_told_to_nobody(kind):
    assert AlertWords().alert(ft.Notice(kind=kind, subject="s", message="m", at_ns=5)) is None


def test_a_fill_is_told_once_with_its_fee():
    words = AlertWords()
    told = [words.alert(fact) for fact in story() if isinstance(fact, ft.FillRecorded) and fact.is_new]
    again = [words.alert(fact) for fact in story() if isinstance(fact, ft.FillRecorded) and not fact.is_new]
    assert all(alert is not None and "fee " in alert.text for alert in told)
    assert all(alert is None for alert in again)


def test_a_position_that_is_closed_is_told_at_that_moment_only():
    seen = next(fact for fact in story() if isinstance(fact, ft.PositionRecorded))
    held = replace(seen, status=PositionStatus.OPEN)
    closed = replace(seen, status=PositionStatus.CLOSED, realised_pnl=-250_000, fees=1_000, exit_reason="STOP_LOSS")
    words = AlertWords()
    assert words.alert(closed) is None  # closed before this run
    assert [words.alert(fact) for fact in (held, held)] == [None, None]
    alert = words.alert(closed)
    assert alert is not None
    assert alert.text.endswith("is closed: -0.25 dollars after 0.001 of fees, by STOP_LOSS")
    assert words.alert(closed) is None


@pytest.mark.parametrize(
    ("name", "on", "severity"),
    [
        (SwitchName.KILL, True, Severity.CRITICAL),
        (SwitchName.DAILY_LOSS, True, Severity.CRITICAL),
        (SwitchName.BLACKLIST, True, Severity.WARNING),
        (SwitchName.KILL, False, Severity.INFO),
    ],
)
def test_a_switch_says_what_stops(name, on, severity):
    fact = ft.SwitchChanged(name=name, subject="", on=on, reason="why", source="limits", until_ns=0, at_ns=1)
    alert = AlertWords().alert(fact)
    assert alert is not None
    assert alert.severity is severity
    assert ("exits go on" in alert.text) == on
    assert "why" in alert.text


def test_the_venues_return_to_normal_is_calm():
    fact = ft.VenueModeChanged(
        mode=VenueMode.NORMAL, previous=VenueMode.RESTARTING, reason="an order was taken", until_ns=0, at_ns=1
    )
    alert = AlertWords().alert(fact)
    assert alert is not None
    assert alert.severity is Severity.INFO


def test_a_correction_of_the_books_is_told_with_its_evidence():
    posting = Posting(
        source_id="adjustment:1",
        kind=PostingKind.ADJUSTMENT,
        at_ns=1,
        reason="venue cash differs",
        settled_cash=-75_000,
        evidence="ledger 1, venue 2",
    )
    alert = AlertWords().alert(ft.PostingRecorded(posting=posting))
    assert alert is not None
    assert "-0.075 dollars" in alert.text
    assert "ledger 1, venue 2" in alert.text


def test_a_request_that_was_refused_is_told_one_that_was_taken_is_not():
    taken = ft.RequestAnswered(request_id="r1", orders=(), refusal="", source="operator", at_ns=1)
    refused = ft.RequestAnswered(request_id="r2", orders=(), refusal="too small", source="operator", at_ns=1)
    assert AlertWords().alert(taken) is None
    alert = AlertWords().alert(refused)
    assert alert is not None
    assert "too small" in alert.text


WANTED = (
    "fill",
    "exit",
    "stop",
    "refusal",
    "in doubt",
    "freeze",
    "low balance",
    "venue mode",
    "fees",
    "switch",
    "strange order",
    "heartbeat",
    "halted",
    "repair",
)


def test_every_event_that_a_person_waits_for_is_told_and_its_repetition_held_back():
    kinds = {kind: ft.Notice(kind=kind, subject="s", message="m", at_ns=5) for kind in NOTICES}
    words = AlertWords()
    facts = [*story(), *kinds.values()]
    told = [alert for fact in facts if (alert := words.alert(fact)) is not None]
    closing = next(fact for fact in story() if isinstance(fact, ft.PositionRecorded))
    words.alert(replace(closing, status=PositionStatus.OPEN))
    ended = words.alert(replace(closing, status=PositionStatus.CLOSED))
    assert ended is not None
    told.append(ended)
    assert set(WANTED) <= {alert.kind for alert in told}
    for alert in told:
        heard: list[Alert] = []
        alerts = Alerts(Ears(heard), clock=ManualClock(), log=Lines(), level=Severity.INFO)
        alerts.tell(alert)
        alerts.tell(replace(alert, at_ns=alert.at_ns + 1))
        assert len(heard) == 1, alert.kind


class Ears:
    """Keeps what is told."""

    def __init__(self, heard: list[Alert]) -> None:
        self._heard = heard

    def notify(self, alert: Alert) -> None:
        self._heard.append(alert)
