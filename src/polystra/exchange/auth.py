"""Who is calling: API keys, the login proof (L1) and the request proof (L2).

What lives here: the key ring and the checks of headers against it. What must not: HTTP framework
types, orders, balances.

Keys are deterministic in (address, nonce) for one exchange, as on the venue; formats and texts:
Polymarket CLOB docs, authentication. The clock tolerance is a setting because the venue's is not
documented.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from polystra.exchange.model import Refusal
from polystra.exchange.typed_data import login_digest, recover

UNAUTHORIZED = Refusal("Unauthorized/Invalid api key", 401)
BAD_LOGIN = Refusal("Invalid L1 Request headers", 401)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Credentials of one address; the secret is URL-safe base64, the passphrase hexadecimal.

    A `readonly` one may only read; its nonce counts the address's read-only keys.
    """

    address: str
    nonce: int
    key: str
    secret: str
    passphrase: str
    revoked: bool = False
    readonly: bool = False

    def __repr__(self) -> str:
        return f"ApiKey(address={self.address!r}, key={self.key!r})"


class KeyRing:
    """All API keys of the exchange, by id and by (address, nonce)."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._by_id: dict[str, ApiKey] = {}
        self._by_login: dict[tuple[str, int], ApiKey] = {}
        self._deleted: dict[tuple[str, int], int] = {}
        self._readonly_made: dict[str, int] = {}

    def create(self, address: str, nonce: int) -> ApiKey | None:
        """Make the key of (address, nonce); None when it exists already."""
        login = (address, nonce)
        if login in self._by_login:
            return None
        seed = f"{address}|{nonce}|{self._deleted.get(login, 0)}".encode()
        return self._make(address, nonce, seed, readonly=False)

    def create_readonly(self, address: str) -> ApiKey:
        """Make another read-only key of an address; it cannot be derived again."""
        number = self._readonly_made.get(address, 0)
        return self._make(address, number, f"readonly|{address}|{number}".encode(), readonly=True)

    def _make(self, address: str, nonce: int, seed: bytes, *, readonly: bool) -> ApiKey:
        digest = hmac.new(self._salt, seed, hashlib.sha512).digest()
        key = ApiKey(
            address=address,
            nonce=nonce,
            key=str(UUID(bytes=digest[:16], version=4)),
            secret=base64.urlsafe_b64encode(digest[16:48]).decode(),
            passphrase=hmac.new(self._salt, b"passphrase|" + seed, hashlib.sha256).hexdigest(),
            readonly=readonly,
        )
        self.add(key)
        return key

    def add(self, key: ApiKey) -> None:
        """Enter a key that was made earlier; a revoked one only counts."""
        if key.readonly:
            self._readonly_made[key.address] = max(self._readonly_made.get(key.address, 0), key.nonce + 1)
            if not key.revoked:
                self._by_id[key.key] = key
            return
        if key.revoked:
            login = (key.address, key.nonce)
            self._deleted[login] = self._deleted.get(login, 0) + 1
            return
        self._by_id[key.key] = key
        self._by_login[key.address, key.nonce] = key

    def derive(self, address: str, nonce: int) -> ApiKey | None:
        """Return the existing key of (address, nonce)."""
        return self._by_login.get((address, nonce))

    def delete(self, key: ApiKey) -> ApiKey:
        """Revoke a key and return it so marked; creating it again gives another one."""
        if not key.readonly:
            del self._by_login[key.address, key.nonce]
        del self._by_id[key.key]
        gone = replace(key, revoked=True)
        self.add(gone)
        return gone

    def get(self, key_id: str) -> ApiKey | None:
        """Return a key by its id."""
        return self._by_id.get(key_id)

    def of_address(self, address: str) -> list[ApiKey]:
        """Return an address's full keys, oldest first."""
        return [key for key in self._by_id.values() if key.address == address and not key.readonly]

    def readonly_of(self, address: str) -> list[ApiKey]:
        """Return an address's read-only keys, oldest first."""
        return [key for key in self._by_id.values() if key.address == address and key.readonly]

    def matches(self, key_id: object, secret: object, passphrase: object) -> ApiKey | None:
        """Return the key whose three parts these are, as a websocket presents them."""
        key = self._by_id.get(key_id) if isinstance(key_id, str) else None
        if key is None or not isinstance(secret, str) or not isinstance(passphrase, str):
            return None
        right = hmac.compare_digest(key.secret.encode(), secret.encode())
        return key if right and hmac.compare_digest(key.passphrase.encode(), passphrase.encode()) else None


def check_login(
    headers: Mapping[str, str], *, now_ns: int, tolerance_s: int, wall_ns: int | None = None
) -> tuple[str, int] | Refusal:
    """Verify an L1 proof; returns (lower-case address, nonce) or the refusal.

    `wall_ns` is the real time of a client that does not know the simulated one; None accepts only `now_ns`.
    """
    address = headers.get("POLY_ADDRESS", "").lower()
    timestamp = headers.get("POLY_TIMESTAMP", "")
    nonce = headers.get("POLY_NONCE", "0") or "0"
    if not nonce.isascii() or not nonce.isdigit() or not _fresh(timestamp, (now_ns, wall_ns), tolerance_s):
        return BAD_LOGIN
    try:
        signature = bytes.fromhex(headers.get("POLY_SIGNATURE", "").removeprefix("0x"))
        digest = login_digest(address, timestamp, int(nonce))
    except (ValueError, OverflowError):
        return BAD_LOGIN
    return (address, int(nonce)) if recover(digest, signature) == address else BAD_LOGIN


def check_request_proof(
    ring: KeyRing,
    headers: Mapping[str, str],
    *,
    method: str,
    path: str,
    body: bytes,
    now_ns: int,
    tolerance_s: int,
    wall_ns: int | None = None,
) -> ApiKey | None:
    """Verify an L2 proof over the raw body and the path without its query; None means 401."""
    key = ring.get(headers.get("POLY_API_KEY", ""))
    timestamp = headers.get("POLY_TIMESTAMP", "")
    if key is None or not _fresh(timestamp, (now_ns, wall_ns), tolerance_s):
        return None
    if headers.get("POLY_ADDRESS", "").lower() != key.address:
        return None
    if not hmac.compare_digest(headers.get("POLY_PASSPHRASE", "").encode(), key.passphrase.encode()):
        return None
    message = f"{timestamp}{method}{path}".encode() + body
    expected = sign_request(key.secret, message)
    return key if hmac.compare_digest(headers.get("POLY_SIGNATURE", "").encode(), expected.encode()) else None


def sign_request(secret: str, message: bytes) -> str:
    """Return the URL-safe base64 HMAC-SHA256 of `message` under a base64 secret.

    Raises:
        ValueError: the secret is not base64.
    """
    try:
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except binascii.Error as error:
        raise ValueError("API secret is not URL-safe base64") from error
    return base64.urlsafe_b64encode(hmac.new(raw, message, hashlib.sha256).digest()).decode()


def _fresh(timestamp: str, instants_ns: tuple[int | None, ...], tolerance_s: int) -> bool:
    """Accept a whole number of seconds near one of the instants."""
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    return any(abs(int(timestamp) - each // 1_000_000_000) <= tolerance_s for each in instants_ns if each is not None)
