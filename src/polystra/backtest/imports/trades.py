"""Trades of another venue's market of the same kind: `ticker, ts, yes_price, count, taker_side`, windows.csv beside it.

What lives here: such trades as trades of others, for the shape of a window: how the price finds its outcome. What must
not: books. There were none, so nothing can be bought in such a market and no fill can be tested by it.

The windows' table has `ticker, asset, open_ts, close_ts, implied_result`; the result is what the last price implied,
not an official one, and the venue settles on an index of its own, as the note of the import says. A trade is told in
the terms of its taker: a "no" taker bought Down. A trade that is older than the one before it, that repeats its id, or
that lies in no window of the table is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from polystra.backtest.imports.lines import Faults, ImportReport, table_rows
from polystra.backtest.imports.windows import ImportedWindow
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.errors import PolystraError
from polystra.domain.events import PublicTrade
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S, Nanos, parse_micros

WINDOWS: Final = "windows.csv"
_OF_WINDOWS: Final = ("ticker", "asset", "open_ts", "close_ts", "implied_result")
_OF_TRADES: Final = ("ticker", "ts", "trade_id", "yes_price", "count", "taker_side")
_LAST: Final = ResolutionRule(kind=ResolutionKind.LAST, lookback_s=0)
_WINNERS: Final = {"up": Outcome.UP, "down": Outcome.DOWN}
_TICK: Final = 1_000


def read_trade_windows(path: Path, report: ImportReport, *, fee_ppm: int) -> dict[str, ImportedWindow]:
    """Read the table beside a file of trades, by ticker.

    Raises:
        RecordingError: the table cannot be read, is empty, or lacks a column.
    """
    table = path.with_name(WINDOWS)
    faults = Faults(report, table.name)
    found: dict[str, ImportedWindow] = {}
    for number, row in table_rows(table, report, faults, _OF_WINDOWS):
        try:
            window = _window(row, fee_ppm)
        except (KeyError, PolystraError, ValueError):
            faults.count("not a window with its result", number)
            continue
        if row["ticker"] in found:
            faults.count("the window is in the table already", number)
            continue
        found[row["ticker"]] = window
    symbol = _symbol(path, found)
    found = {ticker: window for ticker, window in found.items() if symbol in (None, window.market.symbol)}
    report.messages += len(found)
    report.files += 1
    faults.tell()
    report.notes.append(
        f"{table.name}: its results are what the last prices implied, and {path.name} is another venue's, which "
        "settles on an index of its own: use it for the shape of a window, not for results"
    )
    return found


def _symbol(path: Path, windows: Mapping[str, ImportedWindow]) -> str | None:
    """The coin of a file's first trade: a table may tell the windows of several coins, a file trades one."""
    passing = ImportReport()
    rows = table_rows(path, passing, Faults(passing, path.name), _OF_TRADES)
    first = next((windows[row["ticker"]] for _, row in rows if row["ticker"] in windows), None)
    return None if first is None else first.market.symbol


class Trades:
    """Reads one file of trades; iterate once."""

    def __init__(self, path: Path, windows: Mapping[str, ImportedWindow], report: ImportReport) -> None:
        self._path = path
        self._windows = windows
        self._report = report

    def __iter__(self) -> Iterator[Recorded]:
        """Yield the trades in the order of time.

        Raises:
            RecordingError: the file cannot be read, is empty, or lacks a column.
        """
        faults = Faults(self._report, self._path.name)
        last_ns: Nanos = 0
        seen: set[str] = set()
        for number, row in table_rows(self._path, self._report, faults, _OF_TRADES):
            try:
                trade = _trade(row, self._windows)
            except (KeyError, PolystraError, ValueError):
                faults.count("not a trade in a window of the table", number)
                continue
            if trade.at_ns < last_ns:
                faults.count("it is older than the trade before it", number)
                continue
            if row["trade_id"] in seen:
                faults.count("its trade is in the file already", number)
                continue
            if trade.at_ns != last_ns:
                seen.clear()  # trades come in the order of time: the same one twice has the same time
            seen.add(row["trade_id"])
            last_ns = trade.at_ns
            self._report.messages += 1
            yield Recorded(trade.at_ns, trade)
        self._report.files += 1
        faults.tell()


def _window(row: Mapping[str, str], fee_ppm: int) -> ImportedWindow:
    ticker = row["ticker"]
    opens_at_s, closes_at_s = int(row["open_ts"]), int(row["close_ts"])
    if not ticker or closes_at_s <= opens_at_s:
        raise ValueError("a window has a name and ends after it began")
    market = Market(
        condition_id=ConditionId(f"condition:{ticker}"),
        slug=ticker.lower(),
        symbol=row["asset"].upper(),
        window_s=closes_at_s - opens_at_s,
        opens_at_s=opens_at_s,
        closes_at_s=closes_at_s,
        up_token=TokenId(f"up:{ticker}"),
        down_token=TokenId(f"down:{ticker}"),
        tick_size=_TICK,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(rate_ppm=fee_ppm),
        rule=_LAST,
    )
    winner = _WINNERS[row["implied_result"].strip().lower()]
    return ImportedWindow(market=market, winner=winner, open_price=None, close_price=None)


def _trade(row: Mapping[str, str], windows: Mapping[str, ImportedWindow]) -> PublicTrade:
    market = windows[row["ticker"]].market
    at_ns = parse_micros(row["ts"], field="ts") * 1_000
    price, size = parse_micros(row["yes_price"], field="yes_price"), parse_micros(row["count"], field="count")
    if not 0 < price < MICRO or size <= 0 or not market.opens_at_s <= at_ns / NS_PER_S <= market.closes_at_s:
        raise ValueError("no such trade can be")
    yes = {"yes": True, "no": False}[row["taker_side"]]
    return PublicTrade(
        token_id=market.up_token if yes else market.down_token,
        side=Side.BUY,
        price=price if yes else MICRO - price,
        size=size,
        at_ns=at_ns,
    )
