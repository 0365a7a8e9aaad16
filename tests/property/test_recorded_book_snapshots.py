"""A recorded snapshot is what the changes of its levels one by one come to, whatever we took and rest on meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polystra.matching.book import DOWN, ONE, UP, Side
from polystra.matching.recorded_book import RecordedBook

CENT = 10_000
SIDES: tuple[Side, ...] = ("BUY", "SELL")
sizes = st.integers(1, 9)
sides = st.dictionaries(st.integers(1, 99), sizes, max_size=5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), st.sampled_from((UP, DOWN)), sides, sides),
        st.tuples(st.just("take"), st.sampled_from((UP, DOWN)), st.sampled_from(SIDES), st.integers(1, 99), sizes),
        st.tuples(st.just("rest"), st.sampled_from((UP, DOWN)), st.sampled_from(SIDES), st.integers(1, 99), sizes),
        st.tuples(st.just("traded"), st.sampled_from((UP, DOWN)), st.sampled_from(SIDES), st.integers(1, 99), sizes),
        st.tuples(st.just("look")),
    ),
    max_size=12,
)


class ByChanges:
    """The same book, told of every snapshot level by level."""

    def __init__(self) -> None:
        self.book = RecordedBook()
        self._shown: dict[tuple[bool, int], int] = {}

    def snapshot(self, outcome: int, bids: dict[int, int], asks: dict[int, int], now_ns: int) -> None:
        told: dict[tuple[bool, int], int] = {}
        for of_bids, levels in ((True, bids), (False, asks)):
            for price, size in levels.items():
                up = price if outcome == UP else 100 - price
                told[of_bids == (outcome == UP), up] = size
        for bid, up in {**self._shown, **told}:
            self.book.change(UP, "BUY" if bid else "SELL", up * CENT, told.get((bid, up), 0), now_ns)
        self._shown = told


def levels(side: dict[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((price * CENT, size) for price, size in side.items())


@given(steps)
def test_a_snapshot_is_the_changes_that_lead_to_it(told):
    lazy, by_changes = RecordedBook(), ByChanges()
    lazy.seen = by_changes.book.seen = True
    for number, step in enumerate(told):
        now_ns = number * 300_000_000
        done: list[object] = []
        for book in (lazy, by_changes.book):
            match step:
                case ("snapshot", outcome, bids, asks):
                    if book is lazy:
                        book.snapshot(outcome, levels(bids), levels(asks), now_ns)
                    else:
                        by_changes.snapshot(outcome, bids, asks, now_ns)
                    done.append(book.crossed())
                case ("take", outcome, side, limit, size):
                    plan = book.plan(outcome, side, limit * CENT, size=size)
                    book.take(outcome, side, plan)
                    done.append((plan, book.would_take(outcome, side, limit * CENT)))
                case ("rest", outcome, side, price, size):
                    book.rest(f"o{number}", outcome, side, price * CENT, size)
                    done.append(book._resting[f"o{number}"].ahead)
                case ("traded", outcome, side, price, size):
                    done.append(book.traded(outcome, side, price * CENT, size, now_ns))
                case _:
                    done.append([book.levels(UP, side) for side in SIDES])
        assert done[0] == done[1]
    assert [lazy.levels(DOWN, side) for side in SIDES] == [by_changes.book.levels(DOWN, side) for side in SIDES]
    assert list(lazy._resting.values()) == list(by_changes.book._resting.values())
    assert lazy._taken == by_changes.book._taken
    assert all(0 < price < ONE for side in SIDES for price, _ in lazy.levels(UP, side))
