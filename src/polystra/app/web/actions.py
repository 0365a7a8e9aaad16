"""Actions: switches, exits and entries by hand, new settings; the way of the commands of the same names.

What lives here: bodies, handlers, the sentence that says what was done. What must not: the token (`guard`), judgement:
the daemon takes a command file up, the engine decides, and the answer waits for what was committed. Whatever is asked
here is audited by who serves it (`application`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

import msgspec

from polystra.app.control_commands import meaning_of, pause_seconds
from polystra.app.control_road import switch, wish
from polystra.app.engine_settings import exit_config
from polystra.app.manual_commands import entry_of
from polystra.app.web.refusal import Refused
from polystra.app.web.route import Ask
from polystra.app.web.site import Site
from polystra.domain.controls import LONGEST_PAUSE_S, ControlWord, ManualAct, ManualCommand
from polystra.domain.errors import ConfigError, StoreError
from polystra.domain.units import MICRO, format_micros
from polystra.ports.viewing import HeldPosition

EVERYTHING: Final = "all"
_WORD: Final = r"^[!-~]{1,200}$"
_NUMBER: Final = r"^[0-9]{1,8}(\.[0-9]{1,6})?$"


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class PauseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long: one of the two."""

    minutes: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=LONGEST_PAUSE_S // 60)] | None,
        msgspec.Meta(description="a number of minutes from 1"),
    ] = None
    length: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,5}[smhd]$")] | None,
        msgspec.Meta(description="a length such as 90s, 30m, 2h or 1d"),
    ] = msgspec.field(default=None, name="for")


class ExitBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to sell: one of the two."""

    id: Annotated[
        Annotated[str, msgspec.Meta(pattern=_WORD)] | None,
        msgspec.Meta(description="a position's id, or how it begins; or all"),
    ] = None
    all: Annotated[bool, msgspec.Meta(description="true: every open position")] = False


class EntryBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to buy, at the market."""

    market: Annotated[str, msgspec.Meta(pattern=_WORD, description="a watched market's slug or condition id")]
    outcome: Annotated[Literal["UP", "DOWN", "up", "down"], msgspec.Meta(description="UP or DOWN")]
    dollars: Annotated[
        str, msgspec.Meta(pattern=_NUMBER, description="how much to spend as decimal text, fees not counted")
    ]
    price: Annotated[
        str, msgspec.Meta(pattern=r"^(0\.[0-9]{1,6})?$", description="the worst price; empty: what the size needs now")
    ] = ""


class ReloadBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether only to look."""

    check: Annotated[bool, msgspec.Meta(description="true: show what would change, and change nothing")] = False


class ExitQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which positions."""

    id: Annotated[str, msgspec.Meta(pattern=_WORD, description="a position's id, or how it begins; or all")] = (
        EVERYTHING
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done in one sentence, and what it was about."""

    done: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitOffer:
    """What an exit of a position would take at worst; null where nobody bids now."""

    position_id: str
    shares: str
    best_bid: str | None
    worst_price: str | None
    proceeds: str | None
    """Dollars for all shares at the worst price, before the fee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitOffers:
    """One line for each position that is meant."""

    lines: tuple[ExitOffer, ...]


async def stop(site: Site, ask: Ask) -> Done:
    """Throw the kill switch."""
    return await _switch(site, ask, ControlWord.STOP)


async def start(site: Site, ask: Ask) -> Done:
    """Resume entries."""
    return await _switch(site, ask, ControlWord.START)


async def stopentry(site: Site, ask: Ask) -> Done:
    """Make no new entries."""
    return await _switch(site, ask, ControlWord.STOPENTRY)


async def pause(site: Site, ask: Ask) -> Done:
    """Make no new entries for a while."""
    body: PauseBody = ask.body
    if (body.minutes is None) is (body.length is None):
        raise Refused(400, 'a pause needs its length: either {"minutes": 30} or {"for": "30m"}')
    if body.minutes is not None:
        return await _switch(site, ask, ControlWord.PAUSE, body.minutes * 60)
    try:
        seconds = pause_seconds(body.length or "")
    except ValueError as error:
        raise Refused(400, str(error)) from error
    return await _switch(site, ask, ControlWord.PAUSE, seconds)


async def forceexit(site: Site, ask: Ask) -> Done:
    """Sell a position, or all, at the market."""
    body: ExitBody = ask.body
    if (body.id is None) is not body.all:
        raise Refused(400, 'name what to sell: either {"id": "..."} or {"all": true}')
    return await _wish(site, ask, ManualCommand(command_id="", act=ManualAct.FORCE_EXIT, subject=body.id or EVERYTHING))


async def forceenter(site: Site, ask: Ask) -> Done:
    """Buy an outcome at the market."""
    body: EntryBody = ask.body
    try:
        command = entry_of(body.market, body.outcome, body.dollars, body.price)
    except ValueError as error:
        raise Refused(400, str(error)) from error
    return await _wish(site, ask, command)


async def reload_config(site: Site, ask: Ask) -> Done:
    """Read the settings anew."""
    body: ReloadBody = ask.body
    return await _wish(site, ask, ManualCommand(command_id="", act=ManualAct.RELOAD), confirmed=not body.check)


async def offers(site: Site, ask: Ask) -> ExitOffers:
    """The worst price of an exit, from the book of this second; nothing is asked of anybody."""
    wanted = ask.query.id
    held = [each for each in site.view().positions if each.booked.shares > 0]
    if wanted != EVERYTHING:
        exact = [each for each in held if each.recorded.position_id == wanted]
        held = exact or [each for each in held if each.recorded.position_id.startswith(wanted)]
        if not held:
            raise Refused(404, "no open position has such an id: /api/v1/positions?state=open lists them")
    return ExitOffers(lines=tuple(_offer(site, each) for each in held))


# --- inside ---------------------------------------------------------------------------


async def _switch(site: Site, ask: Ask, word: ControlWord, seconds: int = 0) -> Done:
    try:
        outcome = await switch(site.settings, word, seconds, source=f"api {ask.client}")
    except ConfigError as error:
        raise Refused(409, site.clean(str(error))) from error
    except StoreError as error:
        raise Refused(503, site.clean(f"the database does not answer: {error}")) from error
    return Done(done=f"{meaning_of(word, seconds)} ({outcome})")


async def _wish(site: Site, ask: Ask, command: ManualCommand, *, confirmed: bool = True) -> Done:
    try:
        answer = await wish(site.settings, replace(command, confirmed=confirmed, source=f"api {ask.client}"))
    except ConfigError as error:
        raise Refused(409, site.clean(str(error))) from error
    except StoreError as error:
        raise Refused(503, site.clean(f"the database does not answer: {error}")) from error
    if answer.refusal:
        raise Refused(409, site.clean(answer.refusal))
    done = answer.outcome or ("nothing was changed: it was only looked at" if answer.ours else "nothing differs")
    return Done(done=site.clean(done), lines=tuple(site.clean(line) for line in answer.ours))


def _offer(site: Site, held: HeldPosition) -> ExitOffer:
    """The floor that the engine would sell at (`engine.positions.exit_selling`), on the grid of the market."""
    shares, bid = held.booked.shares, None if held.book is None or not held.book.in_sync else held.book.bid
    market = next(
        (each.market for each in site.view().markets if each.market.condition_id == held.recorded.condition_id), None
    )
    worst = None
    if bid is not None and market is not None:
        worst = market.price_at_or_below(bid - bid * exit_config(site.settings).worst_price_ppm // MICRO)
    return ExitOffer(
        position_id=held.recorded.position_id,
        shares=format_micros(shares),
        best_bid=None if bid is None else format_micros(bid),
        worst_price=None if worst is None else format_micros(worst),
        proceeds=None if worst is None else format_micros(shares * worst // MICRO),
    )
