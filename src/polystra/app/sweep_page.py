"""The report of a sweep as a page. It draws, so it is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polystra.app.report_figures import bars_chart
from polystra.app.report_page import Cards, Drawing, Grid, Page, Section
from polystra.app.sweep_result import Sweep, combination_rows, fold_rows, range_text, warnings


def write_page(done: Sweep, data: dict[str, Any], file: Path) -> None:
    """Write the page.

    Raises:
        ConfigError: it cannot be written.
    """
    chart = bars_chart(
        [(f"{number}. {fold['chosen']}"[:60], fold["test_mean"]) for number, fold in enumerate(data["folds"], start=1)],
        name="forward",
        title="What was chosen before, judged after",
        caption="Mean result per independent window in the windows after each choice.",
        unit="dollars per window",
    )
    figures = ("fills", "train $/window", "test $/window", "all $ (95 %)", "t")
    Page(
        title="Sweep",
        lead=f"{data['tries']} combinations, {len(data['folds'])} steps forward, {data['windows_used']} of "
        f"{data['windows']} windows, an embargo of {data['embargo_s']} s.",
        caveats=warnings(done),
        sections=[
            Section(
                title="Walking forward",
                blocks=[
                    Cards(
                        pairs=[
                            ("chosen walking forward, $", range_text(data["walk_forward"])),
                            ("settings as they are, same windows, $", range_text(data["as_set"])),
                            ("t-value of the best of chance", f"{data['best_of_chance']:.2f}"),
                        ]
                    ),
                    Drawing(title=chart.title, caption=chart.caption, svg=chart.svg()),
                    Grid(
                        words=("chosen", "judged from, UTC"),
                        figures=("train $/window", "test $/window", "windows"),
                        rows=fold_rows(data),
                    ),
                ],
            ),
            Section(
                title="Combinations",
                blocks=[
                    Grid(
                        title="Train and test are those of the last step forward",
                        words=("settings",),
                        figures=figures,
                        rows=combination_rows(data),
                    )
                ],
            ),
        ],
    ).write(file)
