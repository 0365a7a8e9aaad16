"""Positions of a backtest: their reasons, their costs (fee, spread, slippage), the account marked at mid prices."""

from __future__ import annotations

from dataclasses import replace

from polystra.backtest.trades import MARK_EVERY_S, Quote, Series, TradeBook
from polystra.domain.facts import (
    DecisionRecorded,
    Fact,
    FillRecorded,
    IntentRecorded,
    MarketRecorded,
    PositionRecorded,
    SettlementRecorded,
)
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.market import Outcome
from polystra.domain.orders import Order, OrderTerms, Purpose, Side, SignedOrder
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MICRO, NS_PER_S
from tests.unit.engine.desk import CENT, CONDITION, DOWN, MARKET, START_NS, UP

POSITION = PositionId("btc-updown-15m-1800000000:up:1")
QUOTES: dict[TokenId, Quote] = {UP: (48 * CENT, 52 * CENT), DOWN: (48 * CENT, 52 * CENT)}


def quote(token_id: TokenId) -> Quote:
    return QUOTES[token_id]


def decision(number: int = 1) -> DecisionRecorded:
    return DecisionRecorded(
        decision_id=number,
        condition_id=CONDITION,
        symbol="BTC",
        at_ns=START_NS,
        action="ENTER",
        reason="edge",
        outcome=Outcome.UP,
        fair_value_up=0.6,
        market_prior_p_up=0.5,
        additive_bias=0.0,
        additive_confidence=0.0,
        bayesian_bias=0.0,
        bayesian_confidence=0.0,
        p_up=0.61,
        edge=0.05,
        price=52 * CENT,
        quantity=10 * MICRO,
        inputs="{}",
    )


def intent(
    number: int, side: Side, rule: str, *, token: TokenId = UP, decided: int | None = None, planned: int | None = None
) -> IntentRecorded:
    client = ClientOrderId(f"o{number}")
    terms = OrderTerms(
        client_order_id=client,
        condition_id=CONDITION,
        token_id=token,
        position_id=POSITION,
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.STOP_LOSS,
        side=side,
        price=52 * CENT,
        quantity=10 * MICRO,
        rule=rule,
        reason=f"why {rule}",
        planned_price=planned,
    )
    signed = SignedOrder(
        client_order_id=client,
        order_id=OrderId(f"0x{number}"),
        body=b"",
        salt=1,
        timestamp_ms=1,
        quantity=10 * MICRO,
        maker_amount=1,
        taker_amount=1,
    )
    return IntentRecorded(order=Order(terms=terms), signed=signed, decision_id=decided, at_ns=START_NS)


def fill(
    number: int,
    side: Side,
    price: int,
    *,
    token: TokenId = UP,
    fee: int = 0,
    liquidity: Liquidity = Liquidity.TAKER,
    is_new: bool = True,
    at_s: int = 1,
) -> FillRecorded:
    quantity = 10 * MICRO
    made = Fill(
        trade_id=TradeId(f"t{number}"),
        order_id=OrderId(f"0x{number}"),
        client_order_id=ClientOrderId(f"o{number}"),
        position_id=POSITION,
        condition_id=CONDITION,
        token_id=token,
        side=side,
        price=price,
        quantity=quantity,
        cash=price * quantity // MICRO,
        fee=fee,
        liquidity=liquidity,
        status=FillStatus.MATCHED,
        matched_at_ns=START_NS + at_s * NS_PER_S,
        updated_at_ns=START_NS + at_s * NS_PER_S,
    )
    return FillRecorded(fill=made, is_new=is_new, at_ns=made.matched_at_ns)


def position(shares: int, realised: int, *, average: int = 52 * CENT, status: PositionStatus = PositionStatus.OPEN):
    return PositionRecorded(
        position_id=POSITION,
        condition_id=CONDITION,
        token_id=UP,
        outcome=Outcome.UP,
        symbol="BTC",
        status=status,
        pending_shares=0,
        settled_shares=shares,
        average_price=average,
        realised_pnl=realised,
        fees=0,
        take_profit_price=None,
        stop_price=None,
        opened_at_ns=START_NS,
        at_ns=START_NS,
    )


def settlement(up_payout: int) -> SettlementRecorded:
    return SettlementRecorded(
        condition_id=CONDITION,
        slug=MARKET.slug,
        symbol="BTC",
        winner=Outcome.UP if up_payout else Outcome.DOWN,
        up_payout=up_payout,
        shares_held=10 * MICRO,
        payout=0,
        realised_pnl=0,
        fees=0,
        at_ns=START_NS + 600 * NS_PER_S,
    )


def listed() -> MarketRecorded:
    return MarketRecorded(market=MARKET, price_to_beat=None, at_ns=START_NS)


def told(*facts: Fact) -> TradeBook:
    book = TradeBook()
    book.take([listed(), *facts], START_NS, quote)
    return book


def test_a_position_tells_why_it_was_opened_and_closed():
    book = told(
        decision(7),
        intent(1, Side.BUY, "entry", decided=7),
        fill(1, Side.BUY, 52 * CENT, fee=17_000),
        intent(2, Side.SELL, "stop-loss"),
        fill(2, Side.SELL, 40 * CENT, fee=16_000, at_s=60),
    )
    (trade,) = book.filled
    assert (trade.slug, trade.symbol, trade.outcome) == (MARKET.slug, "BTC", Outcome.UP)
    assert (trade.entry_rule, trade.entry_reason) == ("entry", "why entry; P(Up) 0.610")
    assert (trade.exit_rule, trade.entry_price, trade.exit_price) == ("stop-loss", 52 * CENT, 40 * CENT)
    assert trade.fees == 33_000
    assert trade.closed_ns - trade.opened_ns == 59 * NS_PER_S


def test_the_cost_of_taking_is_half_the_spread_and_what_was_worse_than_the_touch():
    book = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 53 * CENT))
    assert (book.spread, book.slippage) == (20 * CENT, 10 * CENT)
    book.take([intent(2, Side.SELL, "stop-loss"), fill(2, Side.SELL, 45 * CENT)], START_NS, quote)
    assert (book.spread, book.slippage) == (40 * CENT, 40 * CENT)
    (trade,) = book.filled
    assert (trade.spread, trade.slippage) == (book.spread, book.slippage)


def test_a_fill_that_is_better_than_the_touch_is_slippage_below_zero():
    assert told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 51 * CENT)).slippage == -10 * CENT


def test_the_book_of_the_decision_counts_not_that_of_the_fill():
    book = told(intent(1, Side.BUY, "entry"))
    book.take([fill(1, Side.BUY, 55 * CENT)], START_NS, lambda _: (54 * CENT, 55 * CENT))
    assert (book.spread, book.slippage) == (20 * CENT, 30 * CENT)


def test_an_order_that_rests_pays_neither_spread_nor_slippage():
    book = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 52 * CENT, liquidity=Liquidity.MAKER))
    assert (book.spread, book.slippage, book.unquoted) == (0, 0, 0)


def test_without_a_side_of_the_book_the_spread_is_unknown_and_the_plan_is_the_measure():
    book = TradeBook()
    book.take([listed(), intent(1, Side.BUY, "entry", planned=50 * CENT)], START_NS, lambda _: (48 * CENT, None))
    book.take([fill(1, Side.BUY, 53 * CENT)], START_NS, quote)
    assert (book.unquoted, book.spread, book.slippage) == (1, 0, 30 * CENT)


def test_a_fill_that_is_told_again_counts_once():
    book = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 53 * CENT), fill(1, Side.BUY, 53 * CENT, is_new=False))
    assert book.filled[0].bought == 10 * MICRO
    assert len(book.executions[MARKET.slug]) == 1


def test_an_entry_that_never_filled_is_no_position():
    assert told(intent(1, Side.BUY, "entry")).filled == []


def test_what_is_held_to_the_verdict_is_sold_at_what_the_market_pays():
    book = told(intent(1, Side.BUY, "entry", token=DOWN), fill(1, Side.BUY, 40 * CENT, token=DOWN), settlement(0))
    (trade,) = book.filled
    assert trade.outcome is Outcome.DOWN
    assert (trade.exit_rule, trade.exit_price) == ("resolution", MICRO)
    lost = told(intent(1, Side.BUY, "entry", token=DOWN), fill(1, Side.BUY, 40 * CENT, token=DOWN), settlement(MICRO))
    assert lost.filled[0].exit_price == 0


def test_the_account_is_marked_at_mid_prices_and_its_deepest_fall_is_kept():
    book = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 52 * CENT), position(10 * MICRO, -17_000))
    assert book.marked.points[-1][1] == -17_000 - 2 * CENT * 10
    book.mark(START_NS + MARK_EVERY_S * NS_PER_S, lambda _: (70 * CENT, 74 * CENT))
    book.mark(START_NS + 2 * MARK_EVERY_S * NS_PER_S, lambda _: (30 * CENT, 34 * CENT))
    assert [value for _, value in book.marked.points] == [-217_000, 1_983_000, -2_017_000]
    assert book.deepest == 4_000_000
    book.mark(START_NS + 2 * MARK_EVERY_S * NS_PER_S + 1, lambda _: (1 * CENT, 2 * CENT))
    assert len(book.marked.points) == 3, "it is marked at most every ten seconds"


def test_a_missing_side_of_the_book_leaves_the_mark_where_it_was():
    book = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 52 * CENT), position(10 * MICRO, 0))
    book.mark(START_NS + MARK_EVERY_S * NS_PER_S, lambda _: (None, 90 * CENT))
    assert [value for _, value in book.marked.points] == [-200_000, -200_000]


def test_a_later_recording_goes_on_from_the_result_of_the_one_before():
    first = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 52 * CENT), position(0, 3 * MICRO))
    second = told(intent(1, Side.BUY, "entry"), fill(1, Side.BUY, 52 * CENT), position(0, -2 * MICRO))
    second.trades = {PositionId("other"): replace(next(iter(second.trades.values())), position_id=PositionId("other"))}
    first.absorb(second)
    assert [value for _, value in first.marked.points] == [3 * MICRO, MICRO]
    assert first.deepest == 2 * MICRO
    assert len(first.filled) == 2


def test_a_series_stays_short_and_keeps_its_span():
    series = Series(most=100)
    for number in range(10_000):
        series.add(number, number)
    assert 50 <= len(series.points) < 100
    assert series.points[0] == (0, 0)
    assert series.points[-1][0] > 9_000
    assert [value for _, value in series.points] == [at for at, _ in series.points]


def test_orders_of_a_settled_market_are_forgotten():
    book = told(decision(), intent(1, Side.BUY, "entry", decided=1), fill(1, Side.BUY, 52 * CENT), settlement(MICRO))
    assert not book._wishes
    assert not book._markets
    assert not book._entries
