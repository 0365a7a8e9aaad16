"""The files of a simulated world: the daemon's database and the exchange's books, kept or moved aside together.

The two belong together: one without the other cannot be continued. A world that is replaced
is moved into a numbered folder under `previous/`, never deleted.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from polystra.adapters.store.account_reading import is_in_use, owner_of
from polystra.adapters.store.database import parse_url, sqlite_path
from polystra.adapters.store.queries import Owner
from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError, StoreBusy, StoreCorrupt

_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")


def exchange_books_path(settings: Settings) -> Path:
    """Where the built-in exchange keeps its books; the folder is made.

    Raises:
        ConfigError: DATA_DIR cannot be made or is not a folder.
    """
    folder = Path(settings.data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"DATA_DIR is {folder}, which cannot be used ({error.strerror}): choose another") from error
    return folder / "exchange-sim.db"


@contextmanager
def books_held(books: Path) -> Iterator[None]:
    """Keep every other exchange away from these books, as long as the block lasts and however it ends.

    Raises:
        ConfigError: another exchange holds them, or the folder cannot be written.
    """
    path = books.with_name(books.name + ".lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the lock {path} cannot be made ({error.strerror}): check the folder's permissions"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another built-in exchange uses the books {books}: stop it first or set another DATA_DIR"
            ) from error
        yield
    finally:
        os.close(lock)


def database_path(settings: Settings) -> Path | None:
    """The file of an SQLite database, None for PostgreSQL."""
    return sqlite_path(parse_url(settings.resolved_database_url.get_secret_value()))


def clear_world(settings: Settings, books: Path, *, account: str, afresh: bool) -> Path | None:
    """Move the old world aside when it cannot be gone on with; returns where to.

    That is: a new one is wanted, one half is missing, or it is another account's (another seed).

    What is no readable database of ours is left where it is: it may be a damaged one that
    somebody wants to rescue, or another program's file.

    Raises:
        ConfigError: the files cannot be moved, or a PostgreSQL database holds another world.
        StoreCorrupt: the database cannot be read, or is another mode's.
        StoreBusy: a daemon that still runs holds it.
    """
    database = database_path(settings)
    owner = _owner(settings) if database is None or database.exists() else None
    halves = [path for path in (database, books) if path is not None]
    whole = all(path.exists() for path in halves)
    strange = owner is not None and owner.account != account.lower()
    if database is None and owner is not None and (afresh or strange or not whole):
        raise ConfigError(
            "DATABASE_URL is a PostgreSQL database that holds another simulation, which cannot be moved aside as a "
            "file can: give an empty database, or leave DATABASE_URL empty"
        )
    if whole and not afresh and not strange:
        return None
    return _move_aside(halves, books.parent / "previous")


def clear_books(books: Path) -> Path | None:
    """Move the books of an exchange that runs alone aside; returns where to.

    Raises:
        ConfigError: they cannot be moved.
    """
    return _move_aside([books], books.parent / "previous")


def _owner(settings: Settings) -> Owner | None:
    """Whose database it is; refuses one that may not be moved: unreadable, in use, or of another mode."""
    url = settings.resolved_database_url.get_secret_value()
    owner = owner_of(url)
    if is_in_use(url):
        raise StoreBusy("another polystra uses the database; stop it first or set another DATABASE_URL")
    if owner is not None and owner.mode != settings.mode.value:
        raise StoreCorrupt(
            f"the database belongs to mode {owner.mode} and account {owner.account}, this run is mode "
            f"{settings.mode.value}; set another DATABASE_URL"
        )
    return owner


def _move_aside(paths: list[Path], previous: Path) -> Path | None:
    old = [
        path.with_name(path.name + companion)
        for path in paths
        for companion in _COMPANIONS
        if path.with_name(path.name + companion).exists()
    ]
    return _move(old, previous) if old else None


def _move(files: list[Path], previous: Path) -> Path:
    try:
        previous.mkdir(exist_ok=True)
        numbers = [int(each.name) for each in previous.iterdir() if each.name.isdigit()]
        folder = previous / f"{max(numbers, default=0) + 1:04d}"
        folder.mkdir()
        for path in files:
            path.rename(folder / path.name)
    except OSError as error:
        raise ConfigError(
            f"the files of the last simulation cannot be moved to {previous} ({error.strerror}); "
            "check the folder's permissions or set another DATA_DIR"
        ) from error
    return folder
