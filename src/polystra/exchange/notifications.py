"""The notices of an account: filled, cancelled, failed, resolved and what else the venue tells.

What lives here: which event becomes which notice, for whom, how long it is kept and what was
dismissed. What must not: HTTP; a market notice is rendered when it is read (`rest_account`).

Types: Polymarket CLOB docs, notifications, and the official client's list: 1 order cancelled,
2 filled, 3 market registered, 4 market resolved, 8 fill failed, 9 shares redeemed. Types 5, 6, 7, 10
and 11 (reward, comment reply, yield, combo redeemed, taker tier) have no cause here; the control
endpoint sends them. The payload of 9 is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from polystra.domain.units import format_micros
from polystra.exchange.model import (
    NS_PER_S,
    CoreEvent,
    MarketListed,
    MarketResolved,
    OrderEvent,
    OrderView,
    Redeemed,
    TradeEvent,
    TradeView,
)
from polystra.exchange.state import State

KEPT_S: Final = 48 * 3_600
KEPT_NOTICES: Final = 20_000
TYPES: Final = frozenset(range(1, 12))
CANCELLED, FILLED, LISTED, RESOLVED, FAILED, REDEEMED = 1, 2, 3, 4, 8, 9
_KIND: Final = "notice"
_DISMISSED: Final = "dismissed"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice; `address` is the wallet that it is for, empty for everyone."""

    id: int
    type: int
    address: str
    owner: str
    at_ns: int
    condition_id: str = ""
    payload: dict[str, Any] = {}


class Notifications:
    """All notices of the last 48 hours, oldest first."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._notices: dict[int, Notice] = {}
        self._dismissed: dict[int, dict[str, None]] = {}
        for name, body in state.records_of(_KIND):
            self._notices[int(name)] = msgspec.json.decode(body, type=Notice)
        for name, _ in state.records_of(_DISMISSED):
            address, number = name.split("|")
            self._dismissed.setdefault(int(number), {})[address] = None
        self._next_id = max(self._notices, default=0) + 1

    def on_event(self, event: CoreEvent) -> None:
        """Turn an event of the exchange into notices; the house gets none."""
        match event:
            case OrderEvent(type="CANCELLATION", order=order) if order.owner:
                self._of_order(CANCELLED, order, event.at_ns)
            case OrderEvent(type="UPDATE", order=order) if order.owner:
                self._of_order(FILLED, order, event.at_ns)
            case TradeEvent(trade=trade) if trade.status == "FAILED":
                self._of_failure(trade, event.at_ns)
            case MarketListed(spec=spec):
                self.add(LISTED, "", "", {}, event.at_ns, condition_id=spec.condition_id)
            case MarketResolved(condition_id=condition_id):
                self.add(RESOLVED, "", "", {}, event.at_ns, condition_id=condition_id)
            case Redeemed() if not self._state.is_house(event.account):
                self._of_redemption(event)
            case _:
                pass

    def add(
        self,
        kind: int,
        address: str,
        owner: str,
        payload: dict[str, Any],
        at_ns: int,
        *,
        condition_id: str = "",
    ) -> Notice:
        """Enter a notice; an empty address tells everyone."""
        notice = Notice(
            id=self._next_id,
            type=kind,
            address=address,
            owner=owner,
            at_ns=at_ns,
            condition_id=condition_id,
            payload=payload,
        )
        self._next_id += 1
        self._notices[notice.id] = notice
        self._state.put_record(_KIND, str(notice.id), msgspec.json.encode(notice))
        self._forget_old(at_ns)
        return notice

    def of(self, address: str, now_ns: int) -> Iterator[Notice]:
        """Yield what a wallet has not dismissed, oldest first."""
        self._forget_old(now_ns)
        for notice in self._notices.values():
            if notice.address in {"", address} and address not in self._dismissed.get(notice.id, {}):
                yield notice

    def dismiss(self, address: str, ids: list[int]) -> None:
        """Hide notices from a wallet; ids that are not its own change nothing."""
        for number in ids:
            notice = self._notices.get(number)
            if notice is None or notice.address not in {"", address}:
                continue
            self._dismissed.setdefault(number, {})[address] = None
            self._state.put_record(_DISMISSED, f"{address}|{number}", b"1")

    def _forget_old(self, now_ns: int) -> None:
        while self._notices:
            oldest = next(iter(self._notices.values()))
            if now_ns - oldest.at_ns < KEPT_S * NS_PER_S and len(self._notices) <= KEPT_NOTICES:
                return
            del self._notices[oldest.id]
            self._state.drop_record(_KIND, str(oldest.id))
            for address in self._dismissed.pop(oldest.id, {}):
                self._state.drop_record(_DISMISSED, f"{address}|{oldest.id}")

    def _of_order(self, kind: int, order: OrderView, at_ns: int) -> None:
        trade_id = order.trade_ids[-1] if kind == FILLED and order.trade_ids else ""
        payload = self._payload(
            order_id=order.order_id,
            condition_id=order.condition_id,
            token_id=order.token_id,
            side=order.side,
            order_type=order.order_type,
            price=order.price,
            sizes=(order.original_size, order.size_matched),
            trade=(trade_id, None),
        )
        self.add(kind, order.account, order.owner, payload, at_ns)

    def _of_failure(self, trade: TradeView, at_ns: int) -> None:
        sides = [(trade.taker_order_id, trade.taker_account, trade.taker_owner, trade.token_id, trade.side)]
        figures = [(trade.price, trade.size)]
        for leg in trade.legs:
            sides.append((leg.order_id, leg.account, leg.owner, leg.token_id, leg.side))
            figures.append((leg.price, leg.size))
        for (order_id, account, owner, token_id, side), (price, size) in zip(sides, figures, strict=True):
            if self._state.is_house(account):
                continue
            order = self._state.orders.get(order_id)
            payload = self._payload(
                order_id=order_id,
                condition_id=trade.condition_id,
                token_id=token_id,
                side=side,
                order_type="" if order is None else order.order_type,
                price=price,
                sizes=(size, size) if order is None else (order.original_size, size),
                trade=(trade.trade_id, trade.transaction_hash),
            )
            self.add(FAILED, account, owner, payload, at_ns)

    def _of_redemption(self, event: Redeemed) -> None:
        market = self._state.markets[event.condition_id]
        payload = {
            "market": event.condition_id,
            "asset_id": event.token_id,
            "size": format_micros(event.size),
            "amount": format_micros(event.cash),
            "question": market.spec.question,
            "market_slug": market.spec.slug,
        }
        self.add(REDEEMED, event.account, "", payload, event.at_ns)

    def _payload(
        self,
        *,
        order_id: str,
        condition_id: str,
        token_id: str,
        side: str,
        order_type: str,
        price: int,
        sizes: tuple[int, int],
        trade: tuple[str, str | None],
    ) -> dict[str, Any]:
        market = self._state.markets[condition_id]
        index = market.outcome_of(token_id)
        original, matched = sizes
        return {
            "order_id": order_id,
            "market": condition_id,
            "asset_id": token_id,
            "side": side,
            "type": order_type,
            "price": format_micros(price),
            "original_size": format_micros(original),
            "matched_size": format_micros(matched),
            "remaining_size": format_micros(original - matched),
            "outcome": "Down" if index else "Up",
            "outcome_index": index,
            "transaction_hash": trade[1] or "",
            "trade_id": trade[0],
            "question": market.spec.question,
            "market_slug": market.spec.slug,
            "eventSlug": market.spec.slug,
            "seriesSlug": "",
            "icon": "",
            "image": "",
        }
