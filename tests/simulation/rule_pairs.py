"""All pairs of on and off of the rules of positions and risk, in as few rows as can be.

What lives here: the settings with their two words each, and the rows. What must not: the market that a row
runs in, what must hold at its end (`test_rule_pairs`).
"""

from __future__ import annotations

from itertools import combinations, islice
from math import comb
from typing import Final

RULES: Final = {
    "ENABLE_EXIT_PLAN": ("YES", "NO"),
    "ENABLE_TAKE_PROFIT": ("YES", "NO"),
    "ENABLE_STOP_LOSS": ("YES", "NO"),
    "ENABLE_TRAILING_STOP": ("NO", "YES"),
    "ENABLE_BREAK_EVEN_STOP": ("NO", "YES"),
    "ENABLE_TIME_STOP": ("NO", "YES"),
    "EXIT_MODE": ("limit_orders", "monitor"),
    "EXIT_MODE_AB_SHARE": ("0", "0.5"),
    "TAKE_PROFIT_LADDER": ("", "50@10,50@30"),
    "EXIT_MAX_AGE_SECONDS": ("0", "40"),
    "CLOSE_GUARD_ACTION": ("hold", "exit"),
    "VENUE_POST_ONLY_EXIT": ("post_only", "wait"),
    "DUST_POLICY": ("hold", "with_next_lot"),
    "CANCEL_UNFILLED_ORDERS": ("YES", "NO"),
    "UNFILLED_RETRY_ON_WINNING_SIDE": ("YES", "NO"),
    "UNFILLED_CANCEL_THRESHOLD": ("15", "0"),
    "ENABLE_SCALE_IN": ("YES", "NO"),
    "ENABLE_REVERSAL": ("YES", "NO"),
    "BLACKLIST_AFTER_STOP_SECONDS": ("0", "60"),
    "ENABLE_ENHANCED_BALANCE_VALIDATION": ("YES", "NO"),
    "BALANCE_COOLDOWN_SECONDS": ("3", "0"),
    "SELL_WINNERS_AT": ("", "0.97"),
    "PROTECT_EXTERNAL_POSITIONS": ("NO", "YES"),
    "ALLOW_EXTERNAL_ORDERS": ("NO", "YES"),
    "DAILY_LOSS_LIMIT_DOLLARS": ("0", "3"),
    "MAX_DRAWDOWN_DOLLARS": ("0", "4"),
    "MAX_CONSECUTIVE_LOSSES": ("0", "2"),
    "MAX_REJECTIONS_PER_MINUTE": ("10", "0"),
    "MAX_EXPOSURE_PER_DIRECTION": ("0", "30"),
    "ENABLE_VENUE_HEARTBEAT": ("NO", "YES"),
    "NOTIFICATIONS_INTERVAL_SECONDS": ("30", "0"),
    "CHECK_LIQUIDITY": ("YES", "NO"),
    "ENTRY_STYLE": ("limit", "market"),
    "USE_KELLY_SIZING": ("YES", "NO"),
}
"""Settings that turn a rule on or off, or choose one of two ways."""


def covering_rows(columns: int) -> tuple[tuple[bool, ...], ...]:
    """Rows of booleans in which every two columns show all four pairs, as few as can be for so many columns.

    Kleitman and Spencer (1973): one row is all False; in the n - 1 others each column is True in a subset of its
    own, all of one size above half of them. Two such subsets meet, and neither holds the other.
    """
    others = 3
    while comb(others, others // 2 + 1) < columns:
        others += 1
    chosen = list(islice(combinations(range(others), others // 2 + 1), columns))
    return (
        tuple(False for _ in chosen),
        *(tuple(row in subset for subset in chosen) for row in range(others)),
    )


def settings_rows() -> tuple[dict[str, str], ...]:
    """The settings of every row."""
    rows = []
    for row in covering_rows(len(RULES)):
        values = {name: words[flag] for (name, words), flag in zip(RULES.items(), row, strict=True)}
        if values["ENABLE_VENUE_HEARTBEAT"] == "YES":
            values["ON_SHUTDOWN"] = "cancel_all"
        rows.append(values)
    return tuple(rows)
