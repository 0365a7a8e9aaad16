"""Running a plan for its verdict, cutting a failure down, keeping it as a regression file.

What lives here: what the command and the tests share. What must not: the command line (`__main__`).
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tests.simulation.search_plan import Plan, plan_of
from tests.simulation.search_world import Verdict, judge

REGRESSIONS = Path(__file__).with_name("regressions")
_FEWEST_MINUTES = 7
REAL_LIMIT_S = 7_200
"""A run that takes longer goes round in circles without letting time pass."""


def run_plan(plan: Plan) -> Verdict:
    """Run a plan in a folder of its own, in the main thread of a process.

    Raises:
        RuntimeError: it did not come back in real time.
    """

    def rang(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise RuntimeError(f"the run has taken {REAL_LIMIT_S} real seconds: it does not let time pass")

    before = signal.signal(signal.SIGALRM, rang)
    signal.alarm(REAL_LIMIT_S)
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            verdict = judge(plan, Path(folder))
            return replace(verdict, cpu_s=time.process_time() - began)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def cut_down(plan: Plan, broken: Sequence[str], *, most_runs: int = 80) -> Plan:
    """The plan with everything taken out without which one of the same invariants still breaks."""
    labels = labels_of(broken)
    shrinking = True
    while shrinking:
        shrinking = False
        for smaller in _smaller(plan):
            most_runs -= 1
            if most_runs < 0:
                return plan
            if labels & labels_of(run_plan(smaller).broken):
                plan, shrinking = smaller, True
                break
    return plan


def labels_of(broken: Sequence[str]) -> set[str]:
    """The invariants that sentences begin with, or what else they begin with."""
    return {words.split(" ", 1)[0] for words in broken}


def _smaller(plan: Plan) -> Iterator[Plan]:
    """A shorter run, then halves of what goes wrong, then one by one."""
    for minutes in (plan.minutes // 4, plan.minutes // 2):
        if minutes >= _FEWEST_MINUTES:
            yield replace(plan, minutes=minutes)
    for name in ("faults", "crashes", "modes", "store", "network", "kills"):
        entries = getattr(plan, name)
        if len(entries) > 2:
            yield replace(plan, **{name: entries[: len(entries) // 2]})
            yield replace(plan, **{name: entries[len(entries) // 2 :]})
        for number in range(len(entries)):
            yield replace(plan, **{name: entries[:number] + entries[number + 1 :]})
    for name in plan.rules:
        yield replace(plan, rules={key: value for key, value in plan.rules.items() if key != name})
    plain = Plan(seed=plan.seed, minutes=plan.minutes)
    for name in ("shuffled", "operator_s", "latency_ms"):
        if getattr(plan, name) != getattr(plain, name):
            yield replace(plan, **{name: getattr(plain, name)})


def keep(plan: Plan, broken: tuple[str, ...]) -> Path:
    """Write a plan as a regression file."""
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"seed-{plan.seed}.json"
    path.write_text(json.dumps({"broke": list(broken), "plan": plan.as_data()}, indent=1, sort_keys=True) + "\n")
    return path


def kept(path: Path) -> Plan:
    """The plan of a regression file."""
    return plan_of(json.loads(path.read_text())["plan"])
