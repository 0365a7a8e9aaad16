"""Per-signer token buckets of the trading calls, and the tier that sizes them.

What lives here: tiers, buckets with continuous refill, volumes by wallet owner, the headers and the
429 of a call. What must not: per-IP windows (`edge`), HTTP.

Tiers, tokens per call and header names: Polymarket CLOB docs, api-reference/trading-rate-limits.
Tokens are counted in billionths, so that `rate` per second refills `rate` of them per nanosecond.
What `Poly-RateLimit-Reset` counts to is not documented: here it is when the bucket is full again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from polystra.exchange.model import DOLLAR, NS_PER_S, CoreEvent, Refusal, TradeEvent
from polystra.exchange.venue_rules import VenueRules

BucketName: TypeAlias = Literal["order", "cancel"]

TOKEN: Final = 1_000_000_000
DAY_NS: Final = 86_400 * NS_PER_S
VOLUME_DAYS: Final = 30
TIER_REFRESH_NS: Final = 3 * 3_600 * NS_PER_S
TOO_MANY_TEXT: Final = "Too Many Requests"


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates per second and bursts in tokens; `volume` is the least 30-day volume in micro-dollars."""

    name: str
    volume: int
    order_rate: int
    order_burst: int
    cancel_rate: int
    cancel_burst: int
    negative_cancels: bool


TIERS: Final = (
    Tier("Standard", 0, 40, 60, 80, 120, True),
    Tier("Copper", 30_000 * DOLLAR, 60, 90, 120, 180, True),
    Tier("Bronze", 50_000 * DOLLAR, 80, 120, 160, 240, True),
    Tier("Silver", 100_000 * DOLLAR, 200, 300, 400, 600, True),
    Tier("Gold", 500_000 * DOLLAR, 400, 600, 800, 1_200, True),
    Tier("Platinum", 2_500_000 * DOLLAR, 450, 675, 900, 1_350, False),
    Tier("Diamond", 5_000_000 * DOLLAR, 525, 787, 1_050, 1_575, False),
    Tier("Elite", 10_000_000 * DOLLAR, 600, 900, 1_200, 1_800, False),
)


@dataclass(slots=True)
class Bucket:
    """Tokens in billionths; starts full."""

    rate: int
    burst: int
    tokens: int
    at_ns: int

    def refill(self, now_ns: int) -> None:
        """Add what flowed in since the last look."""
        self.tokens = min(self.burst * TOKEN, self.tokens + max(0, now_ns - self.at_ns) * self.rate)
        self.at_ns = max(self.at_ns, now_ns)

    def resize(self, rate: int, burst: int) -> None:
        """Take another tier's sizes, keeping what is missing to a full bucket."""
        self.tokens += (burst - self.burst) * TOKEN
        self.rate, self.burst = rate, burst

    def wait_ns(self, tokens: int) -> int:
        """Return how long until `tokens` are there; a bucket too small for them never gets there."""
        return max(0, -(-(tokens * TOKEN - self.tokens) // self.rate))

    @property
    def remaining(self) -> int:
        """Whole tokens; negative ones are counted too."""
        return self.tokens // TOKEN


@dataclass(frozen=True, slots=True)
class Charge:
    """The outcome of one call: the headers of its reply, and the refusal when it may not go on."""

    headers: Mapping[str, str]
    refusal: Refusal | None = None


class Volumes:
    """Matched dollars per account owner and day; feed it with the core's events."""

    def __init__(self) -> None:
        self._days: dict[str, dict[int, int]] = {}

    def note(self, event: CoreEvent) -> None:
        """Count a match once, for everyone who took part."""
        if not isinstance(event, TradeEvent):
            return
        trade = event.trade
        if trade.status != "MATCHED" or event.at_ns != trade.matched_ns:
            return
        self._add(trade.taker_account, trade.cash, trade.matched_ns)
        for leg in trade.legs:
            self._add(leg.account, leg.cash, trade.matched_ns)

    def of(self, accounts: list[str], now_ns: int) -> int:
        """Return the micro-dollars that accounts traded in the last 30 days."""
        first = now_ns // DAY_NS - VOLUME_DAYS + 1
        return sum(cash for account in accounts for day, cash in self._days.get(account, {}).items() if day >= first)

    def _add(self, account: str, cash: int, at_ns: int) -> None:
        days = self._days.setdefault(account, {})
        day = at_ns // DAY_NS
        days[day] = days.get(day, 0) + cash
        for old in [known for known in days if known <= day - VOLUME_DAYS]:
            del days[old]


@dataclass(slots=True)
class _Signer:
    tier: Tier
    tier_until_ns: int
    order: Bucket
    cancel: Bucket


class RateBuckets:
    """The two buckets of every signer; `accounts` of a call are the wallets whose volume counts."""

    def __init__(self, rules: VenueRules, volumes: Volumes) -> None:
        self._rules = rules
        self._volumes = volumes
        self._signers: dict[str, _Signer] = {}

    def tier(self, signer: str, accounts: list[str], now_ns: int) -> Tier:
        """Return a signer's tier; it may lag its volume by three hours."""
        return self._signer(signer, accounts, now_ns).tier

    def charge(self, signer: str, accounts: list[str], name: BucketName, tokens: int, now_ns: int) -> Charge:
        """Take tokens for a call, all or none."""
        if self._rules.signer_buckets == "off":
            return Charge({})
        state = self._signer(signer, accounts, now_ns)
        bucket = state.order if name == "order" else state.cancel
        if bucket.tokens >= tokens * TOKEN:
            bucket.tokens -= tokens * TOKEN
            return Charge(self._headers(state.tier, bucket, now_ns))
        if self._rules.signer_buckets == "warning":
            bucket.tokens = max(0, bucket.tokens - tokens * TOKEN)
            return Charge({**self._headers(state.tier, bucket, now_ns), "Poly-RateLimit-Warning": "true"})
        retry_after_s = max(1, -(-bucket.wait_ns(min(tokens, bucket.burst)) // NS_PER_S))
        refusal = Refusal(TOO_MANY_TEXT, 429, retry_after_s=retry_after_s)
        return Charge(self._headers(state.tier, bucket, now_ns), refusal)

    def charge_cancelled(self, signer: str, accounts: list[str], cancelled: int, now_ns: int) -> Charge:
        """Take a token per order that a cancel-all really cancelled; lower tiers may go below zero."""
        if self._rules.signer_buckets == "off":
            return Charge({})
        state = self._signer(signer, accounts, now_ns)
        bucket = state.cancel
        left = bucket.tokens - cancelled * TOKEN
        bucket.tokens = left if state.tier.negative_cancels else max(0, left)
        return Charge(self._headers(state.tier, bucket, now_ns))

    def _signer(self, signer: str, accounts: list[str], now_ns: int) -> _Signer:
        state = self._signers.get(signer)
        if state is None:
            tier = self._tier(accounts, now_ns)
            state = self._signers[signer] = _Signer(
                tier,
                now_ns + TIER_REFRESH_NS,
                Bucket(tier.order_rate, tier.order_burst, tier.order_burst * TOKEN, now_ns),
                Bucket(tier.cancel_rate, tier.cancel_burst, tier.cancel_burst * TOKEN, now_ns),
            )
        state.order.refill(now_ns)
        state.cancel.refill(now_ns)
        if now_ns >= state.tier_until_ns:
            state.tier, state.tier_until_ns = self._tier(accounts, now_ns), now_ns + TIER_REFRESH_NS
            state.order.resize(state.tier.order_rate, state.tier.order_burst)
            state.cancel.resize(state.tier.cancel_rate, state.tier.cancel_burst)
        return state

    def _tier(self, accounts: list[str], now_ns: int) -> Tier:
        if self._rules.signer_tier is not None:
            return next(tier for tier in TIERS if tier.name == self._rules.signer_tier)
        volume = self._volumes.of(accounts, now_ns)
        return [tier for tier in TIERS if tier.volume <= volume][-1]

    def _headers(self, tier: Tier, bucket: Bucket, now_ns: int) -> dict[str, str]:
        full_ns = now_ns + bucket.wait_ns(bucket.burst)
        return {
            "Poly-RateLimit-Remaining": str(bucket.remaining),
            "Poly-RateLimit-Reset": str(-(-full_ns // NS_PER_S)),
            "Poly-RateLimit-Tier": tier.name,
        }
