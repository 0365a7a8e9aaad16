"""EIP-712 hashing of the three structs that Polymarket asks for, in fixed-width words.

What lives here: type strings, their hashes, and pure functions from integers and bytes to
digests. What must not: keys, contract addresses, JSON. Own code because the generic encoders
walk a type description for every order; all our structs have a fixed layout.

Type strings: Polymarket CLOB docs (orders, authentication); ERC-7739 for `TypedDataSign`.
"""

from __future__ import annotations

from typing import Final

from tiny_keccak import keccak256

WORD: Final = 32
ZERO_WORD: Final = bytes(WORD)
ADDRESS_BYTES: Final = 20
UINT256_END: Final = 1 << 256

DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
AUTH_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId)"
AUTH_TYPE: Final = b"ClobAuth(address address,string timestamp,uint256 nonce,string message)"
ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    b"uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
TYPED_DATA_SIGN_TYPE: Final = (
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    b"address verifyingContract,bytes32 salt)" + ORDER_TYPE
)

ORDER_TYPEHASH: Final = keccak256(ORDER_TYPE)
TYPED_DATA_SIGN_TYPEHASH: Final = keccak256(TYPED_DATA_SIGN_TYPE)

EXCHANGE_DOMAIN_NAME: Final = "Polymarket CTF Exchange"
AUTH_DOMAIN_NAME: Final = "ClobAuthDomain"
AUTH_DOMAIN_VERSION: Final = "1"
AUTH_MESSAGE: Final = "This message attests that I control the given wallet"
DEPOSIT_WALLET_NAME: Final = "DepositWallet"
DEPOSIT_WALLET_VERSION: Final = "1"

_DOMAIN_TYPEHASH: Final = keccak256(DOMAIN_TYPE)
_AUTH_DOMAIN_TYPEHASH: Final = keccak256(AUTH_DOMAIN_TYPE)
_AUTH_TYPEHASH: Final = keccak256(AUTH_TYPE)
_AUTH_MESSAGE_HASH: Final = keccak256(AUTH_MESSAGE.encode())
_WRAP_TRAILER: Final = ORDER_TYPE + len(ORDER_TYPE).to_bytes(2, "big")


def uint_word(value: int) -> bytes:
    """Return an unsigned integer as one 32-byte word; raises OverflowError outside [0, 2^256)."""
    return value.to_bytes(WORD, "big")


def address_word(address: bytes) -> bytes:
    """Return a 20-byte address left-padded to one word."""
    return address.rjust(WORD, b"\0")


def exchange_domain_separator(version: str, chain_id: int, contract: bytes) -> bytes:
    """Return the domain separator of an exchange contract (20 bytes) on a chain."""
    return keccak256(
        _DOMAIN_TYPEHASH
        + keccak256(EXCHANGE_DOMAIN_NAME.encode())
        + keccak256(version.encode())
        + uint_word(chain_id)
        + address_word(contract)
    )


def auth_domain_separator(chain_id: int) -> bytes:
    """Return the domain separator of `ClobAuth`, which names no contract."""
    return keccak256(
        _AUTH_DOMAIN_TYPEHASH
        + keccak256(AUTH_DOMAIN_NAME.encode())
        + keccak256(AUTH_DOMAIN_VERSION.encode())
        + uint_word(chain_id)
    )


def typed_data_digest(domain_separator: bytes, struct_hash: bytes) -> bytes:
    """Return the EIP-712 digest that is signed."""
    return keccak256(b"\x19\x01" + domain_separator + struct_hash)


def auth_struct_hash(address: bytes, timestamp: str, nonce: int) -> bytes:
    """Return the struct hash of `ClobAuth`; `timestamp` is UTC seconds as text."""
    return keccak256(
        _AUTH_TYPEHASH + address_word(address) + keccak256(timestamp.encode()) + uint_word(nonce) + _AUTH_MESSAGE_HASH
    )


def wallet_sign_suffix(chain_id: int, wallet: bytes) -> bytes:
    """Return the part of `TypedDataSign` after `contents`, the same for every order of a deposit wallet."""
    return (
        keccak256(DEPOSIT_WALLET_NAME.encode())
        + keccak256(DEPOSIT_WALLET_VERSION.encode())
        + uint_word(chain_id)
        + address_word(wallet)
        + ZERO_WORD
    )


def wallet_sign_digest(domain_separator: bytes, order_struct_hash: bytes, suffix: bytes) -> bytes:
    """Return the digest that the owner of a deposit wallet signs for an order (ERC-7739)."""
    nested = keccak256(TYPED_DATA_SIGN_TYPEHASH + order_struct_hash + suffix)
    return typed_data_digest(domain_separator, nested)


def wrap_signature(inner: bytes, domain_separator: bytes, order_struct_hash: bytes) -> bytes:
    """Return the 317-byte signature of a deposit wallet around the owner's 65 bytes (ERC-7739)."""
    return inner + domain_separator + order_struct_hash + _WRAP_TRAILER
