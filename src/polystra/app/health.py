"""`polystra health`: is the daemon alive, and does it see the market? For a container's health check.

What lives here: limits, verdict, words; and `polystra-health`, the same without the rest of the program, because
a probe that runs twice a minute should cost little. What must not: the database, the venue: nothing is opened or
asked, a file is read.

Unhealthy: no daemon runs, its loop has stood still (a hang, a database that takes no commits), or a stream that
entries need is away or silent. It is a verdict for people and dashboards: a venue that is down for its weekly
restart makes a daemon unhealthy, and restarting it would help nobody.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Final

import typer

from polystra.adapters.clock import SystemClock
from polystra.adapters.health_file import HealthFile
from polystra.app.failures import EXIT_FAILED, settings_from_here
from polystra.app.settings import Settings
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.health import HealthReading, StreamHealth

LOOP_LIMIT_S: Final = 15.0
"""The loop proves itself about once a second; a commit that waits for a busy database may take a few."""
STREAM_LIMIT_S: Final = 60.0
"""A broken stream tries again after at most 30 s, and a silent one is given up after 30 s."""
NEEDED: Final = ("market", "user", "price")
"""The streams without which no entry is made; the others are shown."""
OFTEN_QUIET: Final = ("user",)
"""Streams that say nothing while nothing happens: being connected is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamVerdict:
    """One stream. `quiet_s` counts from its last word, or from the start."""

    name: str
    connected: bool
    quiet_s: float
    needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthVerdict:
    """What is shown. `problems` is empty when all is well; ages are real seconds."""

    ok: bool
    problems: tuple[str, ...]
    loop_age_s: float | None
    running_s: float | None
    process: int | None
    streams: tuple[StreamVerdict, ...]


def judge(
    reading: HealthReading | None,
    now_ns: Nanos,
    *,
    loop_limit_s: float = LOOP_LIMIT_S,
    stream_limit_s: float = STREAM_LIMIT_S,
) -> HealthVerdict:
    """The verdict at `now_ns` on what the daemon last told."""
    if reading is None:
        problem = "no daemon runs on this data folder in this mode"
        return HealthVerdict(ok=False, problems=(problem,), loop_age_s=None, running_s=None, process=None, streams=())
    since_ns = max(0, now_ns - reading.at_ns)
    loop_age_s = (since_ns + reading.loop_quiet_ns) / NS_PER_S
    problems: list[str] = []
    if loop_age_s > loop_limit_s:
        problems.append(f"the loop has stood still for {loop_age_s:.0f} s (limit {loop_limit_s:g} s)")
    streams = tuple(_stream(stream, since_ns) for stream in reading.streams)
    for name in NEEDED:
        found = next((stream for stream in streams if stream.name == name), None)
        problem = "is not watched" if found is None else _stream_problem(found, stream_limit_s)
        if problem:
            problems.append(f"the {name} stream {problem}")
    return HealthVerdict(
        ok=not problems,
        problems=tuple(problems),
        loop_age_s=round(loop_age_s, 3),
        running_s=round(max(0, now_ns - reading.started_at_ns) / NS_PER_S, 3),
        process=reading.process,
        streams=streams,
    )


def show_health(settings: Settings, *, loop_limit_s: float, stream_limit_s: float, as_json: bool) -> bool:
    """Read, judge and print; returns whether the daemon is healthy."""
    file = HealthFile(settings.data_dir, settings.mode.value)
    try:
        reading = file.read()
    except (OSError, ValueError) as error:
        verdict = HealthVerdict(
            ok=False, problems=(f"{error}",), loop_age_s=None, running_s=None, process=None, streams=()
        )
    else:
        now_ns = SystemClock().now_ns()
        verdict = judge(reading, now_ns, loop_limit_s=loop_limit_s, stream_limit_s=stream_limit_s)
    typer.echo(json.dumps(asdict(verdict), indent=2) if as_json else words_of(verdict))
    return verdict.ok


def words_of(verdict: HealthVerdict) -> str:
    """One line."""
    if verdict.problems:
        return f"unhealthy: {'; '.join(verdict.problems)}"
    streams = ", ".join(
        f"{stream.name} {stream.quiet_s:.0f} s{'' if stream.connected else ' (away)'}" for stream in verdict.streams
    )
    return f"healthy: loop {verdict.loop_age_s or 0:.0f} s; streams {streams}"


def main() -> None:
    """`polystra-health`: the verdict by the limits above, as one line and an exit code of 0 or 1."""
    try:
        settings = settings_from_here(local=True)
        ok = show_health(settings, loop_limit_s=LOOP_LIMIT_S, stream_limit_s=STREAM_LIMIT_S, as_json=False)
    except typer.Exit:
        ok = False
    sys.exit(0 if ok else EXIT_FAILED)


def _stream(stream: StreamHealth, since_ns: Nanos) -> StreamVerdict:
    return StreamVerdict(
        name=stream.name,
        connected=stream.connected,
        quiet_s=round((since_ns + stream.quiet_ns) / NS_PER_S, 3),
        needed=stream.name in NEEDED,
    )


def _stream_problem(stream: StreamVerdict, limit_s: float) -> str:
    if stream.quiet_s <= limit_s:
        return ""
    if not stream.connected:
        return f"has been away for {stream.quiet_s:.0f} s (limit {limit_s:g} s)"
    return "" if stream.name in OFTEN_QUIET else f"has been silent for {stream.quiet_s:.0f} s (limit {limit_s:g} s)"


if __name__ == "__main__":
    main()
