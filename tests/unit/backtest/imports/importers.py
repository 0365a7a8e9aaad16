"""A small whole recording of every kind that can be imported, as lines; what tests damage."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polystra.backtest.imports.full_depth import FullDepth
from polystra.backtest.imports.ladders import read_ladders
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.mids import read_mids
from polystra.backtest.imports.sessions import read_session
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.top_of_book import read_top_of_book
from polystra.backtest.imports.trades import Trades, read_trade_windows
from polystra.backtest.imports.windows import told_window
from polystra.backtest.recordings.rows import Recorded

START = 1_785_106_200
SLUG = f"btc-updown-5m-{START}"
WINDOW = told_window({}, SLUG, "Up", 70_000)
ROWS = 6


@dataclass(frozen=True)
class Kind:
    """How a recording of this kind looks, is called and is read."""

    name: str
    file: str
    lines: tuple[str, ...]
    read: Callable[[Path, ImportReport], list[Recorded]]
    head: int = 0
    """So many first lines are a heading."""
    beside: tuple[str, str] = ("", "")
    """Name and content of a file that belongs to it."""

    def write(self, folder: Path, content: bytes | None = None, *, zipped: bool = False) -> Path:
        """The file, with other content than its own if wanted."""
        if self.beside[0]:
            (folder / self.beside[0]).write_text(self.beside[1])
        whole = "".join(f"{line}\n" for line in self.lines).encode() if content is None else content
        path = folder / (f"{self.file}.gz" if zipped else self.file)
        path.write_bytes(gzip.compress(whole, mtime=0) if zipped else whole)
        return path


def _books() -> tuple[str, ...]:
    def message(n: int) -> str:
        bids, asks = [{"price": "0.4", "size": str(n + 1)}], [{"price": "0.5", "size": "7"}]
        msg = {
            "market": "m",
            "asset_id": WINDOW.market.up_token,
            "bids": bids,
            "asks": asks,
            "hash": "h",
            "timestamp": str((START + n) * 1_000),
            "event_type": "book",
        }
        return json.dumps({"recv_ts": START + n + 0.5, "msg": msg}, separators=(",", ":"))

    return tuple(message(n) for n in range(ROWS))


def _tops() -> tuple[str, ...]:
    names = "slug,ts,sec_into_window,book_age_s,up_bid,up_bid_size,up_ask,up_ask_size,down_bid,down_bid_size,down_ask,"
    rows = (f"{SLUG},{START + n},{n},0.25,0.46,{n + 1},0.47,6.01,0.53,6.01,0.54,{n + 1}" for n in range(ROWS))
    return (names + "down_ask_size", *rows)


def _feed() -> tuple[str, ...]:
    rows = (f"{(START + n) * 1_000},{100 + n},{(START + n) * 1_000 + 400}" for n in range(ROWS))
    return ("feed_ts_ms,value,recv_ms", *rows)


def _ladders() -> tuple[str, ...]:
    def ladder(n: int) -> str:
        start = START + 300 * n
        up = {"ask": 0.13, "bid": 0.12, "vwap5": 0.13, "vwap20": 0.13, "vwap50": 0.13}
        down = {"ask": 0.88, "bid": 0.87, "vwap5": 0.88, "vwap20": 0.8875, "vwap50": 0.889}
        sample = {"offset": 120, "t": -118.3, "spot": 65_423.47, "up": up, "down": down}
        told = {"window_ts": start, "slug": f"btc-updown-5m-{start}", "open_px": 65_477.0, "samples": [sample]}
        return json.dumps({**told, "winner": "DOWN"})

    return tuple(ladder(n) for n in range(ROWS))


def _mids() -> tuple[str, ...]:
    def row(n: int) -> str:
        return json.dumps({"ts": START + 300 * n, "up_mid": 0.905, "up_lag": 53, "winner": "UP"})

    return tuple(row(n) for n in range(ROWS))


def _frame(n: int, source: str, payload: object) -> str:
    frame = {"source": source, "recv_wall_ts": (START + n) * 1_000 + 100, "payload": json.dumps(payload)}
    return json.dumps(frame)


def _session() -> tuple[str, ...]:
    at = str(START * 1_000)
    book = {"asset_id": "U", "timestamp": at, "bids": [{"price": "0.4", "size": "5"}], "asks": []}
    change = {"asset_id": "D", "price": "0.6", "size": "9", "side": "SELL", "best_bid": "0", "best_ask": "0.6"}
    changed = {"event_type": "price_change", "timestamp": at, "price_changes": [change]}
    minute = {
        "topic": "crypto_prices",
        "payload": {"symbol": "btc/usd", "data": [{"timestamp": START * 1_000, "value": 99.5}]},
    }
    update = {
        "topic": "crypto_prices_chainlink",
        "payload": {"symbol": "btc/usd", "timestamp": START * 1_000, "full_accuracy_value": str(100 * 10**18)},
    }
    trade = {"stream": "btcusdt@trade", "data": {"e": "trade", "s": "BTCUSDT", "p": "101.5", "T": START * 1_000}}
    sources = ("polymarket_clob", "polymarket_clob", "polymarket_rtds_chainlink", "polymarket_rtds_chainlink")
    payloads = ([book], changed, minute, update)
    frames = tuple(
        _frame(n, source, payload) for n, (source, payload) in enumerate(zip(sources, payloads, strict=True))
    )
    return (*frames, _frame(4, "binance", trade), _frame(5, "polymarket_clob", book))


_MARKET = json.dumps(
    {
        "slug": "btc-updown-15m-1785106800",
        "asset": "BTC",
        "condition_id": "0xc",
        "outcomes": [{"token_id": "U", "outcome": "Up"}, {"token_id": "D", "outcome": "Down"}],
        "start_ts": 1_785_106_800_000,
        "end_ts": 1_785_107_700_000,
        "tick_size": 0.01,
        "min_order_size": 5.0,
        "fee_parameters": {"fees_enabled": True, "raw_fee_config": {"rate": 0.072}},
    }
)
_TRADE_WINDOWS = f"ticker,asset,open_ts,close_ts,implied_result\nKX-1,btc,{START},{START + 900},Up\n"
_TRADE_WINDOWS += f"KX-2,eth,{START},{START + 900},Down\n"


def _trades() -> tuple[str, ...]:
    rows = (f"KX-1,{START + n}.25,id-{n},0.49,30.0,{'no' if n else 'yes'}" for n in range(ROWS))
    return ("ticker,ts,trade_id,yes_price,count,taker_side", *rows)


def _read_trades(path: Path, report: ImportReport) -> list[Recorded]:
    windows = read_trade_windows(path, report, fee_ppm=70_000)
    report.notes.clear()
    return list(Trades(path, windows, report))


KINDS = (
    Kind(
        "full depth",
        f"{SLUG}.book.jsonl",
        _books(),
        lambda path, report: list(FullDepth(path, WINDOW.market.up_token, WINDOW.market.down_token, report)),
    ),
    Kind(
        "top of book",
        "seconds.csv",
        _tops(),
        lambda path, report: read_top_of_book(path, {SLUG: WINDOW}, report)[0],
        head=1,
    ),
    Kind("feed", "feed.csv", _feed(), read_feed, head=1),
    Kind("ladders", "ladders.jsonl", _ladders(), lambda path, report: read_ladders(path, {}, report, fee_ppm=1)[0]),
    Kind("mids", "mids.jsonl", _mids(), lambda path, report: read_mids(path, {}, report, fee_ppm=1)[0]),
    Kind(
        "session",
        "s.raw_messages.jsonl",
        _session(),
        lambda path, report: read_session(path, report)[0],
        beside=("s.markets.jsonl", _MARKET + "\n"),
    ),
    Kind("trades", "trades.csv", _trades(), _read_trades, head=1, beside=("windows.csv", _TRADE_WINDOWS)),
)
