"""How fast we may speak to the venue: its token buckets of our signer and its windows of our address.

What lives here: our own count of both, kept at `SHARE` of what is published, corrected by what the
venue's answers say. What must not: waiting, HTTP, who goes first (`runtime.outbox`).

Signer buckets (orders, cancels; continuous refill; headers Poly-RateLimit-*): Polymarket CLOB docs,
api-reference/trading-rate-limits. Windows per address: api-reference/rate-limits. What
`Poly-RateLimit-Reset` counts to is not documented: it only bounds the pause after a refusal that
names none. Tokens are counted in billionths, so that a rate per second is a rate per nanosecond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.rate import BudgetLeft, Traffic

TOKEN: Final = 1_000_000_000
SHARE_PERCENT: Final = 80
"""How much of a published limit is used: at 95 % requests were throttled in the field."""
ENTRY_RESERVE_PERCENT: Final = 30
"""Entries leave the last part of the order budget to exits."""
PAUSE_S: Final = 1
LONGEST_PAUSE_S: Final = 10

TIERS: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "standard": (40, 60, 80, 120),
    "copper": (60, 90, 120, 180),
    "bronze": (80, 120, 160, 240),
    "silver": (200, 300, 400, 600),
    "gold": (400, 600, 800, 1_200),
    "platinum": (450, 675, 900, 1_350),
    "diamond": (525, 787, 1_050, 1_575),
    "elite": (600, 900, 1_200, 1_800),
}
"""Orders a second, their burst, cancels a second, their burst."""

STANDARD: Final = "Standard"

WINDOWS: Final[Mapping[str, tuple[int, int]]] = {
    "POST /order": (5_000, 120_000),
    "DELETE /order": (5_000, 120_000),
    "POST /orders": (2_000, 21_000),
    "DELETE /orders": (2_000, 15_000),
    "GET /book": (1_500, 0),
    "GET /balance-allowance": (200, 0),
    "GET /balance-allowance/update": (50, 0),
    "GET /data/order": (900, 0),
    "GET /data/orders": (500, 0),
    "GET /data/trades": (500, 0),
    "GET /notifications": (125, 0),
    "DELETE /notifications": (125, 0),
}
"""Requests in 10 seconds and in 10 minutes (0: no such limit) by route; every request counts for `ALL` too."""

ALL: Final = (9_000, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHeaders:
    """What an answer says of the limits; None and "" where it says nothing."""

    remaining: int | None = None
    reset_s: int | None = None
    tier: str = ""
    warned: bool = False


def rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """Read the limits from an answer's headers; what cannot be read counts as absent."""
    return RateHeaders(
        remaining=_integer(headers.get("Poly-RateLimit-Remaining")),
        reset_s=_integer(headers.get("Poly-RateLimit-Reset")),
        tier=headers.get("Poly-RateLimit-Tier", "")[:40],
        warned=headers.get("Poly-RateLimit-Warning", "").lower() == "true",
    )


def _integer(written: str | None) -> int | None:
    digits = (written or "").strip()
    return int(digits) if digits.removeprefix("-").isdigit() and digits.isascii() and len(digits) < 16 else None


@dataclass(slots=True)
class _Bucket:
    """Our share of one of the venue's buckets. `in_flight` are tokens of sends that are not answered yet."""

    rate: int
    burst: int
    tokens: int
    at_ns: int
    in_flight: int = 0
    blocked_until_ns: int = 0

    @classmethod
    def of(cls, rate: int, burst: int, now_ns: int) -> _Bucket:
        """A full bucket of our share."""
        rate, burst = rate * SHARE_PERCENT * TOKEN // 100, burst * SHARE_PERCENT * TOKEN // 100
        return cls(rate, burst, burst, now_ns)

    def refill(self, now_ns: int) -> None:
        """Add what flowed in since the last look."""
        passed_ns = max(0, now_ns - self.at_ns)
        self.tokens = min(self.burst, self.tokens + passed_ns * self.rate // NS_PER_S)
        self.at_ns = max(self.at_ns, now_ns)

    def resize(self, rate: int, burst: int) -> None:
        """Take another tier's sizes, keeping what is missing to a full bucket."""
        missing = self.burst - self.tokens
        self.rate, self.burst = rate * SHARE_PERCENT * TOKEN // 100, burst * SHARE_PERCENT * TOKEN // 100
        self.tokens = self.burst - missing

    def wait_ns(self, floor: int, now_ns: int) -> int:
        """How long until one token above `floor` is there."""
        missing = max(0, floor + TOKEN - self.tokens)
        return max(-(-missing * NS_PER_S // self.rate), self.blocked_until_ns - now_ns, 0)

    def correct(self, remaining: int) -> None:
        """Believe the venue when it sees fewer tokens than we do; its own spare part and what is under way apart."""
        spare = self.burst * (100 - SHARE_PERCENT) // SHARE_PERCENT
        self.tokens = min(self.tokens, (remaining - self.in_flight) * TOKEN - spare)


class VenueBudget:
    """Fulfils `ports.rate.RateBudget`; the transport and the order commands tell it what they hear."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tier = STANDARD
        rate, burst, cancel_rate, cancel_burst = TIERS[STANDARD.lower()]
        now_ns = clock.monotonic_ns()
        self._orders = _Bucket.of(rate, burst, now_ns)
        self._cancels = _Bucket.of(cancel_rate, cancel_burst, now_ns)
        self._windows: dict[str, list[_Window]] = {}
        self._warnings = 0
        self._refusals = 0

    # --- ports.rate -------------------------------------------------------------------

    def room(self, traffic: Traffic, wanted: int) -> int:
        """How many of `wanted` may leave now."""
        bucket, now_ns = self._at_present(traffic)
        if bucket.blocked_until_ns > now_ns:
            return 0
        return max(0, min(wanted, (bucket.tokens - _floor(traffic, bucket)) // TOKEN))

    def wait_s(self, traffic: Traffic) -> float:
        """Seconds until one more may leave."""
        bucket, now_ns = self._at_present(traffic)
        return bucket.wait_ns(_floor(traffic, bucket), now_ns) / NS_PER_S

    def take(self, traffic: Traffic, count: int) -> None:
        """Use the budget for sends that leave now."""
        bucket, _ = self._at_present(traffic)
        bucket.tokens -= count * TOKEN
        bucket.in_flight += count

    def left(self) -> BudgetLeft:
        """What is left."""
        orders, _ = self._at_present(Traffic.EXIT)
        cancels, _ = self._at_present(Traffic.CANCEL)
        return BudgetLeft(
            tier=self._tier,
            orders=orders.tokens // TOKEN,
            orders_burst=orders.burst // TOKEN,
            cancels=cancels.tokens // TOKEN,
            cancels_burst=cancels.burst // TOKEN,
            warnings=self._warnings,
            refusals=self._refusals,
        )

    # --- what was heard ---------------------------------------------------------------

    def answered(
        self,
        traffic: Traffic,
        count: int,
        headers: RateHeaders | None,
        *,
        refused: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        """Learn from the answer to `count` orders or cancels; `headers` is None when there was no answer.

        `refused` marks HTTP 429.
        """
        bucket, now_ns = self._at_present(traffic)
        bucket.in_flight = max(0, bucket.in_flight - count)
        if headers is not None:
            self._learn_tier(headers.tier)
            self._warnings += headers.warned
            if headers.remaining is not None:
                bucket.correct(headers.remaining)
            elif headers.warned:
                bucket.tokens = min(bucket.tokens, 0)
        if refused:
            self._refusals += 1
            pause_s = self._pause_s(headers, retry_after_s)
            bucket.blocked_until_ns = max(bucket.blocked_until_ns, now_ns + round(pause_s * NS_PER_S))

    def window_wait_s(self, route: str) -> float:
        """Seconds that a request must wait for its place in the windows of our address."""
        now_ns = self._clock.monotonic_ns()
        return max(window.wait_ns(now_ns) for window in self._of(route)) / NS_PER_S

    def note_request(self, route: str) -> None:
        """Count a request that leaves now."""
        now_ns = self._clock.monotonic_ns()
        for window in self._of(route):
            window.add(now_ns)

    # --- inside -----------------------------------------------------------------------

    def _at_present(self, traffic: Traffic) -> tuple[_Bucket, Nanos]:
        bucket = self._cancels if traffic is Traffic.CANCEL else self._orders
        now_ns = self._clock.monotonic_ns()
        bucket.refill(now_ns)
        return bucket, now_ns

    def _learn_tier(self, tier: str) -> None:
        """Take the sizes of the tier that the venue names; a name that we do not know changes nothing."""
        sizes = TIERS.get(tier.lower())
        if sizes is None or tier == self._tier:
            return
        self._tier = tier
        self._orders.resize(sizes[0], sizes[1])
        self._cancels.resize(sizes[2], sizes[3])

    def _pause_s(self, headers: RateHeaders | None, retry_after_s: float | None) -> float:
        if retry_after_s is not None:
            return retry_after_s
        if headers is None or headers.reset_s is None:
            return PAUSE_S
        ahead_s = headers.reset_s - self._clock.now_ns() / NS_PER_S
        return min(LONGEST_PAUSE_S, max(PAUSE_S, ahead_s))

    def _of(self, route: str) -> list[_Window]:
        return self._made("", ALL) + self._made(route, WINDOWS.get(route, (0, 0)))

    def _made(self, route: str, limits: tuple[int, int]) -> list[_Window]:
        known = self._windows.get(route)
        if known is None:
            known = [_Window(limit, span_s) for limit, span_s in zip(limits, (10, 600), strict=True) if limit]
            if known:
                self._windows[route] = known
        return known


def _floor(traffic: Traffic, bucket: _Bucket) -> int:
    """The part of the bucket that this traffic may not use."""
    return bucket.burst * ENTRY_RESERVE_PERCENT // 100 if traffic is Traffic.ENTRY else 0


class _Window:
    """At most our share of `limit` requests in any `span_s` seconds, counted in tenths of the span."""

    def __init__(self, limit: int, span_s: int) -> None:
        self._limit = limit * SHARE_PERCENT // 100
        self._slot_ns = span_s * NS_PER_S // 10
        self._slots: deque[tuple[int, int]] = deque()
        self._count = 0

    def add(self, now_ns: int) -> None:
        """Count a request."""
        slot = now_ns // self._slot_ns
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + 1)
        else:
            self._slots.append((slot, 1))
        self._count += 1

    def wait_ns(self, now_ns: int) -> int:
        """How long until one more fits; a slot counts until all of it has left the span."""
        while self._slots and (self._slots[0][0] + 11) * self._slot_ns <= now_ns:
            self._count -= self._slots.popleft()[1]
        if self._count < self._limit:
            return 0
        return (self._slots[0][0] + 11) * self._slot_ns - now_ns
