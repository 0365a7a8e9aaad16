"""Probes: is the process alive, may it trade; for containers, balancers and monitors, without a token.

What lives here: the questions of `/livez` and `/readyz` and of `GET /api/v1/health`. What must not: anything that
restarts the daemon; a venue that is away makes it unready, and a restart would help nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from polystra.app.health import HealthVerdict, judge
from polystra.app.web.route import Ask
from polystra.app.web.site import Site
from polystra.domain.units import NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.ports.viewing import View

COMMIT_LIMIT_S = 15.0
"""A commit that takes longer has nothing to do with the disk's speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The answer of a probe; `problems` is empty when all is well."""

    ok: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Somebody is there."""

    status: str
    version: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer(HealthVerdict):
    """As `polystra health --json`, and whether the daemon is ready to trade; `unready` says why not."""

    ready: bool
    unready: tuple[str, ...]


async def ping(site: Site, _ask: Ask) -> Ping:
    """Answer without looking at anything."""
    return Ping(status="pong", version=site.version, mode=site.mode)


async def health(site: Site, _ask: Ask) -> HealthAnswer:
    """The verdict on loop and streams, and on readiness."""
    verdict = verdict_now(site)
    unready = readiness(site)
    told = {name: getattr(verdict, name) for name in HealthVerdict.__dataclass_fields__}
    return HealthAnswer(**told, ready=not unready, unready=unready)


def verdict_now(site: Site) -> HealthVerdict:
    """What `polystra health` says, from the last look."""
    view = site.board.view
    return judge(None if view is None else view.health, site.real.now_ns())


def liveness(site: Site) -> Probe:
    """Whether the engine's loop works; not what the streams and the venue do."""
    view = site.board.view
    if view is None:
        return Probe(ok=True, problems=())  # it is starting: reading its database and the venue's clock
    verdict = verdict_now(site)
    problems = tuple(problem for problem in verdict.problems if problem.startswith("the loop"))
    return Probe(ok=not problems, problems=problems)


def readiness(site: Site) -> tuple[str, ...]:
    """Why the daemon is not ready to trade; empty when it is."""
    view = site.board.view
    if view is None:
        return ("the daemon is starting",)
    problems = list(verdict_now(site).problems)
    if not view.reconciled_at_ns:
        problems.append("our books were not compared with the venue's yet")
    problems += _own(view, site.speed)
    if site.settings.enable_venue_heartbeat and site.board.heart_trouble:
        problems.append(f"heartbeat: {site.board.heart_trouble}")
    return tuple(problems)


def _own(view: View, speed: float) -> list[str]:
    problems = []
    committing_s = view.commit_age_ns / speed / NS_PER_S  # of the machine's time, as the limit
    if view.venue_mode is not VenueMode.NORMAL:
        problems.append(f"the venue {view.venue_mode.words}")
    if committing_s > COMMIT_LIMIT_S:
        problems.append(f"the database has taken no commit for {committing_s:.0f} s")
    if view.stopping:
        problems.append("the daemon is stopping")
    return problems
