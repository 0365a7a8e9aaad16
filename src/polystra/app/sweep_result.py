"""A sweep from the words of the command line to plain data: the grid, its runs, the choice, what must be said of it.

What lives here: the grid's words, the runs, tables as rows. What must not: the command (`sweep_commands`), the page
(`sweep_page`), splits, choice and the arithmetic of many tries (`backtest.sweeps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final

from polystra.app.backtest_result import HONEST, choose, config_for, interval_data, progress_bar, units_in
from polystra.app.extension import advisor_maker
from polystra.app.failures import fail
from polystra.app.settings import Settings
from polystra.backtest.jobs import run_all
from polystra.backtest.recordings.blocks import read_head
from polystra.backtest.recordings.reader import RecordingReader
from polystra.backtest.runs import Job, Unit
from polystra.backtest.scoring import Interval
from polystra.backtest.spans import Span, cut, windows_in
from polystra.backtest.sweeps import (
    FEWEST_WINDOWS,
    Fold,
    SweepJob,
    Tried,
    WindowResult,
    best_of_chance,
    by_block,
    deflated,
    interval_of,
    mean_per_block,
    run_sweep_job,
    t_value,
    walk_forward,
)
from polystra.domain.errors import ConfigError
from polystra.matching.paper_venue import PaperRules

MOST_TRIES: Final = 500
AS_SET: Final = "as set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep came to. `names` of combinations and `tried` go together; `as_set` is not among them."""

    names: Sequence[str]
    tried: Sequence[Tried]
    as_set: Tried
    spans: Sequence[Span]
    folds: Sequence[Fold]
    embargo_s: int
    windows: int
    """With a verdict in the recordings; some may cross a cut."""
    simulated: bool
    notes: Sequence[str]

    @property
    def forward(self) -> list[WindowResult]:
        """What the chosen combinations did in the windows after their choice."""
        return [each for fold in self.folds for each in fold.test_windows]

    @property
    def forward_as_set(self) -> list[WindowResult]:
        """What the settings as they are did in the same windows."""
        return [each for fold in range(len(self.folds)) for each in self.as_set.test(fold)]

    @property
    def best(self) -> tuple[str, float] | None:
        """The combination with the highest t-value over all windows."""
        known = [(name, t_value(each.whole)) for name, each in zip(self.names, self.tried, strict=True)]
        return max(((name, t) for name, t in known if t is not None), key=lambda each: each[1], default=None)


def combinations(changes: Sequence[str], settings: Settings) -> list[tuple[str, ...]]:
    """Every combination of the grid as KEY=VALUE texts, in the order of the command line; a wrong one ends the program.

    Settings that are lists themselves keep their commas: their alternatives are parted by semicolons.
    """
    axes: list[list[str]] = []
    for each in changes:
        name, equals, told = each.partition("=")
        if not equals or not name:
            fail(f"--set {each}: expected KEY=V1,V2, for example --set MIN_EDGE_PERCENT=2,3,5")
        is_list = isinstance(getattr(settings, name.lower(), None), tuple)
        values = told.split(";" if is_list or ";" in told else ",")
        axes.append([f"{name.upper()}={value.strip()}" for value in dict.fromkeys(values)])
    count = prod(len(axis) for axis in axes)
    if count < 2:
        fail("--set: name a setting with several values, for example --set MIN_EDGE_PERCENT=2,3,5")
    if count > MOST_TRIES:
        fail(f"--set: {count} combinations are more than {MOST_TRIES}; the more tries, the less the best of them means")
    return [tuple(values) for values in product(*axes)]


def run_sweep(
    tries: Sequence[tuple[str, ...]],
    places: Sequence[Path],
    *,
    folds: int,
    embargo_s: int,
    capital: int,
    processes: int,
) -> Sweep:
    """Run every combination over every stretch. `capital` in micro-dollars.

    Raises:
        ConfigError: a place or a value is wrong, or there are too few windows for the folds.
        RecordingError: a file cannot be read any more, or a process died.
    """
    units, notes = units_in(places)
    markets = [market for unit in units for market in windows_in(RecordingReader(unit.paths))]
    spans = cut(markets, folds + 1)
    if len(spans) < 2:
        raise ConfigError(
            f"the recordings hold {len({market.closes_at_s for market in markets})} independent windows with a "
            "verdict; walking forward needs two at least"
        )
    chosen = [choose(()), *(choose(each) for each in tries)]
    rules = PaperRules(cash=capital)
    jobs = [
        SweepJob(job=Job(unit=unit, config=config, rules=rules, advise=advise), spans=tuple(spans))
        for config, advise in [(config_for(each.settings, units), advisor_maker(each.settings)) for each in chosen]
        for unit in units
    ]
    with progress_bar("sweep", [each.job.unit.inputs for each in jobs]) as told:
        runs = run_all(run_sweep_job, jobs, processes=processes, told=told)
    as_set, *tried = [_joined(runs[place : place + len(units)]) for place in range(0, len(runs), len(units))]
    return Sweep(
        names=[", ".join(each) for each in tries],
        tried=tried,
        as_set=as_set,
        spans=spans,
        folds=walk_forward(tried, spans, embargo_s),
        embargo_s=embargo_s,
        windows=len(markets),
        simulated=_simulated(units),
        notes=notes,
    )


def _joined(runs: Sequence[list[list[WindowResult]]]) -> Tried:
    """One combination over all recordings, by stretch."""
    return Tried(results=[[each for part in parts for each in part] for parts in zip(*runs, strict=True)])


def _simulated(units: Sequence[Unit]) -> bool:
    return any(read_head(path)[0].mode == "sim" for unit in units for path in unit.paths)


# --- as data and as tables -----------------------------------------------------------------


def warnings(done: Sweep) -> list[str]:
    """What must be said beside every figure of a sweep."""
    tries = len(done.tried)
    found = [HONEST]
    best = done.best
    if best is None:
        found.append(f"{tries} tries: none of them has enough windows with different results to be judged.")
    else:
        name, t = best
        chance = deflated(t, tries)
        words = "is no evidence of an edge" if chance < 0.95 else "is more than that, if the windows are independent"
        found.append(
            f"{tries} tries: the best over all windows ({name}) has a t-value of {t:.2f}; the best of {tries} "
            f"independent tries without any edge has {best_of_chance(tries):.2f} on average. This {words} "
            f"(probability {chance:.2f} that it is above chance)."
        )
    blocks = len(by_block(done.forward))
    if blocks < FEWEST_WINDOWS:
        found.append(f"Only {blocks} independent windows are judged on: no choice can be made on so few.")
    if done.simulated:
        found.append("Simulated: the recorded market is made of seeded makers; it means nothing about real markets.")
    return found


def as_data(done: Sweep) -> dict[str, Any]:
    """The whole result as plain data; dollars as numbers, since they are means and intervals."""
    last = len(done.folds) - 1
    return {
        "tries": len(done.tried),
        "windows": done.windows,
        "windows_used": len(done.as_set.whole),
        "embargo_s": done.embargo_s,
        "combinations": [_combination(AS_SET, done.as_set, done, last)]
        + [_combination(name, each, done, last) for name, each in zip(done.names, done.tried, strict=True)],
        "folds": [
            {
                "chosen": done.names[fold.chosen],
                "chosen_on_windows_until_s": fold.train_until_s,
                "judged_from_s": fold.test.from_s,
                "judged_until_s": fold.test.until_s,
                "train_mean": round(fold.train_mean, 6),
                "test_mean": round(mean_per_block(fold.test_windows), 6),
                "test_windows": len(fold.test_windows),
            }
            for fold in done.folds
        ],
        "walk_forward": _result(interval_of(done.forward)),
        "as_set": _result(interval_of(done.forward_as_set)),
        "best_of_chance": round(best_of_chance(len(done.tried)), 4),
        "notes": [*done.notes, *warnings(done)],
    }


def _combination(name: str, tried: Tried, done: Sweep, last: int) -> dict[str, Any]:
    whole = tried.whole
    t = t_value(whole)
    return {
        "settings": name,
        "fills": sum(each.fills for each in whole),
        "train_mean": round(mean_per_block(tried.train(last, done.spans, done.embargo_s)), 6),
        "test_mean": round(mean_per_block(tried.test(last)), 6),
        "all": _result(interval_of(whole)),
        "t": None if t is None else round(t, 4),
    }


def _result(interval: Interval | None) -> dict[str, float | int] | None:
    return None if interval is None else interval_data(interval)


def combination_rows(data: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of combinations."""
    return [
        (
            each["settings"],
            str(each["fills"]),
            f"{each['train_mean']:.3f}",
            f"{each['test_mean']:.3f}",
            range_text(each["all"]),
            "" if each["t"] is None else f"{each['t']:.2f}",
        )
        for each in data["combinations"]
    ]


def fold_rows(data: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of steps forward."""
    return [
        (
            each["chosen"],
            datetime.fromtimestamp(each["judged_from_s"], UTC).strftime("%Y-%m-%d %H:%M"),
            f"{each['train_mean']:.3f}",
            f"{each['test_mean']:.3f}",
            str(each["test_windows"]),
        )
        for each in data["folds"]
    ]


def range_text(interval: dict[str, float] | None) -> str:
    """A sum with its interval, empty without a window."""
    return "" if interval is None else f"{interval['mean']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"
