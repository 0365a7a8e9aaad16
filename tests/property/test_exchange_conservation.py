"""Whatever traders do, no dollar and no share appears or disappears."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.exchange.core import CoreConfig, ExchangeCore, MarketSpec, PlaceRequest
from polystra.exchange.model import NS_PER_S
from polystra.exchange.typed_data import CHAIN_ID

T0 = 1_782_753_000 * NS_PER_S
UP, DOWN, CONDITION = "1001", "1002", "0xc0"
TRADERS = ["0x" + digit * 40 for digit in "abc"]

limits = st.tuples(
    st.just("limit"),
    st.integers(0, 3),
    st.sampled_from([UP, DOWN]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(40, 60),
    st.integers(500, 3_000),
)
markets = st.tuples(
    st.just("market"),
    st.integers(0, 3),
    st.sampled_from([UP, DOWN]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(35, 65),
    st.integers(100, 2_000),
)
others = st.one_of(
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("pass"), st.integers(1, 6)),
)


def build() -> tuple[ExchangeCore, list[str]]:
    core = ExchangeCore(rng=random.Random(CHAIN_ID), config=CoreConfig(initial_cash=15_000_000))
    core.list_market(
        MarketSpec(
            condition_id=CONDITION,
            slug="s",
            question="q",
            symbol="btc",
            window="5m",
            up_token=UP,
            down_token=DOWN,
            opens_at_s=T0 // NS_PER_S,
            closes_at_s=T0 // NS_PER_S + 300,
            listed_at_s=0,
        ),
        T0,
    )
    for address in TRADERS:
        core.create_key(address, 0)
    return core, [*TRADERS, core.open_house_account("house")]


def check(core: ExchangeCore, total: int) -> None:
    assert core.total_money() == total
    pairs = core.books().markets[CONDITION].collateral
    assert core.outstanding(UP) == core.outstanding(DOWN) == pairs
    for address in TRADERS:
        account = core.account(address)
        assert account is not None
        assert account.cash >= 0
        assert account.pending_cash >= 0
        assert account.spendable_cash >= 0
        assert all(size > 0 for size in account.tokens.values())
        assert all(account.spendable_tokens(token) >= 0 for token in (UP, DOWN))
    bid, ask = core.best(UP)
    assert bid is None or ask is None or bid < ask


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.one_of(limits, markets, others), max_size=60), payout=st.sampled_from([0, 500_000, 1_000_000]))
def test_money_and_pairs_are_conserved(steps: list[tuple[object, ...]], payout: int) -> None:
    core, accounts = build()
    total, now = core.total_money(), T0
    for step in steps:
        match step:
            case ("limit", int(who), str(token), ("BUY" | "SELL") as side, int(cents), int(size)):
                request = PlaceRequest.limit(token, side, price=cents * 10_000, size=size * 10_000)
                core.place(accounts[who], request, now)
            case ("market", int(who), str(token), ("BUY" | "SELL") as side, int(cents), int(amount)):
                request = PlaceRequest.market(token, side, amount=amount * 10_000, worst_price=cents * 10_000)
                core.place(accounts[who], request, now)
            case ("cancel", int(who)):
                core.cancel_all(accounts[who], None, None, now)
            case ("pass", int(seconds)):
                now += seconds * NS_PER_S
                core.advance(now)
        check(core, total)
    core.resolve(CONDITION, payout, now)
    core.advance(now + 60 * NS_PER_S)
    assert core.total_money() == total
    assert core.next_due_ns() is None
    assert 0 <= core.books().markets[CONDITION].collateral <= len(accounts)  # halves of odd micro-shares at 50/50
    for address in accounts:
        account = core.account(address)
        assert account is not None
        assert account.pending_cash == 0
        assert account.orders == {}
