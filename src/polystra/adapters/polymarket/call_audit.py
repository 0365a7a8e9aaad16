"""What the adapter tells the audit of requests: one call for every attempt that may change something.

What lives here: which requests are kept, which orders one was about, the word for what came of it.
What must not: hiding of secrets (`redaction`), sending (`transport`), storing.

A command opens a trace around its requests, however often they are repeated inside; when it knows its
outcomes it gives them to the trace. The last request that an order was in gets the order's outcome,
those before it the word for their own answer. Requests outside a trace stand for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from polystra.adapters.polymarket.decode_account import cancel_answer
from polystra.adapters.polymarket.error_catalogue import (
    DROPPED_STALE,
    DUPLICATED,
    NEVER_LEFT,
    WITHDRAWN,
)
from polystra.adapters.polymarket.error_classes import ErrorClass
from polystra.adapters.polymarket.errors import classify
from polystra.adapters.polymarket.redaction import Redaction
from polystra.adapters.polymarket.transport import OK, Attempt
from polystra.domain.errors import VenueProtocolError, VenueUnreachable
from polystra.domain.events import (
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    IdMismatch,
    SubmitAccepted,
    SubmitOutcome,
    SubmitRefused,
    SubmitUnknown,
)
from polystra.domain.ids import OrderId
from polystra.ports.audit import ApiAudit, ApiCall

_OUR_OWN: Final = frozenset({DROPPED_STALE.code, WITHDRAWN.code})
_REFRESH: Final = "/balance-allowance/update"
_ONE_ORDER: Final = "/data/order/"
IN_DOUBT: Final = "in doubt"
NOT_SENT: Final = "not sent"
DUPLICATE: Final = "duplicate"
FAILED: Final = "failed"
"""A question was not answered: nothing is known of it, and nothing changed."""
NOT_YET: Final = "not yet"
"""The venue answered with a "not now", and the order was sent again or dropped."""
OK_WORD: Final = "ok"


@dataclass(slots=True, eq=False)
class Trace:
    """The requests of one command. `marks` are the bytes by which each order is found in a request."""

    marks: Mapping[OrderId, bytes]
    attempts: list[Attempt] = field(default_factory=list)
    outcomes: list[SubmitOutcome | CancelOutcome] = field(default_factory=list)
    """What has become known so far."""


_TRACE: ContextVar[Trace | None] = ContextVar("polystra_call_trace", default=None)


class CallAudit:
    """Turns attempts into calls of the audit, if there is one. `observe` is what a transport is given."""

    def __init__(self, audit: ApiAudit | None, redaction: Redaction) -> None:
        self._audit = audit
        self._redaction = redaction

    def observe(self, attempt: Attempt) -> None:
        """Take an attempt: for the open trace, or as a call by itself. Reads that change nothing are left out."""
        if self._audit is None:
            return
        path = attempt.path.partition("?")[0]
        trace = _TRACE.get()
        if attempt.method != "GET" and trace is not None:
            trace.attempts.append(attempt)
        elif attempt.method == "GET" and path.startswith(_ONE_ORDER):
            word = _found_word(attempt)
            self._record(attempt, word, {OrderId(path.removeprefix(_ONE_ORDER)): word})
        elif path == _REFRESH:
            self._record(attempt, OK_WORD if _is_good(attempt) else FAILED, {})
        elif attempt.method != "GET":
            self._record(attempt, answer_word(attempt), _cancelled(attempt))

    @contextmanager
    def trace(self, marks: Mapping[OrderId, bytes]) -> Iterator[Trace]:
        """Gather the requests of a command about these orders; they are recorded when the block ends."""
        trace = Trace(marks)
        token = _TRACE.set(trace)
        try:
            yield trace
        finally:
            _TRACE.reset(token)
            self._close(trace)

    # --- inside -----------------------------------------------------------------------

    def _close(self, trace: Trace) -> None:
        words = {_order_id(outcome): outcome_word(outcome) for outcome in trace.outcomes if not _is_our_own(outcome)}
        went_on = {_order_id(outcome) for outcome in trace.outcomes if _is_our_own(outcome)}
        calls: list[tuple[Attempt, dict[OrderId, str]]] = []
        for attempt in reversed(trace.attempts):
            own = answer_word(attempt)
            orders: dict[OrderId, str] = {}
            for order_id in (each for each, mark in trace.marks.items() if mark in attempt.body):
                unread = NOT_YET if order_id in went_on else IN_DOUBT
                orders[order_id] = words.pop(order_id, unread if own == OK_WORD else own)
            went_on.update(orders)
            calls.append((attempt, orders))
        for attempt, orders in reversed(calls):
            self._record(attempt, _summary(orders.values()) or answer_word(attempt), orders)

    def _record(self, attempt: Attempt, outcome: str, orders: Mapping[OrderId, str]) -> None:
        if self._audit is None:
            return
        reply = attempt.reply
        if reply is not None:
            told = self._redaction.text(reply.body)
        else:
            told = self._redaction.words(str(attempt.error) if attempt.error else "given up before an answer came")
        self._audit.record(
            ApiCall(
                at_ns=attempt.at_ns,
                method=attempt.method,
                path=self._redaction.words(attempt.path),
                latency_ns=attempt.latency_ns,
                status=None if reply is None else reply.status,
                request=self._redaction.text(attempt.body),
                reply=told,
                outcome=outcome,
                orders=tuple(orders.items()),
            )
        )


def outcome_word(outcome: SubmitOutcome | CancelOutcome) -> str:
    """Return the audit's word for what came of an order."""
    match outcome:
        case SubmitAccepted():
            return outcome.status.lower()
        case SubmitRefused() if outcome.code == NEVER_LEFT.code:
            return NOT_SENT
        case SubmitRefused():
            return f"{'killed' if outcome.killed else 'refused'}: {outcome.code}"
        case SubmitUnknown():
            return DUPLICATE if outcome.is_known else IN_DOUBT
        case IdMismatch():
            return "another id"
        case CancelAccepted():
            return "canceled"
        case CancelRefused():
            return "not canceled"
        case _:
            return IN_DOUBT


def answer_word(attempt: Attempt) -> str:
    """Return the word for one answer by itself, whatever a later attempt brought."""
    reply = attempt.reply
    if reply is None:
        return NOT_SENT if isinstance(attempt.error, VenueUnreachable) else IN_DOUBT
    if reply.status == OK:
        return OK_WORD
    row = classify(reply.status, reply.error_text())
    if row.code == DUPLICATED:
        return DUPLICATE
    if row.kind is ErrorClass.IN_DOUBT or row.may_have_acted:
        return IN_DOUBT
    return f"{'killed' if row.kind is ErrorClass.KILLED else 'refused'}: {row.code}"


def _is_good(attempt: Attempt) -> bool:
    return attempt.reply is not None and attempt.reply.status == OK


def _found_word(attempt: Attempt) -> str:
    """The word for a look-up of one order."""
    reply = attempt.reply
    if reply is not None and (reply.status == HTTPStatus.NOT_FOUND or reply.body.strip() in (b"", b"null")):
        return "absent" if reply.status in (OK, HTTPStatus.NOT_FOUND) else FAILED
    return "found" if _is_good(attempt) else FAILED


def _cancelled(attempt: Attempt) -> dict[OrderId, str]:
    """The orders that an answer to a cancel of many (all, a market's) names."""
    if attempt.method != "DELETE" or attempt.reply is None or attempt.reply.status != OK:
        return {}
    try:
        answer = cancel_answer(attempt.reply.body)
    except VenueProtocolError:
        return {}
    words = dict.fromkeys(answer.canceled, "canceled") | dict.fromkeys(answer.refused, "not canceled")
    return {OrderId(order_id): word for order_id, word in words.items()}


def _is_our_own(outcome: SubmitOutcome | CancelOutcome) -> bool:
    """True when we ended an order ourselves: its last request keeps the word of its own answer."""
    return isinstance(outcome, SubmitRefused) and outcome.code in _OUR_OWN


def _order_id(outcome: SubmitOutcome | CancelOutcome) -> OrderId:
    return outcome.expected if isinstance(outcome, IdMismatch) else outcome.order_id


def _summary(words: Iterable[str]) -> str:
    """Many orders in one phrase: "live", or "3 live, 1 refused: balance"; empty when there is none."""
    counted = Counter(words)
    return (
        next(iter(counted), "") if len(counted) < 2 else ", ".join(f"{many} {word}" for word, many in counted.items())
    )
