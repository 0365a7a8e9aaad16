"""What an event costs when there are many markets and positions that it does not concern, and a burst of data.

The first two are the engine alone: a change far from the top of one market's books. The burst is a whole daemon
(`benchmarks/burst_daemon.py`) in a process of its own: its memory and its start are told by `memory`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.engine_desk import EngineDesk
from benchmarks.figures import Report, Row, ratio
from benchmarks.rounds import race
from polystra.domain.orders import Side

SECTION: Final = "5 scale"
_PER_CALL: Final = 50
_burst: dict[str, Any] = {}


def measure(report: Report, *, quick: bool) -> None:
    """Print the costs and the burst."""
    sizes = (1, 10, 100) if quick else (1, 10, 100, 500)
    held = (1, 100) if quick else (1, 100, 1_000)
    desks = {size: EngineDesk(size) for size in {*sizes, *held}}
    _race(report, {f"{size} markets": desks[size] for size in sizes}, quick=quick)
    for size in held:
        hold(desks[size], size)
    _race(report, {f"{size} open positions": desks[size] for size in held}, quick=quick)
    _tell_burst(report, burst(quick=quick))


def hold(desk: EngineDesk, count: int) -> None:
    """Open a position in each of so many markets."""
    for number in range(count):
        desk.price(number, desk.now_ns)
        desk.step(desk.offer(number, 100))
        order = desk.take_order()
        assert order is not None, "the engine did not enter"
        desk.fill(order)
        desk.step(desk.offer(number, 0))
    assert len(list(desk.engine.state.positions.held())) == count


def _race(report: Report, desks: Mapping[str, EngineDesk], *, quick: bool) -> None:
    timings = race(
        {name: _changes(desk) for name, desk in desks.items()}, rounds=5 if quick else 9, seconds=0.1 if quick else 0.2
    )
    first = next(iter(timings.values()))
    for name, timing in timings.items():
        judged: dict[str, Any] = {}
        if timing is not first:
            judged = {"figure": ratio(timing.p50s, first.p50s), "of": "x the smallest", "at_most": 1.2}
        report.add(
            Row(
                section=SECTION,
                what=f"one change in one market, {name}",
                p50=timing.p50 / _PER_CALL,
                p99=timing.p99 / _PER_CALL,
                **judged,
            )
        )


def _changes(desk: EngineDesk) -> Callable[[], object]:
    events = [desk.change(0, Side.BUY, 30, size, (50, 97)) for size in range(1, _PER_CALL + 1)]

    def call() -> None:
        for event in events:
            desk.step(event)

    return call


def burst(*, quick: bool) -> dict[str, Any]:
    """Run the burst once in this run; returns what the daemon measured of itself."""
    if not _burst:
        seconds = "3" if quick else "10"
        folder = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-m", "benchmarks.burst_daemon", seconds]
        began = {**os.environ, "BENCH_BEGAN_NS": str(perf_counter_ns())}
        done = subprocess.run(command, cwd=folder, env=began, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"the burst's daemon failed: {done.stderr[-2_000:]}")
        _burst.update(json.loads(done.stdout.splitlines()[-1]))
    return _burst


def _tell_burst(report: Report, told: Mapping[str, Any]) -> None:
    rate = told["sent"] / told["seconds"]
    report.tell(
        f"  burst: {told['sent']:,} changes in {told['seconds']:.1f} s ({rate:,.0f} a second) over {told['markets']} "
        f"markets, {told['conflated']:,} joined one that waited; most that waited {told['longest']:,}"
    )

    def row(what: str, **words: Any) -> Row:
        return Row(section=SECTION, what=what, **words)

    report.add(
        row("burst: order and fill events lost", figure=told["fills_lost"], of="", at_most=0),
        row("burst: market data dropped", figure=told["dropped"], of="", at_most=0),
        row("burst: books that differ from the last told", figure=told["books_wrong"], of="", at_most=0),
        row(
            "burst: input to engine, the lag",
            p50=told["lag_p50_ms"],
            p99=told["lag_p99_ms"],
            unit="ms",
        ),
        row("burst: lag is gone after its end", figure=told["recovered_ms"], of="ms", at_most=1_000),
        row(
            f"burst: a stop's fall to its order at the venue ({told['stops']})",
            p50=told["stop_p50_ms"],
            p99=told["stop_p99_ms"],
            unit="ms",
            figure=told["stops_missed"],
            of="not fired",
            at_most=0,
        ),
        row("burst: longest time that the loop was held", figure=told["held_ms"], of="ms"),
    )
