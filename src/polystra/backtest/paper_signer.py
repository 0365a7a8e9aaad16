"""Signs nothing: gives orders the ids and amounts that the paper venue knows them by.

What lives here: a `TermsSigner` without a key, for paper and backtest. What must not: anything that a real venue
would accept: the bytes are the order's id in words. Ids are SHA-256 of the terms and the salt: the same intent has the
same id in every run.
"""

from __future__ import annotations

import hashlib

import msgspec

from polystra.domain.ids import OrderId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderTerms, Side, SignedOrder
from polystra.domain.units import MICRO, floor_to


class PaperSigner:
    """Fulfils `ports.signing.TermsSigner`."""

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        """The order as the paper venue takes it; shares in whole hundredths, as at the venue.

        Raises:
            ValueError: nothing is left of the size after rounding.
        """
        quantity = terms.budget * MICRO // terms.price if terms.budget else floor_to(terms.quantity, SIZE_STEP)
        if quantity <= 0:
            raise ValueError(f"order {terms.client_order_id} has no whole hundredth of a share")
        name = hashlib.sha256(msgspec.msgpack.encode((terms, salt, timestamp_ms))).hexdigest()
        dollars = terms.budget or terms.price * quantity // MICRO
        making, taking = (dollars, quantity) if terms.side is Side.BUY else (quantity, dollars)
        return SignedOrder(
            client_order_id=terms.client_order_id,
            order_id=OrderId(f"0x{name}"),
            body=f"paper {name}".encode(),
            salt=salt,
            timestamp_ms=timestamp_ms,
            quantity=quantity,
            maker_amount=making,
            taker_amount=taking,
        )
