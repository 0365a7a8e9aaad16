"""A recorded settlement feed: `[symbol,]feed_ts_ms,value[,full_accuracy_value,server_ts_ms,recv_ms]`, .csv or .csv.gz.

What lives here: rows as prices with the time at which the recorder had them. What must not: outcomes (`windows`).

A row is taken when it was received; where nobody noted that, when the venue's server had it, else a second after
the feed's own time, which is what the feed usually needs. Rows come in that order whatever their order in the file.
A second row for one second of the feed is a correction and is given too, as a live stream would.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from polystra.backtest.imports.lines import Faults, ImportReport, table_rows
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.units import E8, NS_PER_MS

_USUAL_LAG_MS: Final = 1_000
_NEEDED: Final = ("feed_ts_ms", "value")


def read_feed(path: Path, report: ImportReport, *, symbol: str = "BTC") -> list[Recorded]:
    """Read a feed; `symbol` names the coin where the file has no such column.

    Raises:
        RecordingError: the file cannot be read, is empty, or lacks a column.
    """
    faults = Faults(report, path.name)
    ticks: list[Recorded] = []
    for number, row in table_rows(path, report, faults, _NEEDED):
        try:
            ticks.append(_tick(row, symbol))
        except (ValueError, InvalidOperation):
            faults.count("not a row of a settlement feed", number)
            continue
        report.messages += 1
    report.files += 1
    faults.tell()
    return sorted(ticks, key=lambda tick: tick.now_ns)


def _tick(row: Mapping[str, str], symbol: str) -> Recorded:
    at_ms = int(row["feed_ts_ms"])
    price = int((Decimal(row["value"]) * E8).to_integral_value(ROUND_HALF_EVEN))
    if price <= 0:
        raise ValueError("a price is above zero")
    had_ms = int(row.get("recv_ms") or row.get("server_ts_ms") or at_ms + _USUAL_LAG_MS)
    event = PriceTicked(
        symbol=row.get("symbol", symbol).upper(),
        source=PriceSource.SETTLEMENT,
        price=price,
        at_ns=at_ms * NS_PER_MS,
    )
    return Recorded(max(had_ms, at_ms) * NS_PER_MS, event)
