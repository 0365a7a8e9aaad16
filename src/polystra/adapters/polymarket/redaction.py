"""Bodies of requests and replies as text that may be kept: without secrets, bounded.

What lives here: which names hold a secret, and the cutting. What must not: the meaning of messages.

A signed order is a bearer instrument: whoever has its bytes can send it. So its signature goes, and its
salt too, without which the order's hash cannot be found again. Headers never get here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from polystra.adapters.polymarket.wire import decode_json
from polystra.domain.errors import VenueProtocolError

LONGEST: Final = 12_000
"""Characters that are kept of one body: a batch of 15 orders without signatures fits."""

_READ: Final = 262_144
"""Bytes of a body that are looked at."""

HIDDEN: Final = "***"
_HIDDEN_NAMES: Final = frozenset(
    {"signature", "salt", "secret", "apisecret", "passphrase", "apipassphrase", "privatekey", "authorization"}
)
_SHORTENED_NAMES: Final = frozenset({"owner", "apikey", "key", "makerowner", "takerowner"})
_SHOWN_OF_A_KEY: Final = 4
_SHORTEST_SECRET: Final = 4
_LONG_HEX: Final = re.compile(r"(?<![0-9a-fA-F])(?:0x)?[0-9a-fA-F]{128,}")
"""Signatures have 130 digits and more; ids, addresses and hashes have 64 at most."""
_NAMED: Final = re.compile(
    r"""(["']?(?:salt|secret|passphrase|private_?key|api_?key|owner)["']?\s*[:=]\s*["']?)([^"',}\s]+)""",
    re.IGNORECASE,
)

_SIGNATURE: Final = re.compile(r"""(["']?signature["']?\s*[:=]\s*["']?)([^"',}\s]{20,})""", re.IGNORECASE)
"""No word of an error text is so long, as in `invalid_signature: invalid signature`."""

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def shortened(key: str) -> str:
    """Return the first characters of an API key's id: enough to tell keys apart."""
    return f"{key[:_SHOWN_OF_A_KEY]}…" if key else ""


class Redaction:
    """Knows our own secrets, to find them wherever they stand. `keys` are shortened, `secrets` are hidden."""

    def __init__(self, *, keys: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        marks = dict.fromkeys(secrets, HIDDEN) | {key: shortened(key) for key in keys}
        longest_first = sorted(marks.items(), key=lambda mark: -len(mark[0]))
        self._marks = tuple((mark, shown) for mark, shown in longest_first if len(mark) >= _SHORTEST_SECRET)

    def __repr__(self) -> str:
        return f"Redaction({len(self._marks)} secrets)"

    def text(self, body: bytes) -> str:
        """Return a body as it may be kept; never raises."""
        if not body:
            return ""
        try:
            told = _ENCODER.encode(_without_secrets(decode_json(body))).decode()
        except (VenueProtocolError, msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
            told = _NAMED.sub(rf"\1{HIDDEN}", body[:_READ].decode("utf-8", "replace"))
            told = _SIGNATURE.sub(rf"\1{HIDDEN}", told)
        return self.words(told)

    def words(self, told: str) -> str:
        """Return any text as it may be kept: our secrets and everything as long as a signature hidden, then cut."""
        for mark, shown in self._marks:
            told = told.replace(mark, shown)
        told = _LONG_HEX.sub(HIDDEN, told)
        if len(told) <= LONGEST:
            return told
        return f"{told[:LONGEST]}… ({len(told) - LONGEST} characters more)"


def _without_secrets(value: object) -> object:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, object] = {}
    for name, item in value.items():
        plain = str(name).lower().replace("_", "").replace("-", "")
        if plain in _HIDDEN_NAMES:
            kept[name] = HIDDEN
        elif plain in _SHORTENED_NAMES:
            kept[name] = shortened(item) if isinstance(item, str) else HIDDEN
        else:
            kept[name] = _without_secrets(item)
    return kept
