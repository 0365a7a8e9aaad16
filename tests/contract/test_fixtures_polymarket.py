"""Recorded and official payloads through the adapter's decoders.

Every file of the fixture folder is either in `DECODED` (with key facts that must come out) or
in `NOT_READ` (with the reason), so that a new file fails the test until it is dealt with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polystra.adapters.polymarket.decode_account import (
    Identity,
    balance,
    cancel_answer,
    fill_reports,
    open_order,
    order_report,
    page,
    post_answer,
    user_events,
)
from polystra.adapters.polymarket.decode_market import book_snapshot, market_events
from polystra.adapters.polymarket.discovery import read_market
from polystra.adapters.polymarket.error_catalogue import (
    UNLISTED,
)
from polystra.adapters.polymarket.errors import classify
from polystra.adapters.polymarket.market_data import verdict
from polystra.adapters.polymarket.wire import as_object, decode_json, objects
from polystra.domain.errors import VenueRefused
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    OrderReport,
    PublicTrade,
    TickSizeChanged,
    VenueOrderStatus,
)
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.orders import Side

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FIXTURES = SHARED / "data" / "api_fixtures"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"recorded payloads are not at {FIXTURES}")

NOW = 5
WALLET = "0xA3d82ED56F4c68d2328Fb8c29e568Ba2cAF7d7c8"  # the capture's wallet, its case changed
TEST_WALLET = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
ME = Identity(api_key="", wallet=WALLET)
TESTER = Identity(api_key="00000000-0000-0000-0000-000000000001", wallet=TEST_WALLET)

Check = Callable[[bytes], None]


def one_market_event(raw: bytes) -> Any:
    found = [event for message in objects(raw) for event in market_events(message, NOW)]
    assert len(found) == 1
    return found[0]


def is_book(bids: int, asks: int, best_bid: int, best_ask: int) -> Check:
    def check(raw: bytes) -> None:
        book = one_market_event(raw)
        assert isinstance(book, BookSnapshot)
        assert (len(book.bids), len(book.asks)) == (bids, asks)
        assert max(price for price, _ in book.bids) == best_bid
        assert min(price for price, _ in book.asks) == best_ask

    return check


def is_change(*changes: tuple[Side, int, int]) -> Check:
    def check(raw: bytes) -> None:
        changed = one_market_event(raw)
        assert isinstance(changed, BookChanged)
        assert [(change.side, change.price, change.size) for change in changed.changes] == list(changes)

    return check


def is_tick(size: int) -> Check:
    def check(raw: bytes) -> None:
        changed = one_market_event(raw)
        assert isinstance(changed, TickSizeChanged)
        assert changed.tick_size == size

    return check


def is_ignored(raw: bytes) -> None:
    assert [event for message in objects(raw) for event in market_events(message, NOW)] == []


def is_print(side: Side, price: int, size: int) -> Check:
    def check(raw: bytes) -> None:
        event = one_market_event(raw)
        assert isinstance(event, PublicTrade)
        assert (event.side, event.price, event.size) == (side, price, size)

    return check


def is_order(status: VenueOrderStatus, matched: int, quantity: int, at_ns: int) -> Check:
    def check(raw: bytes) -> None:
        (event,) = user_events(as_object(decode_json(raw), "order"), TESTER, NOW)
        assert isinstance(event, OrderReport)
        assert (event.status, event.matched, event.quantity, event.at_ns) == (status, matched, quantity, at_ns)

    return check


def check_maker_trade(raw: bytes) -> None:
    (fill,) = user_events(as_object(decode_json(raw), "trade"), ME, NOW)
    assert isinstance(fill, FillReport)
    assert fill.order_id == "0xab679e56242324e15e59cfd488cd0f12e4fd71b153b9bfb57518898b9983145e"
    assert (fill.side, fill.price, fill.quantity, fill.cash) == (Side.SELL, 518_000, 5_000_000, 2_590_000)
    assert (fill.liquidity, fill.status) == (Liquidity.MAKER, FillStatus.MINED)
    assert fill.matched_at_ns == 1_725_868_859 * 10**9


def check_taker_trade(raw: bytes) -> None:
    (fill,) = user_events(as_object(decode_json(raw), "trade"), ME, NOW)
    assert isinstance(fill, FillReport)
    assert fill.order_id == "0x5b605a0e8e40f3402d3cb3bc19edad6733ed23fbc079d2a09ee399c3487ace81"
    assert (fill.side, fill.price, fill.quantity, fill.cash) == (Side.BUY, 520_000, 5_000_000, 2_600_000)
    assert fill.liquidity is Liquidity.TAKER


def check_trade_message(raw: bytes) -> None:
    (fill,) = fill_reports(as_object(decode_json(raw), "trade"), TESTER, NOW)
    assert (fill.quantity, fill.price, fill.status, fill.cash) == (25_000_000, 500_000, FillStatus.CONFIRMED, None)
    assert fill.matched_at_ns == 1_704_067_200 * 10**9  # an ISO instant


def check_open_order(raw: bytes) -> None:
    order = open_order(raw, NOW)
    assert order is not None
    assert (order.matched, order.quantity, order.price) == (25_000_000, 100_000_000, 500_000)


def check_open_orders(raw: bytes) -> None:
    found = page(raw)
    assert found.next_cursor == "LTE="
    orders = [order_report(item, NOW) for item in found.items]
    assert [(order.side, order.quantity, order.matched) for order in orders] == [
        (Side.BUY, 200_000_000, 0),
        (Side.SELL, 150_000_000, 50_000_000),
    ]


def check_rest_book(raw: bytes) -> None:
    book = book_snapshot(as_object(decode_json(raw), "book"), NOW)
    assert book.bids
    assert max(price for price, _ in book.bids) < min(price for price, _ in book.asks)


def check_market_verdict(raw: bytes) -> None:
    assert verdict(as_object(decode_json(raw), "market")) == "no"


def check_market_list(raw: bytes) -> None:
    decided = 0
    for item in page(raw).items:
        winners = [token["outcome"].lower() for token in item["tokens"] if token["winner"]]  # type: ignore[attr-defined]
        assert verdict(item) == (winners[0] if winners else None)
        decided += bool(winners)
    assert decided == 24


def check_gamma_before_the_average(raw: bytes) -> None:
    with pytest.raises(VenueRefused, match="btc-updown-5m-1773307200"):
        read_market(as_object(decode_json(raw), "market"), symbol="BTC", window_s=300)


def check_gamma_other_market(raw: bytes) -> None:
    with pytest.raises(VenueRefused):
        read_market(as_object(decode_json(raw), "market"), symbol="BTC", window_s=300)


def check_accepted(raw: bytes) -> None:
    answer = post_answer(decode_json(raw))
    assert answer.success
    assert not answer.error
    assert answer.order_id.startswith("0x1234")


def check_refused(raw: bytes) -> None:
    answer = post_answer(decode_json(raw))
    assert (answer.success, answer.error, answer.order_id) == (False, "Insufficient balance", "")


def check_cancel(canceled: int, refused: int) -> Check:
    def check(raw: bytes) -> None:
        answer = cancel_answer(raw)
        assert (len(answer.canceled), len(answer.refused)) == (canceled, refused)

    return check


def check_balance(raw: bytes) -> None:
    assert balance(raw) == 1_000_000_000


_LIVE, _MATCHED = VenueOrderStatus.LIVE, VenueOrderStatus.MATCHED

DECODED: dict[str, Check] = {
    "nautilus_captured/http_responses/book.json": check_rest_book,
    "nautilus_captured/http_responses/markets.json": check_market_list,
    "nautilus_captured/ws_messages/book.json": is_book(76, 86, 511_000, 514_000),
    "nautilus_captured/ws_messages/last_trade_price.json": is_print(Side.SELL, 491_000, 85_360_000),
    "nautilus_captured/ws_messages/order_placement.json": is_order(_LIVE, 0, 5_000_000, 1_725_842_520_990_000_000),
    "nautilus_captured/ws_messages/price_change.json": is_change((Side.SELL, 514_000, 21_574_080_000)),
    "nautilus_captured/ws_messages/tick_size_change.json": is_tick(1_000),
    "nautilus_captured/ws_messages/user_trade1.json": check_maker_trade,
    "nautilus_captured/ws_messages/user_trade2.json": check_taker_trade,
    "nautilus_unit/clob_book_response.json": check_rest_book,
    "nautilus_unit/clob_market_closed_binary_accepting_false.json": check_market_verdict,
    "nautilus_unit/gamma_market.json": check_gamma_before_the_average,
    "nautilus_unit/gamma_market_closed_binary_accepting_false.json": check_gamma_other_market,
    "nautilus_unit/gamma_market_closed_nonbinary_legacy.json": check_gamma_other_market,
    "nautilus_unit/gamma_market_sports_market_money_line.json": check_gamma_other_market,
    "nautilus_unit/http_balance_allowance_collateral.json": check_balance,
    "nautilus_unit/http_batch_cancel_response.json": check_cancel(2, 1),
    "nautilus_unit/http_cancel_response_ok.json": check_cancel(1, 0),
    "nautilus_unit/http_open_order.json": check_open_order,
    "nautilus_unit/http_open_orders_page.json": check_open_orders,
    "nautilus_unit/http_order_response_failed.json": check_refused,
    "nautilus_unit/http_order_response_ok.json": check_accepted,
    "nautilus_unit/http_trade_report.json": check_trade_message,
    "nautilus_unit/ws_book_snapshot.json": is_book(3, 3, 500_000, 510_000),
    "nautilus_unit/ws_last_trade.json": is_print(Side.BUY, 510_000, 25_000_000),
    "nautilus_unit/ws_market_best_bid_ask_msg.json": is_ignored,
    "nautilus_unit/ws_market_book_msg.json": is_book(2, 2, 500_000, 510_000),
    "nautilus_unit/ws_market_new_market_msg.json": is_ignored,
    "nautilus_unit/ws_market_price_change_msg.json": is_change((Side.BUY, 510_000, 150_000_000)),
    "nautilus_unit/ws_quotes.json": is_change((Side.BUY, 510_000, 150_000_000), (Side.SELL, 490_000, 100_000_000)),
    "nautilus_unit/ws_tick_size_change.json": is_tick(10_000),
    "nautilus_unit/ws_user_order_matched.json": is_order(_MATCHED, 100_000_000, 100_000_000, 1_703_875_201_000_000_000),
    "nautilus_unit/ws_user_order_msg.json": is_order(_LIVE, 0, 100_000_000, 1_703_875_200_001_000_000),
    "nautilus_unit/ws_user_order_placement.json": is_order(_LIVE, 0, 100_000_000, 1_703_875_200_001_000_000),
    "nautilus_unit/ws_user_order_update.json": is_order(_LIVE, 25_000_000, 100_000_000, 1_703_875_200_500_000_000),
    "nautilus_unit/ws_user_trade_msg.json": check_trade_message,
}

NOT_READ = {
    "documented_clob_errors.json": "texts, not payloads: see test_every_documented_error_has_a_class",
    "rs_sdk_fixtures.json": "many items: see test_every_item_of_the_official_client_is_dealt_with",
    "nautilus_captured/http_responses/event.json": "events: markets are found by slug",
    "nautilus_captured/http_responses/market_slug.json": "an older Gamma shape without times, outcomes or fees",
    "nautilus_captured/http_responses/markets_list.json": "lists: markets are found by slug",
    "nautilus_captured/http_responses/trades.json": "the Data API is never asked: it is cached for minutes",
    "nautilus_unit/clob_fee_rate_response_nonzero.json": "/fee-rate does not tell the real fee",
    "nautilus_unit/data_api_positions_response.json": "the Data API is never asked: it is cached for minutes",
    "nautilus_unit/gamma_event.json": "events: markets are found by slug",
    "nautilus_unit/gamma_tags.json": "tags: markets are found by slug",
    "nautilus_unit/http_signed_order.json": "a request: made by the signing kernel and tested there",
    "nautilus_unit/rtds_crypto_prices_subscribe.json": "the older price socket is being retired",
    "nautilus_unit/rtds_crypto_prices_update.json": "the older price socket is being retired",
    "nautilus_unit/search_response.json": "search: markets are found by slug",
}


@pytest.mark.parametrize("name", sorted(DECODED))
def test_recorded_payload_is_decoded(name: str) -> None:
    DECODED[name]((FIXTURES / name).read_bytes())


def test_every_recorded_file_is_dealt_with() -> None:
    files = {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*.json")}
    assert files == DECODED.keys() | NOT_READ.keys()
    assert not DECODED.keys() & NOT_READ.keys()


# --- the official Rust client's own test bodies ---------------------------------------------

OFFICIAL = Identity(api_key="", wallet="0x2222222222222222222222222222222222222222")


def official(test: str, context: str | None = None) -> Any:
    items = json.loads((FIXTURES / "rs_sdk_fixtures.json").read_text())["items"]
    found = [item for item in items if item["test"] == test and item["file"] != "tests/data.rs"]
    return [item for item in found if context is None or item["context"] == context][-1]["json"]


OFFICIAL_DECODED = {
    "post_order_should_succeed",
    "post_order_should_accept_transactions_hashes_alias",
    "orders_should_succeed",
    "cancel_order_should_accept_snake_case_not_canceled",
    "cancel_orders_should_succeed",
    "cancel_all_orders_should_succeed",
    "trades_should_succeed",
    "balance_allowance_should_succeed",
    "order_book_should_succeed",
    "market_should_succeed",
    "book",
    "tick_size_change",
    "last_trade_price",
    "order",
    "subscribe_midpoints_skips_empty_orderbook",
}
OFFICIAL_NOT_READ_PATHS = (
    "/midpoint", "/midpoints", "/price", "/prices", "/prices-history", "/spread", "/spreads", "/tick-size",
    "/neg-risk", "/books", "/last-trade-price", "/last-trades-prices", "/sampling-markets",
    "/sampling-simplified-markets", "/api/geoblock", "/auth/ban-status/closed-only", "/notifications",
    "/balance-allowance/update", "/orders-scoring", "/rewards/", "/sports", "/tags", "/events", "/markets",
    "/public-search", "/series", "/comments", "/public-profile",
)  # fmt: skip
"""Questions that are never asked (a book is asked for by `/book`, markets by slug), or answers that are not read."""


def test_every_item_of_the_official_client_is_dealt_with() -> None:
    items = json.loads((FIXTURES / "rs_sdk_fixtures.json").read_text())["items"]
    for item in items:
        if item["test"] in OFFICIAL_DECODED or item["file"] == "tests/data.rs":  # the Data API is never asked
            continue
        if item["test"] in ("stream_markets_should_succeed", "cancel_order_should_succeed"):
            continue  # a list of markets; a request body
        assert item["path"].startswith(OFFICIAL_NOT_READ_PATHS), item["test"]


def test_official_answers_to_orders() -> None:
    live = post_answer(official("post_order_should_succeed"))
    assert (live.success, live.status, live.making, live.taking, live.error) == (True, "LIVE", 0, 0, "")
    matched = post_answer(official("post_order_should_accept_transactions_hashes_alias"))
    assert (matched.status, matched.making, matched.taking) == ("MATCHED", 100_000_000, 50_000_000)


def test_official_answers_to_cancels() -> None:
    def raw(test: str) -> bytes:
        return json.dumps(official(test, "response")).encode()

    assert cancel_answer(raw("cancel_orders_should_succeed")).canceled == {"1"}
    snake = cancel_answer(raw("cancel_order_should_accept_snake_case_not_canceled"))
    assert snake.refused == {"1": "the order is already canceled"}
    camel = cancel_answer(raw("cancel_all_orders_should_succeed"))
    assert camel.canceled == {"2"}
    assert set(camel.refused) == {"1"}


def test_official_lists() -> None:
    orders = page(json.dumps(official("orders_should_succeed")).encode())
    assert orders.next_cursor == "next"
    order = order_report(orders.items[0], NOW)
    assert (order.side, order.quantity, order.matched) == (Side.BUY, 10_000_000, 2_500_000)
    trades = page(json.dumps(official("trades_should_succeed")).encode())
    (fill,) = fill_reports(trades.items[0], OFFICIAL, NOW)
    assert (fill.quantity, fill.cash, fill.order_id) == (12_500_000, 5_250_000, "taker_123")
    assert balance(json.dumps(official("balance_allowance_should_succeed")).encode()) == 0


def test_official_market_data() -> None:
    book = book_snapshot({**official("order_book_should_succeed"), "tick_size": "0.01"}, NOW)
    assert (book.bids, book.tick_size) == (((300_000, 100_000_000), (400_000, 100_000_000)), 10_000)
    assert verdict(official("market_should_succeed")) is None
    dotted = one_market_event(json.dumps(official("book")).encode())
    assert dotted.bids[-1] == (500_000, 15_000_000)
    one_sided = one_market_event(json.dumps(official("subscribe_midpoints_skips_empty_orderbook")).encode())
    assert (one_sided.bids, one_sided.asks) == ((), ((520_000, 25_000_000),))
    assert one_market_event(json.dumps(official("tick_size_change")).encode()).tick_size == 1_000
    printed = one_market_event(json.dumps(official("last_trade_price")).encode())
    assert isinstance(printed, PublicTrade)
    (order,) = user_events(official("order"), OFFICIAL, NOW)
    assert isinstance(order, OrderReport)
    assert (order.status, order.side, order.price) == (VenueOrderStatus.LIVE, Side.SELL, 570_000)


# --- documented errors ----------------------------------------------------------------------


def documented() -> list[tuple[str, int, str]]:
    if not FIXTURES.is_dir():
        return []
    errors = json.loads((FIXTURES / "documented_clob_errors.json").read_text())["errors"]
    return [(error["section"], error["http_status"], error["error"] or "") for error in errors]


@pytest.mark.parametrize(("section", "status", "text"), documented())
def test_every_documented_error_has_a_class(section: str, status: int, text: str) -> None:
    found = classify(status, text)
    if (status, text) == (400, ""):
        assert found is UNLISTED  # an empty 400 of a question that is never asked: unknown, as it should be
    else:
        assert found is not UNLISTED, f"{section}: {status} {text}"
