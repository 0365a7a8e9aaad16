"""Paper: the whole daemon on live streams with a simulated account; nothing of ours ever reaches the exchange."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from polystra.adapters.store.account_reading import read_account
from polystra.domain.orders import Order, OrderStatus
from polystra.engine.state import EngineState
from polystra.runtime.daemon import Daemon
from tests.simulation.paper_world import Crash, Leg, PaperWorld, paper_settings, trade_on_paper


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> PaperWorld:
    """Two runs, the second on the books of the first."""
    return trade_on_paper(paper_settings(tmp_path_factory.mktemp("paper")), Leg(3), Leg(3))


def test_it_trades_settles_and_adds_up(restarted: PaperWorld):
    first, second = restarted.summaries
    assert (first.settled_markets, second.settled_markets) == (3, 3)
    report = restarted.report()
    assert report.mode == "paper"
    assert report.fills > 0
    assert report.discrepancies == ()


def test_a_restart_finds_the_account_as_the_books_have_it(restarted: PaperWorld):
    report = restarted.report()
    assert report.adjustments == ()
    account = read_account(restarted.settings.resolved_database_url.get_secret_value())
    assert account.account == "paper"
    deposits = [posting for posting in account.postings if posting.kind == "TRANSFER"]
    assert [posting.settled_cash for posting in deposits] == [1_000_000_000]


def test_nothing_of_ours_reaches_the_exchange(restarted: PaperWorld):
    assert restarted.strangers == []
    assert {method for method, _ in restarted.requests} == {"GET"}
    private = {path for _, path in restarted.requests if "/data/" in path or "auth" in path or "balance" in path}
    assert private == set()


def dying_at(found: Callable[[EngineState], bool]) -> Callable[[Daemon], Coroutine[Any, Any, None]]:
    async def user(daemon: Daemon) -> None:
        while not found(daemon._engine.state):
            await daemon._parts.clock.sleep(0.01)
        raise Crash

    return user


def an_order(wanted: Callable[[Order], bool]) -> Callable[[EngineState], bool]:
    return lambda state: any(wanted(track.order) for track in state.orders.values())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("an exit rests", an_order(lambda order: order.terms.purpose.is_exit and order.status is OrderStatus.OPEN)),
        ("an entry is under way", an_order(lambda order: order.status is OrderStatus.SUBMITTED)),
        ("a fill has not settled", an_order(lambda order: order.filled > 0 and not order.terms.purpose.is_exit)),
        ("winnings wait to be paid", lambda state: any(each.claim > 0 for each in state.ledger.tokens.values())),
    ],
)
def test_a_crash_leaves_an_account_that_the_next_run_agrees_with(
    name: str, found: Callable[[EngineState], bool], tmp_path: Path
):
    world = trade_on_paper(paper_settings(tmp_path), Leg(user=dying_at(found)), Leg(4))
    [summary] = world.summaries
    assert summary.reason == "4 markets settled", name
    report = world.report()
    assert report.discrepancies == ()
    assert report.adjustments == ()
    assert report.claims == "0"
    account = read_account(world.settings.resolved_database_url.get_secret_value())
    assert not any(order.is_live for order in account.orders)
    assert world.strangers == []
