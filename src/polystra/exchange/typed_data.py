"""EIP-712 from the protocol: the order hash, the login message and who signed them.

What lives here: digests, domains, the deposit-wallet (ERC-7739) unwrapping, signer recovery.
What must not: signing, keys, HTTP, opinions about which wallet may trade.

Written from EIP-712, ERC-7739 and the Polymarket CLOB docs, and sharing no code with the client
side of this program, so that one mistake is not made twice in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from coincurve import PublicKey
from tiny_keccak import keccak256

CHAIN_ID: Final = 137
CTF_EXCHANGE_V2: Final = "0xe111180000d2663c0091e4f400237545b87b996b"
NEG_RISK_EXCHANGE_V2: Final = "0xe2222d279d744050d28e00520010520000310f59"
EXCHANGE_V3: Final = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
LOGIN_MESSAGE: Final = "This message attests that I control the given wallet"

ORDER_TYPE: Final = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_SIGN_TYPE: Final = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
)
_HALF_CURVE: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def _keccak(data: bytes) -> bytes:
    return bytes(keccak256(data))


_ORDER_TYPE_HASH: Final = _keccak(ORDER_TYPE.encode())
_SIGN_TYPE_HASH: Final = _keccak((_SIGN_TYPE + ORDER_TYPE).encode())
_DOMAIN_TYPE_HASH: Final = _keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_LOGIN_DOMAIN: Final = _keccak(
    _keccak(b"EIP712Domain(string name,string version,uint256 chainId)")
    + _keccak(b"ClobAuthDomain")
    + _keccak(b"1")
    + CHAIN_ID.to_bytes(32, "big")
)
_LOGIN_TYPE_HASH: Final = _keccak(b"ClobAuth(address address,string timestamp,uint256 nonce,string message)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """The signed struct: addresses lower-case with 0x, amounts in millionths, time in milliseconds."""

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    timestamp_ms: int
    metadata: bytes
    builder: bytes


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address(text: str) -> bytes:
    return bytes(12) + bytes.fromhex(text.removeprefix("0x"))


@lru_cache(maxsize=8)
def domain_separator(version: str, *, neg_risk: bool) -> bytes:
    """Return the exchange's domain separator for a market version ("v1" or "v2")."""
    if version == "v2":
        contract, number = EXCHANGE_V3, b"3"
    else:
        contract, number = (NEG_RISK_EXCHANGE_V2 if neg_risk else CTF_EXCHANGE_V2), b"2"
    return _keccak(
        _DOMAIN_TYPE_HASH + _keccak(b"Polymarket CTF Exchange") + _keccak(number) + _word(CHAIN_ID) + _address(contract)
    )


def struct_hash(order: SignedOrder) -> bytes:
    """Return the struct hash of the order alone, without its domain.

    Raises:
        OverflowError: a number does not fit its type.
    """
    return _keccak(
        _ORDER_TYPE_HASH
        + _word(order.salt)
        + _address(order.maker)
        + _address(order.signer)
        + _word(order.token_id)
        + _word(order.maker_amount)
        + _word(order.taker_amount)
        + _word(order.side)
        + _word(order.signature_type)
        + _word(order.timestamp_ms)
        + order.metadata
        + order.builder
    )


def order_digest(order: SignedOrder, domain: bytes) -> bytes:
    """Return the EIP-712 digest; in hex it is the order's id, whatever the wallet type."""
    return _keccak(b"\x19\x01" + domain + struct_hash(order))


def recover_order_signer(order: SignedOrder, domain: bytes, signature: bytes) -> str | None:
    """Return the address whose key signed `order`, or None when the signature proves nothing."""
    if order.signature_type != 3:
        return recover(order_digest(order, domain), signature)
    inner = _unwrap(order, domain, signature)
    return None if inner is None else recover(_deposit_wallet_digest(order, domain), inner)


def _unwrap(order: SignedOrder, domain: bytes, signature: bytes) -> bytes | None:
    """Return the inner 65 bytes of an ERC-7739 signature whose other parts are right, else None."""
    description = ORDER_TYPE.encode()
    tail = domain + struct_hash(order) + description + len(description).to_bytes(2, "big")
    if len(signature) != 65 + len(tail) or signature[65:] != tail:
        return None
    return signature[:65]


def _deposit_wallet_digest(order: SignedOrder, domain: bytes) -> bytes:
    nested = _keccak(
        _SIGN_TYPE_HASH
        + struct_hash(order)
        + _keccak(b"DepositWallet")
        + _keccak(b"1")
        + _word(CHAIN_ID)
        + _address(order.maker)
        + bytes(32)
    )
    return _keccak(b"\x19\x01" + domain + nested)


def login_digest(address: str, timestamp: str, nonce: int) -> bytes:
    """Return the digest of the `ClobAuth` message that proves control of `address`.

    Raises:
        OverflowError: the nonce is negative or too large.
        ValueError: the address is not hexadecimal.
    """
    body = (
        _LOGIN_TYPE_HASH
        + _address(address)
        + _keccak(timestamp.encode())
        + _word(nonce)
        + _keccak(LOGIN_MESSAGE.encode())
    )
    return _keccak(b"\x19\x01" + _LOGIN_DOMAIN + _keccak(body))


def recover(digest: bytes, signature: bytes) -> str | None:
    """Return the lower-case address that signed `digest` with 65 bytes (v = 27 or 28, low s), or None."""
    if len(signature) != 65 or signature[64] not in {27, 28}:
        return None
    if int.from_bytes(signature[32:64], "big") > _HALF_CURVE:
        return None
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except ValueError:
        return None
    return "0x" + _keccak(key.format(compressed=False)[1:])[-20:].hex()
