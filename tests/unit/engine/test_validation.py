"""Every rule that an order must pass before it is signed, on both sides of its boundary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.book import OrderBook
from polystra.domain.events import TickSizeChanged
from polystra.domain.facts import IntentDenied, IntentRecorded
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.market import VENUE_TICKS
from polystra.domain.orders import OrderStatus, OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.engine.state import Turn
from polystra.engine.validation import Moment, gtd_expiration_s, refusal
from tests.unit.engine.desk import CLOSES, CONDITION, MARKET, START_NS, UP, Desk

NOW_S = START_NS // NS_PER_S
FEE_OF_TEN_AT_HALF = 175_000


def buy(**changes: object) -> OrderTerms:
    """Ten shares at 50 cents that rest."""
    values: dict[str, object] = {
        "client_order_id": ClientOrderId("o1"),
        "condition_id": CONDITION,
        "token_id": UP,
        "position_id": PositionId("p"),
        "purpose": Purpose.ENTRY,
        "side": Side.BUY,
        "price": 500_000,
        "quantity": 10 * MICRO,
    }
    return OrderTerms(**{**values, **changes})  # type: ignore[arg-type]


def sell(**changes: object) -> OrderTerms:
    return buy(**{"side": Side.SELL, "purpose": Purpose.CLOSE, **changes})


def dollars(budget: int, price: int = 500_000, **changes: object) -> OrderTerms:
    """A market buy."""
    return buy(**{"budget": budget, "price": price, "quantity": 0, "time_in_force": TimeInForce.FAK, **changes})


def book(*asks: tuple[int, int], in_sync: bool = True) -> OrderBook:
    made = OrderBook()
    made.replace(((400_000, MICRO),), asks, START_NS)
    made.in_sync = in_sync
    return made


def moment(**changes: object) -> Moment:
    values: dict[str, object] = {
        "venue_now_ns": START_NS,
        "market": MARKET,
        "free_cash": 1_000 * MICRO,
        "free_shares": 10 * MICRO,
    }
    return Moment(**{**values, **changes})  # type: ignore[arg-type]


def gtd(expires_at_s: int) -> OrderTerms:
    return buy(time_in_force=TimeInForce.GTD, expires_at_s=expires_at_s)


def at_tick(tick: int, **changes: object) -> Moment:
    return moment(market=replace(MARKET, tick_size=tick), **changes)


BOUNDARIES: list[tuple[str, OrderTerms, Moment, OrderTerms, Moment, str]] = [
    # name, the last that passes (terms, moment), the first that does not (terms, moment), words of the refusal
    ("token of another market", buy(), moment(), buy(token_id=TokenId("9")), moment(), "token_id is 9"),
    ("market unknown", buy(), moment(), buy(), moment(market=None), "which is not watched"),
    ("resolved", buy(), moment(), buy(), moment(is_resolved=True), "is resolved and trades no more"),
    (
        "end of the market",
        buy(),
        moment(venue_now_ns=CLOSES * NS_PER_S - 1),
        buy(),
        moment(venue_now_ns=CLOSES * NS_PER_S),
        "ended at UTC second",
    ),
    (
        "accepting orders",
        buy(),
        moment(),
        buy(),
        moment(market=replace(MARKET, accepting_orders=False)),
        "accepts no orders",
    ),
    ("restarting", buy(), moment(), buy(), moment(mode=VenueMode.RESTARTING), "it is restarting"),
    (
        "post-only minutes",
        buy(post_only=True),
        moment(mode=VenueMode.POST_ONLY),
        buy(),
        moment(mode=VenueMode.POST_ONLY),
        "takes only post-only orders",
    ),
    (
        "cancel-only",
        buy(post_only=True),
        moment(),
        buy(post_only=True),
        moment(mode=VenueMode.CANCEL_ONLY),
        "takes only cancels",
    ),
    ("disabled", sell(), moment(), sell(), moment(mode=VenueMode.DISABLED), "trading is switched off"),
    (
        "closed-only account",
        sell(),
        moment(mode=VenueMode.CLOSED_ONLY),
        buy(),
        moment(mode=VenueMode.CLOSED_ONLY),
        "may only sell what it holds",
    ),
    (
        "post-only that cannot rest",
        buy(post_only=True),
        moment(),
        dollars(MICRO, post_only=True),
        moment(),
        "post_only",
    ),
    ("budget on what rests", dollars(2 * MICRO), moment(), buy(budget=2 * MICRO), moment(), "bound this order by its"),
    (
        "budget on a sell",
        sell(time_in_force=TimeInForce.FAK),
        moment(),
        sell(time_in_force=TimeInForce.FAK, budget=MICRO),
        moment(),
        "bound this order by its quantity",
    ),
    (
        "market buy without dollars",
        dollars(2 * MICRO),
        moment(),
        buy(time_in_force=TimeInForce.FOK),
        moment(),
        "say how much to spend",
    ),
    ("expiration on a GTC", buy(), moment(), buy(expires_at_s=NOW_S + 300), moment(), "expected 0"),
    ("GTD 180 s ahead", gtd(NOW_S + 180), moment(), gtd(NOW_S + 179), moment(), f"expected at least {NOW_S + 180}"),
    (
        "GTD by the venue's clock",
        gtd(NOW_S + 181),
        moment(venue_now_ns=START_NS + NS_PER_S),
        gtd(NOW_S + 180),
        moment(venue_now_ns=START_NS + 1),
        "from the venue's now",
    ),
    (
        "GTD life of two minutes",
        gtd(gtd_expiration_s(NOW_S, 120)),
        moment(),
        gtd(gtd_expiration_s(NOW_S, 119)),
        moment(),
        "the shortest life is 120 s",
    ),
    ("cents of a budget", dollars(2_010_000), moment(), dollars(2_010_001), moment(), "expected whole cents: use 2.01"),
    ("size step", buy(quantity=5_010_000), moment(), buy(quantity=5_010_001), moment(), "two decimals: use 5.01"),
    ("minimum size of a buy", buy(quantity=5_000_000), moment(), buy(quantity=4_990_000), moment(), "at least 5 for"),
    (
        "minimum size of a sell",
        sell(quantity=5_000_000),
        moment(),
        sell(quantity=4_990_000),
        moment(),
        "at least 5 for",
    ),
    (
        "dust of a sell",
        sell(quantity=10_000, time_in_force=TimeInForce.FAK),
        moment(),
        sell(quantity=9_999, time_in_force=TimeInForce.FAK),
        moment(),
        "such dust cannot be traded",
    ),
    (
        "a dollar for a market buy",
        dollars(1_000_000),
        moment(),
        dollars(990_000),
        moment(),
        "the buy is worth 0.99 dollars, expected at least 1",
    ),
    (
        "a dollar for a crossing limit, at the prices it would get",
        buy(price=200_000, quantity=5_000_000),
        moment(book=book((200_000, 5_000_000))),
        buy(price=200_000, quantity=5_000_000),
        moment(book=book((190_000, 1_000_000), (200_000, 5_000_000))),
        "the buy is worth 0.99 dollars",
    ),
    (
        "a dollar only where it crosses",
        buy(price=180_000, quantity=5_000_000),
        moment(book=book((190_000, 9_000_000))),
        buy(price=190_000, quantity=5_000_000),
        moment(book=book((190_000, 9_000_000))),
        "the buy is worth 0.95 dollars",
    ),
    (
        "a dollar judged on a book in sync only",
        buy(price=190_000, quantity=5_000_000),
        moment(book=book((190_000, 9_000_000), in_sync=False)),
        buy(price=190_000, quantity=5_000_000),
        moment(book=book((190_000, 9_000_000))),
        "the buy is worth 0.95 dollars",
    ),
    (
        "precision cap of a market sell on a fine tick",
        sell(price=555_500, quantity=200_000, time_in_force=TimeInForce.FAK),
        at_tick(100),
        sell(price=555_500, quantity=190_000, time_in_force=TimeInForce.FAK),
        at_tick(100),
        "cut to the four decimals that the venue allows",
    ),
    (
        "balance with the fee",
        buy(),
        moment(free_cash=5_000_000 + FEE_OF_TEN_AT_HALF),
        buy(),
        moment(free_cash=5_000_000 + FEE_OF_TEN_AT_HALF - 1),
        "buy less, cancel an order or add funds",
    ),
    (
        "a maker pays no fee",
        buy(post_only=True),
        moment(free_cash=5_000_000),
        buy(post_only=True),
        moment(free_cash=4_999_999),
        "the buy needs 5 dollars",
    ),
    (
        "balance for a market buy",
        dollars(5_000_000),
        moment(free_cash=5_000_000 + FEE_OF_TEN_AT_HALF),
        dollars(5_000_000),
        moment(free_cash=5_000_000 + FEE_OF_TEN_AT_HALF - 1),
        "5.174999 are free",
    ),
    (
        "allowance",
        buy(post_only=True),
        moment(allowance=5_000_000),
        buy(post_only=True),
        moment(allowance=4_999_999),
        "raise the allowance of the wallet",
    ),
    ("allowance not known", buy(), moment(allowance=None), buy(), moment(allowance=0), "the allowance of the venue's"),
    ("shares held", sell(), moment(), sell(quantity=10_010_000), moment(), "sell at most 10"),
    (
        "shares on their way",
        sell(quantity=6_000_000),
        moment(free_shares=6_000_000, awaited_shares=4_000_000),
        sell(quantity=6_010_000),
        moment(free_shares=6_000_000, awaited_shares=4_000_000),
        "4 more have not arrived on chain yet",
    ),
]


@pytest.mark.parametrize(
    ("good", "at", "bad", "then", "words"),
    [row[1:] for row in BOUNDARIES],
    ids=[row[0] for row in BOUNDARIES],
)
def test_each_rule_passes_up_to_its_boundary_and_refuses_beyond(
    good: OrderTerms, at: Moment, bad: OrderTerms, then: Moment, words: str
) -> None:
    assert refusal(good, at) is None
    said = refusal(bad, then)
    assert said is not None
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize("tick", VENUE_TICKS)
@pytest.mark.parametrize("side", list(Side))
def test_every_tick_has_its_grid_and_its_range(tick: int, side: Side) -> None:
    at = at_tick(tick)
    for price in (tick, 2 * tick, MICRO - tick):
        assert refusal(buy(side=side, price=price, tick_size=tick, post_only=True), at) is None
    for price, words in (
        (tick - 1, "choose one in this range"),
        (MICRO - tick + 1, "choose one in this range"),
        (0, "choose one in this range"),
        (MICRO, "choose one in this range"),
        (2 * tick + 1, "expected a multiple of the tick"),
        (2 * tick - 1, "expected a multiple of the tick"),
    ):
        assert words in (refusal(buy(side=side, price=price, post_only=True), at) or "")


@pytest.mark.parametrize("tick", [20_000, 1, 0])
def test_a_tick_that_the_venue_does_not_know_is_refused(tick: int) -> None:
    assert "expected one of 0.1, 0.01" in (refusal(buy(), at_tick(tick)) or "")


def place(desk: Desk, terms: OrderTerms) -> Turn:
    """What the gateway makes of terms."""
    turn = Turn(now_ns=desk.now_ns)
    desk.engine._gateway.place(terms, turn)
    desk._absorb(turn)
    return turn


def test_a_wrong_order_is_denied_with_the_sentence_and_nothing_is_signed() -> None:
    desk = Desk().ready()
    place(desk, buy(price=505_000))
    [denied] = desk.found(IntentDenied)
    assert denied.reason == "price is 0.505, expected a multiple of the tick 0.01: use 0.5 or 0.51"
    assert desk.last_order().order.status is OrderStatus.DENIED
    assert desk.signer.asked == []
    assert not desk.found(IntentRecorded)
    assert desk.state.reserved_cash() == 0


def test_what_live_buys_reserve_is_not_spent_twice() -> None:
    desk = Desk().ready(cash=6 * MICRO)
    place(desk, buy())
    assert desk.last_order().order.status is OrderStatus.SUBMITTED
    place(desk, buy(client_order_id=ClientOrderId("o2")))
    assert "0.825 are free" in desk.found(IntentDenied)[0].reason


def test_a_share_is_promised_to_one_sell() -> None:
    desk = Desk().ready()
    desk.hold(10)
    held = desk.position().position_id
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    place(desk, sell(client_order_id=ClientOrderId("x"), position_id=held, quantity=5 * MICRO))
    assert "0 are held and not promised" in desk.found(IntentDenied)[0].reason
    desk.accept(resting)
    assert desk.state.promised_shares(held) == 10 * MICRO
    desk.cancelled(resting)
    assert desk.state.promised_shares(held) == 10 * MICRO, "fills before the cancel may still be told"


@pytest.mark.parametrize(
    ("side", "planned", "tick", "sent"),
    [(Side.BUY, 510_000, 1_000, 510_000), (Side.BUY, 502_500, 1_000, 502_000), (Side.SELL, 502_500, 1_000, 503_000)],
)
def test_an_order_planned_on_the_coarse_grid_leaves_on_the_finer(
    side: Side, planned: int, tick: int, sent: int
) -> None:
    desk = Desk().ready(replace(MARKET, tick_size=2_500))
    desk.hold(10)
    position = desk.position().position_id
    for track in desk.orders(Purpose.TAKE_PROFIT):
        desk.accept(track).cancelled(track)
        desk.answer(track)
    desk.step(TickSizeChanged(token_id=UP, tick_size=tick, at_ns=desk.now_ns)).clear()
    for track in desk.orders(Purpose.TAKE_PROFIT):
        del desk.state.orders[track.order.terms.client_order_id]
    terms = buy(
        client_order_id=ClientOrderId("fine"),
        side=side,
        position_id=position,
        price=planned,
        tick_size=2_500,
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.CLOSE,
    )
    place(desk, terms)
    [order] = desk.sent()
    assert (order.terms.price, order.terms.tick_size) == (sent, tick)


def test_a_market_of_another_condition_is_unknown() -> None:
    desk = Desk().ready()
    place(desk, buy(condition_id=ConditionId("0xother")))
    assert "0xother, which is not watched" in desk.found(IntentDenied)[0].reason
