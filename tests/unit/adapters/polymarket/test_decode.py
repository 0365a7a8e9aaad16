from __future__ import annotations

from typing import Any

import pytest

from polystra.adapters.polymarket.decode_account import (
    Identity,
    balance,
    fill_reports,
    open_order,
    order_report,
    page,
    post_answer,
    spendable,
    user_events,
)
from polystra.adapters.polymarket.decode_market import market_events
from polystra.adapters.polymarket.decode_prices import price_frame
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    MarketResolved,
    OrderReport,
    PriceSource,
    PublicTrade,
    TickSizeChanged,
    VenueOrderStatus,
)
from polystra.domain.fills import FillStatus, Liquidity
from polystra.domain.orders import Side

ME = Identity(api_key="my-key", wallet="0xAbC")
NOW = 42
MS = "1782753357257"
MS_NS = 1_782_753_357_257_000_000


def trade(**changes: object) -> dict[str, object]:
    message: dict[str, object] = {
        "event_type": "trade",
        "id": "t1",
        "taker_order_id": "0xTAKER",
        "market": "0xcond",
        "asset_id": "7",
        "side": "BUY",
        "size": "15",
        "price": "0.52",
        "status": "MATCHED",
        "match_time": "1782753357",
        "trader_side": "MAKER",
        "transaction_hash": None,
        "maker_orders": [leg("0xM1", "10", "0.52", "7", side="SELL"), leg("0xM2", "5", "0.48", "8", side="BUY")],
    }
    message.update(changes)
    return message


def leg(order_id: str, amount: str, price: str, token: str, **more: object) -> dict[str, object]:
    return {
        "order_id": order_id,
        "owner": "stranger",
        "maker_address": "0xstranger",
        "matched_amount": amount,
        "price": price,
        "asset_id": token,
        **more,
    }


# --- trades ----------------------------------------------------------------------------


def test_a_taker_gets_one_fill_whose_cash_sums_the_legs() -> None:
    (fill,) = fill_reports(trade(trader_side="TAKER"), ME, NOW)
    assert (fill.order_id, fill.quantity, fill.side, fill.token_id) == ("0xtaker", 15_000_000, Side.BUY, "7")
    assert fill.liquidity is Liquidity.TAKER
    assert (fill.price, fill.cash) == (520_000, 7_800_000)  # 10 x 0.52 + 5 x (1 - 0.48)


def test_a_sweep_over_several_levels_has_the_average_price_and_the_exact_cash() -> None:
    legs = [leg("0xM1", "10", "0.52", "7"), leg("0xM2", "8.19672", "0.61", "7")]
    (fill,) = fill_reports(trade(trader_side="TAKER", size="18.19672", price="0.61", maker_orders=legs), ME, NOW)
    assert fill.cash == 5_200_000 + 4_999_999  # the chain rounds down
    assert fill.price == fill.cash * 1_000_000 // 18_196_720


def test_mint_leg_leaves_the_taker_the_rest_of_the_dollar() -> None:
    legs = [leg("0xM1", "8.196721", "0.39", "8")]
    (fill,) = fill_reports(trade(trader_side="TAKER", size="8.196721", price="0.61", maker_orders=legs), ME, NOW)
    assert fill.cash == 8_196_721 - 3_196_721  # the maker pays 3.19672119, rounded down
    assert fill.price == 610_000


@pytest.mark.parametrize("legs", [None, [], [leg("0xM1", "9", "0.52", "7")]])
def test_without_legs_that_add_up_the_price_of_the_trade_counts(legs: object) -> None:
    (fill,) = fill_reports(trade(trader_side="TAKER", maker_orders=legs, price="0.5233333333"), ME, NOW)
    assert (fill.price, fill.cash) == (523_333, None)


def test_a_maker_finds_every_leg_of_its_own_by_key_or_wallet() -> None:
    legs = [
        leg("0xM1", "10", "0.52", "7", owner="my-key", side="SELL"),
        leg("0xM2", "5", "0.48", "8", maker_address="0xaBc", side="BUY"),
        leg("0xM3", "1", "0.52", "7"),
    ]
    fills = fill_reports(trade(maker_orders=legs), ME, NOW)
    assert [(fill.order_id, fill.token_id, fill.side, fill.price, fill.quantity) for fill in fills] == [
        ("0xm1", "7", Side.SELL, 520_000, 10_000_000),
        ("0xm2", "8", Side.BUY, 480_000, 5_000_000),
    ]
    assert {fill.liquidity for fill in fills} == {Liquidity.MAKER}
    assert {fill.trade_id for fill in fills} == {"t1"}


@pytest.mark.parametrize(
    ("token", "taker", "side"),
    [
        ("7", "BUY", Side.SELL),
        ("7", "SELL", Side.BUY),
        ("8", "BUY", Side.BUY),
        ("8", "SELL", Side.SELL),
    ],
)
def test_the_side_of_a_leg_that_does_not_say_it(token: str, taker: str, side: Side) -> None:
    message = trade(side=taker, maker_orders=[leg("0xM1", "15", "0.5", token, owner="my-key")])
    (fill,) = fill_reports(message, ME, NOW)
    assert fill.side is side


def test_strangers_trades_are_not_ours() -> None:
    assert fill_reports(trade(), ME, NOW) == ()


def test_without_a_role_the_taker_is_known_by_its_order_or_its_wallet() -> None:
    message = trade()
    del message["trader_side"]
    assert fill_reports(message, ME, NOW) == ()
    known = Identity(api_key="my-key", wallet="0xAbC", is_ours=lambda order_id: order_id == "0xtaker")
    assert len(fill_reports(message, known, NOW)) == 1
    assert len(fill_reports({**message, "maker_address": "0xABC"}, ME, NOW)) == 1


def test_an_order_that_met_our_own_gives_both_fills() -> None:
    legs = [leg("0xM1", "15", "0.52", "7", owner="my-key", side="SELL")]
    fills = fill_reports(trade(trader_side="TAKER", maker_orders=legs), ME, NOW)
    assert [(fill.order_id, fill.liquidity) for fill in fills] == [
        ("0xtaker", Liquidity.TAKER),
        ("0xm1", Liquidity.MAKER),
    ]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("MATCHED_NOT_BROADCASTED", FillStatus.MATCHED),
        ("TRADE_STATUS_MATCHED", FillStatus.MATCHED),
        ("mined", FillStatus.MINED),
        ("RETRYING", FillStatus.RETRYING),
        ("TRADE_STATUS_CONFIRMED", FillStatus.CONFIRMED),
        ("FAILED", FillStatus.FAILED),
    ],
)
def test_settlement_words(words: str, status: FillStatus) -> None:
    (fill,) = fill_reports(trade(trader_side="TAKER", status=words), ME, NOW)
    assert fill.status is status


@pytest.mark.parametrize("change", [{"status": "PENDING"}, {"size": "0"}, {"size": "0.0000001"}, {"id": ""}])
def test_trades_that_cannot_be_read(change: dict[str, object]) -> None:
    with pytest.raises(VenueProtocolError):
        fill_reports(trade(trader_side="TAKER", **change), ME, NOW)


# --- orders ----------------------------------------------------------------------------


def order(**changes: object) -> dict[str, object]:
    message: dict[str, object] = {
        "event_type": "order",
        "type": "PLACEMENT",
        "id": "0xORDER",
        "market": "0xcond",
        "asset_id": "7",
        "side": "BUY",
        "original_size": "10",
        "size_matched": "0",
        "price": ".52",
        "status": "LIVE",
        "timestamp": MS,
    }
    message.update(changes)
    return message


@pytest.mark.parametrize(
    ("words", "kind", "status", "detail"),
    [
        ("LIVE", "PLACEMENT", VenueOrderStatus.LIVE, ""),
        ("ORDER_STATUS_LIVE", "", VenueOrderStatus.LIVE, ""),
        ("MATCHED", "UPDATE", VenueOrderStatus.MATCHED, ""),
        ("CANCELED", "UPDATE", VenueOrderStatus.CANCELED, ""),
        ("ORDER_STATUS_CANCELED_MARKET_RESOLVED", "", VenueOrderStatus.CANCELED, "CANCELED_MARKET_RESOLVED"),
        ("INVALID", "CANCELLATION", VenueOrderStatus.INVALID, ""),
        ("CANCELED_EXPIRED_ORDER", "CANCELLATION", VenueOrderStatus.CANCELED, "CANCELED_EXPIRED_ORDER"),
        ("whatever new", "CANCELLATION", VenueOrderStatus.CANCELED, "whatever new"),
        ("", "PLACEMENT", VenueOrderStatus.LIVE, ""),
    ],
)
def test_order_words(words: str, kind: str, status: VenueOrderStatus, detail: str) -> None:
    report = order_report(order(status=words, type=kind), NOW)
    assert (report.status, report.detail) == (status, detail)


def test_an_unknown_state_is_never_guessed() -> None:
    with pytest.raises(VenueProtocolError, match="SLEEPING"):
        order_report(order(status="SLEEPING", type=""), NOW)


def test_a_killed_order_has_empty_strings_where_numbers_belong() -> None:
    words = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
    message = order(type="CANCELLATION", status=words, size_matched="", created_at="", outcome="")
    (report,) = user_events(message, ME, NOW)
    assert isinstance(report, OrderReport)
    assert (report.order_id, report.matched, report.status) == ("0xorder", 0, VenueOrderStatus.CANCELED)
    assert report.at_ns == MS_NS


@pytest.mark.parametrize("raw", [b"null", b"{}", b'""', b"[]"])
def test_an_empty_answer_means_that_the_order_is_not_open(raw: bytes) -> None:
    assert open_order(raw, NOW) is None


def test_pages_may_be_bare_null_or_without_a_cursor() -> None:
    assert page(b'[{"id":"1"}]').next_cursor == "LTE="
    assert page(b'{"data":null}').items == ()
    assert page(b"null").items == ()


@pytest.mark.parametrize(
    ("raw", "micros"),
    [
        (b'{"balance":"250500000"}', 250_500_000),
        (b'{"balance":"250.500000"}', 250_500_000),
        (b'{"balance":0}', 0),
    ],
)
def test_balances(raw: bytes, micros: int) -> None:
    assert balance(raw) == micros


@pytest.mark.parametrize(
    ("raw", "most", "least"),
    [
        (b'{"balance":"5","allowances":{"0xE1":"%d","0xe2":"0"}}' % (2**256 - 1), 2**256 - 1, 0),
        (b'{"balance":"5","allowances":{"0xE1":7}}', 7, 7),
        (b'{"balance":"5","allowance":"9"}', 9, 9),
        (b'{"balance":"5","allowances":{}}', None, None),
        (b'{"balance":"5"}', None, None),
    ],
)
def test_allowances_by_contract(raw: bytes, most: int | None, least: int | None) -> None:
    found = spendable(raw)
    assert (found.balance, found.most_allowed, found.least_allowed) == (5, most, least)


@pytest.mark.parametrize("raw", [b'{"balance":"5","allowances":[1]}', b'{"balance":"5","allowance":"x"}', b"[]"])
def test_allowances_that_cannot_be_read(raw: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        spendable(raw)


def test_amounts_of_an_answer_never_hide_the_acceptance() -> None:
    answer = post_answer({"success": True, "orderID": "0xA", "status": "matched", "makingAmount": "1.23456789"})
    assert (answer.success, answer.order_id, answer.making) == (True, "0xa", 0)


# --- market data -----------------------------------------------------------------------


def test_a_book_may_have_null_sides() -> None:
    (book,) = market_events({"event_type": "book", "asset_id": "7", "bids": None, "asks": [], "timestamp": MS}, NOW)
    assert book == BookSnapshot(token_id="7", bids=(), asks=(), at_ns=MS_NS)  # type: ignore[arg-type]


def test_both_shapes_of_price_change() -> None:
    entry = {"asset_id": "7", "price": "0.5", "size": "200", "side": "BUY", "best_bid": "0.5", "best_ask": "0.52"}
    mirror = {"asset_id": "8", "price": "0.5", "size": "0", "side": "SELL", "best_bid": "", "best_ask": "1"}
    (changed,) = market_events({"event_type": "price_change", "price_changes": [entry, mirror], "timestamp": MS}, NOW)
    assert isinstance(changed, BookChanged)
    first, second = changed.changes
    assert (first.token_id, first.side, first.price, first.size) == ("7", Side.BUY, 500_000, 200_000_000)
    assert (first.best_bid, first.best_ask) == (500_000, 520_000)
    assert (second.size, second.best_bid, second.best_ask) == (0, None, 1_000_000)
    (flat,) = market_events({"event_type": "price_change", "timestamp": MS, **entry}, NOW)
    assert isinstance(flat, BookChanged)
    assert flat.changes == (first,)


def test_the_impossible_end_of_a_best_price_says_nothing() -> None:
    entry = {"asset_id": "7", "price": "0.5", "size": "1", "side": "BUY", "best_bid": "0", "best_ask": "0"}
    (changed,) = market_events({"event_type": "price_change", "price_changes": [entry]}, NOW)
    assert isinstance(changed, BookChanged)
    assert (changed.changes[0].best_bid, changed.changes[0].best_ask) == (0, None)


def test_tick_sizes_and_verdicts() -> None:
    (tick,) = market_events({"event_type": "tick_size_change", "asset_id": "7", "new_tick_size": "0.001"}, NOW)
    assert tick == TickSizeChanged(token_id="7", tick_size=1_000, at_ns=NOW)  # type: ignore[arg-type]
    message = {"event_type": "market_resolved", "market": "0xc", "winning_outcome": "Down", "timestamp": MS}
    announced = MarketResolved(condition_id="0xc", up_payout=0, at_ns=MS_NS, confirmed=False)  # type: ignore[arg-type]
    assert market_events(message, NOW) == [announced]
    assert market_events({**message, "winning_outcome": "Yes"}, NOW) == []


def test_a_print_without_a_size_or_of_size_zero_is_no_trade() -> None:
    message = {"event_type": "last_trade_price", "asset_id": "7", "price": "0.5", "side": "SELL", "timestamp": MS}
    assert market_events(message, NOW) == market_events({**message, "size": "0"}, NOW) == []
    (printed,) = market_events({**message, "size": "1.5"}, NOW)
    assert printed == PublicTrade(token_id="7", side=Side.SELL, price=500_000, size=1_500_000, at_ns=MS_NS)  # type: ignore[arg-type]
    with pytest.raises(VenueProtocolError, match="side"):
        market_events({**message, "size": "1", "side": "HOLD"}, NOW)


@pytest.mark.parametrize("kind", ["best_bid_ask", "new_market", "something_new", ""])
def test_other_messages_are_ignored(kind: str) -> None:
    assert market_events({"event_type": kind}, NOW) == []
    assert user_events({"event_type": kind}, ME, NOW) == []


# --- prices ----------------------------------------------------------------------------


def frame(**changes: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "channel": "price.crypto.twap",
        "seq": 2,
        "ts": 1_788_973_001_000,
        "payload": {
            "symbol": "btcusd",
            "value": 64126,
            "full_accuracy_value": "64126.00000001",
            "timestamp": 1_788_973_001_000,
            "source": "chainlink",
        },
    } | changes


def test_a_price_and_its_channel() -> None:
    found = price_frame(frame(), NOW)
    assert found is not None
    (tick,) = found.ticks
    assert (tick.symbol, tick.source, tick.price) == ("BTC", PriceSource.AVERAGE, 6_412_600_000_001)
    assert (tick.at_ns, found.sequence, found.snapshot) == (1_788_973_001_000_000_000, 2, False)
    spot = price_frame(frame(channel="price.crypto"), NOW)
    assert spot is not None
    assert spot.ticks[0].source is PriceSource.SETTLEMENT


def test_a_snapshot_gives_every_point() -> None:
    points = [{"value": 1, "timestamp": 1_788_973_000_000}, {"value": 2, "timestamp": 1_788_973_001_000}]
    found = price_frame(frame(snapshot=True, payload={"symbol": "ethusd", "data": points}), NOW)
    assert found is not None
    assert [(tick.symbol, tick.price) for tick in found.ticks] == [("ETH", 10**8), ("ETH", 2 * 10**8)]
    assert found.snapshot


def test_another_oracle_is_no_settlement_price() -> None:
    payload = {"symbol": "btcusd", "value": 64126, "source": "pyth"}
    found = price_frame(frame(channel="price.crypto", payload=payload), NOW)
    assert found is not None
    assert found.ticks[0].source is PriceSource.SPOT


@pytest.mark.parametrize(
    "payload",
    [
        {"symbol": "btcusd", "value": 64126, "full_accuracy_value": "64126000000000000000000"},
        {"symbol": "btceur", "value": 64126},
        {"symbol": "btcusd"},
        {"symbol": "btcusd", "value": 0},
    ],
)
def test_prices_of_another_scale_or_quote_are_refused(payload: dict[str, object]) -> None:
    with pytest.raises(VenueProtocolError):
        price_frame(frame(payload=payload), NOW)


@pytest.mark.parametrize("message", [{"op": "pong"}, {"op": "subscribed", "channel": "price.crypto"}, {"channel": "x"}])
def test_other_frames_carry_no_price(message: dict[str, object]) -> None:
    assert price_frame(message, NOW) is None
