"""The check of a report: books that agree, and one planted difference at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from polystra.app.own_books import OwnBooks, own_discrepancies
from polystra.app.reconciliation import NEWS_GRACE_NS, _told_price, discrepancies
from polystra.domain.facts import BalanceObserved, PositionRecorded, SettlementRecorded
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.ledger import Posting, PostingKind, matched_posting, settled_posting
from polystra.domain.market import Outcome
from polystra.domain.orders import Order, OrderStatus, OrderTerms, Purpose, Side
from polystra.domain.positions import Position, PositionStatus
from polystra.domain.units import NS_PER_S
from polystra.exchange.books import AccountBooks, BookOrder, BookTrade, ExchangeBooks, MarketRow
from polystra.exchange.model import MarketSpec

ACCOUNT = "0x" + "ab" * 20
M = 1_000_000
START_CASH = 1_000 * M
DONE, LIVE = ConditionId("0x" + "01" * 32), ConditionId("0x" + "02" * 32)
UP_WON, DOWN_LOST, UP_OPEN, DOWN_OPEN = (TokenId(str(number)) for number in (11, 12, 21, 22))
NOW = 5_000 * NS_PER_S


def fill(number: int, token: TokenId, side: Side, price: int, quantity: int, *, fee: int = 0) -> Fill:
    condition = DONE if token in (UP_WON, DOWN_LOST) else LIVE
    return Fill(
        trade_id=TradeId(f"t{number}"),
        order_id=OrderId(f"0x{number:064x}"),
        client_order_id=ClientOrderId(f"o{number}"),
        position_id=PositionId(f"p{token}"),
        condition_id=condition,
        token_id=token,
        side=side,
        price=price,
        quantity=quantity,
        cash=price * quantity // M,
        fee=fee,
        liquidity=Liquidity.TAKER if fee else Liquidity.MAKER,
        status=FillStatus.CONFIRMED,
        matched_at_ns=number * 100 * NS_PER_S,
        updated_at_ns=number * 100 * NS_PER_S,
    )


FILLS = (
    fill(1, UP_WON, Side.BUY, 400_000, 10 * M, fee=168_000),
    fill(2, DOWN_LOST, Side.BUY, 300_000, 5 * M),
    fill(3, UP_OPEN, Side.BUY, 500_000, 20 * M, fee=350_000),
    fill(4, UP_OPEN, Side.SELL, 600_000, 8 * M),
)
RESTING = OrderId(f"0x{9:064x}")


def order(number: int, order_id: str, token: TokenId, side: Side, *, filled: int, status: OrderStatus) -> Order:
    terms = OrderTerms(
        client_order_id=ClientOrderId(f"o{number}"),
        condition_id=DONE if token in (UP_WON, DOWN_LOST) else LIVE,
        token_id=token,
        position_id=PositionId(f"p{token}"),
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.TAKE_PROFIT,
        side=side,
        price=900_000,
        quantity=20 * M,
    )
    return Order(terms=terms, status=status, order_id=OrderId(order_id), filled=filled)


def postings() -> list[Posting]:
    booked = [
        Posting(
            source_id="transfer:cash:0", kind=PostingKind.TRANSFER, at_ns=1, reason="opening", settled_cash=START_CASH
        )
    ]
    for each in FILLS:
        booked += [matched_posting(each, each.matched_at_ns), settled_posting(each, each.matched_at_ns)]
    for token, shares, each_pays in ((UP_WON, 10 * M, M), (DOWN_LOST, 5 * M, 0)):
        booked.append(
            Posting(
                source_id=f"resolved:p{token}:0",
                kind=PostingKind.RESOLVED,
                at_ns=NOW,
                reason="resolved",
                condition_id=DONE,
                token_id=token,
                position_id=PositionId(f"p{token}"),
                settled_shares=-shares,
                claim=shares * each_pays // M,
                resolved=shares,
                payout=shares * each_pays // M,
            )
        )
    booked.append(
        Posting(
            source_id=f"redeemed:{UP_WON}:1",
            kind=PostingKind.REDEEMED,
            at_ns=NOW,
            reason="redeemed",
            condition_id=DONE,
            token_id=UP_WON,
            settled_cash=10 * M,
            claim=-10 * M,
        )
    )
    return booked


def positions(booked: list[Posting]) -> tuple[PositionRecorded, ...]:
    recorded = []
    for token, condition in ((UP_WON, DONE), (DOWN_LOST, DONE), (UP_OPEN, LIVE)):
        position = Position(position_id=PositionId(f"p{token}"), condition_id=condition, token_id=token, opened_at_ns=1)
        for posting in booked:
            if posting.position_id == position.position_id:
                position.add(posting)
        recorded.append(
            PositionRecorded(
                position_id=position.position_id,
                condition_id=condition,
                token_id=token,
                outcome=Outcome.UP,
                symbol="BTC",
                status=PositionStatus.OPEN,
                pending_shares=position.pending_shares,
                settled_shares=position.settled_shares,
                average_price=position.average_price,
                realised_pnl=position.realised_pnl,
                fees=position.fees,
                take_profit_price=None,
                stop_price=None,
                opened_at_ns=1,
                at_ns=NOW,
            )
        )
    return tuple(recorded)


def own_books() -> OwnBooks:
    booked = postings()
    held = positions(booked)
    done = [position for position in held if position.condition_id == DONE]
    orders = tuple(
        order(number, each.order_id, each.token_id, each.side, filled=each.quantity, status=OrderStatus.FILLED)
        for number, each in enumerate(FILLS, start=1)
    )
    resting = order(9, RESTING, UP_OPEN, Side.SELL, filled=0, status=OrderStatus.OPEN)
    return OwnBooks(
        mode="sim",
        account=ACCOUNT,
        orders=(*orders, resting),
        intents={each.client_order_id: each.order_id for each in FILLS} | {ClientOrderId("o9"): RESTING},
        fills=FILLS,
        postings=tuple(booked),
        positions=held,
        settlements=(
            SettlementRecorded(
                condition_id=DONE,
                slug="btc-updown-5m-0",
                symbol="BTC",
                winner=Outcome.UP,
                up_payout=M,
                shares_held=15 * M,
                payout=10 * M,
                realised_pnl=sum(position.realised_pnl for position in done),
                fees=sum(position.fees for position in done),
                at_ns=NOW,
            ),
        ),
        balances=(BalanceObserved(cash=START_CASH, ledger_cash=START_CASH, at_ns=1, source="start"),),
        last_entry_ns=NOW,
    )


def trade_of(each: Fill) -> BookTrade:
    return BookTrade(
        trade_id=each.trade_id,
        order_id=each.order_id,
        condition_id=each.condition_id,
        token_id=each.token_id,
        side=each.side.value,
        price=each.price,
        size=each.quantity,
        cash=each.cash,
        fee=each.fee,
        status="CONFIRMED",
        role=each.liquidity.value,
        matched_ns=each.matched_at_ns,
    )


def market_row(condition: ConditionId, up: TokenId, down: TokenId, up_payout: int | None) -> MarketRow:
    spec = MarketSpec(
        condition_id=condition,
        slug=condition[:6],
        question="",
        symbol="BTC",
        window="5m",
        up_token=up,
        down_token=down,
        opens_at_s=0,
        closes_at_s=300,
        listed_at_s=0,
    )
    return MarketRow(
        spec=spec,
        tick_size=10_000,
        accepting_orders=up_payout is None,
        up_payout=up_payout,
        resolved_ns=None,
        last_trade_price=None,
        last_trade_side="",
        collateral=0,
    )


def venue_books() -> ExchangeBooks:
    cash = START_CASH + 10 * M
    for each in FILLS:
        cash += (-1 if each.side is Side.BUY else 1) * each.cash - each.fee
    account = AccountBooks(
        address=ACCOUNT,
        owner=ACCOUNT,
        house=False,
        cash=cash - 2 * M,
        pending_cash=2 * M,
        tokens={DOWN_LOST: 5 * M, UP_OPEN: 7 * M},
        pending_tokens={UP_OPEN: 5 * M},
        open_orders=[
            BookOrder(
                order_id=RESTING, token_id=UP_OPEN, side="SELL", price=900_000, original_size=20 * M, remaining=20 * M
            )
        ],
        trades=[trade_of(each) for each in FILLS],
        fees_paid=sum(each.fee for each in FILLS),
        redeemed=10 * M,
    )
    markets = [market_row(DONE, UP_WON, DOWN_LOST, M), market_row(LIVE, UP_OPEN, DOWN_OPEN, None)]
    return ExchangeBooks(
        simulated_ns=NOW,
        fee_pot=0,
        accounts={ACCOUNT: account},
        markets={row.spec.condition_id: row for row in markets},
    )


def test_books_that_agree_have_no_discrepancy():
    assert discrepancies(own_books(), venue_books()) == []


def test_without_the_venues_books_our_own_are_still_checked():
    assert discrepancies(own_books(), None) == []


# --- planted at the exchange ---------------------------------------------------------------


def with_account(**changes: Any) -> ExchangeBooks:
    books = venue_books()
    account = msgspec.structs.replace(books.accounts[ACCOUNT], **changes)
    return msgspec.structs.replace(books, accounts={ACCOUNT: account})


def with_trade(number: int, **changes: Any) -> ExchangeBooks:
    trades = [trade_of(each) for each in FILLS]
    trades[number - 1] = msgspec.structs.replace(trades[number - 1], **changes)
    return with_account(trades=trades)


CASH = venue_books().accounts[ACCOUNT].cash
OPEN = venue_books().accounts[ACCOUNT].open_orders[0]
TRADES = [trade_of(each) for each in FILLS]


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        pytest.param(with_account(cash=CASH + 1), "Cash is 998.782 dollars here and 998.782001", id="a micro-dollar"),
        pytest.param(with_account(fees_paid=0), "Fees sum to", id="fees"),
        pytest.param(with_account(tokens={DOWN_LOST: 5 * M, UP_OPEN: 7 * M + 1}), f"Token {UP_OPEN}", id="shares"),
        pytest.param(with_account(tokens={UP_OPEN: 7 * M}), f"Token {DOWN_LOST}", id="worthless shares"),
        pytest.param(
            with_account(tokens={DOWN_LOST: 5 * M, UP_OPEN: 7 * M, DOWN_OPEN: 1}),
            f"Token {DOWN_OPEN}",
            id="unknown token",
        ),
        pytest.param(with_account(trades=TRADES[:3]), "t4", id="a fill that they do not have"),
        pytest.param(with_account(trades=[*TRADES, TRADES[0]]), "2 times at the exchange", id="a trade twice"),
        pytest.param(
            with_account(trades=[*TRADES, msgspec.structs.replace(TRADES[0], trade_id="t8")]),
            "not booked here",
            id="a trade that we do not have",
        ),
        pytest.param(
            with_account(trades=[*TRADES, msgspec.structs.replace(TRADES[0], trade_id="t8", order_id="0xfeed")]),
            "no intent here",
            id="an order that we never wished",
        ),
        pytest.param(with_trade(1, side="SELL"), "has side BUY here and SELL", id="side"),
        pytest.param(with_trade(1, size=1), "has quantity 10 here", id="quantity"),
        pytest.param(with_trade(1, price=1), "has price 0.4 here", id="price"),
        pytest.param(with_trade(1, cash=1), "has cash 4 here and 0.000001", id="cash of a trade"),
        pytest.param(with_trade(1, fee=0), "has fee 0.168 here", id="fee of a trade"),
        pytest.param(with_trade(1, role="MAKER"), "has role TAKER here", id="role"),
        pytest.param(with_trade(1, status="MATCHED"), "is CONFIRMED here and MATCHED", id="status behind ours"),
        pytest.param(with_account(open_orders=[]), "is OPEN here but not open", id="an order that they do not have"),
        pytest.param(
            with_account(open_orders=[OPEN, msgspec.structs.replace(OPEN, order_id="0xfeed")]),
            "open at the exchange but is no intent",
            id="a strange open order",
        ),
        pytest.param(
            with_account(open_orders=[msgspec.structs.replace(OPEN, remaining=19 * M)]),
            "0 shares filled here and 1 at the exchange",
            id="an unknown partial fill",
        ),
        pytest.param(
            with_account(
                open_orders=[OPEN, msgspec.structs.replace(OPEN, order_id=FILLS[3].order_id, remaining=12 * M)]
            ),
            "and FILLED here",
            id="an order that lives there only",
        ),
        pytest.param(with_account(redeemed=0), "booked as redeemed here", id="redemption"),
        pytest.param(
            msgspec.structs.replace(venue_books(), accounts={}), f"has no account {ACCOUNT}", id="another account"
        ),
    ],
)
def test_a_difference_at_the_exchange_is_one_sentence(venue: ExchangeBooks, words: str):
    found = discrepancies(own_books(), venue)
    assert any(words in sentence for sentence in found), found
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in found)


def test_another_result_of_a_market_is_told():
    books = venue_books()
    markets = dict(books.markets) | {DONE: market_row(DONE, UP_WON, DOWN_LOST, 0)}
    found = discrepancies(own_books(), msgspec.structs.replace(books, markets=markets))
    assert any("paid 1 per Up share here and 0 at the exchange" in sentence for sentence in found)


# --- planted in our books ------------------------------------------------------------------


@dataclass(frozen=True)
class Plant:
    change: Callable[[OwnBooks], OwnBooks]
    words: str


def drop_posting(source: str) -> Callable[[OwnBooks], OwnBooks]:
    return lambda books: replace(books, postings=tuple(p for p in books.postings if p.source_id != source))


def change_first(field: str, **changes: Any) -> Callable[[OwnBooks], OwnBooks]:
    def change(books: OwnBooks) -> OwnBooks:
        first, *rest = getattr(books, field)
        changed: dict[str, Any] = {field: (replace(first, **changes), *rest)}
        return replace(books, **changed)

    return change


PLANTS = {
    "a matched posting is missing": Plant(drop_posting(f"matched:{FILLS[0].key}"), "no posting matched:"),
    "a settled posting is missing": Plant(drop_posting(f"settled:{FILLS[0].key}"), "no posting settled:"),
    "a fill is missing": Plant(lambda books: replace(books, fills=books.fills[1:]), "belongs to no fill"),
    "a fill's fee": Plant(change_first("fills", fee=1), "has fee 0.168, its fill says 0.000001"),
    "a fill of another order": Plant(change_first("fills", order_id=OrderId("0xfeed")), "has 2 orders at the venue"),
    "an order's filled quantity": Plant(change_first("orders", filled=1), "says 0.000001 shares filled"),
    "an order with another id": Plant(change_first("orders", order_id=OrderId("0xfeed")), "has 2 orders at the venue"),
    "an order without intent": Plant(
        lambda books: replace(books, intents={k: v for k, v in books.intents.items() if k != "o9"}),
        "no intent was recorded",
    ),
    "an intent without order": Plant(
        lambda books: replace(books, orders=books.orders[:-1]), "not in the table of orders"
    ),
    "a position's PnL": Plant(change_first("positions", realised_pnl=1), "says realised PnL 0.000001"),
    "a position's fees": Plant(change_first("positions", fees=1), "says fees 0.000001"),
    "a position's pending shares": Plant(change_first("positions", pending_shares=1), "says pending shares"),
    "a position's settled shares": Plant(change_first("positions", settled_shares=1), "says settled shares"),
    "a position that is not recorded": Plant(
        lambda books: replace(books, positions=books.positions[:-1]), "which is not recorded"
    ),
    "a market's result": Plant(change_first("settlements", realised_pnl=1), "was settled with PnL 0.000001"),
    "a balance": Plant(change_first("balances", ledger_cash=1), "was noted with 0.000001 dollars"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_difference_inside_our_books_is_told(name: str):
    plant = PLANTS[name]
    found = own_discrepancies(plant.change(own_books()))
    assert any(plant.words in sentence for sentence in found), found


def test_an_adjustment_moves_the_balance_and_is_not_hidden():
    books = own_books()
    adjusted = Posting(
        source_id="adjustment:cash:1", kind=PostingKind.ADJUSTMENT, at_ns=NOW, reason="differs", settled_cash=5
    )
    found = discrepancies(replace(books, postings=(*books.postings, adjusted)), venue_books())
    assert len(found) == 1
    assert "has -0.000005 more" in found[0]


# --- the exchange is ahead -----------------------------------------------------------------


def unsettled(books: OwnBooks, last_entry_ns: int) -> OwnBooks:
    """Our fourth fill as it was before its confirmation was heard."""
    late = replace(books.fills[3], status=FillStatus.MATCHED)
    booked = tuple(p for p in books.postings if p.source_id != f"settled:{late.key}")
    return replace(
        books,
        fills=(*books.fills[:3], late),
        postings=booked,
        positions=positions(list(booked)),
        last_entry_ns=last_entry_ns,
    )


def test_a_confirmation_that_is_on_its_way_is_no_discrepancy():
    assert discrepancies(unsettled(own_books(), FILLS[3].matched_at_ns + NEWS_GRACE_NS - 1), venue_books()) == []


def test_a_confirmation_that_never_came_is_a_discrepancy():
    found = discrepancies(unsettled(own_books(), FILLS[3].matched_at_ns + NEWS_GRACE_NS), venue_books())
    assert found == [f"Trade {FILLS[3].key} is MATCHED here and CONFIRMED at the exchange."]


def without(source: str) -> OwnBooks:
    return drop_posting(source)(own_books())


def test_winnings_that_are_not_redeemed_yet_are_shares_there_and_a_claim_here():
    venue = with_account(cash=CASH - 10 * M, tokens={UP_WON: 10 * M, DOWN_LOST: 5 * M, UP_OPEN: 7 * M})
    assert discrepancies(without(f"redeemed:{UP_WON}:1"), venue) == []


def test_winnings_that_were_redeemed_while_we_did_not_look_are_cash_there_and_a_claim_here():
    assert discrepancies(without(f"redeemed:{UP_WON}:1"), venue_books()) == []


def test_a_claim_that_was_paid_short_is_a_discrepancy():
    found = discrepancies(without(f"redeemed:{UP_WON}:1"), with_account(cash=CASH - 1))
    assert len(found) == 1
    assert "(10 of it winnings paid there)" in found[0]


def test_a_market_that_resolved_while_we_did_not_look_is_accounted_for():
    books = without(f"redeemed:{UP_WON}:1")
    booked = tuple(p for p in books.postings if p.kind is not PostingKind.RESOLVED)
    held = positions(list(booked))
    ours = replace(books, postings=booked, positions=held, settlements=())
    assert discrepancies(ours, venue_books()) == []


def test_the_average_of_equal_prices_may_be_a_millionth_below_them():
    """Two makers at 0.17: each one's dollars are rounded down, and the exchange tells dollars by shares."""
    ours = replace(fill(1, UP_OPEN, Side.BUY, 170_000, 5_950_000), cash=1_011_499)
    theirs = trade_of(ours)
    assert _told_price(ours, msgspec.structs.replace(theirs, price=169_999)) == 169_999
    assert _told_price(ours, msgspec.structs.replace(theirs, price=169_998)) == 170_000
    assert _told_price(ours, msgspec.structs.replace(theirs, price=170_000)) == 170_000
