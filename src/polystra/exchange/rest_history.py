"""The exchange's memory of prices and the routes that show it.

What lives here: a point per minute and token of the middle of the book, the trades of each market,
the books at each minute, and `/prices-history`, `/batch-prices-history`, `/ohlc`, `/orderbook-history`.
What must not: the live book (`rest_public`), settlement prices.

Parameters and refusals: Polymarket CLOB docs, API reference and resources/error-codes. The rows of
`/ohlc` and `/orderbook-history` are not documented in full; theirs are the obvious ones. Kept in
memory only, and for the latest markets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from aiohttp import web

from polystra.domain.units import format_micros
from polystra.exchange import payloads
from polystra.exchange.core import BookTraded, CoreEvent, ExchangeCore, LevelsChanged
from polystra.exchange.model import DOLLAR, NS_PER_S, Refusal
from polystra.exchange.payloads import Payload
from polystra.exchange.replies import Api, json_reply, refused
from polystra.matching.book import ONE, up_price
from polystra.ports.clock import Clock

MINUTE_S: Final = 60
KEPT_MARKETS: Final = 64
KEPT_ROWS: Final = 2_000
ROW_LIMIT: Final = 1_000
BATCH_LIMIT: Final = 20
INTERVALS: Final = {
    "max": 0,
    "all": 0,
    "1m": 30 * 86_400,
    "1w": 7 * 86_400,
    "1d": 86_400,
    "6h": 6 * 3_600,
    "1h": 3_600,
}
CANDLES: Final = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "4h": 14_400,
    "1d": 86_400,
    "1w": 604_800,
}
INVALID_FILTER: Final = "invalid filter: {name} is {value}"
START_REQUIRED: Final = Refusal("startTs is required")
ASSET_REQUIRED: Final = Refusal("asset_id is required")
EITHER_REQUIRED: Final = Refusal("either market or asset_id must be provided")
LIMIT_EXCEEDED: Final = Refusal(f"limit cannot exceed {ROW_LIMIT}")
INVALID_PAYLOAD: Final = Refusal("Invalid payload")
TOO_MANY: Final = Refusal("Payload exceeds the limit")


@dataclass(slots=True)
class _Memory:
    """One market's past in the Up token's terms."""

    middles: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT_ROWS))
    trades: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=KEPT_ROWS))
    books: deque[tuple[int, Payload]] = field(default_factory=lambda: deque(maxlen=KEPT_ROWS))


class PriceMemory:
    """Listens to the core and keeps what the history routes show."""

    def __init__(self, core: ExchangeCore) -> None:
        self._core = core
        self._markets: dict[str, _Memory] = {}
        core.add_listener(self._note, LevelsChanged, BookTraded)

    def of(self, condition_id: str) -> _Memory:
        """Return a market's memory, an empty one for an unknown market."""
        return self._markets.get(condition_id) or _Memory()

    def _note(self, event: CoreEvent) -> None:
        match event:
            case LevelsChanged(best_bid=int(), best_ask=int(), top_changed=True):
                self._note_middle(event)
            case BookTraded():
                market = self._core.market(event.condition_id)
                price = up_price(market.outcome_of(event.token_id), event.price)
                self._memory(event.condition_id).trades.append((event.at_ns // NS_PER_S, price, event.size))
            case _:
                pass

    def _note_middle(self, event: LevelsChanged) -> None:
        assert event.best_bid is not None
        assert event.best_ask is not None
        memory = self._memory(event.condition_id)
        minute_s = event.at_ns // NS_PER_S // MINUTE_S * MINUTE_S
        if memory.middles and memory.middles[-1][0] == minute_s:
            return
        memory.middles.append((minute_s, (event.best_bid + event.best_ask) // 2))
        market = self._core.market(event.condition_id)
        token_id = market.spec.up_token
        memory.books.append((minute_s, payloads.book(market, token_id, self._core.depth(token_id), event.at_ns)))

    def _memory(self, condition_id: str) -> _Memory:
        known = self._markets.get(condition_id)
        if known is None:
            while len(self._markets) >= KEPT_MARKETS:
                del self._markets[next(iter(self._markets))]
            known = self._markets[condition_id] = _Memory()
        return known


class _Batch(msgspec.Struct, frozen=True):
    markets: list[str]
    start_ts: int = 0
    end_ts: int = 0
    fidelity: int = 1
    interval: str = "max"


class HistoryApi(Api):
    """The routes."""

    def __init__(self, core: ExchangeCore, clock: Clock) -> None:
        super().__init__(core, clock)
        self._memory = PriceMemory(core)

    def routes(self) -> list[web.RouteDef]:
        """Return the history routes."""
        return [
            web.get("/prices-history", self._prices),
            web.post("/batch-prices-history", self._batch),
            web.get("/ohlc", self._candles),
            web.get("/orderbook-history", self._books),
        ]

    async def _prices(self, request: web.Request) -> web.StreamResponse:
        self.now()
        query = request.query
        numbers: dict[str, int] = {}
        for name, default in (("startTs", "0"), ("endTs", "0"), ("fidelity", "1")):
            text = query.get(name) or default
            if not _is_count(text):
                return refused(Refusal(INVALID_FILTER.format(name=name, value=text[:40])))
            numbers[name] = int(text)
        interval, token_id = query.get("interval") or "max", query.get("market", "")
        if interval not in INTERVALS:
            return refused(Refusal(INVALID_FILTER.format(name="interval", value=interval[:40])))
        if not _is_count(token_id):
            return refused(Refusal(INVALID_FILTER.format(name="market", value=token_id[:40])))
        batch = _Batch([token_id], numbers["startTs"], numbers["endTs"], numbers["fidelity"], interval)
        return json_reply({"history": self._points(token_id, batch)})

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        self.now()
        try:
            batch = msgspec.json.decode(await request.read(), type=_Batch)
        except msgspec.MsgspecError:
            return refused(INVALID_PAYLOAD)
        if len(batch.markets) > BATCH_LIMIT:
            return refused(TOO_MANY)
        if batch.interval not in INTERVALS:
            return refused(INVALID_PAYLOAD)
        return json_reply({"history": {token: self._points(token, batch) for token in batch.markets}})

    def _points(self, token_id: str, batch: _Batch) -> list[Payload]:
        market = self._core.market_of_token(token_id)
        if market is None:
            return []
        outcome, step_s = market.outcome_of(token_id), max(1, batch.fidelity) * MINUTE_S
        length_s = INTERVALS[batch.interval]
        first_s = max(batch.start_ts, self._core.now_ns // NS_PER_S - length_s if length_s else 0)
        chosen: dict[int, Payload] = {}
        for second, middle in self._memory.of(market.spec.condition_id).middles:
            if second >= first_s and (not batch.end_ts or second <= batch.end_ts):
                chosen.setdefault(second // step_s, {"t": second, "p": up_price(outcome, middle) / DOLLAR})
        return list(chosen.values())

    async def _candles(self, request: web.Request) -> web.StreamResponse:
        self.now()
        query = request.query
        token_id, fidelity = query.get("asset_id") or "", query.get("fidelity") or "1m"
        if not _is_count(query.get("startTs", "")):
            return refused(START_REQUIRED)
        if not token_id:
            return refused(ASSET_REQUIRED)
        if fidelity not in CANDLES:
            return refused(Refusal(f"invalid fidelity: {fidelity[:40]}"))
        limit = _limit(query.get("limit"))
        if limit is None:
            return refused(LIMIT_EXCEEDED)
        market = self._core.market_of_token(token_id)
        if market is None:
            return json_reply({"data": []})
        outcome, start_s = market.outcome_of(token_id), int(query["startTs"])
        trades = [
            (second, up_price(outcome, price), size)
            for second, price, size in self._memory.of(market.spec.condition_id).trades
            if second >= start_s
        ]
        return json_reply({"data": candles(trades, CANDLES[fidelity])[:limit]})

    async def _books(self, request: web.Request) -> web.StreamResponse:
        self.now()
        query = request.query
        token_id, condition_id = query.get("asset_id") or "", query.get("market") or ""
        if not _is_count(query.get("startTs", "")):
            return refused(START_REQUIRED)
        if not token_id and not condition_id:
            return refused(EITHER_REQUIRED)
        limit = _limit(query.get("limit"))
        if limit is None:
            return refused(LIMIT_EXCEEDED)
        market = self._core.market_of_token(token_id)
        if market is not None:
            condition_id = market.spec.condition_id
        start_s = int(query["startTs"])
        rows = [book for second, book in self._memory.of(condition_id).books if second >= start_s]
        return json_reply({"count": len(rows), "data": rows[:limit]})


def candles(trades: Iterable[tuple[int, int, int]], length_s: int) -> list[Payload]:
    """Return open, high, low, close and volume per period from (second, price, size) in millionths."""
    periods: dict[int, list[tuple[int, int]]] = {}
    for second, price, size in trades:
        periods.setdefault(second // length_s * length_s, []).append((price, size))
    return [
        {
            "t": start_s,
            "o": format_micros(rows[0][0]),
            "h": format_micros(max(price for price, _ in rows)),
            "l": format_micros(min(price for price, _ in rows)),
            "c": format_micros(rows[-1][0]),
            "v": format_micros(sum(price * size for price, size in rows) // ONE),
        }
        for start_s, rows in periods.items()
    ]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 78


def _limit(text: str | None) -> int | None:
    """Return how many rows are wanted; None for more than there may be."""
    if not text:
        return ROW_LIMIT
    return int(text) if _is_count(text) and int(text) <= ROW_LIMIT else None
