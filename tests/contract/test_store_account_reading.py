"""Reading a whole account, whose database it is and whether a daemon holds it, on both engines."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from polystra.adapters.store.account_reading import is_in_use, owner_of, read_account
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import StoreCorrupt
from polystra.domain.facts import FillRecorded, IntentRecorded, Notice, NoticeKind, PostingRecorded
from tests.fakes import store_facts as facts


def notice(kind: NoticeKind, message: str, after_ns: int) -> Notice:
    return Notice(kind=kind, subject="entries", message=message, at_ns=facts.T0 + after_ns)


async def test_everything_that_was_written_is_read(database_url: str) -> None:
    life = facts.a_life()
    store = await SqlStore.open(database_url, mode="sim", account="0xAbC")
    await store.commit([*life, facts.settlement()])
    account = read_account(database_url)
    await store.close()
    assert (account.mode, account.account) == ("sim", "0xabc")
    assert account.schema
    assert list(account.postings) == [fact.posting for fact in life if isinstance(fact, PostingRecorded)]
    intents = {f.signed.client_order_id: f.signed.order_id for f in life if isinstance(f, IntentRecorded)}
    assert account.intents == intents
    assert {order.terms.client_order_id for order in account.orders} >= set(intents)
    assert {fill.key for fill in account.fills} == {f.fill.key for f in life if isinstance(f, FillRecorded)}
    assert account.settlements == (facts.settlement(),)
    assert account.totals.markets_settled == 1
    assert account.last_entry_ns >= facts.T0


@pytest.mark.parametrize(
    ("last", "blocked"),
    [(NoticeKind.ENTRIES_ALLOWED, ""), (NoticeKind.ENTRIES_BLOCKED, "why"), (NoticeKind.TRADING_HALTED, "why")],
)
async def test_the_newest_word_says_whether_entries_are_made(last: NoticeKind, blocked: str, database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit([notice(NoticeKind.ENTRIES_BLOCKED, "earlier", 1), notice(last, "why", 2)])
    assert read_account(database_url).entries_blocked == blocked
    await store.close()


async def test_a_database_is_in_use_as_long_as_a_daemon_has_it_open(database_url: str) -> None:
    assert not is_in_use(database_url)
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    assert is_in_use(database_url)
    assert is_in_use(database_url)
    await store.close()
    assert not is_in_use(database_url)


async def test_asking_does_not_keep_a_daemon_out(database_url: str) -> None:
    await (await SqlStore.open(database_url, mode="sim", account="0xa")).close()
    assert not is_in_use(database_url)
    await (await SqlStore.open(database_url, mode="sim", account="0xa")).close()


async def test_the_owner_is_known_from_the_first_run_on(database_url: str) -> None:
    assert owner_of(database_url) is None
    with pytest.raises(StoreCorrupt, match="holds no account yet"):
        read_account(database_url)
    await (await SqlStore.open(database_url, mode="live", account="0xA")).close()
    owner = owner_of(database_url)
    assert owner is not None
    assert (owner.mode, owner.account) == ("live", "0xa")


def test_a_database_without_schema_has_no_owner(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        sqlite3.connect(empty_url.removeprefix("sqlite:///")).execute("CREATE TABLE other (id)").connection.close()
    assert owner_of(empty_url) is None


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for ask in (owner_of, read_account):
        with pytest.raises(StoreCorrupt, match="does not exist"):
            ask(url)
    assert not is_in_use(url)
    assert list(tmp_path.iterdir()) == []
