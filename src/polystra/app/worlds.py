"""The files of a simulated world: the daemon's database and the exchange's books, kept or moved aside together.

The two belong together: one without the other cannot be continued. A world that is replaced
is moved into a numbered folder under `previous/`, never deleted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from polystra.adapters.store.account_reading import is_in_use
from polystra.adapters.store.migrations import current
from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError, StoreBusy

_SQLITE: Final = "sqlite:///"
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


def database_path(settings: Settings) -> Path | None:
    """The file of an SQLite database, None for PostgreSQL."""
    url = settings.resolved_database_url.get_secret_value()
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def clear_world(settings: Settings, books: Path, *, afresh: bool) -> Path | None:
    """Move the old world aside when a new one is wanted or one half of it is missing; returns where to.

    What is no readable database of ours is left where it is: it may be a damaged one that
    somebody wants to rescue, or another program's file.

    Raises:
        ConfigError: the files cannot be moved.
        StoreCorrupt: the database cannot be read.
        StoreBusy: a daemon that still runs holds it.
    """
    database = database_path(settings)
    if database is not None and database.exists():
        _require_ours(settings.resolved_database_url.get_secret_value(), database)
    halves = [path for path in (database, books) if path is not None]
    whole = all(path.exists() for path in halves)
    if whole and not afresh:
        return None
    return _move_aside(halves, books.parent / "previous")


def clear_books(books: Path) -> Path | None:
    """Move the books of an exchange that runs alone aside; returns where to.

    Raises:
        ConfigError: they cannot be moved.
    """
    return _move_aside([books], books.parent / "previous")


def _require_ours(url: str, database: Path) -> None:
    """Refuse to move a database that cannot be read or that a running daemon has open."""
    current(url)
    if is_in_use(url):
        raise StoreBusy(f"another polystra uses the database {database}; stop it first or set another DATABASE_URL")


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
