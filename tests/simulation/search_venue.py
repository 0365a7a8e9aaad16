"""What the other side saw: each order that left the daemon, and what the exchange made of it.

What lives here: the tap on the wire and the exchange's own word on our orders, kept over deaths and
restarts. What must not: judging (`search_invariants`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import aiohttp

from polystra.app.wiring import endless_session
from polystra.domain.market import SIZE_STEP
from polystra.exchange.core import CoreEvent
from polystra.exchange.model import OrderEvent, OrderView

_SALT = re.compile(rb'"salt":\s*"?(\d+)')


class VenueEye:
    """The exchange's orders of one API key; a listener of the exchange's core."""

    def __init__(self) -> None:
        self.owner = ""
        self.orders: dict[str, OrderView] = {}
        self.killed: set[str] = set()
        self.on_lives: Callable[[OrderView], None] | None = None

    def heard(self, event: CoreEvent) -> None:
        """Keep the newest view of each of our orders."""
        if not isinstance(event, OrderEvent) or not self.owner or event.order.owner != self.owner:
            return
        order = event.order
        self.orders[order.order_id] = order
        if event.killed:
            self.killed.add(order.order_id)
        elif self.on_lives is not None:
            self.on_lives(order)

    def matched(self, order_id: str) -> int:
        """Micro-shares that the exchange has matched of an order so far; 0 for one that it never took."""
        order = self.orders.get(order_id)
        return 0 if order is None or order_id in self.killed else order.size_matched

    def is_open(self, order_id: str) -> bool:
        """True while the order may trade there: more than a remainder below the venue's own step."""
        order = self.orders.get(order_id)
        may = order is not None and order.status == "LIVE" and order.remaining >= SIZE_STEP
        return may and order_id not in self.killed


def tapped_session(
    on_salt: Callable[[int], None],
    *,
    before: Callable[[str, str], Awaitable[None]] | None = None,
    after: Callable[[str, str], None] | None = None,
) -> Callable[[], aiohttp.ClientSession]:
    """Sessions that tell the salt of every signed order whose bytes leave the process.

    Args:
        on_salt: hears each salt as its bytes leave.
        before: is awaited with method and path before a request leaves.
        after: hears method and path of each request with a body when its bytes have left.
    """

    async def started(
        session: aiohttp.ClientSession, context: SimpleNamespace, begun: aiohttp.TraceRequestStartParams
    ) -> None:
        del session, context
        if before is not None:
            await before(begun.method, begun.url.path)

    async def chunk_sent(
        session: aiohttp.ClientSession, context: SimpleNamespace, sent: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        del session, context
        if sent.method == "POST":
            for salt in _SALT.findall(sent.chunk):
                on_salt(int(salt))
        if after is not None:
            after(sent.method, sent.url.path)

    def make() -> aiohttp.ClientSession:
        session = endless_session()
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(started)
        trace.on_request_chunk_sent.append(chunk_sent)
        trace.freeze()
        session.trace_configs.append(trace)
        return session

    return make
