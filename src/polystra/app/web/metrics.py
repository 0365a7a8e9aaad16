"""`/metrics` for Prometheus: values from the last look, counts from committed facts and from requests.

What lives here: how each metric of `metric_table` gets its value. What must not: names and words. Everything here
runs in the web thread; the trading loop only hands over what it hands over to the page. prometheus-client is slow
to import, so nothing but the web thread imports this module, and only when it begins to serve.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from polystra.adapters.polymarket.error_catalogue import CATALOGUE
from polystra.app.web import probes
from polystra.app.web.metric_table import METRICS, PREFIX, Metric
from polystra.app.web.site import Site
from polystra.domain import facts as ft
from polystra.domain.events import SwitchName
from polystra.domain.facts import Fact, NoticeKind
from polystra.domain.fills import FillStatus
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.ledger import PostingKind
from polystra.domain.orders import Order, OrderStatus, Purpose, Side
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, Nanos, notional_ceil
from polystra.domain.venue import VenueMode
from polystra.ports.audit import ApiCall
from polystra.ports.viewing import HeldPosition, View

K = TypeVar("K")
V = TypeVar("V")
_ENDED: Final = (
    OrderStatus.FILLED,
    OrderStatus.CANCELED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
    OrderStatus.DENIED,
)
_KINDS: Final = {row.code: row.kind.value for row in CATALOGUE}
CHAT: Final = "CHAT"
_OURS: Final = ("/api/", "/hooks/")
"""Audited calls that people made to us, not we to the venue."""
_REMEMBERED: Final = 5_000
"""Orders whose times are kept for latencies."""


class Metrics:
    """See the module docstring. One a run."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._registry = CollectorRegistry(auto_describe=True)
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._sums: dict[str, float] = {}
        for metric in METRICS:
            self._make(metric)
        self._registry.register(_Sums(self._sums))
        self._made: OrderedDict[ClientOrderId, Nanos] = OrderedDict()
        self._unsent: OrderedDict[OrderId, Nanos] = OrderedDict()
        self._statuses: OrderedDict[ClientOrderId, OrderStatus] = OrderedDict()
        self._gauges["info"].labels(version=site.version, mode=site.mode).set(1)

    def note(self, facts: Iterable[Fact], calls: Iterable[ApiCall]) -> None:
        """Count what happened, in the order of the commits; requests after the facts that led to them."""
        for fact in facts:
            self._note(fact)
        for call in calls:
            if call.method != CHAT and not call.path.startswith(_OURS):
                self._called(call)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        view = self._site.board.view
        self._gauges["ready"].set(not probes.readiness(self._site))
        self._gauges["alive"].set(probes.liveness(self._site).ok)
        if view is not None:
            self._look(view)
            self._money(view)
        return generate_latest(self._registry)

    # --- making -----------------------------------------------------------------------

    def _make(self, metric: Metric) -> None:
        name = PREFIX + metric.name
        if metric.kind == "gauge":
            self._gauges[metric.name] = Gauge(name, metric.meaning, metric.labels, registry=self._registry)
        elif metric.kind == "histogram":
            self._histograms[metric.name] = Histogram(
                name, metric.meaning, metric.labels, buckets=metric.buckets, registry=self._registry
            )
        elif metric.name in _SUMMED:
            self._sums[metric.name] = 0.0
        else:
            self._counters[metric.name] = Counter(name, metric.meaning, metric.labels, registry=self._registry)

    # --- facts ------------------------------------------------------------------------

    def _note(self, fact: Fact) -> None:
        match fact:
            case ft.IntentRecorded():
                self._intent(fact)
            case ft.OrderChanged():
                self._changed(fact)
            case ft.IntentDenied():
                self._counters["denials_total"].inc()
            case ft.FillRecorded():
                self._filled(fact)
            case ft.PostingRecorded():
                self._posted(fact)
            case ft.ReconcileCompleted():
                self._counters["reconciliations_total"].inc()
                self._counters["reconcile_differences_total"].inc(len(fact.differences))
            case ft.BalanceObserved():
                self._gauges["cash_drift_dollars"].set(_dollars(fact.cash - fact.ledger_cash))
            case ft.DecisionRecorded():
                self._counters["decisions_total"].labels(action=fact.action).inc()
            case ft.Notice(kind=NoticeKind.FEE_MISMATCHED):
                self._counters["fee_mismatches_total"].inc()
            case _:
                pass

    def _intent(self, fact: ft.IntentRecorded) -> None:
        order = fact.order
        self._counters["intents_total"].labels(purpose=order.terms.purpose).inc()
        _keep(self._made, order.terms.client_order_id, order.created_at_ns)
        if order.order_id is not None:
            _keep(self._unsent, order.order_id, fact.at_ns)

    def _changed(self, fact: ft.OrderChanged) -> None:
        """Count each state once: a fact may repeat what was."""
        order = fact.order
        name = order.terms.client_order_id
        if self._statuses.get(name) is order.status:
            return
        _keep(self._statuses, name, order.status)
        if order.status in _ENDED:
            self._counters["orders_total"].labels(purpose=order.terms.purpose, outcome=order.status.lower()).inc()
        elif order.status is OrderStatus.IN_DOUBT:
            self._counters["doubts_total"].inc()

    def _filled(self, fact: ft.FillRecorded) -> None:
        fill = fact.fill
        if fill.status is FillStatus.FAILED:
            self._counters["fills_failed_total"].inc()
        elif fact.is_new:
            self._counters["fills_total"].labels(side=fill.side, liquidity=fill.liquidity).inc()
            made_ns = self._made.get(fill.client_order_id)
            if made_ns is not None:
                self._histograms["fill_seconds"].observe(max(0, fact.at_ns - made_ns) / NS_PER_S)

    def _posted(self, fact: ft.PostingRecorded) -> None:
        posting = fact.posting
        if posting.fee > 0:
            self._counters["fees_dollars_total"].inc(_dollars(posting.fee))
        if posting.kind is PostingKind.FEE:
            self._counters["fee_error_dollars_total"].inc(_dollars(abs(posting.fee)))

    # --- requests ---------------------------------------------------------------------

    def _called(self, call: ApiCall) -> None:
        route = f"{call.method} {_route(call.path)}"
        status = "none" if call.status is None else str(call.status)
        self._counters["venue_requests_total"].labels(route=route, status=status).inc()
        self._histograms["venue_request_seconds"].labels(route=route).observe(call.latency_ns / NS_PER_S)
        for order_id, word in call.orders:
            decided_ns = self._unsent.pop(order_id, None)
            if decided_ns is not None:
                self._histograms["tick_to_order_seconds"].observe(max(0, call.at_ns - decided_ns) / NS_PER_S)
            outcome, _, code = word.partition(": ")
            if outcome in ("refused", "killed"):
                self._counters["refusals_total"].labels(kind=_KINDS.get(code, "REFUSED"), code=code or "none").inc()

    # --- the last look ----------------------------------------------------------------

    def _look(self, view: View) -> None:
        gauges, real_ns = self._gauges, self._site.real.now_ns()
        gauges["look_age_seconds"].set(max(0, real_ns - view.told_ns) / NS_PER_S)
        gauges["loop_lag_seconds"].set(view.loop_lag_ns / NS_PER_S)
        gauges["look_cost_seconds"].set(view.cost_ns / NS_PER_S)
        gauges["commit_under_way_seconds"].set(view.commit_age_ns / NS_PER_S)
        gauges["inputs_waiting"].set(view.waiting_inputs)
        gauges["markets_watched"].set(len(view.markets))
        gauges["entries_blocked"].set(len(view.blocks) + len({each.name for each in view.switches}))
        gauges["orders_in_doubt"].set(len(view.doubtful))
        oldest_ns = min((since_ns for _, since_ns in view.doubtful), default=view.at_ns)
        gauges["order_in_doubt_oldest_seconds"].set(max(0, view.at_ns - oldest_ns) / NS_PER_S)
        gauges["reconcile_age_seconds"].set(
            max(0, view.at_ns - view.reconciled_at_ns) / NS_PER_S if view.reconciled_at_ns else float("inf")
        )
        for side in Side:
            gauges["orders_open"].labels(side=side).set(sum(order.terms.side is side for order in view.orders))
        for name in SwitchName:
            gauges["switch_on"].labels(switch=name).set(any(each.name is name for each in view.switches))
        for mode in VenueMode:
            gauges["venue_mode"].labels(mode=mode.lower()).set(view.venue_mode is mode)
        self._streams(view, real_ns)
        self._workings(view)

    def _streams(self, view: View, real_ns: Nanos) -> None:
        if view.health is None:
            return
        since_ns = max(0, real_ns - view.health.at_ns)
        self._gauges["loop_quiet_seconds"].set((view.health.loop_quiet_ns + since_ns) / NS_PER_S)
        for stream in view.health.streams:
            self._gauges["stream_connected"].labels(stream=stream.name).set(stream.connected)
            self._gauges["stream_quiet_seconds"].labels(stream=stream.name).set((stream.quiet_ns + since_ns) / NS_PER_S)

    def _workings(self, view: View) -> None:
        works = view.workings
        if works is None:
            return
        self._gauges["sends_waiting"].set(works.sends_waiting)
        self._sums["commits_total"] = works.commits
        self._sums["commit_seconds_total"] = works.committing_ns / NS_PER_S
        if works.budget is not None:
            self._sums["rate_refusals_total"] = works.budget.refusals
            for traffic, left, burst in (
                ("orders", works.budget.orders, works.budget.orders_burst),
                ("cancels", works.budget.cancels, works.budget.cancels_burst),
            ):
                self._gauges["rate_budget_left"].labels(traffic=traffic).set(left)
                self._gauges["rate_budget_burst"].labels(traffic=traffic).set(burst)

    def _money(self, view: View) -> None:
        gauges = self._gauges
        held = [position for position in view.positions if position.booked.shares > 0]
        value = sum(_value(position) for position in held)
        cost = sum(position.booked.bought_cost - position.booked.released_cost for position in held)
        gauges["positions_open"].set(len(held))
        gauges["cash_dollars"].set(_dollars(view.cash))
        gauges["claims_dollars"].set(_dollars(view.claims))
        gauges["equity_dollars"].set(_dollars(view.cash + view.claims + value))
        gauges["exposure_dollars"].labels(part="held").set(_dollars(cost))
        gauges["exposure_dollars"].labels(part="entries").set(_dollars(sum(map(_may_cost, view.orders))))
        gauges["realised_dollars"].set(_dollars(view.realised))
        gauges["realised_today_dollars"].set(_dollars(view.today))
        gauges["unrealised_dollars"].set(_dollars(value - cost))
        gauges["drawdown_dollars"].set(_dollars(max(0, view.peak - view.realised)))
        gauges["losses_in_row"].set(view.losses_in_row)


_SUMMED: Final = ("commits_total", "commit_seconds_total", "rate_refusals_total")
"""Counters that the daemon sums up itself."""


class _Sums(Collector):
    """Counters whose value is told whole."""

    def __init__(self, values: dict[str, float]) -> None:
        self._values = values
        self._meanings = {metric.name: metric.meaning for metric in METRICS}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One family each."""
        for name, value in self._values.items():
            yield CounterMetricFamily(PREFIX + name, self._meanings[name], value=value)


def _keep(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _route(path: str) -> str:
    """A path without its query and ids: few values, however many orders."""
    parts = path.split("?", 1)[0].split("/")
    return "/".join(part if len(part) <= 24 else "{id}" for part in parts)


def _value(held: HeldPosition) -> MicroDollars:
    """What a position is worth at its midpoint, else at its last mark, else at its price."""
    book = held.book
    mark = held.recorded.mark if book is None or book.mid is None else book.mid
    return (held.booked.average_price if mark is None else mark) * held.booked.shares // MICRO


def _may_cost(order: Order) -> MicroDollars:
    if order.terms.purpose is not Purpose.ENTRY:
        return 0
    return order.terms.budget or notional_ceil(order.terms.price, order.remaining)


def _dollars(amount: MicroDollars) -> float:
    """For plots and alarms alone."""
    return amount / MICRO
