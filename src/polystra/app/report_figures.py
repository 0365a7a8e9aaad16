"""The figures of reports, drawn by matplotlib: as SVG elements for a page, as PNG files.

What lives here: how a chart looks. What must not: what is counted, the page (`report_page`). Importing this module
takes about half a second, so only what draws imports it, and late.

No chart has a window, a browser or a font of its own: text stays text, in the page's font. Ink is drawn in one colour
that the SVG calls `currentColor`, so that a page in the dark has light ink; the other colours are readable on both.
The same figures give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from polystra.backtest.scoring import Bin
from polystra.domain.errors import ConfigError

INK: Final = "#2b303a"
COLOURS: Final[Mapping[str, str]] = {
    "market": "#7d8796",
    "fair value": "#2f9e6e",
    "additive": "#d9822b",
    "bayesian": "#3b82c4",
    "gain": "#2f9e6e",
    "loss": "#d1495b",
    "drawdown": "#d1495b",
    "equity": "#3b82c4",
    "marked": "#8e6cc0",
}
"""By what a line is about; every other name gets one of the rest in turn."""
_REST: Final = ("#8e6cc0", "#c2418f", "#3aa6b9", "#a07d2c")
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "grid.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.labelcolor": INK,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
}
_WIDTH_INCHES: Final = 9.0
_DPI: Final = 100


def colour(name: str, number: int = 0) -> str:
    """The colour of a line by what it is about."""
    return COLOURS.get(name, _REST[number % len(_REST)])


def times(moments_ns: Sequence[int]) -> NDArray[np.datetime64]:
    """Nanoseconds as what the axis of time takes (UTC)."""
    return np.array(moments_ns, dtype="datetime64[ns]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn figure. `name` is its file's name without ending, and unique in a page."""

    name: str
    title: str
    caption: str
    figure: Figure

    def svg(self) -> str:
        """An `<svg>` element: transparent, its ids begin with the chart's name, no metadata, nothing from elsewhere."""
        target = io.StringIO()
        with mpl.rc_context({**STYLE, "svg.hashsalt": self.name}):
            FigureCanvasSVG(self.figure).print_figure(target, format="svg", metadata=_NO_METADATA, facecolor="none")
        text = target.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
        text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
        text = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{self.name}-", text)
        text = re.sub(r"font: ([^;']*)'[^;]*;", r"font: \1inherit;", text)
        label = self.title.replace("&", "and").replace('"', "").replace("<", "")
        return text.replace(INK, "currentColor").replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)

    def png(self) -> bytes:
        """The chart as a picture on white, under its title (a page has that as text)."""
        target = io.BytesIO()
        with mpl.rc_context(STYLE):
            title = self.figure.suptitle(self.title, x=0.01, ha="left", weight="bold")
            canvas = FigureCanvasAgg(self.figure)
            canvas.print_figure(target, format="png", metadata={"Software": None}, facecolor="white")
            title.set_text("")
        return target.getvalue()

    def save(self, folder: Path) -> Path:
        """Write `NAME.png` into a folder, making it; returns the file.

        Raises:
            ConfigError: it cannot be written.
        """
        path = folder / f"{self.name}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.png())
        except OSError as error:
            raise ConfigError(
                f"{path}: the picture cannot be written ({error.strerror or error}); name another folder"
            ) from error
        return path


_NO_METADATA: Final[dict[str, None]] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def blank(rows: Sequence[float] = (1.0,), *, height: float = 3.4, share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with charts one below the other, `rows` their relative heights."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, layout="constrained")
        axes = figure.subplots(len(rows), 1, squeeze=False, sharex=share_x, gridspec_kw={"height_ratios": list(rows)})
    return figure, [row[0] for row in axes]


def clock_axis(axes: Axes) -> None:
    """Label the x axis with times."""
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def legend_above(axes: Axes) -> None:
    """Name the lines above the chart, where they hide nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, borderaxespad=0.1, handlelength=1.4)


# --- charts that several reports have ---------------------------------------------------------


def reliability_chart(bins: Mapping[str, Sequence[Bin]], *, name: str = "calibration", note: str = "") -> Chart:
    """What was forecast beside what happened, by forecaster; below, how many forecasts each bin holds."""
    figure, (upper, lower) = blank((3.0, 1.0), height=5.2)
    with mpl.rc_context(STYLE):
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":", label="perfect")
        width = 0.08 / max(1, len(bins))
        for number, (who, kept) in enumerate(bins.items()):
            shade = colour(who, number)
            upper.plot(
                [each.mean for each in kept],
                [each.share_up for each in kept],
                marker="o",
                markersize=4,
                linewidth=1.4,
                color=shade,
                label=who,
            )
            places = [each.low + 0.01 + width * (number + 0.5) for each in kept]
            lower.bar(places, [each.count for each in kept], width=width, color=shade)
        upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="share that ended Up")
        lower.set(xlabel="forecast probability of Up", ylabel="forecasts")
        legend_above(upper)
    return Chart(
        name=name,
        title="Calibration: forecast and outcome",
        caption="On the dotted line a forecast of 70 % comes true in 70 of 100 windows. Bins with few forecasts jump "
        f"about by chance. {note}".strip(),
        figure=figure,
    )


def equity_chart(
    settled: Sequence[tuple[int, float]],
    *,
    marked: Sequence[tuple[int, float]] = (),
    name: str = "equity",
    note: str = "",
) -> Chart:
    """Result in dollars over time, and below how far it is under its highest point before.

    `settled` is the realised result after each settlement, `marked` the same with open positions at the mid price.
    """
    figure, (upper, lower) = blank((2.6, 1.0), height=4.2)
    with mpl.rc_context(STYLE):
        if marked:
            at = times([moment for moment, _ in marked])
            upper.plot(at, [value for _, value in marked], color=colour("marked"), linewidth=1, label="marked at mid")
        if settled:
            at = times([moment for moment, _ in settled])
            values = [value for _, value in settled]
            upper.step(at, values, where="post", color=colour("equity"), linewidth=1.6, label="settled")
            falls = drawdowns(values)
            lower.fill_between(at, falls, 0, step="post", color=colour("drawdown"), alpha=0.35, linewidth=0)
            lower.step(at, falls, where="post", color=colour("drawdown"), linewidth=1)
        upper.axhline(0, color=INK, linewidth=0.8)
        upper.set_ylabel("result, $")
        lower.set_ylabel("drawdown, $")
        clock_axis(lower)
        if settled or marked:
            legend_above(upper)
    return Chart(
        name=name,
        title="Equity and drawdown",
        caption=f"Dollars gained or lost since the start, fees included; times are UTC. {note}".strip(),
        figure=figure,
    )


def drawdowns(values: Sequence[float]) -> list[float]:
    """How far each value is below the highest before it (0 at the start counts): zero or less."""
    highest = 0.0
    falls: list[float] = []
    for value in values:
        highest = max(highest, value)
        falls.append(value - highest)
    return falls


def bars_chart(
    rows: Sequence[tuple[str, float]], *, name: str, title: str, caption: str, unit: str = "$", signed: bool = True
) -> Chart:
    """Horizontal bars with their figures: gains green and losses red where `signed`."""
    figure, (axes,) = blank(height=0.7 + 0.42 * max(1, len(rows)))
    with mpl.rc_context(STYLE):
        shades = [colour("loss" if value < 0 else "gain") if signed else colour("market") for _, value in rows]
        drawn = axes.barh([label for label, _ in rows], [value for _, value in rows], color=shades, height=0.6)
        axes.bar_label(drawn, labels=[f"{value:,.2f}" for _, value in rows], padding=3)
        axes.invert_yaxis()
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(unit)
        axes.margins(x=0.15)
    return Chart(name=name, title=title, caption=caption, figure=figure)


Marker: TypeAlias = tuple[int, float, str, bool]
"""(time in ns, probability of Up at which it was made, "entry" or "exit", whether it was of the Up outcome)."""


def path_chart(
    lines: Mapping[str, Sequence[tuple[int, float]]],
    markers: Sequence[Marker],
    *,
    opens_ns: int,
    closes_ns: int,
    name: str,
    title: str,
) -> Chart:
    """The course of one market in the Up outcome's terms, with what was bought and sold."""
    figure, (axes,) = blank(height=3.4)
    with mpl.rc_context(STYLE):
        for number, (who, points) in enumerate(lines.items()):
            at = times([moment for moment, _ in points])
            width = 1.8 if who == "market" else 1.1
            axes.plot(at, [p for _, p in points], color=colour(who, number), linewidth=width, label=who)
        for what, up, shape in (("entry", True, "^"), ("entry", False, "v"), ("exit", True, "x"), ("exit", False, "x")):
            own = [each for each in markers if each[2] == what and each[3] is up]
            if own:
                axes.scatter(
                    times([each[0] for each in own]),
                    [each[1] for each in own],
                    marker=shape,
                    s=52,
                    color=colour("gain" if up else "loss"),
                    zorder=5,
                    label=f"{what} {'Up' if up else 'Down'}",
                )
        axes.set(ylim=(-0.02, 1.02), ylabel="probability of Up")
        axes.set_xlim(*times([opens_ns, closes_ns]))
        clock_axis(axes)
        if lines or markers:
            legend_above(axes)
    return Chart(
        name=name,
        title=title,
        caption="All in the Up outcome's terms: shares of Down bought at 0.30 stand at 0.70. Times are UTC.",
        figure=figure,
    )
