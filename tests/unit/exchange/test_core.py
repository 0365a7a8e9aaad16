"""The exchange's core: what it takes, matches, refuses, settles and announces."""

from collections.abc import Callable

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.core import (
    BookTraded,
    CoreEvent,
    LevelsChanged,
    MarketListed,
    MarketResolved,
    OrderEvent,
    Placement,
    PlaceRequest,
    Redeemed,
    TickSizeChanged,
    TradeEvent,
    TradingStopped,
)
from polystra.exchange.model import NS_PER_S
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, T0, T0_S, UP, Desk, spec

CASH = 1_000_000_000


def text(placement: Placement) -> str:
    assert placement.refusal is not None
    return placement.refusal.text


def buy(token: str, dollars: str, worst: str, order_type: str = "FAK") -> PlaceRequest:
    return PlaceRequest.market(
        token,
        "BUY",
        amount=round(float(dollars) * 1_000_000),
        worst_price=round(float(worst) * 1_000_000),
        order_type=order_type,  # type: ignore[arg-type]
    )


def test_two_buyers_of_opposite_outcomes_mint_a_pair(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.48", "100")
    taken = desk.limit(ALICE, UP, "BUY", "0.55", "10")
    assert (taken.status, taken.making_amount, taken.taking_amount) == ("matched", 5_200_000, 10_000_000)
    alice, bob = desk.core.account(ALICE), desk.core.account(BOB)
    assert alice is not None
    assert bob is not None
    assert alice.cash == CASH - 5_200_000 - 174_720
    assert bob.cash == CASH - 4_800_000
    assert (alice.tokens, alice.pending_tokens) == ({}, {UP: 10_000_000})
    desk.settle()
    assert (alice.tokens, bob.tokens) == ({UP: 10_000_000}, {DOWN: 10_000_000})
    assert desk.core.outstanding(UP) == desk.core.outstanding(DOWN) == 10_000_000


def test_bought_shares_cannot_be_sold_until_mined(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "100")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    early = desk.limit(ALICE, UP, "SELL", "0.5", "5")
    assert (
        text(early) == "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 5000000"
    )
    desk.now += 2 * NS_PER_S
    assert desk.limit(ALICE, UP, "SELL", "0.6", "5").accepted


def test_proceeds_of_a_sale_arrive_with_the_block(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    desk.settle()
    desk.limit(BOB, UP, "BUY", "0.40", "10")
    before = desk.core.account(ALICE).cash  # type: ignore[union-attr]
    sold = desk.limit(ALICE, UP, "SELL", "0.40", "10")
    assert (sold.making_amount, sold.taking_amount) == (10_000_000, 4_000_000)
    account = desk.core.account(ALICE)
    assert account is not None
    assert (account.cash, account.pending_cash) == (before, 4_000_000 - 168_000)
    desk.settle()
    assert (account.cash, account.pending_cash) == (before + 4_000_000 - 168_000, 0)


def test_open_orders_reserve_cash_and_shares(desk: Desk) -> None:
    assert desk.limit(ALICE, UP, "BUY", "0.50", "1500").accepted
    refused = desk.limit(ALICE, UP, "BUY", "0.50", "600")
    assert text(refused).endswith("balance: 250000000, order amount: 300000000")
    desk.core.cancel_all(ALICE, None, None, desk.now)
    assert desk.limit(ALICE, UP, "BUY", "0.50", "600").accepted


def test_taker_fee_needs_cash_too(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "2000")
    assert text(desk.limit(ALICE, UP, "BUY", "0.50", "2000")).endswith("order amount: 1035000000")
    assert desk.limit(ALICE, UP, "BUY", "0.50", "1900").accepted


@pytest.mark.parametrize(
    ("price", "size", "expected"),
    [
        ("0.405", "10", "Price (0.405) breaks minimum tick size rule: 0.01"),
        ("1", "10", "Price (1) breaks minimum tick size rule: 0.01"),
        ("0.5", "4.99", "Size (4.99) lower than the minimum: 5"),
    ],
)
def test_grid_and_size_refusals(desk: Desk, price: str, size: str, expected: str) -> None:
    placement = desk.limit(ALICE, UP, "BUY", price, size)
    assert text(placement) == f"order {placement.order_id} is invalid. {expected}"


def test_marketable_buy_below_a_dollar_is_refused(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.90", "100")
    assert text(desk.limit(ALICE, UP, "BUY", "0.12", "5")) == (
        "invalid amount for a marketable BUY order ($0.5), min size: $1"
    )
    assert desk.limit(ALICE, UP, "BUY", "0.09", "5").accepted


def test_post_only(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "100")
    assert text(desk.limit(ALICE, UP, "BUY", "0.50", "10", post_only=True)) == (
        "invalid post-only order: order crosses book"
    )
    assert desk.limit(ALICE, UP, "BUY", "0.49", "10", post_only=True).status == "live"


def test_killed_orders_are_announced_without_figures(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    killed = desk.place(ALICE, buy(UP, "50", "0.5", "FOK"))
    reason = "order couldn't be fully filled. FOK orders are fully filled or killed."
    assert text(killed) == reason
    event = desk.of(OrderEvent)[-1]
    assert isinstance(event, OrderEvent)
    assert (event.type, event.status, event.killed) == ("CANCELLATION", f"CANCELED_{reason}", True)
    assert desk.core.total_money() == 2 * CASH


def test_fill_and_kill_takes_what_is_there(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    taken = desk.place(ALICE, buy(UP, "50", "0.5"))
    assert (taken.status, taken.making_amount, taken.taking_amount) == ("matched", 5_000_000, 10_000_000)
    assert desk.core.best(UP) == (None, None)
    assert text(desk.place(ALICE, buy(UP, "50", "0.5"))).startswith("no orders found to match with FAK order.")


def test_dollar_buy_gets_more_shares_at_a_better_price(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.60", "100")
    taken = desk.place(ALICE, buy(UP, "5", "0.5"))
    assert (taken.making_amount, taken.taking_amount) == (5_000_000, 12_500_000)


def test_an_id_is_taken_once_for_ever(desk: Desk) -> None:
    request = PlaceRequest(
        token_id=UP, side="BUY", order_type="GTC", maker_amount=4_000_000, taker_amount=10_000_000, order_id="0x01"
    )
    assert desk.place(ALICE, request).accepted
    assert text(desk.place(ALICE, request)) == "order 0x01 is invalid. Duplicated."
    desk.core.cancel(ALICE, ["0x01"], desk.now)
    assert text(desk.place(ALICE, request)) == "order 0x01 is invalid. Duplicated."


def test_an_order_refused_for_funds_may_be_sent_again(desk: Desk) -> None:
    request = PlaceRequest(
        token_id=UP, side="SELL", order_type="GTC", maker_amount=10_000_000, taker_amount=6_000_000, order_id="0x02"
    )
    assert not desk.place(ALICE, request).accepted
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    desk.settle()
    assert desk.place(ALICE, request).accepted


def test_cancel_reports_each_id(desk: Desk) -> None:
    mine = desk.limit(ALICE, UP, "BUY", "0.40", "10").order_id
    theirs = desk.limit(BOB, UP, "BUY", "0.40", "10").order_id
    report = desk.core.cancel(ALICE, [mine, mine, theirs, "0x00"], desk.now)
    assert report.canceled == (mine,)
    assert set(report.not_canceled) == {theirs, "0x00"}
    assert desk.core.order(theirs) is not None


def test_cancel_all_can_be_narrowed_to_a_token(desk: Desk) -> None:
    up = desk.limit(ALICE, UP, "BUY", "0.40", "10").order_id
    down = desk.limit(ALICE, DOWN, "BUY", "0.40", "10").order_id
    assert desk.core.cancel_all(ALICE, "0xother", None, desk.now).canceled == ()
    assert desk.core.cancel_all(ALICE, CONDITION, DOWN, desk.now).canceled == (down,)
    assert desk.core.cancel_all(ALICE, None, None, desk.now).canceled == (up,)


def test_good_till_date_leaves_a_minute_early(desk: Desk) -> None:
    assert text(desk.limit(ALICE, UP, "BUY", "0.4", "10", order_type="GTD", expiration_s=T0_S + 179)) == (
        "invalid expiration"
    )
    order_id = desk.limit(ALICE, UP, "BUY", "0.4", "10", order_type="GTD", expiration_s=T0_S + 180).order_id
    assert desk.core.next_due_ns() == T0 + 120 * NS_PER_S
    desk.core.advance(T0 + 120 * NS_PER_S - 1)
    assert desk.core.order(order_id) is not None
    desk.core.advance(T0 + 120 * NS_PER_S)
    assert desk.core.order(order_id) is None
    event = desk.of(OrderEvent)[-1]
    assert isinstance(event, OrderEvent)
    assert (event.status, event.at_ns) == ("CANCELED_EXPIRED_ORDER", T0 + 120 * NS_PER_S)


def test_trade_moves_through_the_chain_with_its_hash(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    desk.settle()
    trades = [event for event in desk.of(TradeEvent) if isinstance(event, TradeEvent)]
    assert [(event.trade.status, event.at_ns - T0) for event in trades] == [
        ("MATCHED", 0),
        ("MINED", 2 * NS_PER_S),
        ("CONFIRMED", 5 * NS_PER_S),
    ]
    hashes = [event.trade.transaction_hash for event in trades]
    assert hashes[0] is None
    assert hashes[1] == hashes[2]
    assert len({event.trade.trade_id for event in trades}) == 1


def test_one_trade_names_all_its_maker_legs(desk: Desk) -> None:
    house = desk.core.open_house_account("maker")
    desk.limit(house, DOWN, "BUY", "0.50", "10")
    desk.limit(BOB, DOWN, "BUY", "0.49", "10")
    taken = desk.limit(ALICE, UP, "BUY", "0.51", "15")
    trade = desk.core.trade(taken.trade_ids[0])
    assert trade is not None
    assert [(leg.account, leg.size, leg.price, leg.side) for leg in trade.legs] == [
        (house, 10_000_000, 500_000, "BUY"),
        (BOB, 5_000_000, 490_000, "BUY"),
    ]
    assert trade.cash == 5_000_000 + 2_550_000
    assert trade.fee == 262_470  # 0.175 + 0.087465, rounded once
    assert [t.trade_id for t in desk.core.trades([BOB])] == [trade.trade_id]


def test_events_of_a_partial_fill(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.events.clear()
    placed = desk.limit(ALICE, UP, "BUY", "0.50", "15")
    assert (placed.status, placed.taking_amount) == ("live", 10_000_000)
    kinds = [type(event).__name__ for event in desk.events]
    assert kinds == ["OrderEvent", "OrderEvent", "OrderEvent", "TradeEvent", "BookTraded", "LevelsChanged"]
    orders = [event for event in desk.of(OrderEvent) if isinstance(event, OrderEvent)]
    assert [(event.type, event.order.account, event.status, event.order.size_matched) for event in orders] == [
        ("PLACEMENT", ALICE, "LIVE", 0),
        ("UPDATE", BOB, "MATCHED", 10_000_000),
        ("UPDATE", ALICE, "LIVE", 10_000_000),
    ]
    levels = desk.of(LevelsChanged)[-1]
    assert isinstance(levels, LevelsChanged)
    assert (levels.traded, levels.top_changed, levels.best_bid, levels.best_ask) == (True, True, 500_000, None)
    traded = desk.of(BookTraded)[-1]
    assert isinstance(traded, BookTraded)
    assert (traded.token_id, traded.side, traded.price, traded.size) == (UP, "BUY", 500_000, 10_000_000)


def test_deeper_levels_do_not_touch_the_top(desk: Desk) -> None:
    desk.limit(BOB, UP, "BUY", "0.50", "10")
    desk.limit(BOB, UP, "BUY", "0.40", "10")
    first, second = (event for event in desk.of(LevelsChanged) if isinstance(event, LevelsChanged))
    assert (first.top_changed, second.top_changed) == (True, False)


def test_both_tokens_show_one_book(desk: Desk) -> None:
    desk.limit(BOB, UP, "BUY", "0.40", "10")
    desk.limit(BOB, DOWN, "BUY", "0.45", "20")
    assert desk.core.best(UP) == (400_000, 550_000)
    assert desk.core.best(DOWN) == (450_000, 600_000)
    assert desk.core.depth(DOWN) == ([(450_000, 20_000_000)], [(600_000, 10_000_000)])
    assert desk.core.best("unknown") == (None, None)
    assert desk.core.depth("unknown") == ([], [])


def test_stopped_market_takes_no_orders_and_keeps_open_ones(desk: Desk) -> None:
    order_id = desk.limit(ALICE, UP, "BUY", "0.40", "10").order_id
    desk.core.stop_trading(CONDITION, desk.now)
    assert text(desk.limit(ALICE, UP, "BUY", "0.40", "10")) == "No orderbook exists for the requested token id"
    assert desk.core.order(order_id) is not None
    assert len(desk.of(TradingStopped)) == 1
    assert desk.core.cancel(ALICE, [order_id], desk.now).canceled == (order_id,)


def test_market_before_its_listing_is_not_ready(desk: Desk) -> None:
    desk.core.list_market(spec(condition_id="0x2", up_token="5", down_token="6", listed_at_s=T0_S + 10), T0)
    assert text(desk.limit(ALICE, "5", "BUY", "0.40", "10")) == "the market is not yet ready to process new orders"


@pytest.mark.parametrize(("payout", "winner", "paid"), [(1_000_000, "Up", 10), (0, "Down", 0), (500_000, None, 5)])
def test_resolution_cancels_and_redeems(desk: Desk, payout: int, winner: str | None, paid: int) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    desk.settle()
    open_id = desk.limit(BOB, UP, "BUY", "0.10", "10").order_id
    desk.core.resolve(CONDITION, payout, desk.now)
    desk.core.resolve(CONDITION, 1_000_000 - payout, desk.now)
    event = desk.of(OrderEvent)[-1]
    assert isinstance(event, OrderEvent)
    assert (event.order.order_id, event.status) == (open_id, "CANCELED_MARKET_RESOLVED")
    assert [event.winner for event in desk.of(MarketResolved) if isinstance(event, MarketResolved)] == [winner]
    alice = desk.core.account(ALICE)
    assert alice is not None
    before = alice.cash
    desk.core.advance(desk.now + 3 * NS_PER_S - 1)
    assert alice.cash == before
    desk.settle()
    assert alice.cash == before + paid * 1_000_000
    assert alice.redeemed == paid * 1_000_000
    assert alice.tokens == ({UP: 10_000_000} if paid == 0 else {})
    assert sum(event.cash for event in desk.of(Redeemed) if isinstance(event, Redeemed)) == 10_000_000
    assert desk.core.total_money() == 2 * CASH
    market = desk.core.market(CONDITION)
    assert (market.closed, market.accepting_orders, market.winner) == (True, False, winner)


def test_shares_mined_after_resolution_are_redeemed(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(mined_after_ms=60_000, confirmed_after_ms=70_000)
    desk.limit(BOB, DOWN, "BUY", "0.50", "10")
    desk.place(ALICE, buy(UP, "5", "0.5"))
    desk.core.resolve(CONDITION, 1_000_000, desk.now)
    desk.core.advance(desk.now + 100 * NS_PER_S)
    assert desk.core.account(ALICE).redeemed == 10_000_000  # type: ignore[union-attr]


def test_ticks_only_get_finer(desk: Desk) -> None:
    desk.core.set_tick_size(CONDITION, 1_000, desk.now)
    assert desk.limit(ALICE, UP, "BUY", "0.405", "10").accepted
    with pytest.raises(ConfigError, match="ticks only get finer"):
        desk.core.set_tick_size(CONDITION, 10_000, desk.now)
    (event,) = desk.of(TickSizeChanged)
    assert isinstance(event, TickSizeChanged)
    assert (event.old_tick_size, event.new_tick_size) == (10_000, 1_000)


def test_listing_twice_changes_nothing_and_foreign_ids_are_refused(desk: Desk) -> None:
    desk.core.list_market(spec(), desk.now)
    assert len(desk.of(MarketListed)) == 1
    with pytest.raises(ConfigError, match="uses ids of another market"):
        desk.core.list_market(spec(condition_id="0x9"), desk.now)


def test_house_account_has_no_end_of_money_but_sells_only_what_it_has(desk: Desk) -> None:
    house = desk.core.open_house_account("maker")
    assert desk.core.open_house_account("maker") == house
    assert desk.limit(house, UP, "BUY", "0.99", "99000000000").accepted
    assert desk.limit(house, UP, "BUY", "0.99", "99000000000").accepted
    assert not desk.limit(house, UP, "SELL", "0.5", "5").accepted


def test_wallets_belong_to_one_owner(desk: Desk) -> None:
    desk.core.register_wallet(ALICE, "0x" + "D0" * 20, 3)
    desk.core.register_wallet(ALICE, "0x" + "d0" * 20, 3)
    assert [account.address for account in desk.core.accounts_of(ALICE)] == [ALICE, "0x" + "d0" * 20]
    with pytest.raises(ConfigError, match="is already"):
        desk.core.register_wallet(BOB, "0x" + "d0" * 20, 3)
    with pytest.raises(ConfigError, match="signature type is 0"):
        desk.core.register_wallet(BOB, "0x" + "d2" * 20, 0)


def test_the_same_calls_give_the_same_events(make_desk: Callable[..., Desk]) -> None:
    def run() -> list[str]:
        desk = make_desk()
        desk.limit(BOB, DOWN, "BUY", "0.50", "10")
        desk.place(ALICE, buy(UP, "5", "0.5"))
        desk.settle()
        return [repr(event) for event in desk.events]

    assert run() == run()


def test_whoever_names_kinds_hears_those_and_no_orders_of_the_house(desk: Desk) -> None:
    heard: list[CoreEvent] = []
    desk.core.add_listener(heard.append, OrderEvent, BookTraded)
    house = desk.core.open_house_account("maker")
    desk.limit(house, DOWN, "BUY", "0.50", "10")
    desk.limit(ALICE, UP, "BUY", "0.50", "10")
    assert {event.order.account for event in desk.of(OrderEvent) if isinstance(event, OrderEvent)} == {house, ALICE}
    desk.core.remove_listener(desk.events.append)
    desk.limit(house, DOWN, "BUY", "0.40", "10")
    desk.limit(ALICE, UP, "BUY", "0.30", "10")
    assert {type(event) for event in heard} == {OrderEvent, BookTraded}
    unheard = heard[-1]
    assert isinstance(unheard, OrderEvent)
    assert (unheard.order.account, unheard.order.price) == (ALICE, 300_000)
    assert sum(isinstance(e, OrderEvent) and e.order.account == house and e.order.price == 400_000 for e in heard) == 0


def test_the_house_gives_its_worthless_shares_up_and_a_client_keeps_them(desk: Desk) -> None:
    house = desk.core.open_house_account("maker")
    desk.limit(house, DOWN, "BUY", "0.50", "10")
    desk.limit(ALICE, UP, "BUY", "0.50", "10")
    desk.limit(house, UP, "BUY", "0.50", "10")
    desk.limit(ALICE, DOWN, "BUY", "0.50", "10")
    desk.settle()
    money = desk.core.total_money()
    desk.core.resolve(CONDITION, 1_000_000, desk.now)
    desk.now += 600 * NS_PER_S
    desk.core.advance(desk.now)
    held = {who: account.tokens for who in (house, ALICE) if (account := desk.core.account(who)) is not None}
    assert held == {house: {}, ALICE: {DOWN: 10_000_000}}
    assert desk.core.total_money() == money
