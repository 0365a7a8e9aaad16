"""The chat desk: what allowed people write to the Telegram bot, carried out and answered.

What lives here: the reading of messages for ever, who may write, which messages are too old, the step of
confirmation. What must not: the words of answers (`chat_words`), Telegram's protocol (`adapters.notify.telegram`).

It runs on the loop that alerts leave from, never on the trading loop: a command reaches the daemon by the same files
as `polystra stop`, and figures come from the database by a reader of their own. A message of before the start, or one
that waited for minutes, is answered and not carried out: nobody wants yesterday's /forceexit. Strangers are ignored,
named once in the log and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Protocol

from polystra.adapters.notify.telegram import ChatMessage
from polystra.app.chat_words import HELP, ChatWords
from polystra.app.control_commands import meaning_of, pause_seconds
from polystra.app.control_road import switch, wish
from polystra.app.settings import Settings
from polystra.domain.controls import ControlWord, ManualAct, ManualCommand, RepairAnswer
from polystra.domain.errors import PolystraError
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.audit import ApiAudit, ApiCall
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.notify import AlertNotDelivered
from polystra.runtime.log import Log

TOO_OLD_S: Final = 120
"""A message that waited longer is not carried out."""
CONFIRM_S: Final = 60
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
_STRANGERS_NAMED: Final = 100
_LONGEST_SHOWN: Final = 200


class Bot(Protocol):
    """What the desk needs of Telegram."""

    async def send(self, chat_id: int, text: str, *, silent: bool = False) -> None:
        """Write to a chat; raises AlertNotDelivered."""
        ...

    async def messages(self, offset: int) -> list[ChatMessage]:
        """Messages from `offset` on; raises AlertNotDelivered."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """What waits for a chat's confirmation."""

    code: str
    until_ns: Nanos
    deed: Callable[[], Awaitable[str]]


class ChatDesk:
    """See the module docstring. `clock` is real; `run_clock` is the run's, for the audit."""

    def __init__(
        self,
        bot: Bot,
        settings: Settings,
        *,
        clock: Clock,
        run_clock: Clock,
        chance: Random,
        log: Log,
        clean: Callable[[str], str],
        audit: ApiAudit | None = None,
    ) -> None:
        self._bot = bot
        self._settings = settings
        self._clock = clock
        self._run_clock = run_clock
        self._chance = chance
        self._log = log
        self._clean = clean
        self._audit = audit
        self._words = ChatWords(settings)
        self._started_s = clock.now_ns() // NS_PER_S
        self._offset = 0
        self._asked: dict[int, _Asked] = {}
        self._strangers: set[int] = set()
        self._told_trouble = ""
        self.ignored = 0
        """Messages of strangers."""

    async def run(self) -> None:
        """Read and answer for ever; each message in a task of its own, so that a stop never waits for a report."""
        pause_s = FIRST_PAUSE_S
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    messages = await self._bot.messages(self._offset)
                except AlertNotDelivered as error:
                    self._trouble(str(error))
                    await self._clock.sleep(max(pause_s, error.retry_after_s))
                    pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
                    continue
                pause_s, self._told_trouble = FIRST_PAUSE_S, ""
                for message in messages:
                    self._offset = max(self._offset, message.update_id + 1)
                    group.create_task(self.take(message))
                if not messages:
                    await self._clock.sleep(0)

    async def take(self, message: ChatMessage) -> None:
        """Answer one message."""
        if message.chat_id not in self._settings.telegram_chat_ids:
            self._ignore(message)
            return
        if not message.text.startswith("/"):
            return
        name, _, rest = message.text[1:].strip().partition(" ")
        name = name.partition("@")[0].lower()
        age_s = self._clock.now_ns() // NS_PER_S - message.sent_s
        if message.sent_s < self._started_s or age_s > TOO_OLD_S:
            answer = f"/{name[:_LONGEST_SHOWN]} was sent {age_s} s ago and is not carried out: send it again"
            self._note(message.chat_id, name, "too old")
        else:
            answer = await self._answer(message.chat_id, name, rest.strip())
        try:
            await self._bot.send(message.chat_id, self._clean(answer))
        except AlertNotDelivered as error:
            self._trouble(str(error))

    # --- inside -----------------------------------------------------------------------

    async def _answer(self, chat_id: int, name: str, rest: str) -> str:
        try:
            if name in ("stop", "stopentry", "pause"):
                return await self._switch(chat_id, name, rest)
            if name == "start":
                return await self._start(chat_id)
            if name == "forceexit":
                return await self._forceexit(chat_id, rest)
            if name == "reload_config":
                return await self._reload(chat_id)
            if name == "confirm":
                return await self._confirm(chat_id, rest)
            report = self._words.reports().get(name)
            if report is not None:
                return await asyncio.get_running_loop().run_in_executor(None, report, rest)
        except (PolystraError, ValueError, OSError) as error:
            self._note(chat_id, name, f"failed: {error}")
            return f"not done: {error}"
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            # A bug in an answer must not silence the alerts, which leave from the same loop.
            self._log.error(LogEvent.CONTROL_FAILED, problem=f"/{name}: {type(error).__name__}: {error}")
            return f"/{name} failed by a mistake of the program ({type(error).__name__}); the log has it"
        return HELP if name == "help" else f"/{name[:_LONGEST_SHOWN]} is not known.\n{HELP}"

    async def _switch(self, chat_id: int, name: str, rest: str) -> str:
        word = ControlWord(name)
        seconds = pause_seconds(rest) if word is ControlWord.PAUSE else 0
        outcome = await switch(self._settings, word, seconds, source=_source(chat_id))
        self._note(chat_id, name, outcome)
        return f"{meaning_of(word, seconds)} ({outcome})"

    async def _start(self, chat_id: int) -> str:
        """Telegram's own button sends /start when a chat is opened: it must not end a stop by itself."""
        loop = asyncio.get_running_loop()
        held = await loop.run_in_executor(None, self._words.switches)
        if not held:
            return f"Nothing stops entries: there is nothing to resume.\n{HELP}"

        async def deed() -> str:
            outcome = await switch(self._settings, ControlWord.START, source=_source(chat_id))
            self._note(chat_id, "start", outcome)
            return f"{meaning_of(ControlWord.START)} ({outcome})"

        return self._ask(chat_id, f"Entries are stopped by:\n{held}\nResume them?", deed)

    async def _forceexit(self, chat_id: int, subject: str) -> str:
        if not subject:
            return "Write /forceexit ID or /forceexit all; /positions lists the ids."
        command = ManualCommand(
            command_id="", act=ManualAct.FORCE_EXIT, subject=subject[:_LONGEST_SHOWN], source=_source(chat_id)
        )
        shown = await wish(self._settings, command)
        if shown.refusal:
            return _lines(shown, shown.refusal)

        async def deed() -> str:
            answer = await wish(self._settings, replace(command, confirmed=True))
            self._note(chat_id, "forceexit", answer.refusal or answer.outcome)
            return f"not done: {answer.refusal}" if answer.refusal else answer.outcome

        return self._ask(chat_id, _lines(shown, "Sell?"), deed)

    async def _reload(self, chat_id: int) -> str:
        command = ManualCommand(command_id="", act=ManualAct.RELOAD, confirmed=True, source=_source(chat_id))
        answer = await wish(self._settings, command)
        self._note(chat_id, "reload_config", answer.refusal or answer.outcome)
        return _lines(answer, answer.refusal or answer.outcome)

    async def _confirm(self, chat_id: int, code: str) -> str:
        asked = self._asked.pop(chat_id, None)
        if asked is None or self._clock.monotonic_ns() > asked.until_ns:
            return "Nothing waits for a confirmation: send the command again."
        if code != asked.code:
            return "That is not the code: nothing is done, send the command again."
        return await asked.deed()

    def _ask(self, chat_id: int, words: str, deed: Callable[[], Awaitable[str]]) -> str:
        """Keep a deed until its code comes; a later one takes its place."""
        code = f"{self._chance.randrange(10_000):04d}"
        until_ns = self._clock.monotonic_ns() + CONFIRM_S * NS_PER_S
        self._asked[chat_id] = _Asked(code, until_ns, deed)
        return f"{words}\nSend /confirm {code} within {CONFIRM_S} s."

    def _ignore(self, message: ChatMessage) -> None:
        self.ignored += 1
        if message.chat_id in self._strangers or len(self._strangers) >= _STRANGERS_NAMED:
            return
        self._strangers.add(message.chat_id)
        self._log.warning(LogEvent.CHAT_IGNORED, chat=message.chat_id, ignored=self.ignored)

    def _note(self, chat_id: int, name: str, outcome: str) -> None:
        """Every deed stands in the log and in the audit, with who asked for it."""
        source, words = _source(chat_id), self._clean(outcome)
        self._log.warning(LogEvent.CONTROL_ASKED, command=name, subject="", source=source, outcome=words)
        if self._audit is not None:
            self._audit.record(
                ApiCall(
                    at_ns=self._run_clock.now_ns(),
                    method="CHAT",
                    path=f"/{name[:_LONGEST_SHOWN]}",
                    latency_ns=0,
                    status=None,
                    request=source,
                    reply=words,
                    outcome="ok" if not words.startswith(("failed", "too old")) else words.partition(":")[0],
                )
            )

    def _trouble(self, words: str) -> None:
        """Once for each new trouble."""
        if words != self._told_trouble:
            self._told_trouble = words
            self._log.warning(LogEvent.CHAT_AWAY, error=self._clean(words))


def _source(chat_id: int) -> str:
    return f"telegram {chat_id}"


def _lines(answer: RepairAnswer, last: str) -> str:
    return "\n".join([*answer.ours, last])
