"""Search for a bad day that breaks an invariant: `python -m tests.simulation --seeds 100 --minutes 20`.

What lives here: the command, its processes, its figures. A failure is cut to the fewest faults and deaths
that still break something and written to tests/simulation/regressions as a file that a test then keeps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import typer

from tests.simulation.search_plan import PROFILES, Plan, draw
from tests.simulation.search_run import cut_down, keep, run_plan
from tests.simulation.search_world import Verdict


def main() -> int:
    """Run the seeds; exit code 1 when one broke something."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--faults", choices=PROFILES, default="full")
    parser.add_argument("--jobs", type=int, default=max(1, multiprocessing.cpu_count()))
    parser.add_argument("--shrink", action="store_true", help="cut failures down and keep them as regression files")
    told = parser.parse_args()
    plans = [
        draw(seed, minutes=told.minutes, profile=told.faults) for seed in range(told.first, told.first + told.seeds)
    ]
    began = time.perf_counter()
    verdicts = list(_told(_run_all(plans, told.jobs)))
    took = time.perf_counter() - began
    failures = [verdict for verdict in verdicts if verdict.broken]
    typer.echo(f"{told.seeds} seeds x {told.minutes} minutes ({told.faults}): {len(failures)} broke something")
    for line in figures(verdicts, took, told.jobs):
        typer.echo(line)
    for verdict in failures if told.shrink else ():
        path = keep(cut_down(verdict.plan), verdict.broken)
        typer.echo(f"seed {verdict.plan.seed} is kept in {path.name}")
    return 1 if failures else 0


def figures(verdicts: Sequence[Verdict], took_s: float, jobs: int) -> Iterator[str]:
    """What was done, in numbers."""
    faults: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    for verdict in verdicts:
        faults.update(verdict.faults)
        deaths.update(verdict.deaths)
    orders, fills = sum(each.orders for each in verdicts), sum(each.fills for each in verdicts)
    restarts, in_flight = sum(each.restarts for each in verdicts), sum(each.in_flight for each in verdicts)
    simulated = sum(each.simulated_s for each in verdicts)
    yield f"{orders} orders, {fills} fills, {restarts} restarts, {faults.total()} faults"
    yield f"{deaths.total()} deaths with {in_flight} orders unanswered: {_listed(deaths)}"
    yield f"faults: {_listed(faults)}"
    yield f"{simulated} simulated seconds in {took_s:.0f} s on {jobs} processes: {simulated / took_s:.0f} a second"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _run_all(plans: Sequence[Plan], jobs: int) -> Iterator[Verdict]:
    if jobs == 1:
        yield from map(run_plan, plans)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(run_plan, plans)


def _told(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Say at once what broke."""
    for verdict in verdicts:
        if verdict.broken:
            typer.echo(f"seed {verdict.plan.seed}: {'; '.join(verdict.broken[:4])}")
        yield verdict


if __name__ == "__main__":
    sys.exit(main())
