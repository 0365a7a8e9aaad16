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
from collections.abc import Mapping
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
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.errors import PolystraError, StoreCorrupt
from polystra.domain.units import NS_PER_S
from polystra.exchange.account_rules import REALISTIC
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import CoreEvent, TradeEvent
from polystra.exchange.faults.injector import Injected
from polystra.exchange.faults.scenario import read_scenario
from polystra.exchange.model import OrderEvent
from polystra.exchange.modes import Mode
from polystra.exchange.simulation import planned_start_ns
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.store import Store
from polystra.ports.venue import EventStream
from polystra.runtime import deterministic
from polystra.runtime.daemon import RunSummary
from polystra.runtime.deterministic_transport import Latency
from tests.simulation.search_faults import FaultyStore, Killed, spoil_network
from tests.simulation.search_invariants import Watch, at_the_end
from tests.simulation.search_operator import KillSwitch, Operator, Stop
from tests.simulation.search_plan import Crash, Plan
from tests.simulation.search_venue import VenueEye, tapped_session
from tests.unit.runtime.lines import Lines


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a plan came to. `broken` is empty when everything held; `digest` is of the last leg's facts."""

    plan: Plan
    broken: tuple[str, ...]
    digests: tuple[str, ...]
    orders: int
    fills: int
    faults: dict[str, int]
    """Injections by kind, those of store and network included."""
    deaths: dict[str, int]
    """Deaths that really came, by kind."""
    in_flight: int
    """Orders whose last request was unanswered when the daemon died."""
    restarts: int
    simulated_s: int


_PATIENCE_S = 7_200
"""A run that has not settled so long after its eventful part is broken."""
_OPERATOR_GOES_ON_S = 150


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
    eye: VenueEye
    watch: Watch
    begun_ns: int
    kill: KillSwitch
    counts: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    restarts: int = 0
    task: asyncio.Task[RunSummary] | None = None
    waits: Crash | None = None
    seen: int = 0

    @property
    def last_ns(self) -> int:
        """When the last leg begins at the latest."""
        return self.begun_ns + max(60, self.plan.minutes * 60 - 330) * NS_PER_S

    def heard(self, event: CoreEvent) -> None:
        """The venue did something of ours: die now if that is what was waited for."""
        self.eye.heard(event)
        crash = self.waits
        if crash is None or crash.how != "venue" or self.task is None:
            return
        owner = self.eye.owner
        placed = isinstance(event, OrderEvent) and event.type == "PLACEMENT" and event.order.owner == owner
        traded = isinstance(event, TradeEvent) and event.trade.status == "MATCHED"
        if traded and isinstance(event, TradeEvent):
            traded = owner in (event.trade.taker_owner, *(leg.owner for leg in event.trade.legs))
        if (crash.at == "placed" and placed) or (crash.at == "trade" and traded):
            self.seen += 1
            if self.seen >= crash.nth:
                self.waits = None
                self.task.cancel()

    def store(self, inner: Store) -> Store:
        """The journal of one leg."""
        return FaultyStore(
            inner,
            self.clock,
            self.plan.store,
            begun_ns=self.begun_ns,
            chance=Random(f"{self.plan.seed}:store {self.restarts}"),
            crash=lambda: self.waits,
            counts=self.counts,
        )

    def wishes(self) -> dict[str, EventStream]:
        """What the operator of one leg asks for."""
        operator = Operator(
            self.clock,
            Random(f"{self.plan.seed}:operator {self.restarts}"),
            lambda: self.watch.state,
            every_s=self.plan.operator_s,
            until_ns=self.last_ns + _OPERATOR_GOES_ON_S * NS_PER_S,
            name=f"wish-{self.restarts}",
        )
        return {"operator": operator, "kill": self.kill}


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
    broken: list[str] = []

    async def main() -> list[RunSummary]:
        clock = LoopClock(start_ns)
        asyncio.get_running_loop().set_exception_handler(lambda _, told: broken.append(_swallowed(told)))
        exchange = BuiltInExchange(config, clock)
        for mode, second, seconds in plan.modes:
            exchange.core.modes.plan(Mode(mode), start_ns + second * NS_PER_S, seconds)
        eye = VenueEye()
        kill = KillSwitch(clock, plan.kills, start_ns)
        world = _World(plan, exchange, clock, DeathLog(), eye, Watch(clock, eye), start_ns, kill)
        world.watch.late = any(entry.get("with", {}).get("answer") == "live" for entry in plan.faults)
        held["world"] = world
        run = await _run(world, settings)
        exchange.core.add_listener(world.heard)
        exchange.faults.injector.on_injected(lambda entry: _count(world.counts, entry))
        loop = asyncio.get_running_loop()
        beside = [
            loop.create_task(exchange.run(), name="exchange"),
            loop.create_task(spoil_network(plan.network, clock, world.counts), name="network"),
        ]
        try:
            async with clock.timeout(plan.minutes * 60 + _PATIENCE_S):
                return await _legs(world, run)
        except TimeoutError:
            broken.append(f"I6 it has not settled in {plan.minutes} minutes and {_PATIENCE_S} s: {_open(world)}")
            return []
        finally:
            held["simulated_s"] = (clock.now_ns() - start_ns) // NS_PER_S
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await exchange.close()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    summaries: list[RunSummary] = []
    low, high = plan.latency_ms
    try:
        summaries = deterministic.run(
            main(),
            seed=plan.seed,
            start_ns=start_ns,
            latency=Latency(low_s=max(0.0002, low / 1_000), high_s=high / 1_000),
            shuffle_tasks=plan.shuffled,
        )
    except (PolystraError, AssertionError, LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        broken.append(f"ended by {type(error).__name__}: {error}")
    except BaseExceptionGroup as errors:
        broken.append(f"ended by several errors: {errors.exceptions!r}")
    finally:
        structlog.reset_defaults()
    if "world" not in held:
        raise AssertionError(f"the world was not made: {'; '.join(broken)}")
    world: _World = held["world"]
    broken += world.watch.broken
    reading = read_both(settings)
    if summaries:
        broken += at_the_end(build_report(reading), reading, summaries[-1].left_open, world.eye)
    return Verdict(
        plan=plan,
        broken=tuple(dict.fromkeys(broken)),
        digests=tuple(summary.digest for summary in summaries),
        orders=world.watch.orders,
        fills=len(reading.account.fills),
        faults=dict(world.counts),
        deaths=dict(world.deaths),
        in_flight=world.in_flight,
        restarts=world.restarts,
        simulated_s=held["simulated_s"],
    )


async def _run(world: _World, settings: Settings) -> Run:
    """Open the exchange, its account and the daemon's side of the world."""
    plan, exchange = world.plan, world.exchange
    urls = await exchange.start()
    key = SigningKey(simulated_key(plan.seed))
    opened = exchange.open_account(key.address)
    world.eye.owner = opened.key
    return Run(
        settings=settings,
        symbols=plan.symbols,
        endpoints=Endpoints(**{name: getattr(urls, name) for name in Endpoints.__dataclass_fields__}),
        wallet=Wallet(
            key=key,
            credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
            signature_type=0,
            funder=None,
        ),
        clock=world.clock,
        log=world.log,
        chance=Random(f"{plan.seed}:daemon"),
        session=tapped_session(world.watch.left),
        handle_signals=False,
        inspect=world.watch.look,
        store=world.store,
    )


def _swallowed(told: Mapping[str, Any]) -> str:
    """What asyncio would only have logged."""
    error = told.get("exception")
    return f"swallowed: {told.get('message')}: {type(error).__name__}: {error}"


def _count(counts: Counter[str], entry: Injected) -> None:
    counts[entry.kind] += 1


def _open(world: _World) -> str:
    """What keeps a run from ending, in words."""
    state = world.watch.state
    if state is None:
        return "no daemon has committed anything since its start"
    orders = [f"{t.order.terms.client_order_id} {t.order.status}" for t in state.orders.values() if not t.is_settled]
    positions = [p.position_id for p in state.positions.values() if p.shares]
    return f"orders {orders[:4]}, positions {positions[:4]}, blocks {list(state.blocks)}"


async def _legs(world: _World, run: Run) -> list[RunSummary]:
    """Run until each death in turn, then to the settlement of one window's markets."""
    plan, clock = world.plan, world.clock
    summaries: list[RunSummary] = []
    for crash in plan.crashes:
        if clock.now_ns() >= world.last_ns:
            break
        summary = await _until_death(world, run, crash)
        if summary is not None:
            summaries.append(summary)
        world.restarts += 1
        await clock.sleep(crash.down_s)
    if clock.now_ns() < world.last_ns:
        stop = {"stop": Stop(clock, world.last_ns)}
        summaries.append(await _leg(world, run, stop))
        world.restarts += 1
    limit = len(plan.symbols) * len(plan.windows) * 2
    summaries.append(await _leg(world, replace(run, markets_limit=limit), {}))
    return summaries


async def _leg(world: _World, run: Run, wishes: Mapping[str, EventStream]) -> RunSummary:
    """One daemon from its start to its orderly end."""
    world.watch.begin_leg()
    chance = Random(f"{world.plan.seed}:leg {world.restarts}")
    summary = await run_daemon(replace(run, chance=chance, wishes={**world.wishes(), **wishes}))
    if summary.facts != world.watch.facts:
        world.watch.say(f"the watch saw {world.watch.facts} of {summary.facts} facts")
    return summary


async def _until_death(world: _World, run: Run, crash: Crash) -> RunSummary | None:
    clock = world.clock
    by_time = crash.how == "time"
    due_ns = min(world.last_ns, clock.now_ns() + crash.nth * NS_PER_S) if by_time else world.last_ns
    wishes = {"stop": Stop(clock, due_ns)} if crash.orderly or not by_time else {}
    world.waits = None if crash.orderly else crash
    world.log.waits, world.log.seen, world.seen = world.waits, 0, 0
    world.task = asyncio.get_running_loop().create_task(_leg(world, run, wishes), name="daemon")
    try:
        if by_time and not crash.orderly:
            await clock.sleep(max(0, due_ns - clock.now_ns()) / NS_PER_S)
            world.task.cancel()
        return await world.task
    except (Killed, asyncio.CancelledError, StoreCorrupt) as death:
        if isinstance(death, asyncio.CancelledError) and not world.task.done():
            raise
        world.deaths[f"{crash.how} {crash.at}".strip()] += 1
        world.in_flight += world.watch.in_flight()
        return None
    finally:
        world.log.waits = world.waits = world.task = None
