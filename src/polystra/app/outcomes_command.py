"""`polystra outcomes`: does the settlement rule say what really happened? Recorded windows beside their own feed.

What lives here: the command and its sentences. What must not: the rule (`backtest.outcomes`, by the engine's own price
memory).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from polystra.app.failures import EXIT_DISCREPANCY, guarded, settings_from_here
from polystra.app.screen import pairs, screen
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.windows import ImportedWindow, read_windows
from polystra.backtest.outcomes import DerivedOutcome, derive_outcomes
from polystra.domain.errors import ConfigError, RecordingError
from polystra.domain.market import Outcome
from polystra.domain.units import E8, PriceE8


@dataclass(slots=True, kw_only=True)
class Agreement:
    """What a table of windows came to beside the rule."""

    source: str
    windows: int = 0
    agree: int = 0
    incomplete: list[str] = field(default_factory=list)
    """Windows that cannot be derived, each with its reason."""
    disagree: list[str] = field(default_factory=list)
    strikes: int = 0
    """Windows whose recorded opening price could be held against the feed's."""
    other_strikes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def by_feed(windows: Sequence[ImportedWindow], derived: Iterable[DerivedOutcome]) -> Agreement:
    """Hold the outcomes that a feed gives against the recorded ones."""
    found = Agreement(source="settlement feed", windows=len(windows))
    for each in derived:
        market = each.window.market
        if each.opening is not None and each.window.open_price is not None:
            found.strikes += 1
            if abs(each.opening - each.window.open_price) > 1:
                feed, told = _price(each.opening), _price(each.window.open_price)
                found.other_strikes.append(f"{market.slug}: the feed's opening is {feed}, recorded is {told}")
        if each.agrees is None:
            holes = [
                f"no tick at its {what} second {_time(at_s)}"
                for what, price, at_s in (
                    ("opening", each.opening, market.opens_at_s),
                    ("closing", each.closing, market.closes_at_s),
                )
                if price is None
            ]
            found.incomplete.append(f"{market.slug}: {' and '.join(holes)}")
        elif each.agrees:
            found.agree += 1
        else:
            found.disagree.append(
                f"{market.slug}: {_price(each.opening)} to {_price(each.closing)}, recorded winner {each.window.winner}"
            )
    return found


def by_recorded_prices(windows: Sequence[ImportedWindow]) -> Agreement:
    """Hold the rule on the prices of the table against its winners, where there is no feed."""
    found = Agreement(source="the table's own opening and closing prices", windows=len(windows))
    for each in windows:
        if each.open_price is None or each.close_price is None:
            found.incomplete.append(
                f"{each.market.slug}: the table tells no {'opening' if each.open_price is None else 'closing'} price"
            )
        elif (each.close_price >= each.open_price) == (each.winner is Outcome.UP):
            found.agree += 1
        else:
            prices = f"{_price(each.open_price)} to {_price(each.close_price)}"
            found.disagree.append(f"{each.market.slug}: {prices}, recorded winner {each.winner}")
    return found


def agreement_of(windows: Path, feed: Path | None, *, symbol: str = "BTC") -> Agreement:
    """Read a table and its feed, if there is one, and compare.

    Raises:
        RecordingError: a file cannot be read, is empty, or lacks a column.
    """
    report = ImportReport()
    table = read_windows(windows, report)
    found = (
        by_recorded_prices(table)
        if feed is None
        else by_feed(table, derive_outcomes(table, read_feed(feed, report, symbol=symbol)))
    )
    found.notes = report.notes
    return found


def as_data(found: Agreement) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "source": found.source,
        "windows": found.windows,
        "agree": found.agree,
        "disagree": found.disagree,
        "incomplete": found.incomplete,
        "strikes_compared": found.strikes,
        "strikes_that_differ": found.other_strikes,
        "notes": found.notes,
    }


def outcomes(
    windows: Annotated[Path, typer.Argument(help="table of windows with slug, start, end and winner, .csv")],
    *,
    feed: Annotated[Path | None, typer.Option(help="settlement feed with feed_ts_ms and value, .csv[.gz]")] = None,
    symbol: Annotated[str, typer.Option(help="the feed's coin where it has no column for it")] = "BTC",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of a table")] = False,
) -> None:
    """Hold the settlement rule against recorded outcomes; exceptions are listed with their reasons."""
    settings = settings_from_here(local=True)

    def work() -> Agreement:
        try:
            return agreement_of(windows, feed, symbol=symbol)
        except RecordingError as error:
            raise ConfigError(str(error)) from error

    found = guarded(work, settings)
    if as_json:
        typer.echo(json.dumps(as_data(found)))
    else:
        _show(found)
    if found.disagree:
        raise typer.Exit(EXIT_DISCREPANCY)


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(outcomes)


def _show(found: Agreement) -> None:
    console = screen()
    rows = [
        ("held against", found.source),
        ("windows", f"{found.windows}"),
        ("rule and record agree", f"{found.agree}"),
        ("they disagree", f"{len(found.disagree)}"),
        ("not complete", f"{len(found.incomplete)}"),
    ]
    if found.strikes:
        rows.append(
            ("opening prices that are the feed's", f"{found.strikes - len(found.other_strikes)} of {found.strikes}")
        )
    console.print(pairs("Outcomes", rows))
    for name, sentences in (
        ("left out", found.notes),
        ("disagrees", found.disagree),
        ("not complete", found.incomplete),
        ("another opening price", found.other_strikes),
    ):
        for sentence in sentences:
            console.print(f"{name}: {sentence}", markup=False)


def _price(price: PriceE8 | None) -> str:
    return "unknown" if price is None else f"{price / E8:.8f}"


def _time(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"
