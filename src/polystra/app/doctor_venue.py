"""The doctor's checks of the venue: clock, endpoints, credentials, wallet, approvals, standing, streams.

What lives here: one small function per check over a `Bench`. What must not: local checks
(`doctor_local`), the order of checks (`doctor`), orders (`livetest`).

A wallet of the wrong type shows an empty balance, so the types are told apart by what they show
(Polymarket CLOB docs, balance and allowance).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Final

from polystra.adapters.polymarket.account_checks import AccountChecks, PublicChecks, geoblock_host
from polystra.adapters.polymarket.clock_drift import measure_drift
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.price_stream import PriceStream
from polystra.adapters.polymarket.rest import VenueAccount
from polystra.adapters.polymarket.signing.contracts import exchange_contracts
from polystra.adapters.polymarket.streams import MarketStream, UserStream
from polystra.adapters.polymarket.transport import SessionFactory
from polystra.adapters.polymarket.wallet_code import is_deployed
from polystra.adapters.spot.binance import SpotStream
from polystra.app.checks import Check, failed, passed, unchecked, warned
from polystra.app.settings import Settings
from polystra.app.wiring import Endpoints, Wallet
from polystra.domain.errors import AuthFailed, VenueError
from polystra.domain.events import ClockDriftMeasured, StreamConnected, WorldEvent
from polystra.domain.market import Market
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, format_micros
from polystra.domain.windows import close_of, current_open
from polystra.ports.clock import Clock
from polystra.ports.venue import EventStream, SpendableBalance

STREAM_DEADLINE_S: Final = 12.0
_TYPES: Final = {0: "an account that holds its own funds", 1: "a proxy", 2: "a Safe", 3: "a deposit wallet"}

_ADAPTERS: Final = {
    "0xada100db00ca00073811820692005400218fce1f": "adapter",
    "0xada2005600dec949baf300f4c6120000bdb6eaab": "neg-risk adapter",
}
"""Contracts that split and merge, which no order needs (Polymarket docs, contracts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the checks of the venue work with. `correction_ns` is what proofs are corrected by."""

    settings: Settings
    endpoints: Endpoints
    wallet: Wallet
    clock: Clock
    chance: Random
    session: SessionFactory
    correction_ns: int = 0

    @property
    def account(self) -> VenueAccount:
        """The account as the adapter knows it."""
        return VenueAccount(
            credentials=self.wallet.credentials,
            signer=self.wallet.key.address,
            wallet=self.wallet.account,
            signature_type=self.wallet.signature_type,
        )

    def public(self, base_url: str) -> PublicChecks:
        """Questions without credentials; to be closed."""
        return PublicChecks(base_url=base_url, clock=self.clock, rng=self.chance, session=self.session)

    def private(self) -> AccountChecks:
        """Questions with credentials; to be closed."""
        return AccountChecks(
            base_url=self.endpoints.clob_url,
            account=self.account,
            clock=self.clock,
            rng=self.chance,
            session=self.session,
            correction_ns=self.correction_ns,
        )


# --- the venue itself --------------------------------------------------------------------


async def measured(public: PublicChecks, clock: Clock) -> ClockDriftMeasured:
    """How far our clock is from the venue's."""
    return await measure_drift(public.server_time_ns, clock)


def check_clock(drift: ClockDriftMeasured, settings: Settings) -> Check:
    """Entries are blocked beyond MAX_CLOCK_DRIFT_SECONDS, so live does not start beyond it."""
    limit_ns = int(settings.max_clock_drift_seconds * NS_PER_S)
    off = f"{drift.offset_ns / NS_PER_S:+.2f} s (± {drift.uncertainty_ns / NS_PER_S:.2f} s)"
    told = f"the venue's clock is {off} from ours"
    if abs(drift.offset_ns) - drift.uncertainty_ns > limit_ns:
        return failed(
            "clock",
            f"{told}, MAX_CLOCK_DRIFT_SECONDS is {settings.max_clock_drift_seconds}",
            "set the machine's clock by NTP (chrony, systemd-timesyncd)",
            entries_only=True,
        )
    return passed("clock", told)


async def check_rest(bench: Bench) -> Check:
    """The order book API answers."""
    public = bench.public(bench.endpoints.clob_url)
    try:
        begun_ns = bench.clock.monotonic_ns()
        await public.answers("/ok")
        return passed("CLOB", f"{bench.endpoints.clob_url} answers", latency_ms=_since_ms(bench, begun_ns))
    finally:
        await public.close()


async def check_gamma(bench: Bench, market: Market | None) -> Check:
    """Discovery answers and lists a market that we trade."""
    if market is None:
        windows = ", ".join(window.value for window in bench.settings.windows)
        return failed(
            "Gamma",
            f"{bench.endpoints.gamma_url} lists no current {windows} market of {', '.join(bench.settings.symbols)}",
            "check SYMBOLS, WINDOWS, GAMMA_URL and the venue's status",
            entries_only=True,
        )
    return passed("Gamma", f"{bench.endpoints.gamma_url} lists {market.slug}")


async def check_data_api(bench: Bench) -> Check:
    """The second source for holdings answers."""
    public = bench.public(bench.endpoints.data_api_url)
    try:
        begun_ns = bench.clock.monotonic_ns()
        await public.answers("/v2/value", {"user": bench.wallet.account})
        return passed("Data API", f"{bench.endpoints.data_api_url} answers", latency_ms=_since_ms(bench, begun_ns))
    finally:
        await public.close()


async def check_region(bench: Bench) -> Check:
    """Orders from here are not refused for the country's sake."""
    public = bench.public(geoblock_host(bench.endpoints.clob_url))
    try:
        region = await public.region()
    finally:
        await public.close()
    if region is None:
        return unchecked("geoblock", "this server has no geoblock check")
    where = f"{region.country or 'an unknown country'} {region.region}".strip()
    if region.blocked:
        return failed(
            "geoblock",
            f"the venue takes no orders from {where}",
            "run the daemon where the venue may be used, by its terms; a way around them puts the account at risk",
        )
    return passed("geoblock", f"orders from {where} are taken")


async def check_market(bench: Bench, market: Market | None) -> Check:
    """Tick and fee are read from a current market, the tick from both sources."""
    if market is None:
        return unchecked("fee and tick", "no current market was found")
    public = bench.public(bench.endpoints.clob_url)
    try:
        tick = await public.tick_size(market.up_token)
    finally:
        await public.close()
    fee = market.fees.taker_fee(MICRO // 2, 100 * MICRO)
    told = (
        f"{market.slug}: tick {format_micros(tick)}, minimum {format_micros(market.minimum_size)} shares, "
        f"a taker pays {format_micros(fee)} dollars for 100 shares at 0.50"
    )
    if tick > market.tick_size:
        return warned(
            "fee and tick",
            f"{told}; Gamma says tick {format_micros(market.tick_size)}",
            "none: the daemon reads the grid again when the venue refuses a price",
        )
    return passed("fee and tick", told)


# --- the account -------------------------------------------------------------------------


async def check_credentials(bench: Bench) -> Check:
    """The API key is accepted and belongs to the signer."""
    private = bench.private()
    try:
        keys = await private.api_keys()
    except AuthFailed as error:
        return failed(
            "credentials",
            f"the venue does not accept the API key ({error})",
            "empty POLY_API_KEY, POLY_API_SECRET and POLY_API_PASSPHRASE to have them derived from the key",
        )
    finally:
        await private.close()
    if bench.wallet.credentials.api_key not in keys:
        return warned(
            "credentials",
            "the venue accepts the API key and does not list it among the signer's",
            "empty POLY_API_KEY, POLY_API_SECRET and POLY_API_PASSPHRASE to have them derived from the key",
        )
    return passed("credentials", f"accepted; the signer has {len(keys)} API key(s)")


async def check_wallet(bench: Bench) -> tuple[Check, int]:
    """The signature type is the one whose wallet holds the dollars; also returns them in micro-dollars."""
    own = bench.wallet.signature_type
    private = bench.private()
    try:
        cash = (await private.spendable(own)).balance
        others = [] if cash else [(kind, await _balance(private, kind)) for kind in _TYPES if kind != own]
    finally:
        await private.close()
    where = f"type {own}, {_TYPES[own]}, {bench.wallet.account}"
    if cash:
        return passed("wallet", f"{where}: {format_micros(cash)} dollars"), cash
    funded = [(kind, balance) for kind, balance in others if balance]
    if funded:
        kind, balance = funded[0]
        return (
            failed(
                "wallet",
                f"{where}, holds nothing; type {kind}, {_TYPES[kind]}, shows {format_micros(balance)} dollars",
                f"set POLY_SIGNATURE_TYPE={kind} and POLY_FUNDER_ADDRESS to that wallet"
                if kind
                else "empty POLY_FUNDER_ADDRESS and POLY_SIGNATURE_TYPE",
            ),
            0,
        )
    return (
        warned("wallet", f"{where}, holds no dollars, nor does a wallet of another type", "fund it before trading"),
        0,
    )


async def _balance(private: AccountChecks, kind: int) -> int:
    """Dollars of a wallet type; a type that the owner has no wallet of is refused, and holds nothing."""
    try:
        return (await private.spendable(kind)).balance
    except VenueError:
        return 0


async def check_deployed(bench: Bench) -> Check:
    """A contract wallet that is not on the chain cannot settle."""
    rpc_url = bench.settings.rpc_url.get_secret_value()
    if not rpc_url:
        return unchecked("wallet on chain", "RPC_URL is not set")
    if bench.wallet.signature_type == 0:
        return unchecked("wallet on chain", "the account holds its own funds, there is no contract to deploy")
    there = await is_deployed(rpc_url, bench.wallet.account, clock=bench.clock, rng=bench.chance, session=bench.session)
    if there:
        return passed("wallet on chain", f"{bench.wallet.account} is deployed")
    return failed(
        "wallet on chain",
        f"the chain has no code at {bench.wallet.account}",
        "check POLY_FUNDER_ADDRESS, and deploy the wallet on the venue's website",
    )


async def check_approvals(bench: Bench, market: Market | None) -> tuple[Check, ...]:
    """Every exchange may take the dollars that it is to spend and the shares that it is to sell."""
    private = bench.private()
    own = bench.wallet.signature_type
    try:
        collateral = _approvals(bench, "dollars approved", await private.spendable(own), market)
        if market is None:
            return (collateral, unchecked("shares approved", "no current market was found"))
        shares = _approvals(bench, "shares approved", await private.spendable(own, market.up_token), market)
        return (collateral, shares)
    finally:
        await private.close()


def _approvals(bench: Bench, name: str, shown: SpendableBalance, market: Market | None) -> Check:
    if not shown.allowances:
        return unchecked(name, "the venue does not show allowances")
    contracts = exchange_contracts(bench.settings.poly_chain_id)
    names = {
        contracts.standard.address.lower(): "standard",
        contracts.negative_risk.address.lower(): "neg-risk",
        contracts.position_ids.address.lower(): "V3",
        **_ADAPTERS,
    }
    needed = None
    if market is not None:
        needed = contracts.for_market(market.version, negative_risk=market.negative_risk).address.lower()
    given = {spender.lower(): amount for spender, amount in shown.allowances}
    missing = [spender for spender, amount in given.items() if amount <= 0]
    listed = ", ".join(
        f"{names.get(spender, _short(spender))} {'no' if spender in missing else 'yes'}" for spender in given
    )
    not_shown = [named for address, named in names.items() if address not in given and address not in _ADAPTERS]
    told = listed + (f"; not shown: {', '.join(not_shown)}" if not_shown else "")
    remedy = "give the approvals on the venue's website (trade once there, or its approval dialogue)"
    if needed is not None and given.get(needed, 1) <= 0:
        return failed(
            name, f"the exchange of current markets has none: {told}", remedy, entries_only=name != "shares approved"
        )
    return warned(name, told, remedy) if missing else passed(name, told)


async def check_standing(bench: Bench) -> Check:
    """The account may open positions."""
    private = bench.private()
    try:
        closed_only = await private.closed_only()
    finally:
        await private.close()
    if closed_only:
        return failed(
            "closed-only",
            "the account may close positions and not open any",
            "ask the venue's support why; nothing but exits would work",
            entries_only=True,
        )
    return passed("closed-only", "the account may open positions")


async def check_tier(bench: Bench) -> Check:
    """Which limits hold."""
    private = bench.private()
    try:
        tier = await private.rate_tier()
    finally:
        await private.close()
    return passed("rate tier", tier) if tier else unchecked("rate tier", "the venue does not name it")


# --- streams -----------------------------------------------------------------------------


async def check_stream(bench: Bench, name: str, stream: EventStream, *, needs_message: bool, soft: bool) -> Check:
    """The stream connects and, where messages must come by themselves, the first one comes in time."""
    heard: asyncio.Queue[WorldEvent] = asyncio.Queue()
    begun_ns = bench.clock.monotonic_ns()
    connected_ms: int | None = None
    answered_ms: int | None = None
    try:
        async with bench.clock.timeout(STREAM_DEADLINE_S), asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(stream.run(heard.put_nowait))
            while answered_ms is None:
                event = await heard.get()
                if isinstance(event, StreamConnected):
                    connected_ms = _since_ms(bench, begun_ns)
                if connected_ms is not None and not (needs_message and isinstance(event, StreamConnected)):
                    answered_ms = _since_ms(bench, begun_ns)
            reader.cancel()
    except TimeoutError:
        happened = "no connection" if connected_ms is None else "connected, but no message"
    else:
        told = f"connected in {connected_ms} ms" + (f", first message after {answered_ms} ms" if needs_message else "")
        return passed(name, told, latency_ms=answered_ms)
    evidence = f"{happened} within {STREAM_DEADLINE_S:g} s"
    remedy = "check the URL, the credentials and the firewall (websockets must pass)"
    return warned(name, evidence, remedy) if soft else failed(name, evidence, remedy)


def market_stream(bench: Bench, market: Market) -> EventStream:
    """The books of one market."""
    stream = MarketStream(url=bench.endpoints.market_ws_url, clock=bench.clock, rng=bench.chance)
    stream.subscribe([market.up_token])
    return stream


def user_stream(bench: Bench) -> UserStream:
    """Our orders and fills."""
    return UserStream(
        url=bench.endpoints.user_ws_url,
        credentials=bench.wallet.credentials,
        identity=bench.account.identity(),
        clock=bench.clock,
        rng=bench.chance,
    )


def price_stream(bench: Bench) -> EventStream:
    """The feed that markets settle on."""
    return PriceStream(
        url=bench.endpoints.price_ws_url,
        credentials=bench.wallet.credentials,
        symbols=bench.settings.symbols,
        clock=bench.clock,
        rng=bench.chance,
    )


def spot_stream(bench: Bench) -> EventStream:
    """The prices that lead it."""
    return SpotStream(
        url=bench.endpoints.spot_ws_url, symbols=bench.settings.symbols, clock=bench.clock, rng=bench.chance
    )


# --- a market to look at -----------------------------------------------------------------


async def current_market(bench: Bench, *, at_least_s: int = 0) -> Market | None:
    """A market of the settings that takes orders and closes no sooner than `at_least_s` from now.

    Raises:
        VenueError: discovery does not answer, or every market that it lists is one that we do not trade.
    """
    discovery = GammaDiscovery(
        base_url=bench.endpoints.gamma_url, clock=bench.clock, rng=bench.chance, session=bench.session
    )
    refused: VenueError | None = None
    try:
        now_s = (bench.clock.now_ns() + bench.correction_ns) // NS_PER_S
        for window in bench.settings.windows:
            length_s = window.seconds
            running_s = current_open(length_s, now_s)
            for opens_at_s in (running_s, close_of(length_s, running_s)):
                if close_of(length_s, opens_at_s) - now_s < at_least_s:
                    continue
                for symbol in bench.settings.symbols:
                    try:
                        market = await discovery.find(symbol, length_s, opens_at_s)
                    except VenueError as error:
                        refused = error
                        continue
                    if market is not None and market.accepting_orders:
                        return market
    finally:
        await discovery.close()
    if refused is not None:
        raise refused
    return None


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _since_ms(bench: Bench, begun_ns: int) -> int:
    return (bench.clock.monotonic_ns() - begun_ns) // NS_PER_MS
