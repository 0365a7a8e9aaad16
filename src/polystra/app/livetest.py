"""`polystra livetest`: one post-only order of the minimum size, far from the touch, placed and cancelled.

What lives here: where it is placed, when it is refused, the question to the user, the output. What must
not: the steps (`live_order`).

It is refused where it could fill: without other people's bids well above its price, without a market
that stays open for a while. It is refused beside a running daemon, which would take it for a stranger's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import typer

from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.adapters.store.probe import lock_holder
from polystra.app.checks import Check, any_failed, redacted, show
from polystra.app.doctor import Subject
from polystra.app.doctor_venue import Bench, current_market, user_stream
from polystra.app.live_order import LIFE_S, LiveOrder
from polystra.app.setting_secrets import secret_values
from polystra.app.settings import Mode, Settings, check_armed
from polystra.app.visits import visit
from polystra.app.wiring import Wallet
from polystra.domain.errors import ConfigError, PolystraError
from polystra.domain.ids import ClientOrderId, PositionId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, MicroPrice, format_micros, notional_ceil

LEAST_TIME_S: Final = 60
"""The market must stay open for so long."""

BIDS_ABOVE: Final[MicroPrice] = 50_000
"""Others must bid at least so much more: they would be filled first."""

LEAST_PRICE: Final[MicroPrice] = 10_000
_GTD_EARLY_S: Final = 60
"""The venue removes a GTD order a minute before its expiration (Polymarket CLOB docs, order types)."""


class TestRefused(PolystraError):
    """The test order is not placed: it could fill, or disturb a daemon."""

    __test__ = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the order goes."""

    market: Market
    token_id: TokenId
    price: MicroPrice
    best_bid: MicroPrice


def show_livetest(settings: Settings, *, yes: bool, as_json: bool) -> bool:
    """Ask, test, print; True when a step failed.

    Raises:
        TestRefused: nothing was sent, and why.
        ConfigError: as `polystra doctor`; or the mode is paper, in which no order may leave.
        VenueError: the venue does not answer; nothing was sent.
    """

    def confirmed(words: str) -> bool:
        return yes or typer.confirm(f"{words}\nPlace and cancel it?", err=True)

    async def act(subject: Subject) -> tuple[Check, ...]:
        return await livetest(subject, confirmed)

    if settings.mode is Mode.PAPER:
        raise ConfigError("MODE is paper, but a live test places a real order: set MODE=live for it")
    checks = visit(settings, act)
    show("Live test", checks, as_json=as_json)
    return any_failed(checks)


async def livetest(subject: Subject, confirmed: Callable[[str], bool]) -> tuple[Check, ...]:
    """Place and cancel the order; the checks hold no secret.

    Args:
        subject: who trades where.
        confirmed: shown what will be done, says whether to do it.

    Raises:
        TestRefused: nothing was sent, and why.
        VenueError: the venue does not answer; nothing was sent.
    """
    settings = subject.settings
    check_armed(settings, subject.account)
    holder = lock_holder(settings.resolved_database_url.get_secret_value())
    if holder:
        raise TestRefused(f"{holder}; a daemon takes the test order for a stranger's")
    bench = await _bench_of(subject)
    venue = PolymarketVenue(
        base_url=bench.endpoints.clob_url,
        account=bench.account,
        clock=bench.clock,
        rng=bench.chance,
        session=bench.session,
    )
    try:
        drift = await venue.measure_clock()
        bench = replace(bench, correction_ns=drift.correction_ns)
        target = await _target(bench, venue)
        terms = _terms(bench, target)
        if not confirmed(_words(bench, target, terms)):
            raise TestRefused("not confirmed; nothing was sent")
        order = LiveOrder(
            venue=venue,
            signer=_signer(bench),
            stream=user_stream(bench),
            clock=bench.clock,
            terms=terms,
            salt=Random(bench.chance.getrandbits(64)).getrandbits(52),
            venue_now_ms=_venue_now_ns(bench) // NS_PER_MS,
            beats=settings.enable_venue_heartbeat,
        )
        checks = await order.run()
    finally:
        await venue.close()
    own = bench.wallet.credentials
    secrets = secret_values(settings)
    return redacted(checks, [*secrets, subject.key_text, own.api_key, own.secret, own.passphrase])


async def _bench_of(subject: Subject) -> Bench:
    wallet = Wallet(
        key=SigningKey(subject.key_text),
        credentials=await subject.credentials(),
        signature_type=subject.settings.signature_type,
        funder=subject.settings.poly_funder_address or None,
    )
    return Bench(
        settings=subject.settings,
        endpoints=subject.endpoints,
        wallet=wallet,
        clock=subject.clock,
        chance=subject.chance,
        session=subject.session,
    )


async def _target(bench: Bench, venue: PolymarketVenue) -> Target:
    """The outcome with the higher bids, and the lowest sensible price in it."""
    market = await current_market(bench, at_least_s=LEAST_TIME_S)
    if market is None:
        raise TestRefused(f"no market of the settings takes orders for another {LEAST_TIME_S} s; try again in a minute")
    price = market.price_at_or_above(max(LEAST_PRICE, market.tick_size))
    bids: dict[TokenId, MicroPrice] = {}
    for token_id in (market.up_token, market.down_token):
        bids[token_id] = max((level for level, _ in (await venue.book(token_id)).bids), default=0)
    token_id = max(bids, key=bids.__getitem__)
    best = Target(market=market, token_id=token_id, price=price, best_bid=bids[token_id])
    if best.best_bid < price + BIDS_ABOVE:
        raise TestRefused(
            f"in {market.slug} the best bid is {format_micros(best.best_bid)}, so that an order at "
            f"{format_micros(price)} could fill; try again when others bid {format_micros(BIDS_ABOVE)} more"
        )
    needed = notional_ceil(price, market.minimum_size)
    cash = (await venue.spendable()).balance
    if cash < needed:
        raise TestRefused(
            f"the wallet holds {format_micros(cash)} dollars, the order needs {format_micros(needed)}: fund it, "
            "or see the line wallet of polystra doctor"
        )
    return best


def _terms(bench: Bench, target: Target) -> OrderTerms:
    market = target.market
    return OrderTerms(
        client_order_id=ClientOrderId("livetest"),
        condition_id=market.condition_id,
        token_id=target.token_id,
        position_id=PositionId("livetest"),
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        price=target.price,
        quantity=market.minimum_size,
        time_in_force=TimeInForce.GTD,
        post_only=True,
        expires_at_s=_venue_now_ns(bench) // NS_PER_S + _GTD_EARLY_S + LIFE_S,
        tick_size=market.tick_size,
        negative_risk=market.negative_risk,
        version=market.version,
    )


def _words(bench: Bench, target: Target, terms: OrderTerms) -> str:
    money = "REAL MONEY: " if bench.settings.mode.value == "live" else ""
    worth = format_micros(terms.price * terms.quantity // MICRO)
    return (
        f"{money}a post-only order to buy {format_micros(terms.quantity)} shares at {format_micros(terms.price)} "
        f"({worth} dollars) in {target.market.slug}, where the best bid is {format_micros(target.best_bid)}."
    )


def _signer(bench: Bench) -> OrderTermsSigner:
    wallet = bench.wallet
    return OrderTermsSigner(
        OrderSigner(
            wallet.key,
            signature_type=wallet.signature_type,
            funder=wallet.funder,
            chain_id=bench.settings.poly_chain_id,
            owner=wallet.credentials.api_key,
        )
    )


def _venue_now_ns(bench: Bench) -> int:
    return bench.clock.now_ns() + bench.correction_ns
