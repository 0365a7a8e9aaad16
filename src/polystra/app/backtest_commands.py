"""`polystra backtest` and `import`: recordings through the engine that trades, and what it came to.

What lives here: the command, its options, its tables and JSON. What must not: the run (`backtest.driver`), what is
counted (`backtest.tally`).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from polystra.adapters.clock import SystemClock
from polystra.app.engine_settings import engine_config
from polystra.app.failures import env_file_here, fail, guarded, settings_from_here
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings, load_settings
from polystra.backtest.driver import Driver, DriverResult
from polystra.backtest.forecasts import Checkpoints
from polystra.backtest.imports.assemble import assemble
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.windows import DEFAULT_FEE_PPM, read_windows
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.reader import ReadingReport, RecordingReader, recording_files
from polystra.backtest.recordings.writer import RecordingWriter
from polystra.backtest.scoring import FEWEST, Interval
from polystra.backtest.tally import Tally
from polystra.domain.errors import ConfigError, RecordingError
from polystra.domain.units import MICRO, format_micros
from polystra.matching.paper_venue import PaperRules

HONEST: str = (
    "A backtest shows what these settings would have done against what was displayed, not what they will do: "
    "others did not react to these orders, and a setting that was chosen because it did well here proves nothing."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One run: what was read, what it came to."""

    settings: Settings
    reading: ReadingReport
    result: DriverResult
    tally: Tally
    cash: int


def run_backtest(settings: Settings, places: list[Path], *, capital: int) -> Backtest:
    """Run the engine over recordings. `capital` in micro-dollars.

    Raises:
        ConfigError: a place is missing, or nothing in it can be used.
    """
    try:
        reader = RecordingReader(recording_files(places))
    except RecordingError as error:
        raise ConfigError(str(error)) from error
    heads = reader.heads
    symbols = tuple(dict.fromkeys(symbol for head in heads for symbol in head.symbols))
    chosen = tuple(symbol for symbol in settings.symbols if symbol in symbols) or symbols
    salt = hashlib.sha256(b"polystra backtest").digest()
    config = engine_config(settings, symbols=chosen, salt_seed=salt, markets_limit=0)
    tally = Tally(Checkpoints(config.strategy.weights))
    driver = Driver(config, PaperRules(cash=capital), tally.take, tally.checkpoints)
    result = driver.run(reader)
    return Backtest(settings=settings, reading=reader.report, result=result, tally=tally, cash=driver.venue.cash)


def as_data(run: Backtest) -> dict[str, Any]:
    """The whole result as plain data; dollars as decimal text."""
    tally = run.tally
    profit = tally.profit()
    return {
        "recordings": {
            "files": run.reading.files,
            "inputs": run.result.inputs,
            "left_out": run.reading.left_out,
            "notes": run.reading.notes,
        },
        "windows": len(tally.settled),
        "independent_windows": tally.blocks,
        "decisions": sum(each.decisions for each in tally.markets.values()),
        "orders": sum(each.orders for each in tally.markets.values()),
        "fills": {"taker": tally.taker_fills, "maker": tally.maker_fills},
        "costs": {
            "fees": format_micros(sum(each.fees for each in tally.markets.values())),
            "slippage": format_micros(tally.slippage),
        },
        "realised_pnl": None if profit is None else _interval(profit),
        "drawdown": format_micros(tally.drawdown()),
        "cash": format_micros(run.cash),
        "forecasters": [
            {
                "name": each.name,
                "brier": _interval(each.brier),
                "log_loss": _interval(each.log_loss),
                "brier_less_market": None if each.against_market is None else _interval(each.against_market),
                "verdict": each.words,
            }
            for each in tally.scores()
        ],
        "fusions": tally.fusions_apart(),
        "markets": [
            {
                "slug": each.market.slug,
                "up_payout": format_micros(each.up_payout or 0),
                "decisions": each.decisions,
                "orders": each.orders,
                "fills": each.fills,
                "fees": format_micros(each.fees),
                "realised_pnl": format_micros(each.realised_pnl),
                "exits": dict(each.exits),
            }
            for each in tally.settled
        ],
        "left_open": list(run.result.left_open),
        "facts_hash": run.result.digest,
        "note": HONEST,
    }


def show(run: Backtest, console: Console) -> None:
    """The result for a person."""
    data = as_data(run)
    tally = run.tally
    for note in run.reading.notes:
        console.print(f"left out: {note}", markup=False)
    profit = tally.profit()
    rows = [
        ("recorded inputs", f"{run.result.inputs:,} in {run.reading.files} files"),
        ("windows", f"{data['windows']} settled, {tally.blocks} independent"),
        ("decisions, orders", f"{data['decisions']}, {data['orders']}"),
        ("fills", f"{tally.taker_fills} taking, {tally.maker_fills} resting"),
        ("fees, slippage", f"{data['costs']['fees']}, {data['costs']['slippage']}"),
        ("realised result", "no market was settled" if profit is None else _range(profit, "$")),
        ("deepest drawdown", data["drawdown"]),
        ("facts hash", run.result.digest[:16]),
    ]
    console.print(pairs("Backtest", rows))
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
    if data["fusions"]:
        console.print(f"The two fusions: {data['fusions']}.")
    if 0 < tally.blocks < FEWEST:
        console.print(f"Only {tally.blocks} independent windows: the intervals above say little.")
    for left in run.result.left_open:
        console.print(f"left open: {left}", markup=False)
    console.print(HONEST)


def backtest(
    places: Annotated[list[Path], typer.Argument(help="recordings, or folders of them")],
    *,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="a setting for this run, KEY=VALUE; may be given again")
    ] = None,
    capital: Annotated[int, typer.Option(min=1, help="dollars that the paper account begins with")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Run recordings through the engine that trades, against a paper account."""
    settings = settings_from_here(local=True)
    changed = guarded(lambda: _changed(change or []), settings)
    run = guarded(lambda: run_backtest(changed, places, capital=capital * MICRO), changed)
    if as_json:
        typer.echo(json.dumps(as_data(run)))
    else:
        show(run, screen())


def import_recordings(
    out: Annotated[Path, typer.Argument(help="the folder that the recording is written into")],
    *,
    windows: Annotated[Path, typer.Option(help="table of windows with slug, start, end and winner, .csv")],
    books: Annotated[
        list[Path] | None, typer.Option(help="SLUG.book.jsonl[.gz] files of full-depth books, or folders of them")
    ] = None,
    feed: Annotated[Path | None, typer.Option(help="settlement feed with feed_ts_ms and value, .csv[.gz]")] = None,
    symbol: Annotated[str, typer.Option(help="the feed's coin where it has no column for it")] = "BTC",
    fee_ppm: Annotated[int, typer.Option(min=0, help="taker's rate of those days in millionths")] = DEFAULT_FEE_PPM,
) -> None:
    """Turn recordings of others into one that `polystra backtest` reads."""
    settings = settings_from_here(local=True)

    def work() -> tuple[RecordingWriter, ImportReport]:
        report = ImportReport()
        try:
            table = read_windows(windows, report, fee_ppm=fee_ppm)
            prices = [] if feed is None else read_feed(feed, report, symbol=symbol)
            inputs = assemble(table, _book_files(books or []), prices, report)
            head = Head(
                origin="import",
                mode="import",
                created_ns=SystemClock().now_ns(),
                symbols=tuple(dict.fromkeys(each.market.symbol for each in table)),
            )
            with RecordingWriter(out, head) as writer:
                for now_ns, event in inputs:
                    writer.add(event, now_ns)
        except RecordingError as error:
            raise ConfigError(str(error)) from error
        return writer, report

    writer, report = guarded(work, settings)
    for note in report.notes:
        typer.echo(note)
    typer.echo(
        f"{report.messages} lines of {report.files} files used, {report.left_out} left out: "
        f"{writer.inputs} inputs in {writer.files} files, {writer.bytes} bytes in {out}"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    app.command()(backtest)
    app.command("import")(import_recordings)


def _book_files(places: list[Path]) -> list[Path]:
    """Files as they are named, folders by the books in them, sorted.

    Raises:
        RecordingError: a place does not exist.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise RecordingError(f"--books {place}: does not exist; name a file or a folder of them")
        found += sorted(place.glob("*.book.jsonl*")) if place.is_dir() else [place]
    return found


def _changed(changes: list[str]) -> Settings:
    """The settings with those of the command line on top."""
    values = dict(os.environ)
    for each in changes:
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"--set {each}: expected KEY=VALUE, for example --set MIN_EDGE_PERCENT=2")
        if name.upper() not in {field.upper() for field in Settings.model_fields}:
            fail(f"--set {each}: there is no setting {name.upper()}; .env.example lists them all")
        values[name.upper()] = value
    return load_settings(values, env_file_here(), local=True)


def _interval(interval: Interval) -> dict[str, float | int]:
    return {
        "mean": round(interval.mean, 6),
        "low": round(interval.low, 6),
        "high": round(interval.high, 6),
        "blocks": interval.blocks,
    }


def _range(interval: Interval, unit: str = "") -> str:
    digits = 2 if unit else 4
    mean, low, high = (f"{value:.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean}{unit} ({low} to {high})"
