"""Whatever the engine can be told comes back from a recording equal, field by field."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polystra.backtest.recordings.rows import Recorded, decode, encode
from polystra.domain import events as ev
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO

NS = st.integers(min_value=0, max_value=2**62)
PRICE = st.integers(min_value=0, max_value=MICRO)
SIZE = st.integers(min_value=0, max_value=2**53)
TOKEN = st.integers(min_value=0, max_value=2**256).map(lambda number: TokenId(str(number)))
LEVELS = st.lists(st.tuples(PRICE, SIZE), max_size=5).map(tuple)
CHANGE = st.builds(
    ev.LevelChange,
    token_id=TOKEN,
    side=st.sampled_from(Side),
    price=PRICE,
    size=SIZE,
    best_bid=st.none() | PRICE,
    best_ask=st.none() | PRICE,
)
EVENTS = st.one_of(
    st.builds(ev.BookChanged, changes=st.lists(CHANGE, max_size=4).map(tuple), at_ns=NS),
    st.builds(ev.BookSnapshot, token_id=TOKEN, bids=LEVELS, asks=LEVELS, at_ns=NS, tick_size=st.none() | PRICE),
    st.builds(
        ev.PriceTicked,
        symbol=st.sampled_from(("BTC", "ETH")),
        source=st.sampled_from(ev.PriceSource),
        price=st.integers(min_value=1, max_value=2**60),
        at_ns=NS,
    ),
    st.builds(ev.PublicTrade, token_id=TOKEN, side=st.sampled_from(Side), price=PRICE, size=SIZE, at_ns=NS),
    st.builds(ev.TickSizeChanged, token_id=TOKEN, tick_size=PRICE, at_ns=NS),
    st.builds(
        ev.MarketResolved,
        condition_id=st.just(ConditionId("0xabc")),
        up_payout=PRICE,
        at_ns=NS,
        confirmed=st.booleans(),
    ),
    st.builds(
        ev.OrderReport,
        order_id=st.just(OrderId("0xdef")),
        condition_id=st.just(ConditionId("0xabc")),
        token_id=TOKEN,
        side=st.sampled_from(Side),
        price=PRICE,
        quantity=SIZE,
        matched=SIZE,
        status=st.sampled_from(ev.VenueOrderStatus),
        at_ns=NS,
        detail=st.text(max_size=20),
    ),
    st.builds(ev.TimerFired, key=st.text(max_size=30)),
    st.builds(ev.StreamLost, stream=st.sampled_from(ev.StreamName), reason=st.text(max_size=30)),
)


@given(st.lists(st.tuples(NS, EVENTS), max_size=30))
def test_inputs_come_back_equal(told):
    inputs = [Recorded(now_ns, event) for now_ns, event in told]
    assert list(decode(encode(inputs))) == inputs
