"""The table of routes: what exists under `/api/v1`, with its parameters and answers.

What lives here: the one list from which the server and its document are made. What must not: handlers.
"""

from __future__ import annotations

from typing import Final

from polystra.app.web import account, lists, probes
from polystra.app.web.route import Route

BASE: Final = "/api/v1"

ROUTES: Final[tuple[Route, ...]] = (
    Route(method="GET", path="/ping", summary="Is somebody there", handler=probes.ping, answer=probes.Ping),
    Route(
        method="GET",
        path="/status",
        summary="How the account stands now",
        handler=lists.get_status,
        answer=account.StatusAnswer,
    ),
    Route(
        method="GET",
        path="/snapshot",
        summary="Status, positions and resting orders in one object, as it is streamed",
        handler=lists.get_snapshot,
        answer=account.Snapshot,
    ),
    Route(
        method="GET",
        path="/health",
        summary="Loop, streams and readiness",
        handler=probes.health,
        answer=probes.HealthAnswer,
    ),
    Route(
        method="GET",
        path="/positions",
        summary="What is held now, with the book of this second and the time that is left",
        handler=lists.get_positions,
        answer=lists.PositionsPage,
    ),
    Route(
        method="GET",
        path="/orders",
        summary="Orders, newest first",
        handler=lists.get_orders,
        query=lists.OrdersQuery,
        answer=lists.OrdersPage,
    ),
)
