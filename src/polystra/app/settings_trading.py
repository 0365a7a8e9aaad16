"""Settings: what is traded, and how much.

What lives here: the fields of that section. What must not: checks between settings (`settings`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from polystra.app.setting_rules import DOLLARS, FACTOR, MORE_DOLLARS, PATH_OR_NONE, PERCENT, WHAT, YES_NO
from polystra.app.setting_values import (
    Dollars,
    Factor,
    Flag,
    Fraction,
    OptionalFile,
    Percent,
    PositiveDollars,
    PositiveFraction,
    ShareOfPrice,
    StrategyClass,
    Symbols,
    Windows,
    parse_word,
    setting,
)
from polystra.app.settings_where import WhereSettings


class TradingSettings(WhereSettings):
    """Markets, entries, sizes."""

    symbols: Symbols = setting(
        "BTC,ETH,SOL,XRP", WHAT, "coins, separated by commas", "some of BTC,ETH,SOL,XRP,DOGE,BNB,HYPE,ZEC, each once"
    )
    windows: Windows = setting("15m", WHAT, "lengths of the markets, separated by commas", "any of 5m, 15m, 1h, 4h, 1d")
    entry_style: Annotated[Literal["limit", "market"], BeforeValidator(parse_word)] = setting(
        "limit", WHAT, "limit pays at most the edge price, market takes what is there", "limit or market"
    )
    strategy: StrategyClass = setting(
        "",
        WHAT,
        "a strategy of your own in place of the fusion, see docs/strategy.md; empty: none",
        "path/to/file.py:Class, or empty",
    )
    min_edge_percent: Percent = setting(
        "3.0", WHAT, "percent of the price paid, after fees and expected slippage", PERCENT
    )
    min_confidence_score: Fraction = setting("0.6", WHAT, "from 0 to 1", "a number from 0 to 1")
    fusion: Annotated[Literal["bayesian", "additive"], BeforeValidator(parse_word)] = setting(
        "bayesian", WHAT, "which way of joining the signals decides; both are stored", "bayesian or additive"
    )
    enable_signal_fair_value: Flag = setting(
        "YES", WHAT, "what the settlement rule makes of price and volatility", YES_NO
    )
    signal_fair_value_weight: Factor = setting("1", WHAT, "times its fitted strength; 1: as it was fitted", FACTOR)
    enable_signal_book_imbalance: Flag = setting(
        "YES", WHAT, "shares bid against shares offered near the touch", YES_NO
    )
    signal_book_imbalance_weight: Factor = setting("1", WHAT, "times its fitted strength; 1: as it was fitted", FACTOR)
    enable_signal_momentum: Flag = setting("YES", WHAT, "the price's move of the last half minute", YES_NO)
    signal_momentum_weight: Factor = setting("1", WHAT, "times its fitted strength; 1: as it was fitted", FACTOR)
    calibration_file: OptionalFile = setting(
        "",
        WHAT,
        "what signals are worth, made by `polystra calibrate`; empty: unknown (sim: the file that comes with it)",
        PATH_OR_NONE,
    )
    require_calibration: Flag = setting(
        "YES", WHAT, "live needs a calibration that beat the market's price on windows it was not fitted on", YES_NO
    )
    use_kelly_sizing: Flag = setting("YES", WHAT, "size by edge; NO: always TRADE_SIZE_DOLLARS", YES_NO)
    kelly_fraction: PositiveFraction = setting(
        "0.25", WHAT, "the part of the Kelly size to use", "a number above 0 and up to 1"
    )
    trade_size_dollars: PositiveDollars = setting("5", WHAT, "dollars per entry without Kelly", MORE_DOLLARS)
    max_trade_size: PositiveDollars = setting("25", WHAT, "dollars, the most for one entry", MORE_DOLLARS)
    capital_total: Dollars = setting("0", WHAT, "dollars that this daemon may use; 0: the account's balance", DOLLARS)
    force_entry_enable: Flag = setting(
        "NO", WHAT, "let a person ask for an entry (polystra forceenter); limits hold for it as for every entry", YES_NO
    )
    check_liquidity: Flag = setting("YES", WHAT, "enter only where the book holds the size", YES_NO)
    max_spread: ShareOfPrice = setting(
        "0.05", WHAT, "dollars per share between best bid and ask, the most to enter at", "a number between 0 and 1"
    )
