"""What each recording can carry: `python -m benchmarks.recordings_judged DATA [--out FILE.md] [--only NAME ...]`.

Imports every recording of the folder DATA (market_ws, tob, settlement_feed, outcomes, kalshi_15m) into a temporary
folder, compares forecasters and traders on it, and prints one table: windows, decisions, trades, fees, results with
intervals, Brier scores, and what cannot be computed and why. Nothing of the data is kept. Recordings that are not there
are said and passed over.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import say
from polystra.app.compare_command import run_comparison
from polystra.app.compare_data import Compared, dollars, plain
from polystra.app.import_command import Sources, import_sources
from polystra.app.outcomes_command import agreement_of
from polystra.backtest.comparison import Comparison
from polystra.backtest.forecasts import ADDITIVE, BAYESIAN, CHECKPOINTS_S, DIGITAL, FAIR_VALUE, LAST_TRADE, MARKET
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.scoring import brier, mean_score
from polystra.domain.errors import PolystraError
from polystra.domain.units import MICRO, format_micros

_APRIL_FEE_PPM: Final = 72_000
_CAPITAL: Final = 1_000 * MICRO


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording, how it is imported, and when its forecasts are taken."""

    name: str
    sources: Callable[[Path], Sources]
    seconds_left: tuple[int, ...] = CHECKPOINTS_S
    follow_s: int = 120
    only: tuple[str, ...] = ()
    """Only moments at which all of these said something."""
    words: str = ""
    changes: tuple[str, ...] = ()
    """Settings for this recording."""


def _sessions(data: Path) -> Sources:
    return Sources(sessions=tuple(sorted((data / "market_ws/multi_feed_15m_sessions").glob("*.raw_messages.jsonl*"))))


def _july(data: Path) -> Sources:
    return Sources(
        windows=data / "outcomes/btc5m_outcomes_20260724.csv",
        feed=data / "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz",
    )


def _both(data: Path) -> Sources:
    return Sources(
        windows=data / "outcomes/btc5m_outcomes_20260724.csv",
        feed=data / "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz",
        mids=data / "outcomes/btc5m_winners_with_mid_202607.jsonl",
    )


RECORDINGS: Final = (
    Recording(
        name="full-depth books, April",
        sources=lambda data: Sources(
            windows=data / "market_ws/btc5m_full_depth/windows.csv",
            books=(data / "market_ws/btc5m_full_depth",),
            fee_ppm=_APRIL_FEE_PPM,
        ),
        words="no price of the coin: execution and the market's own calibration",
    ),
    Recording(
        name="one-second tops of the same books",
        sources=lambda data: Sources(
            windows=data / "market_ws/btc5m_full_depth/windows.csv",
            seconds=data / "tob/btc5m_tob_1s.csv.gz",
            fee_ppm=_APRIL_FEE_PPM,
        ),
        words="best level only",
    ),
    Recording(
        name="settlement feed, 24 July",
        sources=_july,
        words="no book: fair value and volatility alone",
    ),
    Recording(
        name="24 July, feed and market's middle",
        sources=_both,
        seconds_left=(50,),
        only=(MARKET, FAIR_VALUE),
        words="one middle a window, without a size: forecasts only",
    ),
    Recording(
        name="winners with a middle, 24 to 26 July",
        sources=lambda data: Sources(mids=data / "outcomes/btc5m_winners_with_mid_202607.jsonl"),
        seconds_left=(50,),
        words="one middle a window, no feed",
    ),
    Recording(
        name="ladders with spot, 26 and 27 July",
        sources=lambda data: Sources(ladders=data / "tob/btc5m_ladder_T120_T10_202607.jsonl.gz"),
        seconds_left=(115, 85, 55, 40, 25, 15, 5),
        follow_s=115,
        words="another exchange's spot every 10 to 30 s instead of the feed; books may be 30 s old, no loss limit",
        changes=("STALE_BOOK_SECONDS=30", "DAILY_LOSS_LIMIT_DOLLARS=0"),
    ),
    Recording(name="raw sessions of several feeds, April", sources=_sessions, words="seconds at a time, no verdicts"),
    Recording(
        name="other venue's BTC trades, 15 minutes",
        sources=lambda data: Sources(trades=data / "kalshi_15m/kalshi_btc15m_trades.csv.gz"),
        seconds_left=(840, 720, 600, 480, 360, 240, 120, 60, 30, 10),
        words="trades only, implied results: the window's shape",
    ),
    Recording(
        name="other venue's ETH trades, 15 minutes",
        sources=lambda data: Sources(trades=data / "kalshi_15m/kalshi_eth15m_trades.csv.gz"),
        seconds_left=(840, 720, 600, 480, 360, 240, 120, 60, 30, 10),
        words="trades only, implied results: the window's shape",
    ),
)
_TABLES: Final = (
    ("outcomes/btc5m_outcomes_20260724.csv", "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz"),
    ("outcomes/btc5m_outcomes_202604.csv", None),
    ("outcomes/btc15m_outcomes_202604.csv", None),
    ("market_ws/btc5m_full_depth/windows.csv", None),
)
_COLUMNS: Final = (
    "recording",
    "windows (independent)",
    "decisions",
    "trades: additive / Bayesian / favourite",
    "fees $",
    "result $: additive / Bayesian / favourite",
    "Brier: market / additive / Bayesian",
    "fair value / digital",
)


def main() -> None:
    """Judge every recording of a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recordings_judged", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("data", type=Path, help="the folder of recordings")
    parser.add_argument("--only", action="append", choices=[each.name for each in RECORDINGS], help="this one alone")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there too, as Markdown")
    options = parser.parse_args()
    lines: list[str] = []
    for line in _judged(options.data, options.only or [each.name for each in RECORDINGS]):
        say(line)
        lines.append(line)
        if options.out is not None:
            options.out.write_text("\n".join(lines) + "\n")


def _judged(data: Path, names: list[str]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|" + "---|" * len(_COLUMNS)
    notes: list[str] = []
    for recording in RECORDINGS:
        if recording.name in names:
            try:
                row, more = _judge(recording, data)
            except PolystraError as error:
                row, more = f"| {recording.name} | not judged: {error} |", []
            yield row
            notes += more
    yield ""
    yield from notes
    yield ""
    yield "### The settlement rule beside recorded outcomes"
    for table, feed in _TABLES:
        if (data / table).exists():
            found = agreement_of(data / table, None if feed is None else data / feed)
            yield (
                f"- {Path(table).name}, by {found.source}: {found.windows} windows, {found.agree} agree, "
                f"{len(found.disagree)} disagree, {len(found.incomplete)} not complete"
            )


def _judge(recording: Recording, data: Path) -> tuple[str, list[str]]:
    report = ImportReport()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        import_sources(recording.sources(data), place, report, created_ns=1)
        compared = run_comparison(
            list(recording.changes),
            [place],
            capital=_CAPITAL,
            seconds_left=recording.seconds_left,
            follow_s=recording.follow_s,
            processes=2,
        )
    _restrict(compared.comparison, recording.only)
    return _row(recording, compared), list(_notes(recording, compared, report))


def _restrict(comparison: Comparison, names: tuple[str, ...]) -> None:
    """Leave the forecasts of which all of these said something."""
    if names:
        for outcome in comparison.outcomes.values():
            outcome.tally.forecasts[:] = [
                each for each in outcome.tally.forecasts if all(name in each.probabilities for name in names)
            ]


def _row(recording: Recording, compared: Compared) -> str:
    comparison = compared.comparison
    briers: Mapping[str, str] = {
        name: plain(mean_score(comparison.forecasts, name, brier)) for name in comparison.forecasters
    }
    earned = comparison.earned()
    decisions = sum(each.decisions for each in comparison.outcomes[BAYESIAN].tally.markets.values())
    cells = [
        recording.name,
        f"{comparison.windows} ({comparison.independent})",
        f"{decisions}",
        " / ".join(f"{each.fills}" for each in earned),
        " / ".join(format_micros(each.fees) for each in earned),
        " / ".join(dollars(each.profit) or "-" for each in earned),
        " / ".join(briers.get(name, "-") for name in (MARKET, ADDITIVE, BAYESIAN)),
        " / ".join(briers.get(name, "-") for name in (FAIR_VALUE, DIGITAL)),
    ]
    return f"| {' | '.join(cells)} |"


def _notes(recording: Recording, compared: Compared, report: ImportReport) -> Iterator[str]:
    comparison = compared.comparison
    yield f"### {recording.name}"
    yield f"- {recording.words}; {report.messages} lines used, {report.left_out} left out"
    if recording.only:
        windows = len({each.window for each in comparison.forecasts})
        yield f"- forecasts of the {windows} windows in which {' and '.join(recording.only)} said something"
    for score in comparison.scores():
        if score.brier_less is not None:
            yield (
                f"- {score.words}: Brier less {comparison.reference}'s {plain(score.brier_less)}, log loss less "
                f"{plain(score.log_loss_less)}, {score.brier_less.blocks} independent windows"
            )
    fusions = comparison.fusions()
    if fusions is not None:
        yield f"- the two fusions: {fusions[2]}, Brier {plain(fusions[0])}, log loss {plain(fusions[1])}"
    shown = (MARKET, FAIR_VALUE, DIGITAL, LAST_TRADE)
    for left_s, count, means in comparison.by_seconds_left():
        told = ", ".join(f"{name} {means[name]:.4f}" for name in shown if name in means)
        if told:
            yield f"- {left_s} s before the close, {count} windows: Brier of {told}"
    for bet in comparison.at_the_ask():
        yield f"- a share at the ask by {bet.name}: {bet.bought} of {bet.chances} moments, {dollars(bet.dollars)} $"
    for apart in comparison.earned_apart():
        more = "" if apart.more is None else f" {dollars(apart.more)} $"
        yield f"- {apart.trader} less {apart.other}:{more} {apart.words}"
    for sentence in comparison.unknown():
        yield f"- not computed: {sentence}"


if __name__ == "__main__":
    main()
