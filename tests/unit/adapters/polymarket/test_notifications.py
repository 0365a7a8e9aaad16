"""Notices of every type are read, exactly where they carry money."""

from __future__ import annotations

import pytest

from polystra.adapters.polymarket.notifications import notification
from polystra.domain.errors import VenueProtocolError
from polystra.domain.orders import Side


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
