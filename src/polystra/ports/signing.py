"""The signing port: terms in, the exact bytes to send out. Pure: salt and timestamp are arguments."""

from __future__ import annotations

from typing import Protocol

from polystra.domain.orders import OrderTerms, SignedOrder


class TermsSigner(Protocol):
    """Signs orders.

    Contract: 1. the same arguments give the same bytes; 2. no I/O, no clock, no randomness;
    3. `ValueError` with one clear sentence when the terms cannot be a valid order.
    """

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        """Sign one order. `salt` is below 2^53, `timestamp_ms` is UTC milliseconds."""
        ...
