"""From the JSON of a posted order to a request that the core may place, or the venue's refusal.

What lives here: the wire form of an order, the identity checks (owner, signer, wallet, signature,
hash). What must not: rules about price, size or funds (`validation`), HTTP.

Texts: Polymarket CLOB docs, resources/error-codes. The order of the checks is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from polystra.exchange.auth import ApiKey
from polystra.exchange.core import ExchangeCore
from polystra.exchange.model import PlaceRequest, Refusal
from polystra.exchange.typed_data import SignedOrder, domain_separator, order_digest, recover_order_signer
from polystra.exchange.validation import INVALID_PAYLOAD, NO_BOOK

BATCH_LIMIT: Final = 15
WRONG_OWNER: Final = Refusal("the order owner has to be the owner of the API KEY")
WRONG_SIGNER: Final = Refusal("the order signer address has to be the address of the API KEY")
WRONG_WALLET: Final = Refusal("maker address not allowed, please use the deposit wallet flow")
INVALID_SIGNATURE: Final = Refusal("invalid signature")
INVALID_PROXY_SIGNATURE: Final = Refusal("invalid POLY_PROXY signature")
VERSION_MISMATCH: Final = Refusal("order_version_mismatch")
EMPTY_BYTES32: Final = bytes(32)
UINT256_DIGITS: Final = 78


class WireOrder(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The signed part of a posted order as it travels."""

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: str
    taker_amount: str
    side: Literal["BUY", "SELL"]
    signature_type: Literal[0, 1, 2, 3]
    timestamp: str
    metadata: str
    builder: str
    signature: str
    expiration: str | None = "0"


class Submission(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The body of `POST /order`, and one leg of `POST /orders`."""

    order: WireOrder
    owner: str
    order_type: Literal["GTC", "GTD", "FOK", "FAK"]
    post_only: bool = False
    defer_exec: bool = False


class _AnyVersion(msgspec.Struct, frozen=True):
    order: dict[str, object]


@dataclass(frozen=True, slots=True)
class Admitted:
    """An order whose proof of identity holds: the account behind it and what it asks for."""

    account: str
    request: PlaceRequest


def parse_submission(body: bytes) -> Submission | Refusal:
    """Decode one posted order; an order of the old struct version is told apart."""
    try:
        return msgspec.json.decode(body, type=Submission)
    except msgspec.MsgspecError:
        return _blame(body)


def parse_batch(body: bytes) -> list[Submission | Refusal] | Refusal:
    """Decode the 1 to 15 legs of a batch; a malformed leg is refused alone."""
    try:
        legs = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        return INVALID_PAYLOAD
    if len(legs) > BATCH_LIMIT:
        return Refusal(f"Too many orders in payload: {len(legs)}, max allowed: {BATCH_LIMIT}")
    return [parse_submission(bytes(leg)) for leg in legs] if legs else INVALID_PAYLOAD


def _blame(body: bytes) -> Refusal:
    try:
        order = msgspec.json.decode(body, type=_AnyVersion).order
    except msgspec.MsgspecError:
        return INVALID_PAYLOAD
    old = "timestamp" not in order and ("nonce" in order or "feeRateBps" in order)
    return VERSION_MISMATCH if old else INVALID_PAYLOAD


def admit(core: ExchangeCore, key: ApiKey, submission: Submission) -> Admitted | Refusal:
    """Check who sent and who signed an order, and compute its id."""
    if submission.owner != key.key:
        return WRONG_OWNER
    order = _signed_order(submission.order)
    if isinstance(order, Refusal):
        return order
    refusal = _check_wallet(core, key, order)
    if refusal is not None:
        return refusal
    market = core.market_of_token(submission.order.token_id)
    if market is None:
        return NO_BOOK
    domain = domain_separator(market.spec.version, neg_risk=market.spec.neg_risk)
    signature = _hex(submission.order.signature)
    if signature is None or recover_order_signer(order, domain, signature) != key.address:
        return INVALID_PROXY_SIGNATURE if order.signature_type == 1 else INVALID_SIGNATURE
    expiration = submission.order.expiration or "0"
    if not _is_decimal(expiration):
        return INVALID_PAYLOAD
    return Admitted(
        order.maker,
        PlaceRequest(
            token_id=submission.order.token_id,
            side=submission.order.side,
            order_type=submission.order_type,
            maker_amount=order.maker_amount,
            taker_amount=order.taker_amount,
            post_only=submission.post_only,
            expiration_s=int(expiration),
            order_id="0x" + order_digest(order, domain).hex(),
            owner=key.key,
        ),
    )


def _check_wallet(core: ExchangeCore, key: ApiKey, order: SignedOrder) -> Refusal | None:
    """The signer field is the key's address, or the deposit wallet itself, and the maker is its wallet."""
    wallet = core.account(order.maker)
    owned = wallet is not None and wallet.owner == key.address and wallet.signature_type == order.signature_type
    if order.signature_type == 3:
        return None if owned and order.signer == order.maker else WRONG_SIGNER
    if order.signer != key.address:
        return WRONG_SIGNER
    return None if owned else WRONG_WALLET


def _signed_order(order: WireOrder) -> SignedOrder | Refusal:
    numbers = (order.token_id, order.maker_amount, order.taker_amount, order.timestamp)
    maker, signer = _address(order.maker), _address(order.signer)
    metadata, builder = _bytes32(order.metadata), _bytes32(order.builder)
    if not all(_is_decimal(number) for number in numbers) or not 0 <= order.salt < 1 << 256:
        return INVALID_PAYLOAD
    if maker is None or signer is None or metadata is None or builder is None:
        return INVALID_PAYLOAD
    return SignedOrder(
        salt=order.salt,
        maker=maker,
        signer=signer,
        token_id=int(order.token_id),
        maker_amount=int(order.maker_amount),
        taker_amount=int(order.taker_amount),
        side=0 if order.side == "BUY" else 1,
        signature_type=order.signature_type,
        timestamp_ms=int(order.timestamp),
        metadata=metadata,
        builder=builder,
    )


def _is_decimal(text: str) -> bool:
    """Accept what fits 256 bits."""
    return text.isascii() and text.isdigit() and len(text) <= UINT256_DIGITS and int(text) < 1 << 256


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return None


def _address(text: str) -> str | None:
    raw = _hex(text)
    return "0x" + raw.hex() if raw is not None and len(raw) == 20 else None


def _bytes32(text: str) -> bytes | None:
    raw = EMPTY_BYTES32 if text == "" else _hex(text)
    return raw if raw is not None and len(raw) == 32 else None
