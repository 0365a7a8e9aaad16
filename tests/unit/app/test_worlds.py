"""The files of a simulated world are kept, continued or moved aside together, and never lost."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

import pytest

from polystra.adapters.store.migrations import upgrade
from polystra.app.settings import Settings, load_settings
from polystra.app.worlds import books_held, clear_books, clear_world, database_path, exchange_books_path
from polystra.domain.errors import ConfigError, StoreBusy, StoreCorrupt

ACCOUNT = "0x" + "ab" * 20


def settings_of(folder: Path, **values: str) -> Settings:
    return load_settings({"DATA_DIR": str(folder)} | values, None)


@pytest.fixture
def books(tmp_path: Path) -> Path:
    path = exchange_books_path(settings_of(tmp_path / "data"))
    path.write_text("books")
    return path


def database(folder: Path, mode: str = "sim", account: str = ACCOUNT) -> Path:
    path = folder / "polystra-sim.db"
    upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO store_meta VALUES (1, ?, ?, '')", (mode, account))
    connection.close()
    return path


def clear(books: Path, *, afresh: bool = False, account: str = ACCOUNT) -> Path | None:
    return clear_world(settings_of(books.parent), books, account=account, afresh=afresh)


@pytest.mark.parametrize("name", ["data", "my data", "what?", "100%20", "a#b"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str):
    settings = settings_of(tmp_path / name)
    assert database_path(settings) == tmp_path / name / "polystra-sim.db"
    upgrade(settings.resolved_database_url.get_secret_value())
    assert (tmp_path / name / "polystra-sim.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_first_world_moves_nothing(tmp_path: Path):
    settings = settings_of(tmp_path / "data")
    books = exchange_books_path(settings)
    assert books == tmp_path / "data" / "exchange-sim.db"
    assert clear_world(settings, books, account=ACCOUNT, afresh=True) is None
    assert not (tmp_path / "data" / "previous").exists()


def test_a_whole_world_is_gone_on_with(books: Path):
    database(books.parent)
    assert clear(books) is None
    assert books.exists()


def test_the_account_is_compared_without_case(books: Path):
    database(books.parent)
    assert clear(books, account=ACCOUNT.upper().replace("0X", "0x")) is None


def test_a_fresh_world_moves_both_halves_with_their_companions(books: Path):
    ours = database(books.parent)
    wal = books.with_name("exchange-sim.db-wal")
    wal.write_text("wal")
    folder = clear(books, afresh=True)
    assert folder == books.parent / "previous" / "0001"
    assert {path.name for path in folder.iterdir()} >= {ours.name, books.name, wal.name}
    assert (folder / books.name).read_text() == "books"
    assert not ours.exists()
    assert not books.exists()


def test_worlds_are_numbered(books: Path):
    database(books.parent)
    assert clear(books, afresh=True) == books.parent / "previous" / "0001"
    books.write_text("later books")
    assert clear(books, afresh=True) == books.parent / "previous" / "0002"
    assert (books.parent / "previous" / "0001" / books.name).read_text() == "books"


def test_half_a_world_is_moved_aside(books: Path):
    assert clear(books) == books.parent / "previous" / "0001"
    ours = database(books.parent)
    assert clear(books) == books.parent / "previous" / "0002"
    assert not ours.exists()


def test_the_world_of_another_account_is_moved_aside(books: Path):
    database(books.parent)
    assert clear(books, account="0x" + "cd" * 20) is not None


def test_a_database_of_another_mode_stays(books: Path):
    ours = database(books.parent, mode="live")
    with pytest.raises(StoreCorrupt, match="belongs to mode live"):
        clear(books, afresh=True)
    assert ours.exists()
    assert books.exists()


def test_an_unreadable_database_stays(books: Path):
    ours = books.parent / "polystra-sim.db"
    ours.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreCorrupt, match="not a readable SQLite database"):
        clear(books, afresh=True)
    assert ours.read_bytes() == b"not a database" * 100


def test_a_database_in_use_stays(books: Path):
    ours = database(books.parent)
    lock = os.open(ours.with_name(ours.name + ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy, match="another polystra"):
            clear(books, afresh=True)
    finally:
        os.close(lock)
    assert clear(books, afresh=True) is not None


def test_books_alone_are_moved_aside(books: Path):
    assert clear_books(books) == books.parent / "previous" / "0001"
    assert clear_books(books) is None


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="DATA_DIR is"):
        exchange_books_path(settings_of(tmp_path / "data"))


def test_files_that_cannot_be_moved_are_named(books: Path):
    (books.parent / "previous").write_text("a file in the way")
    with pytest.raises(ConfigError, match="cannot be moved"):
        clear_books(books)
    assert books.exists()


def test_the_file_of_a_database_is_known_for_sqlite_only(tmp_path: Path):
    assert database_path(settings_of(tmp_path)) == tmp_path / "polystra-sim.db"
    assert database_path(settings_of(tmp_path, DATABASE_URL="postgresql://u:p@h/x")) is None


def test_books_are_held_by_one_exchange_at_a_time(books: Path):
    with books_held(books):
        with pytest.raises(ConfigError, match="another built-in exchange uses the books"), books_held(books):
            pass
        with pytest.raises(ConfigError, match="another built-in exchange"), books_held(books):
            pass
    with books_held(books):
        pass


def test_a_failure_while_books_are_held_stays_what_it_is(books: Path):
    with pytest.raises(BlockingIOError, match="something else"), books_held(books):
        raise BlockingIOError("something else")
