"""The comparison as a page with plots, and the plots as pictures.

What lives here: which figures and tables it has and what stands in them. What must not: how they look
(`report_figures`, `report_page`), the figures themselves (`compare_data`). It draws, so it is imported late.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polystra.app.compare_data import Compared, caveats, dollars, figures_of, plain, title_at_the_ask
from polystra.app.report_figures import Chart, bars_chart, reliability_chart
from polystra.app.report_page import Block, Cards, Drawing, Grid, Page, Section, Text
from polystra.backtest.scoring import FEWEST
from polystra.domain.units import format_micros


def write_comparison(compared: Compared, *, html: Path | None, png: Path | None) -> list[Path]:
    """Write the page, the pictures or both; returns the files.

    Raises:
        ConfigError: a place cannot be written.
    """
    charts = _charts(compared)
    written: list[Path] = []
    if html is not None:
        _page(compared, charts).write(html)
        written.append(html)
    if png is not None:
        written += [chart.save(png) for chart in charts]
    return written


def _charts(compared: Compared) -> list[Chart]:
    comparison = compared.comparison
    note = "Simulated: it means nothing about real markets." if compared.simulated else ""
    few = f"Only {comparison.independent} independent windows." if comparison.independent < FEWEST else ""
    found: list[Chart] = []
    bins = comparison.reliability()
    if bins:
        found.append(reliability_chart(bins, name="reliability", note=f"{few} {note}".strip()))
    scores = comparison.scores()
    if scores:
        found.append(
            bars_chart(
                [(each.name, each.brier.mean) for each in scores],
                name="brier",
                title="Brier score: less is better",
                caption=f"Mean squared error of each forecaster over its own forecasts; a coin has 0.25. {few} {note}",
                unit="Brier score",
                signed=False,
            )
        )
    earned = [(each.trader, each.profit.mean) for each in comparison.earned() if each.profit is not None]
    if earned:
        found.append(
            bars_chart(
                earned,
                name="earned",
                title="What each trader earned",
                caption=f"Dollars after fees and slippage; the intervals are in the table. {few} {note}".strip(),
                unit="dollars",
            )
        )
    return found


def _page(compared: Compared, charts: Sequence[Chart]) -> Page:
    comparison = compared.comparison
    return Page(
        title="Comparison of forecasters",
        lead=f"{comparison.windows} windows ({comparison.independent} independent), "
        f"{len(comparison.forecasts)} forecasts.",
        caveats=caveats(compared),
        sections=[
            Section(title="Forecasts", blocks=_forecasts(compared, charts)),
            Section(title="Earnings", blocks=_earnings(compared, charts)),
            Section(title="Not computed", blocks=_unknown(compared)),
            Section(title="Settings and recordings", blocks=_read(compared)),
        ],
        footer="Intervals hold the figure in 95 of 100 resamples of closing times. "
        f"{comparison.comparisons} differences were looked at: one in twenty looks real by chance.",
    )


def _drawings(charts: Sequence[Chart], *names: str) -> list[Block]:
    return [
        Drawing(title=chart.title, caption=chart.caption, svg=chart.svg()) for chart in charts if chart.name in names
    ]


def _forecasts(compared: Compared, charts: Sequence[Chart]) -> list[Block]:
    comparison = compared.comparison
    scores = comparison.scores()
    if not scores:
        return [Text(text="Nothing could be scored.", warning=True)]
    reference = comparison.reference
    blocks: list[Block] = []
    fusions = comparison.fusions()
    if fusions is not None:
        words = fusions[2]
        blocks.append(Cards(pairs=[("the two fusions", words), ("held against", reference)]))
    rows = [
        (
            each.name,
            each.words,
            f"{each.windows}",
            f"{each.forecasts}",
            plain(each.brier),
            plain(each.log_loss),
            plain(each.brier_less),
            plain(each.log_loss_less),
        )
        for each in scores
    ]
    figures = ("windows", "forecasts", "Brier", "log loss", f"Brier less {reference}'s", f"log loss less {reference}'s")
    blocks.append(Grid(title="Scores", words=("forecaster", ""), figures=figures, rows=rows))
    blocks += _drawings(charts, "reliability", "brier")
    names = comparison.forecasters
    moments = [
        (f"{left_s} s", f"{count}", *(f"{means[name]:.4f}" if name in means else "" for name in names))
        for left_s, count, means in comparison.by_seconds_left()
    ]
    title = "Brier score by seconds before the close"
    blocks.append(Grid(title=title, words=("before",), figures=("forecasts", *names), rows=moments))
    bins = [
        (name, f"{each.low:.1f}-{each.high:.1f}", f"{each.count}", f"{each.mean:.3f}", f"{each.share_up:.3f}")
        for name, kept in comparison.reliability().items()
        for each in kept
    ]
    words_of_bins = ("forecaster", "between")
    figures_of_bins = ("forecasts", "mean", "ended Up")
    blocks.append(Grid(title="Reliability", words=words_of_bins, figures=figures_of_bins, rows=bins, folded=True))
    return blocks


def _earnings(compared: Compared, charts: Sequence[Chart]) -> list[Block]:
    comparison = compared.comparison
    rows = [
        (
            figures_of(each.trader, compared.follow_s),
            f"{each.windows_traded}",
            f"{each.orders}",
            f"{each.fills}",
            format_micros(each.fees),
            format_micros(each.slippage),
            dollars(each.profit),
        )
        for each in comparison.earned()
    ]
    names = ("windows traded", "orders", "fills", "fees $", "slippage $", "result $")
    apart = [(f"{each.trader} less {each.other}", each.words, dollars(each.more)) for each in comparison.earned_apart()]
    bets = [(each.name, f"{each.chances}", f"{each.bought}", dollars(each.dollars)) for each in comparison.at_the_ask()]
    columns = ("moments", "bought", "result $")
    at_the_ask = [Grid(title=title_at_the_ask(compared), words=("forecaster",), figures=columns, rows=bets)]
    return [
        Grid(words=("trader",), figures=names, rows=rows),
        *(at_the_ask if bets else ()),
        *_drawings(charts, "earned"),
        Grid(title="Paired by window", words=("difference", ""), figures=("dollars",), rows=apart),
    ]


def _unknown(compared: Compared) -> list[Block]:
    found = compared.comparison.unknown()
    return [Text(text=f"{sentence}.") for sentence in found] or [Text(text="Everything could be computed.")]


def _read(compared: Compared) -> list[Block]:
    reading = next(iter(compared.comparison.outcomes.values())).reading
    settings = [(each.name, each.value, each.source) for each in compared.changed]
    notes = [(note,) for note in (*compared.notes, *reading.notes)]
    blocks: list[Block] = [Text(text=f"{reading.inputs:,} inputs of {reading.files} files.")]
    if settings:
        blocks.append(Grid(title="Settings that are not the defaults", words=("name", "value", "from"), rows=settings))
    if notes:
        blocks.append(Grid(title="Left out", words=("what",), rows=notes, folded=len(notes) > 10))
    return blocks
