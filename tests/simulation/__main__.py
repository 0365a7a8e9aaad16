"""Search for a bad day that breaks an invariant: `python -m tests.simulation --seeds 100 --minutes 20`.

What lives here: the command, its processes, its figures. A failure is cut to the fewest faults and deaths
that still break the same invariant and written to tests/simulation/regressions as a file that a test then
keeps. A long search is run in stretches by `--first`; each run adds a line of figures per seed to `--record`,
and `--add-up` of such a file prints the figures of all stretches.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from tests.simulation.search_plan import PROFILES, Plan, draw
from tests.simulation.search_run import cut_down, keep, run_plan
from tests.simulation.search_world import Verdict

_NUMBERS = ("orders", "fills", "restarts", "in_flight", "simulated_s", "cpu_s", "wall_s")
_TOLD_EVERY = 25


def main() -> int:
    """Run the seeds; exit code 1 when one broke something."""
    told = _arguments()
    if told.add_up is not None:
        return _added_up([json.loads(line) for line in told.add_up.read_text().splitlines()])
    seeds = range(told.first, told.first + told.seeds)
    plans = [
        _paced(draw(seed, minutes=told.minutes, profile=told.faults, markets=told.markets), told) for seed in seeds
    ]
    lines = []
    failures = []
    last = time.perf_counter()
    for verdict in _run_all(plans, told.jobs):
        now = time.perf_counter()
        line = _line(verdict, now - last, told)
        last = now
        lines.append(line)
        if told.record is not None:
            with told.record.open("a") as file:
                file.write(json.dumps(line, sort_keys=True) + "\n")
        if verdict.broken:
            failures.append(verdict)
            _say(f"seed {verdict.plan.seed}: {'; '.join(verdict.broken[:4])}")
        if len(lines) % _TOLD_EVERY == 0:
            _say(f"{len(lines)} of {told.seeds} seeds, {len(failures)} broke something")
    code = _added_up(lines)
    for verdict in failures if told.shrink else ():
        path = keep(cut_down(verdict.plan, verdict.broken), verdict.broken)
        _say(f"seed {verdict.plan.seed} is kept in {path.name}")
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--faults", choices=PROFILES, default="full")
    parser.add_argument("--markets", type=int, choices=(0, 2, 4), default=0, help="at once; 0: as drawn")
    parser.add_argument("--pace", type=int, help="other traders act at most so often, per cent; default: as drawn")
    parser.add_argument("--jobs", type=int, default=max(1, multiprocessing.cpu_count()))
    parser.add_argument("--shrink", action="store_true", help="cut failures down and keep them as regression files")
    parser.add_argument("--record", type=Path, help="add a line of figures per seed to this file")
    parser.add_argument("--add-up", type=Path, help="only print the figures of such a file")
    return parser.parse_args()


def _paced(plan: Plan, told: argparse.Namespace) -> Plan:
    """A plan whose other traders are at most as busy as was asked for: quiet markets cost less."""
    return plan if told.pace is None else replace(plan, pace_percent=min(plan.pace_percent, told.pace))


def _line(verdict: Verdict, wall_s: float, told: argparse.Namespace) -> dict[str, Any]:
    """One seed in figures. `wall_s` is since the seed before it, so that all of them add up to the run."""
    return {
        "seed": verdict.plan.seed,
        "minutes": told.minutes,
        "profile": told.faults,
        "markets": len(verdict.plan.symbols) * len(verdict.plan.windows),
        "pace": verdict.plan.pace_percent,
        "broken": list(verdict.broken),
        "orders": verdict.orders,
        "fills": verdict.fills,
        "restarts": verdict.restarts,
        "in_flight": verdict.in_flight,
        "simulated_s": verdict.simulated_s,
        "cpu_s": round(verdict.cpu_s, 2),
        "wall_s": round(wall_s, 2),
        "faults": verdict.faults,
        "deaths": verdict.deaths,
    }


def _added_up(lines: Sequence[Mapping[str, Any]]) -> int:
    """Print the figures of seeds; 1 when one of them broke something."""
    broken = [line for line in lines if line["broken"]]
    kinds = Counter(f"{line['minutes']} minutes ({line['profile']}, {line['markets']} markets)" for line in lines)
    _say(f"{len(lines)} seeds, {len(broken)} broke something; {_listed(kinds)}")
    for words in figures(lines):
        _say(words)
    for line in broken:
        _say(f"seed {line['seed']} broke: {'; '.join(line['broken'][:2])}")
    return 1 if broken else 0


def figures(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was done, in numbers."""
    faults: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for line in lines:
        faults.update(line["faults"])
        deaths.update(line["deaths"])
        sums.update({name: line[name] for name in _NUMBERS})
    yield f"{sums['orders']} orders, {sums['fills']} fills, {sums['restarts']} restarts, {faults.total()} faults"
    yield f"{deaths.total()} deaths with {sums['in_flight']} orders unanswered: {_listed(deaths)}"
    yield f"faults: {_listed(faults)}"
    simulated, cpu = sums["simulated_s"], max(0.01, sums["cpu_s"])
    yield (
        f"{simulated} simulated seconds in {sums['wall_s']:.0f} s and {cpu:.0f} s of processor time: "
        f"{simulated / cpu:.0f} per second of a core"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _run_all(plans: Sequence[Plan], jobs: int) -> Iterable[Verdict]:
    if jobs == 1:
        yield from map(run_plan, plans)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(run_plan, plans)


def _say(words: str) -> None:
    typer.echo(words)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
