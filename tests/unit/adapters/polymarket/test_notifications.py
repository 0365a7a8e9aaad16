"""Notices of every type are read, exactly where they carry money."""

from __future__ import annotations

import json

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.notifications import UNREADABLE, notice_of, notification
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.errors import VenueProtocolError
from polystra.domain.notices import NoticeTopic
from polystra.domain.orders import Side
from tests.unit.adapters.polymarket.scripted import CREDENTIALS, Script, says, with_venue


def _notice(kind: int, payload: object) -> dict[str, object]:
    return {"id": 7, "owner": "key", "type": kind, "payload": payload, "timestamp": 1675277676}


@pytest.mark.parametrize("kind", [1, 2, 8])
def test_a_notice_of_an_order_carries_exact_figures(kind: int) -> None:
    payload = {
        "order_id": "0xab",
        "market": "0xcd",
        "asset_id": "12",
        "side": "SELL",
        "price": ".48",
        "original_size": "8.196721",
        "matched_size": "0.1",
        "remaining_size": "8.096721",
        "trade_id": "t",
    }
    found = notification(_notice(kind, payload))
    assert (found.notification_id, found.kind, found.owner, found.at_ns) == (7, kind, "key", 1675277676 * 10**9)
    assert (found.side, found.price) == (Side.SELL, 480_000)
    assert (found.original_size, found.matched_size, found.remaining_size) == (8_196_721, 100_000, 8_096_721)
    assert (found.order_id, found.condition_id, found.token_id, found.trade_id) == ("0xab", "0xcd", "12", "t")
    assert found.transaction_hash == ""


@pytest.mark.parametrize("kind", range(1, 12))
@pytest.mark.parametrize("payload", [None, {}, "text"])
def test_every_type_is_read_without_its_payload(kind: int, payload: object) -> None:
    found = notification(_notice(kind, payload))
    assert (found.kind, found.price, found.condition_id) == (kind, None, "")


def test_a_notice_of_a_market_names_it() -> None:
    assert notification(_notice(4, {"condition_id": "0xcd", "tokens": [{"price": 1}]})).condition_id == "0xcd"


def test_a_size_finer_than_a_millionth_is_refused() -> None:
    with pytest.raises(VenueProtocolError, match="original_size"):
        notification(_notice(2, {"original_size": "1.0000001"}))


@pytest.mark.parametrize("name", ["id", "type", "timestamp"])
def test_a_notice_without_its_frame_is_refused(name: str) -> None:
    message = _notice(1, {})
    del message[name]
    with pytest.raises(VenueProtocolError):
        notification(message)


def test_every_known_type_has_its_topic_and_another_is_unknown() -> None:
    topics = {kind: notice_of(notification(_notice(kind, {}))).topic for kind in range(13)}
    assert topics[1] is NoticeTopic.ORDER_CANCELLED
    assert topics[2] is NoticeTopic.ORDER_FILLED
    assert topics[8] is NoticeTopic.FILL_FAILED
    assert topics[4] is NoticeTopic.MARKET_RESOLVED
    assert topics[9] is topics[10] is NoticeTopic.REDEEMED
    assert {topics[kind] for kind in (5, 6, 7, 11)} == {NoticeTopic.PERSONAL}
    assert topics[0] is topics[12] is NoticeTopic.UNKNOWN


def test_what_a_notice_names_arrives() -> None:
    told = notice_of(notification(_notice(8, {"order_id": "0xab", "market": "0xcd", "trade_id": "t"})))
    assert (told.notice_id, told.order_id, told.condition_id, told.trade_id) == (7, "0xab", "0xcd", "t")


def test_one_that_cannot_be_read_does_not_hide_the_others() -> None:
    broken = _notice(2, {"original_size": "1.0000001"}) | {"id": 8}

    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/notifications", says(json.dumps([broken, _notice(1, {"order_id": "0xab"})])))
        unreadable, told = await venue.notifications()
        assert (unreadable.notification_id, unreadable.kind) == (8, UNREADABLE)
        assert told.order_id == "0xab"

    with_venue(scene)


def test_notices_of_another_key_are_not_ours_to_dismiss() -> None:
    mine, everyones = _notice(1, {}) | {"owner": CREDENTIALS.api_key}, _notice(4, {}) | {"owner": ""}

    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/notifications", says(json.dumps([_notice(1, {}) | {"owner": "another"}, mine, everyones])))
        told = await venue.notices()
        assert [each.kind for each in told.notices] == [1, 4]

    with_venue(scene)


def test_many_are_dismissed_a_hundred_at_a_time() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/notifications", says('"OK"'), says('"OK"'))
        await venue.dismiss(range(150))
        assert len(script.asked) == 2

    with_venue(scene)
