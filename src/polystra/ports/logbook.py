"""The logbook: every name that a log line may carry, with what it means.

What lives here: names (`noun.past_verb`) and meanings, nothing else. What must not: calls
to a logger. A name is part of the interface: people search and alert by it, so renaming
one is a line in the changelog. INFO is the story of the money, DEBUG is traffic, WARNING
is degraded but safe, ERROR means that a person has to look.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class LogEvent(StrEnum):
    """The name of a log line; `meaning` says in one line what has happened."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make a member that is the text `value` and knows its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    APP_STARTED = "app.started", "the program runs; mode, account and seed are named"
    APP_FAILED = "app.failed", "the program ends because of an error that a person has to see"
    SETTINGS_LOADED = "settings.loaded", "the settings were read and are valid"
    STORE_OPENED = "store.opened", "the database is open and belongs to this mode and account"
    STORE_MIGRATED = "store.migrated", "the schema is up to date; from and to are its versions"
    STORE_BACKED_UP = "store.backed_up", "the database was copied before it is migrated; the copy was compared"
    STORE_LOCKED = "store.locked", "this process alone holds the database"
    STORE_BUSY = "store.blocked", "the database does not take commits; nothing leaves until it does"
    STORE_FREED = "store.freed", "the database takes commits again; what was held back leaves"
    STORE_STUCK = "store.stuck", "a commit has been under way for long: nothing leaves, stops included"
    STORE_HELD = "store.held", "another daemon may still hold the account; this one waits for the end of its term"
    STORE_COMMIT_SLOWED = "store.commit_slowed", "a commit took longer than it should"
    RECORDING_STARTED = "recording.started", "inputs are recorded into the folder named: a session's, or the streams'"
    RECORDING_FOUND = "recording.found", "a file that an earlier recorder left unfinished; what of it is whole"
    RECORDING_ROTATED = "recording.rotated", "a file of the recording is whole and in the index; the next one begins"
    RECORDING_RESUMED = "recording.resumed", "the disk takes blocks again; what came meanwhile is missing"
    RECORDING_ENDED = "recording.ended", "the recording is whole; its inputs, files and bytes"
    RECORDING_FAILED = (
        "recording.failed",
        "the disk takes nothing: a session is recorded no further, streams are tried again",
    )
    ALERTS_READY = "alerts.ready", "alerts leave by the channels named; or none does"
    ALERT_FAILED = "alert.failed", "an alert or a ping could not leave; it waits or is dropped, trading goes on"
    HEALTH_UNTOLD = "health.untold", "the health file cannot be written; probes will call the daemon unhealthy"
    API_STARTED = "api.started", "the dashboard and the control API are served at the address named"
    API_UNAVAILABLE = "api.unavailable", "the control API cannot be served; trading goes on without it"
    API_ACTED = "api.acted", "an action that was asked for by the control API, and what came of it"
    HOOK_REFUSED = "hook.refused", "a signal from outside was not taken, and why; one line a minute of each kind"
    API_REFUSED = "api.refused", "somebody asked the control API for an action without the right token"
    AUDIT_BLOCKED = "audit.blocked", "the audit of requests cannot be written for now; trading goes on"
    AUDIT_DROPPED = "audit.dropped", "requests are missing in the audit; trading goes on"
    RULES_LISTED = "rules.listed", "the position rules that are on, and those that are off"
    LIBRARY_LOGGED = "library.logged", "a third-party library wrote a warning or an error"

    RECONCILE_STARTED = "reconcile.started", "our orders, fills and balances are compared with the venue's"
    RECONCILE_COMPLETED = "reconcile.completed", "our books and the venue's agree, with what was changed for it"
    RECONCILE_MISMATCHED = "reconcile.mismatched", "our books and the venue's differ; the evidence is named"
    BALANCE_OBSERVED = "balance.observed", "the venue told the account's collateral or a token's balance"

    STREAM_CONNECTED = "stream.connected", "a websocket is connected and subscribed"
    STREAM_LOST = "stream.lost", "a websocket broke; it reconnects by itself"
    STREAM_RECOVERED = "stream.recovered", "what a broken stream missed was read by REST"
    QUESTION_FAILED = "question.failed", "a question to the venue got no answer; it is asked again"
    MESSAGE_UNREADABLE = "message.unreadable", "a message of the venue could not be decoded and was counted"
    ANSWER_UNLISTED = (
        "answer.unlisted",
        "the venue answered an order with words that are in no table; counted, in doubt",
    )
    BOOK_RESYNCED = "book.resynced", "a local book differed from the stream and was read anew"
    CLOCK_DRIFTED = "clock.drifted", "our clock and the venue's differ by more than is allowed"
    CLOCK_AGREED = "clock.agreed", "our clock and the venue's differ by no more than is allowed, again"
    CLOCK_CORRECTED = "clock.corrected", "expirations and proofs follow the venue's clock by another correction"

    VENUE_NOTICE_LEFT = (
        "venue.notice_left",
        "a notice of the venue that is not about trading stays unread for its owner",
    )

    HEARTBEAT_ARMED = "heartbeat.armed", "the venue's dead man's switch is armed; what it would cancel is named"
    HEARTBEAT_FAILED = "heartbeat.failed", "the venue takes no heartbeats of ours, or takes another's"
    HEARTBEAT_RECOVERED = "heartbeat.recovered", "heartbeats are taken again; what was cancelled is looked up"

    MARKET_LISTED = "market.listed", "a market was found that we trade"
    MARKET_REFUSED = "market.refused", "a market was found whose rule or grid is not known"
    MARKET_OPENED = "market.opened", "a market's window began; the price to beat is known"
    MARKET_CHANGED = "market.changed", "a market's terms changed, as its price grid became finer"
    MARKET_RESOLVED = "market.resolved", "a market's outcome is known"

    DECISION_MADE = "decision.made", "a market was evaluated: enter or skip, and why"
    INTENT_DENIED = "intent.denied", "an order was wished for and refused before signing"
    REQUEST_TAKEN = "request.taken", "a person's or a tool's request was taken; its orders are named"
    REQUEST_REFUSED = "request.refused", "what a person or an outside signal asked for was not done, and why"
    ENTRIES_BLOCKED = "entries.blocked", "no new entry is made until the cause is gone"
    CONTROL_FAILED = "control.failed", "a command or the kill file could not be read; the rest goes on"
    SWITCH_SET = "switch.set", "a switch that stops or limits entries is on; it survives a restart"
    SWITCH_CLEARED = "switch.cleared", "a switch that stopped or limited entries is off"
    VENUE_MODE_CHANGED = "venue.mode_changed", "the venue restarts, takes only some orders, or is back to normal"
    RETRY_SKIPPED = "retry.skipped", "an entry that did not fill in time is not tried at market"
    SCALE_IN_PLACED = "scale_in.placed", "a position is added to; the dollars available before it are named"
    SCALE_IN_SKIPPED = "scale_in.skipped", "a position could be added to but is not; need and have are named"
    CONFIG_CHANGED = "config.changed", "settings were read anew and hold from now on; the difference is named"
    CHAT_IGNORED = "chat.ignored", "somebody who is not allowed writes to the bot; named once, counted, never answered"
    CHAT_AWAY = "chat.away", "messages to the bot cannot be read or answered for now; alerts and trading go on"
    CONTROL_ASKED = "control.asked", "a person asked for something by hand: what, by which way, and what came of it"
    OPERATOR_REPAIRED = "operator.repaired", "a person mended something by hand"
    REVERSAL_STARTED = "reversal.started", "a position is sold so that the other side can be taken"
    REVERSAL_ENDED = "reversal.ended", "a reversal was given up after its sale; the other side was not entered"
    BALANCE_JUDGED = "balance.judged", "the venue saw too little cash for a purchase: missing, locked or late"
    BALANCE_LOW = "balance.fell_low", "the available dollars are below the alert; what waits to be redeemed is named"
    FEE_MISMATCHED = "fee.mismatched", "fills cost other fees than the market's schedule says; entries there stop"
    ENTRIES_ALLOWED = "entries.allowed", "the cause is gone; entries are made again"

    ORDER_SUBMITTED = "order.submitted", "an order's intent is committed and the order leaves"
    ORDER_ACKNOWLEDGED = "order.acknowledged", "the venue has the order under the id that we expected"
    ORDER_REFUSED = "order.refused", "the venue said no; nothing changed there"
    ORDER_IN_DOUBT = "order.in_doubt", "the venue's answer is unknown; the order is looked up by its id"
    ORDER_DOUBT_LASTS = "order.doubt_lasted", "an order is in doubt for long; what it would cost stays reserved"
    ORDER_LOOKUP_SCHEDULED = "order.lookup_scheduled", "an order in doubt will be looked up again"
    ORDER_RESOLVED = "order.resolved", "an order in doubt was found or proved absent"
    ORDER_ID_MISMATCHED = "order.id_mismatched", "the venue returned another id than ours; trading stops"
    ORDER_CANCEL_REQUESTED = "order.cancel_requested", "a cancel leaves"
    ORDER_CANCELED = "order.canceled", "the order is off the book; what was filled stays"
    ORDER_STRANGE = "order.found_strange", "the venue speaks of an order that is not ours"
    ORDER_FILLED = "order.filled", "the order is wholly filled"
    ORDER_EXPIRED = "order.expired", "the order's time ran out at the venue"

    FILL_BOOKED = "fill.booked", "an execution is in the ledger, once; it is provisional"
    FILL_ADVANCED = "fill.advanced", "an execution's settlement moved on"
    FILL_STRANGE = "fill.found_strange", "an execution or balance that no order of ours explains"
    FILL_CONFIRMED = "fill.confirmed", "an execution is final on the chain"
    FILL_FAILED = "fill.failed", "an execution failed on the chain and was posted back"

    POSITION_OPENED = "position.opened", "shares of an outcome are held"
    POSITION_CLOSED = "position.closed", "the last share was sold; the profit or loss is realised"
    POSITION_SETTLED = "position.settled", "a held outcome paid out or expired worthless"
    POSITION_FROZEN = "position.frozen", "a position contradicts the venue; nothing is done until a person looks"
    EXIT_PLACED = "exit.placed", "a take-profit rests on the book"
    EXIT_ARMED = "exit.armed", "an exit is watched by the daemon"
    EXIT_DISARMED = "exit.disarmed", "an exit is no longer watched; the position is held to resolution"
    STOP_FIRED = "stop.fired", "a stop, the clock or a person asked for a sale; what is left is sold"
    TAKE_PROFIT_FIRED = "take_profit.fired", "the best bid reached the watched target; what is left is sold"

    EXIT_SKIPPED = "exit.skipped", "an exit was not placed now, and why"
    EXIT_HEALED = "exit.healed", "resting exits did not fit the position and were mended"
    EXIT_FROZEN = "exit.frozen", "a repair of an exit did not take and is not repeated"
    POSITION_EXITING = "position.exit_started", "an exit fired; the position is being sold"
    MARKET_FROZEN = "market.frozen", "the venue contradicts us in a market; nothing is done there until a person looks"
    MARKET_THAWED = "market.thawed", "the venue agrees with our books again; the market is worked as before"
    POSITION_ADOPTED = "position.adopted", "shares bought elsewhere were found and are in our books, marked external"
    REDEMPTION_SEEN = "redemption.observed", "winning shares became cash"
    LEDGER_POSTED = "ledger.posted", "a line of the ledger; INFO for transfers and adjustments"
    TRADING_HALTED = "trading.halted", "no order may leave until a person acts"
    STRATEGY_FAILED = "strategy.failed", "the strategy broke on a market, which is left alone; exits go on"

    SHUTDOWN_STARTED = "shutdown.started", "the program was asked to stop; entries are cancelled"
    SHUTDOWN_HELD = "shutdown.held", "a stop was asked for and waits for the database; what would be left is named"
    SHUTDOWN_COMPLETED = "shutdown.completed", "the program stopped; what is left open is named"

    CHECK_WARNED = "check.warned", "a check at the start of live found something to mend; trading goes on"
    CHECK_FAILED = "check.failed", "a check at the start of live failed; its remedy is named"
    CHECKS_COMPLETED = "check.completed", "the checks at the start of live are done; they are counted by verdict"

    EXCHANGE_STARTED = "exchange.started", "the built-in exchange listens; its URLs are named"
    FAULT_INJECTED = (
        "fault.injected",
        "the built-in exchange misbehaves on request; the fault and its place are named",
    )
    EXCHANGE_STOPPED = "exchange.stopped", "the built-in exchange wrote its books and stopped"
    PRICES_LOADED = "prices.loaded", "a recorded or generated price series is ready"
    SESSION_DRAWN = "session.drawn", "a picture of the session is in the file that is named"
    SESSION_NOT_DRAWN = "session.not_drawn", "the session's picture could not be drawn; nothing else depends on it"
    SIM_COMPLETED = "sim.completed", "the simulation ended; markets settled and the hash of the facts are named"
    REPORT_CHECKED = "report.checked", "ledger, orders and the exchange's books were compared"
