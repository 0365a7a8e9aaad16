"""Fixtures that more than one module of these tests uses."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from py_clob_client_v2 import ClobClient

from tests.e2e.official_desk import KEY, connect, official_venue


@pytest.fixture
def venue() -> Iterator[SimpleNamespace]:
    """An exchange with one quoted market, and the deposit wallet of the development key."""
    with official_venue() as serving:
        yield serving


@pytest.fixture
def client(venue: SimpleNamespace) -> ClobClient:
    """The official client with credentials."""
    return connect(venue.url, KEY)
