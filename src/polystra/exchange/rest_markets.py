"""The lists of markets: all, sampled for rewards, and either of them in short.

What lives here: `/markets`, `/simplified-markets`, `/sampling-markets`, `/sampling-simplified-markets`
with their cursors. What must not: one market (`rest_public`), discovery (`gamma`).

Shapes: Polymarket CLOB docs, API reference. No market here pays rewards, so the sampling lists show
those that take orders now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.model import NS_PER_S, Refusal
from polystra.exchange.payloads import Payload
from polystra.exchange.replies import Api, Handler, json_reply, refused
from polystra.exchange.rest_public import verbose_market
from polystra.exchange.state import Market

INVALID_CURSOR: Final = Refusal("invalid next_cursor")
_SIMPLE: Final = ("condition_id", "rewards", "tokens", "active", "closed", "archived", "accepting_orders")


class MarketListApi(Api):
    """The four lists."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/markets", self._list(verbose_market, open_only=False)),
            web.get("/simplified-markets", self._list(simplified_market, open_only=False)),
            web.get("/sampling-markets", self._list(verbose_market, open_only=True)),
            web.get("/sampling-simplified-markets", self._list(simplified_market, open_only=True)),
        ]

    def _list(self, render: Callable[[Market], Payload], *, open_only: bool) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            now_ns = self.now()
            cursor = request.query.get("next_cursor") or payloads.FIRST_CURSOR
            offset = payloads.cursor_offset(cursor)
            if offset is None:
                return refused(INVALID_CURSOR)
            markets = [
                market
                for market in self._core.markets.values()
                if now_ns >= market.spec.hydrated_at_s * NS_PER_S and (market.accepting_orders or not open_only)
            ]
            page = payloads.page(markets, offset)
            return json_reply({**page, "data": [render(market) for market in page["data"]]})

        return handler


def simplified_market(market: Market) -> Payload:
    """Return the short form of a list's market."""
    body = verbose_market(market)
    return {name: body[name] for name in _SIMPLE}
