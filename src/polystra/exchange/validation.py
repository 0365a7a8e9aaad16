"""The rules an order must pass before it may meet the book, in the venue's own words.

What lives here: price grid, precision caps, minimums, expiry and funds, as pure functions that
return a `Refusal` or None. What must not: state, proofs of identity (`auth`), matching.

Texts and limits: Polymarket CLOB docs (resources/error-codes, trading/orders) and client issue threads.
"""

from __future__ import annotations

import re
from decimal import Context
from typing import Final

from polystra.domain.units import format_micros
from polystra.exchange.model import DOLLAR, CoreConfig, PlaceRequest, Refusal
from polystra.matching.book import ONE

AMOUNT_DECIMALS: Final = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
"""Decimals that the dollars of a limit order may have, by tick in millionths."""

FOK_KILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
POST_ONLY_CROSSES: Final = Refusal("invalid post-only order: order crosses book")
NO_BOOK: Final = Refusal("No orderbook exists for the requested token id", 404)
NOT_READY: Final = Refusal("the market is not yet ready to process new orders")
INVALID_PAYLOAD: Final = Refusal("Invalid order payload")
INVALID_ORDER_ID: Final = Refusal("Invalid orderID")
_ORDER_ID: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_FLOAT_LIKE: Final = Context(prec=16)


def is_order_id(text: str) -> bool:
    """Tell whether a text can be an order's id: 0x and up to 64 hexadecimal digits."""
    return _ORDER_ID.fullmatch(text) is not None


def duplicated(order_id: str) -> Refusal:
    """Return the refusal of an order whose id is known."""
    return Refusal(f"order {order_id} is invalid. Duplicated.")


def check_request(
    request: PlaceRequest,
    order_id: str,
    *,
    tick: int,
    min_size: int,
    now_ns: int,
    config: CoreConfig,
    house: bool = False,
) -> Refusal | None:
    """Check everything about an order that needs neither the book nor balances.

    The house may rest what a partly filled order leaves: any size, down to a millionth.
    """
    if request.maker_amount <= 0 or request.taker_amount <= 0:
        return INVALID_PAYLOAD
    market = request.order_type in {"FOK", "FAK"}
    if market and request.post_only:
        return Refusal("INVALID_POST_ONLY_ORDER_TYPE")
    price = snapped_price(request, tick)
    is_off_grid = _misses_market_price if market else _misses_limit_price
    return (
        _check_expiration(request, now_ns, config)
        or (_tick_refusal(request, order_id, tick) if is_off_grid(request, price, tick) else None)
        or (None if house else _check_precision(request, tick, market=market))
        or (None if market else _check_size(request, order_id, price, 0 if house else min_size))
    )


def snapped_price(request: PlaceRequest, tick: int) -> int:
    """Return the multiple of the tick that is nearest to the price which the amounts imply."""
    dollars, shares = dollars_and_shares(request)
    return (2 * dollars * ONE + shares * tick) // (2 * shares * tick) * tick


def dollars_and_shares(request: PlaceRequest) -> tuple[int, int]:
    """Return the order's amounts as (micro-dollars, micro-shares)."""
    if request.side == "BUY":
        return request.maker_amount, request.taker_amount
    return request.taker_amount, request.maker_amount


def _check_expiration(request: PlaceRequest, now_ns: int, config: CoreConfig) -> Refusal | None:
    if request.order_type == "GTD":
        valid = request.expiration_s * 1_000_000_000 >= now_ns + config.gtd_minimum_s * 1_000_000_000
    else:
        valid = request.expiration_s == 0
    return None if valid else Refusal("invalid expiration")


def _misses_limit_price(request: PlaceRequest, price: int, tick: int) -> bool:
    """A price of up to six decimals is judged as it is; an endless one near the grid is a rounded product.

    `_check_size` refuses the latter by its amount, as the venue does.
    """
    dollars, shares = dollars_and_shares(request)
    distance = abs(dollars * ONE - price * shares)
    off_grid = distance > 0 and (dollars * ONE % shares == 0 or distance * 10 > tick * shares)
    return off_grid or not tick <= price <= ONE - tick


def _misses_market_price(request: PlaceRequest, price: int, tick: int) -> bool:
    """The counter amount is cut to 4 decimals, so the implied price may miss the grid by that much."""
    dollars, shares = dollars_and_shares(request)
    slack = price * 100 if request.side == "BUY" else ONE * 100
    off_grid = abs(dollars * ONE - price * shares) > slack
    return off_grid or not tick <= price <= ONE - tick


def _tick_refusal(request: PlaceRequest, order_id: str, tick: int) -> Refusal:
    dollars, shares = dollars_and_shares(request)
    price = _FLOAT_LIKE.divide(dollars, shares).normalize()
    return Refusal(
        f"order {order_id} is invalid. Price ({price:f}) breaks minimum tick size rule: {format_micros(tick)}"
    )


def _check_precision(request: PlaceRequest, tick: int, *, market: bool) -> Refusal | None:
    decimals = 4 if market else AMOUNT_DECIMALS.get(tick, 6)
    maker, taker = (2, decimals) if market or request.side == "SELL" else (decimals, 2)
    if request.maker_amount % 10 ** (6 - maker) == 0 and request.taker_amount % 10 ** (6 - taker) == 0:
        return None
    kind = "market buy" if market and request.side == "BUY" else request.side.lower()
    return Refusal(
        f"invalid amounts, the {kind} orders maker amount supports a max accuracy of {maker} decimals,"
        f" taker amount a max of {taker} decimals"
    )


def _check_size(request: PlaceRequest, order_id: str, price: int, min_size: int) -> Refusal | None:
    dollars, shares = dollars_and_shares(request)
    if shares < min_size:
        return Refusal(
            f"order {order_id} is invalid. Size ({format_micros(shares)}) lower than the minimum:"
            f" {format_micros(min_size)}"
        )
    expected = price * shares // ONE
    if dollars == expected:
        return None
    field = "maker" if request.side == "BUY" else "taker"
    return Refusal(
        f"invalid amounts, the {field} amount for a ${format_micros(price)} order of size {format_micros(shares)}"
        f" should be '{format_micros(expected)}' but the value submited is '{format_micros(dollars)}'"
    )


def check_minimum_notional(dollars: int) -> Refusal | None:
    """Refuse a marketable BUY worth less than one dollar at the prices it would get."""
    if dollars >= DOLLAR:
        return None
    return Refusal(f"invalid amount for a marketable BUY order (${format_micros(dollars)}), min size: $1")


def check_funds(balance: int, amount: int) -> Refusal | None:
    """Refuse an order that gives more than the account can spend; millionths of dollars or shares."""
    if balance >= amount:
        return None
    return Refusal(
        "not enough balance / allowance: the balance is not enough ->"
        f" balance: {max(balance, 0)}, order amount: {amount}"
    )
