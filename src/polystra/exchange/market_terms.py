"""What markets of the built-in exchange are made of: version, grid, delays, rule, readiness, ids.

What lives here: the terms under which a world lists its markets, which of them apply to one market,
and the ids that belong to a version. What must not: when markets are listed (`world`), the rules'
arithmetic (`resolution_rules`).

Position ids: Polymarket docs, migration to Protocol V2. The top byte is the module (1 binary, 2
neg-risk), bits 40 to 103 are zero, the last byte is the outcome, the condition is all but that byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from polystra.domain.errors import ConfigError
from polystra.exchange.resolution_rules import RULES
from polystra.exchange.validation import AMOUNT_DECIMALS

ANY: Final = "*"
"""The key of terms for every market that has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTerms:
    """Terms of a market; money and prices in millionths.

    Attributes:
        version: "v1" (conditional tokens) or "v2" (position ids, Exchange V3).
        taker_hold_ms: None for the venue's own hold of marketable orders.
        seconds_delay: delay of marketable orders that are answered `delayed` first.
        rule: what it resolves on, by its name in `resolution_rules`.
        hydrates_after_s: seconds from its listing during which the order book does not know it.
        accepts_after_s: seconds from its listing during which it takes no orders.
        resolves_after_ms: range of the delay between its end and its resolution.

    Raises:
        ConfigError: a tick, rule or delay that there is not.
    """

    version: Literal["v1", "v2"] = "v1"
    neg_risk: bool = False
    tick_size: int = 10_000
    min_size: int = 5_000_000
    fee_rate_ppm: int = 70_000
    taker_hold_ms: int | None = None
    seconds_delay: int = 0
    rule: str = "average_60"
    hydrates_after_s: int = 0
    accepts_after_s: int = 0
    resolves_after_ms: tuple[int, int] = (4_000, 12_000)

    def __post_init__(self) -> None:
        if self.tick_size not in AMOUNT_DECIMALS:
            raise ConfigError(f"tick_size is {self.tick_size} (millionths), expected one of {sorted(AMOUNT_DECIMALS)}")
        if self.rule not in RULES:
            raise ConfigError(f"rule is {self.rule!r}, expected one of {', '.join(RULES)}")
        first, last = self.resolves_after_ms
        if not 0 <= first <= last or min(self.seconds_delay, self.hydrates_after_s, self.accepts_after_s) < 0:
            raise ConfigError("a market's delays are negative or out of order; give each 0 or more, ranges ascending")


def terms_for(terms: Mapping[str, MarketTerms], symbol: str, window: str) -> MarketTerms:
    """Return the terms of a market: those of `BTC/5m`, else of `BTC`, of `5m`, of `*`, else the usual."""
    for key in (f"{symbol}/{window}", symbol, window, ANY):
        if key in terms:
            return terms[key]
    return MarketTerms()


def condition_id_of(slug: str, terms: MarketTerms | None = None) -> str:
    """Return the condition id of a slug: `0x` and 64 hex digits."""
    if terms is not None and terms.version == "v2":
        return "0x" + _position(slug, terms, 0).hex()
    return "0x" + hashlib.sha256(f"condition:{slug}".encode()).hexdigest()


def token_id_of(slug: str, outcome: str, terms: MarketTerms | None = None) -> str:
    """Return the token or position id of a slug's outcome: a 256-bit integer in decimal."""
    if terms is not None and terms.version == "v2":
        return str(int.from_bytes(_position(slug, terms, 0 if outcome == "Up" else 1), "big"))
    return str(int.from_bytes(hashlib.sha256(f"token:{slug}:{outcome}".encode()).digest(), "big"))


def _position(slug: str, terms: MarketTerms, outcome: int) -> bytes:
    digest = hashlib.sha256(f"position:{slug}".encode()).digest()
    module = 2 if terms.neg_risk else 1
    return bytes([module]) + digest[1:19] + bytes(8) + digest[27:31] + bytes([outcome])
