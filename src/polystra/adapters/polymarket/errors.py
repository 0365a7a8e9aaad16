"""What the venue's answers mean: the catalogue applied.

What lives here: matching of status and text, the outcome of an order or a cancel that was answered
with an error, the exception of a question, the count of answers that nobody has seen before. What
must not: the rows (`error_catalogue`), requests.

The money rule: whatever is not known to be a definite no is in doubt, so that the order's id is
looked up. A duplicate is in doubt too: it says that an earlier send of the same bytes arrived.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog

from polystra.adapters.polymarket.error_catalogue import (
    CATALOGUE,
    DUPLICATED,
    REFUSED_WITHOUT_ID,
    UNLISTED,
)
from polystra.adapters.polymarket.error_classes import ErrorClass, Row
from polystra.adapters.polymarket.redaction import Redaction
from polystra.domain.errors import (
    AuthFailed,
    RateLimited,
    VenueError,
    VenueProtocolError,
    VenueRefused,
    VenueUnreachable,
)
from polystra.domain.events import (
    CancelOutcome,
    CancelRefused,
    CancelUnknown,
    RefusalClass,
    SubmitOutcome,
    SubmitRefused,
    SubmitUnknown,
)
from polystra.domain.ids import OrderId
from polystra.ports.logbook import LogEvent

_log = structlog.get_logger(__name__)

SHOWN: Final = 200
"""Characters of the venue's text that are passed on."""

PAYLOAD_SHOWN: Final = 500
"""Characters of an unknown answer that are logged."""

KINDS_COUNTED: Final = 200
"""Different unknown answers that are counted by themselves; further ones are counted together."""

DEFAULT_RETRY_AFTER_S: Final = 1.0

_COMPILED: Final = tuple((re.compile(row.pattern), row) for row in CATALOGUE)
_VARIABLE: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+(\.\d+)?", re.IGNORECASE)


def classify(status: int, text: str) -> Row:
    """Return the meaning of an error answer. `text` is the venue's message, "" when there is none."""
    words = text.lower()
    for pattern, row in _COMPILED:
        if (not row.statuses or status in row.statuses) and pattern.search(words):
            return row
    return UNLISTED


def is_known(row: Row, text: str) -> bool:
    """Return whether the catalogue says what this text means (a server error without one is no news)."""
    by_text = bool(row.pattern) or row.kind is not ErrorClass.IN_DOUBT
    return (by_text or not text) and row not in (UNLISTED, REFUSED_WITHOUT_ID)


def submit_row(status: int, text: str, *, leg_refused: bool = False) -> Row:
    """Return the meaning for an order. `leg_refused`: HTTP 200, a reason and no order id, a no even when it is new."""
    row = classify(status, text)
    return REFUSED_WITHOUT_ID if row is UNLISTED and leg_refused else row


def submit_outcome(
    order_id: OrderId, row: Row, status: int, text: str, *, retry_after_s: float | None = None
) -> SubmitOutcome:
    """Return the outcome of an order that the venue answered with an error."""
    said = shown(text) or f"HTTP {status} without a message"
    message = worded(row, said)
    pause_s = math.ceil(retry_after_s or 0)
    if row.may_have_acted:
        return SubmitUnknown(
            order_id=order_id, message=message, is_known=row.code == DUPLICATED, mode=row.mode, retry_after_s=pause_s
        )
    return SubmitRefused(
        order_id=order_id,
        message=message,
        code=row.code,
        kind=RefusalClass(row.kind.value),
        mode=row.mode,
        retry_after_s=pause_s,
        killed=row.kind is ErrorClass.KILLED,
        stop_trading=row.kind in (ErrorClass.STOP, ErrorClass.AUTH),
    )


def cancel_outcome(order_id: OrderId, status: int, text: str, *, retry_after_s: float | None = None) -> CancelOutcome:
    """Return the outcome of a cancel that was answered with an error; only a refused form is a definite no."""
    row = classify(status, text)
    said = shown(text) or f"HTTP {status} without a message"
    if row.kind in (ErrorClass.REFUSED, ErrorClass.REPLAN, ErrorClass.KILLED):
        return CancelRefused(order_id=order_id, message=worded(row, said))
    return CancelUnknown(
        order_id=order_id,
        message=worded(row, said),
        mode=row.mode,
        retry_after_s=math.ceil(retry_after_s or 0),
    )


def worded(row: Row, said: str) -> str:
    """Return one line for a person: the venue's words and what they mean."""
    remedy = "" if row.remedy.startswith("nothing") else f"; {row.remedy}"
    return f"{row.code}: {said} ({row.meaning}{remedy})"


class UnknownAnswers:
    """Counts answers that the catalogue does not hold; each new text is one log line, not each occurrence."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._counts: dict[str, int] = {}
        self._others = 0

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self._counts.values()) + self._others

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each was seen, by its status and its text with ids and figures taken out."""
        return dict(self._counts)

    def note(self, asked: str, status: int, text: str, payload: bytes) -> None:
        """Count one. `asked` names method and path; the payload is logged cut and without secrets."""
        kind = f"HTTP {status}: {_VARIABLE.sub('#', shown(text)) or 'no readable text'}"
        if kind in self._counts:
            self._counts[kind] += 1
        elif len(self._counts) >= KINDS_COUNTED:
            self._others += 1
        else:
            self._counts[kind] = 1
            shortened = self._redaction.text(payload)[:PAYLOAD_SHOWN]
            _log.warning(LogEvent.ANSWER_UNLISTED, asked=asked, status=status, payload=shortened)


def read_error(status: int, text: str, *, asked: str, retry_after_s: float | None = None) -> VenueError:
    """Return the exception for a question that was answered with an error. `asked` names method and path."""
    message = f"{asked} was answered with HTTP {status}: {shown(text) or 'no message'}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(message, retry_after_s=DEFAULT_RETRY_AFTER_S if retry_after_s is None else retry_after_s)
    if status == HTTPStatus.TOO_EARLY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return VenueUnreachable(message)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthFailed(f"{message}; check the API credentials, the clock and the wallet type")
    if status >= HTTPStatus.BAD_REQUEST:
        if "context canceled" in text.lower():
            return VenueUnreachable(message)
        return VenueRefused(message, status=status, code=classify(status, text).code)
    return VenueProtocolError(f"{message}; expected HTTP 200")


def shown(text: str) -> str:
    """Return the venue's words on one line, cut to a length that fits a log."""
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
