"""Many runs in several processes, with their progress; the results are those of one process, in the same order.

What lives here: processes and what they tell on the way. What must not: what a run does (`runs`).

Every process is a fresh interpreter, so that nothing of the caller's state, threads or open files is in it. Ctrl-C
is the caller's to hear: it ends the processes.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_longlong
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Final, TypeAlias, TypeVar

from polystra.backtest.runs import Progress
from polystra.domain.errors import RecordingError

J = TypeVar("J")
R = TypeVar("R")
Work: TypeAlias = Callable[[J, Progress | None], R]
Told: TypeAlias = Callable[[Sequence[int]], None]
"""Takes, for each job, the number of inputs read so far."""
_LOOK_EVERY_S: Final = 0.2

_counts: SynchronizedArray[int] | None = None
"""In a process of the pool: where the progress of every job is told."""


def run_all(work: Work[J, R], jobs: Sequence[J], *, processes: int, told: Told | None = None) -> list[R]:
    """Carry out `work` for each job; the results are in the jobs' order. `work` and the jobs must be importable.

    Raises:
        RecordingError: a file cannot be read, or a process died.
    """
    if processes <= 1 or len(jobs) <= 1:
        return _one_by_one(work, jobs, told)
    context = multiprocessing.get_context("spawn")
    counts = context.Array(c_longlong, len(jobs))
    with ProcessPoolExecutor(
        min(processes, len(jobs)), mp_context=context, initializer=_begin, initargs=(counts,)
    ) as pool:
        waiting: list[Future[R]] = [pool.submit(_do, work, job, place) for place, job in enumerate(jobs)]
        try:
            left = set(waiting)
            while left:
                done, left = wait(left, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
                if told is not None:
                    told(counts[:])
            return [each.result() for each in waiting]
        except BrokenProcessPool as error:
            raise RecordingError(
                "a process of the run died (was it out of memory?); --jobs 1 runs everything in one"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _one_by_one(work: Work[J, R], jobs: Sequence[J], told: Told | None) -> list[R]:
    counts = [0] * len(jobs)
    results: list[R] = []
    for place, job in enumerate(jobs):

        def tell(count: int, place: int = place) -> None:
            counts[place] = count
            if told is not None:
                told(counts)

        results.append(work(job, None if told is None else tell))
    return results


def _begin(counts: SynchronizedArray[int]) -> None:
    global _counts  # noqa: PLW0603 - a process of the pool has one place to tell its progress
    _counts = counts
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _do(work: Work[J, R], job: J, place: int) -> R:
    counts = _counts

    def tell(count: int) -> None:
        if counts is not None:
            counts[place] = count

    return work(job, tell)
