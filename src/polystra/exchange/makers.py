"""Seeded market makers and noise takers of the built-in exchange.

What lives here: the two kinds of traders that make a book worth trading against, and the desk by
which every trader of a market reaches the core, without HTTP or signatures. What must not: who is
sent to a market (`traders.crowd`), listings, anything random that is not drawn from the seed.

Honesty: makers value a market from a spot that is 1 to 3 seconds old, with a wrong volatility, a
wrong idea of the averaging minute and a shared mood that drifts, so that the daemon and its
counterparties do not share one formula. A profit made against them proves nothing.

Makers only buy: Up at their bid, Down at one minus their ask, which is the same book seen from
the other side. Prices in millionths of a dollar, sizes in millionths of a share; floats stay
inside the valuation.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final, Protocol

from polystra.domain.units import E8, MICRO, NS_PER_S, Nanos
from polystra.exchange.core import ExchangeCore, PlaceRequest
from polystra.exchange.fair_value import average_so_far, fair_up
from polystra.exchange.prices import AVERAGE_S, PricePath
from polystra.exchange.world import WorldMarket

CENT: Final = 10_000
QUIET_BEFORE_OPEN_S: Final = 45
WITHDRAW_S: Final = 4
_LEVELS: Final = 3
_KEEP_BEHIND_CENTS: Final = 5
_STALE_CENTS: Final = 2
_NEW_ORDERS_PER_ACT: Final = 3
GRID_NS: Final = 25_000_000
"""Actions fall on a grid, so that the loop wakes once for several of them."""

_MOOD_SD: Final = 0.16
_MOOD_TIME_S: Final = 45.0


class Fillable(Protocol):
    """A trader that is told when one of its resting orders, named by (is Up, cents), was filled."""

    def filled(self, key: tuple[bool, int], size: int) -> None:
        """Take note of `size` micro-shares."""
        ...


Owners = dict[str, tuple[Fillable, tuple[bool, int]]]
"""Whose order it is, by order id, and the owner's name for it."""


def on_grid(instant_ns: Nanos) -> Nanos:
    """Move an instant back to the grid of actions."""
    return instant_ns // GRID_NS * GRID_NS


@dataclass(slots=True)
class Mood:
    """A market's shared mispricing in log-odds: it reverts to zero within a minute or so."""

    rng: random.Random
    level: float = 0.0
    at_ns: Nanos = 0

    def at(self, now_ns: Nanos) -> float:
        """Move the mood on to `now_ns` and return it."""
        elapsed_s = (now_ns - self.at_ns) / NS_PER_S
        if elapsed_s > 0:
            keep = math.exp(-elapsed_s / _MOOD_TIME_S)
            self.level = self.level * keep + self.rng.gauss(0.0, _MOOD_SD * math.sqrt(1 - keep * keep))
            self.at_ns = now_ns
        return self.level


@dataclass(frozen=True, slots=True)
class Belief:
    """How one maker sees the world; every field differs a little from the truth."""

    delay_ns: Nanos
    volatility_factor: float
    lookback_s: float
    base_spread: float
    size: int
    size_percent: int = 100
    pause_percent: int = 100

    @classmethod
    def drawn(
        cls, rng: random.Random, *, size_percent: int = 100, spread_percent: int = 100, pause_percent: int = 100
    ) -> Belief:
        """Draw a belief: spot 1-3 s old, volatility off by some 20 %, a look-back of 45-70 s.

        The percentages scale what is drawn: sizes, half-spread and the pause between two actions.
        """
        return cls(
            delay_ns=rng.randint(1_000, 3_000) * 1_000_000,
            volatility_factor=math.exp(rng.gauss(0.0, 0.2)),
            lookback_s=rng.uniform(45.0, 70.0),
            base_spread=rng.uniform(0.005, 0.012) * spread_percent / 100,
            size=rng.randint(40, 140),
            size_percent=size_percent,
            pause_percent=pause_percent,
        )


@dataclass(slots=True)
class Resting:
    """A maker's own order on the book; `left` in micro-shares."""

    order_id: str
    left: int


@dataclass(frozen=True, slots=True)
class Taking:
    """An order that takes what is there: `amount` is micro-dollars to buy, micro-shares to sell."""

    is_up: bool
    is_buy: bool
    amount: int
    worst_cents: int


class MarketMaker:
    """Keeps a few levels on both sides of its own idea of the price."""

    def __init__(self, desk: Desk, belief: Belief, account: str, rng: random.Random) -> None:
        self._desk = desk
        self._belief = belief
        self._account = account
        self._rng = rng
        self._orders: dict[tuple[bool, int], Resting] = {}
        self.inventory = 0

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Requote; returns the next time to do so, None once the market is about to end."""
        spec = self._desk.market.spec
        left_s = spec.closes_at_s - now_ns / NS_PER_S
        if left_s <= WITHDRAW_S:
            self.pull_quotes(now_ns)
            return None
        if now_ns < self._desk.absent_until_ns:
            self.pull_quotes(now_ns)
            return on_grid(self._desk.absent_until_ns + GRID_NS)
        bid, ask = self._quotes(now_ns, left_s)
        self._cancel([key for key in self._orders if self._is_stale(key, bid, ask)], now_ns)
        self._hit_stale_quotes(bid, ask, now_ns)
        wanted = self._ladder(bid, ask, left_s)
        changed = self._place_missing(wanted, now_ns)
        if not changed:
            self._refresh_one(wanted, now_ns)
        pause_ms = self._rng.randint(450, 1_050) * self._belief.pause_percent // 100
        if spec.opens_at_s - now_ns / NS_PER_S > QUIET_BEFORE_OPEN_S:
            pause_ms *= 10
        return min(self._desk.later(now_ns, pause_ms * 1_000_000), max(self._desk.leaves_ns, now_ns))

    def pull_quotes(self, now_ns: Nanos) -> None:
        """Cancel everything that rests."""
        self._cancel(list(self._orders), now_ns)

    def filled(self, key: tuple[bool, int], size: int) -> None:
        """Take note of a fill of one of the resting orders."""
        self.inventory += size if key[0] else -size
        resting = self._orders.get(key)
        if resting is not None:
            resting.left -= size
            if resting.left <= 0:
                self._desk.forget(resting.order_id)
                del self._orders[key]

    def _quotes(self, now_ns: Nanos, left_s: float) -> tuple[int, int]:
        """Return the bid and ask of Up, in cents, that the maker believes in; may be off the grid."""
        fair, shake = self._desk.valuation(self._belief, now_ns, left_s)
        self._desk.fair = fair
        half = min(0.04, self._belief.base_spread + 0.5 * shake)
        skew = max(-0.03, min(0.03, self.inventory / MICRO / 10_000))
        return math.floor((fair - half - skew) * 100), math.ceil((fair + half - skew) * 100)

    def _hit_stale_quotes(self, bid: int, ask: int, now_ns: Nanos) -> None:
        """Trade against a quote that is clearly behind the times."""
        best_bid, best_ask = self._desk.best_cents()
        budget = self._rng.randint(5, 40) * MICRO
        if best_ask <= bid - _STALE_CENTS:
            self.inventory += self._desk.take(self._account, Taking(True, True, budget, best_ask), now_ns)
        elif best_bid >= ask + _STALE_CENTS:
            self.inventory -= self._desk.take(self._account, Taking(False, True, budget, 100 - best_bid), now_ns)

    def _ladder(self, bid: int, ask: int, left_s: float) -> dict[tuple[bool, int], int]:
        """Return (is Up, price in cents) -> size in micro-shares of the quotes it would like."""
        best_bid, best_ask = self._desk.best_cents()
        bid = min(bid, best_ask - 1, 99)
        ask = max(ask, best_bid + 1, 1)
        levels, scale = _LEVELS, 1.0
        if left_s < 75:
            levels, scale = (2, 0.6) if left_s > 25 else (1, 0.35)
        wanted: dict[tuple[bool, int], int] = {}
        for depth in range(levels):
            size = int(self._belief.size * scale * (1 + 0.5 * depth) * self._rng.uniform(0.6, 1.2))
            size = max(5, max(20, min(200, size)) * self._belief.size_percent // 100) * MICRO
            if bid - depth >= 1:
                wanted[True, bid - depth] = size
            if ask + depth <= 99:
                wanted[False, 100 - ask - depth] = size
        return wanted

    @staticmethod
    def _is_stale(key: tuple[bool, int], bid: int, ask: int) -> bool:
        best = bid if key[0] else 100 - ask
        return not best - _KEEP_BEHIND_CENTS <= key[1] <= best

    def _place_missing(self, wanted: dict[tuple[bool, int], int], now_ns: Nanos) -> bool:
        missing: dict[tuple[bool, int], int] = {}
        for key, size in wanted.items():
            resting = self._orders.get(key)
            if resting is None or resting.left < size // 3:
                missing[key] = size
            if len(missing) == _NEW_ORDERS_PER_ACT:
                break
        self._cancel([key for key in missing if key in self._orders], now_ns)
        return self._place(missing, now_ns)

    def _refresh_one(self, wanted: dict[tuple[bool, int], int], now_ns: Nanos) -> None:
        """Nothing moved: change the size of one level, as real makers do all the time."""
        if wanted:
            key = self._rng.choice(list(wanted))
            self._cancel([key], now_ns)
            self._place({key: wanted[key]}, now_ns)

    def _place(self, wanted: dict[tuple[bool, int], int], now_ns: Nanos) -> bool:
        placed = self._desk.rest_all(self, self._account, wanted, now_ns)
        for key, order_id in placed.items():
            self._orders[key] = Resting(order_id, wanted[key])
        return bool(placed)

    def _cancel(self, keys: list[tuple[bool, int]], now_ns: Nanos) -> None:
        order_ids = [self._orders.pop(key).order_id for key in keys if key in self._orders]
        if order_ids:
            self._desk.withdraw(self._account, order_ids, now_ns)


class NoiseTaker:
    """Buys or sells a little at whatever the book offers, for no reason at all."""

    def __init__(self, desk: Desk, account: str, rng: random.Random, *, pause_percent: int = 100) -> None:
        self._desk = desk
        self._account = account
        self._rng = rng
        self._pause_percent = pause_percent
        self._held = {True: 0, False: 0}

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Trade once; returns the next time, None once the market is about to end."""
        spec = self._desk.market.spec
        if now_ns >= (spec.closes_at_s - WITHDRAW_S) * NS_PER_S:
            return None
        if now_ns >= spec.opens_at_s * NS_PER_S:
            self._trade(now_ns)
        pause_ns = int(self._rng.expovariate(1 / 2.5) * NS_PER_S) + 100_000_000
        return self._desk.later(now_ns, pause_ns * self._pause_percent // 100)

    def _trade(self, now_ns: Nanos) -> None:
        rng = self._rng
        is_up = rng.random() < 0.5 + (self._desk.fair - 0.5) * 0.4
        slip = rng.randint(0, 2)
        size = int(math.exp(rng.gauss(2.6, 0.8)))
        bid, ask = self._desk.best_cents()
        if not is_up:
            bid, ask = 100 - ask, 100 - bid
        held = self._held[is_up] // MICRO
        if held >= 5 and rng.random() < 0.5:
            worst = bid - slip
            if 1 <= worst <= 99:
                amount = min(held, max(5, size)) * MICRO
                self._held[is_up] -= self._desk.take(self._account, Taking(is_up, False, amount, worst), now_ns)
        else:
            worst = ask + slip
            if 1 <= worst <= 99:
                budget = max(2, size * worst // 100) * MICRO
                self._held[is_up] += self._desk.take(self._account, Taking(is_up, True, budget, worst), now_ns)


class Desk:
    """One market's crowd: what its members share, and their way to the core."""

    def __init__(
        self,
        core: ExchangeCore,
        owners: Owners,
        market: WorldMarket,
        path: PricePath,
        rng: random.Random,
        *,
        pace_percent: int = 100,
    ) -> None:
        self.market = market
        self.path = path
        self.leaves_ns: Nanos = (market.spec.closes_at_s - WITHDRAW_S) * NS_PER_S
        self.fair = 0.5
        self.absent_until_ns: Nanos = 0
        self._core = core
        self._owners = owners
        self._pace_percent = pace_percent
        self._mood = Mood(random.Random(rng.random()))

    def valuation(self, belief: Belief, now_ns: Nanos, left_s: float) -> tuple[float, float]:
        """Return a maker's P(Up) and how much it may move within a second."""
        path, spec = self.path, self.market.spec
        seen_ns = now_ns - belief.delay_ns
        seen_s = seen_ns // NS_PER_S
        strike = self.market.start_average
        if strike is None:
            strike = path.average(seen_s)
        averaged_from_s = spec.closes_at_s - AVERAGE_S + 1
        average = average_so_far(path, averaged_from_s, seen_s) / E8 if seen_s >= averaged_from_s else None
        spot = path.spot(seen_ns) / E8
        volatility = max(path.volatility(seen_s), 1e-6) * belief.volatility_factor * spot
        fair, shake = fair_up(
            spot=spot,
            strike=strike / E8,
            volatility=volatility,
            left_s=min(left_s + belief.delay_ns / NS_PER_S, float(spec.closes_at_s - spec.opens_at_s)),
            lookback_s=belief.lookback_s if average is None else AVERAGE_S * belief.lookback_s / 57.5,
            average=average,
        )
        fair = min(0.999, max(0.001, fair))
        odds = math.log(fair / (1 - fair)) + self._mood.at(now_ns)
        return 1 / (1 + math.exp(-odds)), shake

    def token(self, *, is_up: bool) -> str:
        """Return the token of an outcome."""
        return self.market.spec.up_token if is_up else self.market.spec.down_token

    def settled(self, account: str, *, is_up: bool) -> int:
        """Return the micro-shares of an outcome that an account can sell now."""
        known = self._core.account(account)
        return 0 if known is None else known.spendable_tokens(self.token(is_up=is_up))

    def has_ended(self, now_ns: Nanos) -> bool:
        """Tell whether the crowd has left this market."""
        return now_ns >= self.leaves_ns

    def later(self, now_ns: Nanos, pause_ns: Nanos) -> Nanos:
        """Return when a pause of so long is over at the crowd's pace."""
        return on_grid(now_ns + pause_ns * 100 // self._pace_percent)

    def best_cents(self) -> tuple[int, int]:
        """Return best bid and ask of Up in cents, 0 and 100 where a side is empty (never finer than a cent)."""
        bid, ask = self._core.best(self.market.spec.up_token)
        return 0 if bid is None else -(-bid // CENT), 100 if ask is None else ask // CENT

    def rest(self, trader: Fillable, account: str, key: tuple[bool, int], size: int, now_ns: Nanos) -> str | None:
        """Rest a post-only buy; returns its order id, None when the exchange refused it."""
        return self.rest_all(trader, account, {key: size}, now_ns).get(key)

    def rest_all(
        self, trader: Fillable, account: str, wanted: dict[tuple[bool, int], int], now_ns: Nanos
    ) -> dict[tuple[bool, int], str]:
        """Rest post-only buys by one request; returns the order ids of those that the exchange took."""
        if not wanted:
            return {}
        requests = [
            PlaceRequest.limit(self.token(is_up=is_up), "BUY", price=cents * CENT, size=size, post_only=True)
            for (is_up, cents), size in wanted.items()
        ]
        placements = self._core.place_all(account, requests, now_ns)
        taken = {
            key: placement.order_id for key, placement in zip(wanted, placements, strict=True) if placement.accepted
        }
        for key, order_id in taken.items():
            self._owners[order_id] = (trader, key)
        return taken

    def place(self, account: str, request: PlaceRequest, now_ns: Nanos) -> str | None:
        """Send any order; returns its id, None when the exchange refused it."""
        placement = self._core.place(account, request, now_ns)
        return placement.order_id if placement.accepted else None

    def withdraw(self, account: str, order_ids: list[str], now_ns: Nanos) -> None:
        """Cancel resting orders."""
        self._core.cancel(account, order_ids, now_ns)
        for order_id in order_ids:
            self.forget(order_id)

    def is_open(self, order_id: str) -> bool:
        """Tell whether an order is still on the book."""
        return self._core.order(order_id) is not None

    def forget(self, order_id: str) -> None:
        """Drop an order that is no longer on the book."""
        self._owners.pop(order_id, None)

    def take(self, account: str, order: Taking, now_ns: Nanos) -> int:
        """Send a FAK order; returns the shares that changed hands, in millionths."""
        request = PlaceRequest.market(
            self.token(is_up=order.is_up),
            "BUY" if order.is_buy else "SELL",
            amount=order.amount,
            worst_price=order.worst_cents * CENT,
        )
        placement = self._core.place(account, request, now_ns)
        return placement.taking_amount if order.is_buy else placement.making_amount
