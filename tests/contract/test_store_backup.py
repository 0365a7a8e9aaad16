"""Backups on both engines: what is read back is what was there, and a restore is all or nothing."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from polystra.adapters.store import backup as backups
from polystra.adapters.store import restore as restoring
from polystra.adapters.store import tables
from polystra.adapters.store.backup import Backup, make_backup, opened, read_backup
from polystra.adapters.store.contents import Contents, contents, differences
from polystra.adapters.store.database import parse_url
from polystra.adapters.store.migrations import current, run_to, upgrade
from polystra.adapters.store.restore import Restored, restore
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import StoreBusy, StoreCorrupt
from polystra.domain.facts import Fact, PostingRecorded
from polystra.ports.store import StoredState
from tests.fakes import store_facts as facts

LEASE = ["lease has other rows"]
"""The one row that a restore changes."""
MODE, ACCOUNT = "live", "0x00000000000000000000000000000000000000aa"


async def lived(url: str, more: list[Fact] | None = None) -> StoredState:
    """A daemon's life in the database; returns what it would find at its next start."""
    store = await SqlStore.open(url, mode=MODE, account=ACCOUNT)
    try:
        await store.commit(facts.a_life() if more is None else more)
        return await store.load()
    finally:
        await store.close()


async def found_by_the_next(url: str) -> StoredState:
    store = await SqlStore.open(url, mode=MODE, account=ACCOUNT)
    try:
        return await store.load()
    finally:
        await store.close()


def held(url: str) -> Contents:
    with opened(url, read_only=True) as connection, connection.begin():
        return contents(connection)


def later() -> list[Fact]:
    """What happens after the backup."""
    return [facts.market_recorded(facts.market(2)), facts.intent(facts.order(2, facts.market(2)))]


def put_back(url: str, path: Path, aside: Path, *, mode: str = MODE, account: str = ACCOUNT) -> Restored:
    return restore(url, path, mode=mode, account=account, aside=aside)


@pytest.fixture
def server_or_file(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """A second empty database, by the name of its engine."""

    def made(engine: str) -> str:
        if engine == "postgres":
            return str(request.getfixturevalue("postgres_url"))
        return f"sqlite:///{tmp_path / 'second' / 'store.db'}"

    return made


async def test_a_backup_holds_what_the_database_holds(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "backups" / "one.db")
    assert (made.mode, made.account, made.schema) == (MODE, ACCOUNT, current(database_url))
    assert differences(made.contents, held(database_url)) == []
    assert made.contents.rows["ledger"] == 3
    posted = [fact.posting for fact in facts.a_life() if isinstance(fact, PostingRecorded)]
    assert made.contents.ledger_cash == sum(each.pending_cash + each.settled_cash for each in posted) != 0
    assert made.contents.ledger_shares == sum(each.pending_shares + each.settled_shares for each in posted) != 0
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [path.name for path in made.path.parent.iterdir()] == ["one.db"]


@pytest.mark.parametrize(
    ("from_engine", "to_engine"),
    [
        ("sqlite", "sqlite"),
        pytest.param("sqlite", "postgres", marks=pytest.mark.postgres),
        pytest.param("postgres", "sqlite", marks=pytest.mark.postgres),
        pytest.param("postgres", "postgres", marks=pytest.mark.postgres),
    ],
)
async def test_a_backup_can_be_restored_on_either_engine(
    request: pytest.FixtureRequest,
    server_or_file: Callable[[str], str],
    tmp_path: Path,
    from_engine: str,
    to_engine: str,
) -> None:
    source = str(request.getfixturevalue(f"{from_engine}_url"))
    upgrade(source)
    state = await lived(source)
    made = make_backup(source, tmp_path / "one.db")
    target = source if from_engine == to_engine == "postgres" else server_or_file(to_engine)
    done = put_back(target, made.path, tmp_path / "aside")
    assert done.backup == made
    assert differences(held(target), made.contents) == LEASE
    assert await found_by_the_next(target) == state
    await lived(target, later())  # counters go on: nothing meets a number that is taken
    assert held(target).rows["orders"] == made.contents.rows["orders"] + 1


async def test_a_restore_takes_back_what_came_after_the_backup(database_url: str, tmp_path: Path) -> None:
    state = await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    await lived(database_url, later())
    done = put_back(database_url, made.path, tmp_path / "aside")
    assert differences(held(database_url), made.contents) == LEASE
    assert await found_by_the_next(database_url) == state
    if database_url.startswith("sqlite"):
        assert done.put_aside is not None
        old = f"sqlite:///{done.put_aside / 'store.db'}"
        assert held(old).rows["orders"] == made.contents.rows["orders"] + 1
    with opened(database_url) as connection, pytest.raises(Exception, match="append-only"), connection.begin():
        connection.execute(text("DELETE FROM ledger"))


async def test_a_daemon_that_was_fenced_off_stays_so_after_a_restore(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    for _ in range(3):
        await lived(database_url, [])
    newest = lease_of(database_url)[0]
    put_back(database_url, made.path, tmp_path / "aside")
    assert lease_of(database_url) == (newest + 1, 0)
    await lived(database_url, later())
    assert lease_of(database_url)[0] == newest + 2


def lease_of(url: str) -> tuple[int, int]:
    with opened(url, read_only=True) as connection, connection.begin():
        epoch, expires_ns = connection.execute(select(tables.lease.c.epoch, tables.lease.c.expires_ns)).one()
        return epoch, expires_ns


async def test_a_restored_database_has_every_table_and_view(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    put_back(database_url, made.path, tmp_path / "aside")
    assert upgrade(database_url).migrated is False
    with opened(database_url, read_only=True) as connection:
        for view in ("v_orders", "v_fills", "v_positions", "v_ledger"):
            assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar() is not None


@pytest.mark.parametrize("what", ["bytes", "row"])
async def test_a_damaged_backup_is_refused_and_changes_nothing(database_url: str, tmp_path: Path, what: str) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    if what == "bytes":
        with made.path.open("r+b") as file:
            file.seek(4_096 * 3)
            file.write(b"\xff" * 4_096 * 4)
    else:
        with closing(sqlite3.connect(made.path)) as raw, raw:
            raw.execute("PRAGMA foreign_keys = OFF")
            raw.execute("DELETE FROM markets")
    before = held(database_url)
    with pytest.raises(StoreCorrupt, match=r"one\.db"):
        put_back(database_url, made.path, tmp_path / "aside")
    assert differences(held(database_url), before) == []
    assert not (tmp_path / "aside").exists()


async def test_a_file_that_is_no_backup_is_refused(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"no pages at all" * 1_000)
    empty = tmp_path / "empty.db"
    with closing(sqlite3.connect(empty)) as raw, raw:
        raw.execute("CREATE TABLE other (id INTEGER)")
    for path, words in (
        (tmp_path / "missing.db", "does not exist"),
        (junk, "not a readable"),
        (empty, "holds no polystra"),
    ):
        with pytest.raises(StoreCorrupt, match=words):
            put_back(database_url, path, tmp_path / "aside")
    assert not (tmp_path / "missing.db").exists()


async def test_another_account_or_mode_is_refused(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    with pytest.raises(StoreCorrupt, match=r"is of mode live, MODE is sim"):
        put_back(database_url, made.path, tmp_path / "aside", mode="sim", account="")
    with pytest.raises(StoreCorrupt, match=r"is of account 0x0+aa, the settings name 0x1+"):
        put_back(database_url, made.path, tmp_path / "aside", account="0x" + "1" * 40)
    with opened(database_url) as connection, connection.begin():
        connection.execute(tables.store_meta.update().values(account="0x" + "2" * 40))
    with pytest.raises(StoreCorrupt, match=r"belongs to mode live and account 0x2+, the backup"):
        put_back(database_url, made.path, tmp_path / "aside")


async def test_a_database_in_use_is_backed_up_but_never_replaced(database_url: str, tmp_path: Path) -> None:
    store = await SqlStore.open(database_url, mode=MODE, account=ACCOUNT)
    try:
        await store.commit(facts.a_life())
        made = make_backup(database_url, tmp_path / "one.db")
        await store.commit(later())
        assert made.contents.rows["orders"] == 1
        with pytest.raises(StoreBusy, match="another polystra"):
            put_back(database_url, made.path, tmp_path / "aside")
        assert held(database_url).rows["orders"] == 2
    finally:
        await store.close()


async def test_a_backup_never_replaces_a_file(database_url: str, tmp_path: Path) -> None:
    await lived(database_url)
    path = tmp_path / "one.db"
    path.write_text("mine")
    with pytest.raises(StoreCorrupt, match="exists already"):
        make_backup(database_url, path)
    assert path.read_text() == "mine"


async def test_a_copy_that_differs_is_not_kept(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lived(database_url)
    original = backups.read_backup

    def other(path: Path) -> Backup:
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE markets SET slug = 'another'")
        return original(path)

    monkeypatch.setattr(backups, "read_backup", other)
    with pytest.raises(StoreCorrupt, match=r"markets has other rows"):
        make_backup(database_url, tmp_path / "backups" / "one.db")
    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_restore_that_breaks_leaves_the_database_as_it_was(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / "one.db")
    await lived(database_url, later())
    before = held(database_url)

    def broken(*_: object) -> None:
        raise StoreCorrupt("the copy is not what it was copied from")

    monkeypatch.setattr(restoring, "require_same", broken)
    with pytest.raises(StoreCorrupt, match="not what it was copied from"):
        put_back(database_url, made.path, tmp_path / "aside")
    assert differences(held(database_url), before) == []
    assert (await found_by_the_next(database_url)).next_order_number == 3


def test_an_empty_database_has_nothing_to_back_up(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreCorrupt, match=r"does not exist|no polystra schema"):
        make_backup(empty_url, tmp_path / "one.db")
    assert not (tmp_path / "one.db").exists()


async def test_a_ruined_database_is_replaced(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    state = await lived(sqlite_url)
    made = make_backup(sqlite_url, tmp_path / "one.db")
    (tmp_path / "store.db").write_bytes(b"the disk was not kind" * 2_000)
    put_back(sqlite_url, made.path, tmp_path / "aside")
    assert [path.name for path in (tmp_path / "aside").iterdir()] == ["store.db"]
    assert await found_by_the_next(sqlite_url) == state


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        yield raw


async def test_a_backup_is_one_moment_of_a_database_that_is_written_to(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between the copying and the counting is in neither."""
    upgrade(sqlite_url)
    await lived(sqlite_url)
    original = backups.copy_pages
    with writing(tmp_path / "store.db") as raw:

        def copied(source: sqlite3.Connection, path: Path) -> None:
            raw.execute("UPDATE markets SET slug = slug || '-during-1'")
            original(source, path)
            raw.execute("UPDATE markets SET slug = slug || '-during-2'")

        monkeypatch.setattr(backups, "copy_pages", copied)
        made = make_backup(sqlite_url, tmp_path / "one.db")
    assert "during" in str(shown(sqlite_url))
    assert "during" not in str(shown(f"sqlite:///{made.path}"))


def shown(url: str) -> list[str]:
    with opened(url, read_only=True) as connection, connection.begin():
        return list(connection.execute(text("SELECT slug FROM markets")).scalars())


async def test_a_backup_on_a_read_only_medium_can_be_read(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    await lived(sqlite_url)
    made = make_backup(sqlite_url, tmp_path / "medium" / "one.db")
    copy = tmp_path / "copy.db"
    shutil.copy(made.path, copy)
    made.path.chmod(0o400)
    made.path.parent.chmod(0o500)
    try:
        assert read_backup(made.path).contents == read_backup(copy).contents
    finally:
        made.path.parent.chmod(0o700)


@pytest.mark.postgres
async def test_a_restore_leaves_other_programs_tables_alone(postgres_url: str, tmp_path: Path) -> None:
    upgrade(postgres_url)
    await lived(postgres_url)
    made = make_backup(postgres_url, tmp_path / "one.db")
    with opened(postgres_url) as connection, connection.begin():
        connection.execute(text("CREATE TABLE somebody_elses (id INTEGER)"))
        connection.execute(text("INSERT INTO somebody_elses VALUES (7)"))
    put_back(postgres_url, made.path, tmp_path / "aside")
    with opened(postgres_url) as connection, connection.begin():
        assert connection.execute(text("SELECT id FROM somebody_elses")).scalar() == 7


async def test_the_digest_sees_every_column_and_ignores_the_order_of_rows(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("one", "two")]
    rows = [
        {"name": "a", "subject": "", "is_on": True, "reason": "r", "source": "s", "until_ns": 0, "at_ns": 1},
        {"name": "b", "subject": "", "is_on": False, "reason": "r", "source": "s", "until_ns": 0, "at_ns": 1},
    ]
    for url, wanted in zip(urls, (rows, rows[::-1]), strict=True):
        upgrade(url)
        with opened(url) as connection, connection.begin():
            connection.execute(insert(tables.switches), wanted)
    assert differences(held(urls[0]), held(urls[1])) == []
    with opened(urls[1]) as connection, connection.begin():
        connection.execute(tables.switches.update().values(until_ns=1))
    assert differences(held(urls[0]), held(urls[1])) == ["switches has other rows"]


@pytest.mark.parametrize("name", ["what?.db", "a%20b.db", "a#b.db", "100%.db", "of a:day@home.db"])
async def test_a_backup_may_have_any_name(database_url: str, tmp_path: Path, name: str) -> None:
    await lived(database_url)
    made = make_backup(database_url, tmp_path / name)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    put_back(database_url, made.path, tmp_path / "aside")
    assert differences(held(database_url), made.contents) in ([], LEASE)


def kept_files(folder: Path) -> list[Path]:
    """Every file but those that SQLite and the lock leave beside a database."""
    return sorted(path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm", ".lock")))


def modes_of(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.db*")}


async def test_a_full_disk_is_named_and_leaves_nothing_behind(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(sqlite_url)
    await lived(sqlite_url)
    made = make_backup(sqlite_url, tmp_path / "one.db")
    before = held(sqlite_url)
    files = kept_files(tmp_path)

    class Small(sqlite3.Connection):
        """A file that may have ten pages."""

        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            self.execute("PRAGMA max_page_count = 10")

    connect = sqlite3.connect

    def small(place: Path) -> sqlite3.Connection:
        return connect(place, factory=Small)

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", small)
        with pytest.raises(StoreCorrupt, match=r"two\.db.* cannot be written .*full\): make room"):
            make_backup(sqlite_url, tmp_path / "two.db")
        with pytest.raises(StoreCorrupt, match=r"restoring cannot be written .*full\): make room"):
            put_back(sqlite_url, made.path, tmp_path / "aside")
    assert kept_files(tmp_path) == files
    assert differences(held(sqlite_url), before) == []


async def test_an_empty_backup_never_replaces_what_a_daemon_has_written(database_url: str, tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/unused.db")
    empty = make_backup(f"sqlite:///{tmp_path}/unused.db", tmp_path / "empty.db")
    await lived(database_url)
    before = held(database_url)
    with pytest.raises(StoreCorrupt, match="no daemon has used"):
        put_back(database_url, empty.path, tmp_path / "aside")
    assert differences(held(database_url), before) == []


async def test_nobody_else_can_read_the_database_its_log_or_its_lock(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    store = await SqlStore.open(sqlite_url, mode=MODE, account=ACCOUNT)
    try:
        await store.commit(facts.a_life())
        modes = modes_of(tmp_path)
        assert {"store.db", "store.db-wal", "store.db.lock"} <= set(modes)
        assert set(modes.values()) == {0o600}, modes
    finally:
        await store.close()


async def test_what_is_put_aside_may_go_to_another_disk(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(sqlite_url)
    await lived(sqlite_url)
    made = make_backup(sqlite_url, tmp_path / "one.db")
    rename = os.rename

    def on_one_disk(source: str | Path, target: str | Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", on_one_disk)
    done = put_back(sqlite_url, made.path, tmp_path / "aside")
    assert done.put_aside is not None
    assert modes_of(done.put_aside)["store.db"] == 0o600
    assert differences(held(sqlite_url), made.contents) in ([], LEASE)


async def test_an_older_database_of_another_account_is_not_replaced_either(empty_url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    upgrade(other)
    await lived(other)
    made = make_backup(other, tmp_path / "one.db")
    with opened(empty_url) as connection, connection.begin():
        run_to(connection, parse_url(empty_url), "0001")
        connection.execute(text("INSERT INTO store_meta VALUES (1, 'live', '0x" + "2" * 40 + "', '')"))
    with pytest.raises(StoreCorrupt, match=r"belongs to mode live and account 0x2+"):
        put_back(empty_url, made.path, tmp_path / "aside")
