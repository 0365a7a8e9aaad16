"""What every handler of the web thread may use: settings, the last look, the database, the log, the actions.

What lives here: the one object that is handed around, and reading the database off the web thread's loop. What must
not: answers, HTTP. Nothing here reaches the engine: a look is data, the database is read-only, and an action is a
command file that the daemon takes up by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection

from polystra.adapters.clock import ScaledClock
from polystra.adapters.store.account_reading import AccountReading
from polystra.adapters.store.reading_room import ReadingRoom
from polystra.app.log_ring import LogRing
from polystra.app.settings import Settings
from polystra.app.web.board import Board
from polystra.app.web.books import Books
from polystra.app.web.refusal import Refused
from polystra.domain.errors import StoreError
from polystra.domain.units import NS_PER_MS, NS_PER_S, Nanos
from polystra.ports.audit import ApiAudit
from polystra.ports.clock import Clock
from polystra.ports.viewing import View
from polystra.runtime.log import Log

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """See the module docstring. `clean` takes secrets out of a text; `real` is the system's clock."""

    current: Callable[[], Settings]
    """The settings that hold now: a reload changes them."""
    account: str
    version: str
    board: Board
    room: ReadingRoom
    books: Books
    readers: Executor
    lines: LogRing
    log: Log
    audit: ApiAudit
    clock: Clock
    """The run's, which may be simulated: what times in the database are counted on."""
    real: Clock
    clean: Callable[[str], str]

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return self.current()

    @property
    def speed(self) -> float:
        """Seconds of the run's clock in a real second."""
        return self.clock.speed if isinstance(self.clock, ScaledClock) else 1.0

    @property
    def mode(self) -> str:
        """The mode in a word."""
        return self.settings.mode.value

    def view(self) -> View:
        """The last look; raises Refused (503) while the daemon has shown none yet."""
        view = self.board.view
        if view is None:
            raise Refused(503, "the daemon is starting and has shown nothing yet: ask again in a second")
        return view

    async def study(self, question: Callable[[AccountReading], T]) -> T:
        """Put a question to the whole account, as it was read lately; raises Refused (503) as `read`."""
        return await self.read(lambda connection: question(self.books.account(connection)))

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Put a question to the database, away from this loop; raises Refused (503) when it does not answer."""

        def ask() -> T:
            with self.room.reading() as connection:
                return question(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.readers, ask)
        except StoreError as error:
            raise Refused(503, self.clean(f"the database does not answer: {error}")) from error


def iso(at_ns: Nanos) -> str:
    """A time as text: ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).replace(tzinfo=None)
    return f"{moment.isoformat('T', 'seconds')}.{at_ns % NS_PER_S // NS_PER_MS:03d}Z"


def maybe_iso(at_ns: Nanos | None) -> str | None:
    """The same, None for no time."""
    return iso(at_ns) if at_ns else None


def iso_words(moment: str) -> str:
    """A time as commands tell it (`order_words.moment`) in the way of the server; empty stays empty."""
    return f"{moment.replace(' ', 'T')}Z" if moment else ""
