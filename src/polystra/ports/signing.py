"""The signing port: terms in, the exact bytes to send out. Pure: salt and timestamp are arguments."""

from __future__ import annotations

from typing import Protocol

from polystra.domain.events import OrderSigned, SigningFailed
from polystra.domain.orders import OrderTerms, SignedOrder


class TermsSigner(Protocol):
    """Signs orders.

    Contract: 1. the same arguments give the same bytes; 2. no I/O, no clock, no randomness;
    3. `ValueError` with one clear sentence when the terms cannot be a valid order.
    """

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        """Sign one order. `salt` is below 2^53, `timestamp_ms` is UTC milliseconds."""
        ...


def answer_of(signer: TermsSigner, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> OrderSigned | SigningFailed:
    """Sign, and say it as the input that the engine waits for inside its turn."""
    try:
        signed = signer.sign(terms, salt=salt, timestamp_ms=timestamp_ms)
    except ValueError as error:
        return SigningFailed(client_order_id=terms.client_order_id, reason=str(error))
    return OrderSigned(signed=signed)
