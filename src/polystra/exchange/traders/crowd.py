"""Everyone who trades on the built-in exchange besides its clients.

What lives here: the house accounts, who is sent to a market, and the news of fills. What must not:
how a trader behaves, when it acts (it says so itself, the world's agenda calls it).

Each trader draws from a generator of its own, named by seed, market and kind: adding one kind
leaves the draws of the others as they were.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from polystra.domain.units import NS_PER_S, Nanos
from polystra.exchange.core import CoreEvent, ExchangeCore, TradeEvent
from polystra.exchange.makers import Belief, Desk, MarketMaker, NoiseTaker, Owners
from polystra.exchange.prices import PricePath
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.traders.cross import CrossOutcomeTrader
from polystra.exchange.traders.dust import DustMaker
from polystra.exchange.traders.informed import InformedTaker
from polystra.exchange.traders.spoofing import Spoofer
from polystra.exchange.traders.vanishing import VanishingBook
from polystra.exchange.world import WorldMarket

_FIRST_ACT_NS: Final = NS_PER_S


class Trader(Protocol):
    """One member of the crowd in one market."""

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Trade; returns when to be called again, None for never."""
        ...


@dataclass(slots=True)
class Crowd:
    """The traders of one exchange; `makers` are addresses of house accounts."""

    core: ExchangeCore
    seed: int
    config: CrowdConfig = field(default_factory=CrowdConfig)
    owners: Owners = field(default_factory=dict)
    makers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the market makers' accounts and listen for fills."""
        self.makers = [self.core.open_house_account(f"market-maker-{n + 1}") for n in range(self.config.makers)]
        self.core.add_listener(self._on_event, TradeEvent)

    def join(self, market: WorldMarket, path: PricePath) -> list[tuple[Nanos, Trader]]:
        """Send traders to a market; returns how long after now each wants to act first."""
        config = self.config
        rng = random.Random(f"{self.seed}:{market.spec.slug}:crowd")
        desk = Desk(self.core, self.owners, market, path, rng, pace_percent=config.pace_percent)
        makers = [self._maker(desk, account, rng) for account in self.makers]
        sent: list[tuple[Nanos, Trader]] = [(place, maker) for place, maker in enumerate(makers, start=1)]
        for number in range(config.noise_takers):
            account = self._account("noise-taker", number)
            taker = NoiseTaker(desk, account, random.Random(rng.random()), pause_percent=config.noise_pause_percent)
            sent.append((_FIRST_ACT_NS, taker))
        sent += [(_FIRST_ACT_NS + place, trader) for place, trader in enumerate(self._others(desk), start=1)]
        if config.vanish_every_s:
            vanishing = VanishingBook(
                desk, makers, self._rng(desk, "vanish", 0), every_s=config.vanish_every_s, for_s=config.vanish_for_s
            )
            sent.append((_FIRST_ACT_NS, vanishing))
        return sent

    def _maker(self, desk: Desk, account: str, rng: random.Random) -> MarketMaker:
        config = self.config
        belief = Belief.drawn(
            rng,
            size_percent=config.maker_size_percent,
            spread_percent=config.maker_spread_percent,
            pause_percent=config.maker_pause_percent,
        )
        return MarketMaker(desk, belief, account, random.Random(rng.random()))

    def _others(self, desk: Desk) -> Iterator[Trader]:
        config = self.config
        kinds: list[tuple[str, int, Callable[[str, random.Random], Trader]]] = [
            (
                "informed-taker",
                config.informed_takers,
                lambda account, rng: InformedTaker(desk, account, rng, lead_s=config.informed_lead_s),
            ),
            ("spoofer", config.spoofers, lambda account, rng: Spoofer(desk, account, rng)),
            (
                "cross-outcome",
                config.cross_outcome_traders,
                lambda account, rng: CrossOutcomeTrader(desk, account, self._partner(account), rng),
            ),
            (
                "dust-maker",
                config.dust_makers,
                lambda account, rng: DustMaker(desk, account, self._partner(account), rng),
            ),
        ]
        for name, count, make in kinds:
            for number in range(count):
                yield make(self._account(name, number), self._rng(desk, name, number))

    def _account(self, name: str, number: int) -> str:
        return self.core.open_house_account(name if number == 0 else f"{name}-{number + 1}")

    def _partner(self, account: str) -> str:
        """Return the second account of a trader that trades with itself in two names."""
        return self.core.open_house_account(f"partner of {account}")

    def _rng(self, desk: Desk, name: str, number: int) -> random.Random:
        return random.Random(f"{self.seed}:{desk.market.spec.slug}:{name}:{number}")

    def _on_event(self, event: CoreEvent) -> None:
        if isinstance(event, TradeEvent) and event.trade.status == "MATCHED":
            for leg in event.trade.legs:
                owner = self.owners.get(leg.order_id)
                if owner is not None:
                    owner[0].filled(owner[1], leg.size)
