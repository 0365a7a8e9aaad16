"""Shared builders for tests of the built-in exchange's core."""

import random
from collections.abc import Callable

import pytest

from polystra.exchange.core import CoreConfig, CoreEvent, ExchangeCore, MarketSpec, Placement, PlaceRequest
from polystra.exchange.model import NS_PER_S

T0_S = 1_782_753_000
T0 = T0_S * NS_PER_S
UP, DOWN = "1001", "1002"
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
CONDITION = "0x" + "c0" * 32


def spec(**changes: object) -> MarketSpec:
    """Return a five-minute market that is open at T0."""
    values: dict[str, object] = {
        "condition_id": CONDITION,
        "slug": f"btc-updown-5m-{T0_S}",
        "question": "Bitcoin Up or Down",
        "symbol": "btc",
        "window": "5m",
        "up_token": UP,
        "down_token": DOWN,
        "opens_at_s": T0_S,
        "closes_at_s": T0_S + 300,
        "listed_at_s": T0_S - 86_400,
    }
    return MarketSpec(**{**values, **changes})  # type: ignore[arg-type]


class Desk:
    """A core with two funded accounts, a listed market and a record of its events."""

    def __init__(self, core: ExchangeCore) -> None:
        self.core = core
        self.now = T0
        self.events: list[CoreEvent] = []
        core.add_listener(self.events.append)
        for address in (ALICE, BOB):
            core.create_key(address, 0)
        core.list_market(spec(), T0)

    def place(self, who: str, request: PlaceRequest) -> Placement:
        """Place at the present instant."""
        return self.core.place(who, request, self.now)

    def limit(self, who: str, token: str, side: str, price: str, size: str, **more: object) -> Placement:
        """Place a limit order given in decimals."""
        micro = round(float(price) * 1_000_000), round(float(size) * 1_000_000)
        request = PlaceRequest.limit(token, side, price=micro[0], size=micro[1], **more)  # type: ignore[arg-type]
        return self.place(who, request)

    def settle(self) -> None:
        """Let every trade be confirmed."""
        self.now += 10 * NS_PER_S
        self.core.advance(self.now)

    def of(self, kind: type) -> list[CoreEvent]:
        """Return the recorded events of one type."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def make_desk() -> Callable[..., Desk]:
    """Return a maker of desks with a configuration of one's own."""

    def make(**config: object) -> Desk:
        return Desk(ExchangeCore(rng=random.Random(7), config=CoreConfig(**config)))  # type: ignore[arg-type]

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """Return a desk with the defaults."""
    return make_desk()
