"""Bringing a database to this version's schema, and asking where it stands.

What lives here: the driving of Alembic from the program. The scripts are data: `alembic/` at
the project's root in a source tree, `polystra/migrations` in an installed package. Functions
block; a daemon calls them in an executor. What must not: the schema itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection

from polystra.adapters.store.database import describe, make_engine, make_private, parse_url, sqlite_path, translated
from polystra.adapters.store.lock import FileLock, release_session_lock, take_session_lock
from polystra.domain.errors import StoreCorrupt

_PACKAGE: Final = Path(__file__).resolve().parents[2]
_INSTALLED: Final = _PACKAGE / "migrations"
_SOURCE: Final = _PACKAGE.parents[1] / "alembic"


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `upgrade` found and left; revisions are None for a database without schema."""

    before: str | None
    after: str | None
    head: str
    migrated: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema's history."""

    revision: str
    down_revision: str | None
    summary: str


def script_location() -> Path:
    """The folder with `env.py` and `versions/`.

    Raises:
        StoreCorrupt: the installation lacks it.
    """
    for folder in (_INSTALLED, _SOURCE):
        if (folder / "env.py").is_file():
            return folder
    raise StoreCorrupt(f"the migrations are missing from {_INSTALLED}; install polystra again")


def upgrade(url: str, *, before_it: Callable[[str], None] | None = None) -> MigrationReport:
    """Bring the database to the newest revision; makes the SQLite file and its folder when missing.

    `before_it` is called with the revision found, once nobody else can use the database, when one that holds
    something is about to be migrated; what it raises keeps the database as it is.

    Raises:
        StoreBusy: a daemon uses the database (only when there is something to migrate).
        StoreCorrupt: unreadable, or of a revision that this version does not know.
        ConfigError: the URL names no database.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None:
        _make_folder(path)
        make_private(path)
    lock: FileLock | None = None
    engine = make_engine(parsed, foreign_keys=False)
    try:
        with translated(parsed), engine.connect() as connection:
            before, head = revision_of(connection), _head()
            connection.rollback()
            require_known(before, parsed)
            if before == head:
                return MigrationReport(before=before, after=head, head=head, migrated=False)
            if path is None:
                take_session_lock(connection, parsed)
            else:
                lock = FileLock(path)
            if before is not None and before_it is not None:
                before_it(before)
            run_to(connection, parsed)
            after = revision_of(connection)
            connection.rollback()
            if path is None:
                release_session_lock(connection)
            return MigrationReport(before=before, after=after, head=head, migrated=True)
    finally:
        if lock is not None:
            lock.release()
        engine.dispose()


def current(url: str) -> str | None:
    """Return the revision of an existing database, None when it has no schema; never makes a file.

    Raises:
        StoreCorrupt: missing or unreadable.
        StoreBusy: cannot be reached for now.
        ConfigError: the URL names no database.
    """
    parsed = parse_url(url)
    require_file(parsed)
    engine = make_engine(parsed, read_only=True)
    try:
        with translated(parsed), engine.connect() as connection:
            return revision_of(connection)
    finally:
        engine.dispose()


def history() -> tuple[Revision, ...]:
    """Return every revision that this version knows, oldest first."""
    revisions = [
        Revision(
            revision=script.revision,
            down_revision=script.down_revision if isinstance(script.down_revision, str) else None,
            summary=(script.doc or "").partition("\n")[0],
        )
        for script in _scripts().walk_revisions()
    ]
    return tuple(reversed(revisions))


def require_head(connection: Connection, url: URL) -> None:
    """Refuse a database whose schema is not exactly this version's.

    Raises:
        StoreCorrupt: no schema, an older one, or one that this version does not know.
    """
    found, head = revision_of(connection), _head()
    require_known(found, url)
    if found != head:
        state = "has no polystra schema" if found is None else f"has schema {found}, this version needs {head}"
        raise StoreCorrupt(f"the database {describe(url)} {state}; bring it up to date with: polystra db upgrade")


def require_file(url: URL) -> None:
    """Refuse an SQLite database that is not there, where opening it would make it.

    Raises:
        StoreCorrupt: no such file.
    """
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        raise StoreCorrupt(f"the database {path} does not exist; check DATABASE_URL, or run polystra once to make it")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head() -> str:
    head = _scripts().get_current_head()
    if head is None:
        raise StoreCorrupt(f"the folder {script_location()} holds no migration; install polystra again")
    return head


def revision_of(connection: Connection) -> str | None:
    """The revision of an open database, None without a schema."""
    return MigrationContext.configure(connection).get_current_revision()


def require_known(revision: str | None, url: URL) -> None:
    """Refuse a revision that is not in our history; raises StoreCorrupt."""
    if revision is None or revision in {known.revision for known in history()}:
        return
    raise StoreCorrupt(
        f"the database {describe(url)} has schema {revision}, which this version of polystra does not know; "
        "use the version that made it or set another DATABASE_URL"
    )


def run_to(connection: Connection, url: URL, revision: str = "head") -> None:
    """Run the migrations up to a revision, in the caller's transaction if one is open, else in one of their own.

    Raises:
        StoreCorrupt: the database cannot be migrated.
    """
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StoreCorrupt(f"the database {describe(url)} cannot be migrated: {error}") from error


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreCorrupt(
            f"the folder {path.parent} for the database cannot be made: {error.strerror}; set another DATABASE_URL"
        ) from error
