"""Search for a bad day that breaks an invariant: `python -m tests.simulation --seeds 100 --minutes 20`.

What lives here: the command, its processes, the cutting down of a failure. A failure is cut to the fewest
faults and deaths that still break something and written to tests/simulation/regressions as a file that a
test then keeps.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import typer

from tests.simulation.search_plan import PROFILES, Plan, draw
from tests.simulation.search_world import Verdict, judge

REGRESSIONS = Path(__file__).with_name("regressions")


def run_plan(plan: Plan) -> Verdict:
    """Run a plan in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return judge(plan, Path(folder))


def cut_down(plan: Plan) -> Plan:
    """The plan with everything taken out without which it still breaks something."""
    shrinking = True
    while shrinking:
        shrinking = False
        for smaller in _smaller(plan):
            if run_plan(smaller).broken:
                plan, shrinking = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for name in ("crashes", "modes", "faults"):
        entries = getattr(plan, name)
        for number in range(len(entries)):
            yield replace(plan, **{name: entries[:number] + entries[number + 1 :]})
    for name in plan.rules:
        yield replace(plan, rules={key: value for key, value in plan.rules.items() if key != name})


def keep(plan: Plan, broken: tuple[str, ...]) -> Path:
    """Write a plan as a regression file."""
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"seed-{plan.seed}.json"
    path.write_text(json.dumps({"broke": list(broken), "plan": plan.as_data()}, indent=1, sort_keys=True) + "\n")
    return path


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
    failures: list[Verdict] = []
    totals: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(told.jobs, maxtasksperchild=20) as pool:
        for verdict in pool.imap_unordered(run_plan, plans):
            totals.update(
                orders=verdict.orders,
                fills=verdict.fills,
                faults=sum(verdict.faults.values()),
                restarts=verdict.restarts,
                simulated_seconds=verdict.simulated_s,
            )
            if verdict.broken:
                failures.append(verdict)
                typer.echo(f"seed {verdict.plan.seed}: {'; '.join(verdict.broken[:4])}")
    took = time.perf_counter() - began
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in totals.items())
    typer.echo(
        f"{told.seeds} seeds x {told.minutes} minutes ({told.faults}): {len(failures)} broke something; {counts}"
    )
    typer.echo(
        f"{took:.0f} s on {told.jobs} processes: {totals['simulated_seconds'] / took:.0f} simulated seconds a second"
    )
    for verdict in failures if told.shrink else ():
        path = keep(cut_down(verdict.plan), verdict.broken)
        typer.echo(f"seed {verdict.plan.seed} is kept in {path.name}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
