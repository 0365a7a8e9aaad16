"""The engine's settings, in the engine's units. Filled by the composition root from the user's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, Nanos
from polystra.engine.strategy.config import StrategyConfig


class ExitMode(StrEnum):
    """Where the take-profit lives."""

    LIMIT_ORDERS = "limit_orders"
    MONITOR = "monitor"


class TakeProfitKind(StrEnum):
    """How the target of a take-profit is told."""

    PERCENT = "percent"
    """A gain on the price paid."""
    PRICE = "price"
    """A price."""
    RISK = "risk"
    """A multiple of the risk: the price paid less the stop."""


class CloseAction(StrEnum):
    """What happens in the last seconds of a window."""

    HOLD = "hold"
    """No exit fires any more: what is held goes to resolution."""
    EXIT = "exit"
    """What is held is sold."""


class PostOnlyExit(StrEnum):
    """What a fired exit does while the venue takes only post-only orders."""

    POST_ONLY = "post_only"
    """Rest at the touch."""
    WAIT = "wait"
    """Wait until it may take."""


class DustPolicy(StrEnum):
    """What happens to shares that cannot be sold."""

    HOLD = "hold"
    """They are held to resolution."""
    WITH_NEXT_LOT = "with_next_lot"
    """They are sold together with the next shares of the position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitConfig:
    """Exit rules; each on or off by itself. `*_ppm` are millionths of the average price paid."""

    enabled: bool = True
    mode: ExitMode = ExitMode.LIMIT_ORDERS
    ab_share_ppm: int = 0
    """Share of the positions, in millionths, that is put into the other mode."""
    take_profit: bool = True
    take_profit_kind: TakeProfitKind = TakeProfitKind.PERCENT
    take_profit_ppm: int = 800_000
    take_profit_price: MicroPrice = 900_000
    take_profit_risk_ppm: int = 2_000_000
    ladder: tuple[tuple[int, int], ...] = ()
    """Parts of the take-profit: (share of the shares, gain), both in millionths; empty: one part."""
    stop_loss: bool = True
    stop_loss_ppm: int = 500_000
    trailing: bool = False
    trailing_ppm: int = 250_000
    """Below the highest best bid seen."""
    break_even: bool = False
    break_even_after_ppm: int = 200_000
    time_stop: bool = False
    time_stop_s: int = 600
    close_guard_s: int = 0
    close_action: CloseAction = CloseAction.HOLD
    max_age_s: int = 0
    """A resting take-profit older than this is replaced by a sale at market; 0: never."""
    balance_cooldown_s: int = 0
    """No take-profit is placed so soon after a fill (`BalanceConfig.enhanced` says whether lags are reckoned with)."""
    worst_price_ppm: int = 300_000
    """A market exit accepts down to this much below the best bid it saw."""
    post_only_exit: PostOnlyExit = PostOnlyExit.POST_ONLY
    dust: DustPolicy = DustPolicy.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """Limits on entries; orders in flight count."""

    max_exposure: MicroDollars = 100_000_000
    max_exposure_per_market: MicroDollars = 25_000_000
    max_exposure_per_symbol: MicroDollars = 50_000_000
    max_exposure_per_direction: MicroDollars = 0
    """Net dollars on one side (Up or Down) over all markets; 0: no such limit."""
    max_open_positions: int = 8
    capital: MicroDollars = 0
    """0: the account's cash; else the sum that this daemon may use."""
    stale_book_ns: Nanos = 5 * NS_PER_S
    max_entries_per_market: int = 2
    max_clock_drift_ns: Nanos = 2 * NS_PER_S
    daily_loss_limit: MicroDollars = 0
    """0: no limit. Likewise the ones below."""
    max_drawdown: MicroDollars = 0
    max_consecutive_losses: int = 0
    max_rejections_per_minute: int = 0
    blacklist_after_stop_ns: Nanos = 0
    balance_floor: MicroDollars = 0
    """Entries leave at least so many dollars available."""
    low_balance_alert: MicroDollars = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceConfig:
    """What the venue's balances are trusted with."""

    enhanced: bool = True
    """Books before readings while a fill of ours is younger than the venue's lag; else after the cooldown only."""
    cooldown_s: int = 3
    """Seconds after a fill in which no reading of what it moved is looked at."""
    protect_external: bool = False
    """Guard positions made elsewhere with the exits of our own."""
    allow_external_orders: bool = False
    """Make entries while open orders of the account were made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfilledConfig:
    """What happens to entries that do not fill."""

    cancel: bool = True
    timeout_s: int = 300
    retry: bool = True
    """Try once more at market when it timed out on the winning side."""
    retry_min_pnl_ppm: int = 100_000
    cancel_threshold_ppm: int = 150_000
    """Cancelled early when the outcome is worth so much less than the price bid; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleInConfig:
    """Additions to a position that wins."""

    enabled: bool = False
    max_times: int = 1
    trigger_ppm: int = 100_000
    """How far the best bid stands above the average price."""
    multiplier_ppm: int = 1_000_000
    """Of the cost of the first entry."""
    min_dollars: MicroDollars = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalConfig:
    """Selling to take the other side."""

    enabled: bool = False
    max_times: int = 1
    """In one window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Everything that a turn may depend on besides its input and the time."""

    symbols: tuple[str, ...]
    windows_s: tuple[int, ...]
    strategy: StrategyConfig
    exits: ExitConfig = field(default_factory=ExitConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    sell_winners_at: MicroPrice = 0
    """Sell a position in the last minute of its window when this much is bid; 0: hold it to resolution."""
    salt_seed: bytes = b""
    """Source of order salts: salt = first 53 bits of SHA-256(seed, client order id)."""
    order_prefix: str = "o"
    evaluate_every_ns: Nanos = 500_000_000
    discover_ahead_s: int = 60
    check_every_s: int = 30
    clock_check_every_s: int = 300
    venue_heartbeat: bool = False
    notices_every_s: int = 30
    """0: the venue's notices are not read."""
    cancel_timeout_s: int = 5
    unfilled: UnfilledConfig = field(default_factory=UnfilledConfig)
    scale_in: ScaleInConfig = field(default_factory=ScaleInConfig)
    reversal: ReversalConfig = field(default_factory=ReversalConfig)
    absence_horizon_s: int = 60
    entry_deadline_s: int = 5
    """An entry that has not left after so many seconds is dropped: its idea is stale."""
    markets_limit: int = 0
    """End after this many markets have settled; 0: run for ever."""
