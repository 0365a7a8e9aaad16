"""A check: what was looked at, the verdict, the evidence and the remedy; and how checks are shown.

What lives here: the record, its verdicts, the runner that no failing check stops, the table and the JSON.
What must not: any particular check (`doctor_local`, `doctor_venue`, `livetest`).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final

import typer
from rich.text import Text

from polystra.app.logs import Redaction
from polystra.app.screen import grid, screen
from polystra.domain.errors import PolystraError
from polystra.ports.clock import Clock

CHECK_DEADLINE_S: Final = 15.0


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """To be mended, and no reason not to trade."""
    FAIL = "fail"
    """A hard check: live does not start."""
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line. `latency_ms` is how long the thing itself took, where that is of interest.

    `entries_only` marks a failure that concerns new positions alone: a daemon that holds positions may
    still start, to work their exits.
    """

    name: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
    latency_ms: int | None = None
    entries_only: bool = False


def passed(name: str, evidence: str, *, latency_ms: int | None = None) -> Check:
    """All is well."""
    return Check(name=name, verdict=Verdict.OK, evidence=evidence, latency_ms=latency_ms)


def warned(name: str, evidence: str, remedy: str) -> Check:
    """Something to mend."""
    return Check(name=name, verdict=Verdict.WARN, evidence=evidence, remedy=remedy)


def failed(
    name: str, evidence: str, remedy: str, *, entries_only: bool = False, latency_ms: int | None = None
) -> Check:
    """A hard check failed."""
    return Check(
        name=name,
        verdict=Verdict.FAIL,
        evidence=evidence,
        remedy=remedy,
        entries_only=entries_only,
        latency_ms=latency_ms,
    )


def unchecked(name: str, why: str) -> Check:
    """Nothing can be said, and why."""
    return Check(name=name, verdict=Verdict.NOT_CHECKED, evidence=why)


def run_local(name: str, remedy: str, look: Callable[[], Check]) -> Check:
    """Carry out a check that needs no network; an error of ours is its failure."""
    try:
        return look()
    except (PolystraError, OSError) as error:
        return failed(name, str(error), remedy)


async def run_one(
    name: str,
    remedy: str,
    look: Callable[[], Awaitable[Check]],
    clock: Clock,
    *,
    soft: bool = False,
    entries_only: bool = False,
) -> Check:
    """Carry out a check within `CHECK_DEADLINE_S`; an error of ours is its failure, or a warning if `soft`."""
    try:
        async with clock.timeout(CHECK_DEADLINE_S):
            return await look()
    except PolystraError as error:
        evidence = str(error)
    except TimeoutError:
        evidence = f"no answer within {CHECK_DEADLINE_S:g} s"
    return warned(name, evidence, remedy) if soft else failed(name, evidence, remedy, entries_only=entries_only)


def redacted(checks: Iterable[Check], secrets: Iterable[str]) -> tuple[Check, ...]:
    """The checks without any of the secrets, on one line each."""
    redaction = Redaction(secret for secret in secrets if secret)

    def clean(words: str) -> str:
        return redaction.text(" ".join(words.split()))

    return tuple(replace(check, evidence=clean(check.evidence), remedy=clean(check.remedy)) for check in checks)


_COLOURS: Final = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.NOT_CHECKED: "dim"}


def show(title: str, checks: Iterable[Check], *, as_json: bool) -> None:
    """Print the checks, as a table or as one JSON object with `ok` and `checks`."""
    listed = list(checks)
    if as_json:
        body = {"ok": not any_failed(listed), "checks": [asdict(check) for check in listed]}
        typer.echo(json.dumps(body, indent=2))
        return
    has_latency = any(check.latency_ms is not None for check in listed)
    table = grid(
        title, words=("check", "verdict", "evidence", "remedy"), figures=("ms",) if has_latency else (), rows=()
    )
    for check in listed:
        cells = [
            Text(check.name),
            Text(check.verdict.value, style=_COLOURS[check.verdict]),
            Text(check.evidence),
            Text(check.remedy),
        ]
        if has_latency:
            cells.append(Text("" if check.latency_ms is None else str(check.latency_ms)))
        table.add_row(*cells)
    screen().print(table)


def any_failed(checks: Iterable[Check]) -> bool:
    """True when a hard check failed."""
    return any(check.verdict is Verdict.FAIL for check in checks)
