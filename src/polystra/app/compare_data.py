"""A comparison as plain data, and the words that its tables and its page share.

What lives here: JSON, formats of figures, what must be said beside them. What must not: the figures themselves
(`backtest.comparison`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from polystra.app.backtest_result import HONEST, interval_data
from polystra.app.config_view import ConfigLine
from polystra.backtest.comparison import FOLLOW_BUDGET, Comparison
from polystra.backtest.forecasts import MARKET
from polystra.backtest.lookahead import LookAhead
from polystra.backtest.scoring import FEWEST, Interval
from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, format_micros

_LONGEST_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison: what was set, what was read, what it came to."""

    comparison: Comparison
    changed: tuple[ConfigLine, ...]
    """Settings that are not the defaults."""
    notes: tuple[str, ...]
    """Files that could not be used."""
    simulated: bool
    follow_s: int
    overlap: str = ""
    """What is to be said of windows that the calibration was fitted on."""


def moments(text: str) -> tuple[int, ...]:
    """Seconds before the close out of `240,120,60`, the earliest first.

    Raises:
        ConfigError: that is not what it says.
    """
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip()
        if not word.isdecimal() or not 0 < int(word) <= _LONGEST_S:
            raise ConfigError(f"--at {text}: {word or 'nothing'} is no number of seconds from 1 to {_LONGEST_S}")
        found.add(int(word))
    return tuple(sorted(found, reverse=True))


def figures_of(trader: str, follow_s: int) -> str:
    """A trader's name in a table of earnings."""
    return f"market's price alone ({follow_s} s before the close)" if trader == MARKET else f"{trader} fusion"


def caveats(compared: Compared) -> list[str]:
    """What must be said beside every figure."""
    comparison = compared.comparison
    favourite = (
        "The market's price alone sees no edge in itself; what it earns is that of buying its favourite for "
        f"{FOLLOW_BUDGET // MICRO} dollars {compared.follow_s} s before each close, by the same road and exits; "
        "its slippage is against its limit, a cent above the ask."
    )
    found = [favourite, HONEST]
    if compared.overlap:
        found.insert(0, compared.overlap)
    if 0 < comparison.independent < FEWEST:
        found.insert(0, f"Only {comparison.independent} independent windows: the intervals say little.")
    better = [each.words for each in comparison.scores() if each.words.startswith(f"{each.name} is better")]
    if better:
        found.insert(
            0,
            f"Too good? {'; '.join(better)}. Run `polystra compare --look-ahead` on the same files, and another "
            "recording, before you believe it.",
        )
    if compared.simulated:
        found.append(
            "Simulated: the recorded market is made of seeded makers; a result here means nothing about real markets."
        )
    return found


def words_of(found: LookAhead) -> list[str]:
    """What a check for look-ahead came to, one sentence each."""
    looked = (
        f"look-ahead: {found.moments} moments of forecasts and {found.decisions} decisions before {found.cuts} cuts "
        "were looked at"
    )
    if found.clean:
        return [f"{looked}; nothing knew what was told later"]
    return [f"{looked}; {found.from_the_future} knew what was told later", *found.found]


def title_at_the_ask(compared: Compared) -> str:
    """What the table of shares at the ask is about."""
    return (
        f"One share at the best ask wherever an edge of {compared.comparison.least_edge:.0%} is seen, fee paid, held "
        "to the verdict (no latency, no exits)"
    )


def plain(interval: Interval | None, digits: int = 4) -> str:
    """A score with its interval."""
    if interval is None:
        return ""
    mean, low, high = (f"{value:.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean} ({low} to {high})"


def dollars(interval: Interval | None) -> str:
    """A sum with its interval."""
    return "" if interval is None else f"{interval.mean:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def as_data(compared: Compared) -> dict[str, Any]:
    """The whole comparison as plain data; money as decimal text, intervals in dollars."""
    comparison = compared.comparison
    reading = next(iter(comparison.outcomes.values())).reading
    return {
        "recordings": {
            "files": reading.files,
            "inputs": reading.inputs,
            "left_out": reading.left_out,
            "notes": [*compared.notes, *reading.notes],
        },
        "simulated": compared.simulated,
        "settings": [{"name": each.name, "value": each.value, "source": each.source} for each in compared.changed],
        "windows": comparison.windows,
        "independent_windows": comparison.independent,
        "decisions": {
            trader: sum(each.decisions for each in outcome.tally.markets.values())
            for trader, outcome in comparison.outcomes.items()
        },
        "reference": comparison.reference,
        "comparisons": comparison.comparisons,
        "forecasters": [
            {
                "name": each.name,
                "windows": each.windows,
                "forecasts": each.forecasts,
                "brier": interval_data(each.brier),
                "log_loss": interval_data(each.log_loss),
                "brier_less": _or_none(each.brier_less),
                "log_loss_less": _or_none(each.log_loss_less),
                "verdict": each.words,
            }
            for each in comparison.scores()
        ],
        "fusions": _fusions(comparison),
        "by_seconds_left": [
            {
                "seconds_left": left_s,
                "forecasts": count,
                "brier": {name: round(mean, 6) for name, mean in means.items()},
            }
            for left_s, count, means in comparison.by_seconds_left()
        ],
        "reliability": {
            name: [
                {"low": each.low, "high": each.high, "forecasts": each.count, "mean": each.mean, "up": each.share_up}
                for each in bins
            ]
            for name, bins in comparison.reliability().items()
        },
        "at_the_ask": [
            {"name": each.name, "chances": each.chances, "bought": each.bought, "dollars": interval_data(each.dollars)}
            for each in comparison.at_the_ask()
        ],
        "earned": [
            {
                "trader": each.trader,
                "windows_traded": each.windows_traded,
                "orders": each.orders,
                "fills": each.fills,
                "fees": format_micros(each.fees),
                "slippage": format_micros(each.slippage),
                "realised_pnl": _or_none(each.profit),
                "facts_hash": comparison.outcomes[each.trader].result.digest,
            }
            for each in comparison.earned()
        ],
        "earned_apart": [
            {"trader": each.trader, "other": each.other, "more": _or_none(each.more), "verdict": each.words}
            for each in comparison.earned_apart()
        ],
        "not_computed": comparison.unknown(),
        "notes": caveats(compared),
    }


def _or_none(interval: Interval | None) -> dict[str, float | int] | None:
    return None if interval is None else interval_data(interval)


def _fusions(comparison: Comparison) -> dict[str, Any] | None:
    found = comparison.fusions()
    if found is None:
        return None
    less, log_less, words = found
    return {"brier_less": interval_data(less), "log_loss_less": interval_data(log_less), "verdict": words}
