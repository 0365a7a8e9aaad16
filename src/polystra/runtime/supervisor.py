"""The supervisor: one TaskGroup of named, eternal tasks.

A task that returns or fails by a bug takes the process down, and the container restarts it
into reconciliation; a connection that breaks is restarted by its own adapter and never
gets here. The one task that may return is the engine's loop: its return ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from polystra.domain.errors import InvariantViolation

T = TypeVar("T")


class _Finished(Exception):
    """Ends the group when the main task has returned."""


async def supervise(main: Coroutine[Any, Any, T], eternal: Mapping[str, Coroutine[Any, Any, None]]) -> T:
    """Run `main` beside eternal tasks; return its result after they were cancelled.

    Raises:
        InvariantViolation: an eternal task returned.
        Exception: whatever a task failed with, unwrapped when it is the only one.
    """
    result: list[T] = []

    async def lead() -> None:
        result.append(await main)
        raise _Finished

    async def follow(name: str, task: Coroutine[Any, Any, None]) -> None:
        await task
        raise InvariantViolation(f"task {name} returned; it must run for ever")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(lead(), name="engine")
            for name, task in eternal.items():
                group.create_task(follow(name, task), name=name)
    except BaseExceptionGroup as errors:
        _finished, rest = errors.split(_Finished)
        if rest is not None:
            raise _single(rest) from errors
    return result[0]


def _single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
