"""The private key, kept where nothing prints it, and the addresses that belong to it.

What lives here: reading a key, its recoverable signature, EIP-55 addresses. What must not:
what is signed (`orders`, `auth`). The key never leaves `SigningKey`: it has no text form,
cannot be pickled or copied, and no error mentions it.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from coincurve import PrivateKey
from tiny_keccak import keccak256

from polystra.adapters.polymarket.signing.typed_data import ADDRESS_BYTES
from polystra.domain.errors import ConfigError

SIGNATURE_BYTES: Final = 65
RECOVERY_OFFSET: Final = 27
CURVE_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141

_KEY_TEXT: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")
_ADDRESS_TEXT: Final = re.compile(r"0[xX]([0-9a-fA-F]{40})")


class SigningKey:
    """A secp256k1 private key that signs 32-byte digests.

    Args:
        private_key: 32 bytes, or 64 hex digits with or without 0x.

    Raises:
        ConfigError: it is not a private key; the text does not show it.
    """

    __slots__ = ("_key", "address", "address_bytes")

    address: str
    """The key's own address with the EIP-55 checksum."""

    def __init__(self, private_key: str | bytes) -> None:
        secret = _secret(private_key)
        del private_key  # an error report that prints local variables finds nothing here
        if secret is None:
            raise ConfigError(
                "POLY_PRIVATE_KEY is not a private key, expected 64 hex digits (with or without 0x) "
                "between 1 and the order of secp256k1: copy it again from the wallet"
            )
        self._key = PrivateKey(secret)
        self.address_bytes = keccak256(self._key.public_key.format(compressed=False)[1:])[-ADDRESS_BYTES:]
        self.address = checksum_address(self.address_bytes)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the 65-byte signature r, s, v of a digest, with v 27 or 28 (deterministic by RFC 6979)."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + (b"\x1c" if signature[64] else b"\x1b")

    def __repr__(self) -> str:
        return f"SigningKey(address={getattr(self, 'address', 'none')})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a signing key cannot be pickled or copied: pass the object itself")


def checksum_address(address: bytes) -> str:
    """Return a 20-byte address as text with the EIP-55 checksum."""
    text = address.hex()
    marks = keccak256(text.encode()).hex()
    return "0x" + "".join(
        char.upper() if mark >= "8" else char for char, mark in zip(text, marks[: len(text)], strict=True)
    )


def parse_address(text: str, *, field: str) -> bytes:
    """Return an address's 20 bytes. Text in one case is taken as it is, mixed case must carry the checksum.

    Raises:
        ConfigError: not an address, the zero address, or a wrong checksum; names `field`.
    """
    match = _ADDRESS_TEXT.fullmatch(text)
    if match is None:
        raise ConfigError(f"{field} is {text!r}, expected an address: 0x and 40 hex digits")
    digits = match.group(1)
    address = bytes.fromhex(digits)
    if not any(address):
        raise ConfigError(f"{field} is the zero address, expected the wallet that holds the funds")
    if digits not in (digits.lower(), digits.upper(), checksum_address(address).removeprefix("0x")):
        raise ConfigError(f"{field} is {text!r}, whose EIP-55 checksum is wrong: a digit or its case is mistyped")
    return address


def _secret(private_key: str | bytes) -> bytes | None:
    """Return the key's 32 bytes, None when it is no key; never raises, so that no traceback holds it."""
    if isinstance(private_key, bytes):
        secret = private_key
    else:
        match = _KEY_TEXT.fullmatch(private_key.strip())
        secret = bytes.fromhex(match.group(1)) if match else b""
    return secret if len(secret) == 32 and 0 < int.from_bytes(secret, "big") < CURVE_ORDER else None
