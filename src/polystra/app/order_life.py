"""`polystra audit --order ID`: the life of one order on one screen, from the decision to the ledger.

What lives here: which order an ID means, and what is told of it. What must not: statements
(`adapters.store.audit_reading`), figures (`order_words`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import typer
from rich.console import Console

from polystra.adapters.store.audit_reading import (
    MOST_CANDIDATES,
    OrderLife,
    StoredEvent,
    candidates,
    order_life,
)
from polystra.adapters.store.queries import reading
from polystra.app.audit import call_object, status_word
from polystra.app.book_reading import database_url
from polystra.app.order_words import (
    average_price,
    hour,
    milliseconds,
    moment,
    request_words,
    rule_word,
    slippage,
    slippage_word,
    status_words,
    traded,
)
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError
from polystra.domain.facts import DecisionRecorded
from polystra.domain.fills import Fill
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.ledger import Posting
from polystra.domain.orders import OrderTerms
from polystra.domain.units import format_micros

_SHORTEST_PREFIX: Final = 2
_REPLY_SHOWN: Final = 90


def show_order(settings: Settings, wanted: str, *, as_json: bool) -> None:
    """Print the life of the order that `wanted` means.

    Raises:
        ConfigError: no order or several have such an id.
        StoreError: the database cannot be read.
    """
    with reading(database_url(settings)) as connection:
        life = order_life(connection, the_one(wanted.strip(), candidates(connection, wanted.strip())))
    if as_json:
        typer.echo(json.dumps(as_object(life), indent=2, ensure_ascii=False))
    else:
        print_life(life, screen())


def the_one(wanted: str, found: Sequence[ClientOrderId]) -> ClientOrderId:
    """Return the only candidate; raises ConfigError when it is not the only one."""
    shown = repr(wanted[:70])
    if len(wanted) < _SHORTEST_PREFIX:
        raise ConfigError(f"--order is {shown}, expected an id such as o000012 or 0x..., or how one begins")
    if not found:
        raise ConfigError(f"--order is {shown}, but no order has such an id: `polystra orders` lists them")
    if len(found) > 1:
        more = ", ..." if len(found) == MOST_CANDIDATES else ""
        raise ConfigError(
            f"--order is {shown}, which several orders begin with ({', '.join(found)}{more}): give more of the id"
        )
    return found[0]


def as_object(life: OrderLife) -> dict[str, Any]:
    """The life as JSON; money and shares are decimal text, probabilities numbers."""
    terms, order = life.order.terms, life.order
    return {
        "client_order_id": terms.client_order_id,
        "order_id": order.order_id,
        "market": life.market,
        "outcome": life.outcome,
        "status": status_words(order),
        "state": order.status,
        "detail": order.detail,
        "intent": _intent(life),
        "decision": None if life.decision is None else _decision(life.decision),
        "prices": _prices(life),
        "exit_reason": life.exit_reason,
        "same_position": [
            {
                "client_order_id": each.terms.client_order_id,
                "rule": rule_word(each.terms),
                "status": status_words(each),
                "filled": format_micros(each.filled),
            }
            for each in life.siblings
        ],
        "doubt": _doubt(life),
        "requests": [
            call_object(stored, life.ours) | {"outcome_here": _outcome_here(life, stored.call.orders)}
            for stored in life.calls
        ],
        "events": [_event(event) for event in life.events],
        "fills": [_fill(fill) for fill in life.fills],
        "postings": [_posting(posting) for posting in life.postings],
    }


def _doubt(life: OrderLife) -> dict[str, Any] | None:
    doubt = life.doubt
    if doubt is None:
        return None
    return {
        "since": moment(doubt.since_ns),
        "lookups": doubt.lookups,
        "absences": doubt.absences,
        "outcome": doubt.outcome,
    }


def _event(event: StoredEvent) -> dict[str, str]:
    return {
        "at": moment(event.at_ns),
        "event": event.event,
        "state": event.status,
        "filled": format_micros(event.filled),
        "detail": event.detail,
    }


def _fill(fill: Fill) -> dict[str, str]:
    return {
        "at": moment(fill.matched_at_ns),
        "trade_id": fill.trade_id,
        "shares": format_micros(fill.quantity),
        "price": format_micros(fill.price),
        "cash": format_micros(fill.cash),
        "fee": format_micros(fill.fee),
        "liquidity": fill.liquidity,
        "settlement": fill.status,
        "transaction_hash": fill.transaction_hash,
    }


def _posting(posting: Posting) -> dict[str, Any]:
    return {
        "at": moment(posting.at_ns),
        "source": posting.source_id,
        "kind": posting.kind,
        "reason": posting.reason,
        "shares": _both(posting.pending_shares, posting.settled_shares),
        "cash": _both(posting.pending_cash, posting.settled_cash),
        "fee": format_micros(posting.fee),
    }


def _both(pending: int, settled: int) -> dict[str, str]:
    return {"pending": format_micros(pending), "settled": format_micros(settled)}


def _intent(life: OrderLife) -> dict[str, Any]:
    terms = life.order.terms
    return {
        "signed_at": None if life.signed_at_ns is None else moment(life.signed_at_ns),
        "rule": terms.rule,
        "purpose": terms.purpose,
        "reason": terms.reason,
        "side": terms.side,
        "price": format_micros(terms.price),
        "quantity": format_micros(terms.quantity),
        "budget": format_micros(terms.budget) if terms.budget else None,
        "time_in_force": terms.time_in_force,
        "post_only": terms.post_only,
        "expires_at_s": terms.expires_at_s or None,
        "position_id": terms.position_id,
    }


def _decision(decision: DecisionRecorded) -> dict[str, Any]:
    return {
        "decision_id": decision.decision_id,
        "at": moment(decision.at_ns),
        "action": decision.action,
        "reason": decision.reason,
        "outcome": decision.outcome,
        "p_up": decision.p_up,
        "market_prior_p_up": decision.market_prior_p_up,
        "fair_value_up": decision.fair_value_up,
        "edge": decision.edge,
        "additive": {"bias": decision.additive_bias, "confidence": decision.additive_confidence},
        "bayesian": {"bias": decision.bayesian_bias, "confidence": decision.bayesian_confidence},
        "inputs": json.loads(decision.inputs or "{}"),
    }


def _prices(life: OrderLife) -> dict[str, str | None]:
    terms = life.order.terms
    shares, cash = traded(life.fills)
    average = average_price(shares, cash)
    difference = slippage(terms, average)
    return {
        "planned": None if terms.planned_price is None else format_micros(terms.planned_price),
        "filled_average": None if average is None else format_micros(average),
        "slippage": None if difference is None else format_micros(difference),
        "slippage_word": None if difference is None else slippage_word(terms, difference),
        "filled_shares": format_micros(shares),
        "filled_cash": format_micros(cash),
    }


def _outcome_here(life: OrderLife, orders: Sequence[tuple[OrderId, str]]) -> str:
    return next((outcome for order_id, outcome in orders if order_id == life.order.order_id), "")


# --- showing -----------------------------------------------------------------------------


def print_life(life: OrderLife, console: Console) -> None:
    """Write the life for people: a summary, then what happened, table by table."""
    console.print(pairs(f"Order {life.order.terms.client_order_id}", _summary(life).items()))
    _print_requests(life, console)
    events = [
        (hour(event.at_ns), event.event.value, event.status.value, event.detail or "-", format_micros(event.filled))
        for event in life.events
    ]
    console.print(grid("Events", words=("at", "event", "state", "detail"), figures=("filled",), rows=events))
    if not life.fills:
        console.print("No fills.\n")
        return
    fills = [
        (
            hour(fill.matched_at_ns),
            fill.trade_id,
            fill.liquidity.value,
            fill.status.value,
            format_micros(fill.quantity),
            format_micros(fill.price),
            format_micros(fill.cash),
            format_micros(fill.fee),
        )
        for fill in life.fills
    ]
    words = ("at", "trade", "liquidity", "settlement")
    console.print(grid("Fills", words=words, figures=("shares", "price $", "cash $", "fee $"), rows=fills))
    postings = [_posting_row(posting) for posting in life.postings]
    figures = ("shares pending", "settled", "cash $ pending", "settled $", "fee $")
    console.print(grid("Postings", words=("at", "kind", "reason"), figures=figures, rows=postings))


def _print_requests(life: OrderLife, console: Console) -> None:
    if not life.calls:
        console.print("No requests are kept for this order.\n")
        return
    rows = [
        (
            hour(stored.call.at_ns),
            request_words(stored.call.method, stored.call.path),
            status_word(stored.call.status),
            _outcome_here(life, stored.call.orders),
            _short(stored.call.reply),
            str(len(stored.call.orders)),
            milliseconds(stored.call.latency_ns),
        )
        for stored in life.calls
    ]
    words = ("at", "request", "status", "outcome", "reply")
    console.print(grid("Requests", words=words, figures=("legs", "ms"), rows=rows))


def _posting_row(posting: Posting) -> tuple[str, ...]:
    amounts = (posting.pending_shares, posting.settled_shares, posting.pending_cash, posting.settled_cash, posting.fee)
    return (hour(posting.at_ns), posting.kind.value, posting.reason, *map(format_micros, amounts))


def _undecided(terms: OrderTerms) -> str:
    """Who wanted an order that the strategy did not decide."""
    return "none: it was asked for" if terms.rule == "manual" else "none: an order of the position's rules"


def _summary(life: OrderLife) -> dict[str, str]:
    order, terms = life.order, life.order.terms
    told = {
        "id at the venue": order.order_id or "none: it was never signed",
        "market": f"{life.market} {life.outcome or ''}".strip(),
        "status": f"{status_words(order)} ({order.status}){': ' + order.detail if order.detail else ''}",
        "decision": _undecided(terms) if life.decision is None else _said(life.decision),
        "intent": _terms_said(life),
        "rule": " · ".join(filter(None, (rule_word(terms), terms.reason))),
        "price": _price_said(life),
    }
    if life.siblings:
        told["same position"] = ", ".join(
            f"{each.terms.client_order_id} {rule_word(each.terms)} {status_words(each)}" for each in life.siblings
        )
    if life.exit_reason:
        told["position's exit"] = life.exit_reason
    if life.doubt is not None:
        doubt = life.doubt
        told["in doubt"] = (
            f"since {hour(doubt.since_ns)}, {doubt.lookups} look-ups, {doubt.absences} without it; "
            f"{doubt.outcome or 'not settled yet'}"
        )
    return told


def _said(decision: DecisionRecorded) -> str:
    return (
        f"#{decision.decision_id} at {hour(decision.at_ns)}: {decision.action} {decision.outcome or ''}, "
        f"edge {decision.edge:.4f}, p(up) {decision.p_up:.4f} (market {decision.market_prior_p_up:.4f}, "
        f"fair value {decision.fair_value_up:.4f}); additive {decision.additive_bias:+.3f} "
        f"(confidence {decision.additive_confidence:.2f}), bayesian {decision.bayesian_bias:+.3f} "
        f"(confidence {decision.bayesian_confidence:.2f}); {decision.reason}"
    )


def _terms_said(life: OrderLife) -> str:
    terms = life.order.terms
    amount = f"${format_micros(terms.budget)} worth" if terms.budget else f"{format_micros(terms.quantity)} shares"
    flags = " post-only" if terms.post_only else ""
    at = "never signed" if life.signed_at_ns is None else f"committed {moment(life.signed_at_ns)}"
    return f"{terms.side} {amount} at {format_micros(terms.price)} {terms.time_in_force}{flags}, {at}"


def _price_said(life: OrderLife) -> str:
    prices = _prices(life)
    planned = f"planned {prices['planned'] or 'not recorded'}"
    if prices["filled_average"] is None:
        return f"{planned}, nothing filled"
    filled = f"{planned}, filled {prices['filled_shares']} at {prices['filled_average']} on average"
    if prices["slippage"] is None:
        return filled
    return f"{filled}, slippage {prices['slippage']} ({prices['slippage_word']})"


def _short(reply: str) -> str:
    words = " ".join(reply.split())
    return words if len(words) <= _REPLY_SHOWN else f"{words[:_REPLY_SHOWN]}…"
