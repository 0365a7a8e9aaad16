"""Group commit on real and virtual loops, against a session that records what it is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.session import WriteSession
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import PolystraError, StoreBusy, StoreConflict
from polystra.domain.facts import Fact
from polystra.ports.audit import ApiCall
from polystra.runtime.deterministic import run
from tests.fakes import store_facts as facts


class ScriptedSession:
    """Waits at a gate before each transaction and answers from a script."""

    description = "scripted"

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.gate = threading.Semaphore(0)
        self.answers: list[list[PolystraError | None] | Exception] = []
        self.checkpoints = 0
        self.calls: list[ApiCall] = []
        self.closed = False

    def write(self, batches: Sequence[Sequence[Fact]]) -> list[PolystraError | None]:
        self.gate.acquire()
        assert not self.closed
        self.groups.append(len(batches))
        nothing: list[PolystraError | None] = [None] * len(batches)
        answer = self.answers.pop(0) if self.answers else nothing
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write_calls(self, calls: Sequence[ApiCall]) -> None:
        assert not self.closed
        self.calls.extend(calls)

    def checkpoint(self) -> None:
        self.checkpoints += 1

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def store(session: ScriptedSession) -> SqlStore:
    return SqlStore(cast("Any", session), ThreadPoolExecutor(1), owns_executor=True)


async def _start(store: SqlStore, count: int) -> list[asyncio.Task[None]]:
    calls = [asyncio.ensure_future(store.commit([facts.transfer()])) for _ in range(count)]
    await asyncio.sleep(0)
    return calls


async def test_commits_that_wait_share_the_next_transaction(store: SqlStore, session: ScriptedSession) -> None:
    calls = await _start(store, 10)
    session.gate.release(5)
    await asyncio.gather(*calls)
    assert session.groups == [1, 9]
    await store.close()
    assert session.closed


async def test_each_caller_gets_its_own_answer(store: SqlStore, session: ScriptedSession) -> None:
    session.answers = [[None], [None, StoreConflict("known"), None]]
    calls = await _start(store, 4)
    session.gate.release(2)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), StoreConflict, type(None)]
    await store.close()


async def test_after_busy_nothing_overtakes(store: SqlStore, session: ScriptedSession) -> None:
    session.answers = [[StoreBusy("locked")]]
    calls = await _start(store, 3)
    session.gate.release()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [StoreBusy] * 3
    assert session.groups == [1]
    session.gate.release()
    await store.commit([facts.transfer()])
    await store.close()


async def test_a_bug_below_reaches_every_caller(store: SqlStore, session: ScriptedSession) -> None:
    session.answers = [TypeError("a bug")]
    (call,) = await _start(store, 1)
    session.gate.release()
    with pytest.raises(TypeError, match="a bug"):
        await call
    await store.close()


async def test_a_cancelled_caller_leaves_its_facts_to_be_written(store: SqlStore, session: ScriptedSession) -> None:
    calls = await _start(store, 3)
    calls[0].cancel()
    calls[1].cancel()
    await asyncio.gather(*calls[:2], return_exceptions=True)
    session.gate.release(2)
    await calls[2]
    assert session.groups == [1, 2]
    await store.close()


async def test_close_waits_for_the_flight(store: SqlStore, session: ScriptedSession) -> None:
    calls = await _start(store, 3)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    assert not session.closed
    session.gate.release(2)
    await asyncio.gather(closing, *calls)
    assert session.groups == [1, 2]
    assert session.closed


async def test_the_log_is_folded_when_nothing_waits(store: SqlStore, session: ScriptedSession) -> None:
    session.gate.release(3)
    await store.commit([facts.transfer()] * 1_999)
    assert session.checkpoints == 0
    await store.commit([facts.transfer()])
    await store.close()
    assert session.checkpoints == 1


async def test_calls_that_wait_behind_a_commit_are_written_although_their_caller_is_cancelled(
    store: SqlStore, session: ScriptedSession
) -> None:
    call = ApiCall(
        at_ns=1, method="POST", path="/order", latency_ns=1, status=200, request="", reply="", outcome="live"
    )
    commit = asyncio.ensure_future(store.commit([facts.transfer()]))
    await asyncio.sleep(0)
    writing = asyncio.ensure_future(store.write_calls([call]))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.sleep(0)
    session.gate.release()
    await commit
    await store.close()
    assert session.calls == [call]


async def test_no_facts_is_no_transaction(store: SqlStore, session: ScriptedSession) -> None:
    await store.commit([])
    assert session.groups == []
    await store.close()


def test_it_runs_on_the_deterministic_loop(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    upgrade(url)

    async def program() -> tuple[int, set[str]]:
        store = await SqlStore.open(url, mode="sim", account="0xa")
        await store.commit([facts.market_recorded()])
        async with asyncio.TaskGroup() as group:
            for number in range(1, 20):
                group.create_task(store.commit([facts.intent(facts.order(number))]))
        state = await store.load()
        await store.close()
        return len(state.orders), {thread.name for thread in threading.enumerate() if thread.name.startswith("store")}

    assert run(program(), seed=1, shuffle_tasks=True) == (19, set())


def test_alone_after_a_conflict_nothing_is_written_behind_a_busy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    upgrade(url)
    session = WriteSession(url, mode="sim", account="0xa")
    answers: list[PolystraError | None] = [StoreConflict("of one of them"), None, StoreBusy("locked"), None]
    monkeypatch.setattr(session, "_attempt", lambda _facts: answers.pop(0))
    results = session.write([[facts.skip(number, number)] for number in range(1, 4)])
    session.close()
    assert [type(result) for result in results] == [type(None), StoreBusy, StoreBusy]
    assert answers == [None]


async def test_a_real_checkpoint_empties_the_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    upgrade(url)
    session = WriteSession(url, mode="sim", account="0xa")
    session.write([[facts.market_recorded(), facts.transfer()]])
    before = (tmp_path / "store.db").stat().st_size, (tmp_path / "store.db-wal").stat().st_size
    session.checkpoint()
    session.write([[facts.skip(number, number) for number in range(1, 50)]])
    assert before[1] > 0
    assert (tmp_path / "store.db-wal").stat().st_size <= before[1] + 100_000
    session.close()
