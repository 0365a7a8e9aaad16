"""The built-in exchange as a process of its own: any client of the venue's protocol may connect."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from polystra.adapters.clock import ScaledClock, SystemClock
from polystra.app.sessions import DEFAULT_SEED, load_faults, load_prices, on_real_loop, start_log, tell_faults
from polystra.app.settings import Settings
from polystra.app.worlds import books_held, clear_books, exchange_books_path
from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, Pace, planned_start_ns
from polystra.exchange.recording import load_recording
from polystra.exchange.replay import replaying

_LONGEST_WINDOW_NS: Final = 900 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """What the command line says of the exchange."""

    port: int
    speed: float
    seed: int | None = None
    prices: Path | None = None
    replay: Path | None = None
    scenario: Path | None = None
    real_time: bool = False
    """Today's windows on the machine's clock, with empty books: what a client in live mode expects."""


def run_exchange(settings: Settings, options: ExchangeOptions) -> None:
    """Serve until a signal or the control endpoint ends it.

    Raises:
        ConfigError: the port or the books are taken, or a file (prices, recording, scenario, books) cannot be read.
    """
    seed = DEFAULT_SEED if options.seed is None else options.seed
    books_path = exchange_books_path(settings)
    if options.real_time and not (options.prices is None and options.replay is None):
        raise ConfigError("--real-time is today, a recording is of its own day: give one of them")
    config = BuiltInConfig(
        start_ns=_todays_start_ns() if options.real_time else None,
        seed=seed,
        symbols=settings.symbols,
        windows=settings.windows,
        series=load_prices(options.prices, seed),
        speed=options.speed,
        books_path=books_path,
        port=options.port,
        faults=load_faults(options.scenario),
    )
    if options.replay is not None:
        config = replaying(config, load_recording(options.replay))
    with books_held(books_path):
        if options.real_time or not (options.seed is None and options.prices is None and options.replay is None):
            clear_books(books_path)
        on_real_loop(_serve(settings, config, options))


def _todays_start_ns() -> int:
    """The beginning of the longest window that is open now."""
    return SystemClock().now_ns() // _LONGEST_WINDOW_NS * _LONGEST_WINDOW_NS


async def _serve(settings: Settings, config: BuiltInConfig, options: ExchangeOptions) -> None:
    epoch_ns = planned_start_ns(config)
    clock = ScaledClock(epoch_ns, options.speed, anchor_ns=epoch_ns if options.real_time else None)
    pace = Pace("paced", epoch_ns, clock.anchor_ns, options.speed)
    exchange = BuiltInExchange(config, clock, pace=pace, wall=SystemClock())
    urls = await exchange.start()
    sys.stdout.write(msgspec.json.encode(asdict(urls)).decode() + "\n")
    sys.stdout.flush()
    tell_faults(start_log(settings, clock), exchange)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, exchange.control.shutdown_requested.set)
    try:
        async with asyncio.TaskGroup() as group:
            world = group.create_task(exchange.run(), name="exchange")
            await exchange.wait_for_shutdown()
            world.cancel()
    finally:
        await exchange.close()
