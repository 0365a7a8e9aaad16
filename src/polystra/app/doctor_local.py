"""The doctor's checks of this machine: settings, key, database, disk, files, lock, money, calendar.

What lives here: one small function per check, each told what it looks at. What must not: the network
(`doctor_venue`), the order of checks (`doctor`).
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from polystra.adapters.polymarket.signing import SigningKey
from polystra.adapters.store.probe import lock_holder, read_schema
from polystra.app.checks import Check, failed, passed, unchecked, warned
from polystra.app.setting_files import read_env_file
from polystra.app.setting_secrets import KEYSTORE, PASSPHRASE_FILE, SECRETS
from polystra.app.setting_values import DAYS_OF_THE_WEEK
from polystra.app.settings import Mode, Settings, check_armed
from polystra.domain.market import FeeSchedule
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, Nanos, format_micros
from polystra.engine.strategy.sizing import SizingRules, cost_per_share, size_entry
from polystra.exchange.schedule import eastern_offset_s

DISK_LEAST_BYTES: Final = 100_000_000
DISK_LOW_BYTES: Final = 1_000_000_000
_DAY_S: Final = 86_400
_READ_BY_OTHERS: Final = stat.S_IROTH
_READ_BY_GROUP: Final = stat.S_IRGRP
_MOUNTED_SECRETS: Final = Path("/run/secrets")
_LARGEST_EDGE_PPM: Final = 300_000
_EDGE_STEP_PPM: Final = 1_000

EVEN_PRICE: Final[MicroPrice] = MICRO // 2
"""The price at which sizes are told: in the middle, where these markets open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where this process gets its settings from."""

    environ: Mapping[str, str]
    env_file: Path | None


def check_settings(settings: Settings, account: str) -> Check:
    """MODE, and in live the address that was typed out."""
    check_armed(settings, account)
    risk = "" if settings.mode is Mode.SIM else f"; LIVE_MAX_DOLLARS {settings.live_max_dollars}"
    if settings.mode is Mode.PAPER:
        risk += f"; a simulated account, PAPER_BALANCE_DOLLARS {settings.paper_balance_dollars} when it is new"
    return passed("settings", f"MODE {settings.mode.value}, account {account}{risk}")


def check_key(settings: Settings, key_text: str) -> Check:
    """The key is one, and it is told whose."""
    if settings.mode is Mode.PAPER:
        return passed("key", "none is needed: no order leaves in paper mode")
    address = SigningKey(key_text).address
    where = "of the simulation" if not settings.poly_private_key.get_secret_value() else "of POLY_PRIVATE_KEY"
    return passed("key", f"signer {address}, the address {where}")


def check_database(settings: Settings) -> Check:
    """The database can be written and its schema is known."""
    schema = read_schema(settings.resolved_database_url.get_secret_value())
    if not schema.exists or schema.revision is None:
        return passed("database", f"{schema.name} has no schema yet; the first start makes it ({schema.head})")
    if schema.revision != schema.head:
        return warned(
            "database",
            f"{schema.name} has schema {schema.revision}, this version needs {schema.head}",
            "back it up; the next start migrates it, or polystra db upgrade does it now",
        )
    return passed("database", f"{schema.name} is writable and at head ({schema.head})")


def check_lock(settings: Settings) -> Check:
    """Nobody else works with this database."""
    holder = lock_holder(settings.resolved_database_url.get_secret_value())
    if holder:
        return failed(
            "lock", holder, "leave it alone if that is your daemon at work; a second one does not start beside it"
        )
    return passed("lock", "no other daemon uses the database")


def check_disk(folder: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Check:
    """There is room for the database to grow."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = free_bytes(existing)
    told = f"{free / 1e9:.1f} GB free for {folder}"
    if free < DISK_LEAST_BYTES:
        return failed("disk", told, "free some space: a full disk stops the daemon in the middle of a trade")
    if free < DISK_LOW_BYTES:
        return warned("disk", told, "free some space before it runs full")
    return passed("disk", told)


def check_files(settings: Settings, place: Place) -> Check:
    """Nobody else can read keys, `.env` and the data."""
    values = dict(place.environ)
    failures: list[str] = []
    warnings: list[str] = []
    if place.env_file is not None:
        written = {line.name: line.value for line in read_env_file(place.env_file)}
        values = {**written, **values}
        holds_key = any(written.get(name) for name in SECRETS)
        _judge(place.env_file, failures if holds_key else warnings, warnings)
    for name in (*(f"{name}_FILE" for name in SECRETS), KEYSTORE, PASSPHRASE_FILE):
        path = values.get(name, "").strip()
        if path:
            file = Path(path).expanduser()
            mounted = file.absolute().is_relative_to(_MOUNTED_SECRETS)
            _judge(file, warnings if mounted else failures, warnings)
    if settings.data_dir.is_dir():
        _judge(settings.data_dir, warnings, warnings)
    found = "; ".join([*failures, *warnings])
    remedy = "chmod 600 the files that are named, chmod 700 the folder"
    if failures:
        return failed("files", found, remedy)
    return warned("files", found, remedy) if warnings else passed("files", "only their owner can read keys and data")


def _judge(path: Path, for_all: list[str], for_group: list[str]) -> None:
    mode = path.stat().st_mode
    if mode & _READ_BY_OTHERS:
        for_all.append(f"{path} is readable for everyone ({stat.filemode(mode)})")
    elif mode & _READ_BY_GROUP:
        for_group.append(f"{path} is readable for its group ({stat.filemode(mode)})")


# --- money -------------------------------------------------------------------------------


def check_bankroll(
    rules: SizingRules, bankroll: MicroDollars, fees: FeeSchedule, minimum_size: MicroShares, *, told_by: str
) -> Check:
    """Whether entries of this capital reach the venue's minimum, by the sizing that trades.

    Args:
        rules: as the strategy sizes.
        bankroll: micro-dollars free to trade with.
        fees: the schedule of a current market.
        minimum_size: its minimum in micro-shares.
        told_by: where the bankroll comes from, for the evidence.
    """
    least = smallest_edge_ppm(rules, bankroll, fees, minimum_size)
    capital = f"at {format_micros(bankroll)} dollars ({told_by})"
    shares, price = format_micros(minimum_size), format_micros(EVEN_PRICE)
    how = f"{rules.kelly_fraction:g} of Kelly" if rules.use_kelly else f"a trade of {format_micros(rules.trade_size)}"
    if least is None:
        return warned(
            "bankroll",
            f"{capital} {how} is below {shares} shares at {price} at any edge: no entry will be made",
            "add funds, or raise CAPITAL_TOTAL, MAX_TRADE_SIZE, KELLY_FRACTION or TRADE_SIZE_DOLLARS",
        )
    if least == 0 or not rules.use_kelly:
        return passed("bankroll", f"{capital} {how} is at least {shares} shares at {price}")
    return passed("bankroll", f"{capital} {how} is below {shares} shares up to an edge of {least / 10_000:.1f} %")


def smallest_edge_ppm(
    rules: SizingRules, bankroll: MicroDollars, fees: FeeSchedule, minimum_size: MicroShares
) -> int | None:
    """The least edge, in millionths of the price paid, at which the sizing makes an entry; None: at none."""
    for edge_ppm in range(0, _LARGEST_EDGE_PPM + 1, _EDGE_STEP_PPM):
        chance = cost_per_share(EVEN_PRICE, fees) + edge_ppm / MICRO * EVEN_PRICE / MICRO
        sized = size_entry(
            min(chance, 1.0), EVEN_PRICE, fees, minimum_size, rules, bankroll=bankroll, exposure_left=bankroll
        )
        if sized.quantity:
            return edge_ppm
    return None


# --- calendar ----------------------------------------------------------------------------


def check_restart(weekly: str, now_ns: Nanos) -> Check:
    """When the venue restarts next; a stop cannot be executed meanwhile."""
    if weekly == "OFF":
        return unchecked("weekly restart", "WEEKLY_RESTART is off")
    now_s = now_ns // 1_000_000_000
    at_s = next_restart_s(weekly, now_s)
    told = f"{datetime.fromtimestamp(at_s, UTC):%a %d %b %H:%M} UTC ({weekly} US Eastern), in {_length(at_s - now_s)}"
    if at_s - now_s < 3_600:
        return warned("weekly restart", told, "wait until it is over: neither stops nor cancels work meanwhile")
    return passed("weekly restart", told)


def next_restart_s(weekly: str, now_s: int) -> int:
    """The first such day and time (`TUE 07:00`) in US Eastern time after a UTC second, in UTC seconds."""
    day, _, clock_time = weekly.partition(" ")
    hours, _, minutes = clock_time.partition(":")
    offset_s = int(hours) * 3_600 + int(minutes) * 60
    midnight_s = (now_s + eastern_offset_s(now_s)) // _DAY_S * _DAY_S
    for ahead in range(9):
        wall_s = midnight_s + ahead * _DAY_S + offset_s
        second = wall_s - eastern_offset_s(wall_s - eastern_offset_s(wall_s))
        is_the_day = datetime.fromtimestamp(wall_s, UTC).weekday() == DAYS_OF_THE_WEEK.index(day)
        if is_the_day and second > now_s:
            return second
    raise ValueError(f"weekly is {weekly!r}, expected a day and a time")


def _length(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_S)
    hours, rest = divmod(rest, 3_600)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min"
