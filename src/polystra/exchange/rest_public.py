"""The open part of the exchange's REST interface: time, books, prices, market parameters.

What lives here: handlers that need no credentials. What must not: orders, accounts.

Shapes and texts: Polymarket CLOB docs, API reference. `side=BUY` of `/price` is the lowest ask, as
the docs have it; clients are advised to read the book instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from polystra.domain.units import format_micros
from polystra.exchange import payloads
from polystra.exchange.model import DOLLAR, NS_PER_S, Refusal
from polystra.exchange.payloads import Payload
from polystra.exchange.replies import Api, Handler, json_reply, refused
from polystra.exchange.state import Market
from polystra.exchange.validation import NO_BOOK
from polystra.matching.book import ONE

BOOKS_LIMIT: Final = 500
INVALID_TOKEN: Final = Refusal("Invalid token id")
INVALID_PAYLOAD: Final = Refusal("Invalid payload")
INVALID_SIDE: Final = Refusal("Invalid side")
TOO_MANY: Final = Refusal("Payload exceeds the limit")
NO_MARKET: Final = Refusal("market not found", 404)
INVALID_MARKET: Final = Refusal("Invalid market")
_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{64}")
ORDER_VERSION: Final = 2


class _TokenParam(msgspec.Struct, frozen=True):
    token_id: str
    side: str = ""


class PublicApi(Api):
    """Market data for everyone."""

    def routes(self) -> list[web.RouteDef]:
        """Return the open routes."""
        return [
            web.get("/", self._ok),
            web.get("/ok", self._ok),
            web.get("/time", self._time),
            web.get("/version", self._version),
            web.get("/book", self._one(self._book, NO_BOOK)),
            web.post("/books", self._books),
            web.get("/price", self._one(self._price, NO_BOOK)),
            web.post("/prices", self._many(self._add_price, sided=True)),
            web.get("/midpoint", self._one(self._midpoint, NO_BOOK)),
            web.post("/midpoints", self._many(self._add_midpoint)),
            web.get("/spread", self._one(self._spread, NO_BOOK)),
            web.post("/spreads", self._many(self._add_spread)),
            web.get("/last-trade-price", self._one(self._last_trade, NO_MARKET)),
            web.post("/last-trades-prices", self._last_trades),
            web.get("/tick-size", self._one(self._tick_size, NO_MARKET)),
            web.get("/neg-risk", self._one(self._neg_risk, NO_MARKET)),
            web.get("/fee-rate", self._one(self._fee_rate, NO_MARKET)),
            web.get("/clob-markets/{condition_id}", self._clob_market),
            web.get("/markets/{condition_id}", self._market),
            web.get("/markets-by-token/{token_id}", self._market_by_token),
        ]

    async def _ok(self, _request: web.Request) -> web.StreamResponse:
        return json_reply("OK")

    async def _time(self, _request: web.Request) -> web.StreamResponse:
        return json_reply(self._clock.now_ns() // NS_PER_S)

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        return json_reply({"version": ORDER_VERSION})

    def _one(self, view: Callable[[Market, str, web.Request], Payload | Refusal], unknown: Refusal) -> Handler:
        """Wrap a view of one token; books of closed markets are gone."""

        async def handler(request: web.Request) -> web.StreamResponse:
            self.now()
            token_id = request.query.get("token_id", "")
            if not token_id.isascii() or not token_id.isdigit():
                return refused(INVALID_TOKEN)
            market = self._market_of(token_id)
            if market is None or (unknown is NO_BOOK and market.closed):
                return refused(unknown)
            result = view(market, token_id, request)
            return refused(result) if isinstance(result, Refusal) else json_reply(result)

        return handler

    def _many(self, add: Callable[[dict[str, Any], _TokenParam], None], *, sided: bool = False) -> Handler:
        """Answer for a list of tokens with a map; unknown tokens are left out."""

        async def handler(request: web.Request) -> web.StreamResponse:
            params = await self._params(request)
            if isinstance(params, Refusal):
                return refused(params)
            if sided and any(param.side not in {"BUY", "SELL"} for param in params):
                return refused(INVALID_SIDE)
            reply: dict[str, Any] = {}
            for param in params:
                market = self._market_of(param.token_id)
                if market is not None:
                    add(reply, param)
            return json_reply(reply)

        return handler

    async def _params(self, request: web.Request) -> list[_TokenParam] | Refusal:
        self.now()
        try:
            params = msgspec.json.decode(await request.read(), type=list[_TokenParam])
        except msgspec.MsgspecError:
            return INVALID_PAYLOAD
        return TOO_MANY if len(params) > BOOKS_LIMIT else params

    def _book(self, market: Market, token_id: str, _request: web.Request) -> Payload:
        return payloads.book(market, token_id, self._core.depth(token_id), self._core.now_ns)

    async def _books(self, request: web.Request) -> web.StreamResponse:
        params = await self._params(request)
        if isinstance(params, Refusal):
            return refused(params)
        found = [(self._market_of(param.token_id), param.token_id) for param in params]
        return json_reply(
            [
                payloads.book(market, token_id, self._core.depth(token_id), self._core.now_ns)
                for market, token_id in found
                if market is not None and not market.closed
            ]
        )

    def _price(self, _market: Market, token_id: str, request: web.Request) -> Payload | Refusal:
        side = request.query.get("side", "").upper()
        if side not in {"BUY", "SELL"}:
            return INVALID_SIDE
        bid, ask = self._core.best(token_id)
        return {"price": format_micros((ask if side == "BUY" else bid) or 0)}

    def _add_price(self, reply: dict[str, Any], param: _TokenParam) -> None:
        bid, ask = self._core.best(param.token_id)
        price = ask if param.side == "BUY" else bid
        reply.setdefault(param.token_id, {})[param.side] = (price or 0) / DOLLAR

    def _midpoint(self, _market: Market, token_id: str, _request: web.Request) -> Payload:
        return {"mid": self._mid(token_id)}

    def _add_midpoint(self, reply: dict[str, Any], param: _TokenParam) -> None:
        reply[param.token_id] = self._mid(param.token_id)

    def _mid(self, token_id: str) -> str:
        bid, ask = self._core.best(token_id)
        return format_micros(((bid or 0) + (ONE if ask is None else ask)) // 2)

    def _spread(self, _market: Market, token_id: str, _request: web.Request) -> Payload:
        return {"spread": self._spread_of(token_id)}

    def _add_spread(self, reply: dict[str, Any], param: _TokenParam) -> None:
        reply[param.token_id] = self._spread_of(param.token_id)

    def _spread_of(self, token_id: str) -> str:
        bid, ask = self._core.best(token_id)
        return format_micros((ONE if ask is None else ask) - (bid or 0))

    def _last_trade(self, market: Market, token_id: str, _request: web.Request) -> Payload:
        price, side = market.last_price_of(token_id)
        return {"price": "0.5" if price is None else format_micros(price), "side": side}

    async def _last_trades(self, request: web.Request) -> web.StreamResponse:
        params = await self._params(request)
        if isinstance(params, Refusal):
            return refused(params)
        found = [(self._market_of(param.token_id), param.token_id) for param in params]
        return json_reply(
            [
                {**self._last_trade(market, token_id, request), "token_id": token_id}
                for market, token_id in found
                if market is not None
            ]
        )

    def _tick_size(self, market: Market, _token_id: str, _request: web.Request) -> Payload:
        return {"minimum_tick_size": market.tick_size / DOLLAR}

    def _neg_risk(self, market: Market, _token_id: str, _request: web.Request) -> Payload:
        return {"neg_risk": market.spec.neg_risk}

    def _fee_rate(self, market: Market, _token_id: str, _request: web.Request) -> Payload:
        return {"base_fee": payloads.TAKER_BASE_FEE_BPS if market.spec.fee_rate_ppm else 0}

    async def _clob_market(self, request: web.Request) -> web.StreamResponse:
        market = self._named(request)
        return refused(market) if isinstance(market, Refusal) else json_reply(clob_market(market))

    async def _market(self, request: web.Request) -> web.StreamResponse:
        market = self._named(request, half_known=True)
        if isinstance(market, Refusal):
            return refused(market)
        body = verbose_market(market)
        if not self._hydrated(market):
            body["tokens"] = [{**token, "token_id": ""} for token in body["tokens"]]
        return json_reply(body)

    async def _market_by_token(self, request: web.Request) -> web.StreamResponse:
        self.now()
        market = self._market_of(request.match_info["token_id"])
        if market is None:
            return refused(NO_MARKET)
        return json_reply(
            {
                "condition_id": market.spec.condition_id,
                "primary_token_id": market.spec.up_token,
                "secondary_token_id": market.spec.down_token,
            }
        )

    def _hydrated(self, market: Market) -> bool:
        """Tell whether the order book knows a new market already."""
        return self._core.now_ns >= market.spec.hydrated_at_s * NS_PER_S

    def _market_of(self, token_id: str) -> Market | None:
        market = self._core.market_of_token(token_id)
        return market if market is not None and self._hydrated(market) else None

    def _named(self, request: web.Request, *, half_known: bool = False) -> Market | Refusal:
        """Return the market in the path; `half_known` ones show without token ids in the end of their hydration."""
        self.now()
        condition_id = request.match_info["condition_id"]
        if not _CONDITION.fullmatch(condition_id):
            return INVALID_MARKET
        market = self._core.markets.get(condition_id.lower())
        if market is None or self._hydrated(market):
            return market or NO_MARKET
        half_s = (market.spec.listed_at_s + market.spec.hydrated_at_s) // 2
        return market if half_known and self._core.now_ns >= half_s * NS_PER_S else NO_MARKET


def clob_market(market: Market) -> Payload:
    """Return the short market object that tells the true fee rate and the taker delay."""
    spec = market.spec
    base_fee = payloads.TAKER_BASE_FEE_BPS if spec.fee_rate_ppm else 0
    return {
        "gst": None,
        "r": {},
        "t": [{"t": token, "o": outcome} for token, outcome in payloads.outcome_tokens(spec)],
        "mos": spec.min_size // DOLLAR if spec.min_size % DOLLAR == 0 else spec.min_size / DOLLAR,
        "mts": market.tick_size / DOLLAR,
        "mbf": base_fee,
        "tbf": base_fee,
        "rfqe": False,
        "itode": spec.taker_delay_ms > 0,
        "ibce": False,
        "fd": {"r": spec.fee_rate_ppm / DOLLAR, "e": 1, "to": True},
        "oas": 0,
        "nr": spec.neg_risk,
        "cid": spec.condition_id,
    }


def verbose_market(market: Market) -> Payload:
    """Return the long market object; winner flags appear after resolution."""
    spec = market.spec
    base_fee = payloads.TAKER_BASE_FEE_BPS if spec.fee_rate_ppm else 0
    return {
        "enable_order_book": True,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "accepting_orders": market.accepting_orders,
        "accepting_order_timestamp": _iso(spec.listed_at_s),
        "minimum_order_size": spec.min_size // DOLLAR if spec.min_size % DOLLAR == 0 else spec.min_size / DOLLAR,
        "minimum_tick_size": market.tick_size / DOLLAR,
        "condition_id": spec.condition_id,
        "question_id": spec.condition_id,
        "question": spec.question,
        "market_slug": spec.slug,
        "end_date_iso": _iso(spec.closes_at_s),
        "game_start_time": None,
        "seconds_delay": spec.seconds_delay,
        "maker_base_fee": base_fee,
        "taker_base_fee": base_fee,
        "neg_risk": spec.neg_risk,
        "neg_risk_market_id": "",
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "is_50_50_outcome": market.up_payout == ONE // 2,
        "tokens": [
            {
                "token_id": token,
                "outcome": outcome,
                "price": _token_price(market, token, outcome),
                "winner": market.winner == outcome,
            }
            for token, outcome in payloads.outcome_tokens(spec)
        ],
        "tags": [],
    }


def _token_price(market: Market, token_id: str, outcome: str) -> float:
    if market.up_payout is not None:
        return (market.up_payout if outcome == "Up" else ONE - market.up_payout) / DOLLAR
    price, _ = market.last_price_of(token_id)
    return (ONE // 2 if price is None else price) / DOLLAR


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
