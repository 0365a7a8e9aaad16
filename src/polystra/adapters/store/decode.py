"""Rows to domain values, one explicit function for each; `encode` is the way there.

What lives here: the mapping of names and units. What must not: statements, connections.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from polystra.domain.events import SwitchName
from polystra.domain.facts import DecisionRecorded, DoubtRecorded, PositionRecorded, SwitchChanged
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.market import FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule
from polystra.domain.orders import Order, OrderStatus, OrderTerms, Purpose, Side, SignedOrder, TimeInForce
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from polystra.domain.venue import VenueMode


def market_of(row: Row[Any]) -> Market:
    """A row of `markets` as a market."""
    return Market(
        condition_id=row.condition_id,
        slug=row.slug,
        symbol=row.symbol,
        window_s=row.window_ns // NS_PER_S,
        opens_at_s=row.opens_at_ns // NS_PER_S,
        closes_at_s=row.closes_at_ns // NS_PER_S,
        up_token=row.up_token,
        down_token=row.down_token,
        tick_size=row.tick_size,
        minimum_size=row.minimum_size,
        fees=FeeSchedule(rate_ppm=row.fee_rate_ppm, exponent=row.fee_exponent),
        rule=ResolutionRule(kind=ResolutionKind(row.rule_kind), lookback_s=row.rule_lookback_s),
        negative_risk=row.negative_risk,
        version=row.version,
        accepting_orders=row.accepting_orders,
    )


def order_of(row: Row[Any]) -> Order:
    """A row of `orders` as an order."""
    terms = OrderTerms(
        client_order_id=row.client_order_id,
        condition_id=row.condition_id,
        token_id=row.token_id,
        position_id=row.position_id,
        purpose=Purpose(row.purpose),
        side=Side(row.side),
        price=row.price,
        quantity=row.quantity,
        budget=row.budget,
        time_in_force=TimeInForce(row.time_in_force),
        post_only=row.post_only,
        expires_at_s=row.expires_at_ns // NS_PER_S,
        tick_size=row.tick_size,
        negative_risk=row.negative_risk,
        version=row.version,
        reason=row.reason,
        rule=row.rule,
        planned_price=row.planned_price,
        request_id=row.request_id,
    )
    return Order(
        terms=terms,
        status=OrderStatus(row.status),
        order_id=row.order_id,
        filled=row.filled,
        created_at_ns=row.created_at_ns,
        updated_at_ns=row.updated_at_ns,
        detail=row.detail,
    )


def signed_of(row: Row[Any]) -> SignedOrder:
    """A row of `order_intents` as the signed order."""
    return SignedOrder(
        client_order_id=ClientOrderId(row.client_order_id),
        order_id=row.order_id,
        body=bytes(row.body),
        salt=row.salt,
        timestamp_ms=row.timestamp_ms,
        quantity=row.quantity,
        maker_amount=row.maker_amount,
        taker_amount=row.taker_amount,
    )


def fill_of(row: Row[Any]) -> Fill:
    """A row of `fills` as a fill."""
    return Fill(
        trade_id=row.trade_id,
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        position_id=row.position_id,
        condition_id=row.condition_id,
        token_id=row.token_id,
        side=Side(row.side),
        price=row.price,
        quantity=row.quantity,
        cash=row.cash,
        fee=row.fee,
        liquidity=Liquidity(row.liquidity),
        status=FillStatus(row.status),
        matched_at_ns=row.matched_at_ns,
        updated_at_ns=row.updated_at_ns,
        transaction_hash=row.transaction_hash,
    )


def posting_of(row: Row[Any]) -> Posting:
    """A row of `ledger` as a posting."""
    return Posting(
        source_id=row.source_id,
        kind=PostingKind(row.kind),
        at_ns=row.at_ns,
        reason=row.reason,
        condition_id=row.condition_id,
        token_id=row.token_id,
        position_id=row.position_id,
        pending_shares=row.pending_shares,
        settled_shares=row.settled_shares,
        pending_cash=row.pending_cash,
        settled_cash=row.settled_cash,
        claim=row.claim,
        bought=row.bought,
        bought_cost=row.bought_cost,
        sold=row.sold,
        sold_proceeds=row.sold_proceeds,
        fee=row.fee,
        resolved=row.resolved,
        payout=row.payout,
        price=row.price,
        evidence=row.evidence,
    )


def position_of(row: Row[Any]) -> PositionRecorded:
    """A row of `positions` as the fact that wrote it."""
    return PositionRecorded(
        position_id=row.position_id,
        condition_id=row.condition_id,
        token_id=row.token_id,
        outcome=Outcome(row.outcome),
        symbol=row.symbol,
        status=PositionStatus(row.status),
        pending_shares=row.pending_shares,
        settled_shares=row.settled_shares,
        average_price=row.average_price,
        realised_pnl=row.realised_pnl,
        fees=row.fees,
        take_profit_price=row.take_profit_price,
        stop_price=row.stop_price,
        opened_at_ns=row.opened_at_ns,
        at_ns=row.at_ns,
        exit_reason=row.exit_reason,
        exit_mode=row.exit_mode,
        high_water=row.high_water,
        exits=row.exits,
        mark=row.mark,
        mark_at_ns=row.mark_at_ns,
    )


def switch_of(row: Row[Any]) -> SwitchChanged:
    """A row of `switches` as the fact that wrote it; not for the venue's mode, which stands there too."""
    return SwitchChanged(
        name=SwitchName(row.name),
        subject=row.subject,
        on=row.is_on,
        reason=row.reason,
        source=row.source,
        until_ns=row.until_ns,
        at_ns=row.at_ns,
    )


def venue_mode_of(row: Row[Any] | None) -> VenueMode:
    """The mode in the row of `switches` that holds it, by the first word of its reason; None: never another."""
    return VenueMode.NORMAL if row is None else VenueMode(row.reason.partition(":")[0])


def doubt_of(row: Row[Any]) -> DoubtRecorded:
    """A row of `doubts` as the fact that wrote it."""
    return DoubtRecorded(
        client_order_id=ClientOrderId(row.client_order_id),
        since_ns=row.since_ns,
        lookups=row.lookups,
        absences=row.absences,
        next_lookup_ns=row.next_lookup_ns,
        outcome=row.outcome,
        at_ns=row.at_ns,
    )


def decision_of(row: Row[Any]) -> DecisionRecorded:
    """A decision."""
    return DecisionRecorded(
        decision_id=row.decision_id,
        condition_id=row.condition_id,
        symbol=row.symbol,
        at_ns=row.at_ns,
        action=row.action,
        reason=row.reason,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        fair_value_up=row.fair_value_up,
        market_prior_p_up=row.market_prior_p_up,
        additive_bias=row.additive_bias,
        additive_confidence=row.additive_confidence,
        bayesian_bias=row.bayesian_bias,
        bayesian_confidence=row.bayesian_confidence,
        p_up=row.p_up,
        edge=row.edge,
        price=row.price,
        quantity=row.quantity,
        inputs=row.inputs,
    )
