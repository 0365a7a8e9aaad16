"""A signer without cryptography: pure, and it remembers what it was asked."""

from __future__ import annotations

import hashlib

from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderTerms, SignedOrder


class FakeSigner:
    """Fulfils `TermsSigner`: the id is a hash of all arguments. Set `refusal` to have terms refused."""

    def __init__(self) -> None:
        self.asked: list[OrderTerms] = []
        self.refusal = ""

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        self.asked.append(terms)
        if self.refusal:
            raise ValueError(self.refusal)
        text = f"{terms!r} {salt} {timestamp_ms}"
        return SignedOrder(
            client_order_id=terms.client_order_id,
            order_id=OrderId("0x" + hashlib.sha256(text.encode()).hexdigest()),
            body=text.encode(),
            salt=salt,
            timestamp_ms=timestamp_ms,
            quantity=terms.quantity,
        )
