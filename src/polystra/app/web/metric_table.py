"""Every metric of `/metrics`, as one table: name, kind, labels, meaning.

What lives here: names and words, from which the registry, `docs/metrics.md` and the checks of the alert rules and
the board are made. What must not: values (`metrics`). A name that is released is never used for something else.

Dollars are decimal dollars and floats, as all metrics are: for plots and alarms, never for books. Latencies are of
the run's clock, ages of streams and loop of the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]
PREFIX: Final = "polystra_"
LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FILL_TIMES: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; a counter's name ends in `_total`."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCIES


METRICS: Final = (
    Metric("info", "gauge", "1; labels name the version and the mode", ("version", "mode")),
    Metric("ready", "gauge", "1 when the daemon is ready to trade, as `/readyz` says"),
    Metric("alive", "gauge", "1 when the engine's loop works, as `/livez` says"),
    Metric("look_age_seconds", "gauge", "age of the last look at the engine; grows when the loop hangs"),
    Metric("loop_lag_seconds", "gauge", "how late the trading loop came to the last look"),
    Metric("loop_quiet_seconds", "gauge", "since the loop's last sign of life"),
    Metric("look_cost_seconds", "gauge", "what the look for watchers takes of the trading loop"),
    Metric("inputs_waiting", "gauge", "inputs in the inbox"),
    Metric("sends_waiting", "gauge", "orders, cancels and questions that wait to be sent"),
    Metric("commit_under_way_seconds", "gauge", "for how long a commit has been under way; 0 while none is"),
    Metric("commits_total", "counter", "commits of facts"),
    Metric("commit_seconds_total", "counter", "time that commits took together; by commits_total: the mean"),
    Metric("stream_connected", "gauge", "1 while a stream is connected", ("stream",)),
    Metric("stream_quiet_seconds", "gauge", "since a stream last said something", ("stream",)),
    Metric("markets_watched", "gauge", "markets in which entries or exits may be made now"),
    Metric("decisions_total", "counter", "decisions recorded, by ENTER or SKIP", ("action",)),
    Metric("intents_total", "counter", "orders made and recorded before they leave", ("purpose",)),
    Metric("orders_total", "counter", "orders that ended, and how", ("purpose", "outcome")),
    Metric("orders_open", "gauge", "orders that may still trade", ("side",)),
    Metric("refusals_total", "counter", "orders that the venue refused, by class and code", ("kind", "code")),
    Metric("denials_total", "counter", "orders that our own checks denied before they left"),
    Metric("orders_in_doubt", "gauge", "orders of unknown fate"),
    Metric("order_in_doubt_oldest_seconds", "gauge", "age of the oldest order in doubt; 0 without one"),
    Metric("doubts_total", "counter", "orders that came into doubt"),
    Metric("fills_total", "counter", "executions", ("side", "liquidity")),
    Metric("fills_failed_total", "counter", "executions that failed on chain and were posted back"),
    Metric("fill_seconds", "histogram", "from an order's making to each of its fills", (), FILL_TIMES),
    Metric("tick_to_order_seconds", "histogram", "from the turn that decided to the request that carries the order"),
    Metric("venue_requests_total", "counter", "requests that may change something, by what came", ("route", "status")),
    Metric("venue_request_seconds", "histogram", "how long those requests took", ("route",)),
    Metric("rate_budget_left", "gauge", "orders and cancels that may leave at once", ("traffic",)),
    Metric("rate_budget_burst", "gauge", "the most that may ever leave at once", ("traffic",)),
    Metric("rate_refusals_total", "counter", "orders and cancels that the venue refused for their rate"),
    Metric("reconciliations_total", "counter", "comparisons of our books with the venue's"),
    Metric("reconcile_differences_total", "counter", "differences that those found"),
    Metric("reconcile_age_seconds", "gauge", "since the account was last read whole"),
    Metric("cash_drift_dollars", "gauge", "the venue's cash less the ledger's, when it was last read"),
    Metric("fees_dollars_total", "counter", "fees booked"),
    Metric("fee_error_dollars_total", "counter", "fees that were booked after the fact, as they were not as predicted"),
    Metric("fee_mismatches_total", "counter", "times that charged fees were other than predicted"),
    Metric("cash_dollars", "gauge", "cash of the ledger"),
    Metric("claims_dollars", "gauge", "winnings not redeemed"),
    Metric("equity_dollars", "gauge", "cash, claims and what is held at its midpoint"),
    Metric("exposure_dollars", "gauge", "at risk: what is held at its price, and entries that may fill", ("part",)),
    Metric("positions_open", "gauge", "positions with shares"),
    Metric("realised_dollars", "gauge", "result of this run and those before, after fees"),
    Metric("realised_today_dollars", "gauge", "result since midnight UTC, after fees"),
    Metric("unrealised_dollars", "gauge", "value of what is held at its midpoint, less its cost"),
    Metric("drawdown_dollars", "gauge", "realised result below its peak"),
    Metric("losses_in_row", "gauge", "losses since the last gain"),
    Metric("switch_on", "gauge", "1 while a switch that stops or limits entries is on", ("switch",)),
    Metric("entries_blocked", "gauge", "conditions and switches that hold entries back now"),
    Metric("venue_mode", "gauge", "1 for the mode that the venue is in", ("mode",)),
)
"""Without the prefix that all of them have."""


def exposed_names() -> frozenset[str]:
    """Every name by which a rule or a board may ask, the parts of histograms among them."""
    names = set()
    for metric in METRICS:
        name = PREFIX + metric.name
        names.add(name)
        if metric.kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return frozenset(names)
