"""Where the time of tick to order goes inside the daemon: moments noted on the way of an order.

The daemon's own functions are wrapped in the bot's process when `BENCH_STAGES` names a file; the figures of a run with
it are not those of the table. Each line of the file is one order: microseconds since its frame came, by stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

from aiohttp.http_writer import StreamWriter

from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.adapters.polymarket.streams import MarketStream
from polystra.adapters.polymarket.transport import HttpTransport
from polystra.adapters.store.session import WriteSession
from polystra.domain.facts import Fact, IntentRecorded
from polystra.engine.core import Engine
from polystra.runtime.loop import EngineLoop
from polystra.runtime.outbox import Outbox

STAGES: Final = ("taken", "stepped", "writing", "written", "durable", "released", "submit", "request", "sent")
WORDS: Final = {
    "taken": "frame decoded, waits in the inbox",
    "stepped": "engine: book, evaluation, intent, signature",
    "writing": "to the writer's thread",
    "written": "transaction",
    "durable": "back to the loop",
    "released": "after the commit: facts told, effects released",
    "submit": "outbox: queue, task",
    "request": "order commands: budget, trace",
    "sent": "headers, aiohttp, until the body is handed to the socket",
}


class Watch:
    """Notes moments; an order's are written when its request begins."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self._frame = 0
        self._moments: dict[str, int] = {}
        self._has_order = False

    def install(self) -> None:
        """Wrap what an order passes."""
        self._before(MarketStream, "_deliver", self._framed)
        self._before(Engine, "step", lambda: self._note("taken"))
        self._around_commit()
        self._before(Outbox, "release", lambda: self._note("released"))
        self._before(PolymarketVenue, "submit", lambda: self._note("submit"))
        self._before(HttpTransport, "_exchange", lambda: self._note("request"))
        self._before(StreamWriter, "_send_headers_with_payload", self._sent)
        self._before(StreamWriter, "_write", self._sent)

    def _framed(self) -> None:
        if not self._has_order:
            self._frame = perf_counter_ns()
            self._moments.clear()

    def _note(self, name: str) -> None:
        self._moments.setdefault(name, perf_counter_ns())

    def _sent(self) -> None:
        if self._has_order and "request" in self._moments:
            self._note("sent")
            took = {name: (self._moments[name] - self._frame) / 1_000 for name in STAGES if name in self._moments}
            self._file.write(json.dumps(took) + "\n")
            self._file.flush()
            self._has_order = False

    def _before(self, owner: type, name: str, note: Callable[[], None]) -> None:
        original = getattr(owner, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            note()
            return original(*given, **named)

        setattr(owner, name, wrapped)

    def _around_commit(self) -> None:
        durable, write = EngineLoop._durable, WriteSession.write
        watch = self

        async def committed(loop: EngineLoop, facts: Sequence[Fact], **named: Any) -> None:
            if any(isinstance(fact, IntentRecorded) for fact in facts):
                watch._has_order = True
                for stage in STAGES[1:]:
                    watch._moments.pop(stage, None)
                watch._note("stepped")
            await durable(loop, facts, **named)
            watch._note("durable")
            watch._moments.pop("released", None)

        def written(session: WriteSession, batches: Any) -> Any:
            watch._note("writing")
            answer = write(session, batches)
            watch._note("written")
            return answer

        EngineLoop._durable = committed  # type: ignore[method-assign]
        WriteSession.write = written  # type: ignore[method-assign]


def summary(path: Path) -> list[tuple[str, float]]:
    """Return the median microseconds between one stage and the next."""
    orders = [json.loads(line) for line in path.read_text().splitlines()]
    orders = [each for each in orders if set(each) == set(STAGES)]
    found: list[tuple[str, float]] = []
    before = ""
    for stage in STAGES:
        spans = [each[stage] - (each[before] if before else 0.0) for each in orders]
        if spans:
            found.append((WORDS[stage], median(spans)))
        before = stage
    return found
