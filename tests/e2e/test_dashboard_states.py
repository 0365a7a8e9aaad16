"""The page in Chromium over made-up answers: what a simulated day seldom shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import PATIENCE_MS, chromium, watched
from tests.e2e.staged_daemon import TOKEN, Stage, held_position, serve

MARKUP = "<img src=x onerror='window.hit=1'><script>window.hit=1</script><b>bold</b>"

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def stage() -> Stage:
    return Stage()


def decision(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": number,
        "at": "2026-11-02T14:04:50.000Z",
        "market": "btc-updown-15m-1793628000",
        "symbol": "BTC",
        "action": "SKIP",
        "reason": "edge is too small",
        "outcome": "UP",
        "fair_value_up": 0.37,
        "market_prior_p_up": 0.3,
        "additive_bias": 0.07,
        "additive_confidence": 1.0,
        "bayesian_bias": 0.107,
        "bayesian_confidence": 0.89,
        "p_up": 0.3469,
        "edge": 0.012,
        "price": None,
        "quantity": None,
        "inputs": {"seconds_left": 600, "up_bid": 280000, "up_ask": 320000},
        "gates": [
            {"name": "confidence", "value": "0.89", "limit": "at least 0.60", "ok": True},
            {"name": "edge after fees", "value": "1.2 %", "limit": "at least 3.0 %", "ok": False},
            {"name": "spread of the book", "value": "0.040", "limit": "at most 0.050", "ok": None},
        ],
    } | changes


def log_line(number: int, level: str, event: str, **fields: str) -> dict[str, Any]:
    return {"number": number, "timestamp": "2026-11-02T14:00:00Z", "level": level, "event": event, **fields}


def busy(stage: Stage) -> None:
    """Everything that can be shown, with long names."""
    positions = [held_position(), held_position("DOWN", 2)]
    for each in positions:
        path = [
            {"at": f"2026-11-02T14:0{minute}:00.000Z", "mid": f"0.3{minute}", "fair": 0.4} for minute in range(1, 6)
        ]
        stage.answers[f"positions/{each['position_id']}"] = {
            **each,
            "path": path,
            "postings": [
                {
                    "at": "2026-11-02T14:01:00.000Z",
                    "kind": "FILL",
                    "finality": "SETTLED",
                    "reason": "fill",
                    "evidence": "",
                    "pending_shares": "0",
                    "settled_shares": "16.94",
                    "size": "16.94",
                    "cash": "-5.2514",
                    "fee": "0.15",
                }
            ],
            "ledger": {
                "verdict": "the 1 postings sum to 16.94 shares, which is the position's size",
                "difference": "0",
            },
            "orders": [],
            "fills": [],
        }
    stage.snapshot["positions"] = positions
    stage.snapshot["orders"] = [
        {
            "client_order_id": "o000002",
            "position_id": positions[0]["position_id"],
            "market": "btc-updown-15m-1793628000",
            "rule": "take-profit",
            "side": "SELL",
            "time_in_force": "GTC",
            "price": "0.56",
            "quantity": "16.94",
            "filled": "0",
            "status": "open",
            "state": "OPEN",
        }
    ]
    stage.answers["decisions"] = {"items": [decision(2), decision(1, action="ENTER", reason="edge", price="0.32")]}
    stage.answers["logs"] = {
        "items": [log_line(1, "warning", "stop.fired", subject_id=positions[0]["position_id"], message="x" * 300)]
    }
    stage.answers["equity"] = {
        "points": [{"at": f"2026-11-02T14:0{minute}:00Z", "equity": str(1000 - minute)} for minute in range(6)],
        "day_start_equity": "1000",
        "loss_floor": "975",
        "day_pnl": "-5",
    }


def test_an_empty_daemon_says_in_words_what_is_not_there_yet(browser: Browser, stage: Stage):
    with serve(stage) as url, watched(browser, url) as seen:
        expect(seen.page.locator("#verdict-words")).to_have_text("Healthy, trading")
        for words in (
            "No open position",
            "No order rests",
            "Nothing has been bought or sold yet",
            "No market has been evaluated yet",
            "No forecast has met its outcome yet",
            "The plot begins with the first bookings",
            "Nothing stops entries",
        ):
            expect(seen.page.get_by_text(words)).to_be_visible()


def test_the_banner_says_whose_money_it_is(browser: Browser, stage: Stage):
    words = {"sim": "SIM", "paper": "PAPER", "live": "LIVE: orders cost real money"}
    with serve(stage) as url, watched(browser, url) as seen:
        for mode, banner in words.items():
            stage.snapshot["status"]["mode"] = mode
            stage.say()
            expect(seen.page.locator("#mode")).to_contain_text(banner)
            expect(seen.page).to_have_title(f"Polystra {mode.upper()} $0.00")
            colour = seen.page.locator("#mode").evaluate("node => getComputedStyle(node).backgroundColor")
            assert (colour == "rgb(179, 38, 30)") is (mode == "live")


def test_the_verdict_tells_the_most_urgent_thing(browser: Browser, stage: Stage):
    kill = {"name": "kill", "subject": "", "reason": "by hand", "source": "api", "since": "", "until": ""}
    streams = [{"name": "market", "connected": False, "quiet_s": 9.0}]
    told: list[tuple[dict[str, Any], str, str]] = [
        ({"entries_blocked": "a stale book"}, "Healthy, but no entries", "a stale book"),
        ({"switches": [kill]}, "Stopped: no entries, exits go on", "by hand"),
        ({"orders_in_doubt": 2}, "2 orders are in doubt", "nothing is sent twice"),
        ({"venue_words": "the venue takes cancels only"}, "The venue takes cancels only", "a stale book"),
        ({"streams": streams}, "Unhealthy: the market stream is not connected", "a stale book"),
        ({"stopping": True}, "Unhealthy: the daemon is shutting down", "the market stream is not connected"),
    ]
    with serve(stage) as url, watched(browser, url) as seen:
        for changes, words, more in told:
            stage.snapshot["status"].update(changes)
            stage.say()
            expect(seen.page.locator("#verdict-words")).to_have_text(words)
            expect(seen.page.locator("#verdict-more")).to_contain_text(more)


def test_markup_from_outside_is_text(browser: Browser, stage: Stage):
    busy(stage)
    position = stage.snapshot["positions"][0]
    position |= {"symbol": MARKUP, "market": MARKUP, "status": MARKUP, "armed": [MARKUP]}
    stage.snapshot["orders"][0] |= {"market": MARKUP, "rule": MARKUP, "status": MARKUP}
    stage.snapshot["status"] |= {"entries_blocked": MARKUP, "account": MARKUP}
    stage.answers["decisions"]["items"] = [decision(3, market=MARKUP, symbol=MARKUP, reason=MARKUP)]
    stage.answers["logs"]["items"] = [log_line(1, "error", MARKUP, message=MARKUP, **{MARKUP: MARKUP})]
    with serve(stage) as url, watched(browser, url) as seen:
        expect(seen.page.locator("#log")).to_contain_text("<img src=x")
        stage.say("log", log_line(2, "error", "late", message=MARKUP))
        expect(seen.page.locator("#log")).to_contain_text("late")
        expect(seen.page.locator("#decisions")).to_contain_text("<img src=x")
        expect(seen.page.locator("#activity")).to_contain_text("<script>")
        seen.page.locator(".decision summary").click()
        expect(seen.page.locator(".position h3").first).to_contain_text("<script>")
        assert seen.page.locator("main img, main script, main b").count() == 0
        assert seen.page.evaluate("window.hit") is None


def test_a_lost_connection_is_told_with_its_age_and_mends_itself(browser: Browser, stage: Stage):
    with serve(stage) as url:
        port = int(url.rsplit(":", 1)[1])
        opening = watched(browser, url)
        seen = opening.__enter__()
        seen.expect_errors("ERR_", "net::")
        expect(seen.page.locator("#verdict-words")).to_have_text("Healthy, trading")
    expect(seen.page.locator("#verdict-words")).to_contain_text("Connection lost, last update")
    first = seen.page.locator("#verdict-words").inner_text()
    expect(seen.page.locator("#verdict-words")).not_to_have_text(first)
    expect(seen.page.locator("#verdict-words")).to_contain_text("s ago")
    stage.snapshot["status"]["equity"] = "1234.5"
    with serve(stage, port):
        expect(seen.page.locator("#verdict-words")).to_have_text("Healthy, trading")
        expect(seen.page.locator("#tiles")).to_contain_text("$1,234.50")
        opening.__exit__(None, None, None)


def test_a_server_that_goes_silent_is_not_shown_as_live(browser: Browser, stage: Stage):
    with serve(stage) as url, watched(browser, url) as seen:
        expect(seen.page.locator("#verdict-words")).to_have_text("Healthy, trading")
        stage.silent = True
        stage.snapshot["status"]["at"] = "2026-11-02T14:05:09.000Z"
        expect(seen.page.locator("#verdict-words")).to_contain_text("Connection lost, last update")
        stage.silent = False
        expect(seen.page.locator("#verdict-words")).to_have_text("Healthy, trading")


def test_nothing_is_wider_than_the_screen(browser: Browser, stage: Stage):
    busy(stage)
    with serve(stage) as url, watched(browser, url, width=390, height=844, reduced=True) as seen:
        expect(seen.page.locator(".position svg")).to_have_count(2)
        seen.page.locator(".decision summary").first.click()
        expect(seen.page.locator(".gates li")).to_have_count(3)
        for width in (390, 768, 1440):
            seen.page.set_viewport_size({"width": width, "height": 844})
            assert seen.width() == (width, width)
        seen.page.set_viewport_size({"width": 390, "height": 844})
        seen.page.get_by_role("button", name="Ledger of").first.click()
        expect(seen.page.locator("#detail")).to_contain_text("The 1 postings sum to 16.94 shares")
        assert seen.width() == (390, 390)


def test_a_decision_shows_both_fusions_and_every_gate(browser: Browser, stage: Stage):
    busy(stage)
    with serve(stage) as url, watched(browser, url) as seen:
        seen.page.locator(".decision summary").first.click()
        body = seen.page.locator(".decision-body").first
        expect(body).to_contain_text("additive fusion")
        expect(body).to_contain_text("Bayesian fusion")
        expect(body.locator(".gates .held")).to_contain_text("0.89 at least 0.60")
        expect(body.locator(".gates .failed")).to_contain_text("1.2 % at least 3.0 %")
        expect(body.locator(".gates .unknown")).to_contain_text("spread of the book")
        seen.page.get_by_label("entries only").check()
        expect(seen.page.locator(".decision")).to_have_count(1)
        expect(seen.page.locator(".decision")).to_contain_text("Enter")


def test_the_log_can_be_filtered_by_level_and_words(browser: Browser, stage: Stage):
    stage.answers["logs"]["items"] = [
        log_line(1, "info", "app.started", message="one"),
        log_line(2, "warning", "stream.lost", message="two"),
        log_line(3, "error", "store.stuck", message="three"),
    ]
    with serve(stage) as url, watched(browser, url) as seen:
        lines = seen.page.locator("#log .line")
        expect(lines).to_have_count(3)
        seen.page.get_by_label("Level").select_option("warning")
        expect(lines).to_have_count(2)
        seen.page.get_by_label("Containing").fill("THREE")
        expect(lines).to_have_count(1)
        expect(lines).to_contain_text("store.stuck")
        seen.page.get_by_label("Containing").fill("nowhere")
        expect(seen.page.locator("#log")).to_contain_text("No line passes the filter")


def test_a_wrong_token_is_refused_and_a_right_one_is_kept_in_memory_alone(browser: Browser, stage: Stage):
    with serve(stage) as url, watched(browser, url) as seen:
        seen.expect_errors("401")
        dialog = seen.page.locator("#confirm")
        seen.page.locator("#stop").click()
        expect(dialog).to_contain_text("No entry leaves any more")
        dialog.get_by_role("button", name="Stop trading").click()
        expect(dialog.get_by_role("alert")).to_have_text("Type the API token first.")
        dialog.get_by_label("API token").fill("wrong")
        dialog.get_by_role("button", name="Stop trading").click()
        expect(dialog.get_by_role("alert")).to_contain_text("the token is wrong")
        assert stage.acts == []
        assert stage.refused == 1
        dialog.get_by_label("API token").fill(TOKEN)
        dialog.get_by_role("button", name="Stop trading").click()
        expect(dialog).to_be_hidden()
        expect(seen.page.locator("#toast")).to_have_text("stop was done")
        seen.page.locator("#pause").click()
        expect(dialog.get_by_label("API token")).to_be_hidden()
        dialog.get_by_role("button", name="Pause 30 min").click()
        expect(dialog).to_be_hidden()
        assert stage.acts == [("stop", {}), ("pause", {"for": "30m"})]
        kept = "[document.cookie, localStorage.length, sessionStorage.length]"
        assert seen.page.evaluate(kept) == ["", 0, 0]
        seen.page.reload()
        seen.page.locator("#stop").click()
        expect(dialog.get_by_label("API token")).to_be_visible()


def test_a_token_is_kept_over_a_reload_only_when_that_was_ticked(browser: Browser, stage: Stage):
    with serve(stage) as url, watched(browser, url) as seen:
        dialog = seen.page.locator("#confirm")
        seen.page.locator("#stopentry").click()
        dialog.get_by_label("API token").fill(TOKEN)
        dialog.get_by_label("keep it in this tab").check()
        dialog.get_by_role("button", name="Stop entries").click()
        expect(dialog).to_be_hidden()
        seen.page.reload()
        seen.page.locator("#stopentry").click()
        expect(dialog.get_by_label("API token")).to_be_hidden()
        seen.page.keyboard.press("Escape")
        seen.page.get_by_role("button", name="Forget it").click()
        assert seen.page.evaluate("sessionStorage.length") == 0


def test_an_exit_is_confirmed_with_its_worst_price(browser: Browser, stage: Stage):
    busy(stage)
    position_id = stage.snapshot["positions"][0]["position_id"]
    line = {
        "position_id": position_id,
        "shares": "16.94",
        "best_bid": "0.36",
        "worst_price": "0.34",
        "proceeds": "5.76",
    }
    stage.answers["forceexit"] = {"lines": [line]}
    with serve(stage) as url, watched(browser, url) as seen:
        seen.page.get_by_role("button", name=f"Exit {position_id}").click()
        dialog = seen.page.locator("#confirm")
        expect(dialog).to_contain_text("worst price 0.34 (best bid 0.36), at least $5.76")
        dialog.get_by_label("API token").fill(TOKEN)
        dialog.get_by_role("button", name="Exit").click()
        expect(dialog).to_be_hidden()
        assert stage.acts == [("forceexit", {"id": position_id})]


def test_an_update_takes_the_focus_from_nobody(browser: Browser, stage: Stage):
    busy(stage)
    with serve(stage) as url, watched(browser, url) as seen:
        button = seen.page.get_by_role("button", name="Ledger of").last
        button.focus()
        stage.snapshot["positions"][0]["unrealised_pnl"] = "2.22"
        stage.snapshot["positions"][1]["unrealised_pnl"] = "-3.33"
        stage.say()
        expect(seen.page.locator(".position").last).to_contain_text("−$3.33")
        expect(button).to_be_focused()


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(browser: Browser, stage: Stage):
    busy(stage)
    with serve(stage) as url, watched(browser, url, width=390) as seen:
        expect(seen.page.locator(".position")).to_have_count(2)
        nameless = """[...document.querySelectorAll('button, input, select, a')]
            .filter((node) => node.checkVisibility())
            .filter((node) => !node.getAttribute('aria-label') && !node.textContent.trim() && !node.labels?.length)
            .map((node) => node.outerHTML)"""
        assert seen.page.evaluate(nameless) == []
        seen.page.keyboard.press("Tab")
        expect(seen.page.get_by_text("Skip to the positions")).to_be_focused()
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator("#stop")).to_be_focused()
        seen.page.keyboard.press("Enter")
        expect(seen.page.get_by_label("API token")).to_be_focused()
        seen.page.keyboard.press("Escape")
        expect(seen.page.locator("#stop")).to_be_focused()
