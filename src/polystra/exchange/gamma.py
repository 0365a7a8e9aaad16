"""The discovery API of the built-in exchange: markets and events as Gamma shows them.

What lives here: the routes under `/gamma` and the wire shape of their objects (Polymarket docs,
Gamma): outcomes, prices and token ids as JSON-encoded strings, other numbers as JSON numbers,
closed markets hidden from lists unless asked for. What must not: listings (`world`), matching
(`core`).

Numbers are written from integers digit by digit; no binary float is involved.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from polystra.domain.units import E8, MICRO, NS_PER_S, PriceE8, format_micros
from polystra.exchange.core import ExchangeCore
from polystra.exchange.schedule import iso
from polystra.exchange.world import REBATE_PERCENT, World, WorldMarket
from polystra.ports.clock import Clock

_MAX_PAGE: Final = 100
_DEFAULT_PAGE: Final = 20
_EVENT_ID_OFFSET: Final = 5_000_000

JsonObject = dict[str, Any]


def number(micros: int) -> msgspec.Raw:
    """Return millionths as a JSON number."""
    return msgspec.Raw(format_micros(micros).encode())


def price_number(value: PriceE8) -> msgspec.Raw:
    """Return a price of 10^-8 dollars as a JSON number."""
    return msgspec.Raw(format_e8(value).encode())


def format_e8(value: PriceE8) -> str:
    """Return a non-negative price of 10^-8 dollars as plain decimal text without trailing zeros."""
    whole, fraction = divmod(value, E8)
    return f"{whole}.{fraction:08d}".rstrip("0").rstrip(".")


class Gamma:
    """Renders what the world lists; add its routes with `add_routes`."""

    def __init__(self, world: World, core: ExchangeCore, clock: Clock) -> None:
        self._world = world
        self._core = core
        self._clock = clock
        self._fixed: dict[str, JsonObject] = {}

    def add_routes(self, app: web.Application, prefix: str = "/gamma") -> None:
        """Register the discovery routes."""
        for kind, render in (("markets", self.market), ("events", self.event)):
            app.router.add_get(f"{prefix}/{kind}", self._list_handler(render))
            app.router.add_get(f"{prefix}/{kind}/keyset", self._keyset_handler(kind, render))
            app.router.add_get(f"{prefix}/{kind}/slug/{{slug}}", self._slug_handler(render))
            app.router.add_get(f"{prefix}/{kind}/{{id}}", self._id_handler(render))

    def condition_of_event(self, event_id: str) -> str | None:
        """Return the condition id of an event's one market, None for an unknown event."""
        if not event_id.isascii() or not event_id.isdigit() or len(event_id) > 18:
            return None
        market = self._world.by_id(str(int(event_id) - _EVENT_ID_OFFSET))
        return None if market is None else market.spec.condition_id

    def market(self, market: WorldMarket) -> JsonObject:
        """Return a market object with its trimmed parent event."""
        body = self._bare_market(market)
        body["events"] = [self._bare_event(market)]
        return body

    def event(self, market: WorldMarket) -> JsonObject:
        """Return an event object with its one market."""
        body = self._bare_event(market)
        body["markets"] = [self._bare_market(market)]
        return body

    def _bare_market(self, market: WorldMarket) -> JsonObject:
        body = dict(self._fixed_fields(market))
        spec, state = market.spec, self._core.markets[market.spec.condition_id]
        closed = state.closed
        bid, ask = (None, None) if closed else self._core.best(spec.up_token)
        bid, ask = 0 if bid is None else bid, MICRO if ask is None else ask
        up_price = (bid + ask) // 2 if state.up_payout is None else state.up_payout
        body.update(
            active=True,
            closed=closed,
            archived=False,
            acceptingOrders=state.accepting_orders and self._clock.now_ns() >= spec.accepts_from_s * NS_PER_S,
            outcomePrices=msgspec.json.encode([format_micros(up_price), format_micros(MICRO - up_price)]).decode(),
            orderPriceMinTickSize=number(state.tick_size),
            bestBid=number(bid),
            bestAsk=number(ask),
            spread=number(ask - bid),
            lastTradePrice=number(state.last_trade_price or MICRO // 2),
        )
        if closed and market.resolved_at_ns is not None:
            at = iso(market.resolved_at_ns // NS_PER_S)
            body.update(umaEndDate=at, closedTime=at, automaticallyResolved=True)
        body.update(_resolution_status(market, closed=closed))
        return body

    def _bare_event(self, market: WorldMarket) -> JsonObject:
        spec = market.spec
        series = f"{spec.symbol.lower()}-up-or-down-{spec.window}"
        body: JsonObject = {
            "id": str(market.gamma_id + _EVENT_ID_OFFSET),
            "ticker": spec.slug,
            "slug": spec.slug,
            "title": spec.question,
            "description": market.rule.describe(market.asset, spec.window),
            "resolutionSource": market.rule.source(market.asset),
            "startDate": iso(spec.listed_at_s),
            "creationDate": iso(spec.listed_at_s),
            "endDate": iso(spec.closes_at_s),
            "startTime": iso(spec.opens_at_s),
            "active": True,
            "closed": self._core.markets[spec.condition_id].closed,
            "archived": False,
            "restricted": False,
            "enableOrderBook": True,
            "negRisk": spec.neg_risk,
            "enableNegRisk": False,
            "negRiskAugmented": False,
            "seriesSlug": series,
            "series": [{"slug": series, "ticker": series, "title": series, "recurrence": spec.window, "active": True}],
            "tags": [{"label": "Crypto", "slug": "crypto"}, {"label": "Up or Down", "slug": "up-or-down"}],
        }
        if (
            market.start_average is not None
            and market.end_average is not None
            and market.metadata_visible(self._clock.now_ns())
        ):
            body["eventMetadata"] = {
                "priceToBeat": price_number(market.start_average),
                "finalPrice": price_number(market.end_average),
            }
        return body

    def _fixed_fields(self, market: WorldMarket) -> JsonObject:
        spec = market.spec
        known = self._fixed.get(spec.slug)
        if known is not None:
            return known
        if len(self._fixed) > 1_000:
            self._fixed.clear()
        body: JsonObject = {
            "id": str(market.gamma_id),
            "question": spec.question,
            "conditionId": spec.condition_id,
            "questionID": "0x" + spec.condition_id[:1:-1],
            "slug": spec.slug,
            "version": spec.version,
            "description": market.rule.describe(market.asset, spec.window),
            "resolutionSource": market.rule.source(market.asset),
            "startDate": iso(spec.listed_at_s),
            "createdAt": iso(spec.listed_at_s),
            "acceptingOrdersTimestamp": iso(spec.listed_at_s),
            "eventStartTime": iso(spec.opens_at_s),
            "endDate": iso(spec.closes_at_s),
            "endDateIso": iso(spec.closes_at_s)[:10],
            "outcomes": '["Up", "Down"]',
            "clobTokenIds": f'["{spec.up_token}", "{spec.down_token}"]',
            "enableOrderBook": True,
            "restricted": False,
            "orderMinSize": number(spec.min_size),
            "negRisk": spec.neg_risk,
            "feesEnabled": spec.fee_rate_ppm > 0,
            "feeType": "crypto_fees",
            "feeSchedule": {
                "rate": number(spec.fee_rate_ppm),
                "exponent": 1,
                "takerOnly": True,
                "rebateRate": number(REBATE_PERCENT * MICRO // 100),
            },
            "makerBaseFee": 1000,
            "takerBaseFee": 1000,
            "secondsDelay": spec.seconds_delay,
        }
        if market.rule.config is not None:
            body["cryptoMarketConfig"] = market.rule.config
        if spec.neg_risk:
            body["negRiskMarketID"] = "0x" + spec.condition_id[2:64] + "00"
        if spec.version == "v2":
            body["clobTokenIds"] = None
            body["positionIds"] = [spec.up_token, spec.down_token]
        self._fixed[spec.slug] = body
        return body

    def _slug_handler(self, render: _Render) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            return self._one(self._world.by_slug(request.match_info["slug"]), render)

        return handle

    def _id_handler(self, render: _Render) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            gamma_id = request.match_info["id"]
            market = self._world.by_id(gamma_id)
            if market is None and gamma_id.isascii() and gamma_id.isdigit():
                market = self._world.by_id(str(int(gamma_id) - _EVENT_ID_OFFSET)) if render == self.event else None
            return self._one(market, render)

        return handle

    def _list_handler(self, render: _Render) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            limit, offset = _count(query.get("limit"), _DEFAULT_PAGE), _count(query.get("offset"), 0)
            if limit is None or offset is None:
                return _refused("limit and offset must be non-negative integers")
            found = self._selected(request)
            return _reply([render(market) for market in found[offset : offset + min(limit, _MAX_PAGE)]])

        return handle

    def _keyset_handler(self, kind: str, render: _Render) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            query = request.query
            limit = _count(query.get("limit"), _DEFAULT_PAGE)
            after = _count(query.get("after_cursor"), 0)
            if limit is None or after is None:
                return _refused("limit must be a non-negative integer and after_cursor a cursor from an earlier page")
            found = [market for market in self._selected(request) if market.gamma_id > after]
            page = found[: max(1, min(limit, _MAX_PAGE))]
            body: JsonObject = {kind: [render(market) for market in page]}
            if len(page) < len(found):
                body["next_cursor"] = str(page[-1].gamma_id)
            return _reply(body)

        return handle

    def _selected(self, request: web.Request) -> list[WorldMarket]:
        """Apply the list filters; `closed` is false unless said otherwise."""
        query = request.query
        want_closed = query.get("closed", "false").lower() == "true"
        slugs = _values(request, "slug")
        conditions = {value.lower() for value in _values(request, "condition_ids")}
        tokens = set(_values(request, "clob_token_ids"))
        series = set(_values(request, "series_slug"))
        return [
            market
            for market in self._world.markets()
            if self._core.markets[market.spec.condition_id].closed is want_closed
            and (not slugs or market.spec.slug in slugs)
            and (not conditions or market.spec.condition_id in conditions)
            and (not tokens or tokens & {market.spec.up_token, market.spec.down_token})
            and (not series or f"{market.spec.symbol.lower()}-up-or-down-{market.spec.window}" in series)
            and query.get("end_date_min", "") <= iso(market.spec.closes_at_s)
            and iso(market.spec.closes_at_s) <= query.get("end_date_max", "9999")
        ]

    def _one(self, market: WorldMarket | None, render: _Render) -> web.Response:
        if market is None:
            return _reply({"type": "not found error", "error": "slug or id not found"}, status=404)
        return _reply(render(market))


def _resolution_status(market: WorldMarket, *, closed: bool) -> JsonObject:
    """Return the life cycle of the verdict in the words of the market's version."""
    if market.spec.version == "v2":
        return {"resolutionStatus": "resolved" if closed else "active"}
    words = ["proposed", *(["disputed"] if market.disputed else []), *(["resolved"] if closed else [])]
    if not closed and market.end_average is None:
        return {"umaResolutionStatuses": "[]"}
    return {"umaResolutionStatus": words[-1], "umaResolutionStatuses": msgspec.json.encode(words).decode()}


_Render = Callable[[WorldMarket], JsonObject]
_Handler = Callable[[web.Request], Awaitable[web.Response]]


def _values(request: web.Request, name: str) -> list[str]:
    """Return the values of a filter, repeated or comma separated."""
    return [part for value in request.query.getall(name, []) for part in value.split(",") if part]


def _count(text: str | None, default: int) -> int | None:
    if text is None or text == "":
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _refused(problem: str) -> web.Response:
    return _reply({"type": "validation error", "error": problem}, status=422)


def _reply(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
