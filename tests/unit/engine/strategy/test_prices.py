from polystra.domain.units import E8, NS_PER_S
from polystra.engine.strategy.prices import BOUNDARIES_KEPT, KEEP_S, PriceWindow, RunningAverage

from .scene import average, filled_window, settlement, spot

T = 1_800_000_000


def feed(window: PriceWindow, seconds, price=lambda s: 100.0) -> None:
    for second in seconds:
        window.observe(settlement(second, price(second)))


def test_the_latest_tick_wins_whatever_the_order():
    window = PriceWindow("BTC")
    feed(window, [T, T + 2, T + 1], lambda s: s - T + 1.0)
    assert window.settlement_price == 3 * E8
    assert window.settlement_s == T + 2
    assert window.settlement_at_ns == (T + 2) * NS_PER_S
    assert window.price_at(T + 1) == 2 * E8


def test_a_correction_of_the_same_second_replaces_it():
    window = PriceWindow("BTC")
    window.observe(settlement(T, 1.0))
    window.observe(settlement(T, 2.0))
    assert window.settlement_price == 2 * E8
    assert window.price_at(T) == 2 * E8


def test_prices_that_are_not_positive_are_ignored():
    window = PriceWindow("BTC")
    window.observe(settlement(T, 0.0))
    window.observe(settlement(T, -1.0))
    assert window.settlement_price is None
    assert window.predicted_price is None
    assert window.price_at(T) is None
    assert window.running_average(T) is None
    assert window.price_to_beat(T) is None


def test_holes_are_carried_forward():
    window = PriceWindow("BTC")
    feed(window, [T, T + 1, T + 5], lambda s: 100.0 + s - T)
    assert window.price_at(T + 4) == 101 * E8
    assert window.price_at(T + 9) == 105 * E8
    assert window.price_at(T - 1) is None


def test_the_running_average_stops_at_the_last_tick():
    window = PriceWindow("BTC")
    feed(window, range(T - 10, T + 4), lambda s: 100.0 + max(0, s - T))
    running = window.running_average(T + 60)
    assert running == RunningAverage(3, 3, 102 * E8)
    assert window.running_average(T + 70) == RunningAverage(0, 0, 0.0)


def test_the_running_average_fills_holes_and_ends_at_the_boundary():
    window = PriceWindow("BTC")
    feed(window, [T, T + 1, T + 4], lambda s: 100.0 + s - T)
    assert window.running_average(T + 60) == RunningAverage(4, 2, (101 + 101 + 101 + 104) / 4 * E8)
    feed(window, range(T + 5, T + 80), lambda s: 104.0)
    whole = window.running_average(T + 60)
    assert whole is not None
    assert (whole.elapsed_s, whole.covered_s) == (60, 58)


def test_a_hole_at_the_very_start_is_left_out():
    window = PriceWindow("BTC")
    feed(window, [T + 3, T + 4], lambda s: 100.0)
    assert window.running_average(T + 60) == RunningAverage(4, 2, 100.0 * E8)


def test_an_average_whose_ticks_are_forgotten_is_none():
    window = PriceWindow("BTC")
    feed(window, [T, T + 10 * KEEP_S])
    assert window.running_average(T + 60) is None


def test_the_price_to_beat_is_the_venues_own_average():
    window = filled_window(T + 1)
    window.observe(average(T, 61_234.5))
    assert window.price_to_beat(T) == round(61_234.5 * E8)


def test_averages_off_the_boundary_are_not_kept():
    window = PriceWindow("BTC")
    window.observe(average(T + 1, 5.0))
    window.observe(average(T + 60, 5.0))
    assert window.price_to_beat(T + 60) is None


def test_our_own_average_covers_the_minute_up_to_the_boundary():
    window = PriceWindow("BTC")
    feed(window, range(T - 70, T + 1), lambda s: 100.0 if s <= T - 60 else 200.0)
    assert window.price_to_beat(T) == 200 * E8


def test_our_own_average_rounds_half_up():
    window = PriceWindow("BTC")
    feed(window, range(T - 60, T + 1), lambda s: 1.0 if s <= T - 30 else 1.00000001)
    assert window.price_to_beat(T) == E8 + 1


def test_no_price_to_beat_before_the_feed_reaches_the_boundary():
    window = PriceWindow("BTC")
    feed(window, range(T - 70, T))
    assert window.price_to_beat(T) is None
    feed(window, [T])
    assert window.price_to_beat(T) == 100 * E8


def test_fifty_five_seconds_are_enough_and_fifty_four_are_not():
    for holes, expected in ((5, 100 * E8), (6, None)):
        window = PriceWindow("BTC")
        feed(window, [s for s in range(T - 70, T + 40) if not T - 20 <= s < T - 20 + holes])
        assert window.price_to_beat(T) == expected


def test_a_shorter_lookback_uses_its_own_seconds_and_not_the_venues_sixty():
    window = PriceWindow("BTC")
    feed(window, range(T - 70, T + 1), lambda s: 100.0 if s <= T - 30 else 200.0)
    window.observe(average(T, 5.0))
    assert window.price_to_beat(T, 30) == 200 * E8


def test_our_own_average_outlives_its_ticks():
    window = PriceWindow("BTC")
    feed(window, range(T - 70, T + 2 * KEEP_S), lambda s: 100.0 if s <= T else 300.0)
    assert window.price_at(T) is None
    assert window.price_to_beat(T) == 100 * E8


def test_memory_is_bounded():
    window = PriceWindow("BTC")
    feed(window, range(T, T + 3 * KEEP_S))
    assert window.tick_count <= KEEP_S + 1
    feed(window, [T + 100 * KEEP_S])
    assert window.tick_count == 1
    feed(window, [T])  # far too old now
    assert window.tick_count == 1
    for n in range(BOUNDARIES_KEPT + 50):
        window.observe(average(T + 300 * n, 100.0 + n))
    assert window.price_to_beat(T) is None
    assert window.price_to_beat(T + 300 * 349) == 449 * E8


def test_without_spot_the_prediction_is_the_last_tick():
    window = filled_window(T)
    assert window.basis is None
    assert window.lead_ppm is None
    assert window.feeds_agree
    assert window.predicted_price == window.settlement_price


def with_spot(basis: float = 10.0, seconds: int = 120) -> PriceWindow:
    window = PriceWindow("BTC")
    for second in range(T, T + seconds):
        window.observe(spot(second, 60_000.0))
        window.observe(settlement(second, 60_000.0 + basis))
    return window


def test_spot_leads_the_prediction_once_its_basis_is_known():
    window = with_spot()
    window.observe(spot(T + 120, 60_020.0))
    assert window.basis == 10 * E8
    assert window.settlement_price == 60_010 * E8
    assert window.predicted_price == 60_030 * E8


def test_ten_pairs_are_needed_for_a_basis():
    assert with_spot(seconds=9).basis is None
    assert with_spot(seconds=10).basis == 10 * E8


def test_a_new_basis_is_learned_slowly():
    window = with_spot()
    for second in range(T + 120, T + 180):
        window.observe(spot(second, 60_000.0))
        window.observe(settlement(second, 60_030.0))
    assert window.basis is not None
    assert abs(window.basis / E8 - 20.0) < 0.5  # half way after one half-life


def test_an_old_spot_price_is_no_guide():
    window = with_spot()
    window.observe(spot(T + 120, 60_020.0))
    for second in range(T + 120, T + 124):
        window.observe(settlement(second, 60_010.0))
    assert window.lead_ppm is not None
    window.observe(settlement(T + 124, 60_010.0))
    assert window.predicted_price == 60_010 * E8


def test_a_spot_price_far_away_is_not_believed():
    window = with_spot()
    window.observe(spot(T + 120, 61_000.0))
    assert not window.feeds_agree
    assert window.predicted_price == 60_010 * E8


def test_many_spot_ticks_in_a_second_leave_the_last():
    window = with_spot()
    window.observe(spot(T + 119.5, 60_001.0))
    window.observe(spot(T + 119.9, 60_002.0))
    window.observe(settlement(T + 120, 60_012.0))
    assert window.spot_price == 60_002 * E8
    assert window.predicted_price == 60_012 * E8


def test_spot_ticks_out_of_order_are_dropped():
    window = with_spot()
    window.observe(spot(T + 1, 1.0))
    assert window.spot_price == 60_000 * E8


def test_volatility_comes_from_the_settlement_feed():
    assert filled_window(T, seconds=50).sigma is None
    window = filled_window(T)
    assert window.sigma is not None
    assert window.volatility_samples == 271
