"""The repair desk: evidence of both sides first, a repair carried out once, an answer for whoever waits."""

from __future__ import annotations

import asyncio

from polystra.domain import events as ev
from polystra.domain.controls import RepairAnswer, RepairCommand
from polystra.domain.events import RepairAct, RepairRequested, Sighting
from polystra.domain.facts import Notice, NoticeKind, RequestAnswered
from polystra.domain.orders import OrderStatus
from polystra.runtime.inbox import Inbox
from polystra.runtime.repair_desk import RepairDesk
from polystra.runtime.repair_evidence import RepairEvidence
from tests.fakes.clock import ManualClock, settle
from tests.fakes.venue import ScriptedVenue
from tests.unit.engine.desk import CONDITION, MARKET, UP, Desk
from tests.unit.runtime.lines import Lines
from tests.unit.runtime.test_control_desk import Shelf


class Holdings:
    """The second source: ten Up shares, or no answer."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.complete = True

    async def holdings(self) -> ev.HoldingsRead:
        now_ns = self._clock.now_ns()
        held = ev.Holding(token_id=UP, condition_id=CONDITION, shares=10_000_000, average_price=400_000)
        return ev.HoldingsRead(
            asked_at_ns=now_ns, at_ns=now_ns, complete=self.complete, holdings=(held,), detail="HTTP 503"
        )


class Bench:
    def __init__(self) -> None:
        self.engine = Desk().ready()
        self.clock = ManualClock(self.engine.now_ns)
        self.venue = ScriptedVenue(self.clock, cash=7_000_000)
        self.second = Holdings(self.clock)
        self.shelf = Shelf()
        self.inbox = Inbox()
        self.desk = RepairDesk(
            controls=self.shelf,
            evidence=RepairEvidence(state=self.engine.state, venue=self.venue, holdings=self.second, clock=self.clock),
            inbox=self.inbox,
            log=Lines(),
        )
        self.desk.open()

    async def evidence(self, act: RepairAct, subject: str = "") -> RepairAnswer:
        self.desk.take(command(act, subject, confirmed=False))
        running = asyncio.ensure_future(self.desk.run())
        await settle()
        running.cancel()
        return self.shelf.answers.pop()


def command(act: RepairAct, subject: str = "", *, confirmed: bool = True) -> RepairCommand:
    return RepairCommand(command_id="c1", act=act, subject=subject, seen=Sighting.REJECTED, confirmed=confirmed)


def answered(refusal: str = "", request_id: str = "c1") -> list[object]:
    notice = Notice(kind=NoticeKind.REPAIRED, subject="x", message="it was mended", at_ns=1)
    answer = RequestAnswered(request_id=request_id, orders=(), refusal=refusal, source="operator", at_ns=1)
    return [answer] if refusal else [notice, answer]


async def test_the_account_is_shown_from_both_sides_with_age_and_source():
    bench = Bench()
    bench.engine.hold()
    answer = await bench.evidence(RepairAct.RECONCILE)
    assert any(line.startswith("cash 99") for line in answer.ours)
    assert any(f"{MARKET.slug} UP" in line and "10 settled" in line for line in answer.ours)
    assert any(line.startswith("order book (CLOB), 0.0 s old: cash 7 dollars") for line in answer.venue)
    assert any(line.startswith("second source (Data API), 0.0 s old") and "10 shares" in line for line in answer.venue)
    assert not answer.refusal
    assert not len(bench.inbox), "nothing is changed by looking"


async def test_a_source_that_does_not_answer_is_said():
    bench = Bench()
    bench.second.complete = False
    answer = await bench.evidence(RepairAct.RECONCILE)
    assert "second source (Data API): no whole answer (HTTP 503)" in answer.venue


async def test_a_frozen_market_is_shown_with_its_reason():
    bench = Bench()
    assert "nothing of this account is frozen" in (await bench.evidence(RepairAct.UNFREEZE)).refusal
    bench.engine.state.markets[CONDITION].frozen = "the sources contradict us"
    answer = await bench.evidence(RepairAct.UNFREEZE, MARKET.slug)
    assert answer.ours[0] == f"{MARKET.slug} is frozen: the sources contradict us"
    assert answer.venue


async def test_an_order_in_doubt_is_looked_up_at_the_venue():
    bench = Bench()
    track = bench.engine.enter()
    bench.engine.unknown(track)
    await bench.clock.advance(3)
    answer = await bench.evidence(RepairAct.RESOLVE_DOUBT, track.order_id)
    assert bench.venue.looked_up == [track.order_id]
    assert answer.ours[1] == "in doubt for 2.9 s: timed out"
    assert any("not open" in line for line in answer.venue)
    known = await bench.evidence(RepairAct.RESOLVE_DOUBT, "nothing")
    assert track.order.terms.client_order_id in known.refusal


async def test_a_foreign_order_is_shown_as_the_venue_shows_it_now():
    bench = Bench()
    track = bench.engine.enter()
    bench.engine.accept(track)
    report = bench.engine.word(track, "LIVE")
    bench.engine.state.external_orders[report.order_id] = report
    answer = await bench.evidence(RepairAct.ADOPT, report.order_id)
    assert "not ours" in answer.ours[0]
    assert "0.0 s old" in answer.venue[0]
    assert "neither an order nor a position" in (await bench.evidence(RepairAct.ADOPT, "0x")).refusal


async def test_a_confirmed_repair_goes_to_the_engine_once_and_its_answer_comes_back():
    bench = Bench()
    bench.shelf.repairs = [command(RepairAct.UNFREEZE, "m")]
    bench.desk.take(bench.shelf.repairs[0])
    assert not bench.shelf.repairs, "forgotten at once: a restart does not carry it out again"
    (request,) = await bench.inbox.take(10)
    assert request == RepairRequested(request_id="c1", act=RepairAct.UNFREEZE, subject="m", seen=Sighting.REJECTED)
    bench.desk.heard(answered(request_id="another"))  # type: ignore[arg-type]
    assert not bench.shelf.answers
    bench.desk.heard(answered())  # type: ignore[arg-type]
    assert bench.shelf.answers == [RepairAnswer(command_id="c1", outcome="it was mended")]


async def test_a_refused_repair_is_answered_with_the_reason():
    bench = Bench()
    bench.desk.take(command(RepairAct.UNFREEZE))
    bench.desk.heard(answered("nothing is frozen"))  # type: ignore[arg-type]
    assert bench.shelf.answers == [RepairAnswer(command_id="c1", refusal="nothing is frozen")]


async def test_what_was_asked_of_an_earlier_run_is_not_carried_out():
    bench = Bench()
    bench.desk._is_open = False
    bench.desk.take(command(RepairAct.UNFREEZE))
    assert not len(bench.inbox)
    assert "a daemon that ran before" in bench.shelf.answers[0].refusal


def test_a_doubt_stays_one_until_the_engine_says_otherwise():
    bench = Bench()
    track = bench.engine.enter()
    bench.engine.unknown(track)
    assert track.order.status is OrderStatus.IN_DOUBT


async def test_a_repair_that_was_taken_back_before_it_was_taken_up_is_not_carried_out():
    bench = Bench()
    bench.shelf.withdrawn = {"c1"}
    bench.desk.take(command(RepairAct.ADOPT, "x"))
    assert not len(bench.inbox)
    assert not bench.shelf.answers
