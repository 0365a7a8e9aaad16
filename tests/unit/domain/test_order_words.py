from __future__ import annotations

import pytest

from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.order_words import ABSENT, FieldStatus, accepted_as, field_status
from polystra.domain.orders import Order, OrderStatus, OrderTerms, Purpose, Side, TimeInForce

S, F = OrderStatus, FieldStatus
GTC, FAK = TimeInForce.GTC, TimeInForce.FAK


def order(status: OrderStatus, kind: TimeInForce = GTC, *, filled: int = 0, detail: str = "") -> Order:
    terms = OrderTerms(
        client_order_id=ClientOrderId("o1"),
        condition_id=ConditionId("0xc"),
        token_id=TokenId("1"),
        position_id=PositionId("p"),
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        price=500_000,
        quantity=10_000_000,
        time_in_force=kind,
    )
    return Order(terms=terms, status=status, filled=filled, detail=detail)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (order(S.NEW), F.PENDING),
        (order(S.DENIED), F.ERROR),
        (order(S.SUBMITTED), F.PENDING),
        (order(S.IN_DOUBT), F.PENDING),
        (order(S.IN_DOUBT, filled=1), F.PENDING),
        (order(S.OPEN), F.LIVE),
        (order(S.OPEN, detail=accepted_as("LIVE")), F.LIVE),
        (order(S.OPEN, filled=4_000_000), F.LIVE),
        (order(S.OPEN, detail=accepted_as("DELAYED")), F.DELAYED),
        (order(S.OPEN, detail=accepted_as("UNMATCHED")), F.UNMATCHED),
        (order(S.OPEN, detail=accepted_as("MATCHED")), F.MATCHED),
        (order(S.OPEN, FAK, detail=accepted_as("MATCHED")), F.MATCHED),
        (order(S.OPEN, FAK, filled=1, detail=accepted_as("DELAYED")), F.MATCHED),
        (order(S.PENDING_CANCEL), F.LIVE),
        (order(S.FILLED, filled=10_000_000), F.FILLED),
        (order(S.CANCELED), F.CANCELED),
        (order(S.CANCELED, filled=4_000_000), F.CANCELED),
        (order(S.CANCELED, FAK), F.UNMATCHED),
        (order(S.CANCELED, TimeInForce.FOK), F.UNMATCHED),
        (order(S.CANCELED, FAK, filled=4_000_000), F.MATCHED),
        (order(S.EXPIRED), F.EXPIRED),
        (order(S.REJECTED, detail="not enough balance"), F.ERROR),
        (order(S.REJECTED, detail=ABSENT), F.NOT_FOUND),
    ],
)
def test_the_word_for_an_order(given, word):
    assert field_status(given) is word


def test_every_state_has_a_word_and_every_word_can_be_seen():
    seen = {field_status(order(status)) for status in OrderStatus}
    seen |= {field_status(order(S.OPEN, detail=accepted_as(word))) for word in ("DELAYED", "UNMATCHED", "MATCHED")}
    seen.add(field_status(order(S.REJECTED, detail=ABSENT)))
    assert seen == set(FieldStatus)
