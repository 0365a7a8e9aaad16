"""The lines of one position, and how long what only tells the past is kept; on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from polystra.adapters.store import queries
from polystra.adapters.store.position_ledger import read_position_ledger
from polystra.adapters.store.session import NOTES_KEPT_NS
from polystra.adapters.store.writer import SqlStore
from polystra.domain.facts import BalanceObserved, Notice, NoticeKind, PostingRecorded, ReconcileCompleted
from polystra.domain.fills import FillStatus
from polystra.domain.ledger import reversed_posting
from polystra.domain.positions import Position
from tests.fakes import store_facts as facts


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    opened = await SqlStore.open(database_url, mode="sim", account="0xa")
    yield opened
    await opened.close()


async def test_every_line_of_a_position_is_told_with_what_became_of_it(store: SqlStore, database_url: str) -> None:
    entry = facts.order(1)
    final, failed, waiting = (facts.fill(number, entry, quantity=2_000_000) for number in (1, 2, 3))
    confirmed = replace(final, status=FillStatus.CONFIRMED)
    void = replace(failed, status=FillStatus.FAILED)
    await store.commit([facts.market_recorded(), facts.transfer(), facts.intent(entry), facts.position(entry)])
    for made in (final, failed, waiting):
        await store.commit([facts.fill_recorded(made), facts.matched(made)])
    await store.commit([facts.fill_recorded(confirmed, is_new=False), facts.settled(confirmed)])
    reversal = PostingRecorded(posting=reversed_posting(failed, facts.T0 + 9))
    await store.commit([facts.fill_recorded(void, is_new=False), reversal])
    read = read_position_ledger(database_url, entry.terms.position_id)
    assert read is not None
    assert [(line.posting.kind.value, line.finality.value) for line in read.lines] == [
        ("MATCHED", "final"),
        ("MATCHED", "reversed"),
        ("MATCHED", "provisional"),
        ("SETTLED", "final"),
        ("REVERSED", "final"),
    ]
    assert [fill.trade_id for fill in read.fills] == ["trade-1", "trade-2", "trade-3"]
    summed = Position(
        position_id=entry.terms.position_id,
        condition_id=entry.terms.condition_id,
        token_id=entry.terms.token_id,
        opened_at_ns=0,
    )
    for line in read.lines:
        summed.add(line.posting)
    assert (summed.settled_shares, summed.pending_shares) == (2_000_000, 2_000_000)


async def test_a_position_that_is_not_there_is_none(store: SqlStore, database_url: str) -> None:
    await store.commit([facts.market_recorded()])
    assert read_position_ledger(database_url, "nowhere") is None


async def test_old_notes_go_and_the_last_of_each_kind_and_all_money_stay(store: SqlStore, database_url: str) -> None:
    old, young = facts.T0, facts.T0 + NOTES_KEPT_NS
    for at_ns in (old, old + 1, young):
        await store.commit(
            [
                BalanceObserved(cash=at_ns, ledger_cash=0, at_ns=at_ns, source="periodic"),
                ReconcileCompleted(at_ns=at_ns, open_orders=0, fills_applied=0, differences=(), trigger=str(at_ns)),
                Notice(kind=NoticeKind.STREAM_LOST, subject="user", message=str(at_ns), at_ns=at_ns),
            ]
        )
    blocked = Notice(kind=NoticeKind.ENTRIES_BLOCKED, subject="", message="killed", at_ns=old)
    await store.commit([facts.market_recorded(), facts.transfer(), blocked])
    assert await store.prune(young + 2, 1) == 6
    with queries.reading(database_url) as connection:
        kept = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("balances", "reconciliations", "notices", "ledger")
        }
        words = connection.execute(text("SELECT message FROM notices ORDER BY sequence")).scalars().all()
    assert kept == {"balances": 1, "reconciliations": 1, "notices": 2, "ledger": 1}
    assert words == [str(young), "killed"]
