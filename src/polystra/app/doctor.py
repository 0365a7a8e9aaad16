"""`polystra doctor`: everything that is to be right before money moves, and the gate of every live start.

What lives here: which checks there are, in which order, and what a live start does about them. What must
not: a check itself (`doctor_local`, `doctor_venue`), the command line and worlds (`visits`).

Checks that need no answer of another run side by side. A failed check that concerns new positions alone
does not keep a daemon that holds positions from starting: their exits need it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.polymarket.transport import SessionFactory
from polystra.adapters.store.account_reading import read_account
from polystra.app import doctor_local as local
from polystra.app import doctor_venue as venue
from polystra.app.auto_redeem import check_auto_redeem
from polystra.app.calibration_setting import check_calibration
from polystra.app.checks import Check, Verdict, failed, redacted, run_local, run_one, unchecked, warned
from polystra.app.doctor_local import Place
from polystra.app.doctor_venue import Bench
from polystra.app.engine_settings import strategy_config
from polystra.app.setting_secrets import secret_values
from polystra.app.settings import Mode, Settings
from polystra.app.wiring import PAPER_ACCOUNT, Endpoints, Wallet
from polystra.domain.errors import ConfigError, PolystraError, StoreError
from polystra.domain.events import ClockDriftMeasured
from polystra.domain.market import Market
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MicroDollars, parse_micros
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log

_HELD: Final = (PositionStatus.OPEN, PositionStatus.EXITING, PositionStatus.FROZEN)
_NETWORK: Final = "check the URL and the network, or wait until the venue answers"
_OF_THE_ACCOUNT: Final = (
    "wallet",
    "wallet on chain",
    "dollars approved",
    "shares approved",
    "closed-only",
    "rate tier",
    "user stream",
    "price stream",
    "bankroll",
)


_IN_PAPER: Final = ("price stream", "bankroll")


class NotFit(PolystraError):
    """A hard check failed: live does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who and what is examined. `credentials` gives the API credentials or raises an error of ours."""

    settings: Settings
    place: Place
    endpoints: Endpoints
    clock: Clock
    chance: Random
    session: SessionFactory
    key_text: str
    credentials: Callable[[], Awaitable[L2Credentials]]

    @property
    def account(self) -> str:
        """The address that holds the funds; raises ConfigError when the key is none. A paper account has none."""
        if self.settings.mode is Mode.PAPER:
            return PAPER_ACCOUNT
        return self.settings.poly_funder_address or SigningKey(self.key_text).address


async def examine(subject: Subject) -> tuple[Check, ...]:
    """Carry out every check; none stops another. Holds no secret."""
    settings = subject.settings
    secrets = [*secret_values(settings), subject.key_text]
    found = _at_home(subject)
    if not any(check.name == "key" and check.verdict is Verdict.FAIL for check in found):
        found += await _at_the_venue(subject, secrets)
    return redacted(found, secrets)


async def refuse_unless_fit(subject: Subject, log: Log) -> None:
    """Examine before a live start, log what is not well, one line each.

    Raises:
        NotFit: a hard check failed, and it concerns more than new positions or no position is held.
    """
    checks = await examine(subject)
    for check in checks:
        told = {"check": check.name, "evidence": check.evidence, "remedy": check.remedy}
        if check.verdict is Verdict.FAIL:
            log.error(LogEvent.CHECK_FAILED, **told)
        elif check.verdict is Verdict.WARN:
            log.warning(LogEvent.CHECK_WARNED, **told)
    counts = Counter(check.verdict for check in checks)
    log.info(LogEvent.CHECKS_COMPLETED, **{each.name.lower(): counts[each] for each in Verdict})
    hard = [check for check in checks if check.verdict is Verdict.FAIL]
    if all(check.entries_only for check in hard) and _holds_positions(subject.settings):
        return
    if hard:
        words = "; ".join(f"{check.name}: {check.evidence} -> {check.remedy}" for check in hard)
        raise NotFit(f"live does not start, {len(hard)} hard check(s) failed: {words}")


def _holds_positions(settings: Settings) -> bool:
    """True when the database knows positions that need this daemon."""
    try:
        account = read_account(settings.resolved_database_url.get_secret_value())
    except (StoreError, ConfigError):
        return False
    return any(position.status in _HELD for position in account.positions)


# --- this machine ------------------------------------------------------------------------


def _at_home(subject: Subject) -> list[Check]:
    settings = subject.settings
    return [
        run_local(
            "settings",
            "correct the setting that is named",
            lambda: local.check_settings(settings, subject.account),
        ),
        run_local(
            "key",
            "copy POLY_PRIVATE_KEY again from the wallet",
            lambda: local.check_key(settings, subject.key_text),
        ),
        run_local(
            "database",
            "check DATABASE_URL, the path and its permissions",
            lambda: local.check_database(settings),
        ),
        run_local("lock", "check DATA_DIR and its permissions", lambda: local.check_lock(settings)),
        run_local("disk", "check DATA_DIR", lambda: local.check_disk(settings.data_dir)),
        run_local("files", "check the paths of .env and of the key files", lambda: _files(subject)),
        check_auto_redeem(settings, subject.clock.now_ns()),
        local.check_restart(settings.weekly_restart, subject.clock.now_ns()),
        check_calibration(settings),
    ]


def _files(subject: Subject) -> Check:
    return local.check_files(subject.settings, subject.place)


# --- the venue ---------------------------------------------------------------------------


async def _at_the_venue(subject: Subject, secrets: list[str]) -> list[Check]:
    clock = subject.clock
    bench, clock_check = await _clock_of(subject)
    first = [clock_check, await run_one("CLOB", _NETWORK, lambda: venue.check_rest(bench), clock)]
    market, gamma = await _market_of(bench)
    if subject.settings.mode is Mode.PAPER:
        return [*first, gamma, *await _together(_public(bench, market)), *await _of_paper(bench, market)]
    try:
        credentials = await subject.credentials()
    except PolystraError as error:
        remedy = "check POLY_PRIVATE_KEY, POLY_API_KEY and the machine's clock"
        refused = failed("credentials", str(error), remedy)
        rest = await _together([*_public(bench, market)])
        return [*first, gamma, refused, *rest, *(unchecked(name, "no API credentials") for name in _OF_THE_ACCOUNT)]
    secrets += [credentials.api_key, credentials.secret, credentials.passphrase]
    bench = replace(bench, wallet=replace(bench.wallet, credentials=credentials))
    credential_check = await run_one("credentials", _NETWORK, lambda: venue.check_credentials(bench), clock)
    wallet, cash = await _wallet_of(bench)
    rest = await _together([*_private(bench), *_public(bench, market)])
    approvals = await _approvals_of(bench, market)
    return [*first, gamma, credential_check, wallet, *approvals, *rest, _bankroll(bench.settings, market, cash)]


async def _of_paper(bench: Bench, market: Market | None) -> list[Check]:
    """What stands in paper where the account's checks stand in live."""
    feed = RtdsStream(url=bench.endpoints.rtds_url, symbols=bench.settings.symbols, clock=bench.clock, rng=bench.chance)

    async def prices() -> Check:
        return await venue.check_stream(bench, "price stream", feed, needs_message=True, soft=True)

    found = await run_one("price stream", _NETWORK, prices, bench.clock, soft=True)
    cash = parse_micros(bench.settings.paper_balance_dollars, field="PAPER_BALANCE_DOLLARS")
    left_out = [unchecked(name, "a paper account is simulated") for name in _OF_THE_ACCOUNT if name not in _IN_PAPER]
    return [*left_out, found, _bankroll(bench.settings, market, cash)]


async def _clock_of(subject: Subject) -> tuple[Bench, Check]:
    """Measure the clocks first: proofs carry the venue's time from then on."""
    settings = subject.settings
    wallet = Wallet(
        key=SigningKey(subject.key_text),
        credentials=_NO_CREDENTIALS,
        signature_type=settings.signature_type,
        funder=settings.poly_funder_address or None,
    )
    bench = Bench(
        settings=settings,
        endpoints=subject.endpoints,
        wallet=wallet,
        clock=subject.clock,
        chance=subject.chance,
        session=subject.session,
    )
    measured: list[ClockDriftMeasured] = []

    async def look() -> Check:
        public = bench.public(bench.endpoints.clob_url)
        try:
            drift = await venue.measured(public, subject.clock)
        finally:
            await public.close()
        measured.append(drift)
        return venue.check_clock(drift, settings)

    check = await run_one("clock", _NETWORK, look, subject.clock)
    return (replace(bench, correction_ns=measured[0].correction_ns) if measured else bench), check


async def _market_of(bench: Bench) -> tuple[Market | None, Check]:
    found: list[Market] = []

    async def look() -> Check:
        market = await venue.current_market(bench)
        found.extend([market] if market is not None else [])
        return await venue.check_gamma(bench, market)

    check = await run_one("Gamma", _NETWORK, look, bench.clock, entries_only=True)
    return (found[0] if found else None), check


async def _wallet_of(bench: Bench) -> tuple[Check, MicroDollars]:
    cash: list[MicroDollars] = []

    async def look() -> Check:
        check, dollars = await venue.check_wallet(bench)
        cash.append(dollars)
        return check

    remedy = "check POLY_FUNDER_ADDRESS and POLY_SIGNATURE_TYPE: 3 for a deposit wallet"
    check = await run_one("wallet", remedy, look, bench.clock)
    return check, (cash[0] if cash else 0)


async def _approvals_of(bench: Bench, market: Market | None) -> tuple[Check, ...]:
    found: list[Check] = []

    async def look() -> Check:
        found.extend(await venue.check_approvals(bench, market))
        return found[0]

    check = await run_one("dollars approved", _NETWORK, look, bench.clock)
    return tuple(found) or (check,)


async def _together(looks: Sequence[Awaitable[Check]]) -> list[Check]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_awaited(look)) for look in looks]
    return [task.result() for task in running]


async def _awaited(look: Awaitable[Check]) -> Check:
    return await look


def _public(bench: Bench, market: Market | None) -> list[Awaitable[Check]]:
    """Checks that need no credentials."""
    clock = bench.clock
    return [
        run_one("Data API", _NETWORK, lambda: venue.check_data_api(bench), clock, soft=True),
        run_one("geoblock", _NETWORK, lambda: venue.check_region(bench), clock, soft=True),
        run_one("fee and tick", _NETWORK, lambda: venue.check_market(bench, market), clock, soft=True),
        run_one("market stream", _NETWORK, lambda: _market_stream(bench, market), clock),
        run_one(
            "spot stream",
            _NETWORK,
            lambda: venue.check_stream(bench, "spot stream", venue.spot_stream(bench), needs_message=True, soft=True),
            clock,
        ),
    ]


async def _market_stream(bench: Bench, market: Market | None) -> Check:
    if market is None:
        return unchecked("market stream", "no current market was found")
    stream = venue.market_stream(bench, market)
    return await venue.check_stream(bench, "market stream", stream, needs_message=True, soft=False)


def _private(bench: Bench) -> list[Awaitable[Check]]:
    """Checks that need credentials."""
    clock = bench.clock

    async def user() -> Check:
        stream = venue.user_stream(bench)
        return await venue.check_stream(bench, "user stream", stream, needs_message=False, soft=False)

    async def prices() -> Check:
        stream = venue.price_stream(bench)
        return await venue.check_stream(bench, "price stream", stream, needs_message=True, soft=True)

    return [
        run_one("wallet on chain", "check RPC_URL", lambda: venue.check_deployed(bench), clock, soft=True),
        run_one("closed-only", _NETWORK, lambda: venue.check_standing(bench), clock, soft=True),
        run_one("rate tier", _NETWORK, lambda: venue.check_tier(bench), clock, soft=True),
        run_one("user stream", _NETWORK, user, clock),
        run_one("price stream", _NETWORK, prices, clock, soft=True),
    ]


def _bankroll(settings: Settings, market: Market | None, cash: MicroDollars) -> Check:
    if market is None:
        return unchecked("bankroll", "no current market was found to take fee and minimum from")
    capital = parse_micros(settings.capital_total, field="CAPITAL_TOTAL")
    bankroll = min(capital, cash) if capital else cash
    told_by = "CAPITAL_TOTAL" if capital and capital <= cash else "the balance"
    if not bankroll:
        return warned("bankroll", "there are no dollars to trade with", "fund the wallet")
    sizing = strategy_config(settings).sizing
    return local.check_bankroll(sizing, bankroll, market.fees, market.minimum_size, told_by=told_by)


_NO_CREDENTIALS: Final = L2Credentials("none", "bm9uZQ==", "none")
"""Stands in a bench until the real ones are known; public questions do not use it."""
