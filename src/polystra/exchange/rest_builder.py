"""Builder API keys and builder trades, as far as a client that attributes no orders meets them.

What lives here: the life cycle of builder keys and the list of trades that carry one of a caller's
codes, which is empty as codes are not matched to callers here. What must not: trading keys (`auth`).

Routes and texts: Polymarket CLOB docs, API reference and resources/error-codes.
"""

from __future__ import annotations

import hashlib

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.core import ExchangeCore
from polystra.exchange.model import Refusal
from polystra.exchange.replies import Api, Call, json_reply, refused
from polystra.ports.clock import Clock

INVALID_REVOCATION = Refusal("invalid revoke builder api key body")
INVALID_REVOCATION_HEADERS = Refusal("invalid revoke builder api key headers")
INVALID_PARAMS = Refusal("invalid builder trade params")
BUILDER_HEADER = "POLY_BUILDER_API_KEY"


class _Revocation(msgspec.Struct, frozen=True):
    key: str


class BuilderApi(Api):
    """Builder keys by the address of their owner; kept in memory."""

    def __init__(self, core: ExchangeCore, clock: Clock, wall: Clock | None = None) -> None:
        super().__init__(core, clock, wall)
        self._keys: dict[str, list[str]] = {}
        self._made = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the builder routes."""
        return [
            web.post("/auth/builder-api-key", self.private(self._create)),
            web.get("/auth/builder-api-key", self.private(self._list)),
            web.delete("/auth/builder-api-key", self.private(self._revoke)),
            web.get("/builder/trades", self._trades),
        ]

    async def _create(self, call: Call) -> web.StreamResponse:
        self._made += 1
        digest = hashlib.sha256(f"builder:{call.key.address}:{self._made}".encode()).hexdigest()
        key = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
        self._keys.setdefault(call.key.address, []).append(key)
        return json_reply({"key": key, "secret": digest, "passphrase": digest[::-1]})

    async def _list(self, call: Call) -> web.StreamResponse:
        return json_reply([{"key": key} for key in self._keys.get(call.key.address, [])])

    async def _revoke(self, call: Call) -> web.StreamResponse:
        """The key comes in the body, or in the builder header when the body is empty."""
        own = self._keys.get(call.key.address, [])
        if call.body:
            try:
                key = msgspec.json.decode(call.body, type=_Revocation).key
            except msgspec.MsgspecError:
                return refused(INVALID_REVOCATION)
        else:
            key = call.request.headers.get(BUILDER_HEADER, "")
            if not key:
                return refused(INVALID_REVOCATION_HEADERS)
        if key not in own:
            return refused(Refusal(f"could not revoke the builder api key: {key[:80]}", 500))
        own.remove(key)
        return json_reply("OK")

    async def _trades(self, request: web.Request) -> web.StreamResponse:
        self.now()
        offset = payloads.cursor_offset(request.query.get("next_cursor") or payloads.FIRST_CURSOR)
        times = (request.query.get("before", ""), request.query.get("after", ""))
        if offset is None or not all(text == "" or text.isdigit() for text in times):
            return refused(INVALID_PARAMS)
        return json_reply(payloads.page([], offset))
