"""The audit of requests on both engines: beside the facts, pruned by age, asked by order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from polystra.adapters.store import audit_reading, queries
from polystra.adapters.store.tables import api_call_orders, api_calls
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import InvariantViolation
from polystra.domain.fills import FillStatus
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.ledger import reversed_posting
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderEvent, OrderStatus, Purpose
from polystra.ports.audit import ApiCall
from tests.fakes import store_facts as facts


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    opened = await SqlStore.open(database_url, mode="sim", account="0xa")
    yield opened
    await opened.close()


def order_id(number: int) -> OrderId:
    return OrderId(f"0x{number:064x}")


def call(number: int, *legs: tuple[int, str], **changes: Any) -> ApiCall:
    made = ApiCall(
        at_ns=facts.T0 + number,
        method="POST",
        path="/orders",
        latency_ns=2_500_000,
        status=200,
        request="{}",
        reply="[]",
        outcome=legs[0][1] if legs else "ok",
        orders=tuple((order_id(leg), outcome) for leg, outcome in legs),
    )
    return replace(made, **changes)


def counts(database_url: str) -> tuple[int, int]:
    with queries.reading(database_url) as connection:
        both = [connection.scalar(select(func.count()).select_from(table)) for table in (api_calls, api_call_orders)]
    return both[0] or 0, both[1] or 0


def latest(database_url: str, *, limit: int = 100, failed: bool = False) -> list[ApiCall]:
    with queries.reading(database_url) as connection:
        return [stored.call for stored in audit_reading.latest_calls(connection, limit=limit, failed=failed)]


async def test_calls_come_back_newest_first_with_their_orders(store: SqlStore, database_url: str) -> None:
    first, second = call(1, (1, "live"), (2, "refused: balance")), call(2, status=None, outcome="in doubt")
    await store.write_calls([first])
    await store.write_calls([second, call(3)])
    assert latest(database_url) == [call(3), second, first]
    assert latest(database_url, limit=1) == [call(3)]
    with queries.reading(database_url) as connection:
        sequences = [stored.sequence for stored in audit_reading.latest_calls(connection, limit=9)]
    assert sequences == [3, 2, 1]


async def test_only_those_that_went_wrong(store: SqlStore, database_url: str) -> None:
    good = [call(1, (1, "live"), (2, "matched"), outcome="1 live, 1 matched"), call(2), call(3, (3, "canceled"))]
    wrong = [call(4, (4, "live"), (5, "refused: balance"), outcome="mixed"), call(5, outcome="refused: unauthorized")]
    wrong.append(call(6, (6, "in doubt"), status=None))
    await store.write_calls([*good, *wrong])
    assert latest(database_url, failed=True) == wrong[::-1]


async def test_text_that_no_database_can_hold_is_kept_all_the_same(store: SqlStore, database_url: str) -> None:
    await store.write_calls([call(1, reply="a\x00b\ud800c", request="\x00")])
    [kept] = latest(database_url)
    assert kept.reply[0] == "a"
    assert kept.reply[-1] == "c"


async def test_old_calls_go_and_the_others_stay(store: SqlStore, database_url: str) -> None:
    await store.write_calls([call(number, (number, "live"), (number + 1, "live")) for number in range(1_200)])
    assert await store.prune_calls(facts.T0 + 1_100, facts.T0) == 1_100
    assert counts(database_url) == (100, 200)
    assert await store.prune_calls(facts.T0 + 1_100, facts.T0) == 0
    await store.write_calls([call(2_000)])
    assert latest(database_url, limit=1) == [call(2_000)]


async def test_routine_that_went_well_goes_earlier(store: SqlStore, database_url: str) -> None:
    beats = [call(1, path="/v1/heartbeats"), call(2, path="/v1/heartbeats", outcome="in doubt", status=None)]
    others = [call(3, path="/notifications?ids=1"), call(4, (4, "live")), call(5, path="/cancel-all")]
    await store.write_calls([*beats, *others, call(20, path="/v1/heartbeats")])
    assert await store.prune_calls(facts.T0, facts.T0 + 10) == 2
    assert [kept.at_ns - facts.T0 for kept in latest(database_url)] == [20, 5, 4, 2]
    with queries.reading(database_url) as connection:
        plain = audit_reading.latest_calls(connection, limit=9, routine=False)
    assert [stored.call.at_ns - facts.T0 for stored in plain] == [5, 4, 2]


async def test_the_audit_and_the_facts_do_not_disturb_each_other(store: SqlStore, database_url: str) -> None:
    await store.commit([facts.market_recorded()])
    async with asyncio.TaskGroup() as group:
        for number in range(1, 30):
            group.create_task(store.commit([facts.intent(facts.order(number))]))
            group.create_task(store.write_calls([call(number, (number, "live"))]))
    assert len((await store.load()).orders) == 29
    assert counts(database_url) == (29, 29)


async def test_a_caller_that_is_cancelled_loses_nothing(store: SqlStore, database_url: str) -> None:
    writing = asyncio.ensure_future(store.write_calls([call(1)]))
    await asyncio.sleep(0)
    writing.cancel()
    await store.write_calls([call(2)])
    assert latest(database_url) == [call(2), call(1)]


async def test_nothing_is_written_after_the_end(store: SqlStore) -> None:
    await store.write_calls([])
    await store.close()
    with pytest.raises(InvariantViolation, match="after the store was closed"):
        await store.write_calls([call(1)])


# --- one order ---------------------------------------------------------------------------


async def test_the_life_of_an_order_has_every_part(store: SqlStore, database_url: str) -> None:
    entry = facts.order(1, rule="entry", planned_price=510_000)
    bought = facts.fill(1, entry)
    undo = replace(facts.matched(bought), posting=reversed_posting(bought, facts.T0 + 50))
    await store.commit([facts.market_recorded(), facts.decision(7), facts.intent(entry, 7), facts.transfer()])
    await store.commit([facts.changed(entry, OrderEvent.ACCEPT, OrderStatus.OPEN)])
    await store.commit([facts.fill_recorded(bought), facts.matched(bought)])
    await store.commit([facts.fill_recorded(replace(bought, status=FillStatus.FAILED), is_new=False), undo])
    await store.write_calls([call(1, (1, "live"), (2, "live")), call(2, (2, "canceled")), call(3, (1, "canceled"))])
    with queries.reading(database_url) as connection:
        life = audit_reading.order_life(connection, ClientOrderId("o000001"))
    assert (life.order.terms.rule, life.order.terms.planned_price) == ("entry", 510_000)
    assert (life.market, life.outcome) == (facts.market().slug, Outcome.UP)
    assert life.decision == facts.decision(7)
    assert life.signed_at_ns == entry.created_at_ns
    assert [stored.sequence for stored in life.calls] == [1, 3]
    assert life.ours == {order_id(1): "o000001"}
    assert [event.event for event in life.events] == [OrderEvent.SUBMIT, OrderEvent.ACCEPT]
    assert [fill.status for fill in life.fills] == [FillStatus.FAILED]
    assert [posting.source_id.partition(":")[0] for posting in life.postings] == ["matched", "reversed"]
    assert life.doubt is None


async def test_an_exit_tells_why_its_position_is_left(store: SqlStore, database_url: str) -> None:
    entry = facts.order(1)
    sale = facts.order(2, purpose=Purpose.STOP_LOSS)
    await store.commit([facts.market_recorded(), facts.intent(entry), facts.intent(sale), facts.denied(3)])
    await store.commit([facts.position(entry, exit_reason="stop-loss")])
    with queries.reading(database_url) as connection:
        lives = [audit_reading.order_life(connection, ClientOrderId(f"o00000{number}")) for number in (1, 2, 3)]
    assert [life.exit_reason for life in lives] == ["", "stop-loss", ""]
    assert lives[2].signed_at_ns is None
    assert lives[2].calls == ()
    assert all(life.decision is None for life in lives)
    assert [sibling.terms.client_order_id for sibling in lives[1].siblings] == ["o000001", "o000003"]


async def test_a_denied_entry_finds_the_decision_of_its_moment(store: SqlStore, database_url: str) -> None:
    others = [facts.decision(1), facts.skip(3, facts.T0 + 7), facts.decision(4, facts.market(2), at_ns=facts.T0 + 7)]
    await store.commit([facts.market_recorded(), facts.market_recorded(facts.market(2)), *others])
    await store.commit([facts.decision(2, at_ns=facts.T0 + 7), facts.denied(3)])
    with queries.reading(database_url) as connection:
        life = audit_reading.order_life(connection, ClientOrderId("o000003"))
    assert life.decision == facts.decision(2, at_ns=facts.T0 + 7)


async def test_an_id_is_found_whole_or_by_how_it_begins(store: SqlStore, database_url: str) -> None:
    await store.commit([facts.market_recorded(), *(facts.intent(facts.order(number)) for number in range(1, 13))])
    await store.commit([facts.intent(facts.order(99, order_id=OrderId("0xfeed" + "0" * 60)))])

    def found(wanted: str) -> tuple[str, ...]:
        with queries.reading(database_url) as connection:
            return audit_reading.candidates(connection, wanted)

    assert found("o000002") == ("o000002",)
    assert found(order_id(2)) == ("o000002",)
    assert found("0xFEED") == ("o000099",)
    assert found("o00001") == ("o000010", "o000011", "o000012")
    assert len(found("o0000")) == audit_reading.MOST_CANDIDATES
    assert found("o7") == found("%") == found("o00000_") == ()


async def test_the_list_of_orders_counts_only_fills_that_hold(store: SqlStore, database_url: str) -> None:
    first, second = facts.order(1), facts.order(2)
    bought, failed = facts.fill(1, first), facts.fill(2, first, status=FillStatus.FAILED)
    await store.commit([facts.market_recorded(), facts.intent(first), facts.intent(second), facts.denied(3)])
    await store.commit([facts.fill_recorded(bought), facts.fill_recorded(failed)])
    await store.commit([facts.changed(second, OrderEvent.CANCEL, OrderStatus.CANCELED)])
    with queries.reading(database_url) as connection:
        every, live = audit_reading.order_rows(connection), audit_reading.order_rows(connection, only_open=True)
    assert {row.order.terms.client_order_id for row in every} == {"o000001", "o000002", "o000003"}
    assert [row.order.terms.client_order_id for row in live] == ["o000001"]
    assert (live[0].traded, live[0].cash, live[0].market) == (bought.quantity, bought.cash, facts.market().slug)
