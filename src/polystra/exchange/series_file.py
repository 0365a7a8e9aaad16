"""Reads a recorded price file (`--prices`): .csv or .csv.gz, recognised by its header.

What lives here: the four known layouts, exact parsing of prices and instants, and one clear
sentence (ConfigError) for every way in which a file can be wrong. What must not: playing the
series (`series`), simulated prices (`prices`).

Layouts:
1. `symbol,feed_ts_ms,value` - settlement feed ticks of several coins.
2. `feed_ts_ms,value[,full_accuracy_value,server_ts_ms,recv_ms]` - ticks of one coin; of two rows
   for one second the one received later is a correction and wins.
3. `timestamp,open,high,low,close[,volume]` - bars of one coin, interpolated to one price a second.
4. `time,price` - one coin; epoch seconds, milliseconds, microseconds or ISO 8601 (UTC where no
   offset is written). Rows that are usually 2 s or more apart are treated as bars between them.

The coin comes from the symbol column, else from the file name, else it is BTC. Prices are
rounded half to even to 10^-8 dollars; binary floats are never involved.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from polystra.domain.errors import ConfigError
from polystra.domain.units import E8, PriceE8
from polystra.exchange.assets import symbol_in
from polystra.exchange.series import Bar, BarSeries, PriceSeries, SeriesSummary, SymbolSeries, TickSeries

_TIME_COLUMNS: Final = ("feed_ts_ms", "time", "timestamp", "ts", "date", "datetime")
_PRICE_COLUMNS: Final = ("value", "price", "close")
_BAR_COLUMNS: Final = ("open", "high", "low", "close")
_MAX_BAR_S: Final = 3_600
_MAX_PRICE: Final = Decimal(10) ** 9
_EXPECTED: Final = (
    "expected a header with symbol,feed_ts_ms,value or feed_ts_ms,value or "
    "timestamp,open,high,low,close,volume or time,price"
)


@dataclass(slots=True)
class _Rows:
    """The rows of one coin while reading: (second, received, line, prices)."""

    rows: list[tuple[int, int, int, tuple[PriceE8, ...]]] = field(default_factory=list)


@dataclass(slots=True)
class _Tidy:
    seconds: list[int]
    prices: list[tuple[PriceE8, ...]]
    corrections: int
    reordered: int


def load_series(path: Path | str, *, seed: int = 0) -> PriceSeries:
    """Read a price file; `seed` decides the interpolation inside bars.

    Raises:
        ConfigError: the file is missing, unreadable, empty or malformed (names file and line).
    """
    path = Path(path)
    columns, by_symbol = _read_rows(path)
    is_bars = set(_BAR_COLUMNS) <= set(columns)
    tidy = {symbol: _tidy(rows) for symbol, rows in by_symbol.items()}
    series: dict[str, SymbolSeries] = {}
    gaps = longest = 0
    interpolated = is_bars
    for symbol, data in tidy.items():
        step = _step(data.seconds) if is_bars or "feed_ts_ms" not in columns else 1
        if is_bars:
            series[symbol] = _bars(path, symbol, data, step, seed)
        elif step > 1:
            interpolated = True
            series[symbol] = _bars_between(symbol, data, step, seed)
        else:
            series[symbol] = TickSeries(data.seconds, [price for (price,) in data.prices])
        holes = [b - a for a, b in pairwise(data.seconds) if b - a > step]
        gaps += len(holes)
        longest = max([longest, *holes])
    summary = SeriesSummary(
        file=path.name,
        kind="bars" if is_bars else "ticks",
        rows=sum(len(rows.rows) for rows in by_symbol.values()),
        symbols=tuple(series),
        first_s=min(data.seconds[0] for data in tidy.values()),
        last_s=max(data.seconds[-1] for data in tidy.values()),
        gaps=gaps,
        longest_gap_s=longest,
        corrections=sum(data.corrections for data in tidy.values()),
        reordered=sum(data.reordered for data in tidy.values()),
        interpolated=interpolated,
    )
    return PriceSeries(by_symbol=series, summary=summary)


def _read_rows(path: Path) -> tuple[list[str], dict[str, _Rows]]:
    text = _text(path)
    reader = csv.reader(io.StringIO(text))
    try:
        header = next(reader, None)
        if header is None:
            raise ConfigError(f"--prices {path}: the file is empty; {_EXPECTED}")
        columns = [name.strip().lower() for name in header]
        parse = _row_parser(path, columns)
        default_symbol = symbol_in(path.name) or "BTC"
        by_symbol: dict[str, _Rows] = {}
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise _bad_line(
                    path, reader.line_num, f"has {len(row)} fields, expected {len(columns)} as in the header"
                )
            symbol, second, received, prices = parse(reader.line_num, row)
            rows = by_symbol.setdefault(symbol or default_symbol, _Rows())
            rows.rows.append((second, received, reader.line_num, prices))
    except csv.Error as error:
        raise ConfigError(f"--prices {path}: line {reader.line_num} is not CSV ({error}); {_EXPECTED}") from error
    if not by_symbol:
        raise ConfigError(f"--prices {path}: the file has a header but no rows; add at least one price")
    return columns, by_symbol


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"--prices {path}: no such file; give the path of a .csv or .csv.gz file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--prices {path}: not a text file (byte {error.start} is not UTF-8); {_EXPECTED}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError(
            f"--prices {path}: the gzip data is damaged or cut off; fetch or pack the file again"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"--prices {path}: cannot be read ({error.strerror}); give a readable .csv or .csv.gz"
        ) from error
    if not text.strip():
        raise ConfigError(f"--prices {path}: the file is empty; {_EXPECTED}")
    if "\0" in text:
        raise ConfigError(f"--prices {path}: not a text file (it holds zero bytes); {_EXPECTED}")
    return text


_Parsed = tuple[str | None, int, int, tuple[PriceE8, ...]]


def _row_parser(path: Path, columns: Sequence[str]) -> Callable[[int, Sequence[str]], _Parsed]:
    is_bars = set(_BAR_COLUMNS) <= set(columns)
    time_column = next((name for name in _TIME_COLUMNS if name in columns), None)
    price_columns = _BAR_COLUMNS if is_bars else tuple(name for name in _PRICE_COLUMNS if name in columns)[:1]
    if time_column is None or not price_columns:
        shown = ",".join(columns)[:80]
        raise ConfigError(f"--prices {path}: line 1 is {shown!r}; {_EXPECTED}")
    time_at = columns.index(time_column)
    prices_at = [(name, columns.index(name)) for name in price_columns]
    symbol_at = columns.index("symbol") if "symbol" in columns else None
    received_at = columns.index("recv_ms") if "recv_ms" in columns else None
    in_ms = time_column == "feed_ts_ms"

    def parse(line: int, row: Sequence[str]) -> _Parsed:
        symbol = None
        if symbol_at is not None:
            symbol = symbol_in(row[symbol_at])
            if symbol is None:
                raise _bad_line(path, line, f"has symbol {row[symbol_at]!r}, expected a known coin such as btc/usd")
        second = _second(path, line, row[time_at], time_column, in_ms=in_ms)
        received = _integer(path, line, row[received_at], "recv_ms") if received_at is not None else line
        return symbol, second, received, tuple(_price(path, line, row[at], name) for name, at in prices_at)

    return parse


def _integer(path: Path, line: int, text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise _bad_line(path, line, f"has {name} {text!r}, expected an integer") from error


def _second(path: Path, line: int, text: str, name: str, *, in_ms: bool) -> int:
    text = text.strip()
    if in_ms:
        second = _integer(path, line, text, name) // 1_000
    else:
        try:
            number = Decimal(text)
        except InvalidOperation:
            second = _iso_second(path, line, text, name)
        else:
            if not number.is_finite():
                raise _bad_line(path, line, f"has {name} {text!r}, expected a time")
            while number >= 10**11:
                number /= 1_000
            second = int(number)
    if not 0 < second < 10**11:
        raise _bad_line(path, line, f"has {name} {text!r}, expected a time after 1970")
    return second


def _iso_second(path: Path, line: int, text: str, name: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_line(path, line, f"has {name} {text!r}, expected epoch seconds, milliseconds or ISO 8601") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _price(path: Path, line: int, text: str, name: str) -> PriceE8:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise _bad_line(path, line, f"has {name} {text!r}, expected a decimal number") from error
    if not value.is_finite() or not 0 < value < _MAX_PRICE:
        raise _bad_line(path, line, f"has {name} {text!r}, expected a price above 0 and below {_MAX_PRICE:f}")
    scaled = int((value * E8).to_integral_value(ROUND_HALF_EVEN))
    if scaled == 0:
        raise _bad_line(path, line, f"has {name} {text!r}, below the smallest price 0.00000001")
    return scaled


def _bad_line(path: Path, line: int, problem: str) -> ConfigError:
    return ConfigError(f"--prices {path}: line {line} {problem}")


def _tidy(rows: _Rows) -> _Tidy:
    """Sort by time; of several rows for one second the one received last wins."""
    reordered = sum(1 for (a, *_), (b, *_) in pairwise(rows.rows) if b < a)
    latest = {second: prices for second, _, _, prices in sorted(rows.rows, key=lambda row: row[:3])}
    return _Tidy(list(latest), list(latest.values()), len(rows.rows) - len(latest), reordered)


def _step(seconds: Sequence[int]) -> int:
    spacings = [b - a for a, b in pairwise(seconds)]
    return min(_MAX_BAR_S, int(median(spacings))) if spacings else 60


def _bars(path: Path, symbol: str, data: _Tidy, step: int, seed: int) -> BarSeries:
    bars = []
    for second, (opened, high, low, close) in zip(data.seconds, data.prices, strict=True):
        if not low <= min(opened, close) <= max(opened, close) <= high:
            moment = datetime.fromtimestamp(second, UTC).isoformat()
            raise ConfigError(
                f"--prices {path}: the bar at {moment} has open or close outside low and high; correct or drop it"
            )
        bars.append(Bar(second, opened, high, low, close))
    return BarSeries(symbol, bars, step, seed)


def _bars_between(symbol: str, data: _Tidy, step: int, seed: int) -> BarSeries:
    """Join sparse points: each point becomes a bar that ends at the next one."""
    return BarSeries(symbol, list(_joined(data, step)), step, seed)


def _joined(data: _Tidy, step: int) -> Iterator[Bar]:
    points = [price for (price,) in data.prices]
    for index, (second, price) in enumerate(zip(data.seconds, points, strict=True)):
        follows = index + 1 < len(points) and data.seconds[index + 1] - second <= 2 * step
        end = points[index + 1] if follows else price
        yield Bar(second, price, max(price, end), min(price, end), end)
