"""One backtest from files to figures: which files belong together, one run over them, several runs as one result.

What lives here: what is run as a whole and by itself, so that it may be run in any process. What must not: processes
(`jobs`), the engine's shell (`driver`), how a result is shown (the application).

Files that one recorder wrote, that overlap, or that are less than a quarter of an hour apart are one recording: they
run in one piece, on one account. Recordings further apart run by themselves, each with an account of its own; their
results are added up in the order of time. So it makes no difference in how many processes they ran.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from polystra.backtest.driver import Driver, DriverResult
from polystra.backtest.forecasts import Checkpoints
from polystra.backtest.paths import PathSampler
from polystra.backtest.recordings.blocks import read_head, read_span
from polystra.backtest.recordings.reader import ReadingReport, RecordingReader
from polystra.backtest.recordings.rows import Recorded
from polystra.backtest.tally import Tally
from polystra.backtest.trades import TradeBook
from polystra.domain.errors import RecordingError
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos
from polystra.engine.config import EngineConfig
from polystra.engine.strategy.advisor import Advisor
from polystra.matching.paper_venue import PaperRules

APART_S: Final = 900
"""Recordings that are at least so far apart have nothing to do with each other."""
_TELL_EVERY: Final = 2_048
Progress: TypeAlias = Callable[[int], None]
"""Takes the number of inputs read so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Files that run in one piece. `inputs` is what they say to hold."""

    paths: tuple[Path, ...]
    first_ns: Nanos
    inputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. `paths_kept`: of so many markets the course is kept, 0 for none."""

    unit: Unit
    config: EngineConfig
    rules: PaperRules
    paths_kept: int = 0
    advise: Callable[[], Advisor] | None = None
    """Makes the user's own strategy, once for each run."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What one or several runs came to."""

    reading: ReadingReport
    result: DriverResult
    tally: Tally
    trades: TradeBook
    sampler: PathSampler
    cash: MicroDollars
    recordings: int = 1


def units_of(paths: Iterable[Path]) -> tuple[list[Unit], list[str]]:
    """Sort files into recordings, by time; the second is a sentence for each file that cannot be used.

    Raises:
        RecordingError: none of them can be used.
    """
    notes: list[str] = []
    found: list[tuple[Nanos, Nanos, int, Path, tuple[str, int]]] = []
    for path in dict.fromkeys(paths):
        try:
            head, _ = read_head(path)
            span = read_span(path)
        except RecordingError as error:
            notes.append(str(error))
            continue
        if span is None:
            notes.append(f"{path.name}: holds no whole block; nothing of it can be used")
        else:
            found.append((*span, path, (head.origin, head.created_ns)))
    if not found:
        raise RecordingError("; ".join(notes) or "no recording was named")
    found.sort(key=lambda each: (each[0], str(each[3])))
    return [_unit(group) for group in _together(found)], notes


_Found: TypeAlias = tuple[Nanos, Nanos, int, Path, tuple[str, int]]


def _together(found: Sequence[_Found]) -> Iterator[list[_Found]]:
    """Neighbours in time of one recorder or close to each other."""
    group: list[_Found] = []
    end_ns = 0
    for each in found:
        near = each[0] - end_ns < APART_S * NS_PER_S
        if group and not near and not any(each[4] == other[4] for other in group):
            yield group
            group = []
        group.append(each)
        end_ns = max(end_ns, each[1])
    yield group


def _unit(group: Sequence[_Found]) -> Unit:
    return Unit(paths=tuple(each[3] for each in group), first_ns=group[0][0], inputs=sum(each[2] for each in group))


def run_job(job: Job, progress: Progress | None = None) -> Run:
    """Run one recording.

    Raises:
        RecordingError: a file cannot be read any more.
    """
    reader = RecordingReader(job.unit.paths)
    part = Part(job)
    for recorded in told_while_read(reader, progress):
        part.driver.feed(recorded)
    return part.finish(reader.report)


class Part:
    """A driver with everything that collects what comes of it."""

    def __init__(self, job: Job) -> None:
        weights = job.config.strategy.weights
        self.tally = Tally(Checkpoints(weights))
        self.trades = TradeBook()
        self.sampler = PathSampler(weights, most=job.paths_kept)
        self._samples = job.paths_kept > 0
        advisor = None if job.advise is None else job.advise()
        self.driver = Driver(job.config, job.rules, self._facts, self.tally.checkpoints, self._second, advisor=advisor)

    def _facts(self, facts: Sequence[Fact], now_ns: Nanos) -> None:
        self.tally.take(facts, now_ns)
        self.trades.take(facts, now_ns, self.driver.quote)
        if self._samples:
            self.sampler.take(facts)

    def _second(self, now_ns: Nanos) -> None:
        self.trades.mark(now_ns, self.driver.quote)
        if self._samples:
            self.sampler.sample(now_ns, self.driver.quote, self.driver.opinion)

    def finish(self, reading: ReadingReport) -> Run:
        """End the run."""
        result = self.driver.finish()
        return Run(
            reading=reading,
            result=result,
            tally=self.tally,
            trades=self.trades,
            sampler=self.sampler,
            cash=self.driver.venue.cash,
        )


def told_while_read(reader: Iterable[Recorded], progress: Progress | None) -> Iterator[Recorded]:
    """The same inputs, with their number told now and then."""
    if progress is None:
        yield from reader
        return
    number = 0
    for number, recorded in enumerate(reader, start=1):
        if number % _TELL_EVERY == 0:
            progress(number)
        yield recorded
    progress(number)


def added_up(runs: Sequence[Run], notes: Sequence[str]) -> Run:
    """Several runs, in the order of time, as one result; `notes` are of files that none of them could use.

    Cash is the sum of their accounts. The digest of several is a digest of theirs.
    """
    first, rest = runs[0], runs[1:]
    reading = first.reading
    reading.notes[:0] = notes
    if not rest:
        return first
    for run in rest:
        first.tally.absorb(run.tally)
        first.trades.absorb(run.trades)
        first.sampler.absorb(run.sampler)
        reading.files += run.reading.files
        reading.inputs += run.reading.inputs
        reading.left_out += run.reading.left_out
        reading.last_ns = run.reading.last_ns
        reading.notes += run.reading.notes
    results = [run.result for run in runs]
    digest = hashlib.sha256("".join(each.digest for each in results).encode()).hexdigest()
    first.result = DriverResult(
        inputs=sum(each.inputs for each in results),
        left_out=sum(each.left_out for each in results),
        facts=sum(each.facts for each in results),
        digest=digest,
        left_open=tuple(left for each in results for left in each.left_open),
    )
    first.cash = sum(run.cash for run in runs)
    first.recordings = len(runs)
    return first
