"""`polystra sweep`: a grid of settings over recordings, chosen on earlier windows and judged on later ones.

What lives here: the command and its tables. What must not: the grid and its runs (`sweep_result`), the page
(`sweep_page`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from polystra.app.backtest_result import interruptible
from polystra.app.failures import guarded, settings_from_here
from polystra.app.screen import grid, pairs, screen
from polystra.app.sweep_result import (
    Sweep,
    as_data,
    combination_rows,
    combinations,
    fold_rows,
    range_text,
    run_sweep,
)
from polystra.domain.units import MICRO


def sweep(
    places: Annotated[list[Path], typer.Argument(metavar="FILES", help="recordings, or folders of them")],
    *,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=V1,V2,… to try each, KEY=V to fix it; lists by ;: SYMBOLS=BTC;BTC,ETH"),
    ] = None,
    folds: Annotated[int, typer.Option(min=1, help="steps forward: the windows are cut into one stretch more")] = 3,
    embargo: Annotated[int, typer.Option(min=0, help="seconds between what is chosen on and what is judged")] = 900,
    capital: Annotated[int, typer.Option(min=1, help="dollars that each paper account begins with")] = 1_000,
    jobs: Annotated[int, typer.Option(min=0, help="processes; 0: one per CPU")] = 0,
    html: Annotated[Path | None, typer.Option(help="write the report as one HTML page into this file")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Try a grid of settings on recordings, walking forward; says what so many tries give by chance."""
    settings = settings_from_here(local=True)

    def work() -> Sweep:
        tries = combinations(change or [], settings)
        processes = jobs or os.cpu_count() or 1
        done = run_sweep(tries, places, folds=folds, embargo_s=embargo, capital=capital * MICRO, processes=processes)
        if html is not None:
            from polystra.app.sweep_page import write_page  # noqa: PLC0415 - it draws: slow to import

            write_page(done, as_data(done), html)
            typer.echo(f"written: {html}", err=True)
        return done

    done = guarded(interruptible(work), settings)
    if as_json:
        typer.echo(json.dumps(as_data(done)))
    else:
        show(done, screen())


def show(done: Sweep, console: Console) -> None:
    """The result for a person."""
    data = as_data(done)
    figures = ("fills", "train $/window", "test $/window", "all $ (95 %)", "t")
    console.print(
        grid(
            "Combinations: train and test are those of the last step forward",
            words=("settings",),
            figures=figures,
            rows=combination_rows(data),
        )
    )
    names = ("train $/window", "test $/window", "windows")
    console.print(grid("Walking forward", words=("chosen", "judged from, UTC"), figures=names, rows=fold_rows(data)))
    rows = [
        ("chosen walking forward", range_text(data["walk_forward"])),
        ("settings as they are, same windows", range_text(data["as_set"])),
        ("windows", f"{data['windows_used']} of {data['windows']}; those that cross a cut are left out"),
    ]
    console.print(pairs("Result in dollars", rows))
    for note in data["notes"]:
        console.print(note, markup=False, highlight=False)


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(sweep)
