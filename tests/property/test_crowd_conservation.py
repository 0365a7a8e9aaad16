"""Whoever is sent to a market, no dollar and no share appears or disappears, and no book is crossed."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polystra.domain.units import NS_PER_S
from polystra.exchange.core import ExchangeCore, PlaceRequest
from polystra.exchange.simulation import DEFAULT_EPOCH_S, BuiltInConfig, Simulation
from polystra.exchange.traders.config import CrowdConfig

CLIENT = "0x" + "ab" * 20

crowds = st.builds(
    CrowdConfig,
    makers=st.integers(0, 3),
    maker_size_percent=st.sampled_from([10, 100, 700]),
    maker_spread_percent=st.sampled_from([20, 100, 400]),
    noise_takers=st.integers(0, 3),
    noise_pause_percent=st.sampled_from([20, 100]),
    informed_takers=st.integers(0, 1),
    informed_lead_s=st.integers(1, 60),
    spoofers=st.integers(0, 2),
    cross_outcome_traders=st.integers(0, 2),
    dust_makers=st.integers(0, 2),
    vanish_every_s=st.sampled_from([0, 5, 40]),
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(crowd=crowds, seed=st.integers(0, 10_000), cents=st.integers(30, 70))
def test_money_and_pairs_are_conserved_by_every_crowd(crowd: CrowdConfig, seed: int, cents: int) -> None:
    core = ExchangeCore(rng=random.Random(seed))
    simulation = Simulation(BuiltInConfig(seed=seed, symbols=("BTC",), windows=("5m",), crowd=crowd), core)
    simulation.run_due(DEFAULT_EPOCH_S * NS_PER_S)
    core.create_key(CLIENT, 0)
    spec = next(simulation.world.markets()).spec
    total = core.total_money()
    for second in [*range(0, 42, 3), 200, 296, 300, 304, 330, 360]:
        now_ns = (DEFAULT_EPOCH_S + second) * NS_PER_S
        simulation.run_due(now_ns)
        token = spec.up_token if second % 4 else spec.down_token
        core.place(CLIENT, PlaceRequest.limit(token, "BUY", price=cents * 10_000, size=5_000_000), now_ns)
        assert core.total_money() == total
        if not core.market(spec.condition_id).closed:
            pairs = core.books().markets[spec.condition_id].collateral
            assert core.outstanding(spec.up_token) == core.outstanding(spec.down_token) == pairs
        bid, ask = core.best(spec.up_token)
        assert bid is None or ask is None or bid < ask
    assert core.books().markets[spec.condition_id].collateral == 0
