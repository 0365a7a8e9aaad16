from polystra.backtest.calibration.splits import split_by_time, walk_forward

from .made_looks import made


def test_the_last_windows_are_tested_and_no_window_is_on_both_sides():
    looks = made(100, edge=0.0)
    train, test = split_by_time(looks, 0.3)
    assert len({look.window for look in train}) == 70
    assert len({look.window for look in test}) == 30
    assert max(look.block for look in train) <= min(look.block - look.window_s for look in test)
    assert not {look.window for look in train} & {look.window for look in test}


def test_windows_that_run_into_the_test_are_purged():
    """Windows of 15 minutes that begin every five: the two that overlap the first tested one are in neither part."""
    looks = made(100, edge=0.0, window_s=900)
    train, test = split_by_time(looks, 0.3)
    assert len({look.window for look in train}) == 68
    assert max(look.block for look in train) <= min(look.block - 900 for look in test)


def test_without_a_test_everything_is_fitted_on():
    looks = made(10, edge=0.0)
    assert split_by_time(looks, 0.0) == (looks, [])


def test_walking_forward_each_window_is_tested_at_most_once_and_only_by_earlier_ones():
    looks = made(90, edge=0.0, window_s=900)
    tested: list[str] = []
    for train, test in walk_forward(looks, 5):
        assert max(look.block for look in train) <= min(look.block - look.window_s for look in test)
        tested += sorted({look.window for look in test})
    assert len(tested) == len(set(tested)) == 60


def test_too_few_windows_give_no_split():
    assert list(walk_forward(made(2, edge=0.0), 5)) == []
