from __future__ import annotations

import asyncio

import pytest

from polystra.domain.errors import InvariantViolation, StoreCorrupt
from polystra.runtime.supervisor import supervise


async def forever(ended: list[str] | None = None, name: str = "") -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        if ended is not None:
            ended.append(name)


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def fail(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def test_the_main_tasks_return_ends_the_run_and_the_others():
    ended: list[str] = []
    result = await supervise(answer(7), {"a": forever(ended, "a"), "b": forever(ended, "b")})
    assert result == 7
    assert sorted(ended) == ["a", "b"]


async def test_an_eternal_task_that_returns_is_a_bug():
    async def returns() -> None:
        await asyncio.sleep(0)

    with pytest.raises(InvariantViolation, match="timers"):
        await supervise(forever(), {"timers": returns()})


async def test_a_bug_propagates_unwrapped_and_ends_the_others():
    ended: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await supervise(forever(), {"a": fail(ZeroDivisionError("bug")), "b": forever(ended, "b")})
    assert ended == ["b"]


async def test_an_error_of_the_main_task_propagates():
    async def main() -> int:
        raise StoreCorrupt("the database belongs to another account")

    with pytest.raises(StoreCorrupt, match="another account"):
        await supervise(main(), {"a": forever()})


async def test_several_errors_stay_together():
    with pytest.raises(BaseExceptionGroup) as caught:
        await supervise(forever(), {"a": fail(ValueError("one")), "b": fail(KeyError("two"))})
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


async def test_cancelling_the_run_cancels_every_task():
    ended: list[str] = []
    task = asyncio.get_running_loop().create_task(supervise(forever(ended, "main"), {"a": forever(ended, "a")}))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "main"]
