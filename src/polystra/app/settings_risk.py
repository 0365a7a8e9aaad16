"""Settings: limits, data that is too old, and what a stop leaves behind.

What lives here: the fields of that section. What must not: checks between settings (`settings`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from polystra.app.setting_rules import COUNT, COUNT_OR_ZERO, DOLLARS, FINE_SECONDS, MORE_DOLLARS, RISK, SECONDS, YES_NO
from polystra.app.setting_values import (
    Count,
    CountOrZero,
    Dollars,
    FineSeconds,
    Flag,
    PositiveDollars,
    Seconds,
    WeeklyTime,
    parse_word,
    setting,
)
from polystra.app.settings_positions import PositionSettings
from polystra.domain.events import StopMode


class RiskSettings(PositionSettings):
    """Limits on entries, and the end of a run."""

    max_exposure_dollars: PositiveDollars = setting(
        "100", RISK, "dollars at risk in all, orders in flight counted", MORE_DOLLARS
    )
    max_exposure_per_market: PositiveDollars = setting("25", RISK, "dollars at risk in one market", MORE_DOLLARS)
    max_exposure_per_symbol: PositiveDollars = setting(
        "50", RISK, "dollars at risk in all markets of one coin", MORE_DOLLARS
    )
    max_exposure_per_direction: Dollars = setting(
        "0", RISK, "net dollars on one side, Up or Down, over all markets; 0: no such limit", DOLLARS
    )
    max_open_positions: Count = setting("8", RISK, "positions at a time", COUNT)
    live_max_dollars: PositiveDollars = setting(
        "50",
        RISK,
        "dollars, the hard cap on what live and paper mode may have at risk until you raise it",
        MORE_DOLLARS,
    )
    daily_loss_limit_dollars: Dollars = setting(
        "25",
        RISK,
        "dollars lost in a UTC day, open positions at the best bid, that stop entries for it; 0: off",
        DOLLARS,
    )
    max_drawdown_dollars: Dollars = setting(
        "50", RISK, "dollars below the highest realised result that stop entries until polystra start; 0: off", DOLLARS
    )
    max_consecutive_losses: CountOrZero = setting(
        "5", RISK, "losses in a row that stop entries until polystra start; 0: off", COUNT_OR_ZERO
    )
    max_rejections_per_minute: CountOrZero = setting(
        "10", RISK, "entries refused within a minute that stop entries for five; 0: off", COUNT_OR_ZERO
    )
    max_crashes: CountOrZero = setting(
        "3", RISK, "crashes within CRASH_WINDOW_SECONDS, after which a start makes exits only; 0: off", COUNT_OR_ZERO
    )
    crash_window_seconds: Seconds = setting(
        "900", RISK, "seconds of real time in which crashes are counted for MAX_CRASHES", SECONDS
    )
    low_balance_alert_dollars: Dollars = setting(
        "10", RISK, "available dollars below which you are told; 0: off", DOLLARS
    )
    balance_floor_dollars: Dollars = setting("0", RISK, "dollars that entries always leave available", DOLLARS)
    on_shutdown: Annotated[StopMode, BeforeValidator(parse_word)] = setting(
        "keep_exits",
        RISK,
        "at a stop entries are cancelled; keep_exits leaves the exits that rest, cancel_all leaves no order, flatten "
        "sells what is held as far as 45 seconds allow",
        "keep_exits, cancel_all or flatten",
    )
    enable_venue_heartbeat: Flag = setting(
        "NO",
        RISK,
        "let the venue cancel every open order of the API key 10 to 15 seconds after this daemon stops or hangs, "
        "resting exits included",
        YES_NO,
    )
    notifications_interval_seconds: Seconds = setting(
        "30", RISK, "seconds between readings of the venue's notices, a recovery behind the streams; 0: off", SECONDS
    )
    weekly_restart: WeeklyTime = setting(
        "TUE 07:00",
        RISK,
        "when the venue restarts every week, US Eastern time, named by `polystra doctor`; off: it does not",
        "a day (MON to SUN) and a time such as TUE 07:00, or off",
    )
    stale_book_seconds: FineSeconds = setting(
        "5", RISK, "seconds after which a silent book blocks entries", FINE_SECONDS
    )
    max_clock_drift_seconds: FineSeconds = setting(
        "2", RISK, "seconds between our clock and the venue's that block entries", FINE_SECONDS
    )
