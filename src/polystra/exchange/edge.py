"""What stands in front of the exchange's routes: per-IP windows, and refusals ordered by a test.

What lives here: sliding windows per address and route, and the wrapping of a table of routes with
them and with the forced refusals. What must not: per-signer limits (`rate_buckets`), rules of trading.

Windows: Polymarket CLOB docs, api-reference/rate-limits. A request over the limit is first queued,
then refused with 429, as it is seen in the field.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from polystra.exchange.forced import ForcedRefusals
from polystra.exchange.model import NS_PER_MS, NS_PER_S, Refusal
from polystra.exchange.rate_buckets import TOO_MANY_TEXT
from polystra.exchange.replies import Handler, refused
from polystra.exchange.venue_rules import VenueRules
from polystra.ports.clock import Clock

_SHORT_S: Final = 10
_LONG_S: Final = 600
_CLOB_TOTAL: Final = (9_000, 0)

WINDOWS: Final[dict[str, tuple[int, int]]] = {
    "POST /order": (5_000, 120_000),
    "DELETE /order": (5_000, 120_000),
    "POST /orders": (2_000, 21_000),
    "DELETE /orders": (2_000, 15_000),
    "DELETE /cancel-all": (250, 6_000),
    "DELETE /cancel-market-orders": (1_500, 21_000),
    "GET /book": (1_500, 0),
    "GET /price": (1_500, 0),
    "GET /midpoint": (1_500, 0),
    "POST /books": (500, 0),
    "POST /prices": (500, 0),
    "POST /midpoints": (500, 0),
    "GET /prices-history": (1_000, 0),
    "GET /tick-size": (200, 0),
    "GET /balance-allowance": (200, 0),
    "GET /balance-allowance/update": (50, 0),
    "GET /data/order/{order_id}": (900, 0),
    "GET /data/orders": (500, 0),
    "GET /data/trades": (500, 0),
    "GET /notifications": (125, 0),
    "POST /auth/api-key": (100, 0),
    "GET /auth/derive-api-key": (100, 0),
    "GET /auth/api-keys": (100, 0),
    "DELETE /auth/api-key": (100, 0),
    "GET /ok": (100, 0),
}
"""Requests per 10 seconds and per 10 minutes (0: no such limit) of one address, by route."""


class SlidingWindow:
    """At most `limit` requests in any `span_s` seconds."""

    def __init__(self, limit: int, span_s: int) -> None:
        self._limit = limit
        self._span_ns = span_s * NS_PER_S
        self._taken: deque[int] = deque()

    def wait_ns(self, now_ns: int) -> int:
        """Return how long a request has to wait for its place; zero when there is one."""
        while self._taken and self._taken[0] <= now_ns - self._span_ns:
            self._taken.popleft()
        if len(self._taken) < self._limit:
            return 0
        return self._taken[len(self._taken) - self._limit] + self._span_ns - now_ns

    def take(self, at_ns: int) -> None:
        """Occupy a place at an instant, which may lie ahead."""
        self._taken.append(at_ns)


class IpLimits:
    """The windows of every address."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], list[SlidingWindow]] = {}

    def wait_ns(self, address: str, route: str, now_ns: int) -> int:
        """Return how long a request of an address would be queued."""
        return max((window.wait_ns(now_ns) for window in self._of(address, route)), default=0)

    def take(self, address: str, route: str, at_ns: int) -> None:
        """Count a request that goes on at `at_ns`."""
        for window in self._of(address, route):
            window.take(at_ns)

    def _of(self, address: str, route: str) -> list[SlidingWindow]:
        return self._made(address, "", _CLOB_TOTAL) + self._made(address, route, WINDOWS.get(route, (0, 0)))

    def _made(self, address: str, route: str, limits: tuple[int, int]) -> list[SlidingWindow]:
        known = self._windows.get((address, route))
        if known is None:
            spans = zip(limits, (_SHORT_S, _LONG_S), strict=True)
            known = self._windows[address, route] = [SlidingWindow(limit, span) for limit, span in spans if limit]
        return known


class Edge:
    """Puts the windows and the forced refusals in front of routes."""

    def __init__(self, clock: Clock, rules: VenueRules, forced: ForcedRefusals) -> None:
        self._clock = clock
        self._patience_ns = rules.ip_patience_ms * NS_PER_MS
        self._limits = IpLimits() if rules.ip_limits else None
        self._forced = forced

    def guard(self, table: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Return the same routes behind this edge."""
        return [web.RouteDef(route.method, route.path, self._guarded(route), dict(route.kwargs)) for route in table]

    def _guarded(self, route: web.RouteDef) -> Handler:
        name, handler = f"{route.method} {route.path}", route.handler

        async def handle(request: web.Request) -> web.StreamResponse:
            refusal = await self._queue(request.remote or "", name) or self._forced.take(name)
            return await handler(request) if refusal is None else refused(refusal)

        return handle

    async def _queue(self, address: str, route: str) -> Refusal | None:
        """Let a request wait for its place, or refuse it when that would take too long."""
        if self._limits is None:
            return None
        now_ns = self._clock.now_ns()
        wait_ns = self._limits.wait_ns(address, route, now_ns)
        if wait_ns > self._patience_ns:
            return Refusal(TOO_MANY_TEXT, 429, retry_after_s=-(-wait_ns // NS_PER_S))
        self._limits.take(address, route, now_ns + wait_ns)
        if wait_ns:
            await self._clock.sleep(wait_ns / NS_PER_S)
        return None
