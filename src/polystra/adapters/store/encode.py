"""Facts to rows, one explicit function for each; `decode` is the way back.

What lives here: the mapping of names and units (seconds become nanoseconds, a
`ReconcileCompleted.trigger` the column `cause`). What must not: statements, connections.
Rows are plain dictionaries, grouped by table, so that a batch is one statement per table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, TypeAlias

from polystra.domain.facts import (
    BalanceObserved,
    DecisionRecorded,
    DoubtRecorded,
    Fact,
    FillRecorded,
    IntentDenied,
    IntentRecorded,
    MarketRecorded,
    Notice,
    OrderChanged,
    PositionRecorded,
    PostingRecorded,
    ReconcileCompleted,
    RequestAnswered,
    SettlementRecorded,
    SwitchChanged,
    VenueModeChanged,
)
from polystra.domain.fills import Fill
from polystra.domain.ledger import Posting
from polystra.domain.orders import Order, OrderEvent, OrderStatus
from polystra.domain.units import NS_PER_S, Nanos
from polystra.domain.venue import VenueMode

Values: TypeAlias = dict[str, object]
Batch: TypeAlias = dict[str, list[Values]]
"""Table name -> rows in the order of their facts."""

_NUMBER: Final = re.compile(r"(\d{1,15})$")


def encode(facts: Iterable[Fact]) -> Batch:
    """Return the rows of `facts`, grouped by table."""
    batch: Batch = {}
    for fact in facts:
        _encode_one(fact, batch)
    return batch


def _add(batch: Batch, table: str, row: Values) -> None:
    batch.setdefault(table, []).append(row)


def _encode_one(fact: Fact, batch: Batch) -> None:
    match fact:
        case OrderChanged():
            _add(batch, "orders", _order_row(fact.order))
            _add(batch, "order_events", _order_event_row(fact.order, fact.event, fact.at_ns, fact.detail))
        case IntentRecorded():
            _add(batch, "orders", _order_row(fact.order))
            _add(batch, "order_intents", _intent_row(fact))
            _add(batch, "order_events", _order_event_row(fact.order, OrderEvent.SUBMIT, fact.at_ns, ""))
        case FillRecorded():
            _add(batch, "fills", _fill_row(fact.fill))
        case PostingRecorded():
            _add(batch, "ledger", _posting_row(fact.posting))
        case PositionRecorded():
            _add(batch, "positions", _position_row(fact))
        case DecisionRecorded():
            _add(batch, "decisions", _decision_row(fact))
        case MarketRecorded():
            _add(batch, "markets", _market_row(fact))
        case _:
            _encode_rare(fact, batch)


def _encode_rare(
    fact: IntentDenied
    | SettlementRecorded
    | BalanceObserved
    | ReconcileCompleted
    | SwitchChanged
    | VenueModeChanged
    | RequestAnswered
    | DoubtRecorded
    | Notice,
    batch: Batch,
) -> None:
    match fact:
        case IntentDenied():
            order = Order(
                terms=fact.terms,
                status=OrderStatus.DENIED,
                created_at_ns=fact.at_ns,
                updated_at_ns=fact.at_ns,
                detail=fact.reason,
            )
            _add(batch, "orders", _order_row(order))
            _add(batch, "order_events", _order_event_row(order, OrderEvent.DENY, fact.at_ns, fact.reason))
        case SettlementRecorded():
            _add(batch, "settlements", _settlement_row(fact))
        case BalanceObserved():
            _add(batch, "balances", _balance_row(fact))
        case ReconcileCompleted():
            _add(batch, "reconciliations", _reconciliation_row(fact))
        case SwitchChanged() | VenueModeChanged():
            _add(batch, "switches", _switch_row(fact))
        case DoubtRecorded():
            _add(batch, "doubts", _doubt_row(fact))
        case RequestAnswered():
            _add(batch, "notices", _request_row(fact))
        case Notice():
            _add(batch, "notices", _notice_row(fact))


# --- one row each -------------------------------------------------------------------


def _clean(text: str) -> str:
    """Text from outside as both databases can hold it: no NUL, no half of a surrogate pair."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


clean: Final = _clean
"""The same, for rows that are no facts."""


def _with_digest(row: Values) -> Values:
    text = "\x1f".join(str(value) for value in row.values())
    row["digest"] = blake2b(text.encode(), digest_size=16).digest()
    return row


def order_number(client_order_id: str) -> int:
    """The number at the end of a client order id, 0 when there is none."""
    found = _NUMBER.search(client_order_id)
    return int(found.group(1)) if found else 0


def _order_row(order: Order) -> Values:
    terms = order.terms
    return {
        "client_order_id": terms.client_order_id,
        "number": order_number(terms.client_order_id),
        "order_id": order.order_id,
        "condition_id": terms.condition_id,
        "token_id": terms.token_id,
        "position_id": terms.position_id,
        "purpose": terms.purpose.value,
        "side": terms.side.value,
        "price": terms.price,
        "quantity": terms.quantity,
        "budget": terms.budget,
        "time_in_force": terms.time_in_force.value,
        "post_only": terms.post_only,
        "expires_at_ns": terms.expires_at_s * NS_PER_S,
        "tick_size": terms.tick_size,
        "negative_risk": terms.negative_risk,
        "version": terms.version,
        "reason": _clean(terms.reason),
        "status": order.status.value,
        "filled": order.filled,
        "created_at_ns": order.created_at_ns,
        "updated_at_ns": order.updated_at_ns,
        "detail": _clean(order.detail),
        "rule": _clean(terms.rule),
        "planned_price": terms.planned_price,
        "request_id": _clean(terms.request_id),
    }


def _intent_row(fact: IntentRecorded) -> Values:
    signed = fact.signed
    return {
        "client_order_id": signed.client_order_id,
        "order_id": signed.order_id,
        "body": signed.body,
        "salt": signed.salt,
        "timestamp_ms": signed.timestamp_ms,
        "quantity": signed.quantity,
        "maker_amount": signed.maker_amount,
        "taker_amount": signed.taker_amount,
        "decision_id": fact.decision_id,
        "at_ns": fact.at_ns,
    }


def _order_event_row(order: Order, event: OrderEvent, at_ns: Nanos, detail: str) -> Values:
    return _with_digest(
        {
            "client_order_id": order.terms.client_order_id,
            "event": event.value,
            "status": order.status.value,
            "filled": order.filled,
            "at_ns": at_ns,
            "detail": _clean(detail),
        }
    )


def _fill_row(fill: Fill) -> Values:
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "position_id": fill.position_id,
        "condition_id": fill.condition_id,
        "token_id": fill.token_id,
        "side": fill.side.value,
        "price": fill.price,
        "quantity": fill.quantity,
        "cash": fill.cash,
        "fee": fill.fee,
        "liquidity": fill.liquidity.value,
        "status": fill.status.value,
        "matched_at_ns": fill.matched_at_ns,
        "updated_at_ns": fill.updated_at_ns,
        "transaction_hash": fill.transaction_hash,
    }


def _posting_row(posting: Posting) -> Values:
    return {
        "source_id": posting.source_id,
        "kind": posting.kind.value,
        "at_ns": posting.at_ns,
        "reason": _clean(posting.reason),
        "condition_id": posting.condition_id,
        "token_id": posting.token_id,
        "position_id": posting.position_id,
        "pending_shares": posting.pending_shares,
        "settled_shares": posting.settled_shares,
        "pending_cash": posting.pending_cash,
        "settled_cash": posting.settled_cash,
        "claim": posting.claim,
        "bought": posting.bought,
        "bought_cost": posting.bought_cost,
        "sold": posting.sold,
        "sold_proceeds": posting.sold_proceeds,
        "fee": posting.fee,
        "resolved": posting.resolved,
        "payout": posting.payout,
        "price": posting.price,
        "evidence": _clean(posting.evidence),
    }


def _position_row(fact: PositionRecorded) -> Values:
    return {
        "position_id": fact.position_id,
        "condition_id": fact.condition_id,
        "token_id": fact.token_id,
        "outcome": fact.outcome.value,
        "symbol": fact.symbol,
        "status": fact.status.value,
        "pending_shares": fact.pending_shares,
        "settled_shares": fact.settled_shares,
        "average_price": fact.average_price,
        "realised_pnl": fact.realised_pnl,
        "fees": fact.fees,
        "take_profit_price": fact.take_profit_price,
        "stop_price": fact.stop_price,
        "opened_at_ns": fact.opened_at_ns,
        "at_ns": fact.at_ns,
        "exit_reason": _clean(fact.exit_reason),
        "exit_mode": fact.exit_mode,
        "high_water": fact.high_water,
        "exits": fact.exits,
        "mark": fact.mark,
        "mark_at_ns": fact.mark_at_ns,
    }


def _decision_row(fact: DecisionRecorded) -> Values:
    return {
        "decision_id": fact.decision_id,
        "condition_id": fact.condition_id,
        "symbol": fact.symbol,
        "at_ns": fact.at_ns,
        "action": str(fact.action),
        "reason": _clean(fact.reason),
        "outcome": None if fact.outcome is None else fact.outcome.value,
        "fair_value_up": fact.fair_value_up,
        "market_prior_p_up": fact.market_prior_p_up,
        "additive_bias": fact.additive_bias,
        "additive_confidence": fact.additive_confidence,
        "bayesian_bias": fact.bayesian_bias,
        "bayesian_confidence": fact.bayesian_confidence,
        "p_up": fact.p_up,
        "edge": fact.edge,
        "price": fact.price,
        "quantity": fact.quantity,
        "inputs": _clean(fact.inputs),
    }


def _market_row(fact: MarketRecorded) -> Values:
    market = fact.market
    return {
        "condition_id": market.condition_id,
        "slug": market.slug,
        "symbol": market.symbol,
        "window_ns": market.window_s * NS_PER_S,
        "opens_at_ns": market.opens_at_s * NS_PER_S,
        "closes_at_ns": market.closes_at_s * NS_PER_S,
        "up_token": market.up_token,
        "down_token": market.down_token,
        "tick_size": market.tick_size,
        "minimum_size": market.minimum_size,
        "fee_rate_ppm": market.fees.rate_ppm,
        "fee_exponent": market.fees.exponent,
        "rule_kind": market.rule.kind.value,
        "rule_lookback_s": market.rule.lookback_s,
        "negative_risk": market.negative_risk,
        "version": market.version,
        "accepting_orders": market.accepting_orders,
        "price_to_beat_e8": fact.price_to_beat,
        "updated_at_ns": fact.at_ns,
    }


def _settlement_row(fact: SettlementRecorded) -> Values:
    return {
        "condition_id": fact.condition_id,
        "slug": fact.slug,
        "symbol": fact.symbol,
        "winner": None if fact.winner is None else fact.winner.value,
        "up_payout": fact.up_payout,
        "shares_held": fact.shares_held,
        "payout": fact.payout,
        "realised_pnl": fact.realised_pnl,
        "fees": fact.fees,
        "at_ns": fact.at_ns,
    }


def _balance_row(fact: BalanceObserved) -> Values:
    return _with_digest(
        {"cash": fact.cash, "ledger_cash": fact.ledger_cash, "at_ns": fact.at_ns, "source": _clean(fact.source)}
    )


def _reconciliation_row(fact: ReconcileCompleted) -> Values:
    return _with_digest(
        {
            "at_ns": fact.at_ns,
            "open_orders": fact.open_orders,
            "fills_applied": fact.fills_applied,
            "differences": json.dumps(fact.differences),
            "cause": _clean(fact.trigger),
        }
    )


def _notice_row(fact: Notice) -> Values:
    return _with_digest(
        {"kind": fact.kind.value, "subject": _clean(fact.subject), "message": _clean(fact.message), "at_ns": fact.at_ns}
    )


REQUEST_KINDS = ("request.taken", "request.refused")
"""The kinds under which answered requests stand among the notices."""


def _request_row(fact: RequestAnswered) -> Values:
    """An answered request stands among the notices: its orders carry its id themselves."""
    orders = " ".join(fact.orders) or "no order"
    words = f"{fact.source}: {orders}; {fact.refusal}" if fact.refusal else f"{fact.source}: {orders}"
    kind = REQUEST_KINDS[1] if fact.refusal else REQUEST_KINDS[0]
    return _with_digest(
        {"kind": kind, "subject": _clean(fact.request_id), "message": _clean(words), "at_ns": fact.at_ns}
    )


VENUE_MODE = "venue_mode"
"""The name under which the venue's mode stands among the switches; it is on when the mode is not NORMAL."""


def _switch_row(fact: SwitchChanged | VenueModeChanged) -> Values:
    if isinstance(fact, VenueModeChanged):
        return {
            "name": VENUE_MODE,
            "subject": "",
            "is_on": fact.mode is not VenueMode.NORMAL,
            "reason": _clean(f"{fact.mode}: {fact.reason}"),
            "source": "venue",
            "until_ns": fact.until_ns,
            "at_ns": fact.at_ns,
        }
    return {
        "name": fact.name.value,
        "subject": fact.subject,
        "is_on": fact.on,
        "reason": _clean(fact.reason),
        "source": _clean(fact.source),
        "until_ns": fact.until_ns,
        "at_ns": fact.at_ns,
    }


def _doubt_row(fact: DoubtRecorded) -> Values:
    return {
        "client_order_id": fact.client_order_id,
        "since_ns": fact.since_ns,
        "lookups": fact.lookups,
        "absences": fact.absences,
        "next_lookup_ns": fact.next_lookup_ns,
        "outcome": _clean(fact.outcome),
        "at_ns": fact.at_ns,
    }
