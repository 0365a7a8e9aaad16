"""Facts for tests: one small market and a life of orders in it, built with explicit times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polystra.domain.events import SwitchName
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
    NoticeKind,
    OrderChanged,
    PositionRecorded,
    PostingRecorded,
    ReconcileCompleted,
    RequestAnswered,
    SettlementRecorded,
    SwitchChanged,
    VenueModeChanged,
)
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.ledger import Posting, PostingKind, matched_posting, settled_posting
from polystra.domain.market import FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule
from polystra.domain.orders import Order, OrderEvent, OrderStatus, OrderTerms, Purpose, Side, SignedOrder, TimeInForce
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from polystra.domain.venue import VenueMode

T0 = 1_790_000_100 * NS_PER_S


def market(number: int = 1, **changes: Any) -> Market:
    opens = 1_790_000_100 + 300 * number
    made = Market(
        condition_id=ConditionId(f"0x{number:064x}"),
        slug=f"btc-updown-5m-{opens}",
        symbol="BTC",
        window_s=300,
        opens_at_s=opens,
        closes_at_s=opens + 300,
        up_token=TokenId(str(10**70 + 2 * number)),
        down_token=TokenId(str(10**70 + 2 * number + 1)),
        tick_size=10_000,
        minimum_size=5_000_000,
        fees=FeeSchedule(rate_ppm=70_000, exponent=1),
        rule=ResolutionRule(kind=ResolutionKind.AVERAGE, lookback_s=60),
    )
    return replace(made, **changes)


def market_recorded(of: Market | None = None, at_ns: int = T0, price_to_beat: int | None = 9_500_000_000_000) -> Fact:
    return MarketRecorded(market=of or market(), price_to_beat=price_to_beat, at_ns=at_ns)


def order(number: int = 1, of: Market | None = None, **changes: Any) -> Order:
    """A submitted entry; `changes` go to the order's terms or to the order, wherever the name belongs."""
    of = of or market()
    terms = OrderTerms(
        client_order_id=ClientOrderId(f"o{number:06d}"),
        condition_id=of.condition_id,
        token_id=of.up_token,
        position_id=PositionId(f"{of.slug}:up:0"),
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        price=520_000,
        quantity=10_000_000,
        time_in_force=TimeInForce.GTC,
    )
    named = set(OrderTerms.__dataclass_fields__)
    terms = replace(terms, **{key: value for key, value in changes.items() if key in named})
    made = Order(
        terms=terms,
        status=OrderStatus.SUBMITTED,
        order_id=OrderId(f"0x{number:064x}"),
        created_at_ns=T0 + number,
        updated_at_ns=T0 + number,
    )
    return replace(made, **{key: value for key, value in changes.items() if key not in named})


def signed(of: Order) -> SignedOrder:
    assert of.order_id is not None
    return SignedOrder(
        client_order_id=of.terms.client_order_id,
        order_id=of.order_id,
        body=b'{"order":{"salt":1,"signature":"0x\xc3\xa9"}}',
        salt=2**53 - 1,
        timestamp_ms=1_790_000_100_123,
        quantity=of.terms.quantity,
        maker_amount=5_200_000,
        taker_amount=10_000_000,
    )


def intent(of: Order | None = None, decision_id: int | None = None) -> IntentRecorded:
    of = of or order()
    return IntentRecorded(order=of, signed=signed(of), decision_id=decision_id, at_ns=of.created_at_ns)


def denied(number: int, of: Market | None = None) -> IntentDenied:
    return IntentDenied(terms=order(number, of, price=0).terms, reason="price 0 is outside the grid", at_ns=T0 + 7)


def changed(of: Order, event: OrderEvent, status: OrderStatus, **changes: Any) -> OrderChanged:
    at_ns = changes.pop("at_ns", of.updated_at_ns + 1)
    detail = changes.pop("detail", "venue: live")
    after = replace(of, status=status, updated_at_ns=at_ns, detail=detail, **changes)
    return OrderChanged(order=after, event=event, at_ns=at_ns, detail=detail)


def fill(number: int = 1, of: Order | None = None, **changes: Any) -> Fill:
    of = of or order()
    assert of.order_id is not None
    made = Fill(
        trade_id=TradeId(f"trade-{number}"),
        order_id=of.order_id,
        client_order_id=of.terms.client_order_id,
        position_id=of.terms.position_id,
        condition_id=of.terms.condition_id,
        token_id=of.terms.token_id,
        side=of.terms.side,
        price=of.terms.price,
        quantity=of.terms.quantity,
        cash=5_200_000,
        fee=174_720,
        liquidity=Liquidity.TAKER,
        status=FillStatus.MATCHED,
        matched_at_ns=T0 + 1_000 + number,
        updated_at_ns=T0 + 2_000 + number,
    )
    return replace(made, **changes)


def fill_recorded(of: Fill, *, is_new: bool = True) -> FillRecorded:
    return FillRecorded(fill=of, is_new=is_new, at_ns=of.updated_at_ns)


def matched(of: Fill) -> PostingRecorded:
    return PostingRecorded(posting=matched_posting(of, of.updated_at_ns))


def settled(of: Fill) -> PostingRecorded:
    return PostingRecorded(posting=settled_posting(of, of.updated_at_ns))


def transfer(amount: int = 100_000_000) -> PostingRecorded:
    return PostingRecorded(
        posting=Posting(
            source_id="transfer:cash:1",
            kind=PostingKind.TRANSFER,
            at_ns=T0,
            reason="opening balance",
            settled_cash=amount,
            evidence="ledger 0, venue 100000000",
        )
    )


def resolved(of: Order, shares: int, payout: int) -> PostingRecorded:
    return PostingRecorded(
        posting=Posting(
            source_id=f"resolved:{of.terms.position_id}:0",
            kind=PostingKind.RESOLVED,
            at_ns=T0 + 9_000,
            reason="market resolved",
            condition_id=of.terms.condition_id,
            token_id=of.terms.token_id,
            position_id=of.terms.position_id,
            settled_shares=-shares,
            claim=payout,
            resolved=shares,
            payout=payout,
            price=1_000_000,
        )
    )


def redeemed(of: Order, amount: int) -> PostingRecorded:
    return PostingRecorded(
        posting=Posting(
            source_id=f"redeemed:{of.terms.token_id}",
            kind=PostingKind.REDEEMED,
            at_ns=T0 + 9_500,
            reason="claim paid",
            condition_id=of.terms.condition_id,
            token_id=of.terms.token_id,
            position_id=of.terms.position_id,
            settled_cash=amount,
            claim=-amount,
        )
    )


def position(of: Order | None = None, **changes: Any) -> PositionRecorded:
    of = of or order()
    made = PositionRecorded(
        position_id=of.terms.position_id,
        condition_id=of.terms.condition_id,
        token_id=of.terms.token_id,
        outcome=Outcome.UP,
        symbol="BTC",
        status=PositionStatus.OPEN,
        pending_shares=10_000_000,
        settled_shares=0,
        average_price=520_000,
        realised_pnl=-174_720,
        fees=174_720,
        take_profit_price=600_000,
        stop_price=None,
        opened_at_ns=T0 + 1_001,
        at_ns=T0 + 2_001,
    )
    return replace(made, **changes)


def settlement(of: Market | None = None, **changes: Any) -> SettlementRecorded:
    of = of or market()
    made = SettlementRecorded(
        condition_id=of.condition_id,
        slug=of.slug,
        symbol=of.symbol,
        winner=Outcome.UP,
        up_payout=1_000_000,
        shares_held=10_000_000,
        payout=10_000_000,
        realised_pnl=4_625_280,
        fees=174_720,
        at_ns=T0 + 10_000,
    )
    return replace(made, **changes)


def decision(number: int = 1, of: Market | None = None, **changes: Any) -> DecisionRecorded:
    of = of or market()
    made = DecisionRecorded(
        decision_id=number,
        condition_id=of.condition_id,
        symbol=of.symbol,
        at_ns=T0 + number,
        action="ENTER",
        reason="edge",
        outcome=Outcome.UP,
        fair_value_up=0.6123456789012345,
        market_prior_p_up=0.52,
        additive_bias=0.1,
        additive_confidence=0.2,
        bayesian_bias=-0.3,
        bayesian_confidence=0.4,
        p_up=0.58,
        edge=0.031,
        price=520_000,
        quantity=10_000_000,
        inputs='{"spot":"95000.1"}',
    )
    return replace(made, **changes)


def skip(number: int, at_ns: int) -> DecisionRecorded:
    return decision(number, action="SKIP", reason="edge too small", outcome=None, price=None, at_ns=at_ns)


def rare_facts() -> list[Fact]:
    """One of each kind that the journal only keeps."""
    return [
        BalanceObserved(cash=1, ledger_cash=2, at_ns=T0, source="snapshot"),
        ReconcileCompleted(at_ns=T0, open_orders=1, fills_applied=0, differences=("é", "b"), trigger="start"),
        SwitchChanged(
            name=SwitchName.BLACKLIST,
            subject="BTC",
            on=True,
            reason="stopped out",
            source="engine",
            until_ns=T0 + 5,
            at_ns=T0,
        ),
        VenueModeChanged(
            mode=VenueMode.POST_ONLY, previous=VenueMode.NORMAL, reason="HTTP 503", until_ns=T0 + 9, at_ns=T0
        ),
        DoubtRecorded(
            client_order_id=ClientOrderId("o000001"),
            since_ns=T0,
            lookups=2,
            absences=1,
            next_lookup_ns=T0 + 4,
            outcome="absent",
            at_ns=T0,
        ),
        RequestAnswered(
            request_id="r1", orders=(ClientOrderId("o000001"),), refusal="too dear \x00", source="tool", at_ns=T0
        ),
        Notice(kind=NoticeKind.STREAM_LOST, subject="user", message="closed \x00 by \ud800 peer", at_ns=T0),
    ]


def a_life() -> list[Fact]:
    """An entry that fills and settles, with everything around it."""
    entry = order(1)
    bought = fill(1, entry)
    final = replace(bought, status=FillStatus.CONFIRMED, updated_at_ns=T0 + 3_000, transaction_hash="0xabc")
    return [
        market_recorded(),
        transfer(),
        decision(1),
        intent(entry, decision_id=1),
        changed(entry, OrderEvent.ACCEPT, OrderStatus.OPEN),
        fill_recorded(bought),
        matched(bought),
        changed(entry, OrderEvent.FILL_FULL, OrderStatus.FILLED, filled=10_000_000, at_ns=T0 + 5),
        position(entry),
        fill_recorded(final, is_new=False),
        settled(final),
        position(entry, pending_shares=0, settled_shares=10_000_000),
        *rare_facts(),
    ]
