"""One-second top of book: a table of `slug, ts, book_age_s` and the best bid and ask of both outcomes with their sizes.

What lives here: rows as books of one level a side. What must not: which windows there were (`windows`).

A row is the latest book at a whole second, so it is taken at that second, stamped as old as the table says. Only the
best level is shown: its size is known, and what stood behind it is known as one sum and left out. An empty cell is a
side without offers. Rows come in the order of time whatever their order in the file; a second row for one window and
second is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from polystra.backtest.imports.lines import Faults, ImportReport, table_rows
from polystra.backtest.imports.windows import ImportedWindow
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.book import Level
from polystra.domain.errors import PolystraError
from polystra.domain.events import BookSnapshot
from polystra.domain.ids import TokenId
from polystra.domain.units import MICRO, NS_PER_S, parse_micros

_SIDES: Final = ("bid", "ask")
_NEEDED: Final = (
    "slug",
    "ts",
    "book_age_s",
    *(f"{o}_{s}{n}" for o in ("up", "down") for s in _SIDES for n in ("", "_size")),
)


def read_top_of_book(
    path: Path, windows: Mapping[str, ImportedWindow], report: ImportReport
) -> tuple[list[Recorded], Collection[str]]:
    """Read a table; returns the books in the order of time and the slugs that they are of.

    Raises:
        RecordingError: the file cannot be read, is empty, or lacks a column.
    """
    faults = Faults(report, path.name)
    found: list[Recorded] = []
    seen: set[tuple[str, int]] = set()
    for number, row in table_rows(path, report, faults, _NEEDED):
        try:
            second = int(row["ts"])
            window = windows.get(row["slug"])
            if window is None:
                faults.count("no row of the outcome table is about its window", number)
                continue
            books = [
                _book(row, "up", window.market.up_token, second),
                _book(row, "down", window.market.down_token, second),
            ]
        except (PolystraError, ValueError):
            faults.count("not a top of book", number)
            continue
        if (row["slug"], second) in seen:
            faults.count("its window and second are in the table already", number)
            continue
        seen.add((row["slug"], second))
        report.messages += 1
        found += [Recorded(second * NS_PER_S, book) for book in books]
    report.files += 1
    faults.tell()
    return sorted(found, key=lambda each: each.now_ns), {slug for slug, _ in seen}


def _book(row: Mapping[str, str], outcome: str, token: TokenId, second: int) -> BookSnapshot:
    age_ns = parse_micros(row["book_age_s"], field="book_age_s") * 1_000
    if age_ns < 0:
        raise ValueError("a book is not younger than now")
    bids, asks = _level(row, f"{outcome}_bid"), _level(row, f"{outcome}_ask")
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise ValueError("the book is crossed")
    return BookSnapshot(token_id=token, bids=bids, asks=asks, at_ns=second * NS_PER_S - age_ns)


def _level(row: Mapping[str, str], name: str) -> tuple[Level, ...]:
    if not row[name]:
        return ()
    price, size = parse_micros(row[name], field=name), parse_micros(row[f"{name}_size"], field=f"{name}_size")
    if not 0 < price < MICRO or size <= 0:
        raise ValueError(f"{name} of {size} at {price} cannot be")
    return ((price, size),)
