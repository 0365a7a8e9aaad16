"""Price grid, precision and minimums on every tick size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.exchange.core import CoreConfig, PlaceRequest, Refusal
from polystra.exchange.validation import AMOUNT_DECIMALS, check_request, snapped_price
from tests.unit.exchange.conftest import T0

TICKS = sorted(AMOUNT_DECIMALS)
sides = st.sampled_from(["BUY", "SELL"])


def check(request: PlaceRequest, tick: int) -> Refusal | None:
    return check_request(request, "0x1", tick=tick, min_size=5_000_000, now_ns=T0, config=CoreConfig())


def on_grid(tick: int) -> st.SearchStrategy[int]:
    return st.integers(1, 1_000_000 // tick - 1).map(lambda steps: steps * tick)


@given(data=st.data(), tick=st.sampled_from(TICKS), side=sides, cents=st.integers(500, 1_000_000))
def test_every_limit_on_the_grid_is_accepted(data: st.DataObject, tick: int, side: str, cents: int) -> None:
    price = data.draw(on_grid(tick))
    request = PlaceRequest.limit("1", side, price=price, size=cents * 10_000)  # type: ignore[arg-type]
    assert check(request, tick) is None
    assert snapped_price(request, tick) == price


@given(data=st.data(), tick=st.sampled_from(TICKS), side=sides, cents=st.integers(100, 1_000_000))
def test_every_market_order_cut_to_four_decimals_is_accepted(
    data: st.DataObject, tick: int, side: str, cents: int
) -> None:
    price = data.draw(on_grid(tick))
    request = PlaceRequest.market("1", side, amount=cents * 10_000, worst_price=price)  # type: ignore[arg-type]
    assert check(request, tick) is None
    assert snapped_price(request, tick) == price


@given(data=st.data(), side=sides, cents=st.integers(500, 1_000_000), off=st.integers(1, 9))
def test_a_limit_between_ticks_is_refused(data: st.DataObject, side: str, cents: int, off: int) -> None:
    price = data.draw(on_grid(10_000)) + off * 1_000
    request = PlaceRequest.limit("1", side, price=price, size=cents * 10_000)  # type: ignore[arg-type]
    refusal = check(request, 10_000)
    assert refusal is not None
    assert "breaks minimum tick size rule: 0.01" in refusal.text


@pytest.mark.parametrize(
    ("side", "maker", "taker", "text"),
    [
        ("BUY", 50_000_000, 51_000_000, "Price (0.9803921568627451) breaks minimum tick size rule: 0.001"),
        ("BUY", 5_000_000, 5_000_000, "Price (1) breaks minimum tick size rule: 0.001"),
        ("SELL", 10_000_000, 500, "Price (0.00005) breaks minimum tick size rule: 0.001"),
    ],
)
def test_the_refusal_names_the_implied_price(side: str, maker: int, taker: int, text: str) -> None:
    request = PlaceRequest(
        token_id="1",
        side=side,  # type: ignore[arg-type]
        order_type="GTC",
        maker_amount=maker,
        taker_amount=taker,
    )
    refusal = check(request, 1_000)
    assert refusal is not None
    assert refusal.text == f"order 0x1 is invalid. {text}"


def test_a_product_that_was_rounded_is_refused_with_the_right_one() -> None:
    request = PlaceRequest(token_id="1", side="SELL", order_type="GTC", maker_amount=19_690_000, taker_amount=4_330_000)
    assert check(request, 10_000) == Refusal(
        "invalid amounts, the taker amount for a $0.22 order of size 19.69 should be '4.3318'"
        " but the value submited is '4.33'"
    )


def test_fine_ticks_do_not_widen_the_precision_of_market_orders() -> None:
    request = PlaceRequest(token_id="1", side="SELL", order_type="FAK", maker_amount=10_010_000, taker_amount=5_015_010)
    refusal = check(request, 1_000)
    assert refusal is not None
    assert refusal.text.endswith("maker amount supports a max accuracy of 2 decimals, taker amount a max of 4 decimals")
