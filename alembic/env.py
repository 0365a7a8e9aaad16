"""Alembic's environment: where the database is, and one transaction around all migrations.

The program hands its connection over in `config.attributes`; the command line gets one by
`-x url=...`, DATABASE_URL or alembic.ini, in that order.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection

from polystra.adapters.store.database import make_engine, parse_url, sqlite_path
from polystra.adapters.store.tables import metadata


def _url() -> str:
    given = context.get_x_argument(as_dictionary=True).get("url")
    found = given or os.environ.get("DATABASE_URL") or context.config.get_main_option("sqlalchemy.url")
    return (
        str(found)
        .replace("{data_dir}", os.environ.get("DATA_DIR", "data"))
        .replace("{mode}", os.environ.get("MODE", "sim"))
    )


def _migrate(connection: Connection) -> None:
    """All steps or none: both engines take back schema changes with the transaction, ours or the caller's."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=True,
        compare_type=True,
    )
    ours = nullcontext() if connection.in_transaction() else connection.begin()
    with ours, context.begin_transaction():
        context.run_migrations()


def _offline() -> None:
    """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
    url = parse_url(_url())
    context.configure(url=url, target_metadata=metadata, literal_binds=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _online() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _migrate(connection)
        return
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    url = parse_url(_url())
    path = sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(url, foreign_keys=False)
    with engine.connect() as opened:
        _migrate(opened)
    engine.dispose()


if context.is_offline_mode():
    _offline()
else:
    _online()
