"""Listings of the built-in exchange: when markets come, stop and resolve, and on what."""

import random

from polystra.domain.units import E8, NS_PER_S
from polystra.exchange.agenda import Agenda
from polystra.exchange.assets import ASSETS
from polystra.exchange.core import ExchangeCore
from polystra.exchange.market_terms import condition_id_of, token_id_of
from polystra.exchange.prices import CommonFactor, PricePath
from polystra.exchange.resolution_rules import average_text
from polystra.exchange.series import TickSeries
from polystra.exchange.world import LISTING_LEAD_S, METADATA_DELAY_S, OUTAGE_LIMIT_S, REVIEW_S, World, WorldMarket

T0 = 1_793_628_000
BTC = ASSETS["BTC"]


class Stage:
    """A world of one coin whose agenda is driven by hand."""

    def __init__(
        self, path: PricePath, *, core: ExchangeCore | None = None, start_s: int = T0, last_s: int = 0
    ) -> None:
        self.core = core or ExchangeCore(rng=random.Random(1))
        self.agenda = Agenda()
        self.world = World(self.core, self.agenda, {"BTC": path}, seed=1, last_s={"BTC": last_s} if last_s else None)
        self.listed: list[WorldMarket] = []
        self.world.on_listed(lambda market, _now_ns: self.listed.append(market))
        self.world.start(["BTC"], ["5m"], start_s)

    def run_to(self, second: int) -> None:
        while self.agenda.run_next(second * NS_PER_S):
            pass

    @property
    def first(self) -> WorldMarket:
        return next(self.world.markets())


def flat(value_before: int, value_after: int, *, hole: tuple[int, int] | None = None) -> PricePath:
    """One price until the last minute of the first window, another from there on, an optional hole."""
    seconds = [s for s in range(T0 - 300, T0 + 1_500) if hole is None or not hole[0] <= s < hole[1]]
    values = [value_before if s <= T0 + 240 else value_after for s in seconds]
    return PricePath.recorded(BTC, TickSeries(seconds, values), start_s=T0)


def test_lists_ahead_and_goes_on_listing() -> None:
    stage = Stage(flat(5 * E8, 5 * E8))
    stage.run_to(T0)
    assert [m.spec.opens_at_s - T0 for m in stage.listed] == [0, 300, 600]
    stage.run_to(T0 + 650)
    assert [m.spec.opens_at_s - T0 for m in stage.listed][-1] == 1_200
    assert all(m.spec.opens_at_s - m.spec.listed_at_s <= LISTING_LEAD_S for m in stage.listed)


def test_a_tie_resolves_up_some_seconds_after_the_end() -> None:
    stage = Stage(flat(5 * E8, 5 * E8))
    stage.run_to(T0 + 300)
    state = stage.core.markets[stage.first.spec.condition_id]
    assert not state.accepting_orders
    assert not state.closed
    stage.run_to(T0 + 313)
    assert state.winner == "Up"
    assert stage.first.start_average == stage.first.end_average == 5 * E8


def test_the_average_of_the_last_minute_decides() -> None:
    stage = Stage(flat(5 * E8, 5 * E8 - 1))
    stage.run_to(T0 + 320)
    assert stage.core.markets[stage.first.spec.condition_id].winner == "Down"
    assert stage.first.end_average == 5 * E8 - 1


def test_prices_become_public_a_minute_after_the_end() -> None:
    stage = Stage(flat(5 * E8, 6 * E8))
    stage.run_to(T0 + 320)
    assert not stage.first.metadata_visible((T0 + 320) * NS_PER_S)
    assert stage.first.metadata_visible((T0 + 300 + METADATA_DELAY_S) * NS_PER_S)


def test_an_outage_at_the_end_delays_the_resolution() -> None:
    back_s = T0 + 300 + OUTAGE_LIMIT_S + 100
    stage = Stage(flat(5 * E8, 6 * E8, hole=(T0 + 241, back_s)))
    stage.run_to(back_s - 1)
    assert stage.first.up_won is None
    stage.run_to(back_s + REVIEW_S + 12)
    assert stage.first.up_won is True


def test_a_long_hole_in_the_averaged_minute_costs_a_review() -> None:
    stage = Stage(flat(5 * E8, 6 * E8, hole=(T0 + 242, T0 + 242 + OUTAGE_LIMIT_S + 1)))
    stage.run_to(T0 + 330)
    assert stage.first.up_won is None
    stage.run_to(T0 + 380)
    assert stage.first.up_won is True


def test_lists_nothing_that_would_end_after_the_recording() -> None:
    stage = Stage(flat(5 * E8, 5 * E8), last_s=T0 + 899)
    stage.run_to(T0 + 1_400)
    assert len(stage.listed) == 2
    assert all(m.up_won for m in stage.listed)


def test_ids_follow_from_the_slug() -> None:
    slug = "btc-updown-5m-1793628000"
    assert condition_id_of(slug) == condition_id_of(slug)
    assert len(condition_id_of(slug)) == 66
    up, down = token_id_of(slug, "Up"), token_id_of(slug, "Down")
    assert up != down
    assert up.isdigit()
    assert int(up) < 2**256
    stage = Stage(flat(5 * E8, 5 * E8))
    stage.run_to(T0)
    market = stage.world.by_slug(slug)
    assert market is not None
    assert market is stage.world.by_token(up) is stage.world.by_condition(condition_id_of(slug))
    assert market is stage.world.by_id(str(market.gamma_id))


def test_the_rule_names_the_average() -> None:
    text = average_text(BTC, 60)
    assert "60-second time-weighted average price (TWAP)" in text
    assert "greater than or equal" in text
    assert BTC.stream_url in text


def test_a_restarted_world_takes_over_what_was_open() -> None:
    def path() -> PricePath:
        return PricePath.generated(BTC, seed=4, factor=CommonFactor(4), start_s=T0)

    whole = Stage(path())
    whole.run_to(T0 + 1_000)
    broken = Stage(path())
    broken.run_to(T0 + 450)
    resumed = Stage(path(), core=broken.core, start_s=T0 + 460)
    resumed.run_to(T0 + 1_000)
    expected = {m.spec.slug: (m.start_average, m.end_average, m.up_won) for m in whole.world.markets()}
    found = {m.spec.slug: (m.start_average, m.end_average, m.up_won) for m in resumed.world.markets()}
    assert found == expected
    assert len({m.spec.condition_id for m in resumed.world.markets()}) == len(found)
