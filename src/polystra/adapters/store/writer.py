"""The store on the event loop: one writer, group commit.

While one transaction is in flight, the facts of later `commit` calls gather and go together
in the next one, in the order of the calls. The transaction runs in an executor of one thread
(inline on the deterministic loop), and is no caller's: a caller that is cancelled stops
waiting, its facts are written all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from polystra.adapters.store.lease import Unchanged
from polystra.adapters.store.session import WriteSession
from polystra.domain.errors import InvariantViolation, PolystraError, StoreBusy
from polystra.domain.facts import Fact
from polystra.domain.units import Nanos
from polystra.ports.audit import ApiCall
from polystra.ports.clock import Clock
from polystra.ports.store import StoredState

T = TypeVar("T")
_CHECKPOINT_AFTER_FACTS: Final = 2_000


@dataclass(slots=True, eq=False)
class _Waiting:
    """One `commit` call."""

    facts: Sequence[Fact]
    done: asyncio.Future[None]


class SqlStore:
    """`ports.store.Store` on SQLite or PostgreSQL; made by `open`, used by one event loop."""

    def __init__(self, session: WriteSession, executor: Executor, *, owns_executor: bool) -> None:
        self._session = session
        self._executor = executor
        self._owns_executor = owns_executor
        self._folder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fold") if owns_executor else executor
        """Runs checkpoints, so that no commit waits for the disk behind one."""
        self._waiting: list[_Waiting] = []
        self._flying: asyncio.Future[list[PolystraError | None]] | None = None
        self._folding: asyncio.Future[None] | None = None
        self._since_checkpoint = 0
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        mode: str,
        account: str,
        clock: Clock | None = None,
        lock_folder: Path | None = None,
        unchanged: Unchanged | None = None,
        executor: Executor | None = None,
        durable: bool = False,
    ) -> Self:
        """Open an up-to-date database, stamp it with mode and account (or check the stamp), lock it, take its lease.

        Args:
            url: `sqlite:///file` or `postgresql://...`.
            mode: of this run ("sim", "live", ...).
            account: the wallet's address; compared without case.
            clock: tells the term of the account's lease; None for a short visit, which never takes over by time.
            lock_folder: where a daemon's file lock beside a server's database is.
            unchanged: another's lease that was seen like this for a whole term.
            executor: runs the database's calls; one thread of its own if not given.
            durable: whether each commit to SQLite waits for the disk.

        Raises:
            LeaseHeld: its last holder did not give it up and may be alive.
            StoreBusy: another daemon holds it, or it cannot be reached for now.
            StoreCorrupt: missing, unreadable, or of another schema, mode or account.
            ConfigError: the URL names no database.
        """
        own = executor or ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            opening = partial(
                WriteSession,
                url,
                mode=mode,
                account=account,
                clock=clock,
                lock_folder=lock_folder,
                unchanged=unchanged,
                durable=durable,
            )
            session = await asyncio.get_running_loop().run_in_executor(own, opening)
        except BaseException:
            if executor is None:
                own.shutdown(wait=False)
            raise
        return cls(session, own, owns_executor=executor is None)

    @property
    def description(self) -> str:
        """The database's name for people, without password."""
        return self._session.description

    async def commit(self, facts: Sequence[Fact]) -> None:
        """Make facts durable, all or none; see the contract in `ports.store`.

        Raises:
            StoreBusy: nothing was written; try again.
            StoreConflict: a key is known with another content; nothing was written.
            StoreCorrupt: the database is unusable.
            StoreFenced: another daemon has taken the account over; nothing was written.
            InvariantViolation: a fact breaks a rule of the schema, or the store is closed.
        """
        if self._closed:
            raise InvariantViolation("facts were committed after the store was closed")
        if not facts:
            return
        waiting = _Waiting(facts, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._flying is None:
            self._take_off()
        await waiting.done

    async def load(self) -> StoredState:
        """Read the state of the last run; called before the first commit or between commits."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._session.load)

    @property
    def held_until_ns(self) -> Nanos:
        """Until when nobody else can have taken the account over; see the contract in `ports.tenure`."""
        return self._session.held_until_ns

    async def renew(self) -> None:
        """Begin a new term of the account's lease; see the contract in `ports.tenure`."""
        await self._run(self._session.renew)

    async def begin_run(self, now_ns: Nanos, since_ns: Nanos) -> int:
        """Write down that a run begins to trade; returns how many crashed that began since a moment.

        Raises:
            StoreError: nothing was written.
        """
        return await self._run(partial(self._session.begin_run, now_ns, since_ns))

    async def count_crashes(self) -> None:
        """The crashes so far have had their consequence, and are not told again by `begin_run`; raises StoreError."""
        await self._run(self._session.count_crashes)

    async def end_run(self, now_ns: Nanos, reason: str) -> None:
        """Write down that the run ended in order; raises StoreError."""
        await self._run(partial(self._session.end_run, now_ns, reason))

    async def prune(self, now_ns: Nanos, keep_ns: Nanos) -> int:
        """Delete decisions to skip that are older than `keep_ns`, in small transactions; returns how many went."""
        loop = asyncio.get_running_loop()
        total = 0
        while gone := await loop.run_in_executor(self._executor, self._session.prune, now_ns, keep_ns):
            total += gone
        return total

    async def write_calls(self, calls: Sequence[ApiCall]) -> None:
        """Add to the audit of requests, apart from facts; see the contract in `ports.audit`.

        Raises:
            StoreBusy: nothing was written; try again.
            StoreError: the database is unusable.
            InvariantViolation: a call breaks a rule of the schema, or the store is closed.
        """
        if self._closed:
            raise InvariantViolation("calls were written after the store was closed")
        if not calls:
            return
        loop = asyncio.get_running_loop()
        flight = loop.run_in_executor(self._executor, self._session.write_calls, tuple(calls))
        flight.add_done_callback(_looked_at)
        await asyncio.shield(flight)

    async def prune_calls(self, before_ns: Nanos, routine_before_ns: Nanos) -> int:
        """Delete old calls, routine earlier than others, in small transactions; returns how many went."""
        loop = asyncio.get_running_loop()
        total = 0
        ask = partial(self._session.prune_calls, before_ns, routine_before_ns)
        while gone := await loop.run_in_executor(self._executor, ask):
            total += gone
        return total

    async def close(self) -> None:
        """Write what waits, then release the database; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        while running := {future for future in (self._flying, self._folding) if future is not None}:
            await asyncio.wait(running)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._session.close)
        if self._owns_executor:
            self._executor.shutdown(wait=True)
            self._folder.shutdown(wait=True)

    async def _run(self, work: Callable[[], T]) -> T:
        """A small transaction of its own, which a cancelled caller does not tear."""
        if self._closed:
            raise InvariantViolation("the account's lease was used after the store was closed")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._executor, work))

    # --- group commit -----------------------------------------------------------------

    def _take_off(self) -> None:
        """Send everything that waits as one transaction."""
        group, self._waiting = self._waiting, []
        self._flying = asyncio.get_running_loop().run_in_executor(
            self._executor, self._session.write, [waiting.facts for waiting in group]
        )
        self._flying.add_done_callback(partial(self._landed, group))

    def _landed(self, group: list[_Waiting], flight: asyncio.Future[list[PolystraError | None]]) -> None:
        self._flying = None
        if flight.cancelled():
            results: Sequence[BaseException | None] = [StoreBusy("the commit was abandoned")] * len(group)
        elif (failure := flight.exception()) is not None:
            results = [failure] * len(group)
        else:
            results = flight.result()
        for waiting, error in zip(group, results, strict=True):
            self._since_checkpoint += len(waiting.facts)
            _answer(waiting, error)
        if any(isinstance(error, StoreBusy) for error in results):
            later, self._waiting = self._waiting, []
            for waiting in later:
                _answer(waiting, StoreBusy("an earlier commit must be tried again first"))
        if self._waiting:
            self._take_off()
        elif self._since_checkpoint >= _CHECKPOINT_AFTER_FACTS and not self._closed and self._folding is None:
            self._fold()

    def _fold(self) -> None:
        """Nothing waits: a good moment for the checkpoint."""
        self._since_checkpoint = 0
        self._folding = asyncio.get_running_loop().run_in_executor(self._folder, self._session.checkpoint)
        self._folding.add_done_callback(self._folded)

    def _folded(self, folding: asyncio.Future[None]) -> None:
        self._folding = None
        if not folding.cancelled():
            folding.exception()  # a checkpoint that fails is tried again after the next facts


def _looked_at(flight: asyncio.Future[None]) -> None:
    """Its waiter may have been cancelled: nobody else would look at its error."""
    if not flight.cancelled():
        flight.exception()


def _answer(waiting: _Waiting, error: BaseException | None) -> None:
    if waiting.done.done():
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)
