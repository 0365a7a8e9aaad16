"""Whatever facts come in whatever groups, SQLite gives back what the model in memory gives back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.domain.facts import Fact
from polystra.domain.fills import FillStatus
from polystra.domain.orders import Order, OrderEvent, OrderStatus, Purpose, Side
from polystra.domain.positions import PositionStatus
from polystra.ports.store import StoredState
from tests.fakes import store_facts as facts
from tests.fakes.memory_store import MemoryStore

_NUMBERS = st.integers(1, 4)
_STATUSES = [OrderStatus.OPEN, OrderStatus.IN_DOUBT, OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.EXPIRED]


def _order_of(number: int) -> Fact:
    return facts.intent(_made(number))


def _made(number: int) -> Order:
    entry = bool(number % 2)
    return facts.order(
        number,
        facts.market(1 + number % 2),
        side=Side.BUY if entry else Side.SELL,
        purpose=Purpose.ENTRY if entry else Purpose.STOP_LOSS,
        position_id=f"position-{number}",
        expires_at_s=number * 1_000,
        budget=number,
        reason="grün",
    )


_FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(_order_of, _NUMBERS),
    st.builds(
        lambda n, status, filled, at: facts.changed(
            _made(n), OrderEvent.ACCEPT, status, filled=filled, at_ns=facts.T0 + at
        ),
        _NUMBERS,
        st.sampled_from(_STATUSES),
        st.integers(0, 10**12),
        st.integers(1, 10**12),
    ),
    st.builds(
        lambda n, status, at: facts.fill_recorded(facts.fill(n, _made(n), status=status, updated_at_ns=at)),
        _NUMBERS,
        st.sampled_from(list(FillStatus)),
        st.integers(0, 2**62),
    ),
    st.builds(lambda n: facts.matched(facts.fill(n, _made(n))), _NUMBERS),
    st.builds(lambda n: facts.resolved(_made(n), n, 2 * n), _NUMBERS),
    st.builds(
        lambda n, status, shares, pnl: facts.position(
            _made(n), status=status, pending_shares=shares, settled_shares=0, realised_pnl=pnl
        ),
        _NUMBERS,
        st.sampled_from(list(PositionStatus)),
        st.sampled_from([0, 0, 5]),
        st.integers(-(2**62), 2**62),
    ),
    st.builds(lambda n: facts.settlement(facts.market(n)), st.integers(1, 2)),
    st.builds(
        lambda n, price: facts.market_recorded(facts.market(n, accepting_orders=price is None), price_to_beat=price),
        st.integers(1, 2),
        st.none() | st.integers(1, 2**60),
    ),
    st.builds(facts.decision, st.integers(1, 100)),
    st.sampled_from(facts.rare_facts()),
)


async def _both(path: Path, groups: list[list[Fact]]) -> tuple[StoredState, StoredState]:
    url = f"sqlite:///{path}"
    store, model = await SqlStore.open(url, mode="sim", account="0xa"), MemoryStore()
    known: list[Fact] = [facts.market_recorded(facts.market(1)), facts.market_recorded(facts.market(2))]
    known += [_order_of(number) for number in range(1, 5)]
    groups = [known, *groups]
    for group in groups:
        await model.commit(group)
    await asyncio.gather(*(store.commit(group) for group in groups))
    await store.close()
    store = await SqlStore.open(url, mode="sim", account="0xa")
    state = await store.load()
    await store.close()
    return state, await model.load()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "store.db"
    upgrade(f"sqlite:///{path}")
    return path


@settings(max_examples=40, deadline=None)
@given(groups=st.lists(st.lists(_FACTS, min_size=1, max_size=6), max_size=6))
def test_the_database_and_the_model_agree(template: Path, groups: list[list[Fact]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(shutil.copy(template, folder))
        stored, model = asyncio.run(_both(path, groups))
    assert stored == model
