"""Memory and start: what the daemon takes, when it looks at its first market, what small commands import.

Memory and the first look are those of the burst's daemon (`benchmarks/burst_daemon.py`), with five hundred markets.
The imports of `polystra status` are timed in fresh processes, with bytecode already made.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter_ns
from typing import Final

from benchmarks.figures import Report, Row, percentile
from benchmarks.scale import burst

SECTION: Final = "7 memory and start"
HEAVY: Final = ("matplotlib", "numpy", "prometheus_client", "aiohttp.web", "alembic", "pandas")


def measure(report: Report, *, quick: bool) -> None:
    """Print memory and times of start."""
    told = burst(quick=quick)
    grown = told["rss_end_mb"] - told["rss_start_mb"]

    def row(what: str, figure: float, of: str, **words: float) -> Row:
        return Row(section=SECTION, what=what, figure=figure, of=of, **words)

    report.add(
        row("resident memory at the first look at a market", told["rss_start_mb"], "MB"),
        row("resident memory after the burst over 500 markets", told["rss_end_mb"], "MB"),
        row("grown by the burst", grown, "MB"),
        row("start of the process to the first market evaluated", told["first_evaluated_s"], "s"),
    )
    empty = _timed("pass", quick=quick)
    status = _timed("import polystra.app.cli", quick=quick)
    report.add(
        Row(section=SECTION, what="python alone", p50=median(empty), p99=percentile(empty, 0.99), unit="ms"),
        Row(
            section=SECTION,
            what="import of the command line (`polystra status`)",
            p50=median(status),
            p99=percentile(status, 0.99),
            unit="ms",
            figure=median(status) - median(empty),
            of="ms more",
        ),
    )
    found = _heavy()
    report.add(row("heavy packages on its path", len(found), "", at_most=0))
    if found:
        report.tell(f"  imported: {', '.join(found)}")


def _timed(code: str, *, quick: bool) -> list[float]:
    samples = []
    for _ in range(5 if quick else 11):
        began = perf_counter_ns()
        subprocess.run([sys.executable, "-c", code], check=True)
        samples.append((perf_counter_ns() - began) / 1e6)
    return samples


def _heavy() -> list[str]:
    code = f"import polystra.app.cli, sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()
