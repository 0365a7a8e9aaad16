"""One holder of an account: epochs that fence, terms that end, and what proves a holder dead."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from polystra.adapters.store import lease
from polystra.adapters.store.database import make_engine, parse_url
from polystra.adapters.store.lease import Unchanged
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import LeaseHeld, StoreBusy, StoreFenced
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S
from polystra.ports.tenure import RENEW_S, TERM_S
from tests.fakes import store_facts as facts
from tests.fakes.clock import ManualClock

ROOT = Path(__file__).resolve().parents[2]
T0 = 1_700_000_000 * NS_PER_S


async def _open(url: str, clock: ManualClock | None, unchanged: Unchanged | None = None) -> SqlStore:
    return await SqlStore.open(url, mode="sim", account="0xa", clock=clock, unchanged=unchanged)


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def _take_over(url: str) -> None:
    """What another daemon's opening does to the row, the locks apart: they do not reach over hosts."""
    _execute(url, "UPDATE lease SET epoch = epoch + 1, host = 'elsewhere', pid = 77, since_ns = 1700000100000000000")


FENCED = r"another polystra \(process 77 on elsewhere, since 2023-11-14 22:15:00 UTC\) has taken over the account"


async def test_a_holder_that_was_taken_over_commits_nothing(database_url: str) -> None:
    clock = ManualClock(T0)
    store = await _open(database_url, clock)
    await store.commit([facts.market_recorded()])
    _take_over(database_url)
    intent: list[Fact] = [facts.transfer(), facts.intent()]
    for _ in range(2):
        with pytest.raises(StoreFenced, match=FENCED) as caught:
            await store.commit(intent)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreFenced):
        await store.renew()
    with pytest.raises(StoreFenced):
        await store.prune(T0 + 10**18, 0)
    with pytest.raises(StoreFenced):
        await store.begin_run(T0, 0)
    assert _execute(database_url, "SELECT count(*) FROM ledger") == [(0,)]
    assert _execute(database_url, "SELECT count(*) FROM order_intents") == [(0,)]
    await store.close()
    assert _execute(database_url, "SELECT epoch, expires_ns > 0 FROM lease") == [(2, True)]


async def test_of_commits_in_one_group_none_is_written_when_fenced(database_url: str) -> None:
    store = await _open(database_url, ManualClock(T0))
    _take_over(database_url)
    results = await asyncio.gather(
        *(store.commit([facts.transfer(number)]) for number in range(1, 4)), return_exceptions=True
    )
    assert [type(result) for result in results] == [StoreFenced] * 3
    assert _execute(database_url, "SELECT count(*) FROM ledger") == [(0,)]
    await store.close()


async def test_commits_renew_the_term_when_it_is_due_and_only_then(database_url: str) -> None:
    clock = ManualClock(T0)
    store = await _open(database_url, clock)
    assert store.held_until_ns == T0 + TERM_S * NS_PER_S
    await clock.advance(RENEW_S - 1)
    await store.commit([facts.transfer()])
    assert store.held_until_ns == T0 + TERM_S * NS_PER_S
    await clock.advance(1)
    await store.commit([facts.market_recorded()])
    assert store.held_until_ns == clock.now_ns() + TERM_S * NS_PER_S
    assert _execute(database_url, "SELECT renewed_ns, expires_ns FROM lease") == [(clock.now_ns(), store.held_until_ns)]
    await clock.advance(1)
    await store.renew()
    assert store.held_until_ns == clock.now_ns() + TERM_S * NS_PER_S
    await store.close()


async def test_a_term_that_could_not_be_written_is_not_believed(database_url: str) -> None:
    clock = ManualClock(T0)
    store = await _open(database_url, clock)
    await store.commit([facts.transfer(1)])
    await clock.advance(RENEW_S)
    with pytest.raises(Exception, match="already"):
        await store.commit([facts.transfer(2), facts.transfer(3)])
    assert store.held_until_ns == T0 + TERM_S * NS_PER_S
    await store.close()


async def test_an_orderly_end_gives_the_account_up_at_once(database_url: str) -> None:
    for _ in range(3):
        store = await _open(database_url, ManualClock(T0))
        await store.close()
    assert _execute(database_url, "SELECT epoch, expires_ns FROM lease") == [(3, 0)]


async def test_a_visit_leaves_no_term_behind(database_url: str) -> None:
    visit = await _open(database_url, None)
    await visit.commit([facts.transfer()])
    assert _execute(database_url, "SELECT epoch, expires_ns FROM lease") == [(1, 0)]
    await visit.close()


def _leave_behind(url: str, *, proof: str, expires_ns: int) -> None:
    """A lease whose holder is gone without a word."""
    _execute(url, "DELETE FROM lease")
    _execute(
        url,
        "INSERT INTO lease (id, epoch, host, pid, proof, since_ns, renewed_ns, expires_ns) "
        f"VALUES (1, 5, 'elsewhere', 77, '{proof}', {T0}, {T0}, {expires_ns})",
    )


async def test_a_lease_of_another_kernel_is_taken_only_after_its_term(database_url: str) -> None:
    _leave_behind(database_url, proof="another-boot 1:2", expires_ns=T0 + 30 * NS_PER_S)
    clock = ManualClock(T0 + 10 * NS_PER_S)
    with pytest.raises(LeaseHeld, match=r"process 77 on elsewhere, since .* or wait 20 s") as caught:
        await _open(database_url, clock)
    assert (caught.value.epoch, caught.value.renewed_ns, caught.value.wait_s) == (5, T0, 20)
    with pytest.raises(LeaseHeld):
        await _open(database_url, None)
    await clock.advance(20)
    store = await _open(database_url, clock)
    assert _execute(database_url, "SELECT epoch, host FROM lease") == [(6, platform.node())]
    await store.close()


async def test_a_term_by_a_wrong_clock_ends_after_it_was_seen_unchanged(database_url: str) -> None:
    _leave_behind(database_url, proof="another-boot 1:2", expires_ns=T0 + 10**9 * NS_PER_S)
    with pytest.raises(LeaseHeld) as caught:
        await _open(database_url, ManualClock(T0))
    assert caught.value.wait_s == TERM_S
    with pytest.raises(LeaseHeld):
        await _open(database_url, ManualClock(T0), Unchanged(5, T0 - 1))
    store = await _open(database_url, ManualClock(T0), Unchanged(5, T0))
    await store.close()


async def test_the_free_lock_of_a_dead_holder_on_this_kernel_is_proof_enough(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(sqlite_url)
    await (await _open(sqlite_url, ManualClock(T0))).close()
    ((proof,),) = _execute(sqlite_url, "SELECT proof FROM lease")
    _leave_behind(sqlite_url, proof=str(proof), expires_ns=T0 + 30 * NS_PER_S)
    await (await _open(sqlite_url, ManualClock(T0))).close()
    _leave_behind(sqlite_url, proof=str(proof), expires_ns=T0 + 30 * NS_PER_S)
    monkeypatch.setattr(lease, "kernel", lambda: "restarted")
    with pytest.raises(LeaseHeld):
        await _open(sqlite_url, ManualClock(T0))


async def test_beside_a_server_the_lock_in_the_data_folder_proves_it(postgres_url: str, tmp_path: Path) -> None:
    upgrade(postgres_url)

    async def opened() -> SqlStore:
        return await SqlStore.open(postgres_url, mode="sim", account="0xa", clock=ManualClock(T0), lock_folder=tmp_path)

    first = await opened()
    with pytest.raises(StoreBusy, match=rf"process {os.getpid()} on .*, since .* UTC\) uses the database"):
        await opened()
    await first.close()
    ((proof,),) = _execute(postgres_url, "SELECT proof FROM lease")
    _leave_behind(postgres_url, proof=str(proof), expires_ns=T0 + 30 * NS_PER_S)
    await (await opened()).close()


async def test_whoever_lost_its_session_learns_that_it_was_taken_over(postgres_url: str) -> None:
    upgrade(postgres_url)
    clock = ManualClock(T0)
    first = await _open(postgres_url, clock)
    _execute(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    await clock.advance(TERM_S)
    second = await _open(postgres_url, clock)
    with pytest.raises(StoreBusy):
        await first.commit([facts.transfer(1)])
    with pytest.raises(StoreFenced, match="has taken over the account"):
        await first.commit([facts.transfer(1)])
    await second.commit([facts.transfer(2)])
    await second.close()
    with pytest.raises(StoreFenced):
        await first.commit([facts.transfer(1)])
    await first.close()
    assert _execute(postgres_url, "SELECT settled_cash FROM ledger") == [(2,)]


async def test_a_lost_session_is_made_anew_when_the_term_is_renewed(postgres_url: str) -> None:
    upgrade(postgres_url)
    store = await _open(postgres_url, ManualClock(T0))
    _execute(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    with pytest.raises(StoreBusy):
        await store.renew()
    await store.renew()
    await store.close()


async def test_crashes_that_had_their_consequence_are_not_told_again(database_url: str) -> None:
    told = []
    for number in range(5):
        store = await _open(database_url, ManualClock(T0))
        told.append(await store.begin_run(T0 + number, T0))
        if told[-1] == 2:
            await store.count_crashes()
        await store.close()
    assert told == [0, 1, 2, 1, 2]


async def test_runs_without_an_orderly_end_are_counted(database_url: str) -> None:
    begun = []
    for number in range(4):
        store = await _open(database_url, ManualClock(T0))
        begun.append(await store.begin_run(T0 + number * 60 * NS_PER_S, T0 + 30 * NS_PER_S))
        if number == 1:
            await store.end_run(T0 + 100 * NS_PER_S, "signal SIGTERM")
        await store.close()
    assert begun == [0, 0, 0, 1]
    assert _execute(database_url, "SELECT epoch, ended_ns IS NULL, reason FROM runs ORDER BY epoch") == [
        (1, True, ""),
        (2, False, "signal SIGTERM"),
        (3, True, ""),
        (4, True, ""),
    ]


def test_killed_holders_keep_nobody_waiting(database_url: str, tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from polystra.adapters.clock import SystemClock\n"
        "from polystra.adapters.store.writer import SqlStore\n"
        "async def main():\n"
        "    await SqlStore.open(sys.argv[1], mode='sim', account='0xa', clock=SystemClock(),\n"
        "                        lock_folder=Path(sys.argv[2]))\n"
        "    print('held', flush=True)\n"
        "    if len(sys.argv) == 3:\n"
        "        await asyncio.get_running_loop().create_future()\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", program, database_url, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
    while True:  # PostgreSQL needs a moment to see that the client is gone
        after = subprocess.run(
            [*command, "once"], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        if "StoreBusy" not in after.stderr:
            break
    assert after.stdout == "held\n", after.stderr
