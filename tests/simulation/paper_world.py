"""A paper daemon beside the built-in exchange on the deterministic loop, which stands for the venue.

What lives here: that world, and what it leaves behind. What must not: judgements.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import structlog
from aiohttp import ClientSession, TraceConfig, TraceRequestStartParams

from polystra.adapters.clock import LoopClock
from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import endpoints_of, start_log
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Run, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, planned_start_ns
from polystra.runtime import deterministic
from polystra.runtime.daemon import Daemon, RunSummary
from tests.fakes.calibration import written


@dataclass
class PaperWorld:
    """What a run leaves behind."""

    settings: Settings
    summaries: list[RunSummary] = field(default_factory=list)
    requests: set[tuple[str, str]] = field(default_factory=set)
    """(method, path) of everything that the daemon asked over HTTP."""
    strangers: list[str] = field(default_factory=list)
    """Accounts at the exchange that are not the house's: an order without one is not taken."""

    def report(self) -> Report:
        return build_report(read_both(self.settings))


def paper_settings(folder: Path, **more: str) -> Settings:
    fixed = {"MODE": "paper", "WINDOWS": "5m", "DATA_DIR": str(folder), "LOG_LEVEL": "ERROR", "ENABLE_API": "NO"}
    fixed["CALIBRATION_FILE"] = str(written(folder / "calibration"))
    return load_settings(fixed | more, None)


class Crash(Exception):
    """Raised by the user of a leg: the daemon dies here."""


@dataclass(frozen=True)
class Leg:
    """One run: it ends after so many settled markets, or as its user has it."""

    markets: int = 0
    user: Callable[[Daemon], Coroutine[Any, Any, None]] | None = None


def trade_on_paper(settings: Settings, *legs: Leg, seed: int = 7) -> PaperWorld:
    """Run daemons one after another on one exchange and one database."""
    world = PaperWorld(settings)
    config = BuiltInConfig(
        seed=seed,
        symbols=settings.symbols,
        windows=settings.windows,
        speed=None,
        books_path=exchange_books_path(settings),
    )
    deterministic.run(_trade(world, config, legs), seed=seed, start_ns=planned_start_ns(config))
    structlog.reset_defaults()
    return world


async def _trade(
    world: PaperWorld,
    config: BuiltInConfig,
    legs: tuple[Leg, ...],
) -> None:
    clock = LoopClock(planned_start_ns(config))
    log = start_log(world.settings, clock)
    exchange = BuiltInExchange(config, clock)
    urls = await exchange.start()

    def session() -> ClientSession:
        made = endless_session()
        trace = TraceConfig()

        async def started(_session: ClientSession, _context: object, sent: TraceRequestStartParams) -> None:
            world.requests.add((sent.method, sent.url.path))

        trace.on_request_start.append(started)
        trace.freeze()
        made.trace_configs.append(trace)
        return made

    run = Run(
        settings=world.settings,
        symbols=config.traded_symbols,
        endpoints=endpoints_of(urls),
        wallet=None,
        clock=clock,
        log=log,
        chance=Random(f"{config.seed}:daemon"),
        session=session,
        handle_signals=False,
        beside={"exchange": exchange.run},
    )
    try:
        for leg in legs:
            users = {} if leg.user is None else {"user": leg.user}
            with suppress(Crash):
                world.summaries.append(await run_daemon(replace(run, markets_limit=leg.markets, users=users)))
        world.strangers += [each.owner for each in exchange.core.books().accounts.values() if not each.house]
    finally:
        await exchange.close()
