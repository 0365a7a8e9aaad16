"""What a benchmark says: rows of a table, each with its figure, its target and whether that holds.

What lives here: the row, percentiles, printing, the JSON file for trends. What must not: measuring.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    `p50` and `p99` are in `unit`. `figure` is what the target is about: by default a ratio to another line of the
    same run. `at_most` or `at_least` is the target; without one the line is there to be read.
    """

    section: str
    what: str
    p50: float | None = None
    p99: float | None = None
    unit: str = "us"
    figure: float | None = None
    of: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the target holds, None without one (or without a figure to judge)."""
        if self.figure is None or (self.at_most is None and self.at_least is None):
            return None
        return (self.at_most is None or self.figure <= self.at_most) and (
            self.at_least is None or self.figure >= self.at_least
        )


@dataclass(slots=True)
class Report:
    """The rows of a run, printed as they come."""

    rows: list[Row] = field(default_factory=list)
    section: str = ""

    def add(self, *rows: Row) -> None:
        """Take rows and print them."""
        for row in rows:
            if row.section != self.section:
                self.section = row.section
                say(f"\n{row.section}\n{_HEAD}")
            self.rows.append(row)
            say(_line(row))

    def tell(self, text: str) -> None:
        """Print something that is no row."""
        say(text)

    def summary(self) -> str:
        """Return how many targets hold and which do not."""
        judged = [row for row in self.rows if row.holds is not None]
        missed = [row for row in judged if not row.holds]
        words = f"{len(judged) - len(missed)} of {len(judged)} targets hold"
        return words + "".join(
            f"\n  missed: {row.section}: {row.what}, {row.of} {_number(row.figure)}" for row in missed
        )

    def write(self, path: Path, *, seconds: float) -> None:
        """Write the run for trends."""
        rows = [{**asdict(row), "holds": row.holds} for row in self.rows]
        head = {"python": platform.python_version(), "machine": platform.processor() or platform.machine()}
        path.write_text(json.dumps({**head, "seconds": round(seconds, 1), "rows": rows}, indent=1) + "\n")


_HEAD = f"  {'':<58}{'p50':>10}{'p99':>10} {'':<7}{'figure':>9}  target"


def _line(row: Row) -> str:
    target = ""
    if row.at_most is not None:
        target = f"<= {_number(row.at_most)} {row.of}"
    elif row.at_least is not None:
        target = f">= {_number(row.at_least)} {row.of}"
    elif row.of:
        target = row.of
    holds = {True: "  yes", False: "  NO", None: ""}[row.holds]
    text = f"  {row.what:<58}{_number(row.p50):>10}{_number(row.p99):>10} {row.unit if row.p50 is not None else '':<7}"
    text += f"{_number(row.figure):>9}  {target}{holds}"
    return text.rstrip() + (f"   ({row.note})" if row.note else "")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def percentile(samples: Iterable[float], share: float) -> float:
    """Return the smallest sample that so large a share of them does not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median over the rounds of ours divided by theirs in the same round."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))
