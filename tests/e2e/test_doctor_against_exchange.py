"""Every check of the doctor, made to pass and to fail against the built-in exchange; live refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from typer.testing import CliRunner

from polystra.adapters.polymarket.signing import L2Credentials
from polystra.adapters.polymarket.signing.contracts import exchange_contracts
from polystra.adapters.store.lock import FileLock
from polystra.app.checks import Check, Verdict
from polystra.app.cli import app
from polystra.app.doctor import NotFit, examine, refuse_unless_fit
from polystra.app.doctor_local import Place
from polystra.domain.errors import AuthFailed
from polystra.ports.logbook import LogEvent
from tests.e2e.doctor_scene import ADDRESS, CONFIG, DEAD, DEAD_WS, KEY, Change, Scene, nothing, stage

SECRET_MARK = "c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5LXNlY3JldA=="
STANDARD = exchange_contracts(137).standard.address
NEGATIVE_RISK = exchange_contracts(137).negative_risk.address


class Lines:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, LogEvent, dict[str, object]]] = []

    def debug(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    def critical(self, event: LogEvent, **fields: object) -> None:
        self.lines.append(("critical", event, fields))


def examined(folder: Path, change: Change = nothing, **settings: str) -> dict[str, Check]:
    async def act(scene: Scene) -> tuple[Check, ...]:
        return await examine(scene.subject)

    return {check.name: check for check in stage(folder, act, change=change, config=CONFIG, **settings)}


NAMES = (
    "settings",
    "key",
    "database",
    "lock",
    "disk",
    "files",
    "auto-redeem",
    "weekly restart",
    "calibration",
    "clock",
    "CLOB",
    "Gamma",
    "credentials",
    "wallet",
    "dollars approved",
    "shares approved",
    "wallet on chain",
    "closed-only",
    "rate tier",
    "user stream",
    "price stream",
    "Data API",
    "geoblock",
    "fee and tick",
    "market stream",
    "spot stream",
    "bankroll",
)

UNKNOWN = {"wallet on chain", "auto-redeem"}
"""What is not known of an account without RPC_URL and without books."""


def test_where_nothing_is_wrong_every_check_passes(tmp_path: Path):
    checks = examined(tmp_path)
    assert tuple(checks) == NAMES
    assert {name for name, check in checks.items() if check.verdict is not Verdict.OK} == UNKNOWN
    assert {checks[name].verdict for name in UNKNOWN} == {Verdict.NOT_CHECKED}
    assert "1000 dollars" in checks["wallet"].evidence
    assert "standard yes, neg-risk yes, V3 yes" in checks["dollars approved"].evidence
    assert "not shown: V3" in checks["shares approved"].evidence
    assert "tick 0.01, minimum 5 shares" in checks["fee and tick"].evidence
    assert "below 5 shares up to an edge of" in checks["bankroll"].evidence


# --- each made to fail -------------------------------------------------------------------


async def a_wrong_key(scene: Scene) -> None:
    scene.subject = replace(scene.subject, key_text="ff" * 32)


async def an_account_that_is_not_armed(scene: Scene) -> None:
    wrong = scene.subject.settings.model_copy(update={"live_armed": "0x" + "12" * 20})
    scene.subject = replace(scene.subject, settings=wrong)


async def a_database_that_is_none(scene: Scene) -> None:
    folder = scene.subject.settings.data_dir
    folder.mkdir(mode=0o700)
    (folder / "polystra-live.db").write_text("this is no database, whatever its name says " * 100)


async def another_daemon(scene: Scene) -> None:
    folder = scene.subject.settings.data_dir
    folder.mkdir(mode=0o700)
    scene.kept.append(FileLock(folder / "polystra-live.db"))


async def a_key_file_for_everyone(scene: Scene) -> None:
    path = scene.subject.settings.data_dir.with_name("key")
    path.write_text(KEY)
    path.chmod(0o644)
    place = Place(environ={"POLY_PRIVATE_KEY_FILE": str(path)}, env_file=None)
    scene.subject = replace(scene.subject, place=place)


async def a_clock_that_is_off(scene: Scene) -> None:
    scene.fault(fault="clock_jump", **{"with": {"seconds": 100}})


async def no_rest(scene: Scene) -> None:
    scene.refuse("GET /ok", 500)


async def no_market(scene: Scene) -> None:
    scene.subject = replace(scene.subject, settings=scene.subject.settings.model_copy(update={"symbols": ("DOGE",)}))


async def wrong_credentials(scene: Scene) -> None:
    right = await scene.subject.credentials()

    async def wrong() -> L2Credentials:
        return L2Credentials(right.api_key, SECRET_MARK, right.passphrase)

    scene.subject = replace(scene.subject, credentials=wrong)


async def no_credentials(scene: Scene) -> None:
    async def refused() -> L2Credentials:
        raise AuthFailed("the venue refuses API credentials for this key")

    scene.subject = replace(scene.subject, credentials=refused)


async def a_wrong_wallet_type(scene: Scene) -> None:
    wallet = "0x" + "cd" * 20
    changed = {"poly_funder_address": wallet, "poly_signature_type": 1, "live_armed": wallet}
    scene.subject = replace(scene.subject, settings=scene.subject.settings.model_copy(update=changed))


async def no_approval_of_dollars(scene: Scene) -> None:
    body = {"address": ADDRESS, "asset_type": "COLLATERAL", "spender": STANDARD, "amount": "0"}
    await scene.control("allowances", body)


async def no_approval_of_shares(scene: Scene) -> None:
    body = {"address": ADDRESS, "asset_type": "CONDITIONAL", "spender": STANDARD, "amount": "0"}
    await scene.control("allowances", body)


async def closed_only(scene: Scene) -> None:
    await scene.control("standing", {"owner": ADDRESS, "closed_only": True})


async def a_blocked_country(scene: Scene) -> None:
    await scene.control("geoblock", {"blocked": True, "country": "US", "region": "NY"})


async def no_market_stream(scene: Scene) -> None:
    scene.endpoints(market_ws_url=DEAD_WS)


async def a_silent_market_stream(scene: Scene) -> None:
    scene.fault(fault="stream_silent", where={"stream": "market"})


async def no_user_stream(scene: Scene) -> None:
    scene.endpoints(user_ws_url=DEAD_WS)


async def a_full_disk(scene: Scene) -> None:
    full = shutil.disk_usage("/")._replace(free=50_000_000)
    patched = pytest.MonkeyPatch()
    patched.setattr("polystra.app.doctor_local.shutil.disk_usage", lambda _path: full)
    scene.undo.append(patched.undo)


async def a_wallet_that_is_not_deployed(scene: Scene) -> None:
    wallet = "0x" + "d0" * 20
    await scene.control("wallets", {"owner": ADDRESS, "wallet": wallet, "signature_type": 3})

    async def nowhere(*_: object, **__: object) -> bool:
        return False

    patched = pytest.MonkeyPatch()
    patched.setattr("polystra.app.doctor_venue.is_deployed", nowhere)
    scene.undo.append(patched.undo)
    changed = {"rpc_url": SecretStr(DEAD), "poly_funder_address": wallet, "live_armed": wallet}
    scene.subject = replace(scene.subject, settings=scene.subject.settings.model_copy(update=changed))


HARD = {
    "key": (a_wrong_key, "POLY_PRIVATE_KEY"),
    "settings": (an_account_that_is_not_armed, "LIVE_ARMED"),
    "database": (a_database_that_is_none, "not a readable SQLite database"),
    "lock": (another_daemon, "another polystra"),
    "disk": (a_full_disk, "0.1 GB free"),
    "wallet on chain": (a_wallet_that_is_not_deployed, "the chain has no code at"),
    "files": (a_key_file_for_everyone, "readable for everyone"),
    "clock": (a_clock_that_is_off, "MAX_CLOCK_DRIFT_SECONDS"),
    "CLOB": (no_rest, "500"),
    "Gamma": (no_market, "lists no current 5m market of DOGE"),
    "credentials": (wrong_credentials, "does not accept the API key"),
    "wallet": (a_wrong_wallet_type, "type 0, an account that holds its own funds, shows 1000 dollars"),
    "dollars approved": (no_approval_of_dollars, "standard no"),
    "shares approved": (no_approval_of_shares, "standard no"),
    "closed-only": (closed_only, "may close positions and not open any"),
    "geoblock": (a_blocked_country, "no orders from US NY"),
    "market stream": (no_market_stream, "no connection within"),
    "user stream": (no_user_stream, "no connection within"),
}


@pytest.mark.parametrize("name", HARD)
def test_a_hard_check_fails_with_evidence_and_remedy_and_live_refuses_in_a_line(tmp_path: Path, name: str):
    change, words = HARD[name]
    lines = Lines()

    async def act(scene: Scene) -> str:
        try:
            await refuse_unless_fit(scene.subject, lines)
        except NotFit as error:
            return str(error)
        return "it started"

    said = stage(tmp_path, act, change=change)
    assert said.startswith("live does not start")
    [told] = [fields for level, event, fields in lines.lines if level == "error" and fields["check"] == name]
    assert words in str(told["evidence"])
    assert told["remedy"]
    assert f"{name}: " in said
    assert KEY[2:] not in said + str(lines.lines)
    assert SECRET_MARK not in said + str(lines.lines)


def test_live_starts_where_nothing_is_wrong(tmp_path: Path):
    lines = Lines()

    async def act(scene: Scene) -> None:
        await refuse_unless_fit(scene.subject, lines)

    stage(tmp_path, act)
    [(level, event, counts)] = lines.lines
    assert (level, event) == ("info", LogEvent.CHECKS_COMPLETED)
    assert counts == {"ok": len(NAMES) - len(UNKNOWN), "warn": 0, "fail": 0, "not_checked": len(UNKNOWN)}


@pytest.mark.parametrize(("change", "starts"), [(closed_only, True), (a_wrong_wallet_type, False)])
def test_a_daemon_that_holds_positions_starts_for_their_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, starts: bool
):
    monkeypatch.setattr("polystra.app.doctor._holds_positions", lambda _settings: True)

    async def act(scene: Scene) -> bool:
        try:
            await refuse_unless_fit(scene.subject, Lines())
        except NotFit:
            return False
        return True

    assert stage(tmp_path, act, change=change) is starts


def test_a_stream_without_messages_is_not_taken_for_one_that_works(tmp_path: Path):
    check = examined(tmp_path, a_silent_market_stream)["market stream"]
    assert (check.verdict, check.evidence) == (Verdict.FAIL, "connected, but no message within 12 s")


def test_without_credentials_the_other_checks_go_on(tmp_path: Path):
    checks = examined(tmp_path, no_credentials)
    assert set(checks) == set(NAMES)
    assert checks["credentials"].verdict is Verdict.FAIL
    assert checks["wallet"].verdict is Verdict.NOT_CHECKED
    assert checks["market stream"].verdict is Verdict.OK


def test_a_missing_approval_that_no_current_market_needs_is_a_warning(tmp_path: Path):
    async def change(scene: Scene) -> None:
        body = {"address": ADDRESS, "asset_type": "COLLATERAL", "spender": NEGATIVE_RISK, "amount": "0"}
        await scene.control("allowances", body)

    check = examined(tmp_path, change)["dollars approved"]
    assert check.verdict is Verdict.WARN
    assert "neg-risk no" in check.evidence


async def no_tier(scene: Scene) -> None:
    scene.refuse("GET /v1/user/rate-limit-tier", 404, "not found")


async def no_tick(scene: Scene) -> None:
    scene.refuse("GET /tick-size", 500)


async def no_data_api(scene: Scene) -> None:
    scene.endpoints(data_api_url=DEAD)


async def no_prices(scene: Scene) -> None:
    scene.endpoints(price_ws_url=DEAD_WS)


async def no_spot(scene: Scene) -> None:
    scene.endpoints(spot_ws_url=DEAD_WS)


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("rate tier", no_tier, Verdict.NOT_CHECKED),
        ("fee and tick", no_tick, Verdict.WARN),
        ("Data API", no_data_api, Verdict.WARN),
        ("price stream", no_prices, Verdict.WARN),
        ("spot stream", no_spot, Verdict.WARN),
    ],
)
def test_what_trading_can_go_without_is_no_hard_check(tmp_path: Path, name: str, change: Change, verdict: Verdict):
    checks = examined(tmp_path, change)
    assert checks[name].verdict is verdict
    assert not [check for check in checks.values() if check.verdict is Verdict.FAIL]


def test_capital_below_the_minimum_is_told(tmp_path: Path):
    check = examined(tmp_path, CAPITAL_TOTAL="1")["bankroll"]
    assert check.verdict is Verdict.WARN
    assert "at 1 dollars (CAPITAL_TOTAL) 0.25 of Kelly is below 5 shares" in check.evidence


@pytest.mark.parametrize(
    ("result", "verdict", "words"),
    [
        ({"result": "0x60806040"}, Verdict.OK, "is deployed"),
        ({"result": "0x"}, Verdict.FAIL, "the chain has no code at"),
        ({"error": {"message": "no"}}, Verdict.WARN, "without a result"),
        (None, Verdict.WARN, "the node of RPC_URL answered with HTTP 503"),
    ],
)
def test_a_deposit_wallet_is_looked_for_on_the_chain(
    tmp_path: Path, result: dict[str, object] | None, verdict: Verdict, words: str
):
    wallet = "0x" + "d0" * 20

    async def node(request: web.Request) -> web.Response:
        asked = await request.json()
        assert (asked["method"], asked["params"]) == ("eth_getCode", [wallet, "latest"])
        return web.Response(status=503) if result is None else web.json_response({"jsonrpc": "2.0", "id": 1, **result})

    async def act(scene: Scene) -> tuple[Check, ...]:
        await scene.control("wallets", {"owner": ADDRESS, "wallet": wallet, "signature_type": 3})
        served = web.Application()
        served.router.add_post("/v2/canary-token", node)
        runner = web.AppRunner(served)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        changed = {
            "rpc_url": SecretStr(f"http://127.0.0.1:{runner.addresses[0][1]}/v2/canary-token"),
            "poly_funder_address": wallet,
            "live_armed": wallet,
        }
        subject = replace(scene.subject, settings=scene.subject.settings.model_copy(update=changed))
        try:
            return await examine(subject)
        finally:
            await runner.cleanup()

    checks = {check.name: check for check in stage(tmp_path, act)}
    assert "type 3, a deposit wallet" in checks["wallet"].evidence
    assert checks["wallet"].verdict is Verdict.OK
    assert checks["wallet on chain"].verdict is verdict
    assert words in checks["wallet on chain"].evidence
    assert "canary-token" not in str(checks)


def test_an_empty_account_is_told_and_is_no_reason_to_refuse(tmp_path: Path):
    async def change(scene: Scene) -> None:
        scene.exchange.open_account("0x" + "aa" * 20)
        body = {"source": ADDRESS, "target": "0x" + "aa" * 20, "amount": 1_000_000_000}
        await scene.control("transfers", body)
        await scene.subject.clock.sleep(30)

    checks = examined(tmp_path, change)
    assert checks["wallet"].verdict is Verdict.WARN
    assert checks["bankroll"].verdict is Verdict.WARN


def test_the_command_in_sim_uses_an_exchange_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["doctor", "--json"], env={"DATA_DIR": str(tmp_path / "d"), "WINDOWS": "5m"})
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["ok"] is True
    assert {check["name"] for check in told["checks"]} == set(NAMES)
    assert not (tmp_path / "d").exists()
