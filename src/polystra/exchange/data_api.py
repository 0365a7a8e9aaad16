"""The Data API of the built-in exchange: positions, trades, activity, resolutions, value.

What lives here: the routes under `/data-api/v2`, their parameters, envelope, cursors, errors and the
cache in front of them. What must not: the rows (`data_rows`), the books behind them (`positions`).

Contract: Polymarket docs, Data API v2 migration. Answers are as old as a content network's cache
makes them, so this is no fill feed. Parameter names of the cursor (`cursor`) and the shape of
`/v2/value` are ours, because they are not documented; version 1 is retired and not served.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from aiohttp import web

from polystra.exchange.core import ExchangeCore
from polystra.exchange.data_rows import (
    ACTIVITY_TYPES,
    STATUSES,
    Row,
    activity_rows,
    position_rows,
    resolution_row,
    trade_rows,
    value_row,
)
from polystra.exchange.model import DOLLAR, NS_PER_S
from polystra.exchange.payloads import encode
from polystra.exchange.state import Market
from polystra.ports.clock import Clock

MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100
MAX_CONDITIONS: Final = 20
DEFAULT_FILTER: Final = 100_000
CACHE_ENTRIES: Final = 2_000
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_DECIMAL: Final = re.compile(r"\d{1,12}(\.\d{1,6})?")

MarketByEvent: TypeAlias = Callable[[str], str | None]
"""From an event id to a condition id, None for an unknown one."""


class _BadParameter(Exception):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name
        self.problem = problem


class DataApi:
    """The data routes of one exchange; add them with `add_routes`."""

    def __init__(self, core: ExchangeCore, clock: Clock, market_by_event: MarketByEvent) -> None:
        self._core = core
        self._clock = clock
        self._market_by_event = market_by_event
        self._cache: dict[str, tuple[int, bytes]] = {}
        self._requests = 0

    def add_routes(self, app: web.Application, prefix: str = "/data-api") -> None:
        """Register the routes."""
        for name, answer, age in (
            ("positions", self._positions, "positions_cache_s"),
            ("value", self._value, "positions_cache_s"),
            ("activity", self._activity, "activity_cache_s"),
            ("trades", self._trades, "trades_cache_s"),
            ("resolutions", self._resolutions, ""),
        ):
            app.router.add_get(f"{prefix}/v2/{name}", self._handler(answer, age))

    def _handler(self, answer: Callable[[web.Request], object], age: str) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.StreamResponse:
            now_ns = self._clock.now_ns()
            self._core.advance(now_ns)
            self._requests += 1
            trace = hashlib.sha256(f"{self._requests}|{request.path_qs}".encode()).hexdigest()[:32]
            cached = self._cache.get(request.path_qs)
            if cached is not None and now_ns < cached[0]:
                return _reply(cached[1], trace)
            try:
                if "offset" in request.query:
                    raise _BadParameter("offset", "offset is not supported; page with the cursor")
                body = encode(answer(request))
            except _BadParameter as error:
                return _refused(error, trace)
            age_s = getattr(self._core.desk.rules, age) if age else 0
            if age_s:
                self._remember(request.path_qs, now_ns + age_s * NS_PER_S, body)
            return _reply(body, trace)

        return handler

    def _remember(self, key: str, until_ns: int, body: bytes) -> None:
        self._cache.pop(key, None)
        while len(self._cache) >= CACHE_ENTRIES:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = (until_ns, body)

    # -- routes ----------------------------------------------------------------------------------

    def _positions(self, request: web.Request) -> object:
        user, conditions = _user(request), _conditions(request)
        if user is None and not conditions:
            raise _BadParameter("user", "user or condition is required")
        statuses = _words(request, "status", STATUSES)
        kind = request.query.get("filter_type", "TOKENS")
        if kind not in {"TOKENS", "CASH"}:
            raise _BadParameter("filter_type", "filter_type must be TOKENS or CASH")
        least = _micros(request, "filter_amount", DEFAULT_FILTER)
        rows = position_rows(self._core, user, conditions, statuses, in_cash=kind == "CASH", least=least)
        return _page(request, rows)

    def _trades(self, request: web.Request) -> object:
        user, conditions = _user(request), _conditions(request)
        side = request.query.get("side", "")
        if side not in {"", "BUY", "SELL"}:
            raise _BadParameter("side", "side must be BUY or SELL")
        only = request.query.get("taker_only", "true")
        if only not in {"true", "false"}:
            raise _BadParameter("taker_only", "taker_only must be true or false")
        rows = trade_rows(self._core, user, conditions, side, taker_only=only == "true")
        return _page(request, _between(request, rows))

    def _activity(self, request: web.Request) -> object:
        user = _user(request)
        if user is None:
            raise _BadParameter("user", "user is required")
        kinds = _words(request, "type", ACTIVITY_TYPES)
        return _page(request, _between(request, activity_rows(self._core, user, kinds)))

    def _resolutions(self, request: web.Request) -> object:
        asked = {
            name: request.query[name] for name in ("condition", "question_id", "event_id") if name in request.query
        }
        if len(asked) != 1:
            raise _BadParameter("condition", "exactly one of condition, question_id and event_id is required")
        ((name, value),) = asked.items()
        condition_id = self._market_by_event(value) if name == "event_id" else value.lower()
        market: Market | None = self._core.markets.get(condition_id or "")
        return _envelope(None if market is None else resolution_row(market))

    def _value(self, request: web.Request) -> object:
        user = _user(request)
        if user is None:
            raise _BadParameter("user", "user is required")
        return _envelope(value_row(self._core, user))


def _envelope(data: object, following: str | None = None) -> object:
    return {"data": data, "pagination": {"has_more": following is not None, "next_cursor": following}}


def _page(request: web.Request, rows: Sequence[Row]) -> object:
    limit = _whole(request, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise _BadParameter("limit", f"limit must be between 1 and {MAX_LIMIT}")
    start = _start(request.query.get("cursor", ""))
    end = start + limit
    following = base64.urlsafe_b64encode(f"after:{end}".encode()).decode() if end < len(rows) else None
    return _envelope([row.body for row in rows[start:end]], following)


def _start(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except ValueError as error:
        raise _BadParameter("cursor", "cursor is not one of ours") from error
    if word != "after" or not number.isascii() or not number.isdigit():
        raise _BadParameter("cursor", "cursor is not one of ours")
    return int(number)


def _between(request: web.Request, rows: Sequence[Row]) -> list[Row]:
    start, end = _whole(request, "start", 0), _whole(request, "end", 1 << 62)
    return [row for row in rows if start <= row.at_ns // NS_PER_S <= end]


def _user(request: web.Request) -> str | None:
    user = request.query.get("user")
    if user is not None and not _ADDRESS.fullmatch(user):
        raise _BadParameter("user", "user must be 0x and 40 hexadecimal digits")
    return None if user is None else user.lower()


def _conditions(request: web.Request) -> list[str]:
    text = request.query.get("condition", "")
    found = [each.lower() for each in text.split(",") if each]
    if len(found) > MAX_CONDITIONS:
        raise _BadParameter("condition", f"at most {MAX_CONDITIONS} conditions")
    return found


def _words(request: web.Request, name: str, known: Sequence[str]) -> list[str]:
    found = [each for each in request.query.get(name, "").split(",") if each]
    for each in found:
        if each not in known:
            raise _BadParameter(name, f"{name} must be among {', '.join(known)}")
    return found


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise _BadParameter(name, f"{name} must be a whole number")
    return int(text)


def _micros(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not _DECIMAL.fullmatch(text):
        raise _BadParameter(name, f"{name} must be a decimal number")
    whole, _, fraction = text.partition(".")
    return int(whole) * DOLLAR + int(fraction.ljust(6, "0") or "0")


def _reply(body: bytes, trace: str) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={"x-trace-id": trace})


def _refused(error: _BadParameter, trace: str) -> web.Response:
    body = {
        "error": error.problem,
        "code": "invalid_parameter",
        "retryable": False,
        "trace_id": trace,
        "parameter": error.name,
    }
    return web.Response(body=encode(body), status=400, content_type="application/json", headers={"x-trace-id": trace})
