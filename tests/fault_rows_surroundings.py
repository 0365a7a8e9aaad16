"""Rows 13 to 22 of the fault table: clock, venue, money and the account around it; see `fault_table`."""

from __future__ import annotations

from typing import Final

from tests.fault_words import Row, case, unbuilt

_REST: Final = "unit/adapters/polymarket/test_rest.py::test_"
_ENGINE: Final = "unit/engine/test_"

SURROUNDINGS: Final = (
    Row(
        13,
        "A clock that is wrong",
        "Our clock and the venue's differ: proofs are refused, decisions fall into the wrong second",
        "The offset is measured at the start, every five minutes, after a reconnect and a refused proof, and when a "
        "message bears another time than ours; proofs are corrected; beyond MAX_CLOCK_DRIFT_SECONDS entries stop, and "
        "exits follow whichever clock is behind",
        (
            case(
                "three seconds either way",
                "scenarios/clock-three-seconds-ahead.yaml",
                "scenarios/clock-three-seconds-behind.yaml",
            ),
            case(
                "thirty seconds either way, while an order is open",
                "scenarios/clock-thirty-seconds-ahead-and-a-stop.yaml",
                "scenarios/clock-thirty-seconds-behind-and-a-stop.yaml",
            ),
            case(
                "our own clock is set while an order is open",
                "scenarios/our-clock-is-set-ahead-under-an-open-order.yaml",
                "scenarios/our-clock-is-set-back-under-an-open-order.yaml",
                f"{_ENGINE}venue_clock.py::test_a_message_that_bears_another_time_has_the_clocks_compared_now_and_then",
            ),
            case(
                "our own clock is set past the end of the window, or before its beginning",
                "scenarios/our-clock-is-set-ten-minutes-ahead.yaml",
                "scenarios/our-clock-is-set-ten-minutes-back.yaml",
                "unit/engine/test_venue_clock.py::test_a_stop_fires_until_both_clocks_say_that_the_window_is_over",
            ),
            case("a restart with another clock", "scenarios/clock-set-back-and-restart.yaml"),
            case(
                "the machine sleeps and wakes",
                "scenarios/machine-that-slept.yaml",
                "chaos/test_frozen_daemon.py::test_a_frozen_daemon_loses_its_orders_and_heals",
            ),
        ),
    ),
    Row(
        14,
        "Two daemons on one account",
        "Two programs trade one account and undo each other's orders",
        "A lease with an epoch that every commit proves: a second daemon is refused, one that was taken over writes "
        "and sends nothing more. A stranger's open order or another sender of heartbeats blocks entries and is told",
        (
            case(
                "a second process",
                "chaos/test_two_daemons.py::"
                "test_the_second_is_refused_at_once_and_the_next_after_an_orderly_end_is_not",
                "contract/test_store_opening.py::test_a_second_daemon_is_refused_until_the_first_ends",
            ),
            case(
                "a pause longer than the lease",
                "chaos/test_two_daemons.py::test_a_stopped_process_that_was_taken_over_ends_without_a_further_intent",
                "contract/test_store_lease.py::test_a_holder_that_was_taken_over_commits_nothing",
                "unit/runtime/test_tenure.py::test_after_a_pause_longer_than_the_term_nothing_leaves_before_a_new_one",
            ),
            case(
                "two hosts with a database each",
                "scenarios/order-made-elsewhere-blocks-entries.yaml",
                f"{_ENGINE}heartbeat.py::test_another_sender_for_our_key_blocks_entries_until_a_beat_follows_ours_again",
                "e2e/test_heartbeats_against_exchange.py::test_a_second_process_takes_the_chain_over",
            ),
        ),
    ),
    Row(
        15,
        "A venue that restarts",
        "The venue restarts, takes post-only orders, only cancels, or nothing, and a stop storms or is lost",
        "Each mode has its policy: entries stop, a stop waits or rests at the touch, cancels are kept and sent first; "
        "the cheapest real call is tried 1 to 30 s apart",
        (
            case(
                "90 s of restart and two post-only minutes with a stop inside",
                "scenarios/weekly-restart-with-a-stop-inside.yaml",
                "scenarios/weekly-restart-with-a-stop-that-rests.yaml",
            ),
            case("a restart, a lost reply and a silent stream at once", "scenarios/two-troubles-at-once.yaml"),
            case(
                "cancel-only for six hours",
                "scenarios/cancel-only-for-six-hours.yaml",
                f"{_ENGINE}venue_mode.py::test_tries_grow_to_thirty_seconds_and_are_never_a_storm",
            ),
            case(
                "disabled with resting orders",
                "scenarios/disabled-venue-with-a-resting-target.yaml",
                "scenarios/disabled-venue-with-a-stop-and-a-resting-target.yaml",
            ),
            case(
                "a restart while a cancel is pending",
                "scenarios/restart-of-the-venue-while-a-cancel-is-pending.yaml",
            ),
        ),
    ),
    Row(
        16,
        "Wrong fees",
        "Fees are reckoned wrong, and a gain is a loss",
        "Rate and exponent come with each market, none is traded without them; every taker fill is charged half up to "
        "five decimals and held against what the account really paid; another fee stops entries that take",
        (
            case(
                "the same for both outcomes, highest at a half",
                "property/test_fees_formula.py::test_both_outcomes_of_a_trade_pay_the_same",
                "property/test_fees_formula.py::test_the_fee_is_highest_at_one_half_and_nothing_at_the_ends",
            ),
            case(
                "another rate in the middle of a market",
                "simulation/test_fees_checked.py::test_another_rate_is_told_and_blocks_its_market",
                f"{_ENGINE}calendar.py::test_a_changed_fee_is_charged_from_then_on",
            ),
            case("no fee is told", "unit/adapters/polymarket/test_discovery.py::test_markets_that_are_not_traded"),
            case("a maker pays none", f"{_ENGINE}bookkeeper.py::test_a_taker_fee_is_booked_and_a_maker_pays_none"),
            case(
                "rounded to 0.00001",
                "property/test_fees_formula.py::test_the_fee_is_the_exact_product_rounded_to_five_decimals",
                "simulation/test_fees_checked.py::test_another_rounding_is_not",
            ),
        ),
    ),
    Row(
        17,
        "Heartbeats that stop",
        "The daemon stalls, the venue cancels everything, and the daemon believes that it rests",
        "Beats come from a thread of their own and stop when the loop stands still; after a gap every resting order is "
        "looked up and entries wait for a complete snapshot",
        (
            case(
                "the loop is blocked",
                "e2e/test_heart_in_a_thread.py::test_orders_outlive_a_stall_of_the_main_loop",
                "e2e/test_heart_in_a_thread.py::test_beats_stop_when_the_sign_of_life_is_old_and_the_venue_cancels",
                "chaos/test_frozen_daemon.py::test_a_frozen_daemon_loses_its_orders_and_heals",
            ),
            case(
                "a mismatch names the right id",
                "unit/adapters/polymarket/test_heartbeats.py::test_a_wrong_id_is_replaced_and_sent_at_once",
            ),
            case(
                "the answer to a taken beat is lost",
                "unit/adapters/polymarket/test_pacemaker.py::test_an_id_adopted_after_a_lost_reply_is_nobody_elses",
            ),
        ),
    ),
    Row(
        18,
        "Dust",
        "A remainder is too small to be sold, and is tried for ever or forgotten",
        "Entries leave room for rounding; what is too small to rest is watched and sold at market; what the venue "
        "refuses is kept, counted and told, or sold with the next shares",
        (
            case("5.00 bought, 4.99 there", "scenarios/a-hundredth-of-a-share-is-missing.yaml"),
            case("a target that leaves three", "scenarios/a-target-that-leaves-three-shares.yaml"),
            case("two lots of three", "scenarios/two-small-lots-are-sold-together.yaml"),
            case(
                "five shares at three cents",
                "scenarios/five-shares-at-three-cents.yaml",
                "scenarios/five-shares-worth-fifteen-cents-are-sold.yaml",
            ),
        ),
    ),
    Row(
        19,
        "Allowances",
        "The wallet has not approved the contract that an exit needs, and the first stop fails",
        "Approvals are checked before a live start for every kind of market; a refusal for the allowance stops "
        "entries and is told, an exit is tried on with pauses",
        (
            case(
                "none",
                f"{_ENGINE}validation.py::test_each_rule_passes_up_to_its_boundary_and_refuses_beyond",
                "e2e/test_doctor_against_exchange.py::"
                "test_a_hard_check_fails_with_evidence_and_remedy_and_live_refuses_in_a_line",
            ),
            case(
                "less than the order",
                f"{_ENGINE}validation.py::test_each_rule_passes_up_to_its_boundary_and_refuses_beyond",
            ),
            case(
                "taken back while the daemon runs",
                "scenarios/allowance-of-dollars-revoked.yaml",
                "scenarios/allowance-of-shares-revoked.yaml",
            ),
            case(
                "a neg-risk market",
                "scenarios/stop-in-a-neg-risk-market.yaml",
                "scenarios/neg-risk-allowance-that-is-missing.yaml",
                "e2e/test_doctor_against_exchange.py::"
                "test_a_missing_approval_that_no_current_market_needs_is_a_warning",
                "unit/adapters/polymarket/signing/test_contracts.py::test_market_version_and_risk_choose_the_contract",
            ),
        ),
    ),
    Row(
        20,
        "A snapshot that destroys",
        "An empty or failed answer is taken for an empty account, and positions are forgotten",
        "Only a complete snapshot that was asked for after the last event changes anything, a loss must be read "
        "twice, a large one confirmed by a second source, and a change is a posting with its evidence",
        (
            case(
                "empty",
                f"{_ENGINE}reconcile.py::test_a_complete_empty_snapshot_makes_a_look_up_and_not_a_guess",
                f"{_ENGINE}holdings.py::test_a_loss_to_nothing_needs_the_second_source",
            ),
            case(
                "a page fails",
                f"{_REST}a_second_page_that_fails_makes_the_snapshot_incomplete",
                "unit/adapters/polymarket/test_data_api.py::"
                "test_holdings_are_every_row_with_shares_and_a_failed_page_makes_them_incomplete",
            ),
            case(
                "status 500",
                "scenarios/account-not-answered-takes-nothing-away.yaml",
                f"{_REST}a_failed_part_makes_the_snapshot_incomplete",
            ),
            case(
                "older than a fill",
                f"{_ENGINE}reconcile.py::test_a_snapshot_older_than_the_last_event_concludes_nothing",
            ),
            case("the second source is a minute late", "scenarios/second-source-a-minute-late.yaml"),
            case(
                "traded by hand in the same wallet",
                "scenarios/shares-bought-elsewhere-are-left-alone.yaml",
                "simulation/test_touched_elsewhere.py::"
                "test_shares_that_the_owner_takes_away_and_brings_back_are_followed_with_evidence",
            ),
        ),
    ),
    Row(
        21,
        "Simulation and live confused",
        "A run that was meant as a simulation sends a real order",
        "The world is chosen in one place, a database is stamped with its mode, live needs its own word and passes "
        "the checks first",
        (
            case(
                "one module builds what signs and sends",
                "unit/test_one_way_to_the_venue.py::test_only_named_modules_build_what_signs_or_sends",
            ),
            case(
                "a simulated run without a network",
                "simulation/test_no_network.py::test_a_simulated_run_reaches_no_host",
            ),
            unbuilt("a paper run under a list of forbidden hosts", "there is no paper mode"),
            case(
                "a database of another mode",
                "contract/test_store_opening.py::test_the_first_run_stamps_and_others_are_refused",
            ),
        ),
    ),
    Row(
        22,
        "Signals from outside, again",
        "A hook's request comes twice or from a stranger, and buys",
        "There are no inbound hooks; requests of this machine carry an id and are carried out once",
        (
            unbuilt("the same body twice, stale, or with a wrong secret", "there are no inbound hooks"),
            unbuilt("an unknown market, or a flood", "there are no inbound hooks"),
            case(
                "a request of this machine that comes twice",
                f"{_ENGINE}order_requests.py::test_a_request_told_twice_makes_one_order_after_a_restart_too",
                f"{_ENGINE}entry_requests.py::test_a_request_that_comes_twice_is_carried_out_once",
            ),
        ),
    ),
)
