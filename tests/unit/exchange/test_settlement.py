"""Retried, failed and late trades: statuses, hashes, and money back to where it was."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import AccountRules
from polystra.exchange.books import BookStore, read_books
from polystra.exchange.core import CoreConfig, ExchangeCore, OrderEvent, PlaceRequest, TradeEvent
from polystra.exchange.model import NS_PER_S
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, T0, UP, Desk, spec

MakeDesk = Callable[..., Desk]


def statuses(desk: Desk) -> list[str]:
    return [event.trade.status for event in desk.of(TradeEvent) if isinstance(event, TradeEvent)]


def hashes(desk: Desk) -> list[str | None]:
    return [event.trade.transaction_hash for event in desk.of(TradeEvent) if isinstance(event, TradeEvent)]


def mint(desk: Desk, size: str = "10") -> str:
    """Let Alice buy Up at 0.60 against Bob's resting Down at 0.40; returns the trade's id."""
    desk.limit(BOB, DOWN, "BUY", "0.40", size)
    return desk.limit(ALICE, UP, "BUY", "0.60", size).trade_ids[0]


def money(desk: Desk) -> list[tuple[int, int, dict[str, int], dict[str, int], int]]:
    books = desk.core.books()
    parts = [books.accounts[address] for address in (ALICE, BOB)]
    return [(each.cash, each.pending_cash, each.tokens, each.pending_tokens, each.fees_paid) for each in parts]


def wait(desk: Desk, seconds: int) -> None:
    desk.now += seconds * NS_PER_S
    desk.core.advance(desk.now)


def test_every_trade_fails_when_its_share_is_a_whole(make_desk: MakeDesk) -> None:
    desk = make_desk(rules=AccountRules(fail_ppm=1_000_000))
    before, total = money(desk), desk.core.total_money()
    mint(desk)
    wait(desk, 2)
    assert statuses(desk) == ["MATCHED", "RETRYING"]
    wait(desk, 3)
    assert statuses(desk) == ["MATCHED", "RETRYING", "FAILED"]
    assert money(desk) == before
    assert desk.core.total_money() == total
    assert desk.core.books().fee_pot == 0
    assert desk.core.books().markets[CONDITION].collateral == 0
    assert desk.core.next_due_ns() is None


def test_a_lost_transaction_is_sent_again_under_another_hash(make_desk: MakeDesk) -> None:
    desk = make_desk(rules=AccountRules(retry_ppm=1_000_000))
    mint(desk)
    desk.settle()
    assert statuses(desk) == ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]
    _, retried, mined, confirmed = hashes(desk)
    assert retried != mined == confirmed
    assert desk.core.outstanding(UP) == 10_000_000
    assert money(desk)[0][2] == {UP: 10_000_000}


def test_a_reorganised_trade_delivers_once(make_desk: MakeDesk) -> None:
    desk = make_desk(rules=AccountRules(reorg_ppm=1_000_000))
    mint(desk)
    desk.settle()
    assert statuses(desk) == ["MATCHED", "MINED", "RETRYING", "MINED", "CONFIRMED"]
    assert len(set(hashes(desk))) == 4
    assert money(desk)[0][2] == {UP: 10_000_000}


def test_a_late_trade_is_mined_later(make_desk: MakeDesk) -> None:
    desk = make_desk(rules=AccountRules(late_ppm=1_000_000, late_ms=30_000))
    mint(desk)
    wait(desk, 31)
    assert statuses(desk) == ["MATCHED"]
    wait(desk, 4)
    assert statuses(desk) == ["MATCHED", "MINED", "CONFIRMED"]


def test_chance_is_the_same_for_the_same_seed(make_desk: MakeDesk) -> None:
    def run(seed: int) -> list[str]:
        desk = make_desk(rules=AccountRules(seed=seed, fail_ppm=300_000, retry_ppm=300_000))
        for _ in range(12):
            mint(desk, "5")
        desk.settle()
        return statuses(desk)

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert {"FAILED", "CONFIRMED"} <= set(run(3))


def test_trades_among_the_house_are_spared(make_desk: MakeDesk) -> None:
    desk = make_desk(rules=AccountRules(fail_ppm=1_000_000))
    one, two = desk.core.open_house_account("one"), desk.core.open_house_account("two")
    desk.limit(one, UP, "BUY", "0.5", "10")
    desk.limit(two, DOWN, "BUY", "0.5", "10")
    desk.settle()
    assert statuses(desk) == ["MATCHED", "MINED", "CONFIRMED"]


def test_a_request_fails_a_trade_before_it_is_mined(desk: Desk) -> None:
    before = money(desk)
    trade_id = mint(desk)
    assert desk.core.fail_trade(trade_id, desk.now) == (trade_id,)
    desk.settle()
    assert statuses(desk) == ["MATCHED", "FAILED"]
    assert money(desk) == before


def test_a_failed_sale_gives_shares_back_and_takes_proceeds_and_fee(desk: Desk) -> None:
    mint(desk)
    desk.settle()
    before, pot = money(desk), desk.core.books().fee_pot
    desk.limit(BOB, UP, "BUY", "0.50", "10")
    sold = desk.limit(ALICE, UP, "SELL", "0.50", "10").trade_ids[0]
    wait(desk, 3)
    assert money(desk) != before
    desk.core.fail_trade(sold, desk.now)
    assert money(desk) == before
    assert desk.core.books().fee_pot == pot


def test_a_failed_merge_restores_the_pairs(desk: Desk) -> None:
    mint(desk)
    desk.settle()
    before = money(desk)
    desk.limit(BOB, DOWN, "SELL", "0.40", "10")
    merged = desk.limit(ALICE, UP, "SELL", "0.60", "10").trade_ids[0]
    assert desk.core.books().markets[CONDITION].collateral == 0
    desk.core.fail_trade(merged, desk.now)
    assert desk.core.books().markets[CONDITION].collateral == 10_000_000
    assert money(desk) == before


def test_what_was_built_on_a_mined_trade_falls_with_it(desk: Desk) -> None:
    before = money(desk)
    first = mint(desk)
    wait(desk, 3)
    desk.limit(BOB, UP, "BUY", "0.50", "10")
    second = desk.limit(ALICE, UP, "SELL", "0.50", "10").trade_ids[0]
    assert desk.core.fail_trade(first, desk.now) == (first, second)
    assert money(desk) == before
    assert desk.core.outstanding(UP) == desk.core.outstanding(DOWN) == 0
    desk.settle()
    assert statuses(desk).count("FAILED") == 2


def test_an_order_that_lost_its_backing_is_cancelled(desk: Desk) -> None:
    first = mint(desk)
    wait(desk, 3)
    resting = desk.limit(ALICE, UP, "SELL", "0.90", "10")
    assert resting.status == "live"
    desk.core.fail_trade(first, desk.now)
    cancelled = [event for event in desk.of(OrderEvent) if isinstance(event, OrderEvent)][-1]
    assert (cancelled.order.order_id, cancelled.status) == (resting.order_id, "CANCELED_NOT_ENOUGH_BALANCE")


def test_final_and_unknown_trades_cannot_be_moved(desk: Desk) -> None:
    trade_id = mint(desk)
    desk.settle()
    with pytest.raises(ConfigError, match="CONFIRMED for good"):
        desk.core.fail_trade(trade_id, desk.now)
    with pytest.raises(ConfigError, match="CONFIRMED for good"):
        desk.core.retry_trade(trade_id, desk.now)
    with pytest.raises(ConfigError, match="not known"):
        desk.core.delay_trade("nobody", 5, desk.now)


def test_a_trade_whose_shares_were_redeemed_cannot_fail(desk: Desk) -> None:
    trade_id = mint(desk)
    wait(desk, 2)
    desk.core.retry_trade(trade_id, desk.now)
    desk.core.desk.set_rules(AccountRules(retry_after_ms=60_000))
    desk.core.retry_trade(trade_id, desk.now)
    desk.core.resolve(CONDITION, 1_000_000, desk.now)
    wait(desk, 4)
    with pytest.raises(ConfigError, match="cannot fail any more"):
        desk.core.fail_trade(trade_id, desk.now)


def test_a_failure_after_the_resolution_lets_the_seller_redeem(desk: Desk) -> None:
    mint(desk)
    desk.settle()
    desk.limit(BOB, UP, "BUY", "0.50", "10")
    sold = desk.limit(ALICE, UP, "SELL", "0.50", "10").trade_ids[0]
    desk.core.resolve(CONDITION, 1_000_000, desk.now)
    desk.core.fail_trade(sold, desk.now)
    desk.settle()
    alice = desk.core.account(ALICE)
    assert alice is not None
    assert alice.redeemed == 10_000_000
    assert desk.core.books().markets[CONDITION].collateral == 0


def test_a_request_delays_one_trade(desk: Desk) -> None:
    slow, usual = mint(desk, "5"), mint(desk, "6")
    desk.core.delay_trade(slow, 60_000, desk.now)
    wait(desk, 20)
    assert (desk.core.trade(slow), desk.core.trade(usual)) != (None, None)
    assert [trade.status for trade in desk.core.trades([ALICE])] == ["CONFIRMED", "MATCHED"]
    wait(desk, 60)
    assert [trade.status for trade in desk.core.trades([ALICE])] == ["CONFIRMED", "CONFIRMED"]
    with pytest.raises(ConfigError):
        desk.core.delay_trade(slow, 1, desk.now)


def test_a_retrying_trade_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    rules = AccountRules(retry_after_ms=20_000)
    core = ExchangeCore(rng=random.Random(7), config=CoreConfig(rules=rules), store=BookStore(path))
    core.create_key(ALICE, 0)
    core.list_market(spec(), T0)
    house = core.open_house_account("house")
    core.place(house, PlaceRequest.limit(DOWN, "BUY", price=400_000, size=10_000_000), T0)
    trade_id = core.place(ALICE, PlaceRequest.limit(UP, "BUY", price=600_000, size=10_000_000), T0).trade_ids[0]
    total = core.total_money()
    core.retry_trade(trade_id, T0)
    core.close()
    again = ExchangeCore(rng=random.Random(7), config=CoreConfig(rules=rules), store=BookStore(path))
    trade = again.trade(trade_id)
    assert trade is not None
    assert (trade.status, trade.settled) == ("RETRYING", False)
    assert again.total_money() == total
    again.advance(T0 + 60 * NS_PER_S)
    trade = again.trade(trade_id)
    assert trade is not None
    assert trade.status == "CONFIRMED"
    assert again.outstanding(UP) == again.outstanding(DOWN) == 10_000_000
    again.close()
    assert read_books(path).accounts[ALICE].trades[0].status == "CONFIRMED"


def test_books_of_the_first_format_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    core = ExchangeCore(rng=random.Random(7), store=BookStore(path))
    core.create_key(ALICE, 0)
    core.create_key(BOB, 0)
    core.list_market(spec(), T0)
    core.place(BOB, PlaceRequest.limit(DOWN, "BUY", price=400_000, size=10_000_000), T0)
    core.place(ALICE, PlaceRequest.limit(UP, "BUY", price=600_000, size=10_000_000), T0)
    core.advance(T0 + 3 * NS_PER_S)
    core.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
        ((body,),) = connection.execute("SELECT body FROM trades")
        stripped = body.replace(b',"settled":true,"attempt":0,"error":""', b"")
        assert stripped != body
        connection.execute("UPDATE trades SET body = ?", (stripped,))
    connection.close()
    again = ExchangeCore(rng=random.Random(7), store=BookStore(path))
    again.advance(T0 + 9 * NS_PER_S)
    assert [trade.status for trade in again.trades([ALICE])] == ["CONFIRMED"]
    assert again.outstanding(UP) == 10_000_000
    again.close()


def test_books_of_a_later_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    ExchangeCore(rng=random.Random(7), store=BookStore(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    connection.close()
    with pytest.raises(ConfigError, match="format 99"):
        BookStore(path).load()


@pytest.mark.parametrize(
    "changes", [{"fail_ppm": -1}, {"fail_ppm": 600_000, "retry_ppm": 600_000}, {"late_ms": -1}, {"trades_cache_s": -1}]
)
def test_rules_out_of_range_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        AccountRules(**changes)  # type: ignore[arg-type]


def test_rules_change_by_name() -> None:
    assert AccountRules().changed({"fail_ppm": 5}).fail_ppm == 5
    with pytest.raises(ConfigError, match="does not exist"):
        AccountRules().changed({"nonsense": 5})
    with pytest.raises(ConfigError, match="account rules"):
        AccountRules().changed({"fail_ppm": "much"})
