"""The page in Chromium over a running daemon: what it shows, and that its buttons do what they say."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from polystra.app.cli import app
from polystra.app.settings import known_names
from tests.chaos.processes import Process
from tests.e2e.browser import PATIENCE_MS, Watched, chromium, watched

ANSWERED = """() => !document.querySelector('#confirm').open
    || document.querySelector('#confirm-error').textContent !== ''"""
TOKEN = "a-token-of-the-test-0123456789"

expect.set_options(timeout=PATIENCE_MS)


class Daemon:
    """A daemon in sim whose page stays at one address over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = self._start()

    def _start(self) -> Process:
        settings = {"ENABLE_API": "YES", "API_PORT": str(self.port), "API_TOKEN": TOKEN}
        process = Process(self.folder, "run", "--speed", "10", **settings)
        process.wait_for("api.started")
        return process

    def stop(self) -> None:
        if self.process.popen.poll() is None:
            self.process.popen.send_signal(signal.SIGTERM)
        assert self.process.finish() == 0, self.process.errors()

    def start(self) -> None:
        self.process = self._start()

    def told(self, *words: str) -> Any:
        """What the command line says of the same account."""
        result = CliRunner().invoke(app, [*words, "--json"], env={"DATA_DIR": str(self.folder), "WINDOWS": "5m"})
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def daemon(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the module; without a browser none is started."""
    running = Daemon(tmp_path_factory.mktemp("daemon"))
    yield running
    if running.process.popen.poll() is None:
        running.process.kill()


def verdict(page: Page) -> Any:
    return expect(page.locator("#verdict-words"))


def act(page: Page, button: str, yes: str, token: str) -> None:
    """Press a button of the page, give the token where it is asked for, and confirm."""
    dialog = page.locator("#confirm")
    page.locator(button).click()
    if dialog.get_by_label("API token").is_visible():
        dialog.get_by_label("API token").fill(token)
    dialog.get_by_role("button", name=yes, exact=True).click()


def test_the_page_shows_the_daemon_as_it_trades(browser: Browser, daemon: Daemon):
    with watched(browser, daemon.url) as seen:
        page = seen.page
        expect(page.locator("#mode")).to_contain_text("SIM")
        verdict(page).to_have_text("Healthy, trading")
        first = page.locator("#clock").inner_text()
        expect(page.locator("#clock")).not_to_have_text(first)
        expect(page.locator("#health")).to_contain_text("no differences")
        expect(page.locator("#decisions .decision").first).to_be_visible()
        page.locator("#decisions summary").first.click()
        expect(page.locator(".gates").first).to_contain_text("edge after fees")
        expect(page.locator("#activity li").first).to_be_visible()
        expect(page.locator("#log .line").first).to_be_visible()
        expect(page.locator("#limits .limit")).to_have_count(len(daemon.told("status")["limits"]))


def test_a_position_appears_with_its_path_and_its_ledger(browser: Browser, daemon: Daemon):
    with watched(browser, daemon.url) as seen:
        page = seen.page
        page.get_by_role("button", name="Ledger of").or_(page.locator("#past-list button")).first.wait_for(
            state="attached"
        )
        if page.get_by_role("button", name="Ledger of").count() == 0:
            page.locator("#past summary").click()
        page.get_by_role("button", name="Ledger of").or_(page.locator("#past-list button")).first.click()
        detail = page.locator("#detail")
        expect(detail).to_contain_text("which is the position's size")
        expect(detail.locator("svg")).to_be_visible()
        expect(page.locator("#fills")).to_contain_text("buy")


def test_a_stop_needs_the_right_token_and_a_start_ends_it(browser: Browser, daemon: Daemon):
    with watched(browser, daemon.url) as seen:
        seen.expect_errors("401")
        page = seen.page
        verdict(page).to_have_text("Healthy, trading")
        act(page, "#stop", "Stop trading", "not-the-token")
        expect(page.locator("#confirm-error")).to_contain_text("token")
        assert not daemon.told("status")["switches"]
        expect(page.locator("#log .line", has_text="api.refused")).to_have_count(1)
        expect(page.locator("#activity")).to_contain_text("Refused the action stop of 127.0.0.1")
        act_again(page, TOKEN)
        verdict(page).to_have_text("Stopped: no entries, exits go on")
        assert [line["name"] for line in daemon.told("status")["switches"]] == ["kill"]
        expect(page.locator("#switches")).to_contain_text("kill")
        act(page, "#resume", "Start", TOKEN)
        verdict(page).to_have_text("Healthy, trading")
        assert daemon.told("status")["switches"] == []
        expect(page.locator("#log .line", has_text="api.acted")).to_have_count(2)


def act_again(page: Page, token: str) -> None:
    page.locator("#token").fill(token)
    page.locator("#confirm-yes").click()
    expect(page.locator("#confirm")).to_be_hidden()


def test_an_exit_by_the_page_sells_a_position_at_once(browser: Browser, daemon: Daemon):
    with watched(browser, daemon.url) as seen:
        seen.expect_errors("409", "404")
        page, dialog = seen.page, seen.page.locator("#confirm")
        for _ in range(3):
            page.locator(".position button", has_text="Exit").first.click()
            expect(dialog.locator(".worst li")).to_contain_text("worst price")
            if dialog.get_by_label("API token").is_visible():
                dialog.get_by_label("API token").fill(TOKEN)
            dialog.get_by_role("button", name="Exit", exact=True).click()
            page.wait_for_function(ANSWERED)
            if not dialog.is_visible():
                break
            page.keyboard.press("Escape")  # it ended by itself between the question and the answer: ask for another
        expect(page.locator("#toast")).to_contain_text("sold")
        expect(page.locator("#log .line", has_text="action=forceexit")).not_to_have_count(0)


def test_the_page_outlives_a_restart_of_the_daemon(browser: Browser, daemon: Daemon):
    with watched(browser, daemon.url, width=390) as seen:
        seen.expect_errors("ERR_", "net::")
        page = seen.page
        verdict(page).to_have_text("Healthy, trading")
        daemon.stop()
        verdict(page).to_have_text(re.compile("Connection lost, last update .* ago"))
        daemon.start()
        verdict(page).to_have_text(re.compile("^Healthy, (trading|but no entries)"))  # a day's losses stop entries
        narrow(seen)


def narrow(seen: Watched) -> None:
    expect(seen.page.locator(".decision").first).to_be_visible()
    assert seen.width()[0] <= seen.width()[1]
