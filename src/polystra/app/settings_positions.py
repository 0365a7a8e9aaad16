"""Settings: what happens to a position and to the orders around it.

What lives here: the fields of that section. What must not: checks between settings (`settings`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from polystra.app.setting_rules import (
    COUNT,
    MORE_DOLLARS,
    MORE_SECONDS,
    PERCENT,
    PERCENT_OR_ZERO,
    POSITIONS,
    SECONDS,
    YES_NO,
)
from polystra.app.setting_values import (
    Count,
    Flag,
    Fraction,
    Ladder,
    OptionalFlag,
    Percent,
    PercentOrZero,
    PositiveDollars,
    PositiveNumber,
    PositiveSeconds,
    Seconds,
    ShareOfPrice,
    ShareOfPriceOrOff,
    StopPercent,
    parse_word,
    setting,
)
from polystra.app.settings_trading import TradingSettings


class PositionSettings(TradingSettings):
    """Exits and unfilled orders; each rule is on or off by itself."""

    enable_exit_plan: Flag = setting("YES", POSITIONS, "place and keep the exits below", YES_NO)
    exit_mode: Annotated[Literal["limit_orders", "monitor"], BeforeValidator(parse_word)] = setting(
        "limit_orders",
        POSITIONS,
        "limit_orders rests the take-profit on the book and arms the stop in the daemon, monitor arms both",
        "limit_orders or monitor",
    )
    use_concurrent_orders: OptionalFlag = setting(
        "", POSITIONS, "old name of EXIT_MODE: YES means limit_orders, NO means monitor", f"{YES_NO}, or empty"
    )
    exit_mode_ab_share: Fraction = setting(
        "0", POSITIONS, "share of positions put into the other exit mode, for comparison", "a number from 0 to 1"
    )
    enable_take_profit: Flag = setting("YES", POSITIONS, "sell at a gain", YES_NO)
    take_profit_percent: Percent = setting(
        "80", POSITIONS, "percent of the price paid; a target above 1 - tick means hold to resolution", PERCENT
    )
    take_profit_kind: Annotated[Literal["percent", "price", "risk"], BeforeValidator(parse_word)] = setting(
        "percent",
        POSITIONS,
        "which of the three tells the target: TAKE_PROFIT_PERCENT, TAKE_PROFIT_PRICE or TAKE_PROFIT_RISK_MULTIPLE",
        "percent, price or risk",
    )
    take_profit_price: ShareOfPrice = setting(
        "0.9", POSITIONS, "dollars per share, for TAKE_PROFIT_KIND=price", "a number of dollars above 0 and below 1"
    )
    take_profit_risk_multiple: Percent = setting(
        "2",
        POSITIONS,
        "for TAKE_PROFIT_KIND=risk: so many times the price paid less the stop-loss",
        "a number above 0 and up to 10000, at most six decimals",
    )
    take_profit_ladder: Ladder = setting(
        "",
        POSITIONS,
        "take-profit in parts, percent of the shares @ percent of gain, e.g. 50@40,50@80; empty: one part",
        "parts like 50@40 separated by commas, together at most 100 percent of the shares, or empty",
    )
    enable_stop_loss: Flag = setting("YES", POSITIONS, "sell at a loss", YES_NO)
    stop_loss_percent: StopPercent = setting(
        "50",
        POSITIONS,
        "percent below the price paid, judged on the best bid",
        "a number of percent above 0 and below 100",
    )
    enable_trailing_stop: Flag = setting("NO", POSITIONS, "a stop below the highest best bid seen", YES_NO)
    trailing_stop_percent: StopPercent = setting(
        "25", POSITIONS, "percent below the highest best bid", "a number of percent above 0 and below 100"
    )
    enable_break_even_stop: Flag = setting(
        "NO", POSITIONS, "once in gain, a stop at the price paid with its fees", YES_NO
    )
    break_even_after_percent: Percent = setting("20", POSITIONS, "percent of gain that arms it", PERCENT)
    enable_time_stop: Flag = setting("NO", POSITIONS, "sell a position that has been open for long", YES_NO)
    time_stop_seconds: PositiveSeconds = setting("600", POSITIONS, "seconds after the entry was made", MORE_SECONDS)
    exit_worst_price_percent: StopPercent = setting(
        "30",
        POSITIONS,
        "percent below the best bid, the least that a sale at market accepts",
        "a number of percent above 0 and below 100",
    )
    exit_max_age_seconds: Seconds = setting(
        "0",
        POSITIONS,
        "seconds after which an unfilled limit exit is replaced by a sale at market; 0: at the close guard",
        SECONDS,
    )
    close_guard_seconds: Seconds = setting(
        "20", POSITIONS, "seconds before the window ends in which CLOSE_GUARD_ACTION holds", SECONDS
    )
    close_guard_action: Annotated[Literal["hold", "exit"], BeforeValidator(parse_word)] = setting(
        "hold",
        POSITIONS,
        "hold: no stop fires in the close guard, positions go to resolution; exit: they are sold",
        "hold or exit",
    )
    venue_post_only_exit: Annotated[Literal["post_only", "wait"], BeforeValidator(parse_word)] = setting(
        "post_only",
        POSITIONS,
        "a stop while the venue takes only post-only orders rests at the touch, or waits",
        "post_only or wait",
    )
    dust_policy: Annotated[Literal["hold", "with_next_lot"], BeforeValidator(parse_word)] = setting(
        "hold",
        POSITIONS,
        "shares too few to be sold are held to resolution, or sold with the position's next shares",
        "hold or with_next_lot",
    )
    cancel_unfilled_orders: Flag = setting("YES", POSITIONS, "cancel entries that do not fill", YES_NO)
    unfilled_timeout_seconds: PositiveSeconds = setting(
        "300", POSITIONS, "seconds; never more than a third of the window left at entry", MORE_SECONDS
    )
    unfilled_retry_on_winning_side: Flag = setting(
        "YES", POSITIONS, "try an entry that timed out once at market when it would be winning", YES_NO
    )
    unfilled_retry_min_pnl_percent: Percent = setting(
        "10", POSITIONS, "percent above its price that others bid; the edge test must pass again", PERCENT
    )
    unfilled_cancel_threshold: PercentOrZero = setting(
        "15.0", POSITIONS, "percent below its price that the outcome is worth: cancel early; 0: off", PERCENT_OR_ZERO
    )
    enable_scale_in: Flag = setting("NO", POSITIONS, "add to positions that are winning", YES_NO)
    scale_in_max: Count = setting("1", POSITIONS, "additions to one position", COUNT)
    scale_in_trigger_percent: Percent = setting(
        "10", POSITIONS, "percent that the best bid stands above the average price paid", PERCENT
    )
    scale_in_multiplier: PositiveNumber = setting(
        "1.0", POSITIONS, "times the cost of the first entry", "a number above 0 and up to 100"
    )
    scale_in_min_dollars: PositiveDollars = setting(
        "5", POSITIONS, "dollars; below it an addition is skipped", MORE_DOLLARS
    )
    enable_reversal: Flag = setting("NO", POSITIONS, "sell and take the other side when the signal flips", YES_NO)
    reversal_max_per_window: Count = setting("1", POSITIONS, "reversals in one window", COUNT)
    blacklist_after_stop_seconds: Seconds = setting(
        "0", POSITIONS, "seconds without entries in a coin after a stop sold at a loss; 0: off", SECONDS
    )
    order_check_interval_seconds: PositiveSeconds = setting(
        "30", POSITIONS, "seconds between the slow checks behind the streams", MORE_SECONDS
    )
    cancel_timeout_seconds: PositiveSeconds = setting(
        "5", POSITIONS, "seconds after which an unanswered cancel is looked up", MORE_SECONDS
    )
    enable_enhanced_balance_validation: Flag = setting(
        "YES", POSITIONS, "after a fill our books size orders until the venue's balance has caught up", YES_NO
    )
    balance_cooldown_seconds: Seconds = setting(
        "3", POSITIONS, "seconds after a fill in which the venue's balance is not looked at", SECONDS
    )
    protect_external_positions: Flag = setting(
        "NO", POSITIONS, "guard positions that were made elsewhere (website, another tool) with the exits above", YES_NO
    )
    allow_external_orders: Flag = setting(
        "NO", POSITIONS, "go on making entries while orders that were made elsewhere are open", YES_NO
    )
    sell_winners_at: ShareOfPriceOrOff = setting(
        "",
        POSITIONS,
        "dollars per share, e.g. 0.99, at which a position is sold in the last minute of its window; empty: held",
        "a number between 0 and 1, or empty",
    )
