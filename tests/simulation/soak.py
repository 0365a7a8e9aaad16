"""Days of trading in one process, to see what grows: `python -m tests.simulation.soak --days 2`.

What lives here: the world of the soak (four coins, windows of 5 and 15 minutes, a slow crowd, light faults), the
sampling each simulated hour, the command. What must not: what is counted and judged (`soak_figures`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import sqlalchemy
import structlog
import typer

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.store import tables
from polystra.app.book_reading import read_both
from polystra.app.report import Report, build_report
from polystra.app.sessions import simulated_key
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.exchange.account_rules import REALISTIC
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.faults.scenario import read_scenario
from polystra.exchange.simulation import planned_start_ns
from polystra.exchange.traders.config import CrowdConfig
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime import deterministic
from polystra.runtime.daemon import Daemon, RunSummary
from tests.simulation.soak_figures import Sample, judge, objects, open_handles, resident_kb, sizes, weight_kb

SYMBOLS = ("BTC", "ETH", "SOL", "XRP")
WINDOWS = ("5m", "15m")
SETTINGS = {
    "WINDOWS": ",".join(WINDOWS),
    "MAX_OPEN_POSITIONS": "30",
    "MAX_EXPOSURE_DOLLARS": "500",
    "DAILY_LOSS_LIMIT_DOLLARS": "100000",
    "MAX_DRAWDOWN_DOLLARS": "100000",
    "MAX_CONSECUTIVE_LOSSES": "100000",
    "MIN_EDGE_PERCENT": "1",
    "LOG_LEVEL": "ERROR",
}
"""The limits of loss are far away: a soak that stops trading measures nothing."""
QUIET = CrowdConfig(pace_percent=10)
FAULTS = (
    {"fault": "request_dropped", "where": {"method": "POST"}, "probability": 0.005},
    {"fault": "reply_dropped", "where": {"method": "POST"}, "probability": 0.005},
    {"fault": "reply_dropped", "where": {"method": "DELETE"}, "probability": 0.01},
    {"fault": "http_error", "probability": 0.002, "with": {"status": 503, "when": "before"}},
    {"fault": "message_dropped", "where": {"stream": "user"}, "probability": 0.005},
    {"fault": "message_duplicated", "where": {"stream": "user"}, "probability": 0.01},
    {"fault": "connection_aborted", "where": {"stream": "market"}, "probability": 0.00002},
    {"fault": "connection_aborted", "where": {"stream": "user"}, "probability": 0.0005},
)
RULES = {"balance_lag_ms": 1_000, "retry_ppm": 10_000, "fail_ppm": 2_000, "late_ppm": 10_000}
_START_CASH = 100_000_000_000


class CountingLog:
    """Fulfils `Log`: counts lines of INFO and above by their names."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def debug(self, event: LogEvent, **fields: object) -> object:
        return None

    def info(self, event: LogEvent, **fields: object) -> object:
        self.counts[event.value] += 1
        return None

    warning = error = info


@dataclass(slots=True)
class Soaked:
    """How it went."""

    samples: list[Sample]
    summary: RunSummary
    report: Report
    lines: Counter[str]
    took_s: float


@dataclass(slots=True)
class _Sampler:
    """One row of figures at the end of every simulated hour."""

    folder: Path
    url: str
    clock: Clock
    exchange: BuiltInExchange
    log: CountingLog
    tell: Callable[[Sample], None]
    every_s: int
    samples: list[Sample] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)
    _lines: int = 0
    _settled: int = 0

    async def run(self, daemon: Daemon, hours: int) -> None:
        """Sample, then ask for the end."""
        for hour in range(1, hours + 1):
            await self.clock.sleep(self.every_s)
            self.samples.append(self._sample(hour, daemon))
            self.tell(self.samples[-1])
        daemon.stop("the soak is over")
        while True:
            await self.clock.sleep(3_600)

    def _sample(self, hour: int, daemon: Daemon) -> Sample:
        rows = self._count_rows()
        own, venue = objects()
        settled, lines = daemon._engine.state.settled_markets, self.log.counts.total()
        wal = sum(path.stat().st_size for path in self.folder.glob("polystra-sim.db-wal"))
        sample = Sample(
            hour=hour,
            memory_kb=resident_kb(),
            venue_kb=weight_kb(self.exchange.core, self.exchange.simulation),
            engine_kb=weight_kb(daemon._engine.state),
            tasks=len(asyncio.all_tasks()),
            handles=open_handles(),
            wal_kb=wal // 1_024,
            log_lines=lines - self._lines,
            markets=settled - self._settled,
            own_objects=own,
            venue_objects=venue,
            state=sizes(daemon),
            rows={name: count - self._rows.get(name, 0) for name, count in rows.items()},
        )
        self._rows, self._lines, self._settled = rows, lines, settled
        return sample

    def _count_rows(self) -> dict[str, int]:
        engine = sqlalchemy.create_engine(self.url)
        try:
            with engine.connect() as connection:
                return {
                    table.name: connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) or 0
                    for table in tables.metadata.sorted_tables
                }
        finally:
            engine.dispose()


def soak(
    hours: int,
    folder: Path,
    *,
    symbols: tuple[str, ...] = SYMBOLS,
    seed: int = 1,
    every_s: int = 3_600,
    tell: Callable[[Sample], None] = lambda _: None,
) -> Soaked:
    """Trade for so many samples, `every_s` simulated seconds apart, in an empty folder."""
    settings = load_settings({**SETTINGS, "SYMBOLS": ",".join(symbols), "DATA_DIR": str(folder)}, None)
    config = BuiltInConfig(
        seed=seed,
        symbols=symbols,
        windows=WINDOWS,
        speed=None,
        books_path=exchange_books_path(settings),
        initial_cash=_START_CASH,
        crowd=QUIET,
        account_rules=REALISTIC.changed(RULES),
        faults=read_scenario({"faults": list(FAULTS)}, "soak"),
    )
    log = CountingLog()
    samplers: list[_Sampler] = []

    async def main() -> RunSummary:
        clock = LoopClock(planned_start_ns(config))
        exchange = BuiltInExchange(config, clock)
        url = settings.resolved_database_url.get_secret_value()
        sampler = _Sampler(folder, url, clock, exchange, log, tell, every_s)
        samplers.append(sampler)
        run = await _run(settings, exchange, clock, log)
        driver = asyncio.get_running_loop().create_task(exchange.run(), name="exchange")
        try:
            return await run_daemon(replace(run, users={"sampler": lambda daemon: sampler.run(daemon, hours)}))
        finally:
            driver.cancel()
            await asyncio.gather(driver, return_exceptions=True)
            await exchange.close()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.perf_counter()
    summary = deterministic.run(main(), seed=seed, start_ns=planned_start_ns(config))
    structlog.reset_defaults()
    report = build_report(read_both(settings))
    return Soaked(samplers[0].samples, summary, report, log.counts, time.perf_counter() - began)


async def _run(settings: Settings, exchange: BuiltInExchange, clock: Clock, log: CountingLog) -> Run:
    urls = await exchange.start()
    key = SigningKey(simulated_key(exchange.config.seed))
    opened = exchange.open_account(key.address)
    return Run(
        settings=settings,
        symbols=exchange.config.symbols,
        endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
        wallet=Wallet(
            key=key,
            credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
            signature_type=0,
            funder=None,
        ),
        clock=clock,
        log=log,
        chance=Random(f"{exchange.config.seed}:soak"),
        session=endless_session,
        handle_signals=False,
    )


# --- the command -------------------------------------------------------------------------

_SHOWN = ("orders", "positions", "markets", "fills", "ledger._seen", "timers", "timers._heap")


def row(sample: Sample) -> str:
    """One hour in one line."""
    states = " ".join(f"{name}={sample.state[name]}" for name in _SHOWN)
    rows = sum(sample.rows.values()) / max(1, sample.markets)
    return (
        f"hour {sample.hour:3} memory {sample.memory_kb // 1_024} MB (exchange {sample.venue_kb} kB, "
        f"engine {sample.engine_kb} kB), tasks {sample.tasks}, handles {sample.handles}, "
        f"log {sample.wal_kb} kB, lines {sample.log_lines}, markets {sample.markets}, rows/market {rows:.0f}, "
        f"objects {sample.own_objects} + {sample.venue_objects} of the exchange, {states}"
    )


def main() -> int:
    """Soak; exit code 1 when something grows or the books do not agree."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description=__doc__)
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hours = max(4, round(told.days * 24))
        soaked = soak(hours, Path(folder), seed=told.seed, tell=lambda sample: typer.echo(row(sample)))
    judged = judge(soaked.samples)
    for each in judged:
        word = "GROWS" if each.grows else "flat"
        typer.echo(
            f"{word:6} {each.name:32} {each.first:12.1f} .. {each.last:12.1f} mean {each.mean:12.1f} "
            f"climb {each.climb:+10.1f} allowed {each.allowed:.1f}"
        )
    report = soaked.report
    simulated_s = len(soaked.samples) * 3_600
    typer.echo(
        f"{report.markets_settled} markets, {report.orders} orders, {report.fills} fills, "
        f"{soaked.summary.facts} facts; {simulated_s} simulated seconds in {soaked.took_s:.0f} s"
    )
    for words in (*report.discrepancies, *map(str, report.adjustments)):
        typer.echo(f"books: {words}")
    return 1 if any(each.grows for each in judged) or report.discrepancies else 0


if __name__ == "__main__":
    sys.exit(main())
