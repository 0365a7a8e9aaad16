"""How one run is watched: the web thread, the board that it reads, and what happens where it cannot be had.

What lives here: joining settings, database, log and thread; start and end. What must not: routes, answers (`web`).
Nothing is served on virtual time: nobody can watch a simulated day that takes a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from polystra import __version__
from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.store.reading_room import ReadingRoom
from polystra.app.alerting import redaction
from polystra.app.api_address import AddressFile
from polystra.app.hook_file import read_hooks
from polystra.app.log_ring import RING
from polystra.app.settings import Settings
from polystra.app.web.board import Board
from polystra.app.web.books import Books
from polystra.app.web.hooks import HookDoor
from polystra.app.web.server import WebThread
from polystra.app.web.site import Site
from polystra.domain.errors import StoreError
from polystra.ports.audit import ApiAudit
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log
from polystra.runtime.signal_desk import SignalDesk


@asynccontextmanager
async def serving(
    current: Callable[[], Settings],
    account: str,
    *,
    clock: Clock,
    log: Log,
    audit: ApiAudit,
    hide: Iterable[str] = (),
    signals: SignalDesk | None = None,
) -> AsyncIterator[Board | None]:
    """Serve while the body runs; yields the board to show the account on, None when nothing is served.

    `current` gives the settings that hold; `hide`: secrets that are not settings; `signals`: where those of
    HOOKS_FILE go.
    """
    settings = current()
    if not settings.enable_api or isinstance(clock, LoopClock):
        yield None
        return
    board = Board()
    room = ReadingRoom(settings.resolved_database_url.get_secret_value())
    clean = redaction(settings, hide)

    def make(readers: ThreadPoolExecutor) -> Site:
        return Site(
            current=current,
            account=account,
            version=__version__,
            board=board,
            room=room,
            books=Books(SystemClock()),
            readers=readers,
            lines=RING,
            log=log,
            audit=audit,
            clock=clock,
            real=SystemClock(),
            clean=clean,
        )

    door = None
    if signals is not None and settings.hooks_file is not None:
        hooks = read_hooks(settings.hooks_file)
        door = HookDoor(hooks, signals, clock=clock, real=SystemClock(), log=log)
    file = AddressFile(settings.data_dir, settings.mode.value)
    thread = WebThread(make, host=settings.api_host, port=settings.api_port, file=file, door=door)
    loop = asyncio.get_running_loop()
    RING.keep(on=True)
    try:
        yield board if await _started(thread, settings, log) else None
    finally:
        await loop.run_in_executor(None, thread.close)
        RING.keep(on=False)


async def _started(thread: WebThread, settings: Settings, log: Log) -> bool:
    """Whether it serves now; when not, people are told what to do about it."""
    where = f"{settings.api_host}:{settings.api_port}"
    try:
        url = await asyncio.get_running_loop().run_in_executor(None, thread.start)
    except (OSError, StoreError, TimeoutError) as error:
        log.warning(
            LogEvent.API_UNAVAILABLE,
            address=where,
            error=str(error) or type(error).__name__,
            remedy="set another API_PORT (0 picks a free one), end what uses it, or set ENABLE_API=NO",
        )
        return False
    acts = "with API_TOKEN" if settings.api_token.get_secret_value() else "none: API_TOKEN is empty"
    log.info(LogEvent.API_STARTED, url=url, actions=acts)
    return True
