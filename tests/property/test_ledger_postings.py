"""The ledger under reports that come in any order and often."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.fills import Fill, FillStatus, Liquidity, advance
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.ledger import Ledger, Posting, matched_posting, reversed_posting, settled_posting
from polystra.domain.orders import Side

TOKENS = (TokenId("1"), TokenId("2"))


@st.composite
def fills(draw: st.DrawFn, number: int) -> Fill:
    quantity = draw(st.integers(1, 10**9))
    price = draw(st.integers(1, 999_999))
    return Fill(
        trade_id=TradeId(f"t{number}"),
        order_id=OrderId("o"),
        client_order_id=ClientOrderId("c"),
        position_id=PositionId("p"),
        condition_id=ConditionId("m"),
        token_id=draw(st.sampled_from(TOKENS)),
        side=draw(st.sampled_from(list(Side))),
        price=price,
        quantity=quantity,
        cash=price * quantity // 1_000_000,
        fee=draw(st.integers(0, 10**6)),
        liquidity=Liquidity.TAKER,
        status=draw(st.sampled_from([FillStatus.MATCHED, FillStatus.CONFIRMED, FillStatus.FAILED])),
        matched_at_ns=0,
        updated_at_ns=0,
    )


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[Fill, list[FillStatus]]]:
    """Some fills, each with the reports that reach us: the final one and, often, earlier ones and repetitions."""
    told = []
    for number in range(draw(st.integers(1, 5))):
        fill = draw(fills(number))
        earlier = draw(
            st.lists(st.sampled_from([FillStatus.MATCHED, FillStatus.MINED, FillStatus.RETRYING]), max_size=4)
        )
        told.append((fill, [*earlier, fill.status, *draw(st.lists(st.just(fill.status), max_size=2))]))
    return told


def book_all(reports: list[tuple[Fill, FillStatus]]) -> Ledger:
    """What a bookkeeper does: first report books the fill, final ones settle or reverse it."""
    ledger = Ledger()
    known: dict[str, FillStatus] = {}
    for now, (fill, status) in enumerate(reports):
        if fill.key not in known:
            known[fill.key] = FillStatus.MATCHED
            ledger.append(matched_posting(fill, now))
        known[fill.key] = advance(known[fill.key], status, fill.key)
        if known[fill.key] is FillStatus.CONFIRMED:
            ledger.append(settled_posting(replace(fill, transaction_hash=f"0x{now}"), now))
        elif known[fill.key] is FillStatus.FAILED:
            ledger.append(reversed_posting(fill, now))
    return ledger


def sums(ledger: Ledger) -> tuple[object, ...]:
    tokens = {token: (b.pending_shares, b.settled_shares, b.claim) for token, b in ledger.tokens.items()}
    return ledger.pending_cash, ledger.settled_cash, ledger.claims, tokens


@given(stories(), st.data())
def test_the_order_of_reports_does_not_matter(told, data):
    reports = [(fill, status) for fill, statuses in told for status in statuses]
    shuffled = data.draw(st.permutations(reports))
    assert sums(book_all(shuffled)) == sums(book_all(reports))


@given(stories())
def test_what_is_final_leaves_nothing_pending_and_what_failed_leaves_nothing(told):
    ledger = book_all([(fill, status) for fill, statuses in told for status in statuses])
    signs = {Side.BUY: 1, Side.SELL: -1}
    pending = [fill for fill, _ in told if fill.status is FillStatus.MATCHED]
    settled = [fill for fill, _ in told if fill.status is FillStatus.CONFIRMED]
    assert ledger.pending_cash == sum(-signs[fill.side] * fill.cash - fill.fee for fill in pending)
    assert ledger.settled_cash == sum(-signs[fill.side] * fill.cash - fill.fee for fill in settled)
    for token in TOKENS:
        balance = ledger.balance(token)
        assert balance.pending_shares == sum(signs[f.side] * f.quantity for f in pending if f.token_id == token)
        assert balance.settled_shares == sum(signs[f.side] * f.quantity for f in settled if f.token_id == token)


@given(fills(1))
def test_a_reversal_undoes_exactly(fill):
    ledger = Ledger()
    before = sums(ledger)
    ledger.append(matched_posting(fill, 0))
    ledger.append(reversed_posting(fill, 1))
    pending, settled, claims, tokens = sums(ledger)
    assert (pending, settled, claims, {}) == before
    assert tokens == {fill.token_id: (0, 0, 0)}


@given(stories(), st.data())
def test_postings_commute_and_repeat_freely(told, data):
    postings: list[Posting] = []
    for fill, _ in told:
        postings += [matched_posting(fill, 0), settled_posting(fill, 1)]
    repeated = data.draw(st.permutations(postings + postings[::2]))
    one, other = Ledger(), Ledger()
    for posting in postings:
        assert one.append(posting)
    booked = sum(other.append(posting) for posting in repeated)
    assert booked == len(postings)
    assert sums(one) == sums(other)
