"""A stretch of a recording as a recording of its own: the windows that lie in it whole, and what trading them needs.

What lives here: which inputs belong to a stretch, and how the windows of a recording are cut into stretches. What must
not: what is run on them (`sweeps`).

A market belongs to the stretch that its whole window lies in; one that crosses a cut belongs to none. Of what happened
before, a stretch sees prices of `WARM_UP_S` (volatility is a memory) and whatever was said of its own markets; after
its end it sees two minutes more, until fills are in, and then verdicts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    MarketResolved,
    MarketsListed,
    PriceTicked,
    PublicTrade,
    StreamConnected,
    StreamLost,
    StreamName,
    TickSizeChanged,
    WorldEvent,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos

WARM_UP_S: Final = 600
_AFTER_S: Final = 120


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From one moment to another, UTC seconds."""

    from_s: int
    until_s: int

    def holds(self, market: Market) -> bool:
        """Whether a market's whole window lies inside."""
        return self.from_s <= market.opens_at_s and market.closes_at_s <= self.until_s


class Stretch:
    """Takes a recording's inputs one by one and gives those that belong to a span."""

    def __init__(self, span: Span) -> None:
        self.span: Final = span
        self._begin_ns: Final = (span.from_s - WARM_UP_S) * NS_PER_S
        self._end_ns: Final = (span.until_s + _AFTER_S) * NS_PER_S
        self._streams: dict[StreamName, WorldEvent] = {}
        """The last word of each stream from before the first input that is given."""
        self._tokens: set[TokenId] = set()
        self._markets: set[ConditionId] = set()
        self._begun = False

    def take(self, recorded: Recorded) -> Iterator[Recorded]:
        """What one input of the recording becomes: itself, a part of it, or nothing."""
        now_ns, event = recorded
        kept = self._part(event, now_ns)
        if kept is None:
            return
        if not self._begun:
            self._begun = True
            yield from (Recorded(now_ns, said) for said in self._streams.values())
        yield Recorded(now_ns, kept)

    def _part(self, event: WorldEvent, now_ns: Nanos) -> WorldEvent | None:
        if now_ns > self._end_ns and not isinstance(event, MarketResolved):
            return None
        match event:
            case BookSnapshot() | TickSizeChanged() | PublicTrade():
                return event if event.token_id in self._tokens else None
            case BookChanged():
                own = tuple(change for change in event.changes if change.token_id in self._tokens)
                return None if not own else event if len(own) == len(event.changes) else event._replace(changes=own)
            case PriceTicked():
                return event if now_ns >= self._begin_ns else None
            case MarketsListed():
                return self._listed(event)
            case MarketResolved():
                return event if event.condition_id in self._markets else None
            case StreamConnected() | StreamLost():
                if not self._begun:
                    self._streams[event.stream] = event
                    return None
                return event
            case _:
                return None

    def _listed(self, event: MarketsListed) -> MarketsListed | None:
        own = tuple(market for market in event.markets if self.span.holds(market))
        for market in own:
            self._markets.add(market.condition_id)
            self._tokens.update((market.up_token, market.down_token))
        return replace(event, markets=own) if own else None


def windows_in(inputs: Iterable[Recorded]) -> list[Market]:
    """The markets of a recording that have a confirmed verdict in it, by their close."""
    known: dict[ConditionId, Market] = {}
    ended: set[ConditionId] = set()
    for _, event in inputs:
        if isinstance(event, MarketsListed):
            known.update((market.condition_id, market) for market in event.markets)
        elif isinstance(event, MarketResolved) and event.confirmed:
            ended.add(event.condition_id)
    found = [market for condition_id, market in known.items() if condition_id in ended]
    return sorted(found, key=lambda market: (market.closes_at_s, market.slug))


def cut(markets: Sequence[Market], parts: int) -> list[Span]:
    """Spans with as many closing times each as can be; fewer than `parts` where there are too few of them."""
    closes = sorted({market.closes_at_s for market in markets})
    if not closes:
        return []
    parts = min(parts, len(closes))
    ends = [closes[(number + 1) * len(closes) // parts - 1] for number in range(parts)]
    begins = [min(market.opens_at_s for market in markets), *ends[:-1]]
    return [Span(begin, end) for begin, end in zip(begins, ends, strict=True)]
