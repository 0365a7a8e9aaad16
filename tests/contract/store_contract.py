"""What every store promises: run against SQLite, PostgreSQL and the fake in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from polystra.domain.errors import StoreConflict
from polystra.domain.facts import Fact
from polystra.domain.fills import FillStatus
from polystra.domain.ledger import Ledger
from polystra.domain.orders import OrderEvent, OrderStatus
from polystra.domain.positions import PositionStatus
from polystra.ports.store import Store, StoredMarket, StoredOrder, StoredState
from tests.fakes import store_facts as facts

OpenStore = Callable[[], Awaitable[Store]]


class StoreContract:
    """Subclasses give a fixture `reopen`: each call opens the same database anew."""

    async def test_a_new_store_is_empty(self, reopen: OpenStore) -> None:
        store = await reopen()
        assert await store.load() == StoredState()

    async def test_facts_come_back_after_a_restart(self, reopen: OpenStore) -> None:
        store = await reopen()
        life = facts.a_life()
        await store.commit(life)
        before = await store.load()
        await store.close()
        state = await (await reopen()).load()
        assert state == before
        entry = facts.order(1)
        assert state.markets == (StoredMarket(market=facts.market(), price_to_beat=9_500_000_000_000, resolved=False),)
        filled = replace(
            entry, status=OrderStatus.FILLED, filled=10_000_000, updated_at_ns=facts.T0 + 5, detail="venue: live"
        )
        assert state.orders == (StoredOrder(order=filled, signed=None),)
        assert [fill.status for fill in state.fills] == [FillStatus.CONFIRMED]
        assert state.fills[0].transaction_hash == "0xabc"
        assert [posting.source_id.split(":")[0] for posting in state.postings] == ["transfer", "matched", "settled"]
        assert state.positions == (facts.position(entry, pending_shares=0, settled_shares=10_000_000),)
        assert (state.next_order_number, state.next_decision_id) == (2, 2)
        assert state.last_fill_ns == facts.fill(1).matched_at_ns

    async def test_signed_bytes_are_kept_for_as_long_as_the_order_may_be_sent_again(self, reopen: OpenStore) -> None:
        store = await reopen()
        entry = facts.order(1)
        await store.commit([facts.market_recorded(), facts.intent(entry)])
        await store.commit([facts.changed(entry, OrderEvent.OUTCOME_UNKNOWN, OrderStatus.IN_DOUBT)])
        assert [stored.signed for stored in (await store.load()).orders] == [facts.signed(entry)]
        end = facts.changed(entry, OrderEvent.CANCEL, OrderStatus.CANCELED)
        await store.commit([end])
        assert [stored.signed for stored in (await store.load()).orders] == [None]
        await store.commit([facts.intent(entry), end])
        assert [stored.signed for stored in (await store.load()).orders] == [None], "told again, they stay erased"

    async def test_an_intent_that_ends_in_its_own_commit_leaves_no_bytes(self, reopen: OpenStore) -> None:
        store = await reopen()
        entry = facts.order(1)
        end = facts.changed(entry, OrderEvent.REJECT, OrderStatus.REJECTED)
        await store.commit([facts.market_recorded(), facts.intent(entry), end])
        assert [stored.signed for stored in (await store.load()).orders] == [None]

    async def test_the_ledger_sums_are_restored(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit(facts.a_life())
        ledger = Ledger()
        for posting in (await store.load()).postings:
            ledger.append(posting)
        assert ledger.cash == 100_000_000 - 5_200_000 - 174_720
        assert ledger.balance(facts.market().up_token).settled_shares == 10_000_000

    async def test_repeating_everything_changes_nothing(self, reopen: OpenStore) -> None:
        store = await reopen()
        life = facts.a_life()
        await store.commit(life)
        before = await store.load()
        await store.commit(life)
        for fact in life:
            await store.commit([fact])
        after = await store.load()
        assert after.postings == before.postings
        assert after.fills == before.fills
        assert after.positions == before.positions
        assert [stored.signed for stored in after.orders] == [stored.signed for stored in before.orders]

    async def test_an_old_intent_does_not_reopen_an_order(self, reopen: OpenStore) -> None:
        store = await reopen()
        entry = facts.order(1)
        await store.commit([facts.market_recorded(), facts.intent(entry)])
        await store.commit([facts.changed(entry, OrderEvent.CANCEL, OrderStatus.CANCELED)])
        await store.commit([facts.intent(entry)])
        (stored,) = (await store.load()).orders
        assert stored.order.status is OrderStatus.CANCELED

    async def test_a_settled_fill_stays_settled(self, reopen: OpenStore) -> None:
        store = await reopen()
        bought = facts.fill(1)
        failed = replace(bought, status=FillStatus.FAILED)
        await store.commit([facts.market_recorded(), facts.intent(), facts.fill_recorded(failed, is_new=False)])
        await store.commit([facts.fill_recorded(bought)])
        assert [fill.status for fill in (await store.load()).fills] == [FillStatus.FAILED]

    async def test_an_order_in_flight_is_loaded_as_submitted_with_its_bytes(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded(), facts.intent()])
        (stored,) = (await store.load()).orders
        assert stored.order == facts.order(1)
        assert stored.signed == facts.signed(facts.order(1))

    async def test_a_denied_intent_uses_up_its_number(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded(), facts.denied(41)])
        state = await store.load()
        assert state.next_order_number == 42
        assert [stored.order.status for stored in state.orders] == [OrderStatus.DENIED]
        assert state.orders[0].signed is None

    @pytest.mark.parametrize("change", ["posting", "intent", "fill", "decision"])
    async def test_another_content_under_a_known_key_is_a_conflict(self, reopen: OpenStore, change: str) -> None:
        store = await reopen()
        await store.commit(facts.a_life())
        before = await store.load()
        others: dict[str, Fact] = {
            "posting": facts.transfer(1),
            "intent": facts.intent(facts.order(1, order_id="0xother")),
            "fill": facts.fill_recorded(facts.fill(1, quantity=1)),
            "decision": facts.decision(1, action="SKIP"),
        }
        with pytest.raises(StoreConflict):
            await store.commit([facts.market_recorded(facts.market(2)), others[change]])
        assert await store.load() == before

    async def test_one_order_id_belongs_to_one_intent(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded(), facts.intent()])
        with pytest.raises(StoreConflict):
            await store.commit([facts.intent(facts.order(2, order_id=facts.order(1).order_id))])

    async def test_concurrent_commits_keep_their_order(self, reopen: OpenStore) -> None:
        store = await reopen()
        orders = [facts.order(number) for number in range(1, 40)]
        await store.commit([facts.market_recorded()])
        calls = []
        for made in orders:
            calls.append(store.commit([facts.intent(made)]))
            calls.append(store.commit([facts.changed(made, OrderEvent.ACCEPT, OrderStatus.OPEN)]))
            calls.append(store.commit([facts.changed(made, OrderEvent.CANCEL, OrderStatus.CANCELED)]))
        await asyncio.gather(*calls)
        state = await store.load()
        assert [stored.order.status for stored in state.orders] == [OrderStatus.CANCELED] * len(orders)
        assert state.next_order_number == 40

    async def test_of_concurrent_commits_only_the_wrong_one_fails(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded(), facts.transfer()])
        results = await asyncio.gather(
            store.commit([facts.intent(facts.order(1))]),
            store.commit([facts.transfer(5), facts.intent(facts.order(2))]),
            store.commit([facts.intent(facts.order(3))]),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), StoreConflict, type(None)]
        numbers = [stored.order.terms.client_order_id for stored in (await store.load()).orders]
        assert numbers == ["o000001", "o000003"]

    async def test_a_cancelled_caller_does_not_tear_its_commit(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded()])
        caller = asyncio.ensure_future(store.commit([facts.intent(), facts.transfer()]))
        waiting = asyncio.ensure_future(store.commit([facts.intent(facts.order(2))]))
        await asyncio.sleep(0)
        caller.cancel()
        waiting.cancel()
        await asyncio.gather(caller, waiting, return_exceptions=True)
        await store.commit([facts.decision(9)])
        state = await store.load()
        assert len(state.postings) == 1
        assert len(state.orders) == 2

    async def test_close_writes_what_waits(self, reopen: OpenStore) -> None:
        store = await reopen()
        await store.commit([facts.market_recorded()])
        calls = [asyncio.ensure_future(store.commit([facts.intent(facts.order(n))])) for n in range(1, 6)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*calls)
        assert len((await (await reopen()).load()).orders) == 5

    async def test_a_settled_market_without_open_business_is_not_loaded(self, reopen: OpenStore) -> None:
        store = await reopen()
        entry = facts.order(1)
        await store.commit(facts.a_life())
        flat = facts.position(entry, status=PositionStatus.RESOLVED, pending_shares=0, settled_shares=0)
        await store.commit([facts.resolved(entry, 10_000_000, 10_000_000), flat, facts.settlement()])
        claimed = await store.load()
        assert [(m.market.condition_id, m.resolved) for m in claimed.markets] == [(facts.market().condition_id, True)]
        assert claimed.positions == (flat,)
        await store.commit([facts.redeemed(entry, 10_000_000)])
        state = await store.load()
        assert (state.markets, state.orders, state.fills, state.positions) == ((), (), (), ())
        assert len(state.postings) == 5
        assert state.settled_markets == 1

    async def test_a_live_order_or_provisional_fill_keeps_a_settled_market(self, reopen: OpenStore) -> None:
        store = await reopen()
        first, second = facts.market(1), facts.market(2)
        live = facts.order(1, first, status=OrderStatus.IN_DOUBT)
        done = facts.order(2, second, status=OrderStatus.FILLED)
        await store.commit([facts.market_recorded(first), facts.market_recorded(second)])
        await store.commit([facts.intent(live), facts.intent(done), facts.fill_recorded(facts.fill(1, done))])
        await store.commit([facts.settlement(first), facts.settlement(second)])
        state = await store.load()
        assert [stored.market.condition_id for stored in state.markets] == [first.condition_id, second.condition_id]
        assert [stored.order.terms.client_order_id for stored in state.orders] == ["o000001", "o000002"]
        assert len(state.fills) == 1
