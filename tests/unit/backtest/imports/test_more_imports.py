"""One-second books, ladders, middles, raw sessions and trades of another venue: what each line becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polystra.backtest.imports.assemble import assemble, chosen, feed_piece, piece_of
from polystra.backtest.imports.ladders import read_ladders
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.mids import read_mids
from polystra.backtest.imports.sessions import read_session
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.top_of_book import read_top_of_book
from polystra.backtest.imports.trades import Trades, read_trade_windows
from polystra.backtest.imports.windows import told_window
from polystra.domain.errors import RecordingError
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    MarketResolved,
    MarketsListed,
    PriceSource,
    PriceTicked,
    PublicTrade,
    StreamConnected,
)
from polystra.domain.ids import TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import Side
from polystra.domain.units import E8, MICRO, NS_PER_MS, NS_PER_S
from tests.unit.backtest.imports.importers import KINDS, SLUG, START, WINDOW

KIND = {kind.name: kind for kind in KINDS}
UP, DOWN = WINDOW.market.up_token, WINDOW.market.down_token


def test_a_row_of_seconds_is_the_top_of_both_books_at_that_second(tmp_path: Path):
    inputs, slugs = read_top_of_book(KIND["top of book"].write(tmp_path), {SLUG: WINDOW}, ImportReport())
    first, second = inputs[:2]
    assert slugs == {SLUG}
    assert first == (
        START * NS_PER_S,
        BookSnapshot(
            token_id=UP,
            bids=((460_000, MICRO),),
            asks=((470_000, 6_010_000),),
            at_ns=START * NS_PER_S - 250 * NS_PER_MS,
        ),
    )
    assert second.event == BookSnapshot(
        token_id=DOWN, bids=((530_000, 6_010_000),), asks=((540_000, MICRO),), at_ns=START * NS_PER_S - 250 * NS_PER_MS
    )


def test_a_side_without_offers_is_empty_and_other_windows_are_passed_over(tmp_path: Path):
    report = ImportReport()
    head = KIND["top of book"].lines[0]
    path = tmp_path / "s.csv"
    path.write_text(f"{head}\n{SLUG},{START},0,0,,,0.01,5,0.99,5,,\nother,{START},0,0,,,0.01,5,0.99,5,,\n")
    inputs, _ = read_top_of_book(path, {SLUG: WINDOW}, report)
    assert [(each.event.bids, each.event.asks) for each in inputs if isinstance(each.event, BookSnapshot)] == [
        ((), ((10_000, 5 * MICRO),)),
        (((990_000, 5 * MICRO),), ()),
    ]
    assert report.notes == ["s.csv: line 3 is left out: no row of the outcome table is about its window"]


@pytest.mark.parametrize(
    "cells", ["0,0.5,5,0.4,5,0.53,5,0.54,5", "-1,0.4,5,0.5,5,0.5,5,0.6,5", "0,0.4,0,0.5,5,0.5,5,0.6,5", "0,1.4,1,,,,,,"]
)
def test_a_top_of_book_that_cannot_be_is_left_out(cells: str, tmp_path: Path):
    report = ImportReport()
    path = tmp_path / "s.csv"
    path.write_text(f"{KIND['top of book'].lines[0]}\n{SLUG},{START},0,{cells}\n")
    assert read_top_of_book(path, {SLUG: WINDOW}, report)[0] == []
    assert report.notes == ["s.csv: line 2 is left out: not a top of book"]


def test_a_ladder_is_as_deep_as_its_averages_tell_and_never_cheaper(tmp_path: Path):
    inputs, windows = read_ladders(KIND["ladders"].write(tmp_path), {}, ImportReport(), fee_ppm=70_000)
    opening, spot, up, down = inputs[:4]
    close_ns = (START + 300) * NS_PER_S
    assert opening == (
        START * NS_PER_S,
        PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=65_477 * E8, at_ns=START * NS_PER_S),
    )
    assert isinstance(spot.event, PriceTicked)
    assert (spot.now_ns, spot.event.price) == (close_ns - 118_300 * NS_PER_MS, 6_542_347_000_000)
    assert isinstance(up.event, BookSnapshot)
    assert isinstance(down.event, BookSnapshot)
    assert up.event.asks == ((130_000, 50 * MICRO),)
    assert down.event.asks == ((880_000, 5 * MICRO), (890_000, 45 * MICRO)), "5 at 0.88; 20 cost 17.75; 50 cost 44.45"
    assert down.event.bids == ((870_000, 50 * MICRO),)
    paid = sum(price * size for price, size in down.event.asks) / 50 / MICRO
    assert paid == pytest.approx(889_000, abs=1_000)
    assert (windows[0].winner, windows[0].market.slug) == (Outcome.DOWN, SLUG)


def test_a_ladder_outside_its_window_or_with_another_winner_is_left_out(tmp_path: Path):
    report = ImportReport()
    late = json.loads(KIND["ladders"].lines[0])
    late["samples"][0]["t"] = 5.0
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps(late) + "\n" + KIND["ladders"].lines[0] + "\n")
    assert len(read_ladders(path, {}, report, fee_ppm=1)[1]) == 1
    assert report.notes == ["l.jsonl: line 1 is left out: a sample is 5.0 s from the close, which is not in the window"]
    report = ImportReport()
    assert read_ladders(KIND["ladders"].write(tmp_path), {SLUG: WINDOW}, report, fee_ppm=1)[1][0].market.slug != SLUG
    assert report.notes == ["ladders.jsonl: line 1 is left out: its winner is not the one of the table of windows"]


def test_a_middle_is_a_quote_of_nothing(tmp_path: Path):
    inputs, windows = read_mids(KIND["mids"].write(tmp_path), {SLUG: WINDOW}, ImportReport(), fee_ppm=1)
    up, down = inputs[:2]
    assert windows[0] is WINDOW, "the window of the table, with its tokens"
    assert up == (
        (START + 247) * NS_PER_S,
        BookSnapshot(token_id=UP, bids=((900_000, 1),), asks=((910_000, 1),), at_ns=up.now_ns),
    )
    assert isinstance(down.event, BookSnapshot)
    assert (down.event.bids, down.event.asks) == (((90_000, 1),), ((100_000, 1),))


@pytest.mark.parametrize("middle", [0.0005, 0.9995])
def test_a_middle_at_the_edge_stays_a_price(middle: float, tmp_path: Path):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"ts": START, "up_mid": middle, "up_lag": 53, "winner": "UP"}) + "\n")
    inputs, _ = read_mids(path, {}, ImportReport(), fee_ppm=1)
    for each in inputs:
        assert isinstance(each.event, BookSnapshot)
        (bid, _), (ask, _) = each.event.bids[0], each.event.asks[0]
        assert 0 < bid < ask < MICRO


def test_frames_of_a_session_become_inputs_and_others_are_counted(tmp_path: Path):
    report = ImportReport()
    kind = KIND["session"]
    ticker = json.dumps({"source": "coinbase", "recv_wall_ts": (START + 9) * 1_000, "payload": "{}"})
    path = kind.write(tmp_path, "".join(f"{line}\n" for line in (*kind.lines, ticker)).encode())
    inputs, (market,) = read_session(path, report)
    assert (market.symbol, market.window_s, market.fees.rate_ppm, market.up_token) == ("BTC", 900, 72_000, "U")
    book, changed, minute, update, trade, again = (each.event for each in inputs)
    assert isinstance(book, BookSnapshot)
    assert isinstance(again, BookSnapshot)
    assert (book.token_id, book.bids, book.asks) == ("U", ((400_000, 5 * MICRO),), ())
    assert isinstance(changed, BookChanged)
    assert changed.changes == (("D", Side.SELL, 600_000, 9 * MICRO, None, 600_000),)
    told = [(each.source, each.price) for each in (minute, update, trade) if isinstance(each, PriceTicked)]
    assert told == [
        (PriceSource.SETTLEMENT, 9_950_000_000),
        (PriceSource.SETTLEMENT, 100 * E8),
        (PriceSource.SPOT, 10_150_000_000),
    ]
    assert inputs[0].now_ns == (START * 1_000 + 100) * NS_PER_MS
    assert report.left_out == 1
    assert report.notes == [
        "s.raw_messages.jsonl: frames of feeds that nothing here reads or of other markets are left out: 1 of coinbase"
    ]


def test_a_session_without_its_markets_is_refused(tmp_path: Path):
    path = KIND["session"].write(tmp_path)
    (tmp_path / "s.markets.jsonl").unlink()
    with pytest.raises(RecordingError, match=r"s\.markets\.jsonl: cannot be read"):
        read_session(path, ImportReport())


def test_a_trade_is_told_as_its_taker_made_it(tmp_path: Path):
    report = ImportReport()
    path = KIND["trades"].write(tmp_path)
    windows = read_trade_windows(path, report, fee_ppm=70_000)
    assert "another venue's" in report.notes[0]
    yes, no, *_ = Trades(path, windows, report)
    at_ns = START * NS_PER_S + 250 * NS_PER_MS
    assert yes == (
        at_ns,
        PublicTrade(token_id=TokenId("up:KX-1"), side=Side.BUY, price=490_000, size=30 * MICRO, at_ns=at_ns),
    )
    assert isinstance(no.event, PublicTrade)
    assert (no.event.token_id, no.event.price) == ("down:KX-1", 510_000)
    assert list(windows) == ["KX-1"], "windows of the coin that is traded in the file"
    assert (windows["KX-1"].market.window_s, windows["KX-1"].winner) == (900, Outcome.UP)


# --- put together ---------------------------------------------------------------------------


def test_pieces_come_in_the_order_of_time_with_what_a_stream_says_beside_them(tmp_path: Path):
    report = ImportReport()
    table = {SLUG: WINDOW}
    books, slugs = read_top_of_book(KIND["top of book"].write(tmp_path), table, report)
    feed = read_feed(KIND["feed"].write(tmp_path), report)
    told = list(assemble([*feed_piece(feed, table), *piece_of(books, windows=chosen(table, slugs))], report))
    times = [each.now_ns for each in told]
    assert times == sorted(times)
    kinds = [type(each.event) for each in told]
    assert kinds[:3] == [StreamConnected, StreamConnected, MarketsListed]
    assert kinds.count(MarketsListed) == kinds.count(MarketResolved) == 1
    assert kinds[-1] is MarketResolved
    assert (times[0], times[-1]) == ((START - 30) * NS_PER_S, (START + 330) * NS_PER_S)


def test_a_market_that_nobody_saw_the_end_of_is_listed_and_has_no_verdict(tmp_path: Path):
    inputs, markets = read_session(KIND["session"].write(tmp_path), ImportReport())
    told = list(assemble(piece_of(inputs, markets=markets, has_prices=True), ImportReport()))
    kinds = [type(each.event) for each in told]
    assert MarketResolved not in kinds
    assert kinds.index(MarketsListed) < kinds.index(BookSnapshot)


def test_two_tables_that_disagree_are_said(tmp_path: Path):
    other = told_window({}, SLUG, "Down", 70_000)
    report = ImportReport()
    feed = read_feed(KIND["feed"].write(tmp_path), report)
    pieces = [*piece_of(feed, windows=[WINDOW]), *piece_of(feed, windows=[other])]
    verdicts = [each.event for each in assemble(pieces, report) if isinstance(each.event, MarketResolved)]
    assert [verdict.up_payout for verdict in verdicts] == [MICRO]
    assert report.notes == [f"{SLUG}: two files tell different winners; UP is kept"]
