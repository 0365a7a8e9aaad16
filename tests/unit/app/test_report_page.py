"""The page of a report: nothing from elsewhere, everything escaped, and the same bytes for the same figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polystra.app.report_figures import bars_chart, drawdowns, equity_chart, reliability_chart
from polystra.app.report_page import Block, Cards, Drawing, Grid, Page, Section, Text
from polystra.backtest.scoring import Bin
from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from tests.unit.app.report_reading import read_page

START_NS = 1_793_628_000 * NS_PER_S
BINS = {"market": [Bin(0.1, 0.2, 5, 0.15, 0.2)], "bayesian": [Bin(0.1, 0.2, 5, 0.16, 0.2)]}


def charts():
    points = [(START_NS + number * 300 * NS_PER_S, float(number % 3)) for number in range(8)]
    return (
        equity_chart(points, marked=points),
        reliability_chart(BINS),
        bars_chart([("fees", -1.0), ("spread", 0.5)], name="costs", title="Costs & <more>", caption=""),
    )


def page(word: str = "plain") -> Page:
    drawn = [Drawing(title=each.title, caption=each.caption, svg=each.svg()) for each in charts()]
    blocks: list[Block] = [
        Cards(pairs=[("result", word)]),
        Text(text=word, warning=True),
        *drawn,
        Grid(title=word, words=("market",), figures=("$",), rows=[(word, "1.00")], folded=True),
    ]
    return Page(title="A report", lead=word, caveats=[word], sections=[Section(title=word, blocks=blocks)], footer=word)


def test_the_page_asks_nothing_of_the_network():
    reading = read_page(page().html())
    assert reading.outside == []
    assert reading.figures == 3
    assert "default-src 'none'" in page().html()


def test_every_id_is_unique_and_every_reference_leads_somewhere():
    reading = read_page(page().html())
    assert reading.inner
    assert reading.inner <= set(reading.ids)
    assert len(reading.ids) == len(set(reading.ids))


def test_what_a_market_is_called_cannot_become_markup():
    text = page("<script>alert(1)</script>\"'&").html()
    assert "<script" not in text
    assert read_page(text).outside == []
    assert "<script>alert(1)</script>" in read_page(text).words


def test_the_page_fits_a_phone_and_the_dark():
    text = page().html()
    assert '<meta name="viewport" content="width=device-width' in text
    assert "prefers-color-scheme: dark" in text
    assert "overflow-x: auto" in text
    for chart in charts():
        svg = chart.svg()
        assert "currentColor" in svg
        assert "#2b303a" not in svg
        assert "fill: #ffffff" not in svg
        assert "<metadata" not in svg


def test_the_same_figures_give_the_same_bytes():
    assert page().html() == page().html()
    for first, second in zip(charts(), charts(), strict=True):
        assert first.png() == second.png()


def test_pictures_are_files_of_their_names(tmp_path: Path):
    made = [chart.save(tmp_path / "new") for chart in charts()]
    assert [each.name for each in made] == ["equity.png", "calibration.png", "costs.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in made)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="the page cannot be written"):
        page().write(tmp_path / "file" / "report.html")
    with pytest.raises(ConfigError, match="the picture cannot be written"):
        charts()[0].save(tmp_path / "file")


def test_a_drawdown_is_measured_from_the_highest_point_or_the_start():
    assert drawdowns([-1.0, 2.0, 1.5, 3.0, 0.0]) == [-1.0, 0.0, -0.5, 0.0, -3.0]


def test_no_command_imports_the_drawing_library_before_it_draws():
    asked = "import sys, polystra.app.cli; print([n for n in ('matplotlib', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_picture_stands_alone_with_its_title():
    first, second = (bars_chart([("fees", -1.0)], name="costs", title=title, caption="") for title in ("One", "Two"))
    assert first.png() != second.png()
    assert first.svg() == second.svg().replace("Two", "One")
