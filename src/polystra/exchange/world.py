"""The built-in exchange's listings: a new market per coin and window, from listing to resolution.

What lives here: when markets are listed, opened, stopped and resolved, the identifiers derived
from their slugs, and the text of their rule. What must not: matching and accounts (`core`),
quotes (`makers`), the wire (`gamma`).

Rule: Up wins when the 60-second average of the settlement feed at the end is at or above the one
at the start (a tie is Up). Trading stops at the end; the resolution follows a few seconds later,
but waits while the feed is silent for longer than OUTAGE_LIMIT_S, and a hole of that length
inside the averaged minute costs REVIEW_S more.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, NS_PER_S, Nanos, PriceE8
from polystra.exchange.agenda import Agenda
from polystra.exchange.assets import Asset
from polystra.exchange.core import ExchangeCore, MarketSpec
from polystra.exchange.market_terms import MarketTerms, condition_id_of, terms_for, token_id_of
from polystra.exchange.prices import AVERAGE_S, PricePath
from polystra.exchange.resolution_rules import RULES, ResolutionRule
from polystra.exchange.schedule import close_of, next_open, slug_of, title_of

LISTING_LEAD_S: Final = 600
OUTAGE_LIMIT_S: Final = 45
REVIEW_S: Final = 60
METADATA_DELAY_S: Final = 70
"""Gamma shows price to beat and final price only this long after the end (Polymarket docs: 1-2 minutes)."""

REBATE_PERCENT: Final = 20
"""Share of taker fees that the venue pays back to makers; shown, not paid here."""

KEPT_CLOSED: Final = 400
_RETRY_S: Final = 5
_FIRST_GAMMA_ID: Final = 1_000_000


@dataclass(slots=True)
class WorldMarket:
    """A listed market; averages are 10^-8 dollars and None until known.

    The averages are what its rule compares: for other rules than averages single prices. `verdict` is
    the payout of Up (millionths) that the operator imposes, `disputed` that the first one was reversed.
    """

    spec: MarketSpec
    asset: Asset
    gamma_id: int
    start_average: PriceE8 | None = None
    end_average: PriceE8 | None = None
    resolved_at_ns: Nanos | None = None
    needs_review: bool = False
    verdict: int | None = None
    disputed: bool = False
    postponed_until_ns: Nanos = 0

    @property
    def rule(self) -> ResolutionRule:
        """What the market resolves on."""
        return RULES[self.spec.rule]

    @property
    def proposed(self) -> int | None:
        """Payout of Up in millionths as it stands; None until the window is over."""
        if self.verdict is not None:
            return self.verdict
        if self.start_average is None or self.end_average is None:
            return None
        return MICRO if self.end_average >= self.start_average else 0

    @property
    def up_won(self) -> bool | None:
        """True when Up won, None before the resolution and when both halves were paid."""
        payout = None if self.resolved_at_ns is None else self.proposed
        return None if payout is None or 0 < payout < MICRO else payout == MICRO

    def metadata_visible(self, now_ns: Nanos) -> bool:
        """Tell whether price to beat and final price are public by now."""
        return self.resolved_at_ns is not None and now_ns >= (self.spec.closes_at_s + METADATA_DELAY_S) * NS_PER_S


class World:
    """Lists, stops and resolves markets on an agenda; call `start` once the listeners are set.

    `last_s` is the end of each coin's recording: no market is listed that would end after it.
    """

    def __init__(
        self,
        core: ExchangeCore,
        agenda: Agenda,
        paths: Mapping[str, PricePath],
        *,
        seed: int,
        last_s: Mapping[str, int] | None = None,
        terms: Mapping[str, MarketTerms] | None = None,
    ) -> None:
        self._core = core
        self._agenda = agenda
        self._paths = paths
        self._last_s = last_s or {}
        self._terms = terms or {}
        self._rng = random.Random(f"{seed}:world")
        self.hold_verdict: Callable[[MarketSpec, int, Nanos], Nanos | None] | None = None
        self._on_listed: list[Callable[[WorldMarket, Nanos], None]] = []
        self._closed: deque[str] = deque()
        self._next_id = _FIRST_GAMMA_ID
        self._by_slug: dict[str, WorldMarket] = {}
        self._slug_by_condition: dict[str, str] = {}
        self._slug_by_token: dict[str, str] = {}
        self._slug_by_id: dict[str, str] = {}

    def start(self, symbols: Sequence[str], windows: Sequence[str], start_s: int) -> None:
        """Take over the markets that the core knows from an earlier run and plan the next ones.

        The paths must not have been read beyond the opening of the oldest market taken over.
        """
        newest = self._adopt(start_s)
        for window in windows:
            for symbol in symbols:
                opens_at_s = next_open(window, max(start_s, newest.get((symbol, window), -1) + 1))
                due_s = max(start_s, opens_at_s - LISTING_LEAD_S)
                self._agenda.add(due_s * NS_PER_S, partial(self._list, self._paths[symbol].asset, window, opens_at_s))

    def _adopt(self, start_s: int) -> dict[tuple[str, str], int]:
        """Rebuild the markets of an earlier run; returns the newest opening by coin and window."""
        newest: dict[tuple[str, str], int] = {}
        boundaries: list[tuple[int, bool, WorldMarket]] = []
        for state in list(self._core.markets.values()):
            spec = state.spec
            if spec.symbol not in self._paths:
                continue
            key = (spec.symbol, spec.window)
            newest[key] = max(newest.get(key, -1), spec.opens_at_s)
            market = WorldMarket(spec=spec, asset=self._paths[spec.symbol].asset, gamma_id=self._next_id)
            market.resolved_at_ns = state.resolved_ns
            market.verdict = state.up_payout
            self._next_id += 1
            self._remember(market)
            boundaries += [(spec.opens_at_s, True, market), (spec.closes_at_s, False, market)]
            if state.closed:
                self._retire(market)
        # In order of time, because a path forgets what lies far behind its newest second.
        for second, is_start, market in sorted(boundaries, key=lambda boundary: boundary[:2]):
            if second > start_s:
                continue
            path = self.path_of(market)
            if is_start:
                market.start_average = market.rule.start(path, second)
            else:
                market.end_average = market.rule.end(path, second)
        for market in [market for market in self._by_slug.values() if market.resolved_at_ns is None]:
            self._plan(market, start_s * NS_PER_S)
        return newest

    def on_listed(self, callback: Callable[[WorldMarket, Nanos], None]) -> None:
        """Call `callback` for every market when it is listed."""
        self._on_listed.append(callback)

    def path_of(self, market: WorldMarket) -> PricePath:
        """Return the price path that the market resolves on."""
        return self._paths[market.asset.symbol]

    def overrule(self, slug: str, up_payout: int) -> None:
        """Let a market pay `up_payout` millionths for Up (0, 500_000 or 1_000_000), whatever the prices say.

        Raises:
            ConfigError: no such market, it is resolved already, or another payout.
        """
        market = self._unresolved(slug)
        if up_payout not in {0, MICRO // 2, MICRO}:
            raise ConfigError(f"payout of {slug} is {up_payout}, expected 0, 500000 or 1000000")
        market.disputed = market.proposed not in {None, up_payout}
        market.verdict = up_payout

    def reverse(self, slug: str) -> None:
        """Turn a verdict round within its delay: what was proposed for Up goes to Down.

        Raises:
            ConfigError: no such market, its window is not over, or it is resolved already.
        """
        proposed = self._unresolved(slug).proposed
        if proposed is None:
            raise ConfigError(f"market {slug} has no verdict to reverse before its window is over; wait for its end")
        self.overrule(slug, MICRO - proposed)

    def postpone(self, slug: str, until_ns: Nanos) -> None:
        """Resolve a market no earlier than an instant.

        Raises:
            ConfigError: no such market, or it is resolved already.
        """
        self._unresolved(slug).postponed_until_ns = until_ns

    def _unresolved(self, slug: str) -> WorldMarket:
        market = self._by_slug.get(slug)
        if market is None or market.resolved_at_ns is not None:
            raise ConfigError(f"market {slug[:80]} is not listed or resolved already; name an open one by its slug")
        return market

    def markets(self) -> Iterator[WorldMarket]:
        """Yield all markets still kept, in the order of listing."""
        yield from self._by_slug.values()

    def by_slug(self, slug: str) -> WorldMarket | None:
        """Return the market with a slug."""
        return self._by_slug.get(slug)

    def by_condition(self, condition_id: str) -> WorldMarket | None:
        """Return the market with a condition id."""
        return self._by_slug.get(self._slug_by_condition.get(condition_id.lower(), ""))

    def by_token(self, token_id: str) -> WorldMarket | None:
        """Return the market that a token belongs to."""
        return self._by_slug.get(self._slug_by_token.get(token_id, ""))

    def by_id(self, gamma_id: str) -> WorldMarket | None:
        """Return the market with a Gamma id."""
        return self._by_slug.get(self._slug_by_id.get(gamma_id, ""))

    def _list(self, asset: Asset, window: str, opens_at_s: int, now_ns: Nanos) -> None:
        closes_at_s = close_of(window, opens_at_s)
        if closes_at_s > self._last_s.get(asset.symbol, closes_at_s):
            return
        slug = slug_of(asset, window, opens_at_s)
        terms = terms_for(self._terms, asset.symbol, window)
        hold_ms = self._core.config.venue.taker_hold_ms if terms.taker_hold_ms is None else terms.taker_hold_ms
        spec = MarketSpec(
            condition_id=condition_id_of(slug, terms),
            slug=slug,
            question=title_of(asset, window, opens_at_s),
            symbol=asset.symbol,
            window=window,
            up_token=token_id_of(slug, "Up", terms),
            down_token=token_id_of(slug, "Down", terms),
            opens_at_s=opens_at_s,
            closes_at_s=closes_at_s,
            listed_at_s=now_ns // NS_PER_S,
            tick_size=terms.tick_size,
            min_size=terms.min_size,
            neg_risk=terms.neg_risk,
            version=terms.version,
            fee_rate_ppm=terms.fee_rate_ppm,
            taker_delay_ms=hold_ms,
            seconds_delay=terms.seconds_delay,
            hydrated_at_s=_later(now_ns, terms.hydrates_after_s),
            accepts_from_s=_later(now_ns, max(terms.hydrates_after_s, terms.accepts_after_s)),
            rule=terms.rule,
        )
        market = WorldMarket(spec=spec, asset=asset, gamma_id=self._next_id)
        self._next_id += 1
        self._remember(market)
        self._core.list_market(spec, now_ns)
        due_ns = max(now_ns, (closes_at_s - LISTING_LEAD_S) * NS_PER_S)
        self._agenda.add(due_ns, partial(self._list, asset, window, closes_at_s))
        self._plan(market, now_ns)

    def _plan(self, market: WorldMarket, now_ns: Nanos) -> None:
        """Enter what lies ahead of a market and tell the crowd."""
        if market.start_average is None:
            self._agenda.add(market.spec.opens_at_s * NS_PER_S, partial(self._open, market))
        self._agenda.add(max(now_ns, market.spec.closes_at_s * NS_PER_S), partial(self._stop, market))
        if now_ns < market.spec.closes_at_s * NS_PER_S:
            for callback in self._on_listed:
                callback(market, now_ns)

    def _remember(self, market: WorldMarket) -> None:
        spec = market.spec
        self._by_slug[spec.slug] = market
        self._slug_by_condition[spec.condition_id] = spec.slug
        self._slug_by_token[spec.up_token] = spec.slug
        self._slug_by_token[spec.down_token] = spec.slug
        self._slug_by_id[str(market.gamma_id)] = spec.slug

    def _forget(self, slug: str) -> None:
        market = self._by_slug.pop(slug)
        del self._slug_by_condition[market.spec.condition_id]
        del self._slug_by_token[market.spec.up_token]
        del self._slug_by_token[market.spec.down_token]
        del self._slug_by_id[str(market.gamma_id)]

    def _open(self, market: WorldMarket, now_ns: Nanos) -> None:
        del now_ns
        market.start_average = market.rule.start(self.path_of(market), market.spec.opens_at_s)

    def _stop(self, market: WorldMarket, now_ns: Nanos) -> None:
        self._core.stop_trading(market.spec.condition_id, now_ns)
        path, closes_at_s = self.path_of(market), market.spec.closes_at_s
        market.end_average = market.rule.end(path, closes_at_s)
        market.needs_review = path.longest_hole_s(closes_at_s - AVERAGE_S + 1, closes_at_s) > OUTAGE_LIMIT_S
        terms = terms_for(self._terms, market.asset.symbol, market.spec.window)
        delay_ns = self._rng.randint(*terms.resolves_after_ms) * 1_000_000
        self._agenda.add(now_ns + delay_ns, partial(self._resolve, market))

    def _resolve(self, market: WorldMarket, now_ns: Nanos) -> Nanos | None:
        path = self.path_of(market)
        second = now_ns // NS_PER_S
        if second <= self._last_s.get(market.asset.symbol, second):
            if path.silence_s(second) > OUTAGE_LIMIT_S:
                return now_ns + _RETRY_S * NS_PER_S
            if market.needs_review:
                market.needs_review = False
                return now_ns + REVIEW_S * NS_PER_S
        if market.postponed_until_ns > now_ns:
            return market.postponed_until_ns
        if self.hold_verdict is not None:
            later_ns = self.hold_verdict(market.spec, market.proposed or 0, now_ns)
            if later_ns is not None:
                return later_ns
        market.resolved_at_ns, market.verdict = now_ns, market.proposed
        self._core.resolve(market.spec.condition_id, market.verdict or 0, now_ns)
        self._retire(market)
        return None

    def _retire(self, market: WorldMarket) -> None:
        self._closed.append(market.spec.slug)
        if len(self._closed) > KEPT_CLOSED:
            self._forget(self._closed.popleft())


def _later(now_ns: Nanos, after_s: int) -> int:
    """Return the second that lies `after_s` ahead, zero for at once."""
    return now_ns // NS_PER_S + after_s if after_s else 0
