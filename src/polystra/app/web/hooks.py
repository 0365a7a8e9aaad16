"""Inbound hooks: alerts of charting services and scripts, `POST /hooks/{name}/{path_secret}`.

What lives here: who sends, how often, how old it is and how large; then the signal goes to the engine and its answer
back. What must not: markets, limits of risk, orders (`engine/signals`).

A sender proves itself twice: by a secret part of the path and by a secret in the body. A wrong path is answered like
any place that is not there. Statuses: 202 taken, 400 malformed, 401 wrong body secret, 403 not allowed, 404 unknown,
409 repeated, 413 too long, 422 stale or not possible now, 429 too often, 503 not answered (ask again with the same id:
it is carried out once).
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated, Final

import msgspec
from aiohttp import web

from polystra.app.hook_file import Hook
from polystra.app.web.guard import Rate, read_text
from polystra.app.web.refusal import Refused
from polystra.app.web.route import read_body
from polystra.app.web.site import iso
from polystra.domain.events import SignalAct, SignalReceived
from polystra.domain.facts import RequestAnswered
from polystra.domain.market import Outcome
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros, parse_micros
from polystra.domain.wishes import SIGNAL_PREFIX
from polystra.engine.signals import REPEATED
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log
from polystra.runtime.signal_desk import SignalDesk

LONGEST_SIGNAL: Final = 4_096
WRONG_PER_MINUTE: Final = 10
AHEAD_S: Final = 5
"""A sender's clock may be this far ahead of ours."""
PATIENCE_S: Final = 10.0
_MILLISECONDS_FROM: Final = 100_000_000_000
_TEXT: Final = r"^[!-~]+\Z"
_AMOUNT: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_LATEST: Final = 100_000_000_000_000


class SignalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sender writes. Amounts are decimal dollars as text: JSON has no exact fractions."""

    secret: Annotated[str, msgspec.Meta(max_length=128, description="the hook's secret")]
    id: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=100,
            pattern=_TEXT,
            description="a name of its own for each signal, up to 100 characters without spaces",
        ),
    ]
    time: Annotated[
        str | int,
        msgspec.Meta(description="when it was sent: ISO 8601 in UTC like {{timenow}}, or seconds since 1970"),
    ]
    action: Annotated[SignalAct, msgspec.Meta(description="open, add or close")]
    market: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=100, pattern=_TEXT, description="a slug, a condition id, or like BTC/15m"
        ),
    ]
    outcome: Annotated[str, msgspec.Meta(pattern=r"^(?i:up|down)?\Z", description="up or down")] = ""
    dollars: Annotated[str | int, msgspec.Meta(description='dollars to spend at most, as text like "5.50"')] = ""
    worst_price: Annotated[str | int, msgspec.Meta(description='the highest price of a share, as text like "0.62"')] = (
        ""
    )


class SignalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a signal that was taken. An order that was made is not a fill: look at its state."""

    request: str
    orders: tuple[str, ...]
    done: str


class HookDoor:
    """See the module docstring. `clock` is the run's, `real` the system's."""

    def __init__(self, hooks: Sequence[Hook], desk: SignalDesk, *, clock: Clock, real: Clock, log: Log) -> None:
        self._hooks = {hook.name: hook for hook in hooks}
        self._desk = desk
        self._clock = clock
        self._real = real
        self._log = log
        self._wrong_paths = Rate(WRONG_PER_MINUTE, real)
        self._wrong = Rate(WRONG_PER_MINUTE, real)
        """Of the body. Two counts, because a proxy's clients share its address: strangers silence no sender."""
        self._signals = {hook.name: Rate(hook.per_minute, real) for hook in hooks}
        self._told = Rate(1, real)
        """Of each kind of refusal one line a minute."""

    def mount(self, app: web.Application) -> None:
        """Take signals."""
        app.router.add_post("/hooks/{name}/{path_secret}", self._handle)

    # --- inside -----------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        client = request.remote or "unknown"
        name = request.match_info["name"]
        try:
            return await self._take(request, name, client)
        except Refused as refused:
            self._tell(refused, name, client)
            raise

    async def _take(self, request: web.Request, name: str, client: str) -> web.Response:
        hook = self._sender(name, request.match_info["path_secret"], client)
        wait_s = self._signals[hook.name].wait_s("")
        if wait_s:
            raise Refused(429, f"more than {hook.per_minute} signals within a minute: try again in {wait_s} s")
        self._signals[hook.name].add("")
        body = self._body(await _read(request), hook, client)
        signal = self._signal(body, hook)
        answer = await self._ask(signal)
        if answer.refusal:
            status = HTTPStatus.CONFLICT if answer.refusal == REPEATED else HTTPStatus.UNPROCESSABLE_ENTITY
            raise _Answered(status, answer.refusal)
        done = "an order was made; whether it fills, the venue says" if answer.orders else "what is held is being sold"
        told = SignalAnswer(request=answer.request_id, orders=tuple(map(str, answer.orders)), done=done)
        return web.Response(body=msgspec.json.encode(told), status=202, content_type="application/json")

    def _sender(self, name: str, path_secret: str, client: str) -> Hook:
        hook = self._hooks.get(name)
        if not hmac.compare_digest(path_secret.encode(), (hook.path_secret if hook else "").encode()) or hook is None:
            self._check_guesses(self._wrong_paths, client)
            self._wrong_paths.add(client)
            raise Refused(404, "there is nothing here")
        self._check_guesses(self._wrong, client)
        if hook.allow and not _is_within(client, hook):
            raise Refused(403, f"{client} may not use this hook: add it to allow in HOOKS_FILE")
        return hook

    @staticmethod
    def _check_guesses(wrong: Rate, client: str) -> None:
        wait_s = wrong.wait_s(client)
        if wait_s:
            raise Refused(429, f"too many wrong secrets: try again in {wait_s} s", after_s=wait_s)

    def _body(self, text: bytes, hook: Hook, client: str) -> SignalBody:
        body = msgspec.convert(read_body(SignalBody, text), SignalBody)
        if not hmac.compare_digest(body.secret.encode(), hook.secret.encode()):
            self._wrong.add(client)
            raise Refused(401, "secret is wrong: send the one of HOOKS_FILE")
        return body

    def _signal(self, body: SignalBody, hook: Hook) -> SignalReceived:
        self._check_age(body.time, hook)
        if body.action not in hook.acts:
            raise Refused(403, f"action is {body.action}, which this hook may not: see actions in HOOKS_FILE")
        if hook.markets and body.market not in hook.markets:
            raise Refused(403, f"market is {body.market}, which this hook may not trade: see markets in HOOKS_FILE")
        outcome = Outcome(body.outcome.upper()) if body.outcome else None
        budget = price = 0
        if body.action is not SignalAct.CLOSE:
            if outcome is None:
                raise Refused(400, f"outcome is missing: {body.action} needs up or down")
            budget = _amount(body.dollars, "dollars")
            price = _amount(body.worst_price, "worst_price")
            if budget > hook.max_budget:
                most = format_micros(hook.max_budget)
                raise Refused(422, f"dollars is {format_micros(budget)}, and this hook may spend {most} a signal")
        return SignalReceived(
            request_id=f"{SIGNAL_PREFIX}{hook.name}:{body.id}",
            hook=f"hook {hook.name}",
            act=body.action,
            market=body.market,
            outcome=outcome,
            price=price,
            budget=budget,
            rehearsal=not hook.live,
        )

    def _check_age(self, time: str | int, hook: Hook) -> None:
        now_ns = self._clock.now_ns()
        sent_ns = _sent_ns(time)
        if not now_ns - hook.max_age_s * NS_PER_S <= sent_ns <= now_ns + AHEAD_S * NS_PER_S:
            raise Refused(
                422, f"time is {iso(sent_ns)} and it is {iso(now_ns)} here: a signal counts for {hook.max_age_s} s"
            )

    async def _ask(self, signal: SignalReceived) -> RequestAnswered:
        try:
            waiting = asyncio.wrap_future(self._desk.send(signal))
            async with self._real.timeout(PATIENCE_S):
                return await waiting
        except (RuntimeError, TimeoutError):
            raise Refused(503, "the daemon did not answer in time: send it again with the same id") from None

    def _tell(self, refused: Refused, name: str, client: str) -> None:
        """One line a minute of each kind; what the engine refused stands in its own line."""
        known = name if name in self._hooks else "unknown"
        kind = f"{known} {refused.status} {client}"
        if isinstance(refused, _Answered) or self._told.wait_s(kind):
            return
        self._told.add(kind)
        self._log.warning(
            LogEvent.HOOK_REFUSED, hook=known, address=client, status=refused.status, reason=refused.sentence
        )


class _Answered(Refused):
    """Refused by the engine, which has told it."""


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > LONGEST_SIGNAL:
        raise Refused(413, f"the body is longer than {LONGEST_SIGNAL} bytes: send less")
    text = await read_text(request)
    if len(text) > LONGEST_SIGNAL:
        raise Refused(413, f"the body is longer than {LONGEST_SIGNAL} bytes: send less")
    return text


def _is_within(client: str, hook: Hook) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in hook.allow)


def _amount(told: str | int, field: str) -> MicroDollars:
    amount = parse_micros(told, field=field) if _AMOUNT.fullmatch(str(told)) else 0
    if amount <= 0:
        raise Refused(400, f"{field} does not fit: expected a decimal number above 0 with at most six places")
    return amount


def _sent_ns(time: str | int) -> Nanos:
    """The sender's time; raises Refused."""
    try:
        if isinstance(time, int) or time.isdecimal():
            seconds = int(str(time)[:20])
            if not 0 <= seconds < _LATEST:
                raise ValueError("too far away")
            return seconds * NS_PER_S // 1_000 if seconds >= _MILLISECONDS_FROM else seconds * NS_PER_S
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None:
            raise ValueError("without a zone")
        return int(moment.astimezone(UTC).timestamp()) * NS_PER_S
    except (ValueError, OverflowError):
        raise Refused(
            400, "time does not fit: expected ISO 8601 in UTC like 2026-11-21T09:30:00Z, or seconds"
        ) from None
