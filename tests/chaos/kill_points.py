"""Where a daemon can die: around each commit, and around each request that changes an order.

What lives here: finding these points in an instrumented run, and dying at a chosen one. What must not: how to
die (the caller says: an exception, or SIGKILL), the stories that are told.

Points are found by running, not listed. A commit has two: before it is made and when it is durable. A request
has three: before its bytes leave, when they are under way, and when the answer is there but not yet taken. They
sit in the seams that the composition root offers (`Run.store`, `Run.session`): the code that trades knows nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp

from polystra.domain.facts import Fact, IntentRecorded, OrderChanged, PostingRecorded
from polystra.domain.orders import Order
from polystra.ports.store import Store, StoredState

BEFORE, AFTER = "before", "after"
SENT, ANSWERED = "sent", "answered"
_UNDER_WAY_S = 0.000_1
_ORDERS = ("/order", "/orders", "/cancel-all", "/cancel-market-orders")


@dataclass(frozen=True, slots=True)
class Point:
    """The `nth` passage of a place: a commit of certain facts or a request, and the moment there."""

    place: str
    nth: int
    moment: str

    def __str__(self) -> str:
        return f"{self.moment} {self.place} #{self.nth}"


class Points:
    """Sees every point; at `doom` it calls `die`. One object may serve several runs: only the first sees doom."""

    def __init__(
        self,
        die: Callable[[], None],
        doom: Point | None = None,
        *,
        strike: Callable[[], None] | None = None,
        durable: Callable[[Sequence[Fact]], None] = lambda _: None,
    ) -> None:
        """`die` is called inside the daemon's own code and does not return; `strike` from outside it.

        `durable` hears of each commit as soon as it is made, also when nobody lives to hear of it.
        """
        self.seen: list[Point] = []
        self.struck = False
        self._die = die
        self._strike = strike or die
        self._doom = doom
        self.durable = durable
        self._passages: Counter[str] = Counter()

    def store(self, inner: Store) -> Store:
        """Fulfils `Run.store`."""
        return _Store(inner, self)

    def session(self, make: Callable[[], aiohttp.ClientSession]) -> Callable[[], aiohttp.ClientSession]:
        """Sessions as `make` makes them, seen through."""

        def seen() -> aiohttp.ClientSession:
            session = make()
            session.trace_configs.append(self._trace())
            return session

        return seen

    def passes(self, place: str) -> tuple[str, int]:
        """A place is reached: which passage is it?"""
        self._passages[place] += 1
        return place, self._passages[place]

    def at(self, moment: str, *passages: tuple[str, int]) -> None:
        """A point is reached from inside the daemon; it is known by the first of its names and dies by any."""
        if self._is_doom(moment, passages):
            self._die()

    def _is_doom(self, moment: str, passages: Sequence[tuple[str, int]]) -> bool:
        here = [Point(place, nth, moment) for place, nth in passages]
        self.seen.append(here[0])
        if self.struck or self._doom not in here:
            return False
        self.struck = True
        return True

    def _trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._begins)
        trace.on_request_chunk_sent.append(self._leaves)
        trace.on_request_end.append(self._answered)
        trace.freeze()
        return trace

    async def _begins(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestStartParams
    ) -> None:
        del session
        context.place = None
        if told.method in ("POST", "DELETE") and told.url.path in _ORDERS:
            context.place = self.passes(f"{told.method} {told.url.path}")
            context.left = False
            self.at(BEFORE, context.place)

    async def _leaves(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        """The bytes are written after this call: the end comes from outside, while they travel."""
        del session, told
        if context.place is not None and not context.left:
            context.left = True
            if self._is_doom(SENT, [context.place]):
                asyncio.get_running_loop().call_later(_UNDER_WAY_S, self._strike)

    async def _answered(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestEndParams
    ) -> None:
        del session, told
        if context.place is not None:
            self.at(ANSWERED, context.place)


class _Store:
    """Fulfils `Store`."""

    def __init__(self, inner: Store, points: Points) -> None:
        self._inner = inner
        self._points = points

    async def commit(self, facts: Sequence[Fact]) -> None:
        """Make facts durable; die before or after, if that is the plan."""
        passages = [self._points.passes(f"commit {word}") for word in words(facts)]
        self._points.at(BEFORE, *passages)
        await self._inner.commit(facts)
        self._points.durable(facts)
        self._points.at(AFTER, *passages)

    async def load(self) -> StoredState:
        """Read the state of the last run."""
        return await self._inner.load()

    async def prune(self, now_ns: int, keep_ns: int) -> int:
        """Drop what is old."""
        return await self._inner.prune(now_ns, keep_ns)

    async def close(self) -> None:
        """Release."""
        await self._inner.close()


def words(facts: Sequence[Fact]) -> list[str]:
    """What a commit holds, the weightiest first, in words that are the same in every run.

    Facts that fall into one commit here may fall into two there: so each of them names it.
    """
    return sorted({_word(fact) for fact in facts}, key=lambda word: (_rank(word), word))


def is_quiet(point: Point) -> bool:
    """A commit that moves no order, share or dollar."""
    return point.place in {f"commit {word}" for word in _QUIET}


def is_weighty(point: Point) -> bool:
    """Bytes under way, and what was made durable and not yet acted upon."""
    if point.place.startswith("commit"):
        return point.moment == AFTER and any(word in point.place for word in _WEIGHTY)
    return point.moment == SENT


_WEIGHTY = ("intent:", "PENDING_CANCEL", "RESOLVED", "REDEEMED")
_QUIET = ("Market", "Decision", "Notice", "BalanceObserved", "ReconcileCompleted")


def _rank(word: str) -> int:
    ranks = (word.startswith("intent:"), ":" in word, word not in _QUIET)
    return next((place for place, holds in enumerate(ranks) if holds), len(ranks))


def _word(fact: Fact) -> str:
    match fact:
        case OrderChanged():
            return f"{_rule(fact.order)}:{fact.order.status}"
        case IntentRecorded():
            return f"intent:{_rule(fact.order)}"
        case PostingRecorded():
            return f"posting:{fact.posting.kind}"
        case _:
            return type(fact).__name__.removesuffix("Recorded")


def _rule(order: Order) -> str:
    return order.terms.rule or order.terms.purpose.lower()
