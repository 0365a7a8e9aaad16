from dataclasses import replace

import pytest

from polystra.domain.errors import InvariantViolation
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.ledger import (
    Balance,
    Ledger,
    Posting,
    PostingKind,
    matched_posting,
    reversed_posting,
    settled_posting,
)
from polystra.domain.orders import Side

TOKEN = TokenId("1")


def fill(side: Side = Side.BUY, **changes: object) -> Fill:
    made = Fill(
        trade_id=TradeId("t"),
        order_id=OrderId("o"),
        client_order_id=ClientOrderId("c"),
        position_id=PositionId("p"),
        condition_id=ConditionId("m"),
        token_id=TOKEN,
        side=side,
        price=500_000,
        quantity=10_000_000,
        cash=5_000_000,
        fee=175_000,
        liquidity=Liquidity.TAKER,
        status=FillStatus.MATCHED,
        matched_at_ns=0,
        updated_at_ns=0,
        transaction_hash="0xf",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_matched_buy_is_provisional():
    ledger = Ledger()
    assert ledger.append(matched_posting(fill(), 1))
    assert (ledger.pending_cash, ledger.settled_cash) == (-5_175_000, 0)
    assert ledger.balance(TOKEN) == Balance(pending_shares=10_000_000)
    assert ledger.balance(TOKEN).shares == 10_000_000
    assert "matched:t:o" in ledger
    assert "settled:t:o" not in ledger


def test_a_matched_sale_brings_cash_less_its_fee():
    ledger = Ledger()
    ledger.append(matched_posting(fill(Side.SELL), 1))
    assert ledger.cash == 4_825_000
    assert ledger.balance(TOKEN).shares == -10_000_000


@pytest.mark.parametrize("side", list(Side))
def test_confirmation_moves_everything_to_settled(side):
    ledger = Ledger()
    ledger.append(matched_posting(fill(side), 1))
    before = (ledger.cash, ledger.balance(TOKEN).shares)
    ledger.append(settled_posting(fill(side), 2))
    assert (ledger.cash, ledger.balance(TOKEN).shares) == before
    assert ledger.pending_cash == ledger.balance(TOKEN).pending_shares == 0


@pytest.mark.parametrize("side", list(Side))
def test_a_reversal_undoes_exactly_and_leaves_both_lines(side):
    ledger = Ledger()
    ledger.append(matched_posting(fill(side), 1))
    ledger.append(reversed_posting(fill(side), 2))
    assert (ledger.cash, ledger.claims) == (0, 0)
    assert ledger.balance(TOKEN) == Balance()
    assert "matched:t:o" in ledger
    assert "reversed:t:o" in ledger


@pytest.mark.parametrize("side", list(Side))
def test_a_reversal_negates_every_amount_of_the_posting(side):
    made, undone = matched_posting(fill(side), 1), reversed_posting(fill(side), 1)
    names = ["pending_shares", "settled_shares", "pending_cash", "settled_cash", "claim", "bought", "bought_cost"]
    for name in [*names, "sold", "sold_proceeds", "fee", "resolved", "payout"]:
        assert getattr(made, name) + getattr(undone, name) == 0, name


def test_telling_the_ledger_twice_changes_nothing():
    ledger = Ledger()
    ledger.append(matched_posting(fill(), 1))
    assert not ledger.append(matched_posting(fill(), 99))
    assert ledger.cash == -5_175_000


@pytest.mark.parametrize(
    "change",
    [{"cash": 4_999_999}, {"fee": 0}, {"quantity": 9}, {"token_id": TokenId("2")}, {"position_id": PositionId("q")}],
)
def test_the_same_source_with_other_content_is_a_contradiction(change):
    ledger = Ledger()
    ledger.append(matched_posting(fill(), 1))
    with pytest.raises(InvariantViolation, match="matched:t:o is already booked with other amounts"):
        ledger.append(matched_posting(fill(**change), 1))
    assert ledger.cash == -5_175_000


def test_cost_and_fee_that_cancel_out_are_a_contradiction_too():
    ledger = Ledger()
    ledger.append(matched_posting(fill(), 1))
    with pytest.raises(InvariantViolation):
        ledger.append(matched_posting(fill(cash=5_100_000, fee=75_000), 1))


def test_a_transfer_has_no_token():
    ledger = Ledger()
    ledger.append(Posting(source_id="x", kind=PostingKind.TRANSFER, at_ns=0, reason="deposit", settled_cash=7))
    assert ledger.cash == 7
    assert ledger.tokens == {}


def test_a_claim_is_not_cash_until_it_is_redeemed():
    ledger = Ledger()
    ledger.append(
        Posting(source_id="r", kind=PostingKind.RESOLVED, at_ns=0, reason="won", token_id=TOKEN, claim=10_000_000)
    )
    assert (ledger.cash, ledger.claims, ledger.balance(TOKEN).claim) == (0, 10_000_000, 10_000_000)


def test_an_unknown_token_has_an_empty_balance_of_its_own():
    ledger = Ledger()
    ledger.balance(TOKEN).claim = 5
    assert ledger.balance(TOKEN) == Balance()


def test_forgetting_a_market_keeps_the_sums_and_drops_what_is_empty():
    ledger = Ledger()
    bought, other = fill(), fill(trade_id=TradeId("t2"), condition_id=ConditionId("n"), token_id=TokenId("2"))
    sold = fill(Side.SELL, trade_id=TradeId("t3"))
    for one in (bought, other, sold):
        ledger.append(matched_posting(one, 1))
        ledger.append(settled_posting(one, 2))
    ledger.append(Posting(source_id="x", kind=PostingKind.FEE, at_ns=0, reason="", condition_id=ConditionId("m")))
    cash = ledger.cash
    ledger.forget(ConditionId("m"))
    assert ledger.cash == cash
    assert set(ledger.tokens) == {"2"}
    assert "matched:t:o" not in ledger
    assert "x" not in ledger
    assert "matched:t2:o" in ledger
    ledger.forget(ConditionId("n"))
    assert ledger.balance(TokenId("2")).shares == 10_000_000


def test_forgetting_old_lines_keeps_sums_new_lines_and_markets_that_are_kept():
    ledger = Ledger()
    old = fill()
    new = fill(trade_id=TradeId("t2"), condition_id=ConditionId("n"), token_id=TokenId("2"))
    kept = fill(trade_id=TradeId("t3"), condition_id=ConditionId("k"), token_id=TokenId("3"))
    ledger.append(Posting(source_id="in", kind=PostingKind.TRANSFER, at_ns=0, reason="", settled_cash=100))
    for one, at_ns in ((old, 1), (new, 50), (kept, 1)):
        ledger.append(matched_posting(one, at_ns))
    cash, tokens = ledger.cash, dict(ledger.tokens)
    ledger.forget_before(50, {ConditionId("k")})
    assert (ledger.cash, ledger.tokens) == (cash, tokens)
    assert "matched:t:o" not in ledger
    assert all(source_id in ledger for source_id in ("in", "matched:t2:o", "matched:t3:o"))
