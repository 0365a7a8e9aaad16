"""`polystra backtest`: recordings through the engine that trades, and what it came to.

What lives here: the commands, their options and tables. What must not: the run and its JSON (`backtest_result`), pages
(`backtest_page`), what is counted (`backtest.tally`, `backtest.trades`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from polystra.app.backtest_result import Backtest, as_data, caveats, choose, interruptible, run_backtest
from polystra.app.failures import guarded, settings_from_here
from polystra.app.screen import grid, pairs, screen
from polystra.backtest.scoring import FEWEST, Interval
from polystra.domain.units import MICRO

PATHS_DRAWN: Final = 24
"""So many markets are drawn: the traded ones with the largest results."""
_MOST_ROWS: Final = 40


def show(backtest: Backtest, console: Console) -> None:
    """The result for a person."""
    run, data = backtest.run, as_data(backtest)
    tally = run.tally
    for note in run.reading.notes:
        console.print(f"left out: {note}", markup=False)
    profit = tally.profit()
    costs = data["costs"]
    rows = [
        ("recorded inputs", f"{run.result.inputs:,} in {run.reading.files} files, {run.recordings} recordings"),
        ("windows", f"{data['windows']} settled, {tally.blocks} independent"),
        ("decisions, orders", f"{data['decisions']}, {data['orders']}"),
        ("fills", f"{tally.taker_fills} taking, {tally.maker_fills} resting"),
        ("fees, half spread, slippage", f"{costs['fees']}, {costs['spread']}, {costs['slippage']}"),
        ("realised result", "no market was settled" if profit is None else _range(profit, "$")),
        ("deepest drawdown", f"{data['drawdown']} settled, {data['drawdown_marked']} marked at mid prices"),
        ("facts hash", run.result.digest[:16]),
    ]
    console.print(pairs("Backtest", rows))
    _show_forecasts(backtest, console)
    _show_positions(data["positions"], console)
    settings = backtest.chosen.changed
    told = ", ".join(f"{line.name}={line.value} ({line.source})" for line in settings) or "all as by default"
    console.print(f"Settings: {told}", markup=False, highlight=False)
    for left in run.result.left_open:
        console.print(f"left open: {left}", markup=False)
    for caveat in caveats(backtest):
        console.print(caveat)


def _show_forecasts(backtest: Backtest, console: Console) -> None:
    tally = backtest.run.tally
    scores = [
        (
            each.name,
            _range(each.brier),
            _range(each.log_loss),
            "" if each.against_market is None else _range(each.against_market),
            each.words,
        )
        for each in tally.scores()
    ]
    if scores:
        names = ("Brier", "log loss", "Brier less market's", "")
        console.print(grid("Forecasts", words=("forecaster",), figures=names, rows=scores))
    if fusions := tally.fusions_apart():
        console.print(f"The two fusions: {fusions}.")
    if 0 < tally.blocks < FEWEST:
        console.print(f"Only {tally.blocks} independent windows: the intervals above say little.")


def _show_positions(positions: Sequence[dict[str, Any]], console: Console) -> None:
    if not positions:
        return
    rows = [
        (
            each["position"],
            each["entry_reason"],
            each["exit_reason"],
            *(each[name] or "" for name in ("shares", "entry_price", "exit_price", "fees", "realised_pnl")),
        )
        for each in positions[:_MOST_ROWS]
    ]
    figures = ("shares", "bought at", "sold at", "fees $", "result $")
    console.print(grid("Positions", words=("position", "entry", "exit"), figures=figures, rows=rows))
    if len(positions) > _MOST_ROWS:
        console.print(f"and {len(positions) - _MOST_ROWS} more positions: --json and --html list them all")


def backtest(
    places: Annotated[list[Path], typer.Argument(metavar="FILES", help="recordings, or folders of them")],
    *,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="a setting for this run, KEY=VALUE; may be given again")
    ] = None,
    capital: Annotated[int, typer.Option(min=1, help="dollars that each paper account begins with")] = 1_000,
    html: Annotated[
        Path | None, typer.Option(help="write the report as one HTML page with plots into this file")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="write the plots as pictures into this folder")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="processes for several recordings; 0: one per CPU")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Run recordings through the engine that trades, against a paper account."""
    settings = settings_from_here(local=True)

    def work() -> Backtest:
        drawn = html is not None or png is not None
        done = run_backtest(
            choose(change or []),
            places,
            capital=capital * MICRO,
            processes=jobs or os.cpu_count() or 1,
            paths_kept=PATHS_DRAWN if drawn else 0,
        )
        if drawn:
            from polystra.app.backtest_page import write_report  # noqa: PLC0415 - it draws: slow to import

            for path in write_report(done, html=html, png=png):
                typer.echo(f"written: {path}", err=True)
        return done

    done = guarded(interruptible(work), settings)
    if as_json:
        typer.echo(json.dumps(as_data(done)))
    else:
        show(done, screen())


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(backtest)


def _range(interval: Interval, unit: str = "") -> str:
    digits = 2 if unit else 4
    mean, low, high = (f"{value:.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean}{unit} ({low} to {high})"
