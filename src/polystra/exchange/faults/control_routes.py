"""The operator's side door to faults: add, list, remove, and the log of what was injected.

What lives here: the routes under `/control/faults`, for clients on the same machine only. What must
not: what faults do.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.exchange.control import is_local
from polystra.exchange.faults.injector import Armed, Injector
from polystra.exchange.faults.plan import MILLION, FaultPlan, read_plan


class FaultControl:
    """The routes; a body of `POST /control/faults` is one entry of a scenario, as JSON."""

    def __init__(self, injector: Injector) -> None:
        self._injector = injector

    def add_routes(self, app: web.Application, prefix: str = "/control/faults") -> None:
        """Register the routes."""
        app.router.add_get(prefix, self._list)
        app.router.add_post(prefix, self._add)
        app.router.add_get(f"{prefix}/log", self._show_log)
        app.router.add_delete(f"{prefix}/{{id}}", self._remove)

    async def _list(self, request: web.Request) -> web.Response:
        return _outsider(request) or _reply({"faults": [_described(armed) for armed in self._injector.armed()]})

    async def _add(self, request: web.Request) -> web.Response:
        if (refusal := _outsider(request)) is not None:
            return refusal
        try:
            plan = read_plan(msgspec.json.decode(await request.read()), "the fault")
            return _reply({"id": self._injector.add(plan)})
        except (ConfigError, msgspec.MsgspecError) as error:
            return _reply({"error": str(error)}, status=400)

    async def _remove(self, request: web.Request) -> web.Response:
        if (refusal := _outsider(request)) is not None:
            return refusal
        fault_id = request.match_info["id"]
        if not self._injector.remove(fault_id):
            return _reply({"error": f"there is no fault {fault_id[:40]!r}; GET /control/faults lists them"}, status=404)
        return _reply({"removed": fault_id})

    async def _show_log(self, request: web.Request) -> web.Response:
        injector = self._injector
        body = {"injected": injector.injected, "hash": injector.digest, "log": injector.log}
        return _outsider(request) or _reply(body)


def _described(armed: Armed) -> dict[str, object]:
    plan: FaultPlan = armed.plan
    return {
        "id": armed.id,
        "fault": plan.kind,
        "note": plan.note,
        "probability": plan.probability_ppm / MILLION,
        "count": plan.count,
        "nth": plan.nth,
        "from": plan.from_ns / NS_PER_S,
        "until": None if plan.until_ns is None else plan.until_ns / NS_PER_S,
        "where": plan.where,
        "with": plan.parameters,
        "seen": armed.seen,
        "hits": armed.hits,
    }


def _outsider(request: web.Request) -> web.Response | None:
    if is_local(request.remote):
        return None
    return _reply({"error": "the control routes answer only to clients on the same machine"}, status=403)


def _reply(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
