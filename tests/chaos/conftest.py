"""The PostgreSQL server of the store's tests, for the tests with processes."""

from tests.contract.conftest import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
