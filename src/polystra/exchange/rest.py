"""The exchange's REST and websocket routes, and what all private calls have in common.

What lives here: the table of routes, the request proof, the JSON of replies and refusals. What must
not: rules (`core`, `intake`), payload shapes (`payloads`); the handlers are in `rest_public`,
`rest_private`, `market_ws` and `user_ws`.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from polystra.exchange import rest_private, rest_public
from polystra.exchange.core import ExchangeCore
from polystra.exchange.edge import Edge
from polystra.exchange.market_ws import MarketChannel
from polystra.exchange.rest_account import DeskApi
from polystra.exchange.rest_builder import BuilderApi
from polystra.exchange.rest_history import HistoryApi
from polystra.exchange.rest_markets import MarketListApi
from polystra.exchange.rest_orders import OrderApi
from polystra.exchange.user_ws import UserChannel
from polystra.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """Bounds of one websocket: frames queued for a slow reader, and silence before it is dropped."""

    queued_frames: int = 2_048
    silence_s: float = 30.0


def routes(
    core: ExchangeCore, clock: Clock, limits: SocketLimits | None = None, *, wall: Clock | None = None
) -> list[web.RouteDef]:
    """Return every route of the order-book API, bound to one exchange and one clock.

    With `wall`, proofs dated by real time are accepted too: other clients know no simulated time.
    """
    bounds = limits or SocketLimits()
    market = MarketChannel(core, clock, queued_frames=bounds.queued_frames, silence_s=bounds.silence_s)
    user = UserChannel(core, clock, queued_frames=bounds.queued_frames, silence_s=bounds.silence_s)
    table = [
        *rest_public.PublicApi(core, clock).routes(),
        *rest_private.LoginApi(core, clock, wall).routes(),
        *OrderApi(core, clock, wall).routes(),
        *HistoryApi(core, clock).routes(),
        *MarketListApi(core, clock).routes(),
        *BuilderApi(core, clock, wall).routes(),
        *rest_private.AccountApi(core, clock, wall).routes(),
        *DeskApi(core, clock, wall).routes(),
        web.get("/ws/market", market.handle),
        web.get("/ws/user", user.handle),
    ]
    return Edge(clock, core.config.venue, core.forced).guard(table)
