"""The switches of the exchange's trading side: what the venue does by default and what it can do.

What lives here: one frozen value with every switch and its default. What must not: the behaviour
behind a switch (`modes`, `rate_buckets`, `edge`, `taker_hold`, `ticks`), imports from the exchange.

Defaults are the venue's present behaviour as far as it is known (Polymarket CLOB docs: matching
engine, rate limits, place orders); everything seen only now and then in the field is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from polystra.domain.errors import ConfigError

BucketMode: TypeAlias = Literal["off", "warning", "on"]
RefusedLegShape: TypeAlias = Literal["success_true", "success_false"]
EventOrder: TypeAlias = Literal["racing", "before_reply", "after_reply"]

TIER_NAMES: Final = ("Standard", "Copper", "Bronze", "Silver", "Gold", "Platinum", "Diamond", "Elite")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """Every switch of the trading side; durations carry their unit in the name.

    Attributes:
        seed: of the order in which the legs of a batch are carried out.
        weekly_restart: restart every Tuesday 07:00 US Eastern.
        restart_s: how long a restart answers 425.
        post_only_s: how long only post-only orders are taken afterwards.
        refine_ticks: make the grid of a 0.01 market finer beyond 0.96 and 0.04.
        taker_hold_ms: hold of marketable orders in listed markets (`itode`); 0 lists them without.
        unmatched_after_hold: answer `unmatched` to a held order that met nobody afterwards and rests.
        fak_answered_live: answer `live` to FAK orders that fill `fak_live_ms` later.
        signer_buckets: per-signer token buckets; "warning" only tells.
        signer_tier: the tier of every signer; None derives it from 30 days of volume.
        ip_limits: per-IP windows in front of every route; `ip_patience_ms` is how long a request
            over the limit is queued before it is refused.
        refused_leg: the shape of refused legs of a batch.
        legs_per_token: legs of one batch that may name the same token; 0 for any number.
        parallel_legs: carry out the legs of a batch in a seeded order.
        market_arrays: send market messages that wait together as one frame, an array; without it each
            is a frame of its own (the venue's clients are told to expect either).
        trade_before_order: announce a trade before the updates of its orders.
        events: when user events leave, compared with the HTTP reply of their order.
        reply_lag_ms: how long a reply lags behind its events with `events="before_reply"`.

    Raises:
        ConfigError: an unknown tier or a negative duration.
    """

    seed: int = 1
    weekly_restart: bool = False
    restart_s: int = 90
    post_only_s: int = 120
    refine_ticks: bool = True
    taker_hold_ms: int = 50
    unmatched_after_hold: bool = False
    fak_answered_live: bool = False
    fak_live_ms: int = 3_000
    signer_buckets: BucketMode = "on"
    signer_tier: str | None = None
    ip_limits: bool = False
    ip_patience_ms: int = 1_000
    refused_leg: RefusedLegShape = "success_true"
    legs_per_token: int = 0
    parallel_legs: bool = False
    market_arrays: bool = True
    trade_before_order: bool = False
    events: EventOrder = "racing"
    reply_lag_ms: int = 20

    def __post_init__(self) -> None:
        if self.signer_tier is not None and self.signer_tier not in TIER_NAMES:
            raise ConfigError(f"signer_tier is {self.signer_tier!r}, expected one of {', '.join(TIER_NAMES)}")
        for name in (
            "restart_s",
            "post_only_s",
            "taker_hold_ms",
            "fak_live_ms",
            "ip_patience_ms",
            "legs_per_token",
            "reply_lag_ms",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected zero or more")
