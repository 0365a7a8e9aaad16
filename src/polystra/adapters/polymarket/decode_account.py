"""Our orders, trades and balances as the venue tells them, over REST and the user channel alike.

What lives here: pure translation, and the picking of our own legs out of a trade. What must
not: sockets, retries, decisions. What cannot be read raises `VenueProtocolError`.

A trade describes its taker, even in a maker's copy; our maker legs are those whose `owner` is
our API key or whose `maker_address` is our wallet (Polymarket CLOB docs, trade object). A leg
of the other token is a mint or merge match: it trades at the complement of the taker's price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    decode_json,
    exact_micros,
    floor_micros,
    instant,
    integer,
    micros,
    optional_micros,
    outcome_price,
    required_text,
    side_of,
    text,
    truth,
)
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import OrderReport, VenueOrderStatus, WorldEvent
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, OrderId, TokenId, TradeId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, Nanos, notional_floor
from polystra.ports.venue import SpendableBalance

FIRST_PAGE: Final = "MA=="
LAST_PAGE: Final = "LTE="

FILL_STATUSES: Final = MappingProxyType(
    {"MATCHED_NOT_BROADCASTED": FillStatus.MATCHED} | {status.value: status for status in FillStatus}
)
_LARGEST_DIGITS: Final = 78
ORDER_KINDS: Final = frozenset({"PLACEMENT", "UPDATE", "CANCELLATION"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are on the wire. `is_ours` says whether an order id was made by us (old messages lack the role)."""

    api_key: str
    wallet: str
    is_ours: Callable[[str], bool] = lambda _order_id: False

    def owns(self, leg: JsonObject) -> bool:
        """True when a maker leg is ours."""
        if self.api_key and text(leg, "owner") == self.api_key:
            return True
        return bool(self.wallet) and text(leg, "maker_address").lower() == self.wallet.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a cursor-paged list."""

    items: tuple[JsonObject, ...]
    next_cursor: str


def user_events(message: JsonObject, identity: Identity, received_ns: Nanos) -> list[WorldEvent]:
    """Return the events in one message of the user channel."""
    kind = text(message, "event_type") or text(message, "type")
    if kind == "order" or kind in ORDER_KINDS:
        return [order_report(message, received_ns)]
    if kind in ("trade", "TRADE"):
        return list(fill_reports(message, identity, received_ns))
    return []


def page(raw: bytes) -> Page:
    """Return one page; a bare array is a single page, null is an empty one."""
    value = decode_json(raw)
    if value is None or isinstance(value, list):
        return Page(items=tuple(as_object(item, "item") for item in value or []), next_cursor=LAST_PAGE)
    body = as_object(value, "page")
    items = as_list(body.get("data"), "data")
    return Page(
        items=tuple(as_object(item, "item of data") for item in items),
        next_cursor=text(body, "next_cursor") or LAST_PAGE,
    )


# --- orders --------------------------------------------------------------------------


def order_report(message: JsonObject, received_ns: Nanos) -> OrderReport:
    """Return the state of one order; a killed order has empty strings where numbers belong."""
    status, detail = order_status(message)
    return OrderReport(
        order_id=order_id(message, "id"),
        condition_id=ConditionId(required_text(message, "market")),
        token_id=TokenId(required_text(message, "asset_id")),
        side=side_of(message),
        price=outcome_price(optional_micros(message, "price") or 0, "price"),
        quantity=optional_micros(message, "original_size") or 0,
        matched=optional_micros(message, "size_matched") or 0,
        status=status,
        at_ns=instant(message, "timestamp", "created_at", default=received_ns),
        detail=detail,
    )


def order_id(message: JsonObject, *names: str) -> OrderId:
    """Return an order id in the form that we compute: lower-case hex."""
    return OrderId(required_text(message, *names).lower())


def order_status(message: JsonObject) -> tuple[VenueOrderStatus, str]:
    """Return the status and the venue's own words when they say more than the status.

    Raises:
        VenueProtocolError: a word that we do not know and that is no cancellation.
    """
    kind = text(message, "type").upper()
    words = text(message, "status").removeprefix("ORDER_STATUS_")
    known = words.upper()
    if known.startswith(("CANCELED", "CANCELLED")):
        return VenueOrderStatus.CANCELED, "" if known in ("CANCELED", "CANCELLED") else words
    if known in VenueOrderStatus.__members__:
        return VenueOrderStatus[known], ""
    if kind == "CANCELLATION":
        return VenueOrderStatus.CANCELED, words
    if not words and kind in ORDER_KINDS:
        return VenueOrderStatus.LIVE, ""
    raise VenueProtocolError(f"order status is {words[:60]!r}, which is none that is documented")


def open_order(raw: bytes, received_ns: Nanos) -> OrderReport | None:
    """Return the order of `/data/order/{id}`, None when the body is null or holds nothing: it is not open."""
    value = decode_json(raw)
    if value is None or value in ({}, "", []):
        return None
    return order_report(as_object(value, "order"), received_ns)


# --- trades --------------------------------------------------------------------------


def fill_reports(trade: JsonObject, identity: Identity, received_ns: Nanos) -> tuple[FillReport, ...]:
    """Return one report per order of ours in a trade, as taker, maker or (matching ourselves) both."""
    legs = [as_object(leg, "maker order") for leg in as_list(trade.get("maker_orders"), "maker_orders")]
    own = [leg for leg in legs if identity.owns(leg)]
    reports = [_maker_fill(trade, leg, received_ns) for leg in own if micros(leg, "matched_amount")]
    if _is_taker(trade, identity, bool(own)):
        reports.insert(0, _taker_fill(trade, legs, received_ns))
    return tuple(reports)


def _is_taker(trade: JsonObject, identity: Identity, has_own_legs: bool) -> bool:
    role = text(trade, "trader_side").upper()
    if role == "TAKER" or identity.is_ours(text(trade, "taker_order_id").lower()):
        return True
    if role or has_own_legs:
        return False
    return bool(identity.wallet) and text(trade, "maker_address").lower() == identity.wallet.lower()


def _taker_fill(trade: JsonObject, legs: list[JsonObject], received_ns: Nanos) -> FillReport:
    quantity = _positive(micros(trade, "size"), "size")
    token = required_text(trade, "asset_id")
    cash = _taker_cash(legs, token, quantity)
    prices = {_taker_price(leg, token) for leg in legs} if cash is not None else set()
    if cash is None:
        price = floor_micros(trade, "price")
    else:
        price = prices.pop() if len(prices) == 1 else cash * MICRO // quantity
    return _report(
        trade,
        order=order_id(trade, "taker_order_id"),
        token=token,
        side=side_of(trade),
        price=price,
        quantity=quantity,
        liquidity=Liquidity.TAKER,
        cash=cash,
        legs=() if cash is None else tuple((_taker_price(leg, token), micros(leg, "matched_amount")) for leg in legs),
        received_ns=received_ns,
    )


def _taker_cash(legs: list[JsonObject], token: str, quantity: MicroShares) -> MicroDollars | None:
    """Dollars that the taker exchanged, summed leg by leg; None when the legs do not add up to the trade."""
    if not legs or sum(micros(leg, "matched_amount") for leg in legs) != quantity:
        return None
    return sum(_taker_cash_of(leg, token) for leg in legs)


def _taker_cash_of(leg: JsonObject, taker_token: str) -> MicroDollars:
    """One leg's dollars for the taker; in a mint or merge both sides together make one dollar a share."""
    quantity = micros(leg, "matched_amount")
    maker_cash = notional_floor(_leg_price(leg), quantity)
    return quantity - maker_cash if _crosses(leg, taker_token) else maker_cash


def _taker_price(leg: JsonObject, taker_token: str) -> MicroPrice:
    price = _leg_price(leg)
    return MICRO - price if _crosses(leg, taker_token) else price


def _leg_price(leg: JsonObject) -> MicroPrice:
    return outcome_price(micros(leg, "price"), "price of a maker order")


def _crosses(leg: JsonObject, taker_token: str) -> bool:
    return text(leg, "asset_id") not in ("", taker_token)


def _maker_fill(trade: JsonObject, leg: JsonObject, received_ns: Nanos) -> FillReport:
    quantity = micros(leg, "matched_amount")
    price = _leg_price(leg)
    return _report(
        trade,
        order=order_id(leg, "order_id"),
        token=text(leg, "asset_id") or required_text(trade, "asset_id"),
        side=_maker_side(trade, leg),
        price=price,
        quantity=quantity,
        liquidity=Liquidity.MAKER,
        cash=notional_floor(price, quantity),
        received_ns=received_ns,
    )


def _maker_side(trade: JsonObject, leg: JsonObject) -> Side:
    """A leg's side; where absent: opposite of the taker on the same token, the same on the other one."""
    if text(leg, "side"):
        return side_of(leg)
    taker = side_of(trade)
    if text(leg, "asset_id") not in ("", text(trade, "asset_id")):
        return taker
    return Side.SELL if taker is Side.BUY else Side.BUY


def _report(
    trade: JsonObject,
    *,
    order: OrderId,
    token: str,
    side: Side,
    price: int,
    quantity: MicroShares,
    liquidity: Liquidity,
    cash: MicroDollars | None,
    received_ns: Nanos,
    legs: tuple[tuple[MicroPrice, MicroShares], ...] = (),
) -> FillReport:
    return FillReport(
        trade_id=TradeId(required_text(trade, "id")),
        order_id=order,
        condition_id=ConditionId(required_text(trade, "market")),
        token_id=TokenId(token),
        side=side,
        price=outcome_price(price, "price"),
        quantity=quantity,
        liquidity=liquidity,
        status=_fill_status(trade),
        matched_at_ns=instant(trade, "match_time", "matchtime", "timestamp", default=received_ns),
        transaction_hash=text(trade, "transaction_hash"),
        cash=cash,
        legs=legs,
    )


def _fill_status(trade: JsonObject) -> FillStatus:
    words = required_text(trade, "status").upper().removeprefix("TRADE_STATUS_")
    status = FILL_STATUSES.get(words)
    if status is None:
        raise VenueProtocolError(f"trade status is {words[:60]!r}, which is none that is documented")
    return status


def _positive(value: int, what: str) -> int:
    if value <= 0:
        raise VenueProtocolError(f"{what} is {value}, expected more than zero")
    return value


# --- balances and answers to commands ---------------------------------------------------


def balance(raw: bytes) -> int:
    """Return the balance of `/balance-allowance` in millionths (an integer; old answers hold a decimal point)."""
    found = _amount(as_object(decode_json(raw), "balance"), "balance")
    if found is None:
        raise VenueProtocolError("balance is missing or empty")
    return found


def spendable(raw: bytes) -> SpendableBalance:
    """Return balance and allowances of `/balance-allowance`; old answers hold one `allowance`."""
    body = as_object(decode_json(raw), "balance")
    listed = body.get("allowances")
    by_contract = body if listed is None else as_object(listed, "allowances")
    names = ["allowance"] if listed is None else list(by_contract)
    amounts = [(name, amount) for name in names if (amount := _allowance(by_contract, name)) is not None]
    return SpendableBalance(balance=balance(raw), allowances=tuple(amounts))


def _allowance(source: JsonObject, name: str) -> int | None:
    """An allowance is usually the largest number of 256 bits: more digits than any amount has."""
    written = source.get(name)
    if isinstance(written, str) and written.isascii() and written.isdecimal() and len(written) <= _LARGEST_DIGITS:
        return int(written)
    return _amount(source, name)


def _amount(source: JsonObject, name: str) -> int | None:
    written = source.get(name)
    if isinstance(written, str) and "." in written:
        return exact_micros(written, name)
    return integer(source, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostAnswer:
    """The venue's answer to one order. Amounts are millionths, 0 when nothing was exchanged or it is not said."""

    success: bool
    error: str
    order_id: str
    status: str
    making: int
    taking: int


def post_answer(value: object) -> PostAnswer:
    """Return the answer to one order, alone or as a leg of a batch."""
    body = as_object(value, "answer to an order")
    return PostAnswer(
        success=truth(body, "success", default=False),
        error=text(body, "errorMsg", "error_msg", "error"),
        order_id=text(body, "orderID", "orderId").lower(),
        status=text(body, "status").upper().removeprefix("ORDER_STATUS_"),
        making=_amount_or_zero(body, "makingAmount"),
        taking=_amount_or_zero(body, "takingAmount"),
    )


def _amount_or_zero(body: JsonObject, name: str) -> int:
    """Amounts of an accepted order only inform; one that cannot be read must not hide the acceptance."""
    try:
        return optional_micros(body, name) or 0
    except VenueProtocolError:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer:
    """What the venue cancelled and what it did not, with its reasons; ids in lower case."""

    canceled: frozenset[str]
    refused: dict[str, str]


def cancel_answer(raw: bytes) -> CancelAnswer:
    """Return the answer to any cancel call."""
    body = as_object(decode_json(raw), "answer to a cancel")
    if "canceled" not in body and "not_canceled" not in body and "notCanceled" not in body:
        raise VenueProtocolError("answer to a cancel holds neither canceled nor not_canceled")
    refused = body.get("not_canceled") or body.get("notCanceled") or {}
    return CancelAnswer(
        canceled=frozenset(str(item).lower() for item in as_list(body.get("canceled"), "canceled")),
        refused={key.lower(): str(reason) for key, reason in as_object(refused, "not_canceled").items()},
    )
