"""The signing port over the kernel: an order's terms become amounts, a draft, and signed bytes.

What lives here: which amounts rule an order falls under. What must not: hashing (`orders`),
rounding (`amounts`), clocks or chance: salt and timestamp are arguments.
"""

from __future__ import annotations

from polystra.adapters.polymarket.signing.amounts import Amounts, limit_amounts, market_amounts
from polystra.adapters.polymarket.signing.orders import OrderDraft, OrderSigner
from polystra.domain.ids import TokenId
from polystra.domain.orders import OrderTerms, Side, SignedOrder


class OrderTermsSigner:
    """`ports.signing.TermsSigner` for one account."""

    __slots__ = ("_signer",)

    def __init__(self, signer: OrderSigner) -> None:
        self._signer = signer

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        """Sign one order. `salt` is below 2^53, `timestamp_ms` is UTC milliseconds.

        Raises:
            ValueError: the terms cannot be a valid order; one sentence says why.
        """
        amounts = amounts_of(terms)
        signed = self._signer.sign(
            OrderDraft(
                salt=salt,
                token_id=_token_number(terms.token_id),
                maker_amount=amounts.maker,
                taker_amount=amounts.taker,
                side=terms.side,
                timestamp_ms=timestamp_ms,
                order_type=terms.time_in_force,
                expiration_s=terms.expires_at_s,
                post_only=terms.post_only,
                neg_risk=terms.negative_risk,
                version=terms.version,
            )
        )
        return SignedOrder(
            client_order_id=terms.client_order_id,
            order_id=signed.order_id,
            body=signed.body,
            salt=salt,
            timestamp_ms=timestamp_ms,
            quantity=amounts.taker if terms.side is Side.BUY else amounts.maker,
            maker_amount=amounts.maker,
            taker_amount=amounts.taker,
        )


def amounts_of(terms: OrderTerms) -> Amounts:
    """Return the amounts of an order: a FOK or FAK buy by its budget, every other by its quantity.

    Raises:
        ValueError: as `limit_amounts` and `market_amounts`, or a budget where none belongs.
    """
    market_buy = terms.side is Side.BUY and not terms.time_in_force.may_rest
    if terms.budget and not market_buy:
        raise ValueError(
            f"budget is set on a {terms.time_in_force} {terms.side}, expected only on a FOK or FAK buy: "
            "bound this order by its quantity"
        )
    if terms.time_in_force.may_rest:
        return limit_amounts(terms.side, terms.price, terms.quantity, terms.tick_size)
    bound = terms.budget if market_buy else terms.quantity
    return market_amounts(terms.side, terms.price, bound, terms.tick_size)


def _token_number(token_id: TokenId) -> int:
    if not (token_id.isascii() and token_id.isdecimal()):
        raise ValueError(f"token_id is {token_id!r}, expected a decimal number: read it from the market again")
    return int(token_id)
