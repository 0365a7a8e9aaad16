"""A running hash of facts: two runs with the same inputs and seed print the same.

What lives here: SHA-256 over every fact in order, by kind and fields. What must not: which facts there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from polystra.domain.facts import Fact


class FactDigest:
    """A running hash of facts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()
        self.facts = 0

    def add(self, facts: Sequence[Fact]) -> None:
        """Add facts in their order."""
        for fact in facts:
            self._hash.update(type(fact).__name__.encode())
            self._hash.update(self._encoder.encode(fact))
            self.facts += 1

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()
