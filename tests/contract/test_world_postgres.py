"""A simulated world whose database is PostgreSQL: gone on with, or refused, but never mixed with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.settings import load_settings
from polystra.app.worlds import clear_world, exchange_books_path
from polystra.domain.errors import ConfigError

ACCOUNT = "0x" + "ab" * 20

pytestmark = pytest.mark.postgres


async def test_an_old_world_is_gone_on_with_and_never_mixed_with_a_new_one(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), "DATABASE_URL": postgres_url}, None)
    books = exchange_books_path(settings)
    assert clear_world(settings, books, account=ACCOUNT, afresh=True) is None

    upgrade(postgres_url)
    await (await SqlStore.open(postgres_url, mode="sim", account=ACCOUNT)).close()
    with pytest.raises(ConfigError, match="holds another simulation"):
        clear_world(settings, books, account=ACCOUNT, afresh=False)
    books.write_text("books")
    assert clear_world(settings, books, account=ACCOUNT, afresh=False) is None
    for account, afresh in ((ACCOUNT, True), ("0x" + "cd" * 20, False)):
        with pytest.raises(ConfigError, match="give an empty database"):
            clear_world(settings, books, account=account, afresh=afresh)
    assert books.read_text() == "books"
