"""Pictures of the page for the README, over a daemon that trades in sim: `python -m tests.screenshots`.

They are made anew by hand when the page changes; `--to` says where (docs/images). A picture of 200 kB or more is an
error. Numbers differ from run to run: nothing here promises that a seed gives the same picture.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.chaos.processes import REPO, Process
from tests.e2e.browser import chromium

TOKEN = "shown-to-nobody-0123456789"
BIGGEST = 200_000
PATIENCE_MS = 300_000
ENOUGH = """() => document.querySelectorAll('.position svg').length >= 2
    && document.querySelectorAll('#fills tbody tr').length >= 6
    && document.querySelector('#equity svg') && document.querySelector('#calibration svg')
    && document.querySelector('#verdict').dataset.tone === 'good'"""
"""Two positions with their paths, some history, and a market that was resolved."""


def main() -> int:
    """Make the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=REPO / "docs" / "images")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--speed", default="10")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        settings = {"ENABLE_API": "YES", "API_PORT": "0", "API_TOKEN": TOKEN, "WINDOWS": "5m"}
        daemon = Process(Path(folder), "run", "--seed", given.seed, "--speed", given.speed, **settings)
        try:
            url = str(daemon.wait_for("api.started")["url"])
            made = take(browser, url, given.to)
        finally:
            daemon.popen.send_signal(signal.SIGTERM)
            daemon.finish()
    return report(made)


def take(browser: Browser, url: str, to: Path) -> list[Path]:
    """Every picture, once there is something to see; returns the files."""
    desk = browser.new_page(viewport={"width": 1440, "height": 960})
    dark = browser.new_page(viewport={"width": 1440, "height": 960}, color_scheme="dark")
    phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=1.5, has_touch=True)
    for page in (desk, dark, phone):
        page.goto(url)
    desk.wait_for_function(ENOUGH, timeout=PATIENCE_MS)
    made = [shot(desk, to / "dashboard.png"), shot(dark, to / "dashboard-dark.png"), shot(phone, to / "phone.png")]
    desk.get_by_role("button", name="Ledger of").first.click()
    desk.locator("#detail table").first.wait_for()
    made.append(shot(desk, to / "position.png"))
    desk.locator("#detail-close").click()
    decision = desk.locator(".decision.enter summary").or_(desk.locator(".decision summary")).first
    decision.click()
    desk.locator(".gates").first.wait_for()
    made.append(part(desk, ".at-decisions", to / "decisions.png"))
    phone.locator("#stop").click()
    made.append(shot(phone, to / "phone-stop.png"))
    phone.locator("#token").fill(TOKEN)
    phone.locator("#confirm-yes").click()
    phone.locator("#verdict-words", has_text="Stopped").wait_for()
    made.append(shot(phone, to / "phone-stopped.png"))
    return made


def smaller(file: Path) -> Path:
    """The same with 256 colours: a page has few."""
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(256)
    few.save(file, optimize=True)
    return file


def shot(page: Page, file: Path) -> Path:
    """The part of the page that a person sees first."""
    page.screenshot(path=file, animations="disabled")
    return smaller(file)


def part(page: Page, selector: str, file: Path) -> Path:
    """One section."""
    page.locator(selector).screenshot(path=file, animations="disabled")
    return smaller(file)


def report(files: list[Path]) -> int:
    """Say what was made; 1 when a picture is too big."""
    big = [file for file in files if file.stat().st_size >= BIGGEST]
    for file in files:
        sys.stdout.write(f"{file} {file.stat().st_size / 1000:.0f} kB\n")
    if big:
        sys.stderr.write(f"{', '.join(file.name for file in big)}: {BIGGEST // 1000} kB or more\n")
    return 1 if big else 0


if __name__ == "__main__":
    sys.exit(main())
