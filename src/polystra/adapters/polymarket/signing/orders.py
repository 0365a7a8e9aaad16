"""The order struct, its id and signature, and the JSON body that carries them.

What lives here: `OrderDraft` (what varies), `OrderSigner` (what an account fixes once), pure and
deterministic: the same draft gives the same bytes. What must not: amounts from prices
(`amounts`), clocks, chance, HTTP. The body's bytes are final: they are stored, covered by the
HMAC and sent as they are; a batch is `b"[" + b",".join(bodies) + b"]"`.

Struct, signature types and body: Polymarket CLOB docs (orders, POST /order).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tiny_keccak import keccak256

from polystra.adapters.polymarket.signing.contracts import exchange_contracts
from polystra.adapters.polymarket.signing.keys import SigningKey, checksum_address, parse_address
from polystra.adapters.polymarket.signing.typed_data import (
    ORDER_TYPEHASH,
    UINT256_END,
    WORD,
    ZERO_WORD,
    address_word,
    typed_data_digest,
    uint_word,
    wallet_sign_digest,
    wallet_sign_suffix,
    wrap_signature,
)
from polystra.domain.errors import ConfigError
from polystra.domain.ids import OrderId
from polystra.domain.orders import Side, TimeInForce

MAX_SALT: Final = (1 << 53) - 1
"""The salt travels as a JSON number, which the other side may read as a double."""

_SIDE_WORD: Final = {Side.BUY: uint_word(0), Side.SELL: uint_word(1)}


class SignatureType(IntEnum):
    """Which wallet holds the funds of the key's owner."""

    EOA = 0
    POLY_PROXY = 1
    POLY_GNOSIS_SAFE = 2
    POLY_1271 = 3
    """A deposit wallet, a contract that checks the owner's signature itself (ERC-1271)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """Everything about one order that the account does not fix.

    Amounts are 10^-6 units: a buy gives dollars and wants shares, a sell the reverse.
    `expiration_s` (UTC seconds) belongs to GTD alone; `metadata` and `builder` are 32 bytes.

    Raises:
        ValueError: a field is outside what the struct or the body can carry.
    """

    salt: int
    token_id: int
    maker_amount: int
    taker_amount: int
    side: Side
    timestamp_ms: int
    order_type: TimeInForce = TimeInForce.GTC
    expiration_s: int = 0
    post_only: bool = False
    neg_risk: bool = False
    version: str = "v1"
    metadata: bytes = ZERO_WORD
    builder: bytes = ZERO_WORD

    def __post_init__(self) -> None:
        _check_integer("salt", self.salt, 0, MAX_SALT)
        _check_integer("token_id", self.token_id, 1, UINT256_END - 1)
        _check_integer("maker_amount", self.maker_amount, 1, UINT256_END - 1)
        _check_integer("taker_amount", self.taker_amount, 1, UINT256_END - 1)
        _check_integer("timestamp_ms", self.timestamp_ms, 1, UINT256_END - 1)
        gtd = self.order_type is TimeInForce.GTD
        _check_integer("expiration_s of a " + self.order_type, self.expiration_s, int(gtd), MAX_SALT if gtd else 0)
        if self.post_only and not self.order_type.may_rest:
            raise ValueError(f"post_only is set on a {self.order_type}, expected GTC or GTD: clear it")
        for name, value in (("metadata", self.metadata), ("builder", self.builder)):
            if len(value) != WORD:
                raise ValueError(f"{name} has {len(value)} bytes, expected {WORD}: pad it with zeros")


@dataclass(frozen=True, slots=True)
class SignedDraft:
    """The id that the venue will give the order, and the exact bytes of its JSON body."""

    order_id: OrderId
    body: bytes
    signature: bytes


class OrderSigner:
    """Signs the orders of one account. What the account fixes is encoded once, at construction.

    Args:
        private_key: the key of the owner, or its 32 bytes or hex digits.
        signature_type: 0 to 3, see `SignatureType`.
        funder: the wallet that holds the funds; None means the key's own address (type 0 only).
        chain_id: 137 or 80002.
        owner: the API key that the body names as the order's owner.

    Raises:
        ConfigError: a setting is invalid or two contradict each other; no text shows the key.
    """

    __slots__ = ("_contracts", "_head", "_key", "_tails", "_type_word", "_wallet_suffix", "_wallet_words", "wallet")

    wallet: str
    """The order's maker, with the EIP-55 checksum."""

    def __init__(
        self, private_key: SigningKey | str | bytes, signature_type: int, funder: str | None, chain_id: int, owner: str
    ) -> None:
        key = private_key if isinstance(private_key, SigningKey) else SigningKey(private_key)
        del private_key  # an error report that prints local variables finds nothing here
        kind, wallet = _wallet(key, signature_type, funder)
        if not owner:
            raise ConfigError("POLY_API_KEY is empty, expected the API key that owns the orders: derive it first")
        signer = wallet if kind is SignatureType.POLY_1271 else key.address_bytes
        self._key = key
        self.wallet = checksum_address(wallet)
        self._contracts = exchange_contracts(chain_id)
        self._wallet_words = address_word(wallet) + address_word(signer)
        self._type_word = uint_word(kind)
        self._wallet_suffix = wallet_sign_suffix(chain_id, wallet) if kind is SignatureType.POLY_1271 else None
        self._head = f'"maker":"{self.wallet}","signer":"{checksum_address(signer)}","tokenId":"'
        self._tails = _tails(owner)

    @property
    def address(self) -> str:
        """The key's own address, which every authenticated request names."""
        return self._key.address

    def __repr__(self) -> str:
        key, wallet = getattr(self, "_key", None), getattr(self, "wallet", "none")
        return f"OrderSigner(key={key!r}, wallet={wallet})"

    def sign(self, draft: OrderDraft) -> SignedDraft:
        """Return the id and the body of an order.

        The id is the digest of the plain order for every signature type.

        Raises:
            ValueError: the draft's market version is unknown.
        """
        domain = self._contracts.for_market(draft.version, negative_risk=draft.neg_risk).domain_separator
        struct_hash = self._struct_hash(draft)
        digest = typed_data_digest(domain, struct_hash)
        if self._wallet_suffix is None:
            signature = self._key.sign_digest(digest)
        else:
            inner = self._key.sign_digest(wallet_sign_digest(domain, struct_hash, self._wallet_suffix))
            signature = wrap_signature(inner, domain, struct_hash)
        return SignedDraft(OrderId("0x" + digest.hex()), self._body(draft, signature), signature)

    def _struct_hash(self, draft: OrderDraft) -> bytes:
        return keccak256(
            b"".join(
                (
                    ORDER_TYPEHASH,
                    uint_word(draft.salt),
                    self._wallet_words,
                    uint_word(draft.token_id),
                    uint_word(draft.maker_amount),
                    uint_word(draft.taker_amount),
                    _SIDE_WORD[draft.side],
                    self._type_word,
                    uint_word(draft.timestamp_ms),
                    draft.metadata,
                    draft.builder,
                )
            )
        )

    def _body(self, draft: OrderDraft, signature: bytes) -> bytes:
        return (
            f'{{"order":{{"salt":{draft.salt},{self._head}{draft.token_id}",'
            f'"makerAmount":"{draft.maker_amount}","takerAmount":"{draft.taker_amount}",'
            f'"side":"{draft.side}","expiration":"{draft.expiration_s}","signatureType":{self._type_word[-1]},'
            f'"timestamp":"{draft.timestamp_ms}",'
            f'"metadata":"0x{draft.metadata.hex()}","builder":"0x{draft.builder.hex()}",'
            f'"signature":"0x{signature.hex()}"}},{self._tails[draft.order_type, draft.post_only]}'
        ).encode()


def _wallet(key: SigningKey, signature_type: int, funder: str | None) -> tuple[SignatureType, bytes]:
    """Return the wallet type and the wallet's address, after checking that they agree."""
    try:
        kind = SignatureType(signature_type)
    except ValueError as error:
        raise ConfigError(f"POLY_SIGNATURE_TYPE is {signature_type}, expected 0, 1, 2 or 3") from error
    if not funder:
        if kind is not SignatureType.EOA:
            raise ConfigError(
                f"POLY_FUNDER_ADDRESS is empty, but POLY_SIGNATURE_TYPE is {signature_type}: "
                "set the address of the wallet that holds the funds"
            )
        return kind, key.address_bytes
    wallet = parse_address(funder, field="POLY_FUNDER_ADDRESS")
    if kind is SignatureType.EOA and wallet != key.address_bytes:
        raise ConfigError(
            f"POLY_FUNDER_ADDRESS is {funder}, but POLY_SIGNATURE_TYPE 0 trades from the key's own address "
            f"{key.address}: empty it, or set the wallet's type (3 for a deposit wallet)"
        )
    return kind, wallet


def _tails(owner: str) -> dict[tuple[TimeInForce, bool], str]:
    """Return what follows the order in the body, as the official client writes it."""
    head = f'"owner":{json.dumps(owner)},"orderType":'
    tails: dict[tuple[TimeInForce, bool], str] = {}
    for kind in TimeInForce:
        for post_only, word in ((False, "false"), (True, "true")):
            tails[kind, post_only] = f'{head}"{kind}","deferExec":false,"postOnly":{word}}}'
    return tails


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int:
        raise ValueError(f"{name} is {value!r}, expected a whole number: convert it before signing")
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, expected {low} to {high}: the order cannot carry it")
