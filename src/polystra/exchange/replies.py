"""How the exchange's handlers answer and whom they let in.

What lives here: JSON replies and refusals, and the wrapper that checks the request proof (L2) before
a private handler runs. What must not: any route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web

from polystra.exchange.auth import UNAUTHORIZED, ApiKey, check_request_proof
from polystra.exchange.core import ExchangeCore
from polystra.exchange.model import Refusal
from polystra.exchange.payloads import encode
from polystra.ports.clock import Clock

STATUS_BY_WORDS: Final = {"not found": 404, "unauthorized": 401, "context canceled": 400}
"""Polymarket CLOB docs, resources/error-codes: these words decide the status, whatever the cause."""

CLOCK_SHIFT: Final = web.RequestKey("clock_shift_ns", int)
"""Where a request carries by how many nanoseconds the clock that judges its proof is off."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """A group of handlers around one exchange and one clock."""

    def __init__(self, core: ExchangeCore, clock: Clock, wall: Clock | None = None) -> None:
        self._core = core
        self._clock = clock
        self._wall = wall

    def wall_ns(self) -> int | None:
        """Return the real instant that a client's proof may carry instead of the simulated one."""
        return None if self._wall is None else self._wall.now_ns()

    def now(self) -> int:
        """Return the present instant after bringing the exchange up to it."""
        now_ns = self._clock.now_ns()
        self._core.advance(now_ns)
        return now_ns

    def private(self, handler: Callable[[Call], Awaitable[web.StreamResponse]], *, readonly: bool = False) -> Handler:
        """Run `handler` only for requests with a valid proof; the others get 401.

        Read-only keys pass where `readonly` lets them.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            now_ns = self.now()
            key = check_request_proof(
                self._core.keys,
                request.headers,
                method=request.method,
                path=request.rel_url.raw_path,
                body=body,
                now_ns=now_ns + request.get(CLOCK_SHIFT, 0),
                tolerance_s=self._core.config.clock_tolerance_s,
                wall_ns=self.wall_ns(),
            )
            if key is None or (key.readonly and not readonly):
                return refused(UNAUTHORIZED)
            return await handler(Call(request, key, body, now_ns))

        return guarded


class Call:
    """One authenticated request; `now_ns` is when it was let in."""

    __slots__ = ("body", "key", "now_ns", "request")

    def __init__(self, request: web.Request, key: ApiKey, body: bytes, now_ns: int) -> None:
        self.request = request
        self.key = key
        self.body = body
        self.now_ns = now_ns

    def query(self, name: str) -> str | None:
        """Return a query parameter, None when it is missing or empty."""
        return self.request.query.get(name) or None


def json_reply(payload: object, status: int = 200) -> web.Response:
    """Answer with compact JSON."""
    return web.Response(body=encode(payload), status=status, content_type="application/json")


def refused(refusal: Refusal) -> web.Response:
    """Answer with the venue's error shape and, where it sends them, code and time to wait."""
    body: dict[str, object] = {"error": refusal.text}
    if refusal.code:
        body |= {"code": refusal.code, "retry_after_seconds": refusal.retry_after_s}
    response = json_reply(body, _status_of(refusal))
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def _status_of(refusal: Refusal) -> int:
    """Apply the venue's server-wide override of the status by certain words of the text."""
    text = refusal.text.lower()
    return next((status for words, status in STATUS_BY_WORDS.items() if words in text), refusal.status)
