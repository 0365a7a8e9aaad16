from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.field_status import FieldStatus, field_status
from polystra.domain.orders import Order, OrderStatus, TimeInForce
from tests.unit.engine.test_validation import buy


@pytest.mark.parametrize(
    ("status", "kind", "filled", "facts", "word"),
    [
        ("NEW", "GTC", 0, {"is_settled_on_chain": True, "was_absent": False}, "DELAYED"),
        ("DENIED", "GTC", 0, {"is_settled_on_chain": True, "was_absent": False}, "ERROR"),
        ("SUBMITTED", "GTC", 0, {"is_settled_on_chain": True, "was_absent": False}, "DELAYED"),
        ("IN_DOUBT", "FOK", 0, {"is_settled_on_chain": True, "was_absent": False}, "DELAYED"),
        ("OPEN", "GTC", 5, {"is_settled_on_chain": False, "was_absent": False}, "LIVE"),
        ("PENDING_CANCEL", "GTD", 0, {"is_settled_on_chain": True, "was_absent": False}, "LIVE"),
        ("FILLED", "GTC", 5, {"is_settled_on_chain": True, "was_absent": False}, "FILLED"),
        ("FILLED", "GTC", 5, {"is_settled_on_chain": False, "was_absent": False}, "MATCHED"),
        ("CANCELED", "GTC", 5, {"is_settled_on_chain": False, "was_absent": False}, "CANCELED"),
        ("CANCELED", "FAK", 0, {"is_settled_on_chain": True, "was_absent": False}, "UNMATCHED"),
        ("CANCELED", "FAK", 5, {"is_settled_on_chain": False, "was_absent": False}, "MATCHED"),
        ("CANCELED", "FAK", 5, {"is_settled_on_chain": True, "was_absent": False}, "FILLED"),
        ("EXPIRED", "GTD", 0, {"is_settled_on_chain": True, "was_absent": False}, "EXPIRED"),
        ("REJECTED", "GTC", 0, {"is_settled_on_chain": True, "was_absent": False}, "ERROR"),
        ("REJECTED", "GTC", 0, {"is_settled_on_chain": True, "was_absent": True}, "NOT_FOUND"),
    ],
)
def test_each_state_has_a_word_of_the_field(
    status: str, kind: str, filled: int, facts: dict[str, bool], word: str
) -> None:
    order = Order(terms=replace(buy(), time_in_force=TimeInForce(kind)), status=OrderStatus(status), filled=filled)
    assert field_status(order, **facts) is FieldStatus(word)


def test_no_state_is_without_a_word() -> None:
    for status in OrderStatus:
        field_status(Order(terms=buy(), status=status))
