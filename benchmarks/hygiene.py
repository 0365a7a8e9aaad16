"""What the loop is held up by: the collector, log lines, and calls that take longer than a millisecond.

The engine's turn is timed with the collector as Python sets it, which the daemon leaves as it is, and with what has
lived so far set apart and young objects looked at more rarely. A log line is what the daemon's log does with one
fact: formatted, redacted and written to a file.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Final

import structlog

from benchmarks.engine_desk import EngineDesk
from benchmarks.figures import Report, Row, percentile
from benchmarks.rounds import race
from benchmarks.sign import KEY
from polystra.adapters.clock import SystemClock
from polystra.app.logs import configure_logs, release_logs
from polystra.ports.logbook import LogEvent

SECTION: Final = "8 loop hygiene"


def measure(report: Report, *, quick: bool) -> None:
    """Print what holds the loop."""
    _collector(report, quick=quick)
    _log_line(report, quick=quick)
    try:
        import uvloop
    except ImportError:
        report.tell("  uvloop is not there: the daemon runs on asyncio's loop")
    else:
        report.tell(f"  the daemon runs on uvloop {uvloop.__version__}")


def _collector(report: Report, *, quick: bool) -> None:
    """The same turns under the collector's two settings, in turn."""
    desk = EngineDesk(20 if quick else 200)
    before = gc.get_threshold()
    found: dict[str, list[float]] = {"as Python sets it": [], "frozen after the start, rarer": []}
    for _ in range(3 if quick else 6):
        for name, samples in found.items():
            gc.unfreeze()
            gc.set_threshold(*before)
            if name != "as Python sets it":
                gc.collect()
                gc.freeze()
                gc.set_threshold(10_000, 20, 50)
            samples.extend(_turns(desk, 400))
    gc.unfreeze()
    gc.set_threshold(*before)
    for name, samples in found.items():
        report.add(
            Row(
                section=SECTION,
                what=f"a turn that enters; the collector {name}",
                p50=median(samples),
                p99=percentile(samples, 0.99),
                figure=max(samples) / 1_000,
                of="ms, the longest",
            )
        )


def _turns(desk: EngineDesk, count: int) -> list[float]:
    samples = []
    markets = len(desk.tokens)
    for place in range(count):
        number = place % markets
        if number == 0:
            desk.now_ns += 10**9
        desk.price(number, desk.now_ns)
        began = perf_counter_ns()
        desk.step(desk.offer(number, 100))
        samples.append((perf_counter_ns() - began) / 1_000)
        order = desk.take_order()
        if order is not None:
            desk.kill(order)
        desk.step(desk.offer(number, 0))
    return samples


def _log_line(report: Report, *, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as stream:
        configure_logs(clock=SystemClock(), stream=stream, log_format="json", secrets=[KEY])
        log = structlog.get_logger()

        def line() -> object:
            return log.info(
                LogEvent.DECISION_MADE,
                symbol="BTC",
                action="SKIP",
                reason="edge is 0.012, wanted 0.030",
                market="0x" + "c" * 64,
                fair_value="0.523",
                edge="0.012",
            )

        calls: dict[str, Callable[[], object]] = {"a log line, written": line}
        timings = race(calls, rounds=3 if quick else 5, seconds=0.1)
        release_logs()
    for name, timing in timings.items():
        report.add(Row(section=SECTION, what=name, p50=timing.p50, p99=timing.p99))
