"""The exchange's books on disk: resuming, reading, refusing."""

import random
import sqlite3
from pathlib import Path

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.books import BookStore, read_books
from polystra.exchange.core import CoreConfig, ExchangeCore, PlaceRequest
from polystra.exchange.model import NS_PER_S
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, T0, T0_S, UP, Desk

WALLET = "0x" + "d0" * 20


def open_core(path: Path, seed: int = 7) -> ExchangeCore:
    return ExchangeCore(rng=random.Random(seed), config=CoreConfig(), store=BookStore(path))


def busy_desk(path: Path) -> Desk:
    """Trade a little: settled and unsettled trades, house and own, open orders of both."""
    desk = Desk(open_core(path))
    house = desk.core.open_house_account("maker")
    desk.core.register_wallet(ALICE, WALLET, 3)
    desk.limit(house, DOWN, "BUY", "0.50", "100")
    desk.place(ALICE, PlaceRequest.market(UP, "BUY", amount=5_000_000, worst_price=500_000))
    desk.settle()
    desk.limit(BOB, UP, "BUY", "0.40", "10")
    desk.limit(ALICE, UP, "BUY", "0.40", "20")
    desk.limit(ALICE, UP, "BUY", "0.30", "20", order_type="GTD", expiration_s=T0_S + 600)
    desk.limit(house, DOWN, "SELL", "0.60", "5")
    desk.place(
        BOB,
        PlaceRequest(
            token_id=UP, side="BUY", order_type="GTC", maker_amount=2_500_000, taker_amount=5_000_000, order_id="0x7"
        ),
    )
    return desk


def test_a_restart_resumes_everything_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    desk = busy_desk(path)
    before = desk.core.books()
    key = desk.core.keys.derive(ALICE, 0)
    desk.core.close()

    core = open_core(path, seed=99)
    assert core.resumed_ns == desk.now
    assert core.keys.derive(ALICE, 0) == key
    assert core.total_money() == sum(a.cash + a.pending_cash for a in before.accounts.values()) + before.fee_pot + sum(
        market.collateral for market in before.markets.values()
    )
    after = core.books()
    for address in (ALICE, BOB, WALLET):
        assert after.accounts[address] == before.accounts[address]
    assert after.markets == before.markets
    again = core.place(
        BOB,
        PlaceRequest(
            token_id=UP, side="BUY", order_type="GTC", maker_amount=2_500_000, taker_amount=5_000_000, order_id="0x7"
        ),
        desk.now,
    )
    assert again.refusal is not None
    assert again.refusal.text == "order 0x7 is invalid. Duplicated."

    core.advance(desk.now + 10 * NS_PER_S)
    assert {trade.status for trade in core.trades([ALICE, BOB])} == {"CONFIRMED"}
    assert core.account(BOB).tokens == {UP: 5_000_000}  # type: ignore[union-attr]
    assert core.outstanding(UP) == core.outstanding(DOWN)
    core.advance(T0 + 540 * NS_PER_S)
    assert [order.price for order in core.open_orders([ALICE])] == [400_000]


def test_time_priority_survives(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    desk = busy_desk(path)
    desk.limit(desk.core.open_house_account("maker"), DOWN, "BUY", "0.60", "6")
    desk.core.close()
    core = open_core(path)
    house = core.open_house_account("maker")
    placed = core.place(house, PlaceRequest.limit(DOWN, "BUY", price=600_000, size=5_000_000), desk.now)
    trade = core.trade(placed.trade_ids[0])
    assert trade is not None
    assert [(leg.account, leg.size) for leg in trade.legs] == [(BOB, 4_000_000), (ALICE, 1_000_000)]


def test_ids_do_not_repeat_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    desk = busy_desk(path)
    house = desk.core.open_house_account("maker")
    first = {desk.limit(house, UP, "BUY", "0.10", "5").order_id for _ in range(20)}
    desk.core.close()
    core = open_core(path)
    second = {
        core.place(house, PlaceRequest.limit(UP, "BUY", price=100_000, size=5_000_000), desk.now).order_id
        for _ in range(20)
    }
    assert len(first | second) == 40


def test_read_books_shows_what_the_running_exchange_holds(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    desk = busy_desk(path)
    live, read = desk.core.books(), read_books(path)
    assert read.fee_pot == live.fee_pot
    for address in (ALICE, BOB):
        assert read.accounts[address] == live.accounts[address]
    alice = read.accounts[ALICE]
    assert [(trade.role, trade.side, trade.size, trade.fee) for trade in alice.trades] == [
        ("TAKER", "BUY", 10_000_000, 175_000)
    ]
    assert alice.fees_paid == 175_000
    assert [order.remaining for order in alice.open_orders] == [20_000_000, 20_000_000]
    assert list(read.markets) == [CONDITION]


def test_books_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="do not exist"):
        read_books(tmp_path / "absent.db")
    other = tmp_path / "other.db"
    other.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_books(other)
    with pytest.raises(ConfigError, match="cannot be opened"):
        BookStore(other)
    foreign = tmp_path / "foreign.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_books(foreign)
    empty = tmp_path / "empty.db"
    BookStore(empty).close()
    with pytest.raises(ConfigError, match="are empty"):
        read_books(empty)


def test_a_revoked_key_stays_revoked(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    core = open_core(path)
    first = core.create_key(ALICE, 0)
    assert first is not None
    core.delete_key(first)
    core.close()
    again = open_core(path)
    assert again.keys.get(first.key) is None
    second = again.create_key(ALICE, 0)
    assert second is not None
    assert second.key != first.key
    again.close()
    assert open_core(path).keys.of_address(ALICE) == [second]


def test_trades_of_the_house_alone_wait_for_a_second_for_a_client_or_for_the_end(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    desk = Desk(open_core(path))
    makers = [desk.core.open_house_account(name) for name in ("one", "two")]
    for _ in range(2):
        desk.now += 2 * NS_PER_S
        desk.core.advance(desk.now)
    desk.now += 2 * NS_PER_S

    def trade() -> tuple[int, int]:
        """Let the house trade with itself; returns the maker's dollars before and after."""
        before = desk.core.books().accounts[makers[0]].cash
        desk.limit(makers[0], UP, "BUY", "0.50", "10")
        desk.limit(makers[1], DOWN, "BUY", "0.50", "10")
        return before, desk.core.books().accounts[makers[0]].cash

    def written() -> int:
        return read_books(path).accounts[makers[0]].cash

    _, first = trade()
    assert written() == first
    desk.now += NS_PER_S // 2
    before, second = trade()
    assert written() == before == first
    assert second < first
    desk.limit(ALICE, UP, "BUY", "0.10", "10")
    assert written() == second
    desk.now += NS_PER_S // 2
    _, third = trade()
    assert written() == second
    desk.now += NS_PER_S
    desk.core.advance(desk.now)
    assert written() == third
    _, last = trade()
    assert written() == third
    desk.core.close()
    assert written() == last
    desk.core.close()
