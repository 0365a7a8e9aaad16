"""The exported tables on both engines: complete, exact, stable in their columns, readable by any CSV reader."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal

import pytest

from polystra.adapters.store.account_reading import read_account
from polystra.adapters.store.writer import SqlStore
from polystra.app.export import FILLS, LEDGER, TRADES, Table, parse_since, table_text
from polystra.domain.errors import ConfigError
from polystra.domain.facts import FillRecorded, MarketRecorded, PositionRecorded, PostingRecorded
from polystra.domain.units import NS_PER_S
from tests.fakes import store_facts as facts


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def total(lines: list[dict[str, str]], *names: str) -> int:
    return int(sum((Decimal(line[name]) for line in lines for name in names), Decimal(0)).scaleb(6))


async def test_every_row_is_there_and_exact_while_a_daemon_writes(database_url: str) -> None:
    life = facts.a_life()
    store = await SqlStore.open(database_url, mode="sim", account="0xabc")
    await store.commit(life)
    account = read_account(database_url)
    await store.close()
    postings = [fact.posting for fact in life if isinstance(fact, PostingRecorded)]
    ledger = rows(table_text(account, Table.LEDGER))
    assert [line["source_id"] for line in ledger] == [posting.source_id for posting in postings]
    cash = sum(posting.pending_cash + posting.settled_cash for posting in postings)
    assert total(ledger, "pending_cash", "settled_cash") == cash
    assert total(ledger, "fee") == account.totals.fees
    fills = rows(table_text(account, Table.FILLS))
    keys = {f.fill.key for f in life if isinstance(f, FillRecorded)}
    assert {f"{line['trade_id']}:{line['order_id']}" for line in fills} == keys
    trades = rows(table_text(account, Table.TRADES))
    known = {fact.position_id for fact in life if isinstance(fact, PositionRecorded)}
    assert {line["position_id"] for line in trades} == known


def test_the_columns_stay_as_they_are() -> None:
    assert TRADES[:17] == (
        "position_id", "market", "symbol", "outcome", "status", "opened_at", "changed_at", "bought", "bought_cost",
        "average_price", "sold", "sold_proceeds", "resolved", "payout", "fees", "realised_pnl", "held",
    )  # fmt: skip
    assert TRADES[17:21] == ("exit_reason", "exit_mode", "token_id", "condition_id")
    assert FILLS[:18] == (
        "matched_at", "trade_id", "order_id", "client_order_id", "position_id", "market", "side", "price", "quantity",
        "cash", "fee", "liquidity", "status", "purpose", "rule", "transaction_hash", "token_id", "condition_id",
    )  # fmt: skip
    assert LEDGER[:22] == (
        "sequence", "booked_at", "source_id", "kind", "reason", "position_id", "condition_id", "token_id",
        "pending_shares", "settled_shares", "pending_cash", "settled_cash", "claim", "bought", "bought_cost", "sold",
        "sold_proceeds", "fee", "resolved", "payout", "price", "evidence",
    )  # fmt: skip


async def test_text_with_commas_quotes_and_line_ends_survives(database_url: str) -> None:
    told = facts.transfer(-1)
    odd = 'said "no", then\r\nleft'
    posting = type(told.posting)(
        source_id="odd:1", kind=told.posting.kind, at_ns=facts.T0 + 1_500, reason=odd, settled_cash=-1, evidence="e,f"
    )
    store = await SqlStore.open(database_url, mode="sim", account="0xabc")
    await store.commit([PostingRecorded(posting=posting)])
    text = table_text(read_account(database_url), Table.LEDGER)
    await store.close()
    (line,) = rows(text)
    assert line["reason"] == odd
    assert line["evidence"] == "e,f"
    assert line["settled_cash"] == "-0.000001"
    assert line["price"] == ""
    assert line["booked_at"].endswith(".000001Z")
    assert text.startswith("sequence,booked_at,")
    assert text.endswith("\r\n")


async def test_since_leaves_out_what_is_older(database_url: str) -> None:
    store = await SqlStore.open(database_url, mode="sim", account="0xabc")
    await store.commit(facts.a_life())
    account = read_account(database_url)
    await store.close()
    times = sorted(posting.at_ns for posting in account.postings)
    kept = rows(table_text(account, Table.LEDGER, times[2]))
    assert len(kept) == sum(at_ns >= times[2] for at_ns in times)
    assert kept[0]["sequence"] != "1"
    assert not rows(table_text(account, Table.FILLS, times[-1] + 10_000 * NS_PER_S))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T01:00:00", 3_600),
        ("1970-01-01T01:00:00Z", 3_600),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, seconds: int) -> None:
    assert parse_since(text) == seconds * NS_PER_S


@pytest.mark.parametrize("text", ["", "yesterday", "21.11.2026"])
def test_another_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="write 2026-11-21"):
        parse_since(text)


async def test_a_text_of_the_venue_is_no_formula_and_a_negative_amount_stays_a_number(database_url: str) -> None:
    life = facts.a_life()
    market = next(fact for fact in life if isinstance(fact, MarketRecorded))
    life = [
        replace(fact, market=replace(fact.market, slug='=HYPERLINK("http://x")')) if fact is market else fact
        for fact in life
    ]
    store = await SqlStore.open(database_url, mode="sim", account="0xabc")
    await store.commit(life)
    account = read_account(database_url)
    await store.close()
    trades = rows(table_text(account, Table.TRADES))
    assert {line["market"] for line in trades if line["market"]} == {'\'=HYPERLINK("http://x")'}
    amounts = [line["pending_cash"] for line in rows(table_text(account, Table.LEDGER))]
    assert any(Decimal(amount) < 0 for amount in amounts)
