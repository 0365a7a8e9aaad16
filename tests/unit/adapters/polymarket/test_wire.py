from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.adapters.polymarket.decode_account import (
    Identity,
    balance,
    cancel_answer,
    open_order,
    page,
    post_answer,
    user_events,
)
from polystra.adapters.polymarket.decode_market import market_events
from polystra.adapters.polymarket.decode_prices import price_frame
from polystra.adapters.polymarket.discovery import read_market
from polystra.adapters.polymarket.market_data import up_payout
from polystra.adapters.polymarket.wire import decode_json, exact_micros, instant, objects, parse_instant, price_e8, text
from polystra.domain.errors import VenueProtocolError, VenueRefused
from polystra.domain.units import format_micros, parse_micros

S = 1_782_753_357


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        (".48", 480_000),
        ("0.5", 500_000),
        ("100.0000", 100_000_000),
        ("219.217767", 219_217_767),
        ("5", 5_000_000),
        ("0", 0),
        ("-0", 0),
        ("0.1230000000", 123_000),
        (7, 7_000_000),
        (Decimal("0.01"), 10_000),
    ],
)
def test_amounts_are_exact_millionths(written: object, micros: int) -> None:
    assert exact_micros(written, "size") == micros


@pytest.mark.parametrize(
    "written", ["", ".", "-1", "1e5", "0.1234567", "NaN", "one", None, True, [], "9" * 50, Decimal("1E+400"), 0.5]
)
def test_amounts_that_cannot_be_exact_are_refused(written: object) -> None:
    with pytest.raises(VenueProtocolError):
        exact_micros(written, "size")


@given(st.integers(min_value=0, max_value=10**15))
def test_amounts_survive_the_round_trip(micros: int) -> None:
    assert exact_micros(format_micros(micros), "size") == micros == parse_micros(format_micros(micros), field="size")


@pytest.mark.parametrize(
    ("written", "e8"),
    [
        ("64126.00000000", 6_412_600_000_000),
        ("64126.123456789", 6_412_612_345_678),  # cut towards zero
        (Decimal("1.5"), 150_000_000),
    ],
)
def test_feed_prices_are_cut_to_eight_decimals(written: object, e8: int) -> None:
    assert price_e8(written, "value") == e8


@pytest.mark.parametrize(
    ("written", "nanos"),
    [
        (str(S), S * 10**9),
        (S, S * 10**9),
        (f"{S}257", S * 10**9 + 257_000_000),
        (f"{S}257123", S * 10**9 + 257_123_000),
        (f"{S}257123456", S * 10**9 + 257_123_456),
        ("2024-01-01T00:00:00Z", 1_704_067_200 * 10**9),
        ("2026-03-19 23:20:15+00", 1_773_962_415 * 10**9),
        ("2024-01-01T00:00:00.5", 1_704_067_200 * 10**9 + 500_000_000),
    ],
)
def test_instants_in_every_unit_seen_on_the_wire(written: object, nanos: int) -> None:
    assert parse_instant(written, "timestamp") == nanos


def test_a_missing_instant_takes_the_default_and_empty_counts_as_missing() -> None:
    assert instant({"match_time": "", "timestamp": str(S)}, "match_time", "timestamp", default=3) == S * 10**9
    assert instant({}, "match_time", default=3) == 3


def test_text_takes_the_first_name_that_is_not_empty() -> None:
    assert text({"errorMsg": "", "error": "no"}, "errorMsg", "error") == "no"
    assert text({"id": 7}, "id") == "7"


def test_html_is_named_as_no_json() -> None:
    with pytest.raises(VenueProtocolError, match="not JSON"):
        decode_json(b"<html>blocked</html>")


NAMES = st.sampled_from(
    [
        "event_type", "type", "id", "market", "asset_id", "side", "price", "size", "original_size", "size_matched",
        "status", "timestamp", "bids", "asks", "price_changes", "maker_orders", "matched_amount", "order_id", "owner",
        "trader_side", "taker_order_id", "match_time", "tick_size", "new_tick_size", "winning_outcome", "data",
        "next_cursor", "balance", "canceled", "not_canceled", "success", "orderID", "errorMsg", "makingAmount",
        "channel", "payload", "seq", "symbol", "value", "full_accuracy_value", "tokens", "winner", "outcome",
        "outcomes", "clobTokenIds", "slug", "eventStartTime", "endDate", "feeSchedule", "conditionId", "version",
    ]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=12)
    | st.sampled_from(
        ["book", "order", "trade", "price_change", "BUY", "MATCHED", "LIVE", "TAKER", "0.5", "1", "", "price.crypto",
         "btcusd", "v1", '["Up","Down"]', '["1","2"]', "btc-updown-5m-0", "2026-09-01T00:00:00Z", "1786665600"]
    )
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8), max_leaves=20
)
ME = Identity(api_key="key", wallet="0xWALLET", is_ours=lambda order_id: order_id == "1")


@given(st.dictionaries(NAMES, VALUES, max_size=14))
def test_only_protocol_errors_come_out_of_the_decoders(message: dict[str, object]) -> None:
    for decode in (
        lambda: market_events(message, 1),
        lambda: user_events(message, ME, 1),
        lambda: price_frame(message, 1),
        lambda: post_answer(message),
        lambda: up_payout(message),
    ):
        with suppress(VenueProtocolError):
            decode()
    with suppress(VenueProtocolError, VenueRefused):
        read_market(message, symbol="BTC", window_s=300)


JSONISH = st.text(alphabet='{}[]",:0123456789.-truefalsn "\\ud', max_size=60)


@given(st.binary(max_size=60) | JSONISH.map(str.encode) | st.just(b"[" * 100_000))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for decode in (
        lambda: objects(raw),
        lambda: balance(raw),
        lambda: page(raw),
        lambda: cancel_answer(raw),
        lambda: open_order(raw, 1),
    ):
        with suppress(VenueProtocolError):
            decode()
