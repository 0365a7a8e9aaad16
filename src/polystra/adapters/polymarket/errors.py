"""What the venue's error texts mean, as one table.

What lives here: the table, and its application to answers to orders, cancels and reads. What
must not: I/O. The first rule that fits wins; the texts come from the Polymarket docs (error
codes) and from issue reports. Whoever learns a new text adds a row and nothing else.

The money rule: whatever is not known to be a definite no is UNKNOWN, so that the order's id is
looked up. A duplicate is UNKNOWN too: it says that an earlier send of the same bytes arrived.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from polystra.domain.errors import (
    AuthFailed,
    RateLimited,
    VenueError,
    VenueProtocolError,
    VenueRefused,
    VenueUnreachable,
)
from polystra.domain.events import SubmitOutcome, SubmitRefused, SubmitUnknown
from polystra.domain.ids import OrderId

SHOWN: Final = 200
"""Characters of the venue's text that are passed on."""

DEFAULT_RETRY_AFTER_S: Final = 1.0

DUPLICATED: Final = "duplicated"
"""The code of an answer that an earlier send of the same bytes arrived."""


class Verdict(StrEnum):
    """What an answer means for an order that was sent."""

    REFUSED = "REFUSED"
    """A definite no."""
    KILLED = "KILLED"
    """A FOK or FAK found nothing: the normal end of such an order."""
    LATER = "LATER"
    """A definite no for now: restart, pause or limits."""
    STOP = "STOP"
    """A definite no that a person must look at: credentials, wallet, ban, region."""
    UNKNOWN = "UNKNOWN"
    """The order may be there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a pattern searched in the lower-case text, the statuses it holds for (none: all)."""

    pattern: str
    verdict: Verdict
    code: str
    statuses: frozenset[int] = frozenset()
    whole_request: bool = False
    """True when the text is about the request, so that in a batch it holds for every order."""


@dataclass(frozen=True, slots=True)
class Classified:
    """The meaning of one answer."""

    verdict: Verdict
    code: str
    whole_request: bool = False


_V = Verdict
_ENGINE: Final = frozenset(range(500, 600)) - {503}

RULES: Final = (
    # Outcome unknown whatever the status says.
    Rule("context canceled", _V.UNKNOWN, "dropped"),
    Rule(r"duplicated|invalid_order_duplicated", _V.UNKNOWN, DUPLICATED),
    Rule(r"order match delayed|order_delayed|delaying_order_error", _V.UNKNOWN, "delayed"),
    Rule("order timed out", _V.UNKNOWN, "timed_out"),
    Rule(r"could not insert order|invalid_order_error", _V.UNKNOWN, "not_inserted"),
    Rule(r"could not run the execution|execution_error", _V.UNKNOWN, "not_executed"),
    Rule("internal server error", _V.UNKNOWN, "server_error"),
    # Engine refusals with a server error's status: not executed as sent, but the id decides.
    Rule("there are no matching orders", _V.UNKNOWN, "no_match", _ENGINE),
    Rule("fok orders are filled or killed", _V.UNKNOWN, "no_match", _ENGINE),
    Rule("rounding issues", _V.UNKNOWN, "rounding", _ENGINE),
    Rule("discrepancy greater than allowed", _V.UNKNOWN, "price_discrepancy", _ENGINE),
    # Normal ends.
    Rule(r"fok orders are (fully )?filled or killed|fok_order_not_filled", _V.KILLED, "fok_killed"),
    Rule(r"no orders found to match|there are no matching orders", _V.KILLED, "no_match"),
    # A person must act.
    Rule("address banned", _V.STOP, "banned", whole_request=True),
    Rule("closed only mode", _V.STOP, "closed_only", whole_request=True),
    Rule("owner has to be the owner of the api key", _V.STOP, "wrong_owner", whole_request=True),
    Rule("signer address has to be the address of the api key", _V.STOP, "wrong_signer", whole_request=True),
    Rule("maker address not allowed", _V.STOP, "wrong_wallet", whole_request=True),
    Rule("no deposit wallet found", _V.STOP, "wrong_wallet", whole_request=True),
    Rule(r"invalid (poly_proxy )?signature(?!_type)", _V.STOP, "invalid_signature"),
    Rule("invalid signature_type", _V.STOP, "wrong_wallet", whole_request=True),
    Rule(r"order_version_mismatch|invalid order version", _V.STOP, "order_version", whole_request=True),
    Rule(r"unauthorized|invalid api key|invalid l1", _V.STOP, "unauthorized", whole_request=True),
    # Modes and limits.
    Rule("trading is currently disabled", _V.LATER, "disabled", whole_request=True),
    Rule("cancel-only", _V.LATER, "cancel_only", whole_request=True),
    Rule(r"post-only mode|post_only_mode", _V.LATER, "post_only", whole_request=True),
    Rule("service not ready", _V.LATER, "restarting", whole_request=True),
    Rule(r"too many requests|rate limit", _V.LATER, "rate_limited", whole_request=True),
    Rule(r"not yet ready to process|market_not_ready", _V.LATER, "market_not_ready"),
    # Definite refusals of one order.
    Rule("invalid post-only order|invalid_post_only_order", _V.REFUSED, "post_only_crosses"),
    Rule("crosses the book", _V.REFUSED, "crosses"),
    Rule(r"minimum tick size rule|invalid_order_min_tick_size", _V.REFUSED, "tick_size"),
    Rule(r"lower than the minimum|invalid_order_min_size", _V.REFUSED, "minimum_size"),
    Rule("marketable buy order", _V.REFUSED, "minimum_notional"),
    Rule("invalid amounts", _V.REFUSED, "amounts"),
    Rule("allowance is not enough", _V.STOP, "allowance"),
    Rule(r"not enough balance|insufficient balance|invalid_order_not_enough_balance", _V.REFUSED, "balance"),
    Rule(r"invalid expiration|invalid_order_expiration", _V.REFUSED, "expiration"),
    Rule("invalid nonce", _V.REFUSED, "nonce"),
    Rule("canceled in the ctf exchange contract", _V.REFUSED, "canceled_on_chain"),
    Rule(r"no orderbook exists|market not found", _V.REFUSED, "no_market"),
    # Malformed requests; also of endpoints that only read.
    Rule(r"too many orders in payload|payload exceeds the limit", _V.REFUSED, "too_many", whole_request=True),
    Rule(r"invalid (order )?(params )?payload|invalid payload", _V.REFUSED, "payload", whole_request=True),
    Rule(r"invalid (order params|trade params)", _V.REFUSED, "payload", whole_request=True),
    Rule(r"invalid (orderid|token id|market|side|asset type|fidelity|ids)\b", _V.REFUSED, "argument"),
    Rule(r"invalid (revoke builder|builder)", _V.REFUSED, "argument"),
    Rule(r"\bis required$|must be provided$|cannot exceed \d+$", _V.REFUSED, "argument"),
    Rule(r"^could not (create|derive|retrieve|delete|get|revoke|fetch)", _V.REFUSED, "api_key"),
)

BY_STATUS: Final = {
    HTTPStatus.UNAUTHORIZED: Classified(_V.STOP, "unauthorized", whole_request=True),
    HTTPStatus.FORBIDDEN: Classified(_V.STOP, "blocked", whole_request=True),
    HTTPStatus.NOT_FOUND: Classified(_V.REFUSED, "not_found"),
    HTTPStatus.TOO_EARLY: Classified(_V.LATER, "restarting", whole_request=True),
    HTTPStatus.TOO_MANY_REQUESTS: Classified(_V.LATER, "rate_limited", whole_request=True),
}
"""What a status means when no text fits. 400, 5xx and everything else mean UNKNOWN."""

UNLISTED: Final = Classified(_V.UNKNOWN, "unlisted")

_COMPILED: Final = tuple((re.compile(rule.pattern), rule) for rule in RULES)


def classify(status: int, text: str) -> Classified:
    """Return the meaning of an error answer. `text` is the venue's message, "" when there is none."""
    words = text.lower()
    for pattern, rule in _COMPILED:
        if (not rule.statuses or status in rule.statuses) and pattern.search(words):
            return Classified(rule.verdict, rule.code, rule.whole_request)
    return BY_STATUS.get(HTTPStatus(status), UNLISTED) if status in HTTPStatus._value2member_map_ else UNLISTED


def submit_outcome(order_id: OrderId, status: int, text: str, *, leg_refused: bool = False) -> SubmitOutcome:
    """Return the outcome of an order that the venue answered with an error.

    `leg_refused` marks an answer with HTTP 200, a text and no order id: a no even when the
    text is a new one.
    """
    found = classify(status, text)
    if found is UNLISTED and leg_refused:
        found = Classified(Verdict.REFUSED, "refused")
    message = shown(text) or f"HTTP {status} without a message"
    if found.verdict is Verdict.UNKNOWN:
        return SubmitUnknown(order_id=order_id, message=f"{found.code}: {message}", is_known=found.code == DUPLICATED)
    return SubmitRefused(
        order_id=order_id,
        message=message,
        code=found.code,
        killed=found.verdict is Verdict.KILLED,
        stop_trading=found.verdict is Verdict.STOP,
    )


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
