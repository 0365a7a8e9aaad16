"""`polystra import`: recordings of others as one that `polystra backtest` and `compare` read.

What lives here: the command and its options, one for each kind of recording. What must not: how a kind is read
(`backtest.imports`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from polystra.adapters.clock import SystemClock
from polystra.app.failures import guarded, settings_from_here
from polystra.backtest.imports.assemble import Piece, assemble, book_pieces, chosen, feed_piece, piece_of
from polystra.backtest.imports.ladders import read_ladders
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.mids import read_mids
from polystra.backtest.imports.sessions import read_session
from polystra.backtest.imports.settlement_feed import read_feed
from polystra.backtest.imports.top_of_book import read_top_of_book
from polystra.backtest.imports.trades import Trades, read_trade_windows
from polystra.backtest.imports.windows import DEFAULT_FEE_PPM, ImportedWindow, read_windows
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.writer import RecordingWriter
from polystra.domain.errors import ConfigError, RecordingError
from polystra.domain.units import NS_PER_S

ORIGIN = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is to be imported, each kind by its own option."""

    windows: Path | None = None
    books: tuple[Path, ...] = ()
    feed: Path | None = None
    seconds: Path | None = None
    ladders: Path | None = None
    mids: Path | None = None
    sessions: tuple[Path, ...] = ()
    trades: Path | None = None
    symbol: str = "BTC"
    fee_ppm: int = DEFAULT_FEE_PPM


def import_sources(sources: Sources, out: Path, report: ImportReport, *, created_ns: int) -> RecordingWriter:
    """Read every piece and write one recording into the folder `out`.

    Raises:
        RecordingError: a file cannot be read or is empty, nothing belongs together, or `out` cannot be written.
    """
    pieces = _pieces(sources, report)
    markets = [market for piece in pieces for market in (*(w.market for w in piece.windows), *piece.markets)]
    inputs = assemble(pieces, report)
    symbols = tuple(dict.fromkeys(market.symbol for market in markets))
    head = Head(origin=ORIGIN, mode=ORIGIN, created_ns=created_ns, symbols=symbols)
    with RecordingWriter(out, head) as writer:
        for now_ns, event in inputs:
            writer.add(event, now_ns)
    return writer


def import_recordings(
    out: Annotated[Path, typer.Argument(help="the folder that the recording is written into")],
    *,
    windows: Annotated[
        Path | None, typer.Option(help="table of windows with slug, start, end and winner, .csv")
    ] = None,
    books: Annotated[
        list[Path] | None, typer.Option(help="SLUG.book.jsonl[.gz] files of full-depth books, or folders of them")
    ] = None,
    feed: Annotated[Path | None, typer.Option(help="settlement feed with feed_ts_ms and value, .csv[.gz]")] = None,
    seconds: Annotated[Path | None, typer.Option(help="one-second top of book, .csv[.gz]; needs --windows")] = None,
    ladders: Annotated[
        Path | None, typer.Option(help="books and spot at a few moments before each close, .jsonl[.gz]")
    ] = None,
    mids: Annotated[Path | None, typer.Option(help="winners with the market's middle before the close, .jsonl")] = None,
    sessions: Annotated[
        list[Path] | None,
        typer.Option(help="NAME.raw_messages.jsonl[.gz] of several feeds, NAME.markets.jsonl beside it"),
    ] = None,
    trades: Annotated[
        Path | None, typer.Option(help="another venue's trades, .csv[.gz], its windows.csv beside it")
    ] = None,
    symbol: Annotated[str, typer.Option(help="the feed's coin where it has no column for it")] = "BTC",
    fee_ppm: Annotated[int, typer.Option(min=0, help="taker's rate of those days in millionths")] = DEFAULT_FEE_PPM,
) -> None:
    """Turn recordings of others into one that `polystra backtest` reads; give what belongs together at once."""
    settings = settings_from_here(local=True)
    sources = Sources(
        windows=windows,
        books=tuple(books or ()),
        feed=feed,
        seconds=seconds,
        ladders=ladders,
        mids=mids,
        sessions=tuple(sessions or ()),
        trades=trades,
        symbol=symbol,
        fee_ppm=fee_ppm,
    )
    report = ImportReport()

    def work() -> RecordingWriter:
        try:
            return import_sources(sources, out, report, created_ns=SystemClock().now_ns())
        except RecordingError as error:
            raise ConfigError(str(error)) from error

    writer = guarded(work, settings)
    for note in report.notes:
        typer.echo(note)
    typer.echo(
        f"{report.messages} lines of {report.files} files used, {report.left_out} left out: "
        f"{writer.inputs} inputs in {writer.files} files, {writer.bytes} bytes in {out}"
    )


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command("import")(import_recordings)


def _pieces(sources: Sources, report: ImportReport) -> list[Piece]:
    table: dict[str, ImportedWindow] = {}
    if sources.windows is not None:
        read = read_windows(sources.windows, report, fee_ppm=sources.fee_ppm)
        table = {window.market.slug: window for window in read}
    elif sources.books or sources.feed or sources.seconds:
        raise RecordingError(
            "--books, --feed and --seconds need --windows, the table that tells which windows there were"
        )
    pieces: list[Piece] = []
    if sources.feed is not None:
        pieces += feed_piece(read_feed(sources.feed, report, symbol=sources.symbol), table)
    pieces += book_pieces(table, _book_files(sources.books), report)
    if sources.seconds is not None:
        inputs, slugs = read_top_of_book(sources.seconds, table, report)
        pieces += piece_of(inputs, windows=chosen(table, slugs))
    if sources.ladders is not None:
        inputs, told = read_ladders(sources.ladders, table, report, fee_ppm=sources.fee_ppm)
        pieces += piece_of(inputs, windows=told, has_prices=True)
    if sources.mids is not None:
        inputs, told = read_mids(sources.mids, table, report, fee_ppm=sources.fee_ppm)
        pieces += piece_of(inputs, windows=told)
    for path in sources.sessions:
        inputs, markets = read_session(path, report)
        pieces += piece_of(inputs, markets=markets, has_prices=True)
    if sources.trades is not None:
        known = read_trade_windows(sources.trades, report, fee_ppm=sources.fee_ppm)
        first_ns = min((window.market.opens_at_s for window in known.values()), default=0) * NS_PER_S
        trades = Trades(sources.trades, known, report)
        pieces.append(Piece(inputs=trades, first_ns=first_ns, windows=tuple(known.values())))
    return pieces


def _book_files(places: tuple[Path, ...]) -> list[Path]:
    """Files as they are named, folders by the books in them, sorted.

    Raises:
        RecordingError: a place does not exist.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise RecordingError(f"--books {place}: does not exist; name a file or a folder of them")
        found += sorted(place.glob("*.book.jsonl*")) if place.is_dir() else [place]
    return found
