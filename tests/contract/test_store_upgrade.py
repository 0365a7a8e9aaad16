"""A database of the first schema, with a life in it, becomes today's: nothing is lost and trading goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import MetaData, insert, select

from polystra.adapters.store.backup import Backup, opened, read_backup
from polystra.adapters.store.contents import count_on, ours
from polystra.adapters.store.database import parse_url
from polystra.adapters.store.migrations import current, history, run_to, upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.backups import KEPT_BEFORE_MIGRATIONS, before_migration
from polystra.app.settings import load_settings
from polystra.domain.errors import StoreCorrupt
from tests.fakes import store_facts as facts

MODE, ACCOUNT = "sim", "0x00000000000000000000000000000000000000aa"
FIRST = history()[0].revision

Rows = dict[str, list[dict[str, object]]]


async def todays_rows(folder: Path) -> Rows:
    """A life as today's code writes it."""
    url = f"sqlite:///{folder / 'today.db'}"
    upgrade(url)
    store = await SqlStore.open(url, mode=MODE, account=ACCOUNT)
    await store.commit(facts.a_life())
    await store.close()
    return read_rows(url)


def read_rows(url: str, columns_of: MetaData | None = None) -> Rows:
    with opened(url, read_only=True) as connection, connection.begin():
        found: Rows = {}
        for table in (columns_of or ours(connection)).sorted_tables:
            rows = connection.execute(select(table)).mappings()
            found[table.name] = sorted((dict(row) for row in rows), key=repr)
        return found


def make_first(url: str, rows: Rows) -> MetaData:
    """A database of the first schema with what of the rows it has room for."""
    path = parse_url(url)
    with opened(url) as connection:
        with connection.begin():
            run_to(connection, path, FIRST)
        with connection.begin():
            metadata = ours(connection)
            for table in metadata.sorted_tables:
                wanted = [{name: row[name] for name in row if name in table.columns} for row in rows[table.name]]
                if wanted:
                    connection.execute(insert(table), wanted)
            if connection.dialect.name == "postgresql":
                count_on(connection)
    return metadata


async def test_a_first_schema_with_data_becomes_todays(empty_url: str, tmp_path: Path) -> None:
    first = make_first(empty_url, await todays_rows(tmp_path))
    before = read_rows(empty_url, first)
    assert sum(map(len, before.values())) > 15
    report = upgrade(empty_url)
    assert (report.before, report.after, report.migrated) == (FIRST, history()[-1].revision, True)
    assert read_rows(empty_url, first) == before, "every value that was there is there"

    store = await SqlStore.open(empty_url, mode=MODE, account=ACCOUNT)
    state = await store.load()
    assert [order.order.terms.client_order_id for order in state.orders] == ["o000001"] or not state.orders
    assert len(state.postings) == 3
    assert state.next_order_number == 2
    assert [(each.settled_shares, each.exit_mode) for each in state.positions] == [(10_000_000, "")]
    await store.commit([facts.market_recorded(facts.market(2)), facts.intent(facts.order(2, facts.market(2)))])
    assert (await store.load()).next_order_number == 3
    await store.close()


async def test_each_step_alone_keeps_what_was_there(empty_url: str, tmp_path: Path) -> None:
    first = make_first(empty_url, await todays_rows(tmp_path))
    before = read_rows(empty_url, first)
    for step in history()[1:]:
        with opened(empty_url) as connection, connection.begin():
            run_to(connection, parse_url(empty_url), step.revision)
        assert current(empty_url) == step.revision
        assert read_rows(empty_url, first) == before, step.revision


async def test_a_backup_is_made_before_the_migration_and_the_newest_few_are_kept(
    empty_url: str, tmp_path: Path
) -> None:
    make_first(empty_url, await todays_rows(tmp_path))
    settings = load_settings({"DATABASE_URL": empty_url, "DATA_DIR": str(tmp_path)}, None)
    folder = tmp_path / "backups"
    folder.mkdir()
    old = [folder / f"before-migration-sim-2020010{day}T000000Z-from-0001.db" for day in range(1, 7)]
    asked_for = folder / "polystra-sim-20200101T000000Z.db"
    for path in (*old, asked_for):
        path.write_bytes(b"")
    told: list[Backup] = []
    report = upgrade(empty_url, before_it=before_migration(settings, told.append))
    assert report.migrated
    [made] = told
    assert read_backup(made.path).schema == FIRST
    assert made.contents.rows["ledger"] == 3
    kept = sorted(folder.glob("before-migration-*"))
    assert len(kept) == KEPT_BEFORE_MIGRATIONS
    assert kept[-1] == made.path
    assert asked_for.exists()
    again = upgrade(empty_url, before_it=before_migration(settings, told.append))
    assert not again.migrated
    assert len(told) == 1, "nothing to migrate, nothing to back up"


async def test_without_the_backup_nothing_is_migrated(empty_url: str, tmp_path: Path) -> None:
    make_first(empty_url, await todays_rows(tmp_path))
    (tmp_path / "backups").write_text("a file where the folder should be")
    settings = load_settings({"DATABASE_URL": empty_url, "DATA_DIR": str(tmp_path)}, None)
    with pytest.raises(StoreCorrupt, match=r"migrated from 0001, and the backup before that failed: .*--no-backup"):
        upgrade(empty_url, before_it=before_migration(settings, lambda _: None))
    assert current(empty_url) == FIRST


def test_an_empty_database_needs_no_backup(empty_url: str, tmp_path: Path) -> None:
    settings = load_settings({"DATABASE_URL": empty_url, "DATA_DIR": str(tmp_path)}, None)
    assert upgrade(empty_url, before_it=before_migration(settings, lambda _: None)).migrated
    assert not (tmp_path / "backups").exists()
