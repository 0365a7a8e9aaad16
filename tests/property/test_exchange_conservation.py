"""Whatever traders do, no dollar and no share appears or disappears."""

import random
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import AccountRules
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
pairs = st.tuples(st.just("pair"), st.integers(0, 3), st.integers(0, 3), st.integers(40, 60), st.integers(500, 1_200))
settlements = st.one_of(
    st.tuples(st.just("fail"), st.integers(0, 20)),
    st.tuples(st.just("retry"), st.integers(0, 20)),
    st.tuples(st.just("delay"), st.integers(0, 20)),
)
rules = st.sampled_from(
    [AccountRules(), AccountRules(fail_ppm=200_000, retry_ppm=200_000, reorg_ppm=200_000, late_ppm=200_000)]
)


def build(account_rules: AccountRules) -> tuple[ExchangeCore, list[str]]:
    config = CoreConfig(initial_cash=15_000_000, rules=account_rules)
    core = ExchangeCore(rng=random.Random(CHAIN_ID), config=config)
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


def settle_otherwise(core: ExchangeCore, accounts: list[str], what: str, which: int, now: int) -> None:
    """Move one of the newest trades, whatever its state; what is final must stay so."""
    trades = list(islice(core.trades(accounts), which + 1))
    if not trades:
        return
    trade = trades[-1]
    before = (trade.status, core.total_money(), core.books().fee_pot)
    try:
        match what:
            case "fail":
                assert trade.trade_id in core.fail_trade(trade.trade_id, now)
            case "retry":
                core.retry_trade(trade.trade_id, now)
            case _:
                core.delay_trade(trade.trade_id, 7_000, now)
    except ConfigError:
        kept = core.trade(trade.trade_id)
        assert kept is not None
        assert (kept.status, core.total_money(), core.books().fee_pot) == before


def act(core: ExchangeCore, accounts: list[str], step: tuple[object, ...], now: int) -> int:
    """Carry out one step; returns the present instant after it."""
    match step:
        case ("limit", int(who), str(token), ("BUY" | "SELL") as side, int(cents), int(size)):
            request = PlaceRequest.limit(token, side, price=cents * 10_000, size=size * 10_000)
            core.place(accounts[who], request, now)
        case ("market", int(who), str(token), ("BUY" | "SELL") as side, int(cents), int(amount)):
            request = PlaceRequest.market(token, side, amount=amount * 10_000, worst_price=cents * 10_000)
            core.place(accounts[who], request, now)
        case ("pair", int(who), int(other), int(cents), int(size)):
            for buyer, token, price in ((who, UP, cents), (other, DOWN, 100 - cents)):
                request = PlaceRequest.limit(token, "BUY", price=price * 10_000, size=size * 10_000)
                core.place(accounts[buyer], request, now)
        case ("cancel", int(who)):
            core.cancel_all(accounts[who], None, None, now)
        case ("pass", int(seconds)):
            now += seconds * NS_PER_S
            core.advance(now)
        case (("fail" | "retry" | "delay") as what, int(which)):
            settle_otherwise(core, accounts, what, which, now)
    return now


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.one_of(limits, markets, pairs, others, settlements), min_size=12, max_size=60),
    payout=st.sampled_from([0, 500_000, 1_000_000]),
    account_rules=rules,
    late_failures=st.integers(0, 3),
)
def test_money_and_pairs_are_conserved(
    steps: list[tuple[object, ...]], payout: int, account_rules: AccountRules, late_failures: int
) -> None:
    core, accounts = build(account_rules)
    total, now = core.total_money(), T0
    for step in steps:
        now = act(core, accounts, step, now)
        check(core, total)
    core.resolve(CONDITION, payout, now)
    for which in range(late_failures):
        settle_otherwise(core, accounts, "fail", which, now)
        assert core.total_money() == total
    core.advance(now + 90 * NS_PER_S)
    assert core.total_money() == total
    assert core.next_due_ns() is None
    assert 0 <= core.books().markets[CONDITION].collateral <= len(accounts)  # halves of odd micro-shares at 50/50
    for address in accounts:
        account = core.account(address)
        assert account is not None
        assert account.pending_cash == 0
        assert account.orders == {}
