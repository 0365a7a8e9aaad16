from __future__ import annotations

import random
from typing import Final

from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.orders import Purpose, SignedOrder
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.ports.rate import Traffic
from polystra.runtime.send_queue import BATCH_LIMIT, STALE, WITHDRAWN, SendQueue
from tests.fakes.clock import ManualClock
from tests.fakes.venue import OpenBudget

NOW: Final = 1_800_000_000 * NS_PER_S


def submit(n: int, purpose: Purpose = Purpose.ENTRY, *, rank: int = 0, deadline_ns: int = 0) -> fx.SubmitOrder:
    signed = SignedOrder(
        client_order_id=ClientOrderId(f"o{n}"),
        order_id=OrderId(f"0x{n}"),
        body=b"",
        salt=n,
        timestamp_ms=n,
        quantity=1,
    )
    return fx.SubmitOrder(signed=signed, purpose=purpose, rank=rank, deadline_ns=deadline_ns)


def cancel(n: int) -> fx.CancelOrder:
    return fx.CancelOrder(order_id=OrderId(f"0x{n}"))


def ids(effects: object) -> list[str]:
    return [effect.signed.order_id for effect in effects]  # type: ignore[attr-defined]


def test_the_best_entries_leave_first_and_the_rest_when_there_is_room() -> None:
    budget = OpenBudget(free=2)
    queue = SendQueue(budget)
    queue.add([submit(1, rank=5), submit(2, rank=9), submit(3, rank=7)], [])
    assert ids(queue.next_entries()) == ["0x2", "0x3"]
    assert ids(queue.next_entries()) == []
    assert queue.wait_s(Traffic.ENTRY, NOW) == 1.0
    budget.free = 5
    assert ids(queue.next_entries()) == ["0x1"]
    assert len(queue) == 0


def test_a_later_better_entry_overtakes_and_commits_do_not_mix() -> None:
    budget = OpenBudget(free=0)
    queue = SendQueue(budget)
    queue.add([submit(1, rank=5), submit(2, rank=4)], [])
    queue.add([submit(3, rank=9), submit(4, rank=1)], [])
    budget.free = 3
    assert ids(queue.next_entries()) == ["0x3"]  # of the best three, those of its own commit
    assert ids(queue.next_entries()) == ["0x1", "0x2"]
    budget.free = 10
    assert ids(queue.next_entries()) == ["0x4"]


def test_the_same_rank_is_first_come_first_served() -> None:
    queue = SendQueue(OpenBudget())
    for n in range(4):
        queue.add([submit(n)], [])
    assert [ids(queue.next_entries()) for _ in range(4)] == [["0x0"], ["0x1"], ["0x2"], ["0x3"]]


def test_a_request_carries_at_most_fifteen() -> None:
    queue = SendQueue(OpenBudget())
    queue.add([submit(n, Purpose.STOP_LOSS) for n in range(2 * BATCH_LIMIT + 1)], [])
    assert [len(queue.next_exits()) for _ in range(4)] == [15, 15, 1, 0]


def test_a_stale_entry_is_dropped_with_a_reason_and_not_before() -> None:
    queue = SendQueue(OpenBudget(free=0))
    queue.add([submit(1, deadline_ns=NOW + 100), submit(2)], [])
    assert queue.drop_stale(NOW + 99) == []
    assert queue.wait_s(Traffic.ENTRY, NOW) == 100 / 1e9
    (dropped,) = queue.drop_stale(NOW + 100)
    assert (dropped.order_id, dropped.code) == ("0x1", STALE)
    assert "the signal became stale" in dropped.message
    assert len(queue) == 1


def test_a_cancel_takes_back_what_has_not_left_and_leaves_all_the_same() -> None:
    queue = SendQueue(OpenBudget(free=1))
    queue.add([submit(1), submit(2)], [])
    (withdrawn,) = queue.add([], [cancel(1)])
    assert (withdrawn.order_id, withdrawn.code) == ("0x1", WITHDRAWN)
    assert queue.next_cancels() == ["0x1"]
    assert len(queue) == 1


def test_cancels_of_a_commit_travel_together_as_far_as_there_is_room() -> None:
    budget = OpenBudget(free=2)
    queue = SendQueue(budget)
    queue.add([], [cancel(n) for n in range(3)])
    queue.add([], [cancel(9)])
    assert queue.next_cancels() == ["0x0", "0x1"]
    assert queue.next_cancels() == []
    assert queue.wait_s(Traffic.CANCEL, NOW) == 1.0
    budget.free = 5
    assert queue.next_cancels() == ["0x2"]
    assert queue.next_cancels() == ["0x9"]
    assert queue.wait_s(Traffic.CANCEL, NOW) is None


def test_an_exit_leaves_while_entries_wait_for_the_budget() -> None:
    budget = VenueBudget(ManualClock())
    queue = SendQueue(budget)
    queue.add([submit(n, rank=random.Random(n).randrange(1_000)) for n in range(200)], [])
    left = 0
    while batch := queue.next_entries():
        left += len(batch)
    assert left == 33
    queue.add([submit(1_000 + n, Purpose.STOP_LOSS) for n in range(15)], [])
    assert len(queue.next_exits()) == 15
