"""Outcome tables and settlement feeds of other recorders, and whether the rule says what happened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.windows import read_windows
from polystra.backtest.outcomes import derive_outcomes
from polystra.domain.errors import RecordingError
from polystra.domain.events import PriceTicked
from polystra.domain.market import Outcome
from polystra.domain.units import E8, NS_PER_MS

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[5] / "shared")) / "data"
START = 1_784_850_900
HEAD = "slug,start,end,winner,open_price,close_price\n"


def row(number: int, winner: str = "Up", opened: str = "100", closed: str = "101") -> str:
    start = START + number * 300
    return f"btc-updown-5m-{start},{start},{start + 300},{winner},{opened},{closed}\n"


def table(tmp_path: Path, *rows: str, head: str = HEAD) -> Path:
    path = tmp_path / "windows.csv"
    path.write_text(head + "".join(rows))
    return path


def feed(tmp_path: Path, *rows: str, head: str = "feed_ts_ms,value,recv_ms\n") -> Path:
    path = tmp_path / "feed.csv"
    path.write_text(head + "".join(rows))
    return path


def ticks(*prices: tuple[int, str]) -> tuple[str, ...]:
    """Rows by (seconds since the first window's start, price); received 0.4 s later."""
    return tuple(f"{(START + s) * 1_000},{price},{(START + s) * 1_000 + 400}\n" for s, price in prices)


def test_rows_become_markets_with_their_verdicts(tmp_path):
    report = ImportReport()
    second, first = row(1, "DOWN", "100.000000005", ""), row(0)
    windows = read_windows(table(tmp_path, second, first), report, fee_ppm=72_000)
    assert [w.market.slug for w in windows] == [f"btc-updown-5m-{START}", f"btc-updown-5m-{START + 300}"]
    assert [(w.winner, w.up_payout) for w in windows] == [(Outcome.UP, 1_000_000), (Outcome.DOWN, 0)]
    assert (windows[0].open_price, windows[1].open_price, windows[1].close_price) == (100 * E8, 100 * E8, None)
    market = windows[0].market
    assert (market.symbol, market.window_s, market.fees.rate_ppm, market.tick_size) == ("BTC", 300, 72_000, 10_000)
    assert market.up_token != market.down_token
    assert report.notes == []


def test_rows_that_cannot_be_are_left_out_and_said(tmp_path):
    report = ImportReport()
    bad = (
        row(0),
        row(1, "Sideways"),
        row(2).replace("updown", "upper"),
        row(3, opened="x"),
        row(4).replace("-5m-", "-7m-"),
    )
    windows = read_windows(table(tmp_path, row(0), *bad), report)
    assert len(windows) == 1
    assert report.left_out == 5
    assert "windows.csv: line 3 is left out: the window is in the table already" in report.notes
    assert any("the winner of the window is 'Sideways'" in note for note in report.notes)
    assert any("the price 'x' is not a number" in note for note in report.notes)


def test_a_table_without_its_columns_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="has no column 'winner'"):
        read_windows(table(tmp_path, head="slug,start,end\n"), ImportReport())
    with pytest.raises(RecordingError, match="has no column 'value'"):
        read_feed(feed(tmp_path, head="feed_ts_ms,price\n"), ImportReport())


def test_a_feed_comes_in_the_order_in_which_it_was_received(tmp_path):
    report = ImportReport()
    rows = ("2000,101.5,2900\n", "1000,100.25,1300\n", "x,1,1\n", "3000,-1,3100\n", "4000,1e2,\n")
    read = read_feed(feed(tmp_path, *rows), report, symbol="ETH")
    seen = [(r.now_ns // NS_PER_MS, r.event.symbol, r.event.price) for r in read if isinstance(r.event, PriceTicked)]
    assert seen == [(1_300, "ETH", 10_025_000_000), (2_900, "ETH", 10_150_000_000), (5_000, "ETH", 100 * E8)]
    assert report.notes == ["feed.csv: 2 lines (the first is 4) are left out: not a row of a settlement feed"]


def test_the_last_price_at_each_boundary_decides(tmp_path):
    windows = read_windows(table(tmp_path, row(0), row(1, "Down"), row(2), row(3)), ImportReport())
    read = read_feed(
        feed(
            tmp_path,
            *ticks((0, "100"), (300, "100"), (599, "120"), (600, "99"), (901, "98"), (1200, "97"), (1300, "1")),
        ),
        ImportReport(),
    )
    derived = list(derive_outcomes(windows, read))
    assert [each.derived for each in derived] == [Outcome.UP, Outcome.DOWN, None, None]  # no tick at second 900
    assert [each.agrees for each in derived] == [True, True, None, None]


def test_a_correction_counts(tmp_path):
    windows = read_windows(table(tmp_path, row(0, "Down")), ImportReport())
    rows = (
        *ticks((0, "100"), (300, "101")),
        f"{(START + 300) * 1_000},99,{(START + 305) * 1_000}\n",
        *ticks((400, "99")),
    )
    (only,) = derive_outcomes(windows, read_feed(feed(tmp_path, *rows), ImportReport()))
    assert only.agrees


def test_the_rule_says_what_happened_in_every_recorded_window_with_a_complete_feed():
    """Chainlink feed and official winners of 24 July 2026, before the average-price rule."""
    outcomes = SHARED / "outcomes/btc5m_outcomes_20260724.csv"
    prices = SHARED / "settlement_feed/chainlink_btcusd_1hz_20260724.csv.gz"
    if not (outcomes.exists() and prices.exists()):
        pytest.skip(f"the recording {outcomes} is not there")
    report = ImportReport()
    derived = list(derive_outcomes(read_windows(outcomes, report), read_feed(prices, report)))
    assert report.notes == []
    assert len(derived) == 193
    assert sum(each.agrees is True for each in derived) >= 160
    assert [each.window.market.slug for each in derived if each.agrees is False] == []
