"""Opening a database: whose it is, who else uses it, and what is wrong with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from polystra.adapters.store.database import make_engine, parse_url
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import ConfigError, InvariantViolation, StoreBusy, StoreConflict, StoreCorrupt
from polystra.domain.facts import Fact
from polystra.domain.orders import OrderEvent, OrderStatus, Purpose, Side
from tests.fakes import store_facts as facts

ROOT = Path(__file__).resolve().parents[2]


async def test_the_first_run_stamps_and_others_are_refused(database_url: str) -> None:
    await (await SqlStore.open(database_url, mode="sim", account="0xAbCd")).close()
    await (await SqlStore.open(database_url, mode="sim", account="0xaBcD")).close()
    for mode, account in (("live", "0xabcd"), ("sim", "0xother")):
        with pytest.raises(StoreCorrupt, match="belongs to mode sim and account 0xabcd, this run is mode") as caught:
            await SqlStore.open(database_url, mode=mode, account=account)
        assert "\n" not in str(caught.value)
    await (await SqlStore.open(database_url, mode="sim", account="0xabcd")).close()


async def test_a_second_daemon_is_refused_until_the_first_ends(database_url: str) -> None:
    first = await SqlStore.open(database_url, mode="sim", account="0xa")
    with pytest.raises(StoreBusy, match=r"another polystra .*uses the database .*; stop it first"):
        await SqlStore.open(database_url, mode="sim", account="0xa")
    await first.commit([facts.transfer()])
    await first.close()
    second = await SqlStore.open(database_url, mode="sim", account="0xa")
    assert len((await second.load()).postings) == 1
    await second.close()


async def test_migrating_under_a_running_daemon_is_refused(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    assert not upgrade(database_url).migrated
    engine = make_engine(parse_url(database_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(StoreBusy, match="stop it first"):
        upgrade(database_url)
    engine.dispose()
    await store.close()


async def test_a_database_without_or_with_an_older_schema_is_refused(empty_url: str) -> None:
    path = parse_url(empty_url).database if empty_url.startswith("sqlite") else None
    if path:
        sqlite3.connect(path).execute("CREATE TABLE something (id)").connection.close()
    with pytest.raises(StoreCorrupt, match="has no polystra schema; bring it up to date with: polystra db upgrade"):
        await SqlStore.open(empty_url, mode="sim", account="0xa")
    upgrade(empty_url)
    engine = make_engine(parse_url(empty_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    with pytest.raises(StoreCorrupt, match="has schema 0001, this version needs"):
        await SqlStore.open(empty_url, mode="sim", account="0xa")


async def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with pytest.raises(StoreCorrupt, match=r"store\.db does not exist"):
        await SqlStore.open(f"sqlite:///{path}", mode="sim", account="0xa")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib is refused in async tests


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"no pages " * 1000)
    with pytest.raises(StoreCorrupt, match=r"store\.db is not a readable SQLite database"):
        await SqlStore.open(f"sqlite:///{path}", mode="sim", account="0xa")
    assert path.read_bytes() == b"no pages " * 1000


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "no url with secret"])
async def test_a_url_that_names_no_database_is_a_mistake_in_the_settings(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        await SqlStore.open(url, mode="sim", account="0xa")
    assert "secret" not in str(caught.value)


def _kill_after_commit(database_url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from polystra.adapters.store.writer import SqlStore\n"
        "from tests.fakes import store_facts as facts\n"
        "async def main():\n"
        "    store = await SqlStore.open(sys.argv[1], mode='sim', account='0xa')\n"
        "    await store.commit([facts.market_recorded(), facts.intent()])\n"
        "    print('committed', flush=True)\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", program, database_url], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        process.send_signal(signal.SIGKILL)


async def test_facts_survive_kill_9(database_url: str) -> None:
    _kill_after_commit(database_url)
    store = await _open_when_free(database_url)
    (stored,) = (await store.load()).orders
    assert stored.signed == facts.signed(facts.order(1))
    await store.close()


async def _open_when_free(url: str) -> SqlStore:
    """PostgreSQL needs a moment to see that the client is gone."""
    while True:
        try:
            return await SqlStore.open(url, mode="sim", account="0xa")
        except StoreBusy:
            await asyncio.sleep(0.01)


async def test_a_lost_session_is_busy_and_then_works_again(postgres_url: str) -> None:
    upgrade(postgres_url)
    store = await SqlStore.open(postgres_url, mode="sim", account="0xa")
    await store.commit([facts.market_recorded()])
    engine = make_engine(parse_url(postgres_url))
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :d"
            ),
            {"d": parse_url(postgres_url).database},
        )
    engine.dispose()
    results = await asyncio.gather(
        store.commit([facts.transfer()]), store.commit([facts.intent()]), return_exceptions=True
    )
    assert [type(result) for result in results] == [StoreBusy, StoreBusy]
    assert (await store.load()).postings == ()
    await store.commit([facts.transfer(), facts.intent()])
    assert len((await store.load()).postings) == 1
    await store.close()


async def test_a_locked_file_is_busy_and_then_works_again(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polystra.adapters.store.database.BUSY_TIMEOUT_MS", 20)
    upgrade(sqlite_url)
    store = await SqlStore.open(sqlite_url, mode="sim", account="0xa")
    other = sqlite3.connect(str(parse_url(sqlite_url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="is busy"):
        await store.commit([facts.transfer()])
    other.execute("ROLLBACK")
    other.close()
    await store.commit([facts.transfer()])
    assert len((await store.load()).postings) == 1
    await store.close()


async def test_impossible_rows_stop_the_program(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit([facts.market_recorded(), facts.intent()])
    impossible: list[Fact] = [
        facts.changed(facts.order(1), OrderEvent.FILL_PARTIAL, OrderStatus.OPEN, filled=-1),
        facts.intent(facts.order(2, facts.market(99))),
        facts.intent(facts.order(3, price=1_000_000)),
        facts.transfer(2**63),
        facts.decision(1, p_up=float("nan")),
    ]
    for fact in impossible:
        with pytest.raises(InvariantViolation):
            await store.commit([facts.transfer(7), fact])
    state = await store.load()
    assert state.postings == ()
    assert len(state.orders) == 1
    await store.close()


async def test_a_second_exit_cannot_be_recorded_while_the_first_is_in_flight(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    first = facts.order(1, side=Side.SELL, purpose=Purpose.TAKE_PROFIT)
    second = facts.order(2, side=Side.SELL, purpose=Purpose.STOP_LOSS)
    await store.commit([facts.market_recorded(), facts.intent(first)])
    with pytest.raises(InvariantViolation):
        await store.commit([facts.intent(second)])
    await store.commit([facts.changed(first, OrderEvent.REJECT, OrderStatus.REJECTED), facts.intent(second)])
    await store.commit([facts.changed(first, OrderEvent.ACCEPT, OrderStatus.IN_DOUBT)])
    assert [stored.order.status for stored in (await store.load()).orders] == [
        OrderStatus.IN_DOUBT,
        OrderStatus.SUBMITTED,
    ]
    await store.close()


async def test_old_skips_go_and_entries_and_the_newest_number_stay(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit([facts.market_recorded(), facts.decision(1)])
    await store.commit([facts.skip(number, at_ns=facts.T0 + number) for number in range(2, 5_002)])
    assert await store.prune(facts.T0 + 4_000, 0) == 3_998
    assert await store.prune(facts.T0 + 10**12, 10**9) == 1_001
    assert await store.prune(facts.T0 + 10**12, 10**9) == 0
    assert (await store.load()).next_decision_id == 5_002
    engine = make_engine(parse_url(database_url), read_only=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT decision_id FROM decisions ORDER BY 1")).scalars().all() == [1, 5_001]
    engine.dispose()
    await store.close()


async def test_committing_after_close_is_a_bug(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.close()
    await store.close()
    with pytest.raises(InvariantViolation, match="closed"):
        await store.commit([facts.transfer()])


async def test_a_conflict_names_the_row(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit([facts.transfer()])
    with pytest.raises(StoreConflict, match="ledger has source_id transfer:cash:1 already, with another settled_cash"):
        await store.commit([facts.transfer(1)])
    await store.close()
