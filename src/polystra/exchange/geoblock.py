"""Where a caller may trade from: the venue's geoblock check, and the operator's hand on it.

What lives here: `GET /api/geoblock` and `POST /control/geoblock`. What must not: refusing orders (that is
the edge's, on request by `/control/refusals`), looking addresses up.

Shape: Polymarket docs, geographic restrictions. The venue serves it on its website, not on the API's host.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from polystra.exchange.replies import Handler, json_reply


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every caller is told."""

    blocked: bool = False
    country: str = "IE"
    region: str = "L"


class Geoblock:
    """One verdict for all; loopback has no country."""

    def __init__(self) -> None:
        self._verdict = Verdict()

    def add_routes(self, app: web.Application) -> None:
        """Register the public route."""
        app.router.add_get("/api/geoblock", self._show)

    def control_routes(self) -> list[tuple[str, str, Handler]]:
        """Return (method, path, handler); the caller lets in whom it trusts."""
        return [("POST", "/control/geoblock", self._set)]

    async def _show(self, request: web.Request) -> web.StreamResponse:
        told = self._verdict
        return json_reply(
            {"blocked": told.blocked, "ip": request.remote or "", "country": told.country, "region": told.region}
        )

    async def _set(self, request: web.Request) -> web.StreamResponse:
        try:
            self._verdict = msgspec.json.decode(await request.read(), type=Verdict)
        except msgspec.MsgspecError as error:
            return json_reply({"error": str(error)}, 400)
        return json_reply(self._verdict)
