"""The chat desk: who may write, what is too old, and the step of confirmation before a deed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from polystra.adapters.notify.telegram import ChatMessage
from polystra.app import chat_desk
from polystra.app.chat_desk import CONFIRM_S, TOO_OLD_S, ChatDesk
from polystra.app.settings import load_settings
from polystra.domain.controls import ControlWord, ManualCommand, RepairAnswer
from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.ports.audit import ApiCall
from polystra.ports.logbook import LogEvent
from polystra.ports.notify import AlertNotDelivered
from tests.fakes.clock import ManualClock, settle
from tests.fakes.telegram import TOKEN
from tests.unit.runtime.lines import Lines

START_S = 1_800_000_000
OWN, STRANGER = 7, 666


class FakeBot:
    """Gives what lies there, and keeps what is written."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.waiting: list[list[ChatMessage] | AlertNotDelivered] = []
        self.offsets: list[int] = []

    async def send(self, chat_id: int, text: str, *, silent: bool = False) -> None:
        self.sent.append((chat_id, text))

    async def messages(self, offset: int) -> list[ChatMessage]:
        self.offsets.append(offset)
        if not self.waiting:
            await asyncio.Event().wait()
        found = self.waiting.pop(0)
        if isinstance(found, AlertNotDelivered):
            raise found
        return found


class Audit:
    def __init__(self) -> None:
        self.calls: list[ApiCall] = []

    def record(self, call: ApiCall) -> None:
        self.calls.append(call)


class Bench:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bot = FakeBot()
        self.clock = ManualClock(START_S * NS_PER_S)
        self.log = Lines()
        self.audit = Audit()
        self.switched: list[tuple[ControlWord, int, str]] = []
        self.wished: list[ManualCommand] = []
        self.answer = RepairAnswer(
            command_id="1", ours=("p1: 10 shares, worst price 0.3",), outcome="p1: sold 10 shares"
        )
        self.held = "kill: polystra stop (since now)"
        values = {"DATA_DIR": str(folder), "TELEGRAM_TOKEN": TOKEN, "TELEGRAM_CHAT_IDS": f"{OWN},-9"}
        self.desk = ChatDesk(
            self.bot,
            load_settings(values, None),
            clock=self.clock,
            run_clock=self.clock,
            chance=Random(1),
            log=self.log,
            clean=lambda text: text.replace(TOKEN, "[hidden]"),
            audit=self.audit,
        )
        monkeypatch.setattr(chat_desk, "switch", self.switch)
        monkeypatch.setattr(chat_desk, "wish", self.wish)
        monkeypatch.setattr(self.desk._words, "switches", lambda: self.held)

    async def switch(self, _settings: Any, word: ControlWord, seconds: int = 0, *, source: str) -> str:
        self.switched.append((word, seconds, source))
        return "the running daemon has it"

    async def wish(self, _settings: Any, command: ManualCommand) -> RepairAnswer:
        self.wished.append(command)
        return self.answer

    async def say(self, text: str, *, chat_id: int = OWN, sent_s: int | None = None) -> str:
        """Write, and return the answer, empty when there is none."""
        count = len(self.bot.sent)
        sent = self.clock.now_ns() // NS_PER_S if sent_s is None else sent_s
        await self.desk.take(ChatMessage(update_id=1, chat_id=chat_id, sent_s=sent, text=text))
        return self.bot.sent[-1][1] if len(self.bot.sent) > count else ""

    async def confirm(self, answer: str) -> str:
        code = answer.split("/confirm ")[1][:4]
        return await self.say(f"/confirm {code}")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


async def test_strangers_are_ignored_named_once_and_counted(bench: Bench):
    for text in ("/stop", "/status", "hello"):
        assert await bench.say(text, chat_id=STRANGER) == ""
    assert await bench.say("/stop", chat_id=667) == ""
    assert [line["chat"] for line in bench.log.of(LogEvent.CHAT_IGNORED)] == [STRANGER, 667]
    assert bench.desk.ignored == 4
    assert not bench.switched
    assert not bench.audit.calls


async def test_a_switch_is_set_at_once_with_who_asked(bench: Bench):
    assert "Kill switch on" in await bench.say("/stop")
    assert "Entries stopped" in await bench.say("/stopentry@PolystraBot", chat_id=-9)
    assert "paused for 1800 s" in await bench.say("/pause 30m")
    assert bench.switched == [
        (ControlWord.STOP, 0, "telegram 7"),
        (ControlWord.STOPENTRY, 0, "telegram -9"),
        (ControlWord.PAUSE, 1_800, "telegram 7"),
    ]
    assert [(call.method, call.path, call.request, call.outcome) for call in bench.audit.calls] == [
        ("CHAT", "/stop", "telegram 7", "ok"),
        ("CHAT", "/stopentry", "telegram -9", "ok"),
        ("CHAT", "/pause", "telegram 7", "ok"),
    ]
    assert "expected a number with s, m, h or d" in await bench.say("/pause soon")
    assert len(bench.switched) == 3


async def test_start_asks_first_as_telegram_sends_it_by_itself(bench: Bench):
    asked = await bench.say("/start")
    assert "kill: polystra stop" in asked
    assert not bench.switched
    assert "Entries resumed" in await bench.confirm(asked)
    assert bench.switched == [(ControlWord.START, 0, "telegram 7")]
    bench.held = ""
    assert "nothing to resume" in await bench.say("/start")


async def test_a_forced_exit_shows_and_asks_and_then_sells(bench: Bench):
    assert "Write /forceexit ID" in await bench.say("/forceexit")
    asked = await bench.say("/forceexit all")
    assert asked.startswith("p1: 10 shares, worst price 0.3\nSell?\nSend /confirm ")
    assert [command.confirmed for command in bench.wished] == [False]
    assert await bench.confirm(asked) == "p1: sold 10 shares"
    assert [(command.confirmed, command.subject, command.source) for command in bench.wished] == [
        (False, "all", "telegram 7"),
        (True, "all", "telegram 7"),
    ]
    assert await bench.confirm(asked) == "Nothing waits for a confirmation: send the command again."
    assert len(bench.wished) == 2


async def test_a_wrong_code_a_late_one_and_another_chats_do_nothing(bench: Bench):
    asked = await bench.say("/forceexit all")
    code = asked.split("/confirm ")[1][:4]
    assert "Nothing waits" in await bench.say(f"/confirm {code}", chat_id=-9)
    wrong = "0000" if code != "0000" else "1111"
    assert "not the code" in await bench.say(f"/confirm {wrong}")
    assert "Nothing waits" in await bench.say(f"/confirm {code}")
    asked = await bench.say("/forceexit all")
    await bench.clock.advance(CONFIRM_S + 1)
    assert "Nothing waits" in await bench.confirm(asked)
    assert not any(command.confirmed for command in bench.wished)


async def test_a_refusal_is_told_and_nothing_waits_for_a_code(bench: Bench):
    bench.answer = RepairAnswer(command_id="1", refusal="below the venue's minimum of 5")
    assert await bench.say("/forceexit p1") == "below the venue's minimum of 5"


@pytest.mark.parametrize("text", ["/forceexit all", "/stop", "/start", "/status", "/confirm 1234"])
async def test_what_was_written_before_the_start_or_waited_for_long_is_not_carried_out(bench: Bench, text: str):
    assert "is not carried out" in await bench.say(text, sent_s=START_S - 1)
    await bench.clock.advance(1_000)
    assert "is not carried out" in await bench.say(text, sent_s=START_S + 1_000 - TOO_OLD_S - 1)
    assert not bench.switched
    assert not bench.wished
    assert {call.outcome for call in bench.audit.calls} == {"too old"}


async def test_a_message_reads_on_from_the_last_one_and_goes_on_after_trouble(bench: Bench):
    stop = ChatMessage(update_id=41, chat_id=OWN, sent_s=START_S, text="/stop")
    away = AlertNotDelivered("the bot got no answer", may_retry=True)
    bench.bot.waiting = [away, away, [stop], []]
    running = asyncio.ensure_future(bench.desk.run())
    for _ in range(10):
        await settle()
        await bench.clock.advance(1)
    running.cancel()
    assert bench.bot.offsets == [0, 0, 0, 42, 42]
    assert [word for word, _, _ in bench.switched] == [ControlWord.STOP]
    assert len(bench.log.of(LogEvent.CHAT_AWAY)) == 1


async def test_a_mistake_in_a_report_is_answered_and_logged_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    def broken(_rest: str) -> str:
        raise LookupError("no such figure")

    monkeypatch.setattr(bench.desk._words, "reports", lambda: {"status": broken})
    assert await bench.say("/status") == "/status failed by a mistake of the program (LookupError); the log has it"
    assert "no such figure" in str(bench.log.of(LogEvent.CONTROL_FAILED))


async def test_no_answer_holds_the_token_and_errors_are_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    async def refuse(*_: Any, **__: Any) -> str:
        raise ConfigError(f"DATA_DIR: no, {TOKEN}")

    monkeypatch.setattr(chat_desk, "switch", refuse)
    assert await bench.say("/stop") == "not done: DATA_DIR: no, [hidden]"
    assert TOKEN not in f"{bench.audit.calls} {bench.log.of(LogEvent.CONTROL_ASKED)}"
    assert "is not known" in await bench.say("/dance")
    assert "/forceexit" in await bench.say("/help")
    assert await bench.say("just talking") == ""
