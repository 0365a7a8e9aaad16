"""The report of a backtest as a page with plots, and the plots as pictures.

What lives here: which figures and tables the report has and what stands in them. What must not: how they look
(`report_figures`, `report_page`), the figures themselves (`backtest_result`). It draws, so it is imported late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from polystra.app.backtest_result import Backtest, as_data, calibration, caveats
from polystra.app.report_figures import Chart, bars_chart, equity_chart, path_chart, reliability_chart
from polystra.app.report_page import Block, Cards, Drawing, Grid, Page, Section, Text
from polystra.backtest.forecasts import COIN
from polystra.backtest.paths import MarketPath
from polystra.backtest.scoring import FEWEST
from polystra.backtest.trades import Execution
from polystra.domain.market import Outcome
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S

_FOLDED_FROM: Final = 20
"""Tables with more rows are folded."""


def write_report(backtest: Backtest, *, html: Path | None, png: Path | None) -> list[Path]:
    """Write the page, the pictures or both; returns the files.

    Raises:
        ConfigError: a place cannot be written.
    """
    overview, markets = _overview_charts(backtest), _market_charts(backtest)
    if backtest.simulated:
        overview, markets = ([_marked(chart) for chart in charts] for charts in (overview, markets))
    written: list[Path] = []
    if html is not None:
        _page(backtest, overview, markets).write(html)
        written.append(html)
    if png is not None:
        written += [chart.save(png) for chart in (*overview, *markets)]
    return written


def _marked(chart: Chart) -> Chart:
    """A picture may be shown alone, so its title says where it is from."""
    return replace(chart, title=f"{chart.title} (simulated)")


def _overview_charts(backtest: Backtest) -> list[Chart]:
    run, data = backtest.run, as_data(backtest)
    note = "Simulated: it means nothing about real markets." if backtest.simulated else ""
    settled = [(at_ns, value / MICRO) for at_ns, value in run.tally.equity]
    marked = [(at_ns, value / MICRO) for at_ns, value in run.trades.marked.points]
    costs = data["costs"]
    gross = sum(each.realised_pnl for each in run.tally.settled) / MICRO
    paid = [float(costs[name]) for name in ("fees", "spread", "slippage")]
    charts = [
        equity_chart(settled, marked=marked, note=note),
        bars_chart(
            [
                ("result at mid prices", gross + sum(paid)),
                ("taker fees", -paid[0]),
                ("half the spread", -paid[1]),
                ("slippage", -paid[2]),
                ("realised result", gross),
            ],
            name="costs",
            title="What costs took of the result",
            caption="Half the spread and slippage are measured against the book that the engine saw when it decided, "
            f"for orders that took. {note}".strip(),
            unit="dollars",
        ),
    ]
    bins = {name: kept for name, kept in calibration(backtest).items() if name != COIN}
    if bins:
        few = f"Only {run.tally.blocks} independent windows." if run.tally.blocks < FEWEST else ""
        charts.append(reliability_chart(bins, note=f"{few} {note}".strip()))
    return charts


def _market_charts(backtest: Backtest) -> list[Chart]:
    executions = backtest.run.trades.executions
    return [_market_chart(path, executions.get(path.market.slug, ())) for path in backtest.run.sampler.paths]


def _market_chart(path: MarketPath, executions: Sequence[Execution]) -> Chart:
    lines = {"market": [(at_ns, value / MICRO) for at_ns, value in path.quotes], **path.forecasts}
    ended = {MICRO: "Up won", 0: "Down won"}.get(path.up_payout or 0, "split") if path.up_payout is not None else "open"
    result = f"{path.realised_pnl / MICRO:+.2f} $" if executions else "not traded"
    return path_chart(
        lines,
        [(each.at_ns, _up_terms(each), _what(each), each.outcome is Outcome.UP) for each in executions],
        opens_ns=path.market.opens_at_s * NS_PER_S,
        closes_ns=path.market.closes_at_s * NS_PER_S,
        name=f"path-{path.market.slug}",
        title=f"{path.market.slug}: {ended}, {result}",
    )


def _up_terms(execution: Execution) -> float:
    price = execution.price / MICRO
    return price if execution.outcome is Outcome.UP else 1.0 - price


def _what(execution: Execution) -> str:
    return "entry" if execution.side is Side.BUY else "exit"


# --- the page ----------------------------------------------------------------------------


def _page(backtest: Backtest, overview: Sequence[Chart], markets: Sequence[Chart]) -> Page:
    data = as_data(backtest)
    run = backtest.run
    begin, end = (_time(each) for each in (run.reading.first_ns, run.reading.last_ns))
    return Page(
        title="Backtest",
        lead=f"{data['windows']} windows ({data['independent_windows']} independent) of {run.recordings} recordings, "
        f"{begin} to {end} UTC.",
        caveats=caveats(backtest),
        sections=[
            Section(title="Result", blocks=[_cards(data), *(_drawing(each) for each in overview)]),
            Section(title="Forecasts", blocks=_forecasts(data)),
            Section(title="Markets", blocks=_markets(backtest, data, markets)),
            Section(title="Positions", blocks=_positions(data)),
            Section(title="Settings", blocks=_settings(data)),
            Section(title="What was read", blocks=_reading(data)),
        ],
        footer=f"Facts hash {data['facts_hash']}: the same recordings and settings give the same one.",
    )


def _cards(data: dict[str, Any]) -> Cards:
    profit = data["realised_pnl"]
    told = (
        "no market settled"
        if profit is None
        else f"{profit['mean']:.2f} $ ({profit['low']:.2f} to {profit['high']:.2f})"
    )
    costs = data["costs"]
    return Cards(
        pairs=[
            ("realised result, 95 % interval", told),
            ("deepest drawdown, settled", f"{data['drawdown']} $"),
            ("deepest drawdown, marked", f"{data['drawdown_marked']} $"),
            ("decisions, orders", f"{data['decisions']}, {data['orders']}"),
            ("fills taking, resting", f"{data['fills']['taker']}, {data['fills']['maker']}"),
            ("fees", f"{costs['fees']} $"),
            ("half the spread", f"{costs['spread']} $"),
            ("slippage", f"{costs['slippage']} $"),
        ]
    )


def _forecasts(data: dict[str, Any]) -> list[Block]:
    rows = [
        (
            each["name"],
            each["verdict"],
            *(_interval(each[name]) for name in ("brier", "log_loss", "brier_less_market")),
        )
        for each in data["forecasters"]
    ]
    if not rows:
        return [Text(text="No forecaster said anything at the moments at which they are asked.")]
    figures = ("Brier", "log loss", "Brier less the market's")
    blocks: list[Block] = [Grid(words=("forecaster", "beside the market"), figures=figures, rows=rows)]
    if data["fusions"]:
        blocks.append(Text(text=f"The two fusions: {data['fusions']}."))
    if data["independent_windows"] < FEWEST:
        few = f"Only {data['independent_windows']} independent windows: the intervals say little."
        blocks.append(Text(text=few, warning=True))
    return blocks


def _markets(backtest: Backtest, data: dict[str, Any], charts: Sequence[Chart]) -> list[Block]:
    rows = [
        (
            each["slug"],
            ", ".join(f"{name} {count}" for name, count in each["exits"].items()),
            *(str(each[name]) for name in ("up_payout", "decisions", "orders", "fills", "fees", "realised_pnl")),
        )
        for each in data["markets"]
    ]
    figures = ("Up paid", "decisions", "orders", "fills", "fees $", "result $")
    table = Grid(
        title="All markets",
        words=("market", "exits"),
        figures=figures,
        rows=rows,
        folded=len(rows) > _FOLDED_FROM,
    )
    settled = backtest.run.sampler.settled
    blocks: list[Block] = [table]
    if len(charts) < settled:
        text = f"Drawn are {len(charts)} of {settled} markets: the traded ones with the largest results, either way."
        blocks.append(Text(text=text))
    return [*blocks, *(_drawing(each) for each in charts)]


def _positions(data: dict[str, Any]) -> list[Block]:
    if not data["positions"]:
        return [Text(text="No position was opened.")]
    names = ("shares", "entry_price", "exit_price", "fees", "spread", "slippage", "realised_pnl")
    rows = [
        (
            each["position"],
            _time(each["opened_s"] * NS_PER_S),
            f"{each['entry_rule']}: {each['entry_reason']}",
            each["exit_reason"],
            *(each[name] or "" for name in names),
        )
        for each in data["positions"]
    ]
    return [
        Grid(
            title="Positions",
            words=("position", "opened, UTC", "entry", "exit"),
            figures=("shares", "bought at", "sold at", "fees $", "half spread $", "slippage $", "result $"),
            rows=rows,
            folded=len(rows) > 2 * _FOLDED_FROM,
        )
    ]


def _settings(data: dict[str, Any]) -> list[Block]:
    changed = [
        (each["name"], each["value"], each["source"]) for each in data["settings"] if each["source"] != "default"
    ]
    rest = [(each["name"], each["value"], each["source"]) for each in data["settings"] if each["source"] == "default"]
    names = ("setting", "value", "from")
    told: Block = (
        Grid(title="Not the defaults", words=names, rows=changed)
        if changed
        else Text(text="Every setting is the default.")
    )
    return [
        Text(text=f"Each paper account began with {data['capital']} dollars."),
        told,
        Grid(title="Defaults", words=names, rows=rest, folded=True),
    ]


def _reading(data: dict[str, Any]) -> list[Block]:
    read = data["recordings"]
    text = f"{read['inputs']:,} inputs of {read['files']} files were used; {len(read['notes'])} notes."
    return [Text(text=text), *(Text(text=note) for note in (*read["notes"], *data["left_open"]))]


def _drawing(chart: Chart) -> Drawing:
    return Drawing(title=chart.title, caption=chart.caption, svg=chart.svg())


def _interval(interval: dict[str, float] | None) -> str:
    return "" if interval is None else f"{interval['mean']:.4f} ({interval['low']:.4f} to {interval['high']:.4f})"


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
