"""Running a plan for its verdict, cutting a failure down, keeping it as a regression file.

What lives here: what the command and the tests share. What must not: the command line (`__main__`).
"""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tests.simulation.search_plan import Plan, plan_of
from tests.simulation.search_world import Verdict, judge

REGRESSIONS = Path(__file__).with_name("regressions")
REAL_LIMIT_S = 900
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
            return judge(plan, Path(folder))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
    """Halves first, then one by one."""
    for name in ("faults", "crashes", "modes", "store", "network", "kills"):
        entries = getattr(plan, name)
        if len(entries) > 2:
            yield replace(plan, **{name: entries[: len(entries) // 2]})
            yield replace(plan, **{name: entries[len(entries) // 2 :]})
        for number in range(len(entries)):
            yield replace(plan, **{name: entries[:number] + entries[number + 1 :]})
    for name in plan.rules:
        yield replace(plan, rules={key: value for key, value in plan.rules.items() if key != name})
    if plan.shuffled:
        yield replace(plan, shuffled=False)


def keep(plan: Plan, broken: tuple[str, ...]) -> Path:
    """Write a plan as a regression file."""
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"seed-{plan.seed}.json"
    path.write_text(json.dumps({"broke": list(broken), "plan": plan.as_data()}, indent=1, sort_keys=True) + "\n")
    return path


def kept(path: Path) -> Plan:
    """The plan of a regression file."""
    return plan_of(json.loads(path.read_text())["plan"])
