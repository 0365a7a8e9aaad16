"""Which settings a running daemon takes from a changed `.env`, and which need a restart.

What lives here: the one table of settings that are safe to change while trading goes on, and the difference of two
readings in words. What must not: reading files (`settings`), what a change does (`engine.config_change`).

Safe are the settings that the engine reads anew at every decision. Whatever is opened, connected or remembered
at the start (the wallet, addresses, the database, which markets are watched, channels, logs) needs a restart, and so
does every setting that is not named here.
"""

from __future__ import annotations

from typing import Final

RELOADED: Final = frozenset(
    {
        "entry_style",
        "min_edge_percent",
        "min_confidence_score",
        "fusion",
        "use_kelly_sizing",
        "kelly_fraction",
        "trade_size_dollars",
        "max_trade_size",
        "capital_total",
        "check_liquidity",
        "force_entry_enable",
        "max_spread",
        "enable_exit_plan",
        "exit_mode",
        "use_concurrent_orders",
        "exit_mode_ab_share",
        "enable_take_profit",
        "take_profit_percent",
        "take_profit_kind",
        "take_profit_price",
        "take_profit_risk_multiple",
        "take_profit_ladder",
        "enable_stop_loss",
        "stop_loss_percent",
        "enable_trailing_stop",
        "trailing_stop_percent",
        "enable_break_even_stop",
        "break_even_after_percent",
        "enable_time_stop",
        "time_stop_seconds",
        "exit_worst_price_percent",
        "exit_max_age_seconds",
        "close_guard_seconds",
        "close_guard_action",
        "venue_post_only_exit",
        "dust_policy",
        "cancel_unfilled_orders",
        "unfilled_timeout_seconds",
        "unfilled_retry_on_winning_side",
        "unfilled_retry_min_pnl_percent",
        "unfilled_cancel_threshold",
        "enable_scale_in",
        "scale_in_max",
        "scale_in_trigger_percent",
        "scale_in_multiplier",
        "scale_in_min_dollars",
        "enable_reversal",
        "reversal_max_per_window",
        "blacklist_after_stop_seconds",
        "order_check_interval_seconds",
        "cancel_timeout_seconds",
        "enable_enhanced_balance_validation",
        "balance_cooldown_seconds",
        "protect_external_positions",
        "allow_external_orders",
        "sell_winners_at",
        "max_exposure_dollars",
        "max_exposure_per_market",
        "max_exposure_per_symbol",
        "max_exposure_per_direction",
        "max_open_positions",
        "live_max_dollars",
        "daily_loss_limit_dollars",
        "max_drawdown_dollars",
        "max_consecutive_losses",
        "max_rejections_per_minute",
        "low_balance_alert_dollars",
        "balance_floor_dollars",
        "stale_book_seconds",
        "max_clock_drift_seconds",
    }
)
"""Fields of `Settings` that `reload_config` takes."""


def is_reloaded(field: str) -> bool:
    """True when a running daemon takes a change of this field."""
    return field in RELOADED
