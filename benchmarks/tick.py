"""Tick to order: from the venue's sending of a price change to its receipt of the signed order, over loopback.

Every bot is a process of its own and they take turns in each round, so that only one is spoken to. Three moods:
`idle` (nothing else is said), `steady` (five hundred other changes a second), `burst` (the change is the last of
fifty-one in one write). The daemon's figure includes the commit of the intent before it leaves.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

import uvloop

from benchmarks import tick_world
from benchmarks.figures import Report, Row, percentile, ratio
from benchmarks.stages import summary
from benchmarks.tick_server import Server, now_ms

SECTION: Final = "3 tick to order over loopback"
MOODS: Final = ("idle", "steady", "burst")
WORDS: Final = {
    "polystra": "polystra, the intent's commit included",
    "floor": "same stack, no engine, no database (the floor)",
    "floor-raw": "the floor over picows and a bare HTTP/1.1 connection",
    "official": "websockets + json + py-clob-client-v2, coincurve",
    "official-plain": "the same, py-clob-client-v2 as installed",
    "sdk": "polymarket-client, async",
}
_STEADY_PAUSE_S: Final = 0.002
_PATIENCE_S: Final = 3.0


class Contest:
    """The bots and the venue that speaks to them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.rng = Random(7)
        self.place = 0
        self.samples: dict[tuple[str, str], list[list[float]]] = {}
        self.missed = 0

    async def trigger(self, bot: str, before: Sequence[str] = ()) -> float | None:
        """Offer Up cheaply; returns the microseconds until the order was here, None when none came."""
        self.place = (self.place + 1) % tick_world.MARKETS
        number = self.place
        self.server.waiting = asyncio.get_running_loop().create_future()
        began = self.server.speak(bot, [*before, tick_world.offer(number, now_ms(), there=True)])
        took: float | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                took = (await self.server.waiting - began) / 1_000
        self.server.waiting = None
        await asyncio.sleep(0.003)
        self.server.speak(bot, [tick_world.offer(number, now_ms(), there=False)])
        return took

    async def be_ready(self, bot: str) -> bool:
        """Wait until a bot has its books and answers triggers."""
        for _ in range(400):
            if bot in self.server.sockets:
                break
            await asyncio.sleep(0.05)
        else:
            return False
        await asyncio.sleep(0.5)
        answered = 0
        for _ in range(20):
            answered += await self.trigger(bot) is not None
            await asyncio.sleep(0.05)
            if answered >= 5:
                return True
        return False

    async def turn(self, bot: str, mood: str, count: int) -> None:
        """One bot's turn in one mood."""
        samples: list[float] = []
        noise = asyncio.ensure_future(self._chatter(bot)) if mood == "steady" else None
        for _ in range(count):
            await asyncio.sleep(self.rng.uniform(0.02, 0.04))
            before = [self._noise() for _ in range(50)] if mood == "burst" else []
            took = await self.trigger(bot, before)
            if took is None:
                self.missed += 1
            else:
                samples.append(took)
        if noise is not None:
            noise.cancel()
        if samples:
            self.samples.setdefault((bot, mood), []).append(samples)

    async def _chatter(self, bot: str) -> None:
        while True:
            self.server.speak(bot, [self._noise()])
            await asyncio.sleep(_STEADY_PAUSE_S)

    def _noise(self) -> str:
        """A change in another market than this trigger's and the next one's, whose tops it would contradict."""
        number = (self.place + 2 + self.rng.randrange(tick_world.MARKETS - 2)) % tick_world.MARKETS
        return tick_world.noise(number, now_ms(), self.rng.randint(1, 9_999))


def start(bot: str, port: int) -> subprocess.Popen[bytes]:
    """Start a bot's process."""
    folder = Path(__file__).resolve().parents[1]
    if bot == "sdk":
        command = [os.environ["BENCH_PEERS"], str(folder / "benchmarks" / "tick_sdk.py"), str(port)]
    else:
        command = [sys.executable, "-m", "benchmarks.tick_bots", bot, str(port)]
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)


async def contest(bots: Sequence[str], *, rounds: int, count: int) -> Contest:
    """Let bots take turns."""
    server = Server()
    await server.open()
    made = Contest(server)
    running = {bot: start(bot, server.port) for bot in bots}
    try:
        ready = [bot for bot in bots if await made.be_ready(bot)]
        for _ in range(rounds):
            for mood in MOODS:
                for bot in ready:
                    await made.turn(bot, mood, count)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
        server.close()
    return made


def measure(report: Report, *, quick: bool) -> None:
    """Print the table of tick to order."""
    bots = ["polystra", "floor", "floor-raw", "official", "official-plain"]
    if os.environ.get("BENCH_PEERS"):
        bots.append("sdk")
    made = uvloop.run(contest(bots, rounds=3 if quick else 8, count=12 if quick else 20))
    for mood in MOODS:
        _rows(report, made.samples, mood, bots)
    _tell_stages(report)
    if made.missed:
        report.tell(f"  {made.missed} triggers were not answered within {_PATIENCE_S:g} s")


def _tell_stages(report: Report) -> None:
    """A run of its own in which the daemon notes the moments on an order's way: where its time goes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stages"
        os.environ["BENCH_STAGES"] = str(path)
        uvloop.run(contest(["polystra"], rounds=2, count=15))
        del os.environ["BENCH_STAGES"]
        report.tell("  where the daemon's time goes, medians over all moods (us):")
        for words, spent in summary(path):
            report.tell(f"    {words:<60}{spent:>8,.0f}  {'#' * round(spent / 25)}")


def _rows(report: Report, samples: dict[tuple[str, str], list[list[float]]], mood: str, bots: Sequence[str]) -> None:
    ours = samples.get(("polystra", mood))
    for bot in bots:
        found = samples.get((bot, mood))
        if not found:
            report.tell(f"  {mood}: {WORDS[bot]} did not answer")
            continue
        flat = [sample for part in found for sample in part]
        row: dict[str, Any] = {
            "section": SECTION,
            "what": f"{mood}: {WORDS[bot]}",
            "p50": median(flat),
            "p99": percentile(flat, 0.99),
        }
        if ours is None or bot == "polystra":
            report.add(Row(**row))
            continue
        mine = [median(part) for part in ours]
        theirs = [median(part) for part in found]
        if bot == "floor":
            own_p99 = percentile([sample for part in ours for sample in part], 0.99)
            report.add(Row(**row))
            report.add(
                Row(
                    section=SECTION,
                    what=f"{mood}: polystra / floor at p50",
                    figure=ratio(mine, theirs),
                    of="x",
                    at_most=1.3,
                ),
                Row(
                    section=SECTION,
                    what=f"{mood}: polystra / floor at p99",
                    figure=own_p99 / row["p99"],
                    of="x",
                    at_most=1.6,
                ),
            )
        elif bot == "floor-raw":
            floor = [median(part) for part in samples.get(("floor", mood), [])]
            if len(floor) == len(theirs):
                gains = [(a - b) / c for a, b, c in zip(floor, theirs, mine, strict=True)]
                row |= {"figure": median(gains), "of": "of ours would be saved"}
            report.add(Row(**row))
        else:
            least = {"official": 1.7, "official-plain": 5.0}.get(bot)
            report.add(Row(**row, figure=ratio(theirs, mine), of="x ours", at_least=least))
