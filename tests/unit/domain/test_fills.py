import pytest

from polystra.domain.errors import IllegalTransition
from polystra.domain.fills import SETTLEMENT, Fill, FillStatus, Liquidity, advance
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.orders import Side

from .grid import reachable, read_grid

GRID = read_grid(
    """
           MATCHED MINED RETRYING CONFIRMED FAILED
MATCHED    =       MINED RETRYING CONFIRMED FAILED
MINED      =       =     RETRYING CONFIRMED FAILED
RETRYING   =       MINED =        CONFIRMED FAILED
CONFIRMED  =       =     =        =         .
FAILED     =       =     =        .         =
"""
)


@pytest.mark.parametrize("known", list(FillStatus))
@pytest.mark.parametrize("reported", list(FillStatus))
def test_every_cell(known, reported):
    target = GRID[(known, reported)]
    if target is None:
        with pytest.raises(IllegalTransition, match=f"fill t1: event {reported} is illegal in state {known}"):
            advance(known, reported, "t1")
    else:
        assert advance(known, reported, "t1") == FillStatus(target)


def test_every_state_can_be_reached_and_can_end():
    assert reachable(SETTLEMENT, FillStatus.MATCHED) == set(FillStatus)
    for status in FillStatus:
        assert any(FillStatus(end).is_final for end in reachable(SETTLEMENT, status))


def test_only_two_states_are_final():
    assert {status for status in FillStatus if status.is_final} == {FillStatus.CONFIRMED, FillStatus.FAILED}


def test_a_fill_is_known_by_trade_and_order():
    fill = Fill(
        trade_id=TradeId("t"),
        order_id=OrderId("o"),
        client_order_id=ClientOrderId("c"),
        position_id=PositionId("p"),
        condition_id=ConditionId("m"),
        token_id=TokenId("1"),
        side=Side.BUY,
        price=1,
        quantity=1,
        cash=1,
        fee=0,
        liquidity=Liquidity.MAKER,
        status=FillStatus.MATCHED,
        matched_at_ns=0,
        updated_at_ns=0,
    )
    assert fill.key == "t:o"
