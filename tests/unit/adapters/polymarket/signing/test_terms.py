"""From an order's terms to signed bytes through the port."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from polystra.adapters.polymarket.signing import OrderTermsSigner
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce
from polystra.ports.signing import TermsSigner

from .accounts import TIMESTAMP_MS, TOKEN, WALLET, draft, signer

TERMS = OrderTerms(
    client_order_id=ClientOrderId("c-1"),
    condition_id=ConditionId("0x" + "ab" * 32),
    token_id=TokenId(str(TOKEN)),
    position_id=PositionId("p-1"),
    purpose=Purpose.ENTRY,
    side=Side.BUY,
    price=370_000,
    quantity=27_027_099,
)


def sign(terms):
    port: TermsSigner = OrderTermsSigner(signer(3, WALLET))
    return port.sign(terms, salt=7, timestamp_ms=TIMESTAMP_MS)


def test_a_limit_order_is_signed_by_its_quantity():
    signed = sign(replace(TERMS, time_in_force=TimeInForce.GTD, expires_at_s=1_753_357_257, post_only=True))
    expected = signer(3, WALLET).sign(
        draft(
            salt=7,
            maker_amount=9_997_400,
            taker_amount=27_020_000,
            order_type=TimeInForce.GTD,
            expiration_s=1_753_357_257,
            post_only=True,
        )
    )
    assert (signed.order_id, signed.body) == (expected.order_id, expected.body)
    assert (signed.maker_amount, signed.taker_amount, signed.quantity) == (9_997_400, 27_020_000, 27_020_000)
    assert (signed.client_order_id, signed.salt, signed.timestamp_ms) == ("c-1", 7, TIMESTAMP_MS)


@pytest.mark.parametrize("kind", [TimeInForce.FOK, TimeInForce.FAK])
def test_a_market_buy_is_signed_by_its_budget(kind):
    signed = sign(replace(TERMS, time_in_force=kind, budget=10_000_000))
    assert (signed.maker_amount, signed.taker_amount, signed.quantity) == (10_000_000, 27_027_000, 27_027_000)


@pytest.mark.parametrize("kind", list(TimeInForce))
def test_a_sell_is_signed_by_its_quantity(kind):
    expires = 1_753_357_257 if kind is TimeInForce.GTD else 0
    signed = sign(replace(TERMS, side=Side.SELL, time_in_force=kind, expires_at_s=expires))
    assert (signed.maker_amount, signed.taker_amount, signed.quantity) == (27_020_000, 9_997_400, 27_020_000)


def test_market_version_and_risk_reach_the_contract():
    ids = {
        sign(replace(TERMS, version=version, negative_risk=risk)).order_id
        for version, risk in (("v1", False), ("v1", True), ("v2", False))
    }
    assert len(ids) == 3
    assert json.loads(sign(TERMS).body)["order"]["tokenId"] == str(TOKEN)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"time_in_force": TimeInForce.FOK}, "budget is 0 dollars"),
        ({"budget": 1_000_000}, "budget is set on a GTC BUY"),
        ({"budget": 1_000_000, "side": Side.SELL, "time_in_force": TimeInForce.FAK}, "budget is set on a FAK SELL"),
        ({"token_id": TokenId("0x12")}, "token_id is '0x12', expected a decimal number"),
        ({"token_id": TokenId("²")}, "token_id is"),
        ({"tick_size": 1}, "tick is"),
        ({"price": 375_000}, "price is 0.375"),
        ({"version": "v0"}, "version is 'v0'"),
    ],
)
def test_terms_that_cannot_be_an_order_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        sign(replace(TERMS, **changes))
