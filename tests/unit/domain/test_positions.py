import pytest

from polystra.domain.errors import IllegalTransition
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.positions import TRANSITIONS, Position, PositionEvent, PositionStatus, move

from .grid import reachable, read_grid

P1 = PositionId("p1")

GRID = read_grid(
    """
          SHARES_HELD EXIT_STARTED EXIT_ENDED SOLD_OUT MARKET_RESOLVED VENUE_DISAGREED RECONCILED_OPEN RECONCILED_FLAT
FLAT      OPEN        .            .          =        RESOLVED        FROZEN          .               .
OPEN      =           EXITING      =          CLOSED   RESOLVED        FROZEN          .               .
EXITING   =           =            OPEN       CLOSED   RESOLVED        FROZEN          .               .
CLOSED    OPEN        .            =          =        RESOLVED        FROZEN          .               .
RESOLVED  =           .            =          =        =               FROZEN          .               .
FROZEN    =           .            =          =        RESOLVED        =               OPEN            CLOSED
"""
)


def test_the_grid_covers_every_state_and_event():
    assert set(GRID) == {(status.value, event.value) for status in PositionStatus for event in PositionEvent}


@pytest.mark.parametrize(("status", "event"), list(GRID))
def test_every_cell(status, event):
    target = GRID[(status, event)]
    if target is None:
        with pytest.raises(IllegalTransition, match=f"position p1: event {event} is illegal in state {status}"):
            move(PositionStatus(status), PositionEvent(event), P1)
    else:
        assert move(PositionStatus(status), PositionEvent(event), P1) == PositionStatus(target)


def test_every_state_can_be_reached_and_every_one_can_end():
    assert reachable(TRANSITIONS, PositionStatus.FLAT) == set(PositionStatus)
    for status in PositionStatus:
        assert PositionStatus.RESOLVED in reachable(TRANSITIONS, status)
    for status in (PositionStatus.OPEN, PositionStatus.EXITING, PositionStatus.FROZEN):
        assert PositionStatus.CLOSED in reachable(TRANSITIONS, status)


def position(*postings: Posting) -> Position:
    made = Position(position_id=P1, condition_id=ConditionId("c"), token_id=TokenId("1"), opened_at_ns=0)
    for posting in postings:
        made.add(posting)
    return made


def posting(kind: PostingKind = PostingKind.MATCHED, **amounts: int) -> Posting:
    return Posting(source_id="s", kind=kind, at_ns=0, reason="", **amounts)  # type: ignore[arg-type]


BUY_10 = posting(pending_shares=10_000_000, bought=10_000_000, bought_cost=5_000_000, fee=175_000)
SELL_4 = posting(pending_shares=-4_000_000, sold=4_000_000, sold_proceeds=2_400_000, fee=67_200)
WIN_6 = posting(PostingKind.RESOLVED, settled_shares=-6_000_000, resolved=6_000_000, payout=6_000_000)


def test_nothing_bought_nothing_won():
    empty = position()
    assert (empty.shares, empty.average_price, empty.released_cost, empty.realised_pnl) == (0, 0, 0, 0)


def test_a_buy_costs_its_fee_at_once():
    held = position(BUY_10)
    assert held.shares == 10_000_000
    assert held.average_price == 500_000
    assert held.realised_pnl == -175_000
    assert held.unrealised_pnl(600_000) == 1_000_000


def test_a_partial_sale_releases_its_share_of_the_cost():
    held = position(BUY_10, SELL_4)
    assert held.released_cost == 2_000_000
    assert held.realised_pnl == 2_400_000 - 2_000_000 - 175_000 - 67_200
    assert held.unrealised_pnl(500_000) == 0


def test_a_resolution_ends_it_with_cash_in_less_cash_out():
    done = position(BUY_10, SELL_4, WIN_6)
    assert done.realised_pnl == 2_400_000 + 6_000_000 - 5_000_000 - 175_000 - 67_200
    assert done.unrealised_pnl(1_000_000) == 6_000_000 - 6_000_000 + done.shares
    assert done.released_cost == done.bought_cost


def test_the_average_price_is_rounded_up():
    assert position(posting(bought=3, bought_cost=1)).average_price == 333_334


def test_lost_shares_release_their_cost_and_found_ones_do_not():
    lost = position(BUY_10, posting(PostingKind.ADJUSTMENT, settled_shares=-10_000_000))
    assert lost.adjusted == -10_000_000
    assert lost.released_cost == 5_000_000
    found = position(BUY_10, posting(PostingKind.ADJUSTMENT, settled_shares=1_000_000))
    assert found.released_cost == 0
