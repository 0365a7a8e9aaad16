"""Metrics: every name of the table is there, and says what happened."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families

from polystra.adapters.clock import SystemClock
from polystra.app.settings import load_settings
from polystra.app.web.board import Board
from polystra.app.web.metric_table import METRICS, PREFIX
from polystra.app.web.metrics import Metrics
from polystra.app.web.site import Site
from polystra.domain.events import SwitchName, SwitchRequested
from polystra.domain.facts import BalanceObserved, IntentRecorded, ReconcileCompleted
from polystra.domain.units import MICRO, NS_PER_MS
from polystra.ports.audit import ApiCall
from polystra.ports.rate import BudgetLeft
from polystra.ports.viewing import Workings
from polystra.runtime.viewing import Viewing
from tests.fakes.clock import ManualClock
from tests.unit.engine.desk import Desk


class Bench:
    def __init__(self) -> None:
        self.desk = Desk().ready()
        self.board = Board()
        site = SimpleNamespace(
            board=self.board, settings=load_settings({}, None), version="1", mode="sim", speed=1.0, real=SystemClock()
        )
        self.metrics = Metrics(cast("Site", site))
        budget = BudgetLeft(tier="x", orders=30, orders_burst=48, cancels=60, cancels_burst=96, warnings=0, refusals=2)
        self.workings = Workings(sends_waiting=3, commits=40, committing_ns=2_000_000_000, budget=budget)

    def note(self, *calls: ApiCall) -> None:
        self.metrics.note(self.desk.facts, calls)
        self.desk.clear()

    def look(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Everything that is told: values by name and by the labels' values, labels in the order of their names."""
        viewing = Viewing(
            self.board,
            state=self.desk.state,
            clock=ManualClock(self.desk.now_ns),
            real=SystemClock(),
            waiting=lambda: 7,
            commit_began=lambda: None,
            workings=lambda: self.workings,
        )
        self.board.show(viewing.look())
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
        return found


def call(order_id: Any, word: str, at_ns: int) -> ApiCall:
    return ApiCall(
        at_ns=at_ns,
        method="POST",
        path="/order",
        latency_ns=40 * NS_PER_MS,
        status=200,
        request="",
        reply="",
        outcome="ok",
        orders=((order_id, word),),
    )


def test_every_metric_of_the_table_is_told_and_nothing_else() -> None:
    bench = Bench()
    told = bench.look()
    for metric in METRICS:
        name = PREFIX + metric.name
        has_samples = not metric.labels or metric.kind == "gauge"
        if metric.name in ("stream_connected", "stream_quiet_seconds"):
            continue  # no stream is watched on this bench
        assert (f"{name}_count" if metric.kind == "histogram" else name) in told or not has_samples, name
    known = {PREFIX + metric.name for metric in METRICS}
    for name in told:
        stem = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count").removesuffix("_created")
        assert {name, stem, f"{stem}_total"} & known, name


def test_an_order_is_counted_from_its_making_to_its_fill() -> None:
    bench = Bench()
    track = bench.desk.enter()
    [intent] = bench.desk.found(IntentRecorded)
    bench.note(call(track.order_id, "live", intent.at_ns + 30 * NS_PER_MS))
    bench.desk.accept(track)
    bench.desk.advance(0.4)
    bench.desk.fill(track, 10, 50, maker=False)
    bench.note()
    told = bench.look()
    assert told["polystra_intents_total"] == {("ENTRY",): 1}
    assert told["polystra_orders_total"] == {("filled", "ENTRY"): 1}
    assert told["polystra_fills_total"] == {("TAKER", "BUY"): 1}
    assert told["polystra_fees_dollars_total"][()] > 0
    assert told["polystra_tick_to_order_seconds_count"] == {(): 1}
    assert abs(told["polystra_tick_to_order_seconds_sum"][()] - 0.03) < 1e-9
    assert 0.39 < told["polystra_fill_seconds_sum"][()] < 0.42
    assert told["polystra_venue_request_seconds_sum"] == {("POST /order",): 0.04}
    assert told["polystra_positions_open"] == {(): 1}
    assert told["polystra_exposure_dollars"] == {("held",): 5, ("entries",): 0}
    assert told["polystra_unrealised_dollars"][()] == 0


def test_the_same_bytes_sent_again_are_one_latency() -> None:
    bench = Bench()
    track = bench.desk.enter()
    [intent] = bench.desk.found(IntentRecorded)
    bench.note(call(track.order_id, "in doubt", intent.at_ns), call(track.order_id, "live", intent.at_ns + 10**10))
    assert bench.look()["polystra_tick_to_order_seconds_count"] == {(): 1}


def test_refusals_have_their_class_and_code() -> None:
    bench = Bench()
    track = bench.desk.enter()
    bench.note(
        call(track.order_id, "refused: balance", 0),
        call(track.order_id, "refused: unauthorized", 0),
        call(track.order_id, "killed: no_match", 0),
        call(track.order_id, "refused: never heard of", 0),
    )
    told = bench.look()["polystra_refusals_total"]
    assert told[("unauthorized", "AUTH")] == 1
    assert told[("no_match", "KILLED")] == 1
    assert told[("never heard of", "REFUSED")] == 1
    assert sum(told.values()) == 4


def test_calls_that_people_made_to_us_are_no_requests_to_the_venue() -> None:
    bench = Bench()
    one = call("0x1", "live", 1)
    bench.note(
        replace(one, path="/api/v1/stop"), replace(one, method="CHAT", path="/stop"), replace(one, path="/hooks/x")
    )
    assert "polystra_venue_requests_total" not in bench.look()


def test_a_doubt_is_counted_once_and_its_age_is_told() -> None:
    bench = Bench()
    track = bench.desk.enter()
    bench.desk.unknown(track)
    bench.note()
    bench.desk.advance(20)
    bench.note()
    told = bench.look()
    assert told["polystra_doubts_total"] == {(): 1}
    assert told["polystra_orders_in_doubt"] == {(): 1}
    assert 19 < told["polystra_order_in_doubt_oldest_seconds"][()] <= 20


def test_switches_mode_budget_and_workings_are_told() -> None:
    bench = Bench()
    bench.desk.step(SwitchRequested(name=SwitchName.KILL, on=True, reason="a test", source="test"))
    told = bench.look()
    assert told["polystra_switch_on"][("kill",)] == 1
    assert told["polystra_switch_on"][("pause",)] == 0
    assert told["polystra_entries_blocked"] == {(): 1}
    assert told["polystra_venue_mode"][("normal",)] == 1
    assert told["polystra_rate_budget_left"] == {("orders",): 30, ("cancels",): 60}
    assert told["polystra_rate_refusals_total"] == {(): 2}
    assert (told["polystra_commits_total"][()], told["polystra_commit_seconds_total"][()]) == (40, 2)
    assert (told["polystra_inputs_waiting"][()], told["polystra_sends_waiting"][()]) == (7, 3)


def test_drift_and_differences_of_the_books_are_told() -> None:
    bench = Bench()
    observed = BalanceObserved(cash=99 * MICRO, ledger_cash=100 * MICRO, at_ns=1, source="account")
    compared = ReconcileCompleted(
        at_ns=1, open_orders=0, fills_applied=0, differences=("cash", "shares"), trigger="periodic"
    )
    bench.metrics.note((observed, compared), ())
    told = bench.look()
    assert told["polystra_cash_drift_dollars"] == {(): -1}
    assert told["polystra_reconcile_differences_total"] == {(): 2}
    assert told["polystra_reconciliations_total"] == {(): 1}
