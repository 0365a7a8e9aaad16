from __future__ import annotations

from polystra.domain.controls import (
    CLEARED_BY_START,
    ControlCommand,
    ControlWord,
    RepairAnswer,
    RepairCommand,
    changes,
    wishes,
)
from polystra.domain.events import SwitchName, SwitchRequested
from polystra.domain.facts import SwitchChanged
from polystra.domain.units import NS_PER_S
from polystra.ports.controls import ControlReading
from polystra.ports.logbook import LogEvent
from polystra.runtime.control_desk import ControlDesk
from polystra.runtime.inbox import Inbox
from tests.fakes.clock import ManualClock
from tests.unit.engine.desk import START_NS
from tests.unit.runtime.lines import Lines


class Shelf:
    """Controls by hand."""

    def __init__(self) -> None:
        self.commands: list[ControlCommand] = []
        self.kill_file = ""
        self.problems: tuple[str, ...] = ()
        self.repairs: list[RepairCommand] = []
        self.answers: list[RepairAnswer] = []
        self.withdrawn: set[str] = set()

    def read(self) -> ControlReading:
        return ControlReading(
            commands=tuple(self.commands),
            repairs=tuple(self.repairs),
            kill_file=self.kill_file,
            problems=self.problems,
        )

    def answer(self, answer: RepairAnswer) -> None:
        self.answers.append(answer)

    def done(self, command_id: str) -> bool:
        """As the files do, but that what was never left here counts as there."""
        gone, self.withdrawn = command_id in self.withdrawn, self.withdrawn - {command_id}
        self.repairs = [command for command in self.repairs if command.command_id != command_id]
        self.commands = [command for command in self.commands if command.command_id != command_id]
        return not gone


class Bench:
    def __init__(self) -> None:
        self.shelf = Shelf()
        self.inbox = Inbox()
        self.log = Lines()
        self.desk = ControlDesk(controls=self.shelf, clock=ManualClock(START_NS), inbox=self.inbox, log=self.log)

    async def look(self) -> list[SwitchRequested]:
        self.desk.look()
        taken = await self.inbox.take(100) if len(self.inbox) else []
        return [event for event in taken if isinstance(event, SwitchRequested)]


def command(word: ControlWord, seconds: int = 0) -> ControlCommand:
    return ControlCommand(command_id=f"1-{word}", word=word, seconds=seconds)


async def test_a_command_is_asked_once_and_goes_after_the_commit_of_its_last_request():
    bench = Bench()
    bench.shelf.commands = [command(ControlWord.START)]
    requests = await bench.look()
    assert {request.name for request in requests} == set(CLEARED_BY_START)
    assert not await bench.look()
    for request in requests[:-1]:
        bench.desk.committed(request)
    assert bench.shelf.commands
    bench.desk.committed(requests[-1])
    assert not bench.shelf.commands


async def test_a_pause_is_reckoned_from_the_clock_of_the_run():
    bench = Bench()
    bench.shelf.commands = [command(ControlWord.PAUSE, 1_800)]
    [request] = await bench.look()
    assert (request.name, request.on) == (SwitchName.PAUSE, True)
    assert request.until_ns == START_NS + 1_800 * NS_PER_S


async def test_the_kill_file_asks_as_long_as_it_is_there_and_its_absence_asks_nothing():
    bench = Bench()
    bench.shelf.kill_file = "data/KILL"
    for _ in range(2):
        [request] = await bench.look()
        assert (request.name, request.on, request.source) == (SwitchName.KILL, True, "file")
    bench.shelf.kill_file = ""
    assert not await bench.look()


async def test_a_problem_is_told_once():
    bench = Bench()
    bench.shelf.problems = ("x is no command",)
    await bench.look()
    await bench.look()
    assert bench.log.of(LogEvent.CONTROL_FAILED) == [{"problem": "x is no command"}]


async def test_requests_of_others_are_no_commands():
    bench = Bench()
    bench.shelf.commands = [command(ControlWord.STOP)]
    assert await bench.look()
    bench.desk.committed(SwitchRequested(name=SwitchName.KILL, on=True, reason="", source="api"))
    assert bench.shelf.commands == [command(ControlWord.STOP)]


def test_without_a_daemon_only_what_changes_is_written():
    wanted = wishes(command(ControlWord.STOP), START_NS)
    [kill] = changes(wanted, {}, START_NS)
    known = {(kill.name, ""): kill}
    assert not changes(wanted, known, START_NS)
    cleared = changes(wishes(command(ControlWord.START), START_NS), known, START_NS)
    assert [(fact.name, fact.on) for fact in cleared] == [(SwitchName.KILL, False)]
    assert isinstance(kill, SwitchChanged)
