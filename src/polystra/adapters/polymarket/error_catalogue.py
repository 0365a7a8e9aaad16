"""Every error that the venue is known to answer, as one table.

What lives here: the rows (status, text, what it asks of us, what it means, what to do, whether
the world may have changed) and nothing that acts. What must not: matching (`errors`), I/O.
`docs/venue-errors.md` is written from this table (`python -m polystra.adapters.polymarket.error_page`).

The first row that fits wins; rows without a pattern judge by the status alone and come last.
Sources: Polymarket CLOB docs (resources/error-codes, trading/matching-engine,
api-reference/trading-rate-limits) and issue threads of the official clients. Whoever learns a
new text adds a row and nothing else.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from polystra.adapters.polymarket.error_classes import ErrorClass, Row
from polystra.domain.venue import VenueMode

DUPLICATED: Final = "duplicated"
"""The code of an answer that an earlier send of the same bytes arrived."""

RESTARTING: Final = "restarting"
UNREACHABLE: Final = "unreachable"
STALE: Final = "stale"

_C = ErrorClass
_M = VenueMode
_ENGINE: Final = frozenset(range(500, 600)) - {503}
_SERVER: Final = frozenset(range(500, 600))
_LOOKED_UP: Final = "nothing: polystra looks the order up by its id"
_NOTHING: Final = "nothing"
_REPORT: Final = "report it as a bug with the log line; the request was malformed"

IN_DOUBT_ROWS: Final = (
    Row(
        code="dropped",
        kind=_C.IN_DOUBT,
        pattern="context canceled",
        said="context canceled",
        meaning="the venue's server dropped the request half-way",
        remedy=_LOOKED_UP,
    ),
    Row(
        code=DUPLICATED,
        kind=_C.IN_DOUBT,
        pattern=r"duplicated|invalid_order_duplicated",
        said="order {id} is invalid. Duplicated.",
        meaning="an earlier send of this very order has arrived",
        remedy="nothing: polystra looks up whether it rests, traded or was killed",
    ),
    Row(
        code="delayed",
        kind=_C.IN_DOUBT,
        pattern=r"order match delayed|order_delayed|delaying_order_error",
        said="order match delayed due to market conditions",
        meaning="the order waits in the venue's matching delay and may still trade",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="not_inserted",
        kind=_C.IN_DOUBT,
        pattern=r"could not insert order|invalid_order_error",
        said="could not insert order",
        meaning="the venue's engine failed while it took the order",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="not_executed",
        kind=_C.IN_DOUBT,
        pattern=r"could not run the execution|execution_error",
        said="could not run the execution",
        meaning="the venue's engine failed while it executed the order",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="server_error",
        kind=_C.IN_DOUBT,
        pattern="internal server error",
        said="Internal server error",
        meaning="something broke inside the venue",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="no_match",
        kind=_C.IN_DOUBT,
        pattern="there are no matching orders",
        statuses=_ENGINE,
        said="there are no matching orders",
        meaning="the engine found nothing to match, but said so with a server error",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="fok_killed",
        kind=_C.IN_DOUBT,
        pattern="fok orders are filled or killed",
        statuses=_ENGINE,
        said="FOK orders are filled or killed",
        meaning="the engine did not fill the FOK, but said so with a server error",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="rounding",
        kind=_C.IN_DOUBT,
        pattern="rounding issues",
        statuses=_ENGINE,
        said="the trade contains rounding issues",
        meaning="the engine could not round the trade's amounts",
        remedy=_LOOKED_UP,
    ),
    Row(
        code="price_discrepancy",
        kind=_C.IN_DOUBT,
        pattern="discrepancy greater than allowed",
        statuses=_ENGINE,
        said="the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
        meaning="the engine found the order's price too far from the resting orders that it would take",
        remedy=_LOOKED_UP,
    ),
)

KILLED_ROWS: Final = (
    Row(
        code="fok_killed",
        kind=_C.KILLED,
        pattern=r"fok orders are (fully )?filled or killed|fok_order_not_filled",
        said="order couldn't be fully filled. FOK orders are fully filled or killed.",
        meaning="the book did not hold enough to fill the whole order, so nothing was traded",
        remedy=_NOTHING,
    ),
    Row(
        code="no_match",
        kind=_C.KILLED,
        pattern=r"no orders found to match|there are no matching orders",
        said="no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        meaning="nothing on the book was within the order's price, so nothing was traded",
        remedy=_NOTHING,
    ),
)

STOP_ROWS: Final = (
    Row(
        code="banned",
        kind=_C.STOP,
        pattern="address banned",
        whole_request=True,
        said="'{address}' address banned",
        meaning="the venue has banned this address from trading",
        remedy="ask the venue's support; nothing can be traded with this wallet",
    ),
    Row(
        code="closed_only",
        kind=_C.MODE,
        mode=_M.CLOSED_ONLY,
        pattern="closed only mode",
        whole_request=True,
        said="'{address}' address in closed only mode",
        meaning="this account may only reduce what it holds (often because of its region)",
        remedy="nothing: entries stop and exits go on; ask the venue's support for the reason",
    ),
    Row(
        code="wrong_owner",
        kind=_C.STOP,
        pattern="owner has to be the owner of the api key",
        whole_request=True,
        said="the order owner has to be the owner of the API KEY",
        meaning="the API key belongs to another wallet than the one that the orders are for",
        remedy="make API credentials with the same private key, or correct the funder address",
    ),
    Row(
        code="wrong_signer",
        kind=_C.STOP,
        pattern="signer address has to be the address of the api key",
        whole_request=True,
        said="the order signer address has to be the address of the API KEY",
        meaning="the orders are signed by another key than the one that made the API key",
        remedy="set the private key that the API credentials were made with, and its signature type",
    ),
    Row(
        code="wrong_wallet",
        kind=_C.STOP,
        pattern=r"maker address not allowed|no deposit wallet found|invalid signature_type",
        whole_request=True,
        said="maker address not allowed, please use the deposit wallet flow",
        meaning="the venue does not take orders from this kind of wallet",
        remedy="set the signature type and the funder address of the wallet that the venue made for you",
    ),
    Row(
        code="invalid_signature",
        kind=_C.STOP,
        pattern=r"invalid (poly_proxy )?signature(?!_type)",
        said="invalid signature",
        meaning="the signature does not fit the order: wrong key, signature type, funder or chain",
        remedy="check private key, signature type, funder address and chain id",
    ),
    Row(
        code="order_version",
        kind=_C.STOP,
        pattern=r"order_version_mismatch|invalid order version",
        whole_request=True,
        said="order_version_mismatch",
        meaning="the venue has moved to another version of its order format",
        remedy="update polystra",
    ),
    Row(
        code="allowance",
        kind=_C.STOP,
        pattern="allowance is not enough",
        said="not enough balance / allowance: ... allowance is not enough ...",
        meaning="the wallet has not approved the exchange contracts for this amount",
        remedy="approve trading once for this wallet on the venue's site, then polystra start",
    ),
    Row(
        code="unauthorized",
        kind=_C.AUTH,
        pattern=r"unauthorized|invalid api key|invalid l1",
        whole_request=True,
        said="Unauthorized/Invalid api key",
        meaning="the API credentials or the time in the request were not accepted",
        remedy="check the API credentials and set the machine's clock (NTP)",
    ),
)

MODE_ROWS: Final = (
    Row(
        code="disabled",
        kind=_C.MODE,
        mode=_M.DISABLED,
        pattern="trading is currently disabled",
        whole_request=True,
        said="Trading is currently disabled. Check polymarket.com for updates",
        meaning="the venue takes neither orders nor cancels",
        remedy="wait: polystra goes on when the venue does",
    ),
    Row(
        code="cancel_only",
        kind=_C.MODE,
        mode=_M.CANCEL_ONLY,
        pattern="cancel-only",
        whole_request=True,
        said="Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        meaning="the venue takes cancels and no orders",
        remedy="wait: polystra goes on when the venue does",
    ),
    Row(
        code="post_only",
        kind=_C.MODE,
        mode=_M.POST_ONLY,
        pattern=r"post-only mode|post_only_mode",
        whole_request=True,
        said="post-only mode: only post-only orders and cancels are allowed",
        meaning="for about two minutes after a restart the venue takes only orders that rest",
        remedy="wait: exits rest or wait meanwhile, entries stop",
    ),
    Row(
        code=RESTARTING,
        kind=_C.MODE,
        mode=_M.RESTARTING,
        pattern="service not ready",
        whole_request=True,
        said="service not ready",
        meaning="the matching engine is restarting; an order that was on its way as it began is looked up",
        remedy="wait: polystra goes on when the venue does",
    ),
)

RETRY_ROWS: Final = (
    Row(
        code="rate_limited",
        kind=_C.RETRY,
        pattern=r"too many requests|rate limit",
        whole_request=True,
        said="Too Many Requests",
        meaning="more requests than the venue allows this signer or address",
        remedy="nothing: the order is sent again after the pause that the venue names, or dropped when it is stale",
    ),
    Row(
        code="timed_out",
        kind=_C.RETRY,
        pattern="order timed out",
        may_have_acted=True,
        said="order timed out",
        meaning="the engine was too busy; the venue says that the order did not reach the book, users saw otherwise",
        remedy="nothing: the same bytes are sent again, which the venue takes at most once",
    ),
    Row(
        code="market_not_ready",
        kind=_C.RETRY,
        pattern=r"not yet ready to process|market_not_ready",
        said="the market is not yet ready to process new orders",
        meaning="the market's book has not opened yet",
        remedy="nothing: the order is sent again, or dropped when it is stale",
    ),
)

REFUSED_ROWS: Final = (
    Row(
        code="post_only_crosses",
        kind=_C.REPLAN,
        pattern=r"invalid post-only order|invalid_post_only_order",
        said="invalid post-only order: order crosses book",
        meaning="a post-only order would have traded at once, because the book moved",
        remedy="nothing: a new price is taken from the book",
    ),
    Row(
        code="crosses",
        kind=_C.REPLAN,
        pattern="crosses the book",
        said="order {id} crosses the book",
        meaning="the order would have traded at once where the venue does not allow it",
        remedy="nothing: a new price is taken from the book",
    ),
    Row(
        code="tick_size",
        kind=_C.REPLAN,
        pattern=r"minimum tick size rule|invalid_order_min_tick_size",
        said="order {id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}",
        meaning="the price is not on the market's grid, which may have become finer meanwhile",
        remedy="nothing: the grid is read again and the order planned anew",
    ),
    Row(
        code="amounts",
        kind=_C.REPLAN,
        pattern="invalid amounts",
        said="invalid amounts, ...",
        meaning="the order's amounts have more decimals than the venue allows, or do not give its price",
        remedy="nothing: the order is planned anew; report it as a bug if it repeats",
    ),
    Row(
        code="balance",
        kind=_C.REPLAN,
        pattern=r"not enough balance|insufficient balance|invalid_order_not_enough_balance",
        said="not enough balance / allowance",
        meaning="the venue does not see enough money or shares (its view may lag by some seconds), or no approval",
        remedy="check the wallet's balance and approvals if it repeats",
    ),
    Row(
        code="expiration",
        kind=_C.REPLAN,
        pattern=r"invalid expiration|invalid_order_expiration",
        said="invalid expiration",
        meaning="the order's end lies in the past or less than three minutes ahead by the venue's clock",
        remedy="set the machine's clock (NTP) if it repeats",
    ),
    Row(
        code="minimum_size",
        kind=_C.REFUSED,
        pattern=r"lower than the minimum|invalid_order_min_size",
        said="order {id} is invalid. Size ({size}) lower than the minimum: {min}",
        meaning="fewer shares than the market's smallest order",
        remedy="trade larger positions",
    ),
    Row(
        code="minimum_notional",
        kind=_C.REFUSED,
        pattern="marketable buy order",
        said="invalid amount for a marketable BUY order (${x}), min size: $1",
        meaning="a buy that trades at once must be worth at least one dollar",
        remedy="trade larger positions",
    ),
    Row(
        code="nonce",
        kind=_C.REFUSED,
        pattern="invalid nonce",
        said="invalid nonce",
        meaning="the order carries a number of an older order format",
        remedy="update polystra",
    ),
    Row(
        code="canceled_on_chain",
        kind=_C.REFUSED,
        pattern="canceled in the ctf exchange contract",
        said="order canceled in the CTF exchange contract",
        meaning="this order was cancelled on the chain",
        remedy=_NOTHING,
    ),
    Row(
        code="no_market",
        kind=_C.REFUSED,
        pattern=r"no orderbook exists|market not found",
        said="No orderbook exists for the requested token id",
        meaning="the market is closed, not made yet, or unknown to the venue",
        remedy=_NOTHING,
    ),
    Row(
        code="too_many",
        kind=_C.REFUSED,
        pattern=r"too many orders in payload|payload exceeds the limit",
        whole_request=True,
        said="Too many orders in payload: {n}, max allowed: {max}",
        meaning="one request held more orders than the venue takes",
        remedy=_REPORT,
    ),
    Row(
        code="payload",
        kind=_C.REFUSED,
        pattern=r"invalid (order )?(params )?payload|invalid payload|invalid (order params|trade params)",
        whole_request=True,
        said="Invalid order payload",
        meaning="the venue could not read the request",
        remedy=_REPORT,
    ),
)

READ_ROWS: Final = (
    Row(
        code="argument",
        kind=_C.REFUSED,
        pattern=r"invalid (orderid|token id|market|side|asset type|fidelity|ids)\b",
        said="Invalid orderID",
        meaning="an argument of the request is not of the form that the venue expects",
        remedy=_REPORT,
    ),
    Row(
        code="argument",
        kind=_C.REFUSED,
        pattern=r"\bis required$|must be provided$|cannot exceed \d+$|invalid (revoke builder|builder)",
        said="limit cannot exceed 1000",
        meaning="an argument of the request is missing or out of range",
        remedy=_REPORT,
    ),
    Row(
        code="api_key",
        kind=_C.REFUSED,
        pattern=r"^could not (create|derive|retrieve|delete|get|revoke|fetch)",
        said="Could not create api key",
        meaning="the venue could not make, find or delete API credentials",
        remedy="derive them instead of making new ones, or try again later",
    ),
)

STATUS_ROWS: Final = (
    Row(
        code="unauthorized",
        kind=_C.AUTH,
        statuses=frozenset({HTTPStatus.UNAUTHORIZED}),
        whole_request=True,
        said="",
        meaning="the API credentials or the time in the request were not accepted",
        remedy="check the API credentials and set the machine's clock (NTP)",
    ),
    Row(
        code="blocked",
        kind=_C.STOP,
        statuses=frozenset({HTTPStatus.FORBIDDEN}),
        whole_request=True,
        said="",
        meaning="the venue's edge blocks this address or region",
        remedy="run polystra where the venue allows trading; do not retry fast",
    ),
    Row(
        code="not_found",
        kind=_C.REFUSED,
        statuses=frozenset({HTTPStatus.NOT_FOUND}),
        said="",
        meaning="the venue does not know the market, the token or the address of the request",
        remedy="check the venue's address in the settings if it repeats",
    ),
    Row(
        code=RESTARTING,
        kind=_C.MODE,
        mode=_M.RESTARTING,
        statuses=frozenset({HTTPStatus.TOO_EARLY}),
        whole_request=True,
        said="",
        meaning="the matching engine is restarting; an order that was on its way as it began is looked up",
        remedy="wait: polystra goes on when the venue does",
    ),
    Row(
        code="rate_limited",
        kind=_C.RETRY,
        statuses=frozenset({HTTPStatus.TOO_MANY_REQUESTS}),
        whole_request=True,
        said="",
        meaning="more requests than the venue allows this signer or address",
        remedy="nothing: the order is sent again after the pause that the venue names, or dropped when it is stale",
    ),
    Row(
        code="server_error",
        kind=_C.IN_DOUBT,
        statuses=_SERVER,
        said="",
        meaning="the venue or the network in front of it failed (502, 504 and 52x come from its edge)",
        remedy=_LOOKED_UP,
    ),
)

CATALOGUE: Final = (
    *IN_DOUBT_ROWS,
    *KILLED_ROWS,
    *STOP_ROWS,
    *MODE_ROWS,
    *RETRY_ROWS,
    *REFUSED_ROWS,
    *READ_ROWS,
    *STATUS_ROWS,
)
"""In the order in which they are tried."""

UNLISTED: Final = Row(
    code="unlisted",
    kind=_C.IN_DOUBT,
    said="any other text, an unreadable body, or no answer at all",
    meaning="polystra does not know this answer",
    remedy="nothing: the order is looked up by its id; the log holds the answer, so that it can be added here",
)
"""What holds when no row fits."""

REFUSED_WITHOUT_ID: Final = Row(
    code="refused",
    kind=_C.REFUSED,
    statuses=frozenset({HTTPStatus.OK}),
    said="any other text with HTTP 200 and an empty order id",
    meaning="the venue gave the order no id, so it did not take it",
    remedy="nothing: the log holds the answer, so that it can be added here",
)
"""A leg of a batch, or an older single answer, without an id and with an unknown reason."""

NEVER_LEFT: Final = Row(
    code=UNREACHABLE,
    kind=_C.RETRY,
    said="no connection could be made",
    meaning="the request never left this machine",
    remedy="check the network if it lasts; the order is sent again, or dropped when it is stale",
)

DROPPED_STALE: Final = Row(
    code=STALE,
    kind=_C.REFUSED,
    said="(not an answer of the venue)",
    meaning="dropped: the signal is stale, its deadline passed before the venue took the order",
    remedy="nothing: it is never sent later",
)

WITHDRAWN: Final = Row(
    code="withdrawn",
    kind=_C.REFUSED,
    said="(not an answer of the venue)",
    meaning="the order was cancelled while it waited to be sent (again)",
    remedy="nothing",
)
