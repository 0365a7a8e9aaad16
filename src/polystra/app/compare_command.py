"""`polystra compare`: who forecasts better and who earns more, on recordings.

What lives here: the command, its options, its tables. What must not: the figures (`backtest.comparison`), their JSON
(`compare_data`), the page (`compare_page`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from polystra.app.backtest_result import choose, config_for, interruptible, progress_bar, units_in
from polystra.app.calibration_setting import overlap_words
from polystra.app.compare_data import (
    Compared,
    as_data,
    caveats,
    dollars,
    figures_of,
    moments,
    plain,
    title_at_the_ask,
    words_of,
)
from polystra.app.failures import EXIT_DISCREPANCY, guarded, settings_from_here
from polystra.app.screen import grid, pairs, screen
from polystra.backtest.comparison import FOLLOW_S, TRADERS, Trial, put_together, run_trial
from polystra.backtest.forecasts import CHECKPOINTS_S
from polystra.backtest.jobs import run_all
from polystra.backtest.lookahead import LookAhead, compare_cuts, compare_knowledge
from polystra.backtest.recordings.blocks import read_head
from polystra.backtest.recordings.reader import RecordingReader
from polystra.domain.units import MICRO, format_micros
from polystra.matching.paper_venue import PaperRules

_MOMENTS: Final = ",".join(str(left_s) for left_s in CHECKPOINTS_S)


def run_comparison(
    changes: list[str],
    places: list[Path],
    *,
    capital: int,
    seconds_left: tuple[int, ...] = CHECKPOINTS_S,
    follow_s: int = FOLLOW_S,
    processes: int = 1,
) -> Compared:
    """Run every trader over the recordings. `capital` in micro-dollars.

    Raises:
        ConfigError: a place is missing, nothing in it can be used, or a setting is wrong.
        RecordingError: a file cannot be read any more.
    """
    chosen = choose(changes)
    units, notes = units_in(places)
    config = config_for(chosen.settings, units)
    trials = [
        Trial(
            trader=trader,
            unit=unit,
            config=config,
            rules=PaperRules(cash=capital),
            seconds_left=seconds_left,
            follow_s=follow_s,
        )
        for unit in units
        for trader in TRADERS
    ]
    with progress_bar("compare", [trial.unit.inputs for trial in trials]) as told:
        outcomes = run_all(run_trial, trials, processes=processes, told=told)
    heads = [read_head(path)[0] for unit in units for path in unit.paths]
    simulated = any(head.mode == "sim" for head in heads)
    comparison = put_together(trials, outcomes)
    windows = [forecast.window for forecast in comparison.forecasts]
    return Compared(
        comparison=comparison,
        changed=tuple(chosen.changed),
        notes=tuple(notes),
        simulated=simulated,
        follow_s=follow_s,
        overlap=overlap_words(chosen.settings, simulated=simulated, windows=windows),
    )


def check(changes: list[str], places: list[Path], seconds_left: tuple[int, ...]) -> LookAhead:
    """Look for knowledge of the future: at every moment of a forecast, and in every decision before two cuts.

    Raises:
        ConfigError, RecordingError: as `run_comparison`.
    """
    chosen = choose(changes)
    units, _ = units_in(places)
    config = config_for(chosen.settings, units)
    found = LookAhead()
    for unit in units:
        whole = list(RecordingReader(unit.paths))
        found.absorb(compare_knowledge(whole, whole, config, PaperRules(), seconds_left))
        cuts_ns = [whole[len(whole) * third // 3].now_ns for third in (1, 2)]
        found.absorb(compare_cuts(lambda whole=whole: whole, config, PaperRules(), cuts_ns))  # type: ignore[misc]
    return found


def compare(
    places: Annotated[list[Path], typer.Argument(metavar="FILES", help="recordings, or folders of them")],
    *,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="a setting for these runs, KEY=VALUE; may be given again")
    ] = None,
    at: Annotated[
        str, typer.Option(help="moments of the forecasts, seconds before the close, separated by commas")
    ] = _MOMENTS,
    follow: Annotated[
        int, typer.Option(min=1, help="seconds before the close at which the market's favourite is bought")
    ] = FOLLOW_S,
    capital: Annotated[int, typer.Option(min=1, help="dollars that each paper account begins with")] = 1_000,
    html: Annotated[Path | None, typer.Option(help="write the comparison as one HTML page into this file")] = None,
    png: Annotated[Path | None, typer.Option(help="write its plots as pictures into this folder")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="processes; 0: one per CPU")] = 0,
    look_ahead: Annotated[
        bool, typer.Option("--look-ahead", help="check instead whether anything knew what the recording told later")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Compare the market's price, both fusions, fair value and baselines: scores, calibration, earnings."""
    settings = settings_from_here(local=True)
    if look_ahead:
        found = guarded(interruptible(lambda: check(change or [], places, moments(at))), settings)
        for sentence in words_of(found):
            typer.echo(sentence)
        raise typer.Exit(0 if found.clean else EXIT_DISCREPANCY)

    def work() -> Compared:
        done = run_comparison(
            change or [],
            places,
            capital=capital * MICRO,
            seconds_left=moments(at),
            follow_s=follow,
            processes=jobs or os.cpu_count() or 1,
        )
        if html is not None or png is not None:
            from polystra.app.compare_page import write_comparison  # noqa: PLC0415 - it draws: slow to import

            for path in write_comparison(done, html=html, png=png):
                typer.echo(f"written: {path}", err=True)
        return done

    done = guarded(interruptible(work), settings)
    if as_json:
        typer.echo(json.dumps(as_data(done)))
    else:
        show(done, screen())


def show(compared: Compared, console: Console) -> None:
    """The comparison for a person."""
    comparison = compared.comparison
    reading = next(iter(comparison.outcomes.values())).reading
    for note in (*compared.notes, *reading.notes):
        console.print(f"left out: {note}", markup=False)
    told = ", ".join(f"{line.name}={line.value} ({line.source})" for line in compared.changed) or "all as by default"
    rows = [
        ("recorded inputs", f"{reading.inputs:,} in {reading.files} files"),
        ("windows", f"{comparison.windows} settled, {comparison.independent} independent"),
        ("forecasts", f"{len(comparison.forecasts)}, held against: {comparison.reference}"),
        ("differences looked at", f"{comparison.comparisons}; one in twenty looks real by chance"),
        ("settings", told),
    ]
    console.print(pairs("Comparison", rows))
    _show_scores(compared, console)
    _show_moments(compared, console)
    _show_earnings(compared, console)
    for sentence in comparison.unknown():
        console.print(f"not computed: {sentence}", markup=False)
    for caveat in caveats(compared):
        console.print(caveat, markup=False)


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(compare)


def _show_scores(compared: Compared, console: Console) -> None:
    comparison = compared.comparison
    scores = comparison.scores()
    if not scores:
        return
    reference = comparison.reference
    rows = [
        (
            each.name,
            f"{each.windows}",
            plain(each.brier, 3),
            plain(each.log_loss, 3),
            "" if each.brier_less is None else f"{each.brier_less.blocks}",
            plain(each.brier_less, 3),
            plain(each.log_loss_less, 3),
        )
        for each in scores
    ]
    figures = ("windows", "Brier", "log loss", "paired", f"Brier less {reference}'s", f"log loss less {reference}'s")
    console.print(grid("Forecasts (95 % intervals)", words=("forecaster",), figures=figures, rows=rows))
    for each in scores:
        if each.words:
            console.print(f"{each.words}.", markup=False)
    fusions = comparison.fusions()
    if fusions is not None:
        less, log_less, words = fusions
        console.print(f"The two fusions: {words} (Brier {plain(less)}, log loss {plain(log_less)}).")
    bins = comparison.reliability()
    if bins:
        cells = [
            (name, f"{each.low:.1f}-{each.high:.1f}", f"{each.count}", f"{each.mean:.3f}", f"{each.share_up:.3f}")
            for name, kept in bins.items()
            for each in kept
        ]
        title = "Reliability: what was forecast, how often it ended Up"
        console.print(
            grid(title, words=("forecaster", "between"), figures=("forecasts", "mean", "ended Up"), rows=cells)
        )


def _show_moments(compared: Compared, console: Console) -> None:
    comparison = compared.comparison
    names = comparison.forecasters
    rows = [
        (f"{left_s} s", f"{count}", *(f"{means[name]:.4f}" if name in means else "" for name in names))
        for left_s, count, means in comparison.by_seconds_left()
    ]
    if rows:
        title = "Brier score by seconds before the close"
        console.print(grid(title, words=("before",), figures=("forecasts", *names), rows=rows))


def _show_earnings(compared: Compared, console: Console) -> None:
    rows = [
        (
            figures_of(each.trader, compared.follow_s),
            f"{each.windows_traded}",
            f"{each.orders}",
            f"{each.fills}",
            format_micros(each.fees),
            format_micros(each.slippage),
            dollars(each.profit),
        )
        for each in compared.comparison.earned()
    ]
    bets = [
        (each.name, f"{each.chances}", f"{each.bought}", dollars(each.dollars))
        for each in compared.comparison.at_the_ask()
    ]
    if bets:
        names = ("moments", "bought", "result $")
        console.print(grid(title_at_the_ask(compared), words=("forecaster",), figures=names, rows=bets))
    columns = ("windows traded", "orders", "fills", "fees $", "slippage $", "result $")
    console.print(grid("Earnings", words=("trader",), figures=columns, rows=rows))
    for apart in compared.comparison.earned_apart():
        more = "" if apart.more is None else f": {dollars(apart.more)} $"
        console.print(f"{apart.trader} less {apart.other}{more}: {apart.words}", markup=False)
