"""The manual desk: first what a wish would do, then the deed, and an answer either way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from polystra.domain.controls import ManualAct, ManualCommand, RepairAnswer
from polystra.domain.events import (
    CancelAccepted,
    ConfigChanged,
    EntryRequested,
    ExitRequested,
    TokenBalanceRead,
    VenueOrderStatus,
    WorldEvent,
)
from polystra.domain.facts import NoticeKind
from polystra.domain.market import Outcome
from polystra.domain.units import MICRO
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig
from polystra.ports.logbook import LogEvent
from polystra.runtime.inbox import Inbox
from polystra.runtime.manual_desk import ManualDesk
from polystra.runtime.settings_source import SettingsReading
from tests.fakes.clock import ManualClock, settle
from tests.unit.engine.desk import CENT, CONDITION, MARKET, Desk
from tests.unit.runtime.lines import Lines
from tests.unit.runtime.test_control_desk import Shelf


class File:
    """Settings by hand."""

    def __init__(self) -> None:
        self.allows_entries_by_hand = True
        self.reading = SettingsReading()
        self.takes = 0

    def read(self, config: EngineConfig) -> SettingsReading:
        return self.reading

    def taken(self) -> None:
        self.takes += 1


class Bench:
    def __init__(self) -> None:
        self.engine = Desk().ready()
        self.clock = ManualClock(self.engine.now_ns)
        self.shelf = Shelf()
        self.inbox = Inbox()
        self.log = Lines()
        self.file = File()
        self.desk = ManualDesk(
            controls=self.shelf,
            state=self.engine.state,
            inbox=self.inbox,
            clock=self.clock,
            log=self.log,
            settings=self.file,
        )
        self.desk.open()

    async def ask(self, wanted: ManualCommand, *, fills: bool = False) -> tuple[RepairAnswer, list[WorldEvent]]:
        """Carry a wish out while the engine works; `fills`: what it sends is filled at once."""
        task = asyncio.ensure_future(self.desk.carry_out(wanted))
        taken: list[WorldEvent] = []
        for _ in range(200):
            await settle()
            if task.done():
                break
            self.engine.clear()
            if len(self.inbox):
                batch = list(await self.inbox.take(100))
                taken += batch
                self.engine.step(*batch)
            self.engine.advance(0.5)
            for question in self.engine.asked(fx.ReadTokenBalance):
                held = self.engine.position().shares
                self.engine.step(TokenBalanceRead(token_id=question.token_id, shares=held, at_ns=self.engine.now_ns))
            for order_id in self.engine.cancels():
                self.engine.step(CancelAccepted(order_id=order_id))
            for order_id in self.engine.lookups():
                found = self.engine.state.track_of(order_id)
                assert found is not None
                self.engine.answer(found)
            if fills and self.engine.sent():
                track = self.engine.last_order()
                terms = track.order.terms
                self.engine.accept(track, status=VenueOrderStatus.MATCHED)
                self.engine.fill(track, terms.quantity / MICRO, terms.price / CENT, maker=False)
            self.desk.heard(self.engine.facts)
            await self.clock.advance(0.5)
        return await task, taken


def leave(subject: str = "all", *, confirmed: bool = True) -> ManualCommand:
    return ManualCommand(
        command_id="w1", act=ManualAct.FORCE_EXIT, subject=subject, confirmed=confirmed, source="a test"
    )


def entry(*, confirmed: bool = True, dollars: int = 10, subject: str = MARKET.slug, price: int = 0) -> ManualCommand:
    return ManualCommand(
        command_id="e1",
        act=ManualAct.FORCE_ENTER,
        subject=subject,
        outcome="UP",
        budget=dollars * MICRO,
        price=price,
        confirmed=confirmed,
        source="a test",
    )


async def test_an_exit_shows_price_worst_price_and_fee_and_does_nothing():
    bench = Bench()
    bench.engine.hold()
    answer, taken = await bench.ask(leave(confirmed=False))
    [line] = answer.ours
    assert "10 shares, bought at 0.5" in line
    assert "best bid 0.49, about 4.9 dollars at 0.49 on average, worst price 0.34, fee about 0.17493 dollars" in line
    assert not taken
    assert not answer.refusal
    assert not answer.outcome


async def test_a_confirmed_exit_sells_and_says_what_came_of_it():
    bench = Bench()
    position = bench.engine.hold()
    bench.engine.advance(10)
    bench.engine.accept(bench.engine.last_order())
    name = position.position_id
    answer, taken = await bench.ask(leave(name[:12]), fills=True)
    assert taken == [ExitRequested(request_id="w1", position_id=name, source="a test")]
    assert answer.outcome.startswith(f"{name}: sold 10 shares, nothing is left; result ")
    [line] = bench.log.of(LogEvent.CONTROL_ASKED)
    assert (line["command"], line["source"]) == ("forceexit", "a test")


async def test_an_exit_that_takes_long_is_said_to_go_on():
    bench = Bench()
    name = bench.engine.hold().position_id
    answer, _ = await bench.ask(leave())
    assert answer.outcome == f"{name}: sold 0 shares so far, 10 are left; the daemon goes on selling"


async def test_fewer_shares_than_the_minimum_are_refused_with_a_remedy():
    bench = Bench()
    track = bench.engine.enter()
    bench.engine.accept(track).fill(track, 4)
    answer, taken = await bench.ask(leave())
    assert "holds 4 shares, below the venue's minimum of 5" in answer.refusal
    assert "held to the market's verdict" in answer.refusal
    assert not taken


async def test_an_unknown_position_and_no_position_at_all_are_said():
    bench = Bench()
    assert "no position is open" in (await bench.ask(leave()))[0].refusal
    name = bench.engine.hold().position_id
    answer, _ = await bench.ask(leave("eth-"))
    assert answer.refusal == f"no open position is called eth-; open: {name}"


async def test_a_frozen_market_is_not_sold():
    bench = Bench()
    bench.engine.hold()
    bench.engine.state.markets[CONDITION].frozen = "the venue contradicts us"
    assert "frozen: the venue contradicts us" in (await bench.ask(leave()))[0].refusal


async def test_entries_by_hand_are_off_until_somebody_allows_them():
    bench = Bench()
    bench.file.allows_entries_by_hand = False
    answer, taken = await bench.ask(entry())
    assert "FORCE_ENTRY_ENABLE=YES" in answer.refusal
    assert not taken


async def test_an_entry_shows_what_it_buys_and_then_buys_it_at_no_worse_price():
    bench = Bench()
    shown, taken = await bench.ask(entry(confirmed=False))
    [line] = shown.ours
    assert "best ask 0.51; 10 dollars buy about 19.607843 shares at 0.51, worst price 0.51" in line
    assert not taken
    answer, taken = await bench.ask(entry(), fills=True)
    [asked] = taken
    assert asked == EntryRequested(
        request_id="e1",
        condition_id=CONDITION,
        outcome=Outcome.UP,
        price=51 * CENT,
        budget=10 * MICRO,
        source="a test",
    )
    assert "19.6 shares bought for 9.996 dollars" in answer.outcome
    assert bench.engine.position().position_id in answer.outcome


async def test_an_entry_that_the_limits_refuse_is_answered_in_the_engines_words():
    bench = Bench()
    answer, _ = await bench.ask(entry(dollars=200))
    assert "cash and limits leave" in answer.refusal
    assert "no market x is watched" in (await bench.ask(entry(subject="x")))[0].refusal


async def test_new_settings_are_taken_after_the_engine_took_them():
    bench = Bench()
    bench.file.reading = SettingsReading(
        words=("STOP_LOSS_PERCENT 50 -> 20",), changes=(("exits.stop_loss_ppm", "200000"),)
    )
    command = ManualCommand(command_id="s1", act=ManualAct.RELOAD)
    answer, taken = await bench.ask(command)
    assert (answer.ours, taken, bench.file.takes) == (("STOP_LOSS_PERCENT 50 -> 20",), [], 0)
    answer, taken = await bench.ask(replace(command, confirmed=True, source="SIGHUP"))
    assert answer.outcome == "1 settings changed"
    assert [type(each) for each in taken] == [ConfigChanged]
    assert bench.engine.state.config.exits.stop_loss_ppm == 200_000
    assert bench.file.takes == 1
    assert bench.engine.notices(NoticeKind.CONFIG_CHANGED)[0].message.endswith("(asked for by SIGHUP)")


async def test_settings_that_cannot_be_taken_change_nothing_and_are_logged():
    bench = Bench()
    bench.file.reading = SettingsReading(refusal="nothing was changed: SYMBOLS needs a restart", words=("SYMBOLS",))
    answer, taken = await bench.ask(ManualCommand(command_id="s1", act=ManualAct.RELOAD, confirmed=True))
    assert answer.refusal == "nothing was changed: SYMBOLS needs a restart"
    assert not taken
    assert not bench.file.takes
    [line] = bench.log.of(LogEvent.CONTROL_ASKED)
    assert line["outcome"] == answer.refusal


async def test_a_wish_from_a_file_is_taken_once_and_answered_by_a_file():
    bench = Bench()
    running = asyncio.ensure_future(bench.desk.run())
    bench.shelf.withdrawn = {"gone"}
    bench.desk.take(replace(leave(), command_id="gone"))
    bench.desk.take(leave())
    await settle()
    running.cancel()
    assert [answer.command_id for answer in bench.shelf.answers] == ["w1"]


async def test_a_wish_of_before_the_start_is_not_carried_out():
    bench = Bench()
    desk = ManualDesk(
        controls=bench.shelf,
        state=bench.engine.state,
        inbox=bench.inbox,
        clock=bench.clock,
        log=bench.log,
        settings=None,
    )
    desk.take(leave())
    desk.open()
    running = asyncio.ensure_future(desk.run())
    await settle()
    running.cancel()
    assert not bench.shelf.answers
