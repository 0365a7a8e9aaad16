"""A position is a sum: independent of order, and its result is cash in less cash out to the micro-dollar."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.ledger import (
    Ledger,
    Posting,
    PostingKind,
    matched_posting,
    reversed_posting,
    settled_posting,
)
from polystra.domain.orders import Side
from polystra.domain.positions import Position

P, C, T = PositionId("p"), ConditionId("c"), TokenId("1")


def make_fill(number: int, side: Side, price: int, quantity: int, fee: int) -> Fill:
    return Fill(
        trade_id=TradeId(f"t{number}"),
        order_id=OrderId("o"),
        client_order_id=ClientOrderId("c"),
        position_id=P,
        condition_id=C,
        token_id=T,
        side=side,
        price=price,
        quantity=quantity,
        cash=-(-price * quantity // 1_000_000) if side is Side.BUY else price * quantity // 1_000_000,
        fee=fee,
        liquidity=Liquidity.TAKER,
        status=FillStatus.MATCHED,
        matched_at_ns=0,
        updated_at_ns=0,
    )


def resolution(shares: int, payout_price: int) -> Posting:
    payout = shares * payout_price // 1_000_000
    return Posting(
        source_id="resolved:p",
        kind=PostingKind.RESOLVED,
        at_ns=9,
        reason="market resolved",
        condition_id=C,
        token_id=T,
        position_id=P,
        settled_shares=-shares,
        claim=payout,
        resolved=shares,
        payout=payout,
    )


@st.composite
def lives(draw: st.DrawFn) -> list[Posting]:
    """Buys, sales of no more than is held, failures among them, and what is left resolves at 0, a half or 1."""
    postings: list[Posting] = []
    held = 0
    for number in range(draw(st.integers(1, 7))):
        side = draw(st.sampled_from(list(Side))) if held else Side.BUY
        quantity = draw(st.integers(1, 50_000_000 if side is Side.BUY else held))
        fill = make_fill(number, side, draw(st.integers(1, 999_999)), quantity, draw(st.integers(0, 10**6)))
        failed = draw(st.integers(0, 4)) == 0
        postings += [matched_posting(fill, number), (reversed_posting if failed else settled_posting)(fill, number)]
        if not failed:
            held += quantity if side is Side.BUY else -quantity
    if held:
        postings.append(resolution(held, draw(st.sampled_from([0, 500_000, 1_000_000]))))
    return postings


def project(postings: list[Posting]) -> Position:
    position = Position(position_id=P, condition_id=C, token_id=T, opened_at_ns=0)
    for posting in postings:
        position.add(posting)
    return position


@given(lives(), st.data())
def test_the_order_of_postings_does_not_matter(postings, data):
    assert project(data.draw(st.permutations(postings))) == project(postings)


@given(lives())
def test_the_result_at_the_end_is_cash_in_less_cash_out(postings):
    position, ledger = project(postings), Ledger()
    for posting in postings:
        ledger.append(posting)
    assert position.shares == ledger.balance(T).shares == 0
    assert position.realised_pnl == ledger.cash + ledger.claims


@given(lives(), st.integers(0, 1_000_000))
def test_at_any_time_the_two_results_add_up_to_the_worth(postings, mark):
    """Realised plus unrealised is what cash and shares at the mark are worth, whatever was released so far."""
    for n in range(0, len(postings) + 1, 2):
        position = project(postings[:n])
        cash = position.sold_proceeds + position.payout - position.bought_cost - position.fees
        worth = cash + mark * position.shares // 1_000_000
        assert position.realised_pnl + position.unrealised_pnl(mark) == worth


@given(lives())
def test_the_average_price_is_cost_over_shares_rounded_up(postings):
    position = project(postings)
    if position.bought:
        below = (position.average_price - 1) * position.bought
        assert below < position.bought_cost * 1_000_000 <= position.average_price * position.bought
    else:
        assert position.average_price == 0


@given(lives())
def test_a_loss_that_is_found_out_later_is_still_cash_in_less_cash_out(postings):
    """Shares that vanish (an adjustment) release their cost like a sale for nothing."""
    without_end = [posting for posting in postings if posting.kind is not PostingKind.RESOLVED]
    held = project(without_end).shares
    lost = replace(resolution(held, 0), kind=PostingKind.ADJUSTMENT, source_id="lost", resolved=0)
    position = project([*without_end, lost])
    assert position.shares == 0
    assert position.realised_pnl == position.sold_proceeds - position.bought_cost - position.fees
