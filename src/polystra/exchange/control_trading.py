"""The operator's hand on the trading side: modes, forced refusals, grids, verdicts.

What lives here: the routes `/control/mode`, `/control/refusals`, `/control/tick-size` and
`/control/verdict`, which no real venue has. What must not: clock, books, wallets (`control`).
"""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.core import ExchangeCore
from polystra.exchange.forced import PLACEMENT
from polystra.exchange.modes import Mode
from polystra.exchange.replies import Handler, json_reply
from polystra.exchange.world import World
from polystra.ports.clock import Clock

MODES = {mode.value: mode for mode in Mode}
PAYOUTS = {"up": MICRO, "down": 0, "half": MICRO // 2}


class ModeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mode to enter, and for how long; `seconds` missing takes the usual length."""

    mode: Literal["normal", "restarting", "post-only", "cancel-only", "disabled"]
    seconds: int | None = None


class RefusalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refusal for the next calls of a route (`GET /data/orders`), or for the next placements."""

    text: str
    status: int = 400
    count: int = 1
    route: str = PLACEMENT


class TickRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finer grid for a market; the tick in millionths."""

    market: str
    tick_size: int


class VerdictRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market's verdict by the slug; `late_s` puts its resolution off by so many seconds from now."""

    slug: str
    verdict: Literal["up", "down", "half", "reverse", "as proposed"] = "as proposed"
    late_s: int = 0


class TradingControl:
    """The routes, bound to one exchange and its world."""

    def __init__(self, core: ExchangeCore, world: World, clock: Clock) -> None:
        self._core = core
        self._world = world
        self._clock = clock

    def routes(self, prefix: str = "/control") -> list[tuple[str, str, Handler]]:
        """Return (method, path, handler); the caller lets in whom it trusts."""
        return [
            ("GET", f"{prefix}/mode", self._show_mode),
            ("POST", f"{prefix}/mode", self._enter_mode),
            ("POST", f"{prefix}/refusals", self._force_refusal),
            ("POST", f"{prefix}/tick-size", self._refine),
            ("POST", f"{prefix}/verdict", self._judge),
        ]

    async def _show_mode(self, _request: web.Request) -> web.StreamResponse:
        now_ns = self._clock.now_ns()
        mode, until_ns = self._core.modes.at(now_ns), self._core.modes.until_ns(now_ns)
        left_s = None if until_ns is None else max(0, -(-(until_ns - now_ns) // NS_PER_S))
        return json_reply({"mode": mode.value, "seconds": left_s})

    async def _enter_mode(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(await request.read(), type=ModeRequest)
        except msgspec.MsgspecError as error:
            return _misread(error)
        if wanted.seconds is not None and wanted.seconds < 1:
            return json_reply({"error": f"seconds is {wanted.seconds}, expected one or more, or none"}, 400)
        self._core.modes.enter(MODES[wanted.mode], self._clock.now_ns(), wanted.seconds)
        return await self._show_mode(request)

    async def _force_refusal(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(await request.read(), type=RefusalRequest)
            self._core.force_refusal(wanted.text, wanted.status, wanted.count, wanted.route)
        except (msgspec.MsgspecError, ConfigError) as error:
            return _misread(error)
        return json_reply(wanted)

    async def _refine(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(await request.read(), type=TickRequest)
            if wanted.market not in self._core.markets or wanted.tick_size < 1:
                raise ConfigError(f"market {wanted.market[:80]} is not listed, or the tick is no positive number")
            self._core.set_tick_size(wanted.market, wanted.tick_size, self._clock.now_ns())
        except (msgspec.MsgspecError, ConfigError) as error:
            return _misread(error)
        return json_reply(wanted)

    async def _judge(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = msgspec.json.decode(await request.read(), type=VerdictRequest)
            if self._world.by_slug(wanted.slug) is None:
                raise ConfigError(f"market {wanted.slug[:80]} is not listed; name one by its slug")
            if wanted.late_s < 0:
                raise ConfigError(f"late_s is {wanted.late_s}, expected zero or more")
            if wanted.late_s:
                self._world.postpone(wanted.slug, self._clock.now_ns() + wanted.late_s * NS_PER_S)
            if wanted.verdict == "reverse":
                self._world.reverse(wanted.slug)
            elif wanted.verdict in PAYOUTS:
                self._world.overrule(wanted.slug, PAYOUTS[wanted.verdict])
        except (msgspec.MsgspecError, ConfigError) as error:
            return _misread(error)
        return json_reply(wanted)


def _misread(error: Exception) -> web.Response:
    return json_reply({"error": str(error)}, 400)
