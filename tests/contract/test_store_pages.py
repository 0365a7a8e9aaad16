"""Pages of a database on both engines: read beside a writer, newest first, without gap or repetition."""

from __future__ import annotations

from polystra.adapters.store import pages
from polystra.adapters.store.reading_room import ReadingRoom
from polystra.adapters.store.writer import SqlStore
from polystra.domain.facts import FillRecorded, IntentRecorded, PostingRecorded
from tests.fakes import store_facts as facts


async def test_every_page_is_read_beside_the_writer(database_url: str) -> None:
    life = facts.a_life()
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit([*life, facts.settlement()])
    room = ReadingRoom(database_url)
    with room.reading() as connection:
        orders = pages.orders_page(connection, limit=100)
        fills = pages.fills_page(connection, limit=100)
        trades = pages.trades_page(connection, limit=100)
        decisions = pages.decisions_page(connection, limit=100)
        assert pages.settled_markets(connection) == 1
        assert pages.markets_page(connection, limit=100)
    numbers = [row.order.terms.client_order_id for row in orders]
    assert {fact.signed.client_order_id for fact in life if isinstance(fact, IntentRecorded)} <= set(numbers)
    assert {row.fill.key for row in fills} == {fact.fill.key for fact in life if isinstance(fact, FillRecorded)}
    assert decisions
    by_position: dict[str, int] = {}
    for fact in life:
        if isinstance(fact, PostingRecorded) and fact.posting.position_id is not None:
            name = fact.posting.position_id
            by_position[name] = by_position.get(name, 0) + fact.posting.bought
    for row in trades:
        assert row.bought == by_position.get(row.position.position_id, 0)
        assert type(row.bought) is int, "a server's sums are no integers by themselves"
    room.close()
    await store.close()


async def test_pages_follow_one_another(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xa")
    await store.commit(facts.a_life())
    room = ReadingRoom(database_url)
    with room.reading() as connection:
        whole = [row.fill for row in pages.fills_page(connection, limit=100)]
        found, before = [], None
        while page := pages.fills_page(connection, limit=1, before=before):
            found.append(page[0].fill)
            before = (page[0].fill.matched_at_ns, page[0].fill.trade_id, page[0].fill.order_id)
    assert whole
    assert found == whole
    room.close()
    await store.close()
