"""HTTP to the venue: one request out, one reply or one honest exception back.

What lives here: sending exact bytes, deadlines by the clock, retries of questions. What must
not: what a reply means for an order or an account (`rest`), signing of orders.

`write` never sends twice unless the first send provably did not leave (no connection was made).
Every request waits for its place in the venue's windows of our address, if there is a budget.
`read` retries what cannot hurt, with jittered back-off within a deadline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias
from urllib.parse import urlencode

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from polystra.adapters.polymarket.errors import read_error
from polystra.adapters.polymarket.rate_budget import RateHeaders, VenueBudget, rate_headers
from polystra.adapters.polymarket.wire import JsonObject, as_object, decode_json, integer, text
from polystra.domain.errors import (
    OutcomeUnknown,
    RateLimited,
    VenueError,
    VenueProtocolError,
    VenueUnreachable,
)
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock

SessionFactory: TypeAlias = Callable[[], aiohttp.ClientSession]
Headers: TypeAlias = Callable[[str, str, bytes], Mapping[str, str]]
"""(method, path, body) -> headers that prove who we are; asked again for every attempt (the timestamp is in it)."""

WRITE_TIMEOUT_S: Final = 20.0
READ_TIMEOUT_S: Final = 10.0
READ_DEADLINE_S: Final = 30.0
SAME_BYTES_DEADLINE_S: Final = 2.0
_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 3_600
OK: Final = 200


def default_session() -> aiohttp.ClientSession:
    """Return a session without deadlines of its own (they come from the clock) and with kept connections."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
        connector=aiohttp.TCPConnector(limit=32, ttl_dns_cache=300, keepalive_timeout=30.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: its status, its body as it came, the wait that the venue asked for (seconds), its limits."""

    status: int
    body: bytes
    retry_after_s: float | None = None
    limits: RateHeaders | None = None

    def pause_s(self) -> float | None:
        """Return the pause that the venue asked for, by header or in the body of an error."""
        if self.retry_after_s is not None or self.status == OK:
            return self.retry_after_s
        try:
            seconds = integer(as_object(decode_json(self.body), "error"), "retry_after_seconds")
        except VenueProtocolError:
            return None
        return None if seconds is None else float(min(max(seconds, 0), _LONGEST_PAUSE_S))

    def error_text(self) -> str:
        """Return the venue's message in an error answer, "" when there is none (an HTML page, an empty body)."""
        try:
            value = decode_json(self.body)
        except VenueProtocolError:
            return "" if self.body.lstrip()[:1] == b"<" else self.body[:300].decode("utf-8", "replace")
        if isinstance(value, str):
            return value
        return _message(value) if isinstance(value, dict) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request as it went: `path` with its query, latency by the clock, a reply or the error that stands for it.

    Both are None when the caller gave up before an answer came. Headers are left out: they prove who we are.
    """

    at_ns: Nanos
    latency_ns: Nanos
    method: str
    path: str
    body: bytes
    reply: Reply | None
    error: VenueError | None


Observe: TypeAlias = Callable[[Attempt], None]


def _message(body: JsonObject) -> str:
    try:
        return text(body, "error", "errorMsg", "error_msg", "message")
    except VenueProtocolError:
        return ""


class HttpTransport:
    """Requests to one base URL. Owns its session, made at the first request inside the running loop."""

    def __init__(
        self,
        *,
        base_url: str,
        clock: Clock,
        rng: Random,
        session: SessionFactory = default_session,
        observe: Observe | None = None,
        budget: VenueBudget | None = None,
        read_deadline_s: float = READ_DEADLINE_S,
    ) -> None:
        self._budget = budget
        self._read_deadline_s = read_deadline_s
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._rng = rng
        self._make_session = session
        self._observe = observe
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def write(
        self, method: str, path: str, body: bytes, headers: Headers, *, again_for_s: float = SAME_BYTES_DEADLINE_S
    ) -> Reply:
        """Send a command once (again only while no connection could be made, for `again_for_s` seconds).

        Raises:
            VenueUnreachable: it never left.
            OutcomeUnknown: it may have arrived and no answer was read.
        """
        request = _Request(method=method, path=path, params={}, body=body, headers=headers, timeout_s=WRITE_TIMEOUT_S)
        if again_for_s <= 0:
            return await self._once(request)
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            retry=retry_if_exception_type(VenueUnreachable),
            stop=self._until(again_for_s),
            wait=self._wait,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._once(request)
        raise VenueUnreachable(f"{method} {path} was not sent")

    async def read(self, path: str, params: Mapping[str, str] | None = None, headers: Headers | None = None) -> Reply:
        """Ask a question and return its 200 answer, retrying what may pass within a deadline.

        Raises:
            VenueError: the deadline passed, or the venue said a definite no.
        """
        request = _Request(
            method="GET", path=path, params=params or {}, body=b"", headers=headers, timeout_s=READ_TIMEOUT_S
        )
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            retry=retry_if_exception_type((VenueUnreachable, OutcomeUnknown, RateLimited)),
            stop=self._until(self._read_deadline_s),
            wait=self._wait,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                reply = await self._once(request)
                if reply.status == OK:
                    return reply
                raise read_error(
                    reply.status, reply.error_text(), asked=f"GET {path}", retry_after_s=reply.retry_after_s
                )
        raise VenueUnreachable(f"GET {path} was not sent")

    async def _once(self, request: _Request) -> Reply:
        """Send once and show the attempt to whoever observes, however it ends."""
        if self._budget is not None:
            while (wait_s := self._budget.window_wait_s(request.route)) > 0:
                await self._clock.sleep(wait_s)
            self._budget.note_request(request.route)
        at_ns, begun_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        reply: Reply | None = None
        error: VenueError | None = None
        try:
            reply = await self._exchange(request)
        except VenueError as failure:
            error = failure
            raise
        finally:
            if self._observe is not None:
                query = urlencode(request.params)
                self._observe(
                    Attempt(
                        at_ns=at_ns,
                        latency_ns=self._clock.monotonic_ns() - begun_ns,
                        method=request.method,
                        path=f"{request.path}?{query}" if query else request.path,
                        body=request.body,
                        reply=reply,
                        error=error,
                    )
                )
        return reply

    async def _exchange(self, request: _Request) -> Reply:
        if self._session is None:
            self._session = self._make_session()
        headers = dict(request.headers(request.method, request.path, request.body)) if request.headers else {}
        if request.body:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                self._clock.timeout(request.timeout_s),
                self._session.request(
                    request.method,
                    self.base_url + request.path,
                    params=dict(request.params),
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                return Reply(
                    status=response.status,
                    body=await response.read(),
                    retry_after_s=_seconds(response.headers.get("Retry-After")),
                    limits=rate_headers(response.headers),
                )
        except aiohttp.ClientConnectorError as error:
            raise VenueUnreachable(f"no connection to {self.base_url} ({error.__class__.__name__})") from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"{request} was not answered within {request.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"{request} broke off ({error.__class__.__name__})") from error

    def _until(self, seconds: float) -> Callable[[RetryCallState], bool]:
        """Stop when the next attempt would begin after `seconds` of the clock."""
        end = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        return lambda state: self._clock.monotonic_ns() + int(state.upcoming_sleep * NS_PER_S) >= end

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next attempt: doubling, with jitter, never less than the venue asked for."""
        ceiling = min(_LONGEST_WAIT_S, math.ldexp(_FIRST_WAIT_S, min(state.attempt_number - 1, 16)))
        seconds = ceiling * self._rng.uniform(0.5, 1.0)
        error = state.outcome.exception() if state.outcome is not None else None
        return max(seconds, error.retry_after_s) if isinstance(error, RateLimited) else seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str]
    body: bytes
    headers: Headers | None
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def route(self) -> str:
        """The name of the request for limits: without the id in its path."""
        path = "/data/order" if self.path.startswith("/data/order/") else self.path
        return f"{self.method} {path}"


def _seconds(written: str | None) -> float | None:
    """Return a Retry-After of whole seconds; the date form and nonsense count as absent."""
    if written is None or not written.isascii() or not written.isdigit():
        return None
    return float(min(int(written[:6]), 3_600))


def json_object(reply: Reply, what: str) -> JsonObject:
    """Return the object in a reply; raises VenueProtocolError."""
    return as_object(decode_json(reply.body), what)
