"""A database read again and again beside the daemon that writes it: one engine, a read-only session per question.

What lives here: opening and closing. What must not: statements. The schema is checked once; a session sees one
moment of the database and never holds up a writer (SQLite in WAL, PostgreSQL in a snapshot).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from polystra.adapters.store.database import make_engine, parse_url, translated
from polystra.adapters.store.migrations import require_file, require_head


class ReadingRoom:
    """See the module docstring. Sessions may be opened by any thread.

    Raises:
        ConfigError: the URL names no database.
    """

    def __init__(self, url: str) -> None:
        self._url: Final = parse_url(url)
        self._engine: Final = make_engine(self._url, read_only=True)
        self._checked = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection inside one read transaction.

        Raises:
            StoreCorrupt: missing, unreadable, or of another schema.
            StoreBusy: cannot be reached for now.
        """
        if not self._checked:
            require_file(self._url)
        with translated(self._url), self._engine.connect() as connection:
            if self._url.get_backend_name() == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            if not self._checked:
                require_head(connection, self._url)
                self._checked = True
            yield connection

    def close(self) -> None:
        """Release what is kept between sessions."""
        self._engine.dispose()
