"""The store's contract on each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from polystra.adapters.store.writer import SqlStore
from polystra.ports.store import Store
from tests.contract.store_contract import OpenStore, StoreContract
from tests.fakes.memory_store import MemoryStore


class TestSqlStore(StoreContract):
    @pytest.fixture
    async def reopen(self, database_url: str) -> AsyncIterator[OpenStore]:
        opened: list[SqlStore] = []

        async def open_again() -> Store:
            store = await SqlStore.open(database_url, mode="sim", account="0xAbC")
            opened.append(store)
            return store

        yield open_again
        for store in opened:
            await store.close()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def reopen(self) -> OpenStore:
        stores = [MemoryStore()]

        async def open_again() -> Store:
            stores.append(stores[-1].reopened())
            return stores[-1]

        return open_again
