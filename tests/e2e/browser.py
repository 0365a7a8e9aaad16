"""A real Chromium for the tests of the page: the one of this machine, kept on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_MS = 60_000
"""For what must come; nothing waits for a time to pass."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips the test when none is installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium on the PATH: install one of {', '.join(NAMES)} to run the tests of the page")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, with what went wrong in it: errors of its scripts and console, and requests that leave the machine."""

    def __init__(self, browser: Browser, *, width: int, height: int, dark: bool, reduced: bool) -> None:
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce" if reduced else "no-preference",
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.away: list[str] = []
        self.expected: list[str] = []
        self.context.route("**/*", self._route)
        self.page.on(
            "console", lambda message: self._console(message.type, f"{message.text} {message.location['url']}")
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def expect_errors(self, *words: str) -> None:
        """Console lines with one of these words are no fault: the browser tells every 401 and lost connection."""
        self.expected += words

    def unexpected(self) -> list[str]:
        """What went wrong and was not expected."""
        return [line for line in self.errors if not any(words in line for words in self.expected)]

    def width(self) -> tuple[int, int]:
        """How wide the document is, and how wide it may be."""
        told: Any = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        return int(told[0]), int(told[1])

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _route(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.hostname == "127.0.0.1" or address.scheme in ("data", "blob"):
            route.continue_()
        else:
            self.away.append(route.request.url)
            route.abort()


@contextmanager
def watched(
    browser: Browser, url: str, *, width: int = 1280, height: int = 900, dark: bool = False, reduced: bool = False
) -> Iterator[Watched]:
    """A page at `url`; ends with a failed assertion when something went wrong in it or left the machine."""
    made = Watched(browser, width=width, height=height, dark=dark, reduced=reduced)
    try:
        made.page.goto(url)
        yield made
        assert not made.unexpected(), f"the page complained: {made.unexpected()}"
        assert not made.away, f"requests left the machine: {made.away}"
    finally:
        made.context.close()
