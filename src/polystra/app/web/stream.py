"""Server-sent events: one stream of looks, facts and log lines for every watcher.

What lives here: the hub with its bounded queues, the pump that feeds it four times a second, the response. What must
not: what a look says (`account`). Each event is encoded once, whoever watches. A watcher that does not read is
dropped when its queue is full; it costs the others nothing, and the trading loop never knows of any of them.

`event: snapshot` is `Snapshot`, when a new look is there (once a second), and at once for a new watcher.
`event: fact` is one committed fact as the log tells it: `{"at", "event", "level", "text", "fields"}`.
`event: log` is one line of the log: `{"number", "timestamp", "level", "event"}` and the fields of that event.
A comment is sent when nothing else was for 15 s, so that both ends see a broken line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web

from polystra.app.web.account import snapshot
from polystra.app.web.refusal import Refused
from polystra.app.web.site import Site, iso
from polystra.domain import facts as ft
from polystra.domain.facts import Fact
from polystra.ports.audit import ApiCall
from polystra.ports.logbook import LogEvent
from polystra.ports.viewing import View
from polystra.runtime.fact_log import FactLog

PUMP_EVERY_S: Final = 0.25
QUEUE: Final = 256
WATCHERS: Final = 64
COMMENT_EVERY_S: Final = 15.0
_FIRST_LINES: Final = 50
_TOLD: Final = (
    ft.IntentDenied,
    ft.IntentRecorded,
    ft.OrderChanged,
    ft.FillRecorded,
    ft.PositionRecorded,
    ft.SettlementRecorded,
    ft.SwitchChanged,
    ft.VenueModeChanged,
    ft.RequestAnswered,
    ft.DecisionRecorded,
    ft.Notice,
)
_EVENTS: Final = ("snapshot", "fact", "log")


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send."""

    only: Annotated[
        Literal["snapshot", "fact", "log"] | None,
        msgspec.Meta(description="snapshot, fact or log: that kind of event alone; all when it is left out"),
    ] = None


class FactLine(msgspec.Struct, frozen=True, kw_only=True):
    """A fact in one line."""

    at: str
    event: str
    level: str
    text: str
    fields: dict[str, str]


class _Collector:
    """Fulfils `Log`: keeps what the fact log would write."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, LogEvent, dict[str, object]]] = []

    def debug(self, event: LogEvent, **fields: object) -> None:
        """Left out: projections that only repeat."""

    def info(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("error", event, fields))


class _Watcher:
    """One client: what still has to be sent to it."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = frozenset(kinds)
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self.dropped = False

    def offer(self, kind: str, event: bytes) -> None:
        if kind not in self.kinds or self.dropped:
            return
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped = True


class Hub:
    """Everybody who watches. Belongs to the web thread's loop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._watchers: dict[_Watcher, Callable[[], None]] = {}
        self._collector = _Collector()
        self._facts = FactLog(self._collector)
        self._count: Callable[[Sequence[Fact], Sequence[ApiCall]], None] | None = None
        self._told_view = 0
        self._told_line = 0
        self._last: bytes = b""
        self.dropped = 0
        """Watchers that did not read and were cut off."""

    def __len__(self) -> int:
        return len(self._watchers)

    def counts(self, count: Callable[[Sequence[Fact], Sequence[ApiCall]], None]) -> None:
        """Hand everything that is taken off the board to somebody who counts it."""
        self._count = count

    async def pump(self) -> None:
        """Feed for ever."""
        while True:
            self.feed()
            await self._site.real.sleep(PUMP_EVERY_S)

    def feed(self) -> None:
        """Take what is new and hand it to every watcher."""
        facts = self._site.board.take()
        calls = self._site.board.take_calls()
        if self._count is not None and (facts or calls):
            self._count(facts, calls)
        view = self._site.board.view
        if view is not None and view.number != self._told_view:
            self._told_view = view.number
            self._site.board.note_view(view)
            if self._watchers:
                self._offer("snapshot", self._snapshot(view))
        self._tell_facts(facts)
        self._tell_lines()
        for watcher, cut in list(self._watchers.items()):
            if watcher.dropped:
                self.dropped += 1
                self._watchers.pop(watcher, None)
                cut()

    async def serve(self, request: web.Request, query: StreamQuery) -> web.StreamResponse:
        """Stream until the client goes, does not read, or the server ends; raises Refused (429) when too many watch."""
        if len(self._watchers) >= WATCHERS:
            raise Refused(429, f"{WATCHERS} others watch already: close one of them")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        watcher = _Watcher(_EVENTS if query.only is None else (query.only,))
        transport = request.transport
        self._watchers[watcher] = transport.abort if isinstance(transport, asyncio.Transport) else _nothing
        try:
            await response.prepare(request)
            self._welcome(watcher)
            await self._send(watcher, response)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._watchers.pop(watcher, None)
        return response

    def close(self) -> None:
        """End every stream."""
        for watcher in list(self._watchers):
            watcher.dropped = True
            with suppress(asyncio.QueueFull):
                watcher.queue.put_nowait(None)

    # --- inside -----------------------------------------------------------------------

    async def _send(self, watcher: _Watcher, response: web.StreamResponse) -> None:
        while True:
            try:
                async with self._site.real.timeout(COMMENT_EVERY_S):
                    event = await watcher.queue.get()
            except TimeoutError:
                event = b": still here\n\n"
            if event is None:
                return
            await response.write(event)

    def _welcome(self, watcher: _Watcher) -> None:
        """What there is now, so that a new page is not empty for a second."""
        view = self._site.board.view
        if view is not None:
            watcher.offer("snapshot", self._snapshot(view))
        for line in self._site.lines.find(limit=_FIRST_LINES)[::-1]:
            watcher.offer("log", _event("log", line.as_object()))

    def _snapshot(self, view: View) -> bytes:
        return _event("snapshot", snapshot(self._site, view))

    def _tell_facts(self, facts: list[Fact]) -> None:
        self._facts.write(fact for fact in facts if isinstance(fact, _TOLD))
        lines, self._collector.lines = self._collector.lines, []
        if not self._watchers or not lines:
            return
        view = self._site.board.view
        at = "" if view is None else iso(view.at_ns)
        for level, event, fields in lines:
            told = {name: self._site.clean(str(value)) for name, value in fields.items() if value is not None}
            text = " ".join(f"{name}={value}" for name, value in told.items())
            line = FactLine(at=at, event=event.value, level=level, text=f"{event.meaning}: {text}", fields=told)
            self._offer("fact", _event("fact", line))

    def _tell_lines(self) -> None:
        lines = self._site.lines.since(self._told_line)
        if lines:
            self._told_line = lines[-1].number
        if self._watchers:
            for line in lines:
                self._offer("log", _event("log", line.as_object()))

    def _offer(self, kind: str, event: bytes) -> None:
        for watcher in self._watchers:
            watcher.offer(kind, event)


def _event(kind: str, what: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(what))


def _nothing() -> None:
    """There is no connection to cut any more."""
