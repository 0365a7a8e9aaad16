"""The control routes: clock, books, wallets, shutdown, and nobody else's business."""

import pytest

from polystra.exchange import control
from polystra.exchange.builtin import BuiltInConfig
from polystra.exchange.control import is_local
from tests.unit.exchange.running import OWNER, T0_S, Running, play

WALLET = "0x" + "cd" * 20


def test_tells_the_clock_and_the_books() -> None:
    async def scene(stage: Running) -> None:
        await stage.until(5)
        clock = await stage.get(f"{stage.urls.control_url}/clock")
        assert clock["epoch_ns"] == T0_S * 10**9
        assert clock["mode"] == "virtual"
        assert clock["speed"] is None
        assert 5 * 10**9 <= clock["now_ns"] - clock["epoch_ns"] < 6 * 10**9
        stage.exchange.open_account(OWNER)
        books = await stage.get(f"{stage.urls.control_url}/books")
        assert books["accounts"][OWNER]["cash"] == BuiltInConfig().initial_cash
        assert books["markets"]

    play(scene)


def test_registers_contract_wallets() -> None:
    async def scene(stage: Running) -> None:
        url = f"{stage.urls.control_url}/wallets"
        body = {"owner": OWNER, "wallet": WALLET, "signature_type": 3}
        assert await stage.post(url, body) == body
        books = await stage.get(f"{stage.urls.control_url}/books")
        assert books["accounts"][WALLET]["owner"] == OWNER
        for wrong in ({}, {**body, "wallet": "0x12"}, {**body, "signature_type": 9}, {**body, "owner": WALLET}):
            assert "error" in await stage.post(url, wrong, status=400)

    play(scene)


def test_turns_strangers_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "is_local", lambda _peer: False)

    async def scene(stage: Running) -> None:
        await stage.get(f"{stage.urls.control_url}/books", status=403)
        await stage.post(f"{stage.urls.control_url}/shutdown", {}, status=403)
        assert not stage.exchange.control.shutdown_requested.is_set()

    play(scene)


def test_shutdown_is_noticed() -> None:
    async def scene(stage: Running) -> None:
        await stage.post(f"{stage.urls.control_url}/shutdown", {})
        await stage.exchange.wait_for_shutdown()
        assert stage.exchange.control.shutdown_requested.is_set()

    play(scene)


def test_a_verdict_for_an_unknown_market_is_refused() -> None:
    async def scene(stage: Running) -> None:
        body = await stage.post(f"{stage.urls.control_url}/verdict", {"slug": "no-such-market"}, status=400)
        assert body == {"error": "market no-such-market is not listed; name one by its slug"}

    play(scene)


@pytest.mark.parametrize(
    ("peer", "local"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("10.0.0.2", False), ("8.8.8.8", False), (None, False)],
)
def test_answers_only_to_this_machine(peer: str | None, local: bool) -> None:
    assert is_local(peer) is local
