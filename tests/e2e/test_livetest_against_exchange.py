"""The live test against the built-in exchange: what it shows, what makes it fail, and that nothing stays open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from polystra.adapters.store.lock import FileLock
from polystra.app.checks import Check, Verdict
from polystra.app.livetest import TestRefused, livetest
from polystra.domain.errors import ConfigError
from polystra.exchange.builtin import BuiltInConfig
from polystra.exchange.traders.config import CrowdConfig
from tests.e2e.doctor_scene import ADDRESS, CONFIG, KEY, Change, Scene, nothing, stage

STEPS = ("user stream", "sign", "post", "placement event", "cancel", "cancellation event", "nothing left")


def steps_of(folder: Path, change: Change = nothing, **settings: str) -> dict[str, Check]:
    """The steps; whatever they say, no order is open and nothing was bought."""

    async def act(scene: Scene) -> tuple[Check, ...]:
        checks = await livetest(scene.subject, lambda _words: True)
        await scene.subject.clock.sleep(30)
        account = scene.exchange.core.books().accounts[ADDRESS.lower()]
        assert account.open_orders == []
        assert account.trades == []
        return checks

    return {check.name: check for check in stage(folder, act, change=change, config=CONFIG, **settings)}


def refused(folder: Path, change: Change = nothing, *, answer: bool = True, config: BuiltInConfig = CONFIG) -> str:
    """Why nothing was sent."""

    async def act(scene: Scene) -> str:
        with pytest.raises((TestRefused, ConfigError)) as error:
            await livetest(scene.subject, lambda _words: answer)
        account = scene.exchange.core.books().accounts[ADDRESS.lower()]
        assert account.open_orders == []
        assert account.trades == []
        return str(error.value)

    return stage(folder, act, change=change, config=config)


def test_an_order_is_placed_told_cancelled_and_nothing_stays(tmp_path: Path):
    asked: list[str] = []

    def yes(words: str) -> bool:
        asked.append(words)
        return True

    async def act(scene: Scene) -> tuple[Check, ...]:
        return await livetest(scene.subject, yes)

    checks = stage(tmp_path, act)
    assert tuple(check.name for check in checks) == STEPS
    assert {check.verdict for check in checks} == {Verdict.OK}
    assert all(check.latency_ms is not None for check in checks if check.name != "nothing left")
    assert "under our id, status LIVE" in checks[2].evidence
    [words] = asked
    assert words.startswith("REAL MONEY: a post-only order to buy 5 shares at 0.01 (0.05 dollars) in btc-updown-5m-")


def test_the_heartbeat_is_tried_where_it_is_enabled(tmp_path: Path):
    check = steps_of(tmp_path, ENABLE_VENUE_HEARTBEAT="YES")["heartbeat"]
    assert (check.verdict, check.latency_ms is not None) == (Verdict.OK, True)


async def reply_lost(scene: Scene) -> None:
    scene.fault(fault="reply_dropped", where={"method": "POST", "path": "/order"})


async def reply_slow(scene: Scene) -> None:
    scene.fault(fault="reply_delayed", where={"method": "POST", "path": "/order"}, **{"with": {"seconds": 30}})


async def request_late(scene: Scene) -> None:
    scene.fault(fault="request_delayed", where={"method": "POST", "path": "/order"}, **{"with": {"seconds": 25}})


async def another_id(scene: Scene) -> None:
    scene.fault(fault="wrong_order_id", where={"method": "POST", "path": "/order"})


async def refused_by_the_venue(scene: Scene) -> None:
    scene.exchange.core.force_refusal("invalid signature", 400, 1_000)


async def cancel_lost(scene: Scene) -> None:
    scene.fault(fault="request_dropped", where={"method": "DELETE"}, count=2)


async def placement_untold(scene: Scene) -> None:
    scene.fault(fault="message_dropped", where={"stream": "user"})


FAILURES: dict[str, tuple[Callable[[Scene], Awaitable[None]], str, str]] = {
    "reply lost": (reply_lost, "post", "no clear answer"),
    "reply slow": (reply_slow, "post", "no clear answer"),
    "request late": (request_late, "post", "no clear answer"),
    "another id": (another_id, "post", "the venue named another id"),
    "refused": (refused_by_the_venue, "post", "refused: invalid_signature"),
    "untold": (placement_untold, "placement event", "did not tell it"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_whatever_goes_wrong_is_told_and_nothing_stays_open(tmp_path: Path, name: str):
    change, step, words = FAILURES[name]
    checks = steps_of(tmp_path, change)
    assert checks[step].verdict is Verdict.FAIL
    assert words in checks[step].evidence
    assert checks[step].remedy
    assert checks["nothing left"].verdict is Verdict.OK


def test_a_cancel_that_is_lost_is_repeated_until_nothing_is_open(tmp_path: Path):
    assert steps_of(tmp_path, cancel_lost)["nothing left"].verdict is Verdict.OK


async def another_daemon(scene: Scene) -> None:
    folder = scene.subject.settings.data_dir
    folder.mkdir(mode=0o700)
    scene.kept.append(FileLock(folder / "polystra-live.db"))


async def another_account(scene: Scene) -> None:
    wrong = scene.subject.settings.model_copy(update={"live_armed": "0x" + "12" * 20})
    scene.subject = replace(scene.subject, settings=wrong)


async def no_money(scene: Scene) -> None:
    wallet = "0x" + "cd" * 20
    changed = {"poly_funder_address": wallet, "poly_signature_type": 1, "live_armed": wallet}
    scene.subject = replace(scene.subject, settings=scene.subject.settings.model_copy(update=changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (another_daemon, "another polystra"),
        (another_account, "LIVE_ARMED"),
        (no_money, "the wallet holds 0 dollars"),
    ],
)
def test_where_it_could_fill_or_disturb_nothing_is_sent(tmp_path: Path, change: Change, words: str):
    assert words in refused(tmp_path, change)


def test_in_an_empty_book_nothing_is_sent(tmp_path: Path):
    nobody = replace(CONFIG, crowd=CrowdConfig(makers=0, noise_takers=0))
    assert "the best bid is 0, so that an order at 0.01 could fill" in refused(tmp_path, config=nobody)


def test_without_a_yes_nothing_is_sent(tmp_path: Path):
    said = refused(tmp_path, answer=False)
    assert said == "not confirmed; nothing was sent"
    assert KEY[2:] not in said
