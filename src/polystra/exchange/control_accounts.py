"""The operator's hand on the account side: settlement, allowances, standing, notices, moved funds.

What lives here: the routes `/control/account-rules`, `/control/trades`, `/control/allowances`,
`/control/standing`, `/control/transfers` and `/control/notifications`, which no real venue has. What
must not: clock, books, wallets (`control`), the trading side (`control_trading`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web

from polystra.domain.errors import ConfigError
from polystra.exchange.balances import AssetType, Standing
from polystra.exchange.core import ExchangeCore
from polystra.exchange.replies import Handler, json_reply
from polystra.exchange.reversal import CASH
from polystra.ports.clock import Clock

_Body = TypeVar("_Body")


class TradeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to happen to a trade's settlement; `delay_ms` counts for a delay only."""

    trade_id: str
    action: Literal["fail", "retry", "delay"]
    delay_ms: int = 30_000


class AllowanceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a contract may move of a wallet; decimal text in millionths, zero revokes."""

    address: str
    asset_type: AssetType
    spender: str
    amount: str = "0"


class StandingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is held against an owner; `record` false drops the record."""

    owner: str
    closed_only: bool = False
    banned: bool = False
    record: bool = True


class TransferRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settled funds to move on chain, in millionths; an empty token means dollars."""

    source: str
    target: str
    amount: int
    token_id: str = CASH


class NotificationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice for a wallet, or for everyone with an empty address."""

    type: int
    address: str = ""
    payload: dict[str, Any] = {}


class AccountControl:
    """The routes, bound to one exchange."""

    def __init__(self, core: ExchangeCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock

    def routes(self, prefix: str = "/control") -> list[tuple[str, str, Handler]]:
        """Return (method, path, handler) of every route."""
        return [
            ("GET", f"{prefix}/account-rules", self._show_rules),
            ("POST", f"{prefix}/account-rules", self._handler(dict[str, Any], self._change_rules)),
            ("POST", f"{prefix}/trades", self._handler(TradeRequest, self._move_trade)),
            ("POST", f"{prefix}/allowances", self._handler(AllowanceRequest, self._approve)),
            ("POST", f"{prefix}/standing", self._handler(StandingRequest, self._set_standing)),
            ("POST", f"{prefix}/transfers", self._handler(TransferRequest, self._transfer)),
            ("POST", f"{prefix}/notifications", self._handler(NotificationRequest, self._notify)),
        ]

    def _handler(self, kind: type[_Body], act: Callable[[_Body, int], object]) -> Handler:
        """Decode a body, act on it at the present instant, and tell what was wrong with either."""

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return json_reply(act(msgspec.json.decode(await request.read(), type=kind), self._clock.now_ns()))
            except (msgspec.MsgspecError, ConfigError) as error:
                return json_reply({"error": str(error)}, 400)

        return handler

    async def _show_rules(self, _request: web.Request) -> web.StreamResponse:
        return json_reply(self._core.desk.rules)

    def _change_rules(self, changes: dict[str, Any], _now_ns: int) -> object:
        self._core.desk.set_rules(self._core.desk.rules.changed(changes))
        return self._core.desk.rules

    def _move_trade(self, wanted: TradeRequest, now_ns: int) -> object:
        match wanted.action:
            case "fail":
                return {"failed": list(self._core.fail_trade(wanted.trade_id, now_ns))}
            case "retry":
                self._core.retry_trade(wanted.trade_id, now_ns)
            case "delay":
                self._core.delay_trade(wanted.trade_id, wanted.delay_ms, now_ns)
        return wanted

    def _approve(self, wanted: AllowanceRequest, now_ns: int) -> object:
        if not wanted.amount.isascii() or not wanted.amount.isdigit():
            raise ConfigError(f"amount is {wanted.amount[:60]!r}; write whole millionths as decimal text")
        address, spender = wanted.address.lower(), wanted.spender.lower()
        self._core.desk.approve(address, wanted.asset_type, spender, int(wanted.amount[:100]), now_ns)
        return wanted

    def _set_standing(self, wanted: StandingRequest, now_ns: int) -> object:
        standing = Standing(closed_only=wanted.closed_only, banned=wanted.banned) if wanted.record else None
        self._core.desk.set_standing(wanted.owner.lower(), standing, now_ns)
        return wanted

    def _transfer(self, wanted: TransferRequest, now_ns: int) -> object:
        source, target = wanted.source.lower(), wanted.target.lower()
        self._core.desk.move_funds(source, target, wanted.token_id, wanted.amount, now_ns=now_ns)
        return wanted

    def _notify(self, wanted: NotificationRequest, now_ns: int) -> object:
        notice = self._core.desk.notify(wanted.type, wanted.address.lower(), wanted.payload, now_ns)
        return {"id": notice.id}
