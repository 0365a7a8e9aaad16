"""A recorded window in memory: how its book changed, what traded, how it ended.

What lives here: reading one file of recorded market-channel messages and the `windows.csv` beside
it, as changes of one book in the Up token's terms. What must not: playing them (`replay`), the
prices that go with them (`recorded_prices`).

The file (`<slug>.book.jsonl` or `.jsonl.gz`) has a message per line, bare or under `msg`: `book`,
`price_change` in both shapes, `last_trade_price`, `tick_size_change` (Polymarket CLOB docs, market
channel). Both outcomes' messages describe the same book, mirrored, so either will do. The file
`windows.csv` says which token is Up, the official open and close, and the winner.
Prices and sizes in millionths, official prices in 10^-8 dollars.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from polystra.domain.errors import ConfigError
from polystra.domain.units import E8, NS_PER_MS, NS_PER_S, Nanos, PriceE8, parse_micros
from polystra.exchange.assets import symbol_in
from polystra.exchange.model import Side
from polystra.exchange.schedule import WINDOW_SECONDS, close_of
from polystra.matching.book import DOWN, ONE, UP, is_bid, up_price

Level = tuple[bool, int]
"""A level of the book: is it a bid for Up, and its price in Up's terms."""

_COARSEST_TICK: Final = 10_000
_EXPECTED: Final = "expected recorded market-channel messages, one JSON object per line"


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """A trade that others made, from the taker's side in its own token."""

    outcome: int
    side: Side
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Update:
    """What one instant brought: new sizes of levels (0: gone), then trades; `tick` when it got finer."""

    at_ns: Nanos
    levels: Mapping[Level, int]
    trades: tuple[RecordedTrade, ...] = ()
    tick: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One window; `open_price` and `close_price` are None where nobody noted them."""

    file: str
    slug: str
    symbol: str
    window: str
    opens_at_s: int
    closes_at_s: int
    up_won: bool
    open_price: PriceE8 | None
    close_price: PriceE8 | None
    updates: tuple[Update, ...]


def load_recording(path: Path) -> Recording:
    """Read one recorded window.

    Raises:
        ConfigError: the file or the `windows.csv` beside it is missing, damaged or of another kind.
    """
    slug = path.name.partition(".")[0]
    window, opens_at_s, symbol = _named_window(path, slug)
    row = _window_row(path, slug)
    closes_at_s = close_of(window, opens_at_s)
    outcomes = {row.get("up_token", ""): UP, row.get("down_token", ""): DOWN}
    outcomes.pop("", None)
    winner = row.get("winner", "")
    if winner not in {"Up", "Down"} or not outcomes:
        raise ConfigError(f"--replay {path}: windows.csv gives {slug} no token or no winner; complete its row")
    book = _BookReader(path, outcomes)
    updates = tuple(update for update in book.updates(_lines(path)) if update.at_ns < closes_at_s * NS_PER_S)
    if not updates:
        raise ConfigError(f"--replay {path}: no message before the end of {slug}; {_EXPECTED}")
    return Recording(
        file=path.name,
        slug=slug,
        symbol=symbol,
        window=window,
        opens_at_s=opens_at_s,
        closes_at_s=closes_at_s,
        up_won=winner == "Up",
        open_price=_official(row.get("open_price", "")),
        close_price=_official(row.get("close_price", "")),
        updates=updates,
    )


def _named_window(path: Path, slug: str) -> tuple[str, int, str]:
    parts = slug.split("-")
    symbol = symbol_in(parts[0])
    if len(parts) != 4 or symbol is None or parts[2] not in WINDOW_SECONDS or not parts[3].isdigit():
        raise ConfigError(
            f"--replay {path}: its name says no window; call it like btc-updown-5m-1776257100.book.jsonl.gz"
        )
    return parts[2], int(parts[3]), symbol


def _window_row(path: Path, slug: str) -> Mapping[str, str]:
    table = path.with_name("windows.csv")
    try:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("slug") == slug:
                    return row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"--replay {path}: {table.name} beside it cannot be read ({error}); it names tokens and winner"
        ) from error
    raise ConfigError(f"--replay {path}: {table.name} beside it has no row for {slug}; add its tokens and winner")


def _official(text: str) -> PriceE8 | None:
    try:
        value = Decimal(text) * E8 if text else None
    except InvalidOperation:
        value = None
    return None if value is None or not value.is_finite() or value <= 0 else round(value)


def _lines(path: Path) -> Iterator[Any]:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except FileNotFoundError as error:
        raise ConfigError(f"--replay {path}: no such file; give a recorded .jsonl or .jsonl.gz") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"--replay {path}: cannot be read ({error}); {_EXPECTED}") from error
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            content = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"--replay {path}, line {number}: not JSON; {_EXPECTED}") from error
        message = content.get("msg", content) if isinstance(content, dict) else content
        for each in message if isinstance(message, list) else [message]:
            if not isinstance(each, dict):
                raise ConfigError(f"--replay {path}, line {number}: not a JSON object; {_EXPECTED}")
            yield number, each


class _BookReader:
    """Turns messages into changes against what was recorded before them."""

    def __init__(self, path: Path, outcomes: Mapping[str, int]) -> None:
        self._path = path
        self._outcomes = outcomes
        self._levels: dict[Level, int] = {}
        self._tick = _COARSEST_TICK
        self._at_ns: Nanos = 0
        self._micros: dict[str, int] = {}

    def updates(self, lines: Iterator[Any]) -> Iterator[Update]:
        """Yield an update per message that changed anything; instants never go back."""
        for number, message in lines:
            try:
                update = self._update(message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ConfigError(f"--replay {self._path}, line {number}: {error!r}; {_EXPECTED}") from error
            if update is not None:
                yield update

    def _update(self, message: dict[str, Any]) -> Update | None:
        kind = message.get("event_type", "book")
        changed: dict[Level, int] = {}
        trades: tuple[RecordedTrade, ...] = ()
        if kind == "book" and message["asset_id"] in self._outcomes:
            changed = self._snapshot(message)
        elif kind == "price_change":
            changed = self._changes(message)
        elif kind == "last_trade_price" and message["asset_id"] in self._outcomes:
            trades = (self._trade(message),)
        tick = self._finer_tick(changed, message.get("new_tick_size"))
        if not changed and not trades and tick is None:
            return None
        self._at_ns = max(self._at_ns, int(message["timestamp"]) * NS_PER_MS)
        for level, size in changed.items():
            if size:
                self._levels[level] = size
            else:
                del self._levels[level]
        return Update(self._at_ns, changed, trades, tick)

    def _snapshot(self, message: dict[str, Any]) -> dict[Level, int]:
        outcome = self._outcomes[message["asset_id"]]
        shown: dict[Level, int] = {}
        sides: tuple[tuple[Side, Any], ...] = (("BUY", message["bids"]), ("SELL", message["asks"]))
        for side, entries in sides:
            for entry in entries:
                size = self._number(entry["size"])
                if size:
                    shown[self._level(outcome, side, entry["price"])] = size
        changed = {level: 0 for level in self._levels if level not in shown}
        changed.update((level, size) for level, size in shown.items() if self._levels.get(level) != size)
        return changed

    def _changes(self, message: dict[str, Any]) -> dict[Level, int]:
        changed: dict[Level, int] = {}
        for entry in message.get("price_changes") or [message]:
            outcome = self._outcomes.get(entry["asset_id"])
            if outcome is None:
                continue
            level, size = self._level(outcome, entry["side"], entry["price"]), self._number(entry["size"])
            if self._levels.get(level, 0) != size:
                changed[level] = size
        return changed

    def _trade(self, message: dict[str, Any]) -> RecordedTrade:
        side: Side = "BUY" if message["side"] == "BUY" else "SELL"
        return RecordedTrade(
            self._outcomes[message["asset_id"]], side, self._number(message["price"]), self._number(message["size"])
        )

    def _finer_tick(self, changed: Mapping[Level, int], told: object) -> int | None:
        tick = self._tick
        if isinstance(told, str):
            tick = min(tick, self._number(told))
        for _, price in changed:
            while price % tick and tick > 100:
                tick //= 10
        if tick == self._tick:
            return None
        self._tick = tick
        return tick

    def _level(self, outcome: int, side: Side, price: str) -> Level:
        micros = self._number(price)
        if not 0 < micros < ONE:
            raise ValueError(f"price is {price}, expected between 0 and 1")
        return is_bid(outcome, side), up_price(outcome, micros)

    def _number(self, text: str) -> int:
        known = self._micros.get(text)
        if known is None:
            known = self._micros[text] = parse_micros(text, field="price or size")
            if known < 0:
                raise ValueError(f"{text} is negative")
        return known
