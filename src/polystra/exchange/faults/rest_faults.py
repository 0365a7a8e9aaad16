"""Faults of HTTP: one middleware around every route but the control ones.

What lives here: what each fault does to a request before, and to its reply after it was carried out.
What must not: when a fault fires (`injector`), trading.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from polystra.domain.units import NS_PER_MS, NS_PER_S
from polystra.exchange.core import ExchangeCore
from polystra.exchange.faults.injector import Injector, Occasion
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.faults.shown_books import market_names
from polystra.exchange.replies import CLOCK_SHIFT
from polystra.ports.clock import Clock

CONTROL: Final = "/control/"
TEXTS: Final = {
    400: "context canceled",
    403: "Trading restricted in your region, please refer to available regions - https://docs.polymarket.com",
    425: "service not ready",
    429: "Too Many Requests",
    500: "could not run the execution",
    503: "Trading is currently disabled. Check polymarket.com for updates",
}
"""What the venue says with a status when the fault names no text (Polymarket CLOB docs, error codes)."""

RETRY_AFTER_S: Final = 1


class RestFaults:
    """The middleware and what it needs."""

    def __init__(self, core: ExchangeCore, clock: Clock, injector: Injector) -> None:
        self._core = core
        self._clock = clock
        self._injector = injector

    def middleware(self) -> Middleware:
        """Return the middleware."""

        @web.middleware
        async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(CONTROL) or not self._injector.has("before", "after", "clock"):
                return await handler(request)
            return await self._serve(request, handler)

        return faulty

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        shift_ns = self.clock_shift_ns()
        if shift_ns:
            request[CLOCK_SHIFT] = shift_ns
        occasion = await self._occasion(request)
        plan = self._injector.fires("before", occasion)
        if plan is not None:
            if plan.kind != "request_delayed":
                return _instead(request, plan)
            await self._clock.sleep(plan.number("seconds"))
        response = await handler(request)
        if isinstance(response, web.Response) and not response.prepared:
            if shift_ns and request.path == "/time" and response.text:
                response.text = str(int(response.text) + shift_ns // NS_PER_S)
            return await self._reply(request, response, occasion)
        return response

    async def _reply(self, request: web.Request, response: web.Response, occasion: Occasion) -> web.StreamResponse:
        ids = _order_ids(response) if request.path in {"/order", "/orders"} else ()
        plan = self._injector.fires("after", {**occasion, "order_id": (*occasion.get("order_id", ()), *ids)})
        if plan is None:
            return response
        match plan.kind:
            case "reply_delayed":
                await self._clock.sleep(plan.number("seconds"))
                return response
            case "truncated_json":
                body = bytes(response.body) if isinstance(response.body, bytes) else b""
                response.body = body[: len(body) // 2]
                return response
            case "empty_body":
                response.body = b""
                return response
            case "wrong_order_id":
                response.body = _renamed(response)
                return response
            case _:
                return _instead(request, plan)

    def clock_shift_ns(self) -> int:
        """Return by how much the server's clock is off now."""
        now_ns = self._clock.now_ns()
        shift_ns = 0
        for episode in self._injector.lasting("clock", "server", {}):
            if episode.plan.kind == "clock_jump":
                shift_ns += episode.plan.nanos("seconds")
            else:
                per_s_ns = round(episode.plan.number("ms_per_second") * NS_PER_MS)
                shift_ns += (now_ns - episode.began_ns) * per_s_ns // NS_PER_S
        return shift_ns

    async def _occasion(self, request: web.Request) -> Occasion:
        resource = request.match_info.route.resource
        told = await _body_of(request)
        tokens = tuple(dict.fromkeys(_tokens_in(told)))
        names = tuple(name for token_id in tokens for name in market_names(self._core, token_id))
        return {
            "method": (request.method,),
            "path": (request.path,) if resource is None else (request.path, resource.canonical),
            "account": tuple(request.headers[name] for name in ("POLY_ADDRESS",) if name in request.headers),
            "order_id": (*_ids_in(told), *request.match_info.values()),
            "token": (*tokens, *request.query.getall("token_id", ())),
            "market": (*names, *request.query.getall("market", ())),
            "side": tuple(dict.fromkeys(leg["side"] for leg in _orders_in(told) if isinstance(leg.get("side"), str))),
        }


def _instead(request: web.Request, plan: FaultPlan) -> web.StreamResponse:
    """Return the answer that a fault gives in the place of the real one, or cut the connection."""
    if plan.kind in {"request_dropped", "reply_dropped"}:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    status = int(plan.number("status"))
    if plan.kind == "html_page":
        title = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
        page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
        return web.Response(text=page, status=status, content_type="text/html")
    text = str(plan.parameters["text"]) or TEXTS.get(status, "Internal server error")
    body = msgspec.json.encode({"error": text})
    response = web.Response(body=body, status=status, content_type="application/json")
    if status in {425, 429}:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _decoded(body: object) -> Any:  # noqa: ANN401 - any JSON
    try:
        return msgspec.json.decode(body) if isinstance(body, bytes) and body else None
    except msgspec.MsgspecError:
        return None


async def _body_of(request: web.Request) -> Any:  # noqa: ANN401 - any JSON
    return _decoded(await request.read()) if request.can_read_body else None


def _legs(told: object) -> list[dict[str, Any]]:
    legs = told if isinstance(told, list) else [told]
    return [leg for leg in legs if isinstance(leg, dict)]


def _orders_in(told: object) -> list[dict[str, Any]]:
    return [leg["order"] for leg in _legs(told) if isinstance(leg.get("order"), dict)]


def _tokens_in(told: object) -> list[str]:
    named = [leg.get("asset_id") or leg.get("token_id") for leg in _legs(told)]
    return [str(token) for token in (*(order.get("tokenId") for order in _orders_in(told)), *named) if token]


def _ids_in(told: object) -> list[str]:
    """Return the ids of orders that are to be cancelled."""
    if isinstance(told, list):
        return [entry for entry in told if isinstance(entry, str)]
    return [leg["orderID"] for leg in _legs(told) if isinstance(leg.get("orderID"), str)]


def _order_ids(response: web.Response) -> tuple[str, ...]:
    legs = _legs(_decoded(response.body))
    return tuple(leg["orderID"] for leg in legs if isinstance(leg.get("orderID"), str) and leg["orderID"])


def _renamed(response: web.Response) -> bytes:
    """Return a placement's reply with other order ids: the last digit of each is another one."""
    told = _decoded(response.body)
    for leg in _legs(told):
        order_id = leg.get("orderID")
        if isinstance(order_id, str) and order_id:
            leg["orderID"] = order_id[:-1] + ("0" if order_id[-1] != "0" else "1")
    return msgspec.json.encode(told)
