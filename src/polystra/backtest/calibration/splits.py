"""Which windows are fitted on and which are tested on: always the earlier and the later ones, never both.

What lives here: splits of looks by time. What must not: fits, scores.

Windows that close at the same time stay together (they share most of what moves them). A window is fitted on only
when its outcome was known before the first tested window opened: longer windows that run into the test are purged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polystra.backtest.calibration.looks import Look


def split_by_time(looks: Sequence[Look], test_share: float) -> tuple[list[Look], list[Look]]:
    """Return the looks to fit on and those to test on: the last `test_share` of the closing times."""
    blocks = sorted({look.block for look in looks})
    kept = len(blocks) - round(len(blocks) * test_share)
    return _split(looks, set(blocks[kept:]))


def walk_forward(looks: Sequence[Look], folds: int) -> Iterator[tuple[list[Look], list[Look]]]:
    """Yield pairs of looks: those before a stretch of time, and that stretch; the first third is only fitted on."""
    blocks = sorted({look.block for look in looks})
    first = len(blocks) // 3
    for fold in range(folds):
        begin, end = (first + (len(blocks) - first) * place // folds for place in (fold, fold + 1))
        if first and begin < end:
            tested = set(blocks[begin:end])
            before = [look for look in looks if look.block <= blocks[end - 1]]
            yield _split(before, tested)


def _split(looks: Sequence[Look], tested: set[int]) -> tuple[list[Look], list[Look]]:
    test = [look for look in looks if look.block in tested]
    if not test:
        return list(looks), []
    opens_s = min(look.block - look.window_s for look in test)
    return [look for look in looks if look.block not in tested and look.block <= opens_s], test
