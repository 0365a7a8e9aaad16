"""All faults of one exchange in one place: what its server, sockets and world are given.

What lives here: the parts put together, and the tasks that send delayed messages. What must not: what
a fault does or when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from polystra.exchange.agenda import Agenda
from polystra.exchange.core import ExchangeCore
from polystra.exchange.faults.chain_faults import ChainFaults
from polystra.exchange.faults.injector import Injector
from polystra.exchange.faults.rest_faults import RestFaults
from polystra.exchange.faults.stream_faults import FaultySocket
from polystra.ports.clock import Clock


class FaultDesk:
    """The faults of one exchange; `attach` a task group while it runs."""

    def __init__(self, core: ExchangeCore, clock: Clock, agenda: Agenda, injector: Injector) -> None:
        self.injector = injector
        self._core = core
        self._clock = clock
        self._rest = RestFaults(core, clock, injector)
        self._chain = ChainFaults(core, agenda, injector, self._announce)
        self.hold_verdict = self._chain.hold_verdict
        self._group: asyncio.TaskGroup | None = None
        self._sockets: dict[str, FaultySocket] = {}
        self._connections = 0

    def install(self, app: web.Application) -> None:
        """Put the middleware in front of an application and the sockets' hook into it."""
        app.middlewares.append(self._rest.middleware())
        app[FAULTS] = self

    def attach(self, group: asyncio.TaskGroup) -> None:
        """Take the task group that carries what is sent later."""
        self._group = group

    def socket(self, stream: str, **options: Any) -> FaultySocket:  # noqa: ANN401 - aiohttp's own
        """Return a new connection's socket."""
        self._connections += 1
        socket = FaultySocket(
            stream,
            self._connections,
            core=self._core,
            clock=self._clock,
            injector=self.injector,
            later=self._later,
            **options,
        )
        self._forget_closed()
        self._sockets[socket.subject] = socket
        return socket

    def _forget_closed(self) -> None:
        for subject in [subject for subject, socket in self._sockets.items() if socket.prepared and socket.closed]:
            del self._sockets[subject]
            self.injector.forget(subject)

    def _announce(self, text: str) -> None:
        for subject, socket in self._sockets.items():
            if subject.startswith("market#") and socket.prepared and not socket.closed:
                self._later(socket.inject(text))

    def _later(self, sending: Coroutine[Any, Any, None]) -> None:
        """Run a sending in the background; without a running exchange nothing is sent late."""
        if self._group is None:
            sending.close()
            return
        self._group.create_task(sending)


FAULTS: web.AppKey[FaultDesk] = web.AppKey("faults", FaultDesk)


def stream_socket(request: web.Request, stream: str, **options: Any) -> web.WebSocketResponse:  # noqa: ANN401
    """Return the socket of a connection: one that may be faulty where the application has a fault desk."""
    desk = request.config_dict.get(FAULTS)
    return web.WebSocketResponse(**options) if desk is None else desk.socket(stream, **options)


def is_half_open(socket: web.WebSocketResponse) -> bool:
    """Tell whether a fault keeps a connection open that carries nothing, so that its silence is no reason to end it."""
    return isinstance(socket, FaultySocket) and socket.half_open
