"""Facts about one order arrive by several channels; every order of arrival must end in the same state.

A scenario is a set of facts that can truly occur together, some of them repeated, with the
causality that binds them (a cancel is refused only after it was asked). All its linear
extensions are enumerated, none is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

import pytest

from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.orders import (
    LIVE_STATUSES,
    Order,
    OrderEvent,
    OrderStatus,
    OrderTerms,
    Purpose,
    Side,
    TimeInForce,
    apply,
    fill_event,
)

QUANTITY = 10_000_000
TERMS = OrderTerms(
    client_order_id=ClientOrderId("c1"),
    condition_id=ConditionId("0xc"),
    token_id=TokenId("1"),
    position_id=PositionId("p1"),
    purpose=Purpose.ENTRY,
    side=Side.BUY,
    price=500_000,
    quantity=QUANTITY,
)
DOLLARS = replace(TERMS, budget=5_000_000, time_in_force=TimeInForce.FAK)


@dataclass(frozen=True)
class Fact:
    """An event, or one execution: (trade id, quantity). `after` names facts that must come first."""

    name: str
    event: OrderEvent | None = None
    trade: tuple[str, int] | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    facts: tuple[Fact, ...]
    ends: OrderStatus
    filled: int = 0
    terms: OrderTerms = field(default=TERMS)


def event(name: str, *, after: str = "", tag: str = "") -> Fact:
    return Fact(name + tag, OrderEvent[name], after=tuple(after.split()))


def trade(identity: str, quantity: int, tag: str = "") -> Fact:
    return Fact(f"{identity}{tag}", trade=(identity, quantity))


ACCEPT, ACCEPT2 = event("ACCEPT"), event("ACCEPT", tag="2")
UNKNOWN = event("OUTCOME_UNKNOWN")
REJECT, REJECT2 = event("REJECT"), event("REJECT", tag="2")
ASKED, ASKED2 = event("CANCEL_ASKED"), event("CANCEL_ASKED", tag="2")
REFUSED = event("CANCEL_REFUSED", after="CANCEL_ASKED")
REFUSED2 = event("CANCEL_REFUSED", after="CANCEL_ASKED2", tag="2")
CANCEL, CANCEL2 = event("CANCEL"), event("CANCEL", tag="2")
DONE_BY_ASKING = event("CANCEL", after="CANCEL_ASKED")
EXPIRE, EXPIRE2 = event("EXPIRE"), event("EXPIRE", tag="2")
SOME, SOME2 = trade("t1", 4_000_000), trade("t1", 4_000_000, "again")
REST, REST2 = trade("t2", 6_000_000), trade("t2", 6_000_000, "again")
ALL, ALL2 = trade("t3", QUANTITY), trade("t3", QUANTITY, "again")
DUST_SHORT = trade("t4", QUANTITY - 9_999)
WORD = event("FILL_FULL")

S = OrderStatus
SCENARIOS = {
    "rests and fills": Scenario((ACCEPT, ACCEPT2, SOME, SOME2, REST, REST2), S.FILLED, QUANTITY),
    "fills at once": Scenario((ACCEPT, ACCEPT2, ALL, ALL2), S.FILLED, QUANTITY),
    "fills but for dust": Scenario((ACCEPT, DUST_SHORT), S.FILLED, QUANTITY - 9_999),
    "time-out, then filled": Scenario((UNKNOWN, ACCEPT, SOME, REST, REST2), S.FILLED, QUANTITY),
    "time-out, cancelled": Scenario((UNKNOWN, ACCEPT, ASKED, DONE_BY_ASKING, CANCEL2, SOME), S.CANCELED, 4_000_000),
    "time-out, expired": Scenario((UNKNOWN, ACCEPT, EXPIRE, EXPIRE2, SOME), S.EXPIRED, 4_000_000),
    "time-out, refused": Scenario((UNKNOWN, REJECT, REJECT2), S.REJECTED),
    "cancelled": Scenario((ACCEPT, ACCEPT2, ASKED, DONE_BY_ASKING, CANCEL2), S.CANCELED),
    "cancelled by the venue": Scenario((ACCEPT, SOME, SOME2, CANCEL, CANCEL2), S.CANCELED, 4_000_000),
    "cancel loses to the fill": Scenario((ACCEPT, ASKED, REFUSED, SOME, REST, REST2), S.FILLED, QUANTITY),
    "cancel reported, yet filled": Scenario((ACCEPT, ASKED, DONE_BY_ASKING, SOME, REST), S.FILLED, QUANTITY),
    "two cancels, the fill wins": Scenario(
        (ACCEPT, ACCEPT2, ASKED, ASKED2, REFUSED, REFUSED2, ALL), S.FILLED, QUANTITY
    ),
    "two cancels, one wins": Scenario((ACCEPT, ASKED, ASKED2, DONE_BY_ASKING, REFUSED2, SOME), S.CANCELED, 4_000_000),
    "cancel of what was refused": Scenario((REJECT, REJECT2, UNKNOWN, ASKED, REFUSED), S.REJECTED),
    "expired": Scenario((ACCEPT, ACCEPT2, SOME, EXPIRE, EXPIRE2), S.EXPIRED, 4_000_000),
    "expiry announced as a cancellation too": Scenario((ACCEPT, SOME, EXPIRE, CANCEL, CANCEL2), S.CANCELED, 4_000_000),
    "expiry against a cancel in flight": Scenario((ACCEPT, ASKED, REFUSED, EXPIRE, SOME), S.EXPIRED, 4_000_000),
    "expiry against the last fill": Scenario((ACCEPT, EXPIRE, SOME, REST), S.FILLED, QUANTITY),
    "killed": Scenario((REJECT, CANCEL), S.CANCELED),
    "killed, told twice": Scenario((REJECT, REJECT2, CANCEL, CANCEL2), S.CANCELED),
    "killed after a time-out": Scenario((UNKNOWN, REJECT, CANCEL, CANCEL2), S.CANCELED),
    "killed while a cancel is asked": Scenario((REJECT, CANCEL, ASKED, REFUSED, UNKNOWN), S.CANCELED),
    "part taken, the rest killed": Scenario((ACCEPT, ACCEPT2, SOME, SOME2, CANCEL), S.CANCELED, 4_000_000),
    "dollars taken in two trades": Scenario((ACCEPT, SOME, REST, WORD, SOME2), S.FILLED, QUANTITY, DOLLARS),
    "dollars taken in part": Scenario((ACCEPT, SOME, SOME2, CANCEL), S.CANCELED, 4_000_000, DOLLARS),
}


def arrivals(facts: tuple[Fact, ...]) -> Iterator[tuple[Fact, ...]]:
    """Every order of arrival that respects causality."""
    names = {fact.name for fact in facts}
    assert len(names) == len(facts)

    def extend(done: tuple[Fact, ...], left: tuple[Fact, ...]) -> Iterator[tuple[Fact, ...]]:
        if not left:
            yield done
        seen = {fact.name for fact in done}
        for n, fact in enumerate(left):
            if all(before in seen for before in fact.after if before in names):
                yield from extend((*done, fact), left[:n] + left[n + 1 :])

    return extend((), facts)


def outcome(terms: OrderTerms, facts: tuple[Fact, ...]) -> tuple[OrderStatus, int]:
    """Feed the facts to an order that was just sent, trades deduplicated by identity."""
    order = apply(Order(terms=terms), OrderEvent.SUBMIT, now_ns=0)
    trades: dict[str, int] = {}
    for fact in facts:
        if fact.trade is not None:
            identity, quantity = fact.trade
            if identity in trades:
                continue
            trades[identity] = quantity
            filled = sum(trades.values())
            order = apply(order, fill_event(order, filled), now_ns=0, filled=filled)
        elif fact.event is not None:
            order = apply(order, fact.event, now_ns=0)
    return order.status, order.filled


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_order_of_arrival_ends_equal(name):
    scenario = SCENARIOS[name]
    expected = (scenario.ends, scenario.filled)
    for facts in arrivals(scenario.facts):
        assert outcome(scenario.terms, facts) == expected, [fact.name for fact in facts]


def test_the_enumeration_is_not_empty_talk():
    total = sum(1 for scenario in SCENARIOS.values() for _ in arrivals(scenario.facts))
    assert total > 4_000


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_hearing_the_whole_story_again_changes_nothing(name):
    """Recovery by REST repeats facts after the end: none is refused and none moves the order."""
    scenario = SCENARIOS[name]
    facts = next(arrivals(scenario.facts))
    again = tuple(fact for fact in facts if fact.event not in {OrderEvent.REJECT, OrderEvent.CANCEL_ASKED})
    assert outcome(scenario.terms, facts + again) == (scenario.ends, scenario.filled)


POOL = (ACCEPT, UNKNOWN, ASKED, REFUSED, ASKED2, REFUSED2, CANCEL, EXPIRE, SOME, REST, REJECT)
CONTRADICT_A_REFUSAL = {ACCEPT, EXPIRE, SOME, REST}


def compatible_sets(largest: int) -> Iterator[tuple[Fact, ...]]:
    """Every set of facts from the pool that can be true together, with the causes of each."""
    for size in range(1, largest + 1):
        for facts in combinations(POOL, size):
            names = {fact.name for fact in facts}
            caused = all(before in names for fact in facts for before in fact.after)
            if caused and not (REJECT in facts and CONTRADICT_A_REFUSAL.intersection(facts)):
                yield facts


def test_every_compatible_set_of_facts_ends_equal_or_leaves_the_order_alive():
    """While the story is incomplete the order may wait in one live state or another, with the same fills."""
    for facts in compatible_sets(5):
        results = {outcome(TERMS, arrival) for arrival in arrivals(facts)}
        if len(results) > 1:
            assert {status for status, _ in results} <= LIVE_STATUSES, [fact.name for fact in facts]
            assert len({filled for _, filled in results}) == 1
