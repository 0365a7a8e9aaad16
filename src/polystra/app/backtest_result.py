"""A backtest from the words of the command line to plain data: what is run with which settings, what it came to.

What lives here: the settings of a run, the run in one or several processes, its result as JSON. What must not: tables
and pages (`backtest_commands`, `backtest_page`), what is counted (`backtest.tally`, `backtest.trades`).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from polystra.app.calibration_setting import overlap_words
from polystra.app.config_view import ConfigLine, config_lines, sources
from polystra.app.engine_settings import engine_config
from polystra.app.extension import advisor_maker
from polystra.app.failures import EXIT_FAILED, env_file_here, fail
from polystra.app.setting_rules import POSITIONS, RISK, WHAT
from polystra.app.settings import Settings, load_settings
from polystra.backtest.forecasts import FORECASTERS
from polystra.backtest.jobs import Told, run_all
from polystra.backtest.recordings.blocks import read_head
from polystra.backtest.recordings.reader import recording_files
from polystra.backtest.runs import Job, Run, Unit, added_up, run_job, units_of
from polystra.backtest.scoring import Bin, Interval, reliability
from polystra.backtest.trades import Trade
from polystra.domain.errors import ConfigError, RecordingError
from polystra.domain.units import MICRO, NS_PER_S, format_micros
from polystra.engine.config import EngineConfig
from polystra.matching.paper_venue import PaperRules

T = TypeVar("T")
HONEST: Final = (
    "A backtest shows what these settings would have done against what was displayed, not what they will do: "
    "others did not react to these orders, and a setting that was chosen because it did well here proves nothing."
)
SALT: Final = hashlib.sha256(b"polystra backtest").digest()
_SECTIONS: Final = (WHAT, POSITIONS, RISK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The settings of a run and where each comes from."""

    settings: Settings
    lines: tuple[ConfigLine, ...]
    """Those that a backtest can feel, in the order of the class."""

    @property
    def changed(self) -> list[ConfigLine]:
        """Those that are not the defaults."""
        return [line for line in self.lines if line.source != "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One backtest: what was set, what was read, what it came to."""

    chosen: Chosen
    run: Run
    simulated: bool
    """Whether a recording is of a simulated world."""
    capital: int
    """Micro-dollars that each account began with."""


def choose(changes: Sequence[str]) -> Chosen:
    """The settings of this folder with those of the command line on top; a wrong one ends the program.

    Raises:
        ConfigError: a value cannot be.
    """
    values = dict(os.environ)
    given: dict[str, str] = {}
    for each in changes:
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"--set {each}: expected KEY=VALUE, for example --set MIN_EDGE_PERCENT=2")
        if name.upper() not in {field.upper() for field in Settings.model_fields}:
            fail(f"--set {each}: there is no setting {name.upper()}; .env.example lists them all")
        given[name.upper()] = value
    env_file = env_file_here()
    settings = load_settings(values | given, env_file, local=True)
    found = sources(values, env_file) | dict.fromkeys(given, "--set")
    lines = tuple(line for line in config_lines(settings, found) if line.section in _SECTIONS)
    return Chosen(settings=settings, lines=lines)


def units_in(places: Sequence[Path]) -> tuple[list[Unit], list[str]]:
    """The recordings that are meant, by time, and a sentence for each file that cannot be used.

    Raises:
        ConfigError: a place is missing, or nothing in it can be used.
    """
    try:
        return units_of(recording_files(places))
    except RecordingError as error:
        raise ConfigError(str(error)) from error


def config_for(settings: Settings, units: Sequence[Unit]) -> EngineConfig:
    """The engine's settings for these recordings: the coins that are set, as far as they were recorded."""
    heads = [read_head(path)[0] for unit in units for path in unit.paths]
    symbols = tuple(dict.fromkeys(symbol for head in heads for symbol in head.symbols))
    chosen = tuple(symbol for symbol in settings.symbols if symbol in symbols) or symbols
    simulated = all(head.mode == "sim" for head in heads)
    return engine_config(settings, symbols=chosen, salt_seed=SALT, markets_limit=0, simulated=simulated)


def run_backtest(
    chosen: Chosen, places: Sequence[Path], *, capital: int, processes: int = 1, paths_kept: int = 0
) -> Backtest:
    """Run the engine over recordings. `capital` in micro-dollars; `paths_kept` markets keep their course.

    Raises:
        ConfigError: a place is missing, or nothing in it can be used.
        RecordingError: a file cannot be read any more, or a process died.
    """
    units, notes = units_in(places)
    config = config_for(chosen.settings, units)
    rules = PaperRules(cash=capital)
    advise = advisor_maker(chosen.settings)
    jobs = [Job(unit=unit, config=config, rules=rules, paths_kept=paths_kept, advise=advise) for unit in units]
    with progress_bar("backtest", [unit.inputs for unit in units]) as told:
        runs = run_all(run_job, jobs, processes=processes, told=told)
    simulated = any(read_head(path)[0].mode == "sim" for unit in units for path in unit.paths)
    return Backtest(chosen=chosen, run=added_up(runs, notes), simulated=simulated, capital=capital)


@contextmanager
def progress_bar(name: str, totals: Sequence[int]) -> Iterator[Told | None]:
    """A bar on stderr over all jobs; None where that is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=max(1, sum(totals)))

        def told(counts: Sequence[int]) -> None:
            bar.update(task, completed=sum(counts))

        yield told


def interruptible(work: Callable[[], T]) -> Callable[[], T]:
    """The same work, ended by Ctrl-C in one sentence: a run over recordings leaves nothing behind."""

    def careful() -> T:
        try:
            return work()
        except KeyboardInterrupt:
            fail("interrupted; nothing was written", EXIT_FAILED)

    return careful


# --- as data -----------------------------------------------------------------------------


def caveats(backtest: Backtest) -> list[str]:
    """What must be said beside every figure."""
    windows = [each.market.slug for each in backtest.run.tally.settled]
    seen = overlap_words(backtest.chosen.settings, simulated=backtest.simulated, windows=windows)
    found = [seen, HONEST] if seen else [HONEST]
    if backtest.simulated:
        found.append(
            "Simulated: the recorded market is made of seeded makers; a result here means nothing about real markets."
        )
    return found


def as_data(backtest: Backtest) -> dict[str, Any]:
    """The whole result as plain data; dollars as decimal text."""
    run = backtest.run
    tally, trades = run.tally, run.trades
    profit = tally.profit()
    return {
        "recordings": {
            "files": run.reading.files,
            "recordings": run.recordings,
            "inputs": run.result.inputs,
            "left_out": run.reading.left_out,
            "notes": run.reading.notes,
        },
        "simulated": backtest.simulated,
        "capital": format_micros(backtest.capital),
        "settings": [{"name": each.name, "value": each.value, "source": each.source} for each in backtest.chosen.lines],
        "windows": len(tally.settled),
        "independent_windows": tally.blocks,
        "decisions": sum(each.decisions for each in tally.markets.values()),
        "orders": sum(each.orders for each in tally.markets.values()),
        "fills": {"taker": tally.taker_fills, "maker": tally.maker_fills},
        "costs": {
            "fees": format_micros(sum(each.fees for each in tally.markets.values())),
            "spread": format_micros(trades.spread),
            "slippage": format_micros(trades.slippage),
            "fills_without_a_spread": trades.unquoted,
        },
        "realised_pnl": None if profit is None else interval_data(profit),
        "drawdown": format_micros(tally.drawdown()),
        "drawdown_marked": format_micros(trades.deepest),
        "cash": format_micros(run.cash),
        "forecasters": [
            {
                "name": each.name,
                "brier": interval_data(each.brier),
                "log_loss": interval_data(each.log_loss),
                "brier_less_market": None if each.against_market is None else interval_data(each.against_market),
                "verdict": each.words,
            }
            for each in tally.scores()
        ],
        "fusions": tally.fusions_apart(),
        "calibration": {
            name: [
                {"low": bin_.low, "high": bin_.high, "forecasts": bin_.count, "mean": bin_.mean, "up": bin_.share_up}
                for bin_ in bins
            ]
            for name, bins in calibration(backtest).items()
        },
        "equity": [{"at_s": at_ns // NS_PER_S, "result": format_micros(value)} for at_ns, value in tally.equity],
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
        "positions": [_position(each) for each in trades.filled],
        "left_open": list(run.result.left_open),
        "facts_hash": run.result.digest,
        "notes": caveats(backtest),
        "note": HONEST,
    }


def calibration(backtest: Backtest) -> dict[str, list[Bin]]:
    """The reliability diagram of every forecaster that said something."""
    forecasts = backtest.run.tally.forecasts
    found = {name: reliability(forecasts, name) for name in FORECASTERS}
    return {name: bins for name, bins in found.items() if bins}


def exit_words(trade: Trade) -> str:
    """Why a position ended: the rule of its last sale, or how its market was decided."""
    if trade.exit_rule != "resolution":
        return trade.exit_rule or ("open" if trade.up_payout is None else "sold")
    won = trade.up_payout == (MICRO if trade.outcome.value == "UP" else 0)
    return "held to the verdict: won" if won else "held to the verdict: lost"


def interval_data(interval: Interval) -> dict[str, float | int]:
    """A mean with its interval and the number of independent windows behind it."""
    return {
        "mean": round(interval.mean, 6),
        "low": round(interval.low, 6),
        "high": round(interval.high, 6),
        "blocks": interval.blocks,
    }


def _position(trade: Trade) -> dict[str, Any]:
    exit_price = trade.exit_price
    return {
        "position": trade.position_id,
        "market": trade.slug,
        "outcome": trade.outcome.value,
        "opened_s": trade.opened_ns // NS_PER_S,
        "closed_s": trade.closed_ns // NS_PER_S or None,
        "shares": format_micros(trade.bought),
        "entry_price": format_micros(trade.entry_price),
        "exit_price": None if exit_price is None else format_micros(exit_price),
        "entry_rule": trade.entry_rule,
        "entry_reason": trade.entry_reason,
        "exit_reason": exit_words(trade),
        "fees": format_micros(trade.fees),
        "spread": format_micros(trade.spread),
        "slippage": format_micros(trade.slippage),
        "realised_pnl": format_micros(trade.realised_pnl),
    }
