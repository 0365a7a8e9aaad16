"""Frames of the older price socket as ticks, and requests that its quirks leave alone."""

import json
from typing import Any

import pytest

from polystra.adapters.polymarket.rtds_stream import rtds_ticks, subscription_frames
from polystra.adapters.polymarket.wire import objects
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import PriceSource, PriceTicked

NOW = 1_780_730_269_500_000_000
UPDATE: dict[str, Any] = {
    "topic": "crypto_prices_twap_sixty",
    "type": "update",
    "timestamp": 1_780_730_269_142,
    "payload": {
        "symbol": "btc/usd",
        "timestamp": 1_780_730_269_000,
        "value": 61035.86,
        "full_accuracy_value": "61035860000000000000000",
        "window_s": 60,
    },
}


def read(message: dict[str, Any]) -> list[PriceTicked]:
    """Read a message as it comes over the wire."""
    return [tick for each in objects(json.dumps(message)) for tick in rtds_ticks(each, NOW)]


def test_every_topic_is_asked_for_in_a_compact_frame_of_its_own():
    frames = subscription_frames(["BTC", "ETH"])
    assert len(frames) == 4
    assert not any(" " in frame for frame in frames)
    asked = [json.loads(frame)["subscriptions"] for frame in frames]
    assert all(len(subscriptions) == 1 for subscriptions in asked)
    assert asked[1][0] == {"topic": "crypto_prices_twap_sixty", "type": "*", "filters": '{"symbol":"btc/usd"}'}


def test_an_update_is_one_exact_tick():
    (tick,) = read(UPDATE)
    assert (tick.symbol, tick.source) == ("BTC", PriceSource.AVERAGE)
    assert tick.price == 6_103_586_000_000
    assert tick.at_ns == 1_780_730_269_000_000_000


def test_a_backfill_under_the_spot_topics_name_is_the_feeds():
    points = [{"timestamp": 1_780_726_209_000 + 1_000 * n, "value": 61164.12 + n} for n in range(3)]
    message = {"topic": "crypto_prices", "type": "subscribe", "payload": {"symbol": "eth/usd", "data": points}}
    ticks = read(message)
    assert [tick.price for tick in ticks] == [6_116_412_000_000, 6_116_512_000_000, 6_116_612_000_000]
    assert {(tick.symbol, tick.source) for tick in ticks} == {("ETH", PriceSource.SETTLEMENT)}


@pytest.mark.parametrize(
    "message",
    [
        {"topic": "crypto_prices", "payload": {"symbol": "btcusdt", "timestamp": 1, "value": 5}},
        {"topic": "comments", "payload": {"body": "hello"}},
        {"topic": "crypto_prices_twap_thirty", "payload": {"symbol": "btc/usd", "timestamp": 1, "value": 5}},
        {"topic": "crypto_prices_chainlink"},
    ],
)
def test_other_prices_are_not_taken_for_the_feed(message: dict[str, Any]):
    assert read(message) == []


@pytest.mark.parametrize(
    "changes",
    [{"full_accuracy_value": "6103586000000"}, {"full_accuracy_value": "x"}, {"value": None}, {"symbol": ""}],
)
def test_an_unreadable_price_is_an_error(changes: dict[str, Any]):
    with pytest.raises(VenueProtocolError):
        read({**UPDATE, "payload": {**UPDATE["payload"], **changes}})
