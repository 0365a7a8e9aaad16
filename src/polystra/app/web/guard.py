"""Who may ask and who may act: the server's name, the page's origin, the token, and how often.

What lives here: the checks before a handler. What must not: what an action does. A browser that was lured elsewhere
cannot act: there are no cookies, an action needs a header that another page cannot send, JSON as its content type, and
an origin that is the server's own. A name that points at this machine (DNS rebinding) is not the server's name.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from polystra.app.web.refusal import Refused
from polystra.app.web.route import shown
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock

WRONG_TOKENS_PER_MINUTE: Final = 10
"""By one address; six times as many by all."""
ACTIONS_PER_MINUTE: Final = 60
_MINUTE_NS: Final = 60 * NS_PER_S
_ALL: Final = ""
_ADDRESSES_KEPT: Final = 1_000
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


class Rate:
    """Counts happenings of the last minute, by address; the addresses that were quiet longest are forgotten."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._times: OrderedDict[str, deque[Nanos]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Seconds until one more is within the limit; 0: now."""
        times = self._times.get(address)
        now_ns = self._clock.monotonic_ns()
        while times and times[0] <= now_ns - _MINUTE_NS:
            times.popleft()
        if not times or len(times) < self._limit:
            return 0
        return max(1, -(-(times[0] + _MINUTE_NS - now_ns) // NS_PER_S))

    def add(self, address: str) -> None:
        """One more."""
        times = self._times.setdefault(address, deque(maxlen=self._limit))
        self._times.move_to_end(address)
        times.append(self._clock.monotonic_ns())
        while len(self._times) > _ADDRESSES_KEPT:
            self._times.popitem(last=False)


class Guard:
    """See the module docstring. An empty `token`: nobody may act."""

    def __init__(self, *, token: str, host: str, allowed: Iterable[str], clock: Clock) -> None:
        self._token = token.encode()
        self._names = {name.lower() for name in (*_LOCAL, host, *allowed)}
        self._wrong = Rate(WRONG_TOKENS_PER_MINUTE, clock)
        self._wrong_by_all = Rate(6 * WRONG_TOKENS_PER_MINUTE, clock)
        self._actions = Rate(ACTIONS_PER_MINUTE, clock)
        self._told = Rate(1, clock)
        self.wrong_tokens = 0

    def check_place(self, request: web.BaseRequest) -> None:
        """Refuse a request that names another server, or comes from another page."""
        host = request.headers.get("Host", "")
        name = _name(host)
        if name not in self._names:
            raise Refused(
                403, f"Host is {shown(host)}, which is none of this server's names: use 127.0.0.1, or API_ALLOWED_HOSTS"
            )
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_ours = origin is None or _place(origin) == host.lower()
        if not is_ours or site not in ("none", "same-origin"):
            raise Refused(403, "the request comes from another page: open the dashboard itself, or ask without Origin")

    def check_actor(self, request: web.BaseRequest, client: str) -> None:
        """Refuse an action without the token, and whoever tries too often."""
        wait_s = max(self._wrong.wait_s(client), self._wrong_by_all.wait_s(_ALL))
        if wait_s:
            raise Refused(429, f"too many actions without the right token: try again in {wait_s} s", after_s=wait_s)
        if not self._token:  # counted, because each refusal is a row of the audit
            self._count_wrong(client)
            raise Refused(403, "no action is taken: API_TOKEN is empty; set it in .env and start the daemon anew")
        given = _token(request)
        if not hmac.compare_digest(given, self._token):
            self.wrong_tokens += 1
            self._count_wrong(client)
            what = "the token is wrong" if given else "this needs the token"
            raise Refused(401, f"{what}: send API_TOKEN as Authorization: Bearer, or as X-API-Token")
        wait_s = self._actions.wait_s(client)
        if wait_s:
            raise Refused(
                429, f"more than {ACTIONS_PER_MINUTE} actions within a minute: try again in {wait_s} s", after_s=wait_s
            )
        self._actions.add(client)

    def tells_flood(self) -> bool:
        """True once a minute: a flood is told, not each of its drops."""
        if self._told.wait_s(_ALL):
            return False
        self._told.add(_ALL)
        return True

    def _count_wrong(self, client: str) -> None:
        self._wrong.add(client)
        self._wrong_by_all.add(_ALL)


def check_json(request: web.BaseRequest) -> None:
    """Refuse an action whose body another page could send without asking the browser."""
    if request.content_type != "application/json":
        raise Refused(415, "an action needs content-type application/json, with an object as its body ({} if empty)")


async def read_text(request: web.BaseRequest) -> bytes:
    """The body; raises Refused (400) where its transfer is broken."""
    try:
        return await request.read()
    except web.RequestPayloadError:
        raise Refused(400, "the body is broken off or misshapen: send it whole, with its content-length") from None


def _place(origin: str) -> str:
    """The name and port of an Origin header; empty when it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _token(request: web.BaseRequest) -> bytes:
    """What was sent as the token; empty when nothing was."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    given = credentials.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Token", "").strip()
    return given.encode("utf-8", "surrogateescape")
