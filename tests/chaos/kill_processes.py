"""The kill matrix over real processes and sockets: SIGKILL at a point, the plain command again, and the books compared.

What lives here: the processes of one story (exchange, daemon that dies, daemon that comes after) and their end.
What must not: judging (`kill_story`), the matrix and its table (`kill_matrix`).

Each process is forked from this one, so that it need not load the program again; it shares nothing else. The
exchange serves on a socket of its own and moves its book as the story says. The daemon that dies is composed of
what `polystra run` is composed of, with the seams of `kill_points`; the one that comes after it is `polystra run`.
Call it from a process without threads.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from polystra.adapters.clock import ScaledClock, SystemClock
from polystra.adapters.polymarket.signing import SigningKey
from polystra.adapters.polymarket.transport import default_session
from polystra.app.book_reading import read_both
from polystra.app.cli import app
from polystra.app.sessions import (
    configured_endpoints,
    credentials_of,
    on_real_loop,
    shared_clock,
    simulated_key,
    start_log,
)
from polystra.app.settings import load_settings
from polystra.app.wiring import Run, Wallet, run_daemon
from polystra.domain.events import EntryRequested
from polystra.domain.ids import ConditionId
from polystra.domain.market import Outcome
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInExchange, Pace, planned_start_ns
from polystra.exchange.simulation import DEFAULT_EPOCH_S
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink
from tests.chaos.kill_points import Point, Points
from tests.chaos.kill_story import outcome, story, wrong
from tests.simulation.scenario_file import Scenario
from tests.simulation.scenario_runner import Script, arranged, values_of

SEED = 1
SPEED = 20.0
LEAD_S = 240
"""The exchange opens so many simulated seconds before the market does: time for the daemon to start."""
LATE_S = 30
"""A wish that could not be asked in time is not asked: the story would be another one."""
CLOSING = ("take-profit", "stop", "unfilled")
"""Stories that are over when nothing is held any more."""
LONG = "BTC 15m"
"""Their market is longer here: a process that starts on a busy machine takes a simulated minute or two."""
PATIENCE_S = 240.0
"""Real seconds that a story may take at most."""
_LOOK_S = 0.2
_FOLLOW_NS = 8 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one run of a story."""

    points: tuple[Point, ...]
    died: bool
    outcome: str
    wrong: tuple[str, ...]
    took_s: float


def tell(name: str, folder: Path, doom: Point | None = None, *, down_s: float = 0.2, speed: float = SPEED) -> Told:
    """Tell a story with real processes in an empty folder; the daemon dies at `doom` and is back after `down_s`.

    Raises:
        AssertionError: a process ended as it must not; its last words are in the message.
    """
    began = time.monotonic()
    scenario = story(name)
    closes = name in CLOSING
    if closes:
        scenario = replace(scenario, markets=(LONG,))
    exchange = _Child("exchange", folder, lambda: _serve(scenario, folder, speed))
    daemon: _Child | None = None
    try:
        ready = json.loads(_wait_for_file(folder / "ready.json", exchange))
        daemon = _Child("doomed", folder, lambda: _doomed(scenario, folder, ready, doom))
        died = _until_over(folder, ready, daemon, closes=False)
        if died:
            time.sleep(down_s)
            daemon = _Child("daemon", folder, lambda: _daemon(scenario, folder, ready))
            assert not _until_over(folder, ready, daemon, closes=closes), daemon.words()
        daemon.end(signal.SIGTERM)
        settings = load_settings({**values_of(scenario, folder), "CLOB_URL": ready["clob_url"]}, None)
        reading = read_both(settings)
        exchange.end(signal.SIGTERM)
    finally:
        exchange.kill()
        if daemon is not None:
            daemon.kill()
    found = wrong(name, reading, (), paced=True)
    seen = _points(folder / "points.json")
    return Told(seen, died, outcome(reading), tuple(found), time.monotonic() - began)


# --- processes ---------------------------------------------------------------------------


class _Child:
    """A forked process; what it says goes to a file."""

    def __init__(self, name: str, folder: Path, work: Callable[[], None]) -> None:
        self.name = name
        self._path = folder / f"{name}.log"
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _work(self._path, work)

    def poll(self) -> int | None:
        """Its wait status once it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status

    def end(self, number: int) -> None:
        """Ask for its end and wait for it; raises AssertionError when it fails."""
        if self.poll() is None:
            os.kill(self.pid, number)
        deadline = time.monotonic() + PATIENCE_S
        while self.poll() is None:
            assert time.monotonic() < deadline, f"{self.name} does not end: {self.words()}"
            time.sleep(_LOOK_S / 10)
        assert self.status == 0, f"{self.name} ended with {self.status}: {self.words()}"

    def kill(self) -> None:
        """Be sure that it is gone."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)

    def words(self) -> str:
        """The end of what it said."""
        return self._path.read_text(encoding="utf-8", errors="replace")[-2_000:]


def _work(path: Path, work: Callable[[], None]) -> None:
    """The life of a child; it never returns."""
    code = 1
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the child's last words, whatever ended it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait_for_file(path: Path, child: _Child) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert child.poll() is None, f"{child.name} ended: {child.words()}"
        assert time.monotonic() < deadline, f"{child.name} is not ready: {child.words()}"
        time.sleep(_LOOK_S / 10)
    return path.read_text(encoding="utf-8")


def _until_over(folder: Path, ready: dict[str, Any], daemon: _Child, *, closes: bool) -> bool:
    """Wait until the story's market is settled and paid; True when the daemon was killed before.

    With `closes` it is enough that every order has ended and every position is closed.
    """
    deadline = time.monotonic() + PATIENCE_S
    compared = _count(folder, "SELECT count(*) FROM reconciliations")
    is_over = False
    while time.monotonic() < deadline:
        status = daemon.poll()
        if status is not None:
            by_kill = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            assert by_kill, f"{daemon.name} ended with {status}: {daemon.words()}"
            return True
        if is_over:  # looked at once more: it may have died of the very commit that ended the story
            return False
        has_started = _count(folder, "SELECT count(*) FROM reconciliations") > compared
        is_closed = closes and not _count(folder, _OPEN)
        is_over = has_started and (is_closed or _is_over(folder, ready["market"]))
        time.sleep(_LOOK_S)
    raise AssertionError(f"{daemon.name} has not settled in {PATIENCE_S} s: {daemon.words()}")


_OPEN = """
    SELECT (SELECT count(*) FROM orders WHERE status IN ('NEW', 'SUBMITTED', 'IN_DOUBT', 'OPEN', 'PENDING_CANCEL'))
    + (SELECT count(*) FROM positions WHERE pending_shares != 0 OR settled_shares != 0)
    + (SELECT count(*) FROM fills WHERE status NOT IN ('CONFIRMED', 'FAILED'))
"""


def _is_over(folder: Path, market: str) -> bool:
    settled = _count(folder, "SELECT count(*) FROM settlements WHERE condition_id = ?", market)
    return settled > 0 and not _count(folder, "SELECT coalesce(sum(claim), 0) FROM ledger")


def _count(folder: Path, query: str, *values: str) -> int:
    """A figure of the daemon's database; 0 while there is none."""
    path = folder / "polystra-sim.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        [(count,)] = connection.execute(query, values)
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return int(count)


# --- what they do ------------------------------------------------------------------------


def _serve(scenario: Scenario, folder: Path, speed: float) -> None:
    """The exchange: paced, on a socket, its book moved by the story."""
    if scenario.prices:
        scenario = replace(scenario, prices=((-LEAD_S, scenario.prices[0][1]), *scenario.prices))
    _, config = arranged(scenario, folder, seed=SEED)
    config = replace(config, speed=speed, start_ns=(DEFAULT_EPOCH_S - LEAD_S) * NS_PER_S)

    async def serve() -> None:
        epoch_ns = planned_start_ns(config)
        clock = ScaledClock(epoch_ns, speed)
        pace = Pace("paced", epoch_ns, clock.anchor_ns, speed)
        exchange = BuiltInExchange(config, clock, pace=pace, wall=SystemClock())
        script = Script(scenario, exchange, clock)
        urls = await exchange.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, exchange.control.shutdown_requested.set)
        [market] = script.markets.values()
        ready = {"clob_url": urls.clob_url, "market": market.spec.condition_id, "opens_at_s": market.spec.opens_at_s}
        (folder / "ready.new").write_text(json.dumps(ready), encoding="utf-8")
        (folder / "ready.new").rename(folder / "ready.json")
        try:
            async with asyncio.TaskGroup() as group:
                world = group.create_task(exchange.run(), name="exchange")
                await exchange.wait_for_shutdown()
                world.cancel()
        finally:
            await exchange.close()

    on_real_loop(serve())


def _daemon(scenario: Scenario, folder: Path, ready: dict[str, Any]) -> None:
    """`polystra run`."""
    os.environ.update(values_of(scenario, folder), CLOB_URL=ready["clob_url"], LOG_FORMAT="json")
    os.environ["POLYSTRA_ENV_FILE"] = str(folder / "no.env")
    app(["run", "--seed", str(SEED)])


def _doomed(scenario: Scenario, folder: Path, ready: dict[str, Any], doom: Point | None) -> None:
    """The daemon with the seams of a run in which points are seen, and perhaps one is died at."""
    values = {**values_of(scenario, folder), "CLOB_URL": ready["clob_url"], "LOG_FORMAT": "json"}
    settings = load_settings(values, None)
    points = Points(_die, doom)

    async def main() -> None:
        clock = await shared_clock(ready["clob_url"])
        key = simulated_key(SEED)
        run = Run(
            settings=settings,
            symbols=settings.symbols,
            endpoints=configured_endpoints(settings),
            wallet=Wallet(
                key=SigningKey(key),
                credentials=await credentials_of(settings, key),
                signature_type=0,
                funder=None,
            ),
            clock=clock,
            log=start_log(settings, clock),
            chance=Random(f"{SEED}:doomed"),
            session=points.session(default_session),
            store=points.store,
            wishes={"story": _Wishes(scenario, clock, ready)},
        )
        await run_daemon(run)

    on_real_loop(main())
    seen = [[point.place, point.nth, point.moment] for point in points.seen]
    (folder / "points.json").write_text(json.dumps(seen), encoding="utf-8")


def _die() -> None:
    """As the kernel ends a process: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def _points(path: Path) -> tuple[Point, ...]:
    if not path.exists():
        return ()
    return tuple(Point(place, nth, moment) for place, nth, moment in json.loads(path.read_text(encoding="utf-8")))


class _Wishes:
    """Fulfils `EventStream`: the entries that the story asks for."""

    def __init__(self, scenario: Scenario, clock: Clock, ready: dict[str, Any]) -> None:
        self._steps = [step for step in scenario.steps if step.verb == "enter"]
        self._clock = clock
        self._ready = ready

    async def run(self, sink: Sink) -> None:
        """Ask at the story's time, or a little after the start."""
        begun_ns = self._clock.now_ns()
        for number, step in enumerate(self._steps, start=1):
            due_ns = round((self._ready["opens_at_s"] + step.at_s) * NS_PER_S)
            if begun_ns + _FOLLOW_NS > due_ns + LATE_S * NS_PER_S:
                continue
            due_ns = max(due_ns, begun_ns + _FOLLOW_NS)
            await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / NS_PER_S)
            sink(
                EntryRequested(
                    request_id=f"story-{number}",
                    condition_id=ConditionId(self._ready["market"]),
                    outcome=Outcome.UP if step.outcome == "up" else Outcome.DOWN,
                    price=step.price,
                    quantity=step.quantity,
                )
            )
        while True:
            await self._clock.sleep(3_600)
