"""The table of routes: what exists under `/api/v1`, with its parameters and answers.

What lives here: the one list from which the server and its document are made. What must not: handlers.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polystra.app.profit import Profit
from polystra.app.web import account, actions, lists, probes, results, story, workings
from polystra.app.web.route import ById, Handler, Page, Route

BASE: Final = "/api/v1"


def _get(path: str, summary: str, **declared: Any) -> Route:  # noqa: ANN401 -- the fields of a Route
    return Route(method="GET", path=path, summary=summary, **declared)


def _post(path: str, summary: str, handler: Handler, body: type[msgspec.Struct] = actions.Nothing) -> Route:
    refusals = {409: "it cannot be done as things stand, or was not granted"}
    return Route(
        method="POST",
        path=path,
        summary=summary,
        handler=handler,
        answer=actions.Done,
        body=body,
        acts=True,
        refusals=refusals,
    )


ROUTES: Final[tuple[Route, ...]] = (
    _get("/ping", "Whether somebody is there", handler=probes.ping, answer=probes.Ping),
    _get("/status", "How the account stands now", handler=lists.get_status, answer=account.StatusAnswer),
    _get(
        "/snapshot",
        "Status, open positions and resting orders in one object, as it is streamed",
        handler=lists.get_snapshot,
        answer=account.Snapshot,
    ),
    _get("/health", "The engine's loop, the streams, readiness", handler=probes.health, answer=probes.HealthAnswer),
    _get("/balance", "Dollars and shares", handler=results.get_balance, answer=results.BalanceAnswer),
    _get(
        "/profit",
        "What was won and lost, after fees",
        handler=results.get_profit,
        query=results.ProfitQuery,
        answer=Profit,
    ),
    _get(
        "/daily",
        "The same by UTC day, today first",
        handler=results.get_daily,
        query=results.DailyQuery,
        answer=results.Days,
    ),
    _get(
        "/positions",
        "What is held, with the book of this second and the time that is left; then what was",
        handler=story.get_positions,
        query=story.PositionsQuery,
        answer=story.PositionsPage,
    ),
    _get(
        "/positions/{id}",
        "One position: why, path of price and fair value, every posting, orders, fills",
        handler=story.get_position,
        place=ById,
        answer=story.PositionStory,
        refusals={404: "no position or several have such an id"},
    ),
    _get("/orders", "Orders", handler=lists.get_orders, query=lists.OrdersQuery, answer=lists.OrdersPage),
    _get(
        "/orders/{id}",
        "The life of one order: decision, intent, requests and replies, events, fills, postings",
        handler=story.get_order,
        place=ById,
        answer=dict[str, Any],
        refusals={404: "no order or several have such an id"},
    ),
    _get(
        "/trades",
        "Positions that have ended, the one that ended last first",
        handler=results.get_trades,
        query=Page,
        answer=results.Trades,
    ),
    _get("/fills", "Fills with their settlement", handler=story.get_fills, query=Page, answer=story.FillsPage),
    _get(
        "/decisions",
        "Why entries were made and why not: both fusions, every gate",
        handler=story.get_decisions,
        query=story.DecisionsQuery,
        answer=story.DecisionsPage,
        refusals={404: "no such market is known"},
    ),
    _get(
        "/equity",
        "The path of the account against the day's loss limit",
        handler=results.get_equity,
        query=results.EquityQuery,
        answer=results.EquityAnswer,
    ),
    _get(
        "/calibration",
        "How good the forecasts behind entries were, beside the market's price",
        handler=results.get_calibration,
        answer=results.CalibrationAnswer,
    ),
    _get(
        "/markets",
        "Markets with their books and verdicts",
        handler=workings.get_markets,
        query=Page,
        answer=workings.MarketsPage,
    ),
    _get("/logs", "Lines of the log", handler=workings.get_logs, query=workings.LogsQuery, answer=workings.LogsPage),
    _get("/config", "Every setting, no secret", handler=workings.get_config, answer=workings.ConfigAnswer),
    _get(
        "/audit",
        "Requests that may have changed something, at the venue and here",
        handler=workings.get_audit,
        query=workings.AuditQuery,
        answer=workings.AuditPage,
    ),
    _get(
        "/forceexit",
        "What an exit would take at worst, from the book of this second",
        handler=actions.offers,
        query=actions.ExitQuery,
        answer=actions.ExitOffers,
        refusals={404: "no open position has such an id"},
    ),
    _post("/stop", "The kill switch: no entry leaves, resting entries are cancelled, exits go on", actions.stop),
    _post("/start", "Resume entries", actions.start),
    _post("/stopentry", "Make no new entries; what rests stays, exits go on", actions.stopentry),
    _post("/pause", "Make no new entries for a while", actions.pause, actions.PauseBody),
    _post("/forceexit", "Sell a position, or all, at the market now", actions.forceexit, actions.ExitBody),
    _post("/forceenter", "Buy an outcome at the market now; off by default", actions.forceenter, actions.EntryBody),
    _post("/reload_config", "Read the settings anew", actions.reload_config, actions.ReloadBody),
)
