"""Runs one plan: daemon, exchange, crowd and faults under virtual time, with deaths and restarts between.

What lives here: the legs of a run, the deaths, the verdict in words. What must not: drawing plans
(`search_plan`), the invariants themselves (`search_invariants`).

Legs: the daemon runs until its next death, comes back after the pause, and the last leg runs until the
markets of one window have settled and both sides' books can be compared.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app.book_reading import read_both
from polystra.app.report import build_report
from polystra.app.sessions import simulated_key
from polystra.app.settings import load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.errors import PolystraError
from polystra.domain.events import StopMode, StopRequested
from polystra.domain.units import NS_PER_S
from polystra.exchange.account_rules import REALISTIC
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import CoreEvent, TradeEvent
from polystra.exchange.faults.scenario import read_scenario
from polystra.exchange.model import OrderEvent
from polystra.exchange.modes import Mode
from polystra.exchange.simulation import planned_start_ns
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.venue import Sink
from polystra.runtime import deterministic
from polystra.runtime.daemon import RunSummary
from tests.simulation.search_invariants import Watch, at_the_end
from tests.simulation.search_plan import Crash, Plan
from tests.unit.runtime.lines import Lines


class Killed(Exception):
    """The process is gone, as by `kill -9`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a plan came to. `broken` is empty when everything held; `digest` is of the last leg's facts."""

    plan: Plan
    broken: tuple[str, ...]
    digests: tuple[str, ...]
    orders: int
    fills: int
    faults: dict[str, int]
    restarts: int
    simulated_s: int


class DeathLog(Lines):
    """A log that dies with the line it waits for: after the commit, before anything leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Crash | None = None
        self.seen = 0

    def _keep(self, level: str, event: LogEvent, fields: dict[str, object]) -> object:
        if level in ("warning", "error"):
            super()._keep(level, event, fields)
        if self.waits is not None and self.waits.how == "commit" and event.value == self.waits.at:
            self.seen += 1
            if self.seen >= self.waits.nth:
                raise Killed
        return None


@dataclass(slots=True)
class _World:
    plan: Plan
    exchange: BuiltInExchange
    clock: Clock
    log: DeathLog
    watch: Watch = field(default_factory=Watch)
    task: asyncio.Task[RunSummary] | None = None
    waits: Crash | None = None
    seen: int = 0

    def heard(self, event: CoreEvent) -> None:
        """The venue did something of ours: die now if that is what was waited for."""
        crash = self.waits
        if crash is None or crash.how != "venue" or self.task is None:
            return
        placed = isinstance(event, OrderEvent) and event.type == "PLACEMENT" and event.order.owner != ""
        traded = isinstance(event, TradeEvent) and event.trade.status == "MATCHED"
        if (crash.at == "placed" and placed) or (crash.at == "trade" and traded):
            self.seen += 1
            if self.seen >= crash.nth:
                self.waits = None
                self.task.cancel()


class _Stop:
    """Fulfils `EventStream`: asks for an orderly stop at a time."""

    def __init__(self, clock: Clock, at_ns: int) -> None:
        self._clock = clock
        self._at_ns = at_ns

    async def run(self, sink: Sink) -> None:
        """Wait, ask, stay silent."""
        await self._clock.sleep(max(0, self._at_ns - self._clock.now_ns()) / NS_PER_S)
        sink(StopRequested(mode=StopMode.KEEP_EXITS, reason="the plan says so"))
        while True:
            await self._clock.sleep(3_600)


def judge(plan: Plan, folder: Path) -> Verdict:
    """Run a plan in an empty folder and say what did not hold."""
    settings = load_settings(
        {
            "SYMBOLS": ",".join(plan.symbols),
            "WINDOWS": ",".join(plan.windows),
            "DATA_DIR": str(folder),
            "LOG_LEVEL": "ERROR",
            **plan.settings,
        },
        None,
    )
    config = BuiltInConfig(
        seed=plan.seed,
        symbols=plan.symbols,
        windows=plan.windows,
        speed=None,
        books_path=exchange_books_path(settings),
        account_rules=REALISTIC.changed(plan.rules),
        faults=read_scenario({"faults": list(plan.faults)}, "plan") if plan.faults else (),
    )
    start_ns = planned_start_ns(config)
    held: dict[str, Any] = {}

    async def main() -> list[RunSummary]:
        clock = LoopClock(start_ns)
        exchange = BuiltInExchange(config, clock)
        for mode, second, seconds in plan.modes:
            exchange.core.modes.plan(Mode(mode), start_ns + second * NS_PER_S, seconds)
        urls = await exchange.start()
        key = SigningKey(simulated_key(plan.seed))
        opened = exchange.open_account(key.address)
        world = _World(plan, exchange, clock, DeathLog())
        held["world"] = world
        exchange.core.add_listener(world.heard)
        run = Run(
            settings=settings,
            symbols=plan.symbols,
            endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
            wallet=Wallet(
                key=key,
                credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
                signature_type=0,
                funder=None,
            ),
            clock=clock,
            log=world.log,
            chance=Random(f"{plan.seed}:daemon"),
            session=endless_session,
            handle_signals=False,
            inspect=world.watch.look,
        )
        driver = asyncio.get_running_loop().create_task(exchange.run(), name="exchange")
        try:
            return await _legs(world, run)
        finally:
            held["simulated_s"] = (clock.now_ns() - start_ns) // NS_PER_S
            driver.cancel()
            await asyncio.gather(driver, return_exceptions=True)
            await exchange.close()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    broken: list[str] = []
    summaries: list[RunSummary] = []
    try:
        summaries = deterministic.run(main(), seed=plan.seed, start_ns=start_ns)
    except (PolystraError, AssertionError, LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        broken.append(f"ended by {type(error).__name__}: {error}")
    finally:
        structlog.reset_defaults()
    if "world" not in held:
        raise AssertionError(f"the world was not made: {'; '.join(broken)}")
    world: _World = held["world"]
    broken += world.watch.broken
    reading = read_both(settings)
    if summaries:
        broken += at_the_end(build_report(reading), reading, summaries[-1].left_open)
    injector = world.exchange.faults.injector
    return Verdict(
        plan=plan,
        broken=tuple(broken),
        digests=tuple(summary.digest for summary in summaries),
        orders=world.watch.orders,
        fills=len(reading.account.fills),
        faults=dict(Counter(kind.split(":")[0] for kind in _injected(injector))),
        restarts=len(plan.crashes),
        simulated_s=held["simulated_s"],
    )


def _injected(injector: Any) -> list[str]:
    return ["injected"] * injector.injected


async def _legs(world: _World, run: Run) -> list[RunSummary]:
    """Run until each death in turn, then to the settlement of one window's markets."""
    plan, clock = world.plan, world.clock
    begun_ns = clock.now_ns()
    last_ns = begun_ns + max(60, plan.minutes * 60 - 330) * NS_PER_S
    summaries: list[RunSummary] = []
    for number, crash in enumerate(plan.crashes):
        chance = Random(f"{plan.seed}:leg {number}")
        summary = await _until_death(world, replace(run, chance=chance), crash, last_ns, begun_ns)
        if summary is not None:
            summaries.append(summary)
        await clock.sleep(crash.down_s)
    if clock.now_ns() < last_ns:
        stop = {"stop": _Stop(clock, last_ns)}
        summaries.append(await run_daemon(replace(run, chance=Random(f"{plan.seed}:long leg"), wishes=stop)))
    limit = len(plan.symbols) * len(plan.windows) * 2
    summaries.append(await run_daemon(replace(run, chance=Random(f"{plan.seed}:last leg"), markets_limit=limit)))
    return summaries


async def _until_death(world: _World, run: Run, crash: Crash, last_ns: int, begun_ns: int) -> RunSummary | None:
    clock = world.clock
    due_ns = min(last_ns, begun_ns + crash.nth * NS_PER_S) if crash.how == "time" else last_ns
    wishes = {"stop": _Stop(clock, due_ns)} if crash.orderly or crash.how != "time" else {}
    world.waits = None if crash.orderly else crash
    world.log.waits, world.log.seen, world.seen = world.waits, 0, 0
    world.task = asyncio.get_running_loop().create_task(run_daemon(replace(run, wishes=wishes)), name="daemon")
    try:
        if crash.how == "time" and not crash.orderly:
            await clock.sleep(max(0, due_ns - clock.now_ns()) / NS_PER_S)
            world.task.cancel()
        return await world.task
    except (Killed, asyncio.CancelledError):
        return None
    finally:
        world.log.waits = world.waits = world.task = None
