"""Telegram's bot API over a real socket: what is sent, what is read, what errors may say."""

from __future__ import annotations

import pytest

from polystra.adapters.notify.telegram import LONGEST, ChatMessage, TelegramBot, TelegramChannel
from polystra.ports.notify import Alert, AlertNotDelivered, Severity
from tests.fakes.telegram import TOKEN, FakeTelegram
from tests.fakes.threaded_server import WallClock


def bot(url: str) -> TelegramBot:
    return TelegramBot(TOKEN, base_url=url, clock=WallClock(), poll_s=1)


def alert(severity: Severity, text: str = "look") -> Alert:
    return Alert(kind="freeze", subject="btc", severity=severity, text=text, at_ns=1)


async def test_an_alert_goes_to_every_chat_and_only_grave_ones_make_a_sound():
    server = FakeTelegram()
    with server.serving() as url:
        channel = TelegramChannel(bot(url), (7, -100), silent_below=Severity.WARNING)
        await channel.send(alert(Severity.INFO))
        await channel.send(alert(Severity.CRITICAL, "x" * 5_000))
        await channel.close()
    assert [(each["chat_id"], each["disable_notification"]) for each in server.sent] == [
        (7, True),
        (-100, True),
        (7, False),
        (-100, False),
    ]
    assert server.sent[0]["text"] == "🟢 freeze: look"
    assert len(server.sent[2]["text"]) == LONGEST
    assert "parse_mode" not in server.sent[0]


async def test_messages_are_read_from_the_offset_on_and_odd_ones_are_not_dropped_unread():
    server = FakeTelegram()
    server.write(7, "/status", age_s=5)
    server.put({"update_id": 500, "message": {"chat": {"id": "x"}, "date": None, "text": ["/stop"]}})
    server.put({"update_id": 501, "edited_message": {"text": "/stop"}})
    server.put("nothing")
    with server.serving() as url:
        asked = bot(url)
        first = await asked.messages(0)
        rest = await asked.messages(501)
        await asked.close()
    assert [(each.update_id, each.chat_id, each.text) for each in first] == [
        (101, 7, "/status"),
        (500, 0, ""),
        (501, 0, ""),
    ]
    assert rest == [ChatMessage(update_id=501, chat_id=0, sent_s=0, text="")]
    assert server.asked == [0, 501]


@pytest.mark.parametrize(
    ("status", "may_retry", "words"),
    [
        (401, False, "check TELEGRAM_TOKEN"),
        (403, False, "start a chat"),
        (409, False, "another program"),
        (502, True, "502"),
    ],
)
async def test_a_refusal_says_what_to_do_and_no_token(status, may_retry, words):
    server = FakeTelegram()
    server.status = status
    with server.serving() as url:
        asked = bot(url)
        with pytest.raises(AlertNotDelivered, match=words) as caught:
            await asked.send(7, "hello")
        await asked.close()
    assert caught.value.may_retry is may_retry
    assert TOKEN not in f"{caught.value!r} {caught.value} {caught.value.__cause__} {caught.value.__context__} {asked!r}"


async def test_the_pause_that_is_asked_for_is_told():
    server = FakeTelegram()
    server.status, server.retry_after = 429, 17
    with server.serving() as url:
        asked = bot(url)
        with pytest.raises(AlertNotDelivered) as caught:
            await asked.send(7, "hello")
        await asked.close()
    assert (caught.value.may_retry, caught.value.retry_after_s) == (True, 17.0)


async def test_a_server_that_is_not_there_is_an_error_without_the_token():
    asked = bot("http://127.0.0.1:9")
    with pytest.raises(AlertNotDelivered, match="cannot reach Telegram") as caught:
        await asked.messages(0)
    await asked.close()
    assert TOKEN not in f"{caught.value} {caught.value.__cause__}"


async def test_a_chat_that_has_the_message_does_not_get_it_again():
    server = FakeTelegram()
    with server.serving() as url:
        channel = TelegramChannel(bot(url), (7,), silent_below=Severity.INFO)
        await channel.send(alert(Severity.INFO))
        await channel.send(alert(Severity.INFO))
        await channel.close()
    assert len(server.sent) == 1
