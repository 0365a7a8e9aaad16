"""The answers of the chat: the account in a few short lines, from the database and the daemon's sign of life.

What lives here: words. What must not: figures of its own: each answer is that of the command of the same name.
Everything here blocks on the database and belongs into a thread that nobody waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from polystra.adapters.clock import SystemClock
from polystra.adapters.health_file import HealthFile
from polystra.adapters.store.account_reading import AccountReading, is_in_use, read_account
from polystra.app.balance import build_balance
from polystra.app.book_reading import database_url
from polystra.app.health import judge, words_of
from polystra.app.position_list import PositionLine, build_positions, duration, run_clock
from polystra.app.profit import build_daily, build_profit
from polystra.app.settings import Settings
from polystra.app.status import build_status

HELP: Final = """\
/status  what stops entries, limits, result of today
/positions  what is held, with id and time left
/profit  won and lost, after fees
/daily N  the last N days
/balance  cash, winnings, equity
/health  loop and streams
/stopentry  no new entries
/pause 30m  no new entries for a while
/stop  kill switch: entries off, resting entries cancelled; exits go on
/start  resume (asks)
/forceexit ID or all  sell now (asks)
/reload_config  take a changed .env
/help"""
_MOST_DAYS: Final = 31
_MOST_POSITIONS: Final = 20


class ChatWords:
    """See the module docstring."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def reports(self) -> Mapping[str, Callable[[str], str]]:
        """What may be asked, and who answers; each takes what stands behind the command and raises PolystraError."""
        return {
            "status": self._status,
            "positions": self._positions,
            "profit": self._profit,
            "daily": self._daily,
            "balance": self._balance,
            "health": self._health,
        }

    def switches(self) -> str:
        """What stops entries and a person may end, one a line; empty when nothing does."""
        status = build_status(self._account(), self._settings, running=True)
        return "\n".join(f"{line.name}: {line.reason} (since {line.since})" for line in status.switches)

    def _account(self) -> AccountReading:
        return read_account(database_url(self._settings))

    def _status(self, _rest: str) -> str:
        url = database_url(self._settings)
        status = build_status(read_account(url), self._settings, running=is_in_use(url))
        switches = "; ".join(f"{line.name} ({line.reason})" for line in status.switches)
        mode = "LIVE: real money" if status.mode == "live" else status.mode
        limits = [f"{line.name} {line.used} of {line.limit}" for line in status.limits if line.limit]
        return "\n".join(
            [
                f"{mode}, {'running' if status.running else 'not running'}; venue: {status.venue_mode or 'normal'}",
                f"entries: {f'blocked: {status.entries_blocked}' if status.entries_blocked else 'allowed'}",
                f"switches: {switches or 'none'}",
                f"today {status.realised_pnl_today} $, in all {status.realised_pnl} $",
                f"{status.open_positions} positions, {status.open_orders} orders open; available {status.available} $",
                f"limits: {'; '.join(limits)}",
            ]
        )

    def _positions(self, _rest: str) -> str:
        account = self._account()
        lines = [line for line in build_positions(account, run_clock(account, self._settings)) if _is_held(line)]
        if not lines:
            return "No position is open."
        words = [_position(line) for line in lines[:_MOST_POSITIONS]]
        return "\n".join([*words, *([f"and {len(lines) - len(words)} more"] if len(lines) > len(words) else [])])

    def _profit(self, _rest: str) -> str:
        account = self._account()
        told = build_profit(account, run_clock(account, self._settings))
        return "\n".join(
            [
                f"realised {told.realised_pnl} $ after {told.fees} $ of fees ({told.return_percent or '0.00'} %)",
                f"today {told.realised_today} $, 7 days {told.realised_7_days} $, 30 days {told.realised_30_days} $",
                f"unrealised {told.unrealised_pnl} $",
                f"{told.trades} trades: {told.wins} won, {told.losses} lost; best {told.best_trade or '-'}",
            ]
        )

    def _daily(self, rest: str) -> str:
        days = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 5 else 7
        account = self._account()
        lines = build_daily(account, run_clock(account, self._settings), days=min(max(days, 1), _MOST_DAYS))
        return "\n".join(
            f"{line.day}: {line.realised_pnl} $, {line.trades} trades ({line.wins} won), fees {line.fees} $"
            for line in lines
        )

    def _balance(self, _rest: str) -> str:
        told = build_balance(self._account())
        return "\n".join(
            [
                f"cash {told.cash} $, available {told.available} $",
                f"winnings not redeemed {told.claims} $, held {told.positions_value} $",
                f"equity {told.equity} $",
            ]
        )

    def _health(self, _rest: str) -> str:
        try:
            reading = HealthFile(self._settings.data_dir, self._settings.mode.value).read()
        except (OSError, ValueError) as error:
            return f"unhealthy: {error}"
        return words_of(judge(reading, SystemClock().now_ns()))


def _is_held(line: PositionLine) -> bool:
    return line.status in ("OPEN", "EXITING", "FROZEN")


def _position(line: PositionLine) -> str:
    left = "" if line.resolves_in_s is None else f", {duration(line.resolves_in_s)} left"
    exits = "; ".join(line.armed) or "nothing armed"
    return (
        f"{line.position_id}: {line.shares} at {line.average_price}, mark {line.mark or '-'}, "
        f"unrealised {line.unrealised_pnl or '-'} ${left}; {exits}"
    )
