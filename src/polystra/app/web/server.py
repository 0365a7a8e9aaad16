"""The thread that serves: a loop of its own beside the trading loop, so that no watcher ever delays an order.

What lives here: start, the address file, the end. What must not: routes, answers. A port that is busy, or a server
that breaks, is told in one line with its remedy; trading goes on without it. The address in use stands in
`DATA_DIR/api-{mode}.json` (readable by its owner alone), so that commands find the running daemon.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from polystra.app.api_address import AddressFile
from polystra.app.web.application import application
from polystra.app.web.guard import Guard
from polystra.app.web.hooks import HookDoor
from polystra.app.web.site import Site
from polystra.app.web.stream import Hub
from polystra.domain.errors import StoreError

START_S: Final = 10.0
END_S: Final = 3.0
SWITCH_S: Final = 0.000_5
"""How long one thread may keep the interpreter while another waits: what a long answer can cost an order."""
_LOOK_EVERY_S: Final = 0.1


class _OurFaults(logging.Filter):
    """Lets through what is not the sender's fault: a stranger with broken requests fills no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a request that is no HTTP."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


_OUR_FAULTS: Final = _OurFaults()


class WebThread:
    """See the module docstring. `make` builds the site around the readers of the database."""

    def __init__(
        self,
        make: Callable[[ThreadPoolExecutor], Site],
        *,
        host: str,
        port: int,
        file: AddressFile,
        door: HookDoor | None = None,
    ) -> None:
        self._make = make
        self._door = door
        self._host = host
        self._port = port
        self._file = file
        self._started: Future[str] = Future()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="web", daemon=True)

    def start(self) -> str:
        """Begin to serve and return the address; blocks until the port is bound.

        Raises:
            OSError: the port cannot be bound.
            StoreError: the database cannot be read.
            TimeoutError: neither happened in time.
        """
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._thread.start()
        return self._started.result(START_S)

    def close(self) -> None:
        """End; returns within a few seconds whoever still watches."""
        self._closing.set()
        self._file.clear()
        if self._thread.is_alive():
            self._thread.join(END_S)

    # --- inside the thread ------------------------------------------------------------

    def _work(self) -> None:
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        readers = ThreadPoolExecutor(1, thread_name_prefix="web-reader")
        with readers, asyncio.Runner(loop_factory=loop_factory) as runner:
            try:
                runner.run(self._serve(self._make(readers)))
            except (OSError, StoreError) as error:
                if not self._started.done():
                    self._started.set_exception(error)

    async def _serve(self, site: Site) -> None:
        await self._begin(site)
        settings = site.settings
        guard = Guard(
            token=settings.api_token.get_secret_value(),
            host=settings.api_host,
            allowed=settings.api_allowed_hosts,
            clock=site.real,
        )
        hub = Hub(site)
        app = application(site, guard, hub)
        if self._door is not None:
            self._door.mount(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False, logger=_library_log())
        await runner.setup()
        try:
            server = web.TCPSite(runner, self._host, self._port)
            await server.start()
            self._started.set_result(self._address(runner))
            async with asyncio.TaskGroup() as group:
                pump = group.create_task(hub.pump())
                while not self._closing.is_set():
                    await site.real.sleep(_LOOK_EVERY_S)
                hub.close()
                pump.cancel()
        finally:
            await runner.cleanup()
            site.room.close()

    async def _begin(self, site: Site) -> None:
        def read() -> None:
            with site.room.reading() as connection:
                site.board.begin(connection)

        await asyncio.get_running_loop().run_in_executor(site.readers, read)

    def _address(self, runner: web.AppRunner) -> str:
        host, port = runner.addresses[0][:2]
        shown = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host  # noqa: S104
        url = f"http://{shown}:{port}"
        self._file.write(url)
        return url


def _library_log() -> logging.Logger:
    """Where the server's library tells what went wrong."""
    log = logging.getLogger("aiohttp.server")
    log.addFilter(_OUR_FAULTS)
    return log
