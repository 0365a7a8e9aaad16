from __future__ import annotations

import asyncio
from dataclasses import replace

from polystra.domain import facts as ft
from polystra.domain.events import SwitchName
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.orders import OrderStatus
from polystra.domain.units import NS_PER_S
from polystra.ports.logbook import LogEvent
from polystra.ports.notify import Alert, Severity
from polystra.runtime.alerts import REPEAT_AFTER_NS, Alerts
from tests.fakes.clock import ManualClock, settle
from tests.unit.engine.desk import CONDITION, START_NS, UP
from tests.unit.runtime.lines import Lines
from tests.unit.runtime.test_fact_log import story

DAY_S = 86_400
NOON_NS = (20_000 * DAY_S + DAY_S // 2) * NS_PER_S


class Heard:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def notify(self, alert: Alert) -> None:
        self.alerts.append(alert)


def desk(level: Severity = Severity.INFO) -> tuple[Alerts, Heard, ManualClock, Lines]:
    heard, clock, log = Heard(), ManualClock(NOON_NS), Lines()
    return Alerts(heard, clock=clock, log=log, level=level), heard, clock, log


def halted(at_ns: int, message: str = "m") -> ft.Notice:
    return ft.Notice(kind=ft.NoticeKind.TRADING_HALTED, subject="s", message=message, at_ns=at_ns)


def test_the_same_is_told_once_in_a_while_and_counted_meanwhile():
    alerts, heard, _, _ = desk()
    for second in range(5):
        alerts.heard([halted(second * NS_PER_S)])
    assert [alert.text for alert in heard.alerts] == ["s: m"]
    alerts.heard([halted(REPEAT_AFTER_NS)])
    assert heard.alerts[-1].text == "s: m (4 more like it since the last one)"
    alerts.heard([halted(2 * REPEAT_AFTER_NS)])
    assert heard.alerts[-1].text == "s: m"


async def test_a_commit_that_hangs_is_told_once_and_when_it_is_done():
    alerts, heard, clock, log = desk()
    began: list[int | None] = [None]
    alerts.watch(lambda: began[0])
    looking = asyncio.get_running_loop().create_task(alerts.run())
    await clock.advance(20)
    assert heard.alerts == []
    began[0] = clock.monotonic_ns()
    await clock.advance(9)
    assert heard.alerts == []
    for _ in range(6):
        await clock.advance(5)
    assert [(alert.kind, alert.subject, alert.severity) for alert in heard.alerts] == [
        ("database", "stuck", Severity.CRITICAL)
    ]
    assert len(log.of(LogEvent.STORE_STUCK)) == 1
    began[0] = None
    await clock.advance(5)
    await clock.advance(5)
    assert [(alert.subject, alert.severity) for alert in heard.alerts[1:]] == [("freed", Severity.INFO)]
    looking.cancel()


def test_another_subject_is_no_repetition():
    alerts, heard, _, _ = desk()
    alerts.heard([halted(0), ft.Notice(kind=ft.NoticeKind.TRADING_HALTED, subject="t", message="m", at_ns=0)])
    assert len(heard.alerts) == 2


def test_the_memory_of_what_was_told_is_bounded():
    alerts, _, _, _ = desk()
    for number in range(3_000):
        alerts.tell(Alert(kind="k", subject=str(number), severity=Severity.INFO, text="t", at_ns=0))
    assert len(alerts._told) == 2_000


def test_the_level_holds_back_what_is_less_grave():
    alerts, heard, _, _ = desk(Severity.CRITICAL)
    alerts.heard(story())
    assert heard.alerts
    assert {alert.severity for alert in heard.alerts} == {Severity.CRITICAL}


def test_a_bug_in_words_stops_no_trade_and_is_logged_once():
    alerts, _, _, log = desk()
    broken = ft.FillRecorded(fill=None, is_new=True, at_ns=0)  # type: ignore[arg-type]
    alerts.heard([broken])
    alerts.heard([broken])
    assert len(log.of(LogEvent.ALERT_FAILED)) == 1


def test_a_stop_says_what_is_left_unprotected():
    alerts, heard, _, _ = desk()
    alerts.stopped("signal SIGTERM", ("position btc:up:1 with 10 shares",))
    alerts.stopped("signal SIGTERM", ())
    assert heard.alerts[0].severity is Severity.CRITICAL
    assert "left unprotected: position btc:up:1" in heard.alerts[0].text
    alerts2, heard2, _, _ = desk()
    alerts2.stopped("asked", ())
    assert heard2.alerts[0].severity is Severity.WARNING
    assert "nothing is left open" in heard2.alerts[0].text


def trade(at_ns: int, *, proceeds: int = 0, cost: int = 0, fee: int = 0, source: str) -> ft.PostingRecorded:
    return ft.PostingRecorded(
        posting=Posting(
            source_id=source,
            kind=PostingKind.MATCHED,
            at_ns=at_ns,
            reason="trade",
            condition_id=CONDITION,
            token_id=UP,
            position_id=PositionId("p"),
            pending_shares=10_000_000 if cost else -10_000_000,
            bought=10_000_000 if cost else 0,
            bought_cost=cost,
            sold=10_000_000 if proceeds else 0,
            sold_proceeds=proceeds,
            fee=fee,
        )
    )


async def summary(alerts: Alerts, heard: Heard, clock: ManualClock, seconds: float) -> str:
    task = asyncio.create_task(alerts.run())
    await settle()
    await clock.advance(seconds)
    task.cancel()
    return next(alert.text for alert in heard.alerts if alert.kind == "daily summary")


async def test_the_day_is_summed_up_at_midnight_utc():
    alerts, heard, clock, _ = desk()
    bought = trade(NOON_NS - 10 * NS_PER_S, cost=5_000_000, fee=100_000, source="a")
    alerts.resume([bought.posting])
    alerts.started("sim on 0x1", earlier=2)
    alerts.heard([trade(NOON_NS, proceeds=6_000_000, fee=50_000, source="b")])
    text = await summary(alerts, heard, clock, DAY_S / 2 + 10)
    assert "0.85 dollars realised after 0.15 of fees" in text
    assert "3 starts of the daemon" in text
    assert text.startswith("2024-10-04 UTC")


async def test_what_comes_after_midnight_belongs_to_the_next_day():
    alerts, heard, clock, _ = desk()
    alerts.heard([trade(NOON_NS, cost=5_000_000, source="a")])
    late = NOON_NS + (DAY_S // 2 + 1) * NS_PER_S
    alerts.heard([trade(late, proceeds=6_000_000, fee=50_000, source="b")])
    first = next(alert.text for alert in heard.alerts if alert.kind == "daily summary")
    assert "0 dollars realised after 0 of fees" in first
    heard.alerts.clear()
    second = await summary(alerts, heard, clock, DAY_S * 1.5 + 10)
    assert "0.95 dollars realised after 0.05 of fees" in second


async def test_orders_fills_and_doubts_are_counted():
    facts = story()
    change = next(fact for fact in facts if isinstance(fact, ft.OrderChanged))
    facts.append(replace(change, order=replace(change.order, status=OrderStatus.IN_DOUBT)))
    heard, clock = Heard(), ManualClock(START_NS)
    alerts = Alerts(heard, clock=clock, log=Lines(), level=Severity.INFO)
    alerts.heard([*facts, facts[-1]])
    text = await summary(alerts, heard, clock, DAY_S)
    made = sum(isinstance(fact, ft.IntentRecorded) for fact in facts)
    fills = sum(isinstance(fact, ft.FillRecorded) and fact.is_new for fact in facts)
    assert f"{made} orders, {fills} fills, 1 orders were in doubt" in text


async def test_days_that_were_slept_through_are_one_summary():
    alerts, heard, _, _ = desk()
    alerts.heard([trade(NOON_NS + 40 * DAY_S * NS_PER_S, cost=5_000_000, source="a")])
    assert len(heard.alerts) == 1


async def test_troubles_of_the_channels_are_log_lines():
    clock, log = ManualClock(NOON_NS), Lines()
    troubles = [["the webhook answered HTTP 500"], []]
    alerts = Alerts(Heard(), clock=clock, log=log, level=Severity.INFO, troubles=lambda: troubles.pop(0))
    alerts.log_troubles()
    alerts.log_troubles()
    assert log.of(LogEvent.ALERT_FAILED) == [{"error": "the webhook answered HTTP 500"}]


def test_a_switch_on_and_off_are_two_things():
    alerts, heard, _, _ = desk()
    for on in (True, False):
        alerts.heard(
            [ft.SwitchChanged(name=SwitchName.KILL, subject="", on=on, reason="r", source="file", until_ns=0, at_ns=1)]
        )
    assert len(heard.alerts) == 2
