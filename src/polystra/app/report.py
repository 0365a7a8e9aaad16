"""`polystra report`: every market, share and dollar accounted for, and the check against the exchange's own books.

What lives here: what is counted, and how it is shown. What must not: the check itself
(`reconciliation`), statements (`adapters.store.queries`).

Money is decimal text everywhere; dollars unless a name says shares.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final

import typer
from rich.console import Console

from polystra.app.book_reading import Reading, read_both
from polystra.app.reconciliation import discrepancies
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.domain.ledger import PostingKind
from polystra.domain.units import format_micros

_TOTALS: Final = (
    "markets_settled",
    "decisions",
    "orders",
    "fills",
    "take_profits",
    "stop_losses",
    "held_to_resolution",
    "fees",
    "realised_pnl",
    "cash",
    "claims",
)
SIM_NOTE: Final = (
    "Mode sim: the other side is simulated makers and takers, so a profit here says nothing about real markets; "
    "what this report shows is that every share and dollar is accounted for."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLine:
    """What was done in one market. `shares_held` is held now, `result` the winner or `open`."""

    slug: str
    symbol: str
    result: str
    decisions: int
    orders: int
    fills: int
    fees: str
    realised_pnl: str
    shares_held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A line of the ledger that no trade explains."""

    at_ns: int
    reason: str
    cash: str
    shares: str
    token_id: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole account. Exits count positions, each once."""

    mode: str
    account: str
    checked_against: str
    markets_settled: int
    decisions: int
    orders: int
    fills: int
    take_profits: int
    stop_losses: int
    held_to_resolution: int
    fees: str
    realised_pnl: str
    cash: str
    claims: str
    markets: tuple[MarketLine, ...]
    adjustments: tuple[Adjustment, ...]
    discrepancies: tuple[str, ...]


def show_report(settings: Settings, *, as_json: bool) -> int:
    """Print the report; returns the number of discrepancies.

    Raises:
        ConfigError: the exchange's books cannot be read.
        StoreError: our database cannot be read.
    """
    reading = read_both(settings)
    report = build_report(reading)
    if as_json:
        typer.echo(json.dumps(as_object(report), indent=2))
    else:
        print_report(report, screen())
    return len(report.discrepancies)


def build_report(reading: Reading) -> Report:
    """Lay out what the books hold and compare them."""
    books, totals = reading.own, reading.account.totals
    ledger = books.ledger()
    return Report(
        mode=books.mode,
        account=books.account,
        checked_against=reading.venue_name,
        markets_settled=totals.markets_settled,
        decisions=sum(market.decisions for market in reading.account.markets),
        orders=totals.orders,
        fills=totals.fills,
        take_profits=totals.take_profits,
        stop_losses=totals.stop_losses,
        held_to_resolution=totals.held_to_resolution,
        fees=format_micros(totals.fees),
        realised_pnl=format_micros(totals.realised_pnl),
        cash=format_micros(ledger.cash),
        claims=format_micros(ledger.claims),
        markets=_markets(reading),
        adjustments=_adjustments(reading),
        discrepancies=tuple(discrepancies(books, reading.venue)),
    )


def as_object(report: Report) -> dict[str, Any]:
    """The report as JSON: `discrepancies` is their number, `discrepancy_list` the sentences."""
    told = asdict(report)
    told["discrepancies"] = len(report.discrepancies)
    told["discrepancy_list"] = list(report.discrepancies)
    if report.mode == "sim":
        told["note"] = SIM_NOTE
    return told


def _markets(reading: Reading) -> tuple[MarketLine, ...]:
    """The markets in which something was decided, traded or settled, oldest first."""
    held: Counter[str] = Counter()
    for position in reading.account.positions:
        held[position.condition_id] += position.pending_shares + position.settled_shares
    return tuple(
        MarketLine(
            slug=market.slug,
            symbol=market.symbol,
            result=str(market.winner or "50/50") if market.settled else "open",
            decisions=market.decisions,
            orders=market.orders,
            fills=market.fills,
            fees=format_micros(market.fees),
            realised_pnl=format_micros(market.realised_pnl),
            shares_held=format_micros(held[market.condition_id]),
        )
        for market in reading.account.markets
    )


def _adjustments(reading: Reading) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(
            at_ns=posting.at_ns,
            reason=posting.reason,
            cash=format_micros(posting.pending_cash + posting.settled_cash),
            shares=format_micros(posting.pending_shares + posting.settled_shares),
            token_id=posting.token_id or "",
            evidence=posting.evidence,
        )
        for posting in reading.own.postings
        if posting.kind is PostingKind.ADJUSTMENT
    )


# --- showing -----------------------------------------------------------------------------


def print_report(report: Report, console: Console) -> None:
    """Write the report for people."""
    console.print(
        grid(
            f"Markets of {report.account} ({report.mode})",
            words=("market", "result"),
            figures=("decisions", "orders", "fills", "fees $", "realised PnL $", "shares held"),
            rows=[tuple(map(str, _row(line))) for line in report.markets],
        )
    )
    console.print(pairs("Totals", [(name.replace("_", " "), str(getattr(report, name))) for name in _TOTALS]))
    if report.adjustments:
        title = "Adjustments: lines of the ledger that no trade of ours explains"
        rows = [(line.reason, line.evidence, line.cash, line.shares) for line in report.adjustments]
        console.print(grid(title, words=("reason", "evidence"), figures=("cash $", "shares"), rows=rows))
    if report.discrepancies:
        console.print(f"[bold red]{len(report.discrepancies)} discrepancies[/] against {report.checked_against}:")
        for number, sentence in enumerate(report.discrepancies, start=1):
            console.print(f"{number:>3}. {sentence}", highlight=False, markup=False)
    else:
        console.print(
            f"[bold green]0 discrepancies[/]: ledger, orders and fills agree with {report.checked_against} "
            "to the micro-unit."
        )
    if report.mode == "sim":
        console.print(SIM_NOTE, style="dim", highlight=False)


def _row(line: MarketLine) -> tuple[object, ...]:
    return (
        line.slug,
        line.result,
        line.decisions,
        line.orders,
        line.fills,
        line.fees,
        line.realised_pnl,
        line.shares_held,
    )
