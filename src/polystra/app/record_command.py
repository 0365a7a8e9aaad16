"""`polystra record`: what the public streams say of the configured markets, into files that `backtest` reads.

What lives here: the command, its options, the wiring of the recorder. What must not: recording
(`backtest.stream_recorder`), the format. There is no account in it: nothing is signed, nothing is sent.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from polystra.adapters.entropy import system_chance
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.public_venue import PublicVenue
from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.adapters.polymarket.streams import MarketStream
from polystra.adapters.spot.binance import SpotStream
from polystra.app.engine_settings import engine_config
from polystra.app.failures import guarded, settings_from_here
from polystra.app.sessions import configured_endpoints, on_real_loop, public_clock, start_log
from polystra.app.settings import Settings
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.index import IndexLine, complete_index
from polystra.backtest.recordings.writer import Sizes
from polystra.backtest.stream_recorder import RETRY_S, Sources, StreamRecorder
from polystra.domain.errors import ConfigError, RecordingError, VenueError
from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log

ORIGIN: Final = "record"


class _Told:
    """The recorder's lines."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def rotated(self, line: IndexLine) -> None:
        """A file is whole."""
        self._log.info(
            LogEvent.RECORDING_ROTATED,
            file=line.file,
            inputs=line.inputs,
            bytes=line.bytes,
            seconds=(line.last_ns - line.first_ns) // NS_PER_S,
            markets=len(line.markets),
        )

    def failed(self, error: RecordingError) -> None:
        """The disk takes nothing."""
        self._log.error(LogEvent.RECORDING_FAILED, error=str(error), tried_again=f"every {RETRY_S} s")

    def resumed(self) -> None:
        """It does again."""
        self._log.info(LogEvent.RECORDING_RESUMED)

    def unanswered(self, question: str, error: VenueError) -> None:
        """A question failed."""
        self._log.warning(LogEvent.QUESTION_FAILED, question=question, error=str(error))


def record(
    out: Annotated[Path, typer.Argument(help="the folder that the files go into; it is made where it is missing")],
    *,
    rotate_hours: Annotated[float, typer.Option(min=0.01, help="a new file after this many hours")] = 1.0,
    rotate_megabytes: Annotated[float, typer.Option(min=0.01, help="a new file after this many megabytes")] = 64.0,
    markets: Annotated[int, typer.Option(min=0, help="end after this many resolved markets; 0: run on")] = 0,
) -> None:
    """Record what the streams say of SYMBOLS and WINDOWS: books, trades, prices, verdicts; no key is needed."""
    settings = settings_from_here(local=True)
    sizes = Sizes(file_bytes=round(rotate_megabytes * 1_000_000), file_s=max(1, round(rotate_hours * 3_600)))
    guarded(lambda: run_record(settings, out, sizes, markets), settings)


def run_record(settings: Settings, out: Path, sizes: Sizes, markets: int) -> None:
    """Record until a signal, or until so many markets are resolved.

    Raises:
        ConfigError: the folder cannot be used, or the settings name no server.
    """
    try:
        with _held(out):
            on_real_loop(_record(settings, out, sizes, markets))
    except RecordingError as error:
        raise ConfigError(str(error)) from error


async def _record(settings: Settings, out: Path, sizes: Sizes, markets: int) -> None:
    clock = await clock_of(settings)
    log = start_log(settings, clock)
    for sentence in complete_index(out, ORIGIN):
        log.warning(LogEvent.RECORDING_FOUND, found=sentence)
    urls, chance = configured_endpoints(settings), system_chance()
    venue = PublicVenue(base_url=urls.clob_url, clock=clock, rng=chance)
    discovery = GammaDiscovery(base_url=urls.gamma_url, clock=clock, rng=chance)
    head = Head(
        origin=ORIGIN,
        mode=settings.mode.value if settings.listens_to_venue else "sim",
        created_ns=clock.now_ns(),
        symbols=settings.symbols,
        windows=settings.windows,
    )
    recorder = StreamRecorder(
        folder=out,
        head=head,
        sizes=sizes,
        config=engine_config(settings, symbols=settings.symbols, salt_seed=bytes(32)),
        sources=Sources(
            market_stream=MarketStream(url=urls.market_ws_url, clock=clock, rng=chance),
            streams={
                "prices": RtdsStream(url=urls.rtds_url, symbols=settings.symbols, clock=clock, rng=chance),
                "spot": SpotStream(url=urls.spot_ws_url, symbols=settings.symbols, clock=clock, rng=chance),
            },
            discovery=discovery,
            questions=venue,
        ),
        clock=clock,
        notes=_Told(log),
        markets_limit=markets,
    )
    log.info(LogEvent.RECORDING_STARTED, folder=str(out), server=urls.clob_url, symbols=",".join(settings.symbols))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, recorder.stop)
    try:
        await recorder.run()
    finally:
        await venue.close()
        await discovery.close()
    writer = recorder.writer
    log.info(
        LogEvent.RECORDING_ENDED,
        folder=str(out),
        files=writer.files,
        inputs=writer.inputs,
        bytes=writer.bytes,
        markets=recorder.resolved,
    )


async def clock_of(settings: Settings) -> Clock:
    """This machine's clock against the venue, the exchange's own against a built-in one.

    Raises:
        ConfigError: there is no server that could be listened to.
    """
    if not settings.url("clob_url"):
        raise ConfigError(
            "CLOB_URL is empty, but a recorder needs a server to listen to: set MODE=paper for the venue's, or start "
            "`polystra exchange` and set CLOB_URL to its clob_url"
        )
    return await public_clock(settings)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One recorder a folder: the index would otherwise name files that are still written.

    Raises:
        ConfigError: another one records there, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "record.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be used ({error.strerror}); name a folder that can be written") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder}: another recorder writes there; name another folder or stop it") from error
        yield
    finally:
        os.close(lock)


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(record)
