"""Rows 1 to 12 of the fault table: orders, fills, exits and the database; see `fault_table`."""

from __future__ import annotations

from typing import Final

from tests.fault_words import Row, case, unbuilt

_REST: Final = "unit/adapters/polymarket/test_rest.py::test_"
_RETRIES: Final = "unit/adapters/polymarket/test_order_retries.py::test_"
_BUDGET: Final = "unit/adapters/polymarket/test_rate_budget.py::test_"
_ENGINE: Final = "unit/engine/test_"

ORDERS: Final = (
    Row(
        1,
        "An order sent twice",
        "An order is taken, its answer is lost, and a new order is made in its place",
        "A time-out is no answer: the order is IN_DOUBT and looked up by its id, its cash or shares stay reserved. "
        "Only an exit is sent again, with the same signed bytes, which the venue takes once",
        (
            case("taken, then the connection breaks", "scenarios/entry-whose-reply-is-lost-is-one-order.yaml"),
            case(
                "lost before the venue: one order after the retry of an exit, none for an entry",
                "scenarios/stop-whose-request-is-lost-sells-once.yaml",
                "scenarios/entry-whose-request-is-lost-is-no-order.yaml",
            ),
            case(
                "taken and filled, the retry is a duplicate",
                "scenarios/stop-whose-reply-is-lost-sells-once.yaml",
                f"{_ENGINE}exits_in_doubt.py::test_a_duplicate_that_traded_is_booked_and_nothing_more_is_sold",
            ),
            case(
                "killed, the retry is a duplicate, a new order may be made",
                "scenarios/killed-sale-whose-reply-is-lost.yaml",
                f"{_ENGINE}exits_in_doubt.py::"
                "test_a_duplicate_that_is_found_nowhere_was_killed_and_the_rest_is_sold_by_a_new_order",
            ),
            case("the answer comes 45 seconds late", "scenarios/entry-answered-late-is-one-order.yaml"),
            case("status 200 with a web page", "scenarios/entry-answered-by-a-web-page-is-one-order.yaml"),
            case(
                "status 400 `context canceled`, and the order lives",
                "scenarios/entry-answered-context-canceled-is-one-order.yaml",
            ),
            case(
                "taken, and matched seconds later",
                "scenarios/stop-that-is-matched-three-seconds-later.yaml",
                f"{_ENGINE}doubt.py::test_a_stop_that_the_venue_matches_a_moment_later_is_not_sold_a_second_time",
                f"{_ENGINE}doubt.py::"
                "test_a_purchase_that_the_venue_matches_later_is_not_over_because_it_is_not_on_the_book_yet",
            ),
            case(
                "nobody answers for it until the window is over",
                "scenarios/doubt-that-nothing-answers-keeps-its-dollars.yaml",
                "unit/engine/test_doubt.py::test_the_verdict_of_the_market_ends_a_doubt_without_a_healthy_venue",
            ),
            case(
                "a batch of five with four answers",
                f"{_REST}a_batch_with_too_few_answers_is_in_doubt_and_not_sent_again",
                f"{_REST}answers_in_another_order_are_told_apart_by_their_ids",
            ),
        ),
    ),
    Row(
        2,
        "A fill that nobody told",
        "A fill is made while the account's stream is away, and the position is not known or not guarded",
        "Open orders and trades are read at every reconnect and every half minute; a fill is booked once by trade "
        "and order, by whichever channel it comes; entries stop while the stream is away",
        (
            case(
                "three fills in twenty silent seconds: one taking, two against buyers of the other outcome",
                "scenarios/fills-in-a-silent-account-stream.yaml",
                "scenarios/account-stream-broken-for-twenty-seconds.yaml",
            ),
            case("everything is told twice", "scenarios/exit-told-twice-counts-once.yaml"),
            case(
                "the fill is told before the order is answered",
                "scenarios/fill-told-before-its-order-is-answered.yaml",
                f"{_ENGINE}bookkeeper.py::test_a_fill_before_the_reply_of_its_post",
            ),
            case(
                "CONFIRMED before MATCHED",
                "scenarios/fill-told-before-its-order-is-answered.yaml",
                f"{_ENGINE}bookkeeper.py::test_the_words_of_a_settlement_may_come_in_any_order",
            ),
            case(
                "the cancellation before the last trade",
                "scenarios/cancellation-told-before-the-last-trade.yaml",
                f"{_ENGINE}gateway.py::test_a_cancellation_told_with_its_matched_size_waits_for_those_trades",
            ),
            case("no message of the account ever comes", "scenarios/exit-never-told-is-found.yaml"),
        ),
    ),
    Row(
        3,
        "A fill that crosses a cancel",
        "A cancel and a fill meet, and nothing or everything is booked",
        "The answer to a cancel ends nothing: the order is over when its trades were asked for, and until then its "
        "reservation stays",
        (
            case(
                "`not_canceled`, then the trade",
                "scenarios/cancel-too-late-with-its-trade-delayed.yaml",
                f"{_ENGINE}gateway.py::test_a_refused_cancel_of_an_order_that_had_just_filled",
            ),
            case(
                "cancelled, and a part comes later",
                "scenarios/cancellation-told-before-the-last-trade.yaml",
                f"{_ENGINE}gateway.py::test_an_accepted_cancel_is_over_only_when_its_trades_were_asked_for",
            ),
            case(
                "three of ten filled, then cancelled",
                "scenarios/dust-is-held.yaml",
                "scenarios/two-small-lots-are-sold-together.yaml",
            ),
        ),
    ),
    Row(
        4,
        "Target and stop at once",
        "The take-profit fills while the stop fires, and both sell",
        "One owner of all exits of a position: it cancels the take-profit, learns its fate and fills, and sells what "
        "is left; what no order holds is sold when a cancel stays unanswered",
        (
            case(
                "the target is filled, its trade not told",
                "scenarios/cancel-too-late-with-its-trade-delayed.yaml",
                f"{_ENGINE}exit_races.py::test_in_every_order_of_the_events_each_share_is_sold_once",
            ),
            case("forty percent of the target taken", "scenarios/target-partly-taken-as-the-stop-fires.yaml"),
            case("the cancel is answered with 425", "scenarios/cancel-refused-with-425.yaml"),
            case(
                "the cancel is not answered",
                "scenarios/cancel-whose-reply-is-lost.yaml",
                f"{_ENGINE}exit_health.py::test_what_no_order_holds_is_sold_when_a_cancel_stays_unanswered",
            ),
            case("target and stop crossed in one instant", "scenarios/target-and-stop-crossed-in-one-instant.yaml"),
        ),
    ),
    Row(
        5,
        "Selling what has not arrived",
        "The venue's balance lags or is short, and a sale is refused again and again while the price falls",
        "Shares are sold when they have arrived on chain; a refusal for want of balance has the balance refreshed and "
        "is tried again after 1, 2, 3 s with what is really there; an allowance is told from a balance",
        (
            case(
                "the balance lags ten seconds",
                "scenarios/balance-lag-is-waited-out.yaml",
                "scenarios/balance-lag-does-not-hold-the-stop.yaml",
            ),
            case(
                "4.89 are there of 5 bought",
                "scenarios/fewer-shares-arrive-than-were-bought.yaml",
                f"{_ENGINE}exit_close.py::test_a_stop_refused_for_want_of_balance_sells_what_the_venue_shows",
            ),
            case(
                "sales that are over are counted as open for a minute",
                "scenarios/balance-that-counts-matched-orders-as-open.yaml",
            ),
            case(
                "questions for the balance are answered with 429",
                "scenarios/balance-not-answered-does-not-hold-the-stop.yaml",
            ),
        ),
    ),
    Row(
        6,
        "A book of the past",
        "Orders are made against a book that stands still or is wrong",
        "Every change is held against the venue's own best prices; a book that is silent, out of sync or crossed is "
        "fetched anew and until then blocks entries and fires no stop",
        (
            case("open and silent", "scenarios/frozen-book-blocks-entries.yaml"),
            case(
                "only pongs",
                "scenarios/pings-alone-are-no-book.yaml",
                "scenarios/silent-stream-and-a-stop.yaml",
            ),
            case(
                "changes without a snapshot after a new subscription",
                f"{_ENGINE}market_data.py::test_changes_without_a_snapshot_are_not_believed_and_the_book_is_fetched",
            ),
            case(
                "a crossed book",
                "scenarios/crossed-book-fires-no-stop.yaml",
                "scenarios/crossed-book-is-asked-for.yaml",
                "unit/engine/strategy/test_evaluate.py::test_every_refusal_has_its_reason",
            ),
            case(
                "changes on the wrong side",
                f"{_ENGINE}market_data.py::test_a_change_on_the_wrong_side_is_noticed_by_the_venues_own_best_prices",
            ),
        ),
    ),
    Row(
        7,
        "Another price grid",
        "The tick changes, and exits are refused or stand on the wrong grid",
        "A finer grid is used by whatever is placed next, rounded so that it never costs more; resting orders stay; "
        "the venue's grids only get finer, and a price that it refuses has the book read anew and is tried with pauses",
        (
            case("0.01 to 0.001 under a resting target", "scenarios/tick-change-keeps-the-target.yaml"),
            case(
                "a coarser grid makes the target's price invalid",
                "scenarios/coarser-grid-refuses-the-target.yaml",
                f"{_ENGINE}calendar.py::test_a_listed_market_may_change_but_its_grid_never_becomes_coarser",
            ),
            case(
                "0.005 and 0.0025",
                "scenarios/grid-of-a-half-cent.yaml",
                "scenarios/grid-of-a-quarter-cent.yaml",
                f"{_ENGINE}validation.py::test_every_tick_has_its_grid_and_its_range",
            ),
        ),
    ),
    Row(
        8,
        "A verdict over open business",
        "A market is resolved while orders are open, or its verdict changes",
        "An announced verdict pays nothing: it is asked for; shares become a claim once, the claim becomes cash when "
        "the venue shows the shares gone; two verdicts that contradict each other freeze the market",
        (
            case(
                "resolved before the last fill",
                "scenarios/verdict-before-the-last-fill.yaml",
                f"{_ENGINE}settlement.py::test_a_late_fill_after_the_settlement_is_claimed_too",
            ),
            case(
                "turned round by a dispute",
                "scenarios/verdict-announced-wrong-and-corrected.yaml",
                f"{_ENGINE}settlement.py::test_a_contradicting_verdict_freezes_the_market_and_pays_nothing_more",
            ),
            case(
                "void: both outcomes are worth a half",
                "scenarios/settlement-pays-half.yaml",
                f"{_ENGINE}settlement.py::test_fifty_fifty_pays_half_of_both_outcomes",
            ),
            case(
                "the stream and the order book's answers disagree (no verdict is read from Gamma)",
                "scenarios/verdicts-that-disagree.yaml",
                f"{_ENGINE}settlement.py::test_an_announced_verdict_pays_nothing_and_is_asked_for",
            ),
            unbuilt("a redemption is reverted", "the daemon sends no redemption transactions"),
            case(
                "redeemed by the venue itself",
                "scenarios/settlement-pays-1.yaml",
                f"{_ENGINE}settlement.py::"
                "test_the_claim_becomes_cash_only_when_the_shares_are_gone_and_the_cash_is_there",
            ),
        ),
    ),
    Row(
        9,
        "A trade that fails on the chain",
        "A matched trade fails later: shares that are not there are sold, or a sale comes back unguarded",
        "Shares of a matched trade are pending; FAILED posts them back with both lines kept, exits shrink to what is "
        "left, shares of a failed sale are guarded again",
        (
            case("after the target was placed", "scenarios/failed-purchase-under-a-resting-exit.yaml"),
            case(
                "retried, then confirmed",
                "scenarios/reorganised-purchase-under-a-resting-exit.yaml",
                f"{_ENGINE}bookkeeper.py::test_the_words_of_a_settlement_may_come_in_any_order",
            ),
            case("two of three fail", "scenarios/two-of-three-purchases-fail.yaml"),
            case("a sale fails", "scenarios/failed-sale-comes-back.yaml"),
            case(
                "a sale fails after the verdict",
                "scenarios/failed-sale-after-the-verdict.yaml",
                "scenarios/failed-sale-after-the-verdict-of-a-loser.yaml",
            ),
            case(
                "after a restart, and while the daemon is down",
                "scenarios/purchase-fails-after-a-restart.yaml",
                "scenarios/purchase-fails-while-the-daemon-is-down.yaml",
            ),
            case(
                "after the resolution",
                "scenarios/purchase-fails-after-the-verdict.yaml",
                f"{_ENGINE}settlement.py::test_a_provisional_trade_that_fails_after_the_verdict_pays_nothing",
            ),
        ),
    ),
    Row(
        10,
        "Too many requests",
        "The venue limits requests, and the stop waits behind quotes",
        "Cancels and exits leave first and have a part of every budget to themselves; the venue's own count is "
        "believed; a refusal for the rate is answered with the same bytes after the pause that it names",
        (
            case("429 for fifteen seconds as the stop fires", "scenarios/too-many-requests-as-the-stop-fires.yaml"),
            case("the count is negative", f"{_BUDGET}a_negative_count_blocks_until_it_has_recovered"),
            case("only a warning", f"{_BUDGET}warnings_are_counted_and_slow_down"),
            case("the firewall's page, 403 and 1015", "scenarios/firewall-page-as-the-stop-fires.yaml"),
            case("a batch refused as a whole", f"{_RETRIES}a_batch_that_was_refused_whole_is_sent_again_whole"),
            case(
                "a storm of entries",
                "simulation/test_rate_storm.py::test_exits_and_cancels_leave_at_once_in_the_middle_of_a_storm",
            ),
        ),
    ),
    Row(
        11,
        "A database that does not take",
        "An order is at the venue and not in the database",
        "Nothing leaves before it is durable. A busy or full database is tried again and holds everything back, and "
        "an entry that waited too long never leaves; after 10 s a person is told; one that cannot be used ends it all",
        (
            case(
                "locked for thirty seconds around an entry",
                "scenarios/locked-database-around-an-order.yaml",
                "chaos/test_disk.py::test_nothing_leaves_while_the_database_is_locked_and_then_it_goes_on",
            ),
            case(
                "full after the venue took the order",
                "chaos/test_disk.py::test_nothing_leaves_while_the_disk_is_full_and_with_room_again_it_goes_on",
                "unit/adapters/store/test_database.py::test_a_full_disk_is_a_pause",
                f"{_ENGINE}restart.py::test_an_order_that_traded_while_we_were_dead_is_booked_once_and_guarded",
                "unit/runtime/test_loop.py::test_a_broken_store_ends_the_loop_and_nothing_leaves",
            ),
            case(
                "read-only",
                "chaos/test_disk.py::test_a_read_only_disk_is_one_line_at_the_start",
                "unit/adapters/store/test_database.py::test_a_file_that_cannot_be_written_is_told_and_is_no_pause",
                "unit/runtime/test_loop.py::test_a_broken_store_ends_the_loop_and_nothing_leaves",
            ),
            case("a commit of five seconds while a beat is due", "scenarios/slow-database-while-a-beat-is-due.yaml"),
            case("locked as the stop fires, and killed in it", "scenarios/restart-in-a-locked-database.yaml"),
            case(
                "a person is told while nothing leaves",
                "unit/runtime/test_alerts.py::test_a_commit_that_hangs_is_told_once_and_when_it_is_done",
            ),
            case("it stands still as the stop fires", "scenarios/database-that-stands-still-as-the-stop-fires.yaml"),
        ),
    ),
    Row(
        12,
        "Killed between order and database",
        "The process dies, and an order is at the venue that the next start does not know",
        "Intent, id and signed bytes are committed before anything leaves; a start looks up every order that may live, "
        "sends none again, and trades when the account agrees",
        (
            case(
                "killed at every commit and send of an entry, a target, a stop, an addition, a cancel, a settlement",
                "chaos/test_kill_loop.py::test_who_dies_with_bytes_under_way_accounts_for_them",
                "chaos/test_kill_loop.py::test_who_dies_anywhere_accounts_for_everything",
                "chaos/test_kill_loop.py::test_who_dies_a_second_time_while_finding_out_does_too",
            ),
            unbuilt("killed at every point of a redemption", "the daemon sends no redemption transactions"),
            case(
                "killed as a process",
                "chaos/test_kill_matrix.py::test_a_daemon_killed_anywhere_accounts_for_everything",
                "chaos/test_kill_matrix.py::test_a_daemon_killed_while_its_stop_sells_accounts_for_it",
                "chaos/test_kill_daemon.py::test_a_killed_daemon_accounts_for_everything_after_its_restart",
                "simulation/test_search.py::test_a_drawn_bad_day_breaks_nothing_and_comes_again_the_same",
                f"{_ENGINE}restart.py::test_every_order_that_may_live_is_looked_up_and_none_is_sent_or_signed_again",
            ),
            case("killed in the middle of a sale", "scenarios/restart-in-the-middle-of-a-sale.yaml"),
        ),
    ),
)
