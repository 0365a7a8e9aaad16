"""The questions of `status`, `positions` and `report`, on both engines, beside a running daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from polystra.adapters.store import queries
from polystra.adapters.store.writer import SqlStore
from polystra.domain.errors import ConfigError, StoreCorrupt
from polystra.domain.facts import Fact
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import PositionId
from polystra.domain.ledger import reversed_posting
from polystra.domain.market import Outcome
from polystra.domain.orders import Order, OrderStatus, Purpose, Side
from polystra.domain.positions import PositionStatus
from tests.fakes import store_facts as facts


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    opened = await SqlStore.open(database_url, mode="sim", account="0xa")
    yield opened
    await opened.close()


def _order(number: int, position: str, **changes: Any) -> Order:
    return facts.order(number, position_id=PositionId(position), status=OrderStatus.FILLED, **changes)


def _traded(number: int, of: Order, **changes: Any) -> list[Fact]:
    made = facts.fill(number, of, matched_at_ns=facts.T0 + number, **changes)
    return [facts.fill_recorded(made), facts.matched(made)]


def _exit(number: int, position: str, purpose: Purpose, quantity: int) -> list[Fact]:
    sale = _order(number, position, side=Side.SELL, purpose=purpose)
    return [facts.intent(sale), *_traded(number, sale, quantity=quantity, cash=6_000_000, fee=100)]


async def test_a_position_counts_once_by_how_it_ended(store: SqlStore, database_url: str) -> None:
    life: list[Fact] = [facts.market_recorded(), facts.transfer()]
    for number, name in enumerate(("profit", "stopped", "both", "held", "part", "open"), start=1):
        entry = _order(number, name)
        life += [facts.intent(entry), *_traded(number, entry)]
    life += _exit(11, "profit", Purpose.TAKE_PROFIT, 10_000_000)
    life += _exit(12, "stopped", Purpose.STOP_LOSS, 9_999_500)
    life += _exit(13, "both", Purpose.TAKE_PROFIT, 4_000_000) + _exit(14, "both", Purpose.STOP_LOSS, 6_000_000)
    life += _exit(15, "part", Purpose.STOP_LOSS, 4_000_000)
    life += [facts.resolved(_order(4, "held"), 10_000_000, 10_000_000)]
    life += [facts.resolved(_order(5, "part"), 6_000_000, 0)]
    life += [facts.position(_order(4, "held"), realised_pnl=-7), facts.position(_order(1, "profit"), realised_pnl=9)]
    await store.commit([*life, facts.settlement()])
    with queries.reading(database_url) as connection:
        totals = queries.totals(connection)
    assert totals == queries.Totals(
        markets_settled=1,
        orders=11,
        fills=11,
        take_profits=1,
        stop_losses=2,
        held_to_resolution=2,
        fees=6 * 174_720 + 5 * 100,
        realised_pnl=2,
    )


async def test_a_failed_fill_counts_nowhere(store: SqlStore, database_url: str) -> None:
    entry, bought = facts.order(1), facts.fill(1)
    failed = replace(bought, status=FillStatus.FAILED)
    undo = replace(facts.matched(bought), posting=reversed_posting(bought, facts.T0 + 50))
    await store.commit([facts.market_recorded(), facts.intent(entry), facts.fill_recorded(bought)])
    await store.commit([facts.matched(bought), facts.fill_recorded(failed, is_new=False), undo])
    with queries.reading(database_url) as connection:
        totals = queries.totals(connection)
        sums = queries.ledger_sums(connection)
        assert queries.all_fills(connection) == (failed,)
    assert (totals.orders, totals.fills, totals.fees, totals.take_profits) == (1, 0, 0, 0)
    assert sums.cash == 0
    assert sums.tokens == (
        queries.TokenSum(token_id=facts.market().up_token, pending_shares=0, settled_shares=0, claim=0),
    )


async def test_the_market_row_has_everything_of_its_market(store: SqlStore, database_url: str) -> None:
    quiet, busy = facts.market(2), facts.market(1)
    await store.commit(
        [*facts.a_life(), facts.market_recorded(quiet), facts.skip(2, facts.T0), facts.denied(2), facts.settlement()]
    )
    with queries.reading(database_url) as connection:
        rows = queries.market_rows(connection)
    assert rows == (
        queries.MarketRow(
            condition_id=busy.condition_id,
            slug=busy.slug,
            symbol="BTC",
            opens_at_s=busy.opens_at_s,
            closes_at_s=busy.closes_at_s,
            settled=True,
            winner=Outcome.UP,
            decisions=2,
            entries=1,
            orders=1,
            fills=1,
            fees=174_720,
            realised_pnl=-174_720,
        ),
    )


async def test_what_is_open_is_shown(store: SqlStore, database_url: str) -> None:
    resting = facts.order(2, status=OrderStatus.OPEN)
    flat = facts.position(facts.order(3, position_id="flat"), status=PositionStatus.CLOSED, pending_shares=0)
    await store.commit([*facts.a_life(), facts.intent(resting), facts.denied(4), flat])
    with queries.reading(database_url) as connection:
        assert queries.owner(connection) == queries.Owner(mode="sim", account="0xa")
        assert queries.open_orders(connection) == (resting,)
        assert [position.position_id for position in queries.open_positions(connection)] == [
            facts.order(1).terms.position_id
        ]
        intents = queries.all_intents(connection)
    assert [(intent.client_order_id, intent.order_id) for intent in intents] == [
        ("o000001", facts.order(1).order_id),
        ("o000002", resting.order_id),
    ]


async def test_ledger_sums_are_those_of_the_postings(store: SqlStore, database_url: str) -> None:
    await store.commit(facts.a_life())
    with queries.reading(database_url) as connection:
        sums = queries.ledger_sums(connection)
        bought: tuple[Fill, ...] = queries.all_fills(connection)
        shown = connection.execute(text("SELECT quantity, price, fee, matched_at FROM v_fills")).one()
    assert (sums.cash, sums.pending_cash, sums.fees) == (100_000_000 - 5_374_720, 0, 174_720)
    assert [(token.settled_shares, token.pending_shares) for token in sums.tokens] == [(10_000_000, 0)]
    assert bought[0].status is FillStatus.CONFIRMED
    assert [str(value) for value in shown[:3]] == ["10.000000", "0.520000", "0.174720"]
    assert str(shown.matched_at).replace(" ", "T").startswith("2026-09-21T")


async def test_reading_cannot_write(store: SqlStore, database_url: str) -> None:
    await store.commit([facts.transfer()])
    with pytest.raises(StoreCorrupt), queries.reading(database_url) as connection:
        connection.execute(text("DELETE FROM store_meta"))


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(StoreCorrupt, match=r"missing\.db does not exist"), queries.reading(f"sqlite:///{missing}"):
        pass
    assert not missing.exists()
    missing.write_bytes(b"x" * 5_000)
    with pytest.raises(StoreCorrupt, match="not a readable SQLite"), queries.reading(f"sqlite:///{missing}"):
        pass
    missing.write_bytes(b"")
    with pytest.raises(StoreCorrupt, match="has no polystra schema"), queries.reading(f"sqlite:///{missing}"):
        pass
    with pytest.raises(ConfigError, match="DATABASE_URL"), queries.reading("nonsense"):
        pass
