"""Winners with the market's own price about a minute before the close: one JSON object per window.

What lives here: `ts` (opening), `up_mid`, `up_lag` (seconds before the close), `winner` as a window and one quote. What
must not: a book that nobody recorded.

A middle has no size. It is shown as a millionth of a share half a cent to either side, so that it can be read as the
market's price and nothing can be bought of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from polystra.backtest.imports.lines import Faults, ImportReport, lines_of
from polystra.backtest.imports.windows import ImportedWindow, told_window
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.errors import PolystraError
from polystra.domain.events import BookSnapshot
from polystra.domain.units import MICRO, NS_PER_S

_HALF_SPREAD: Final = 5_000
_NO_SIZE: Final = 1


class _Winner(msgspec.Struct):
    ts: int
    up_mid: float
    up_lag: int
    winner: str


_WINNER: Final = msgspec.json.Decoder(_Winner)


def read_mids(
    path: Path, table: Mapping[str, ImportedWindow], report: ImportReport, *, fee_ppm: int
) -> tuple[list[Recorded], list[ImportedWindow]]:
    """Read a file of 5-minute windows of BTC; returns its quotes in the order of time and its windows.

    A window that `table` has is the table's.

    Raises:
        RecordingError: the file cannot be read or is empty.
    """
    faults = Faults(report, path.name)
    windows: dict[int, ImportedWindow] = {}
    found: list[Recorded] = []
    for number, line in lines_of(path, report):
        try:
            row = _WINNER.decode(line)
            window = told_window(table, f"btc-updown-5m-{row.ts}", row.winner, fee_ppm)
            quotes = _quotes(window, row)
        except msgspec.MsgspecError:
            faults.count("not a window with its middle", number)
            continue
        except (PolystraError, ValueError) as error:
            faults.count(str(error), number)
            continue
        if row.ts in windows:
            faults.count("its window is in the file already", number)
            continue
        windows[row.ts] = window
        found += quotes
        report.messages += 1
    report.files += 1
    faults.tell()
    return sorted(found, key=lambda each: each.now_ns), list(windows.values())


def _quotes(window: ImportedWindow, row: _Winner) -> list[Recorded]:
    market = window.market
    if not 0 < row.up_mid < 1:
        raise ValueError(f"a middle of {row.up_mid} cannot be")
    if not 0 <= row.up_lag <= market.window_s:
        raise ValueError(f"a middle of {row.up_lag} s before the close is not in the window")
    now_ns = (market.closes_at_s - row.up_lag) * NS_PER_S
    up = round(row.up_mid * MICRO)
    return [
        Recorded(now_ns, BookSnapshot(token_id=token, bids=bids, asks=asks, at_ns=now_ns))
        for token, (bids, asks) in (
            (market.up_token, _around(up)),
            (market.down_token, _around(MICRO - up)),
        )
    ]


def _around(middle: int) -> tuple[tuple[tuple[int, int]], tuple[tuple[int, int]]]:
    half = min(_HALF_SPREAD, middle - 1, MICRO - middle - 1)
    return ((middle - half, _NO_SIZE),), ((middle + half, _NO_SIZE),)
