"""Proofs of identity: the L1 signature that obtains API credentials, the L2 HMAC on every request.

What lives here: header values from a key or credentials, a timestamp and the exact bytes that
are sent. What must not: clocks, HTTP. The HMAC is taken over the body's bytes, so a caller
that sends other bytes than it passed here is refused by the venue with 401.

Formats: Polymarket CLOB docs (authentication).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from polystra.adapters.polymarket.signing.keys import SigningKey
from polystra.adapters.polymarket.signing.typed_data import (
    UINT256_END,
    auth_domain_separator,
    auth_struct_hash,
    typed_data_digest,
)
from polystra.domain.errors import ConfigError

_HEADER_SAFE: Final = re.compile(r"[!-~]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class L2Credentials:
    """API credentials. Only the API key is shown; the secret (base64, URL-safe) is decoded once.

    Raises:
        ConfigError: a part is empty or malformed; names the setting, shows no value.
    """

    api_key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    hmac_key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("POLY_API_KEY", self.api_key), ("POLY_API_PASSPHRASE", self.passphrase)):
            if not _HEADER_SAFE.fullmatch(value):
                raise ConfigError(f"{name} is empty or has characters that no header may carry: copy it again")
        key = _decoded(self.secret)
        if not key:
            raise ConfigError("POLY_API_SECRET is not base64 text: copy it again, or empty it to have it derived")
        object.__setattr__(self, "hmac_key", key)


def l1_digest(address: bytes, *, chain_id: int, timestamp_s: int, nonce: int = 0) -> bytes:
    """Return the EIP-712 digest of `ClobAuth` for an address (20 bytes) at UTC seconds."""
    return typed_data_digest(auth_domain_separator(chain_id), auth_struct_hash(address, str(timestamp_s), nonce))


def l1_headers(key: SigningKey, *, chain_id: int, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
    """Return the headers that prove control of the key: for creating and deriving API credentials.

    Raises:
        ValueError: `nonce` is not an unsigned 256-bit integer.
    """
    if not 0 <= nonce < UINT256_END:
        raise ValueError(f"nonce is {nonce}, expected 0 or more, below 2^256")
    signature = key.sign_digest(
        l1_digest(key.address_bytes, chain_id=chain_id, timestamp_s=timestamp_s, nonce=nonce),
    )
    return {
        "POLY_ADDRESS": key.address,
        "POLY_SIGNATURE": "0x" + signature.hex(),
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_NONCE": str(nonce),
    }


def l2_signature(hmac_key: bytes, timestamp_s: int, method: str, path: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of timestamp, method, path and body as they are given, base64 with padding."""
    message = f"{timestamp_s}{method}{path}".encode() + body
    return base64.urlsafe_b64encode(hmac.digest(hmac_key, message, "sha256")).decode()


def l2_headers(  # noqa: PLR0917 - the order of the parts of an HTTP request
    credentials: L2Credentials, address: str, method: str, path: str, body: bytes, timestamp_s: int
) -> dict[str, str]:
    """Return the headers of an authenticated request.

    Args:
        credentials: whose request it is.
        address: the key's own address, in every wallet mode (never the funder).
        method: the HTTP method; signed in upper case.
        path: the request's path; a query is not part of what is signed and is cut off.
        body: the exact bytes that will be sent, empty when there are none.
        timestamp_s: UTC seconds by the venue's clock.
    """
    signed_path = path.partition("?")[0]
    return {
        "POLY_ADDRESS": address,
        "POLY_API_KEY": credentials.api_key,
        "POLY_PASSPHRASE": credentials.passphrase,
        "POLY_SIGNATURE": l2_signature(credentials.hmac_key, timestamp_s, method.upper(), signed_path, body),
        "POLY_TIMESTAMP": str(timestamp_s),
    }


def _decoded(secret: str) -> bytes | None:
    """Return the secret's bytes whatever its alphabet and padding, None when it is not base64."""
    if not _BASE64.fullmatch(secret):
        return None
    digits = secret.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return None
