"""The operator's side door of the built-in exchange: clock, books, wallets, shutdown.

What lives here: the routes under `/control`, which no real venue has. They answer only to clients
on the same machine. What must not: anything that a trading client needs; it must run against the
real venue too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import msgspec
from aiohttp import web

from polystra.domain.errors import ConfigError
from polystra.domain.units import Nanos
from polystra.exchange.core import ExchangeCore
from polystra.ports.clock import Clock

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How simulated time runs: it is `epoch_ns` at the real instant `anchor_ns` and `speed` times as fast.

    `anchor_ns` and `speed` are None on a virtual clock, which nobody else can share.
    """

    mode: str
    epoch_ns: Nanos
    anchor_ns: Nanos | None = None
    speed: float | None = None


class WalletRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A contract wallet (signature type 1 proxy, 2 Safe, 3 deposit wallet) and the key that owns it."""

    owner: str
    wallet: str
    signature_type: int


class Control:
    """The control routes of one exchange; `shutdown_requested` is set by `POST /control/shutdown`."""

    def __init__(self, core: ExchangeCore, clock: Clock, pace: Pace) -> None:
        self._core = core
        self._clock = clock
        self._pace = pace
        self.shutdown_requested = asyncio.Event()

    def add_routes(self, app: web.Application, prefix: str = "/control") -> None:
        """Register the routes."""
        app.router.add_get(f"{prefix}/clock", _local_only(self._show_clock))
        app.router.add_get(f"{prefix}/books", _local_only(self._show_books))
        app.router.add_post(f"{prefix}/wallets", _local_only(self._register_wallet))
        app.router.add_post(f"{prefix}/shutdown", _local_only(self._shut_down))

    def add_more(self, app: web.Application, table: Iterable[tuple[str, str, _Handler]]) -> None:
        """Register routes of other modules, (method, path, handler), for clients on this machine only."""
        for method, path, handler in table:
            app.router.add_route(method, path, _local_only(handler))

    async def _show_clock(self, _request: web.Request) -> web.Response:
        pace = self._pace
        return _reply(
            {
                "mode": pace.mode,
                "epoch_ns": pace.epoch_ns,
                "anchor_ns": pace.anchor_ns,
                "speed": pace.speed,
                "now_ns": self._clock.now_ns(),
            }
        )

    async def _show_books(self, _request: web.Request) -> web.Response:
        return _reply(self._core.books())

    async def _register_wallet(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=WalletRequest)
        except msgspec.MsgspecError as error:
            return _refused(f"expected owner, wallet and signature_type ({error})")
        for name, address in (("owner", wanted.owner), ("wallet", wanted.wallet)):
            if not _ADDRESS.fullmatch(address):
                return _refused(f"{name} is {address[:60]!r}, expected 0x and 40 hexadecimal digits")
        try:
            self._core.register_wallet(wanted.owner, wanted.wallet, wanted.signature_type)
        except ConfigError as error:
            return _refused(str(error))
        return _reply(wanted)

    async def _shut_down(self, _request: web.Request) -> web.Response:
        self.shutdown_requested.set()
        return _reply({"stopping": True})


def is_local(remote: str | None) -> bool:
    """Tell whether a peer address is this machine's own."""
    if remote is None:
        return False
    try:
        return ip_address(remote.split("%")[0]).is_loopback
    except ValueError:
        return False


def _local_only(handler: _Handler) -> _Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if not is_local(request.remote):
            return _reply({"error": "the control routes answer only to clients on the same machine"}, status=403)
        return await handler(request)

    return guarded


def _refused(problem: str) -> web.Response:
    return _reply({"error": problem}, status=400)


def _reply(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
