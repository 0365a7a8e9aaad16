"""Everything that the engine knows, and the sheet on which one turn is written down.

Mutable for speed; only `Engine.step` may change it. Deciders (gateway, bookkeeper, exits,
reconciler, trader, ...) share this state, read `Turn.now_ns` and write facts and effects to
the turn; they never call the world.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.events import (
    HoldingsRead,
    MarketResolved,
    OrderReport,
    StopMode,
    StreamName,
    SwitchName,
)
from polystra.domain.facts import DoubtRecorded, Fact, Notice, NoticeKind, PositionRecorded, SwitchChanged
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId
from polystra.domain.ledger import Ledger, Posting, PostingKind
from polystra.domain.market import SIZE_STEP, Market
from polystra.domain.orders import OrderEvent, OrderStatus, Purpose, Side, apply
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos, PriceE8
from polystra.domain.venue import VenueMode
from polystra.engine.config import EngineConfig, ExitMode
from polystra.engine.effects import Effect, SetTimer
from polystra.engine.holdings_index import Fills, Positions
from polystra.engine.results import Results
from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.trade_flow import TradeFlow
from polystra.engine.tracks import Orders
from polystra.engine.tracks import OrderTrack as OrderTrack

MOVEMENTS_KEPT_NS: Final = 600 * NS_PER_S
_MOVES: Final = (PostingKind.MATCHED, PostingKind.SETTLED, PostingKind.REVERSED, PostingKind.REDEEMED)
EXTERNAL: Final = "external:"
"""Source ids of adjustments for trades made elsewhere: this, the trade id, a colon, the order id."""


@dataclass(slots=True)
class Turn:
    """One step's sheet: its time, what became true, what is asked of the world."""

    now_ns: Nanos
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    touched: dict[PositionId, None] = field(default_factory=dict)
    """Positions to review before the turn ends, in the order first touched."""

    def timer(self, key: str, due_ns: Nanos) -> None:
        """Ask for `TimerFired(key)` at `due_ns`."""
        self.effects.append(SetTimer(key=key, due_ns=due_ns))

    def notice(self, kind: NoticeKind, subject: str, message: str) -> None:
        """Write down something for people."""
        self.facts.append(Notice(kind=kind, subject=subject, message=message, at_ns=self.now_ns))

    def touch(self, position_id: PositionId) -> None:
        """Have the position reviewed at the end of the turn."""
        self.touched[position_id] = None


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """One balance as the venue told it (millionths), and when the question was put."""

    amount: int
    at_ns: Nanos


@dataclass(slots=True)
class Movement:
    """One of our own changes of a token and of cash that the venue's balances may not show yet."""

    at_ns: Nanos
    token_id: TokenId | None
    shares: MicroShares
    cash: int


@dataclass(slots=True)
class ShareDifference:
    """A token's balance at the venue less ours, since when it has read so, and how often."""

    amount: MicroShares
    since_ns: Nanos
    readings: int = 1
    asked_second_ns: Nanos = 0
    """When the second source was first asked about it."""


@dataclass(slots=True)
class MarketState:
    """One market with its two books and its place in its life."""

    market: Market
    books: dict[TokenId, OrderBook]
    flow: TradeFlow = field(default_factory=TradeFlow)
    """What others traded lately, in the Up token's terms."""
    price_to_beat: PriceE8 | None = None
    evaluated_at_ns: Nanos = 0
    cheapest: tuple[MicroPrice | None, ...] = ()
    """The lowest best ask of each book that was looked at since the last look by the clock."""
    decided_at_ns: Nanos = 0
    last_reason: str = ""
    entries: int = 0
    stopped_out: bool = False
    strategy_failed: str = ""
    """Why the strategy is off in this market; its exits go on."""
    frozen: str = ""
    may_thaw: bool = False
    """True when an agreement of both sources with our books is enough to unfreeze it."""
    resolution: MarketResolved | None = None
    settled: bool = False
    settle_asks: int = 0
    """How often its unsettled orders were looked up after the verdict; the pauses grow."""
    resync_asked_ns: Nanos = 0
    positions: list[PositionId] = field(default_factory=list)

    @property
    def condition_id(self) -> ConditionId:
        """The venue's id of the market."""
        return self.market.condition_id


class ExitPhase(StrEnum):
    """What the exits of a position are doing."""

    GUARDING = "GUARDING"
    """Take-profit resting or watched, stop armed."""
    SELLING = "SELLING"
    """An exit has fired: cancel what rests, know its fills, sell what is left."""
    DONE = "DONE"


@dataclass(slots=True)
class Calm:
    """What a look at the exits that led to nothing rested on (see `positions.calm`); prices are best bids."""

    inputs: int
    orders: int
    stopping: StopMode | None
    phase: ExitPhase
    grid: Market
    until_ns: Nanos
    """When a rule that goes by the clock begins or ends."""
    lowest: MicroPrice
    highest: MicroPrice
    needs_book: bool
    """False when the look ended before it asked for the book: whatever that says changes nothing."""


@dataclass(slots=True)
class ExitState:
    """The exits of one position."""

    mode: ExitMode
    phase: ExitPhase = ExitPhase.GUARDING
    reason: Purpose = Purpose.STOP_LOSS
    rule: str = ""
    """The rule that fired."""
    take_profit_price: MicroPrice | None = None
    """The lowest target that still has shares to sell."""
    stop_price: MicroPrice | None = None
    stop_rule: str = ""
    armed: bool = False
    high_water: MicroPrice = 0
    """The highest best bid of a trusted book while shares were held."""
    break_even: bool = False
    """True once the break-even stop is armed; it stays so until more is bought."""
    break_even_bought: MicroShares = 0
    """Shares bought when it was armed; 0: not known."""
    watched: str = ""
    """Why the take-profit is watched although it should rest; empty while it may rest."""
    watched_bought: MicroShares = 0
    """Shares bought when that began: new ones end it."""
    resting_since_ns: Nanos = 0
    """When the first take-profit was placed."""
    fired_ns: Nanos = 0
    attempts: int = 0
    next_attempt_ns: Nanos = 0
    sold_before: MicroShares = 0
    """Shares sold when the last sale was made: a step that sold something is followed at once."""
    refusals: int = 0
    """Definite refusals of sells that were not a lag, a mode or a kill."""
    misses: int = 0
    """Sells since the last one that was taken which found no buyer or were to be planned anew."""
    shortages: int = 0
    """Refusals for want of balance since the last sell that was taken."""
    asked_ns: Nanos = 0
    """When the venue's balance of the token was last asked for."""
    untold: MicroShares = 0
    """Shares of a shortage whose words wait for that figure."""
    dust: MicroShares = 0
    """Shares that the venue does not let us sell."""
    bought_arrived: MicroShares = 0
    """Bought shares that had arrived on chain when that was last looked at."""
    arrived_ns: Nanos = 0
    """When the newest of them were first seen there."""
    clocks_set: bool = False
    time_stop_ns: Nanos = 0
    """When the time stop sells; 0: it is off."""
    repairs: dict[str, Nanos] = field(default_factory=dict)
    """What was mended, in words, and when."""
    seen_lost: int = 0
    """Resting exits that ended without our asking and were looked at."""
    calm_spread: MicroPrice = 0
    """The last spread of the book that was believed."""
    torn_since_ns: Nanos = 0
    """Since when the book has been abnormally wide; 0 while it is not."""
    calm: Calm | None = field(default=None, repr=False, compare=False)
    """What the last look rested on if it led to nothing."""


@dataclass(slots=True)
class EngineState:
    """The engine's memory."""

    config: EngineConfig
    markets: dict[ConditionId, MarketState] = field(default_factory=dict)
    market_of_token: dict[TokenId, ConditionId] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)
    by_order_id: dict[OrderId, ClientOrderId] = field(default_factory=dict)
    retired: OrderedDict[OrderId, None] = field(default_factory=OrderedDict)
    """Venue ids of forgotten orders: late reports of their fills are not strangers'."""
    strangers: dict[OrderId, ConditionId] = field(default_factory=dict)
    """Orders made elsewhere whose trades are booked as adjustments, until their market is forgotten."""
    fills: Fills = field(default_factory=Fills)
    ledger: Ledger = field(default_factory=Ledger)
    results: Results = field(default_factory=Results)
    positions: Positions = field(default_factory=Positions)
    exits: dict[PositionId, ExitState] = field(default_factory=dict)
    recorded: dict[PositionId, PositionRecorded] = field(default_factory=dict)
    """What was last recorded of each position: the same again is no news."""
    prices: dict[str, PriceWindow] = field(default_factory=dict)
    streams_up: set[StreamName] = field(default_factory=set)
    blocks: dict[str, str] = field(default_factory=dict)
    """Reasons (key -> words) for which no entry may leave."""
    next_order_number: int = 1
    next_decision_id: int = 1
    last_timestamp_ms: int = 0
    last_fill_ns: Nanos = 0
    last_account_event_ns: Nanos = 0
    """Time of our last local fill or order event: a snapshot asked before it may not reduce anything."""
    reconciled_at_ns: Nanos = 0
    """When the last complete snapshot was asked for: trades before it are known."""
    funded: bool = False
    venue_offset_ns: Nanos = 0
    """What must be added to our time to have the venue's."""
    allowance: MicroDollars | None = None
    """The most that a contract of the venue may take of the cash, None while nobody has said."""
    settled_markets: int = 0
    accepted_markets: int = 0
    agreed_at_ns: Nanos = 0
    """When the last snapshot was asked for that was complete, quiet and equal to the ledger."""
    cash_difference: tuple[int, int] | None = None
    share_differences: dict[TokenId, ShareDifference] = field(default_factory=dict)
    holdings: HoldingsRead | None = None
    """The last complete answer of the second source."""
    redeeming: dict[TokenId, Nanos] = field(default_factory=dict)
    gone: dict[TokenId, Nanos] = field(default_factory=dict)
    """Claims whose shares the venue reads as gone, since when: their cash is looked for."""
    external_orders: dict[OrderId, OrderReport] = field(default_factory=dict)
    """Open orders on this account that were made elsewhere, as the last complete snapshot showed them."""
    cash_reading: BalanceReading | None = None
    """The venue's last cash."""
    readings: dict[TokenId, BalanceReading] = field(default_factory=dict)
    """The venue's last balance of each token that was asked for."""
    checked_tokens: set[TokenId] = field(default_factory=set)
    """Tokens whose balance was read equal to our books and has not changed here since: no need to ask again."""
    movements: OrderedDict[str, Movement] = field(default_factory=OrderedDict)
    """Our own recent changes of balances, oldest first, by their source."""
    venue_mode: VenueMode = VenueMode.NORMAL
    venue_mode_until_ns: Nanos = 0
    """When the mode is expected to end; 0: nobody knows."""
    venue_try: bool = False
    """One order may be sent although the mode takes none: the first one placed uses it up."""
    venue_try_entry: bool = False
    """That order may be an entry."""
    switches: dict[tuple[SwitchName, str], SwitchChanged] = field(default_factory=dict)
    """Switches that are on, by (name, subject)."""
    healthy_ns: Nanos = 0
    """When the newest order or cancel was sent that the venue answered as a working venue does."""
    doubts: dict[ClientOrderId, DoubtRecorded] = field(default_factory=dict)
    """Where the search for each order in doubt stands."""
    requests: dict[str, ClientOrderId] = field(default_factory=dict)
    """The order of each request of a person or a tool, by the request's id."""
    advisor_failed: str = ""
    """Why the user's own strategy is asked no more, in words; empty while it is."""
    signals: dict[str, Nanos] = field(default_factory=dict)
    """Outside signals of the last days by their ids, with the time at which each was answered; oldest first."""
    other_inputs: int = 0
    """How many inputs were no market data: what those alone change is as it was while this is."""
    stopping: StopMode | None = None
    stop_reason: str = ""
    stop_deadline_ns: Nanos = 0
    finished: bool = False

    # --- look-ups ---------------------------------------------------------------------

    def venue_now_s(self, now_ns: Nanos) -> int:
        """The venue's time in whole seconds, when ours is `now_ns`: what expirations are counted from."""
        return (now_ns + self.venue_offset_ns) // NS_PER_S

    def earlier_now_ns(self, now_ns: Nanos) -> Nanos:
        """The time by whichever clock is behind, ours or the venue's: nothing is over before both say so."""
        return min(now_ns, now_ns + self.venue_offset_ns)

    def market_for(self, token_id: TokenId) -> MarketState | None:
        """The market of a token, None for a stranger's."""
        condition_id = self.market_of_token.get(token_id)
        return None if condition_id is None else self.markets.get(condition_id)

    def book(self, token_id: TokenId) -> OrderBook | None:
        """The local book of a token."""
        market = self.market_for(token_id)
        return None if market is None else market.books.get(token_id)

    def mark(self, token_id: TokenId) -> MicroPrice | None:
        """The price at which a token is valued: the midpoint of its book, None when a side is missing."""
        book = self.book(token_id)
        return None if book is None else book.mid

    def is_open(self, position: Position) -> bool:
        """True while a position holds more than dust: dust waits for the resolution and takes no place."""
        exits = self.exits.get(position.position_id)
        return position.shares - (0 if exits is None else exits.dust) >= SIZE_STEP

    def track_of(self, order_id: OrderId) -> OrderTrack | None:
        """Our order with this venue id."""
        client_order_id = self.by_order_id.get(order_id)
        return None if client_order_id is None else self.orders.get(client_order_id)

    def orders_of(self, position_id: PositionId) -> Collection[OrderTrack]:
        """Orders of one position, oldest first."""
        return self.orders.of_position(position_id)

    def live_orders(self) -> Iterator[OrderTrack]:
        """Orders that may still trade."""
        return (track for track in self.orders.unsettled() if track.is_live)

    def arrived_shares(self, position_id: PositionId) -> MicroShares:
        """Shares that the venue lets us sell: bought ones seen on chain, less every sale not failed.

        Between MATCHED and on-chain arrival the venue refuses to sell (Polymarket CLOB docs, balance lag).
        """
        position = self.positions[position_id]
        return position.adjusted + self.fills.arrived(position_id) - position.resolved

    def reserved_shares(self, token_id: TokenId) -> MicroShares:
        """Shares promised to live sells of a token."""
        return sum(
            track.left
            for track in self.live_orders()
            if track.order.terms.token_id == token_id and track.order.terms.side is Side.SELL
        )

    def promised_shares(self, position_id: PositionId) -> MicroShares:
        """Shares of one position promised to sells that are live or whose fate is not known."""
        return sum(
            track.left
            for track in self.orders.of_position(position_id)
            if not track.is_settled
            and track.order.terms.side is Side.SELL
            and track.order.status is not OrderStatus.DENIED
        )

    def reserved_cash(self) -> int:
        """Micro-dollars promised to buys, taker fee included at its highest; foreign buys count too.

        A buy that has ended counts for what it may have traded until all its trades are booked.
        """
        total = sum(
            -(-report.price * max(0, report.quantity - report.matched) // 1_000_000)
            for report in self.external_orders.values()
            if report.side is Side.BUY
        )
        for track in self.orders.unsettled():
            terms = track.order.terms
            if terms.side is not Side.BUY:
                continue
            shares = track.unaccounted
            whole = terms.budget and not (track.fate_known and not track.is_live)
            notional = terms.budget if whole else -(-terms.price * shares // 1_000_000)
            market = self.markets.get(terms.condition_id)
            total += notional + (market.market.fees.taker_fee(terms.price, shares) if market else 0)
        return total

    def available_cash(self) -> int:
        """Micro-dollars that a new order may spend: the ledger's cash less what open buys have promised."""
        return max(0, self.ledger.cash - self.reserved_cash())

    def moved_at_ns(self, token_id: TokenId | None) -> Nanos:
        """When we last changed the balance of a token (None: cash); 0 when not lately."""
        return max(
            (
                movement.at_ns
                for movement in self.movements.values()
                if (movement.cash if token_id is None else movement.token_id == token_id)
            ),
            default=0,
        )

    def venue_takes(self, *, purpose: Purpose, post_only: bool) -> bool:
        """True when the venue's mode lets such an order through, or it is time to try one."""
        if not purpose.is_exit:
            return self.venue_mode.takes_entries or (self.venue_try and self.venue_try_entry)
        taken = self.venue_mode.takes_post_only if post_only else self.venue_mode.takes_taker_exits
        return taken or self.venue_try

    def positions_in(self, token_id: TokenId) -> list[Position]:
        """The positions that hold a token, foreign ones first, then the newest first."""
        market = self.market_for(token_id)
        held = [] if market is None else [self.positions[position_id] for position_id in reversed(market.positions)]
        return sorted((each for each in held if each.token_id == token_id), key=lambda each: not each.external)

    # --- changes ----------------------------------------------------------------------

    def book_posting(self, posting: Posting) -> bool:
        """Append to the ledger and project; False when it was there already."""
        if not self.ledger.append(posting):
            return False
        self._note_movement(posting)
        if posting.token_id is not None:
            self.checked_tokens.discard(posting.token_id)
        self.results.book(posting)
        if posting.source_id.startswith(EXTERNAL) and posting.condition_id is not None:
            self.strangers[OrderId(posting.source_id.rpartition(":")[2])] = posting.condition_id
        if posting.position_id is not None:
            self.positions.book(posting.position_id, posting)
        return True

    def _note_movement(self, posting: Posting) -> None:
        """Remember a change that the venue's balances show late; a trade counts from its last step on."""
        if posting.kind not in _MOVES and not posting.source_id.startswith(EXTERNAL):
            return
        key = posting.source_id
        if posting.kind is PostingKind.SETTLED:
            known = self.movements.pop(f"matched:{posting.source_id.partition(':')[2]}", None)
            shares, cash = (known.shares, known.cash) if known else (posting.settled_shares, posting.settled_cash)
        else:
            shares = posting.pending_shares + posting.settled_shares
            cash = posting.pending_cash + posting.settled_cash
        self.movements[key] = Movement(at_ns=posting.at_ns, token_id=posting.token_id, shares=shares, cash=cash)
        while self.movements:
            oldest = next(iter(self.movements))
            if self.movements[oldest].at_ns >= posting.at_ns - MOVEMENTS_KEPT_NS:
                break
            del self.movements[oldest]

    def move_order(
        self, track: OrderTrack, event: OrderEvent, turn: Turn, *, filled: MicroShares | None = None, detail: str = ""
    ) -> bool:
        """Apply an event to an order; True when its status or filled quantity changed."""
        before = track.order
        track.order = apply(before, event, now_ns=turn.now_ns, filled=filled, detail=detail)
        changed = (before.status, before.filled) != (track.order.status, track.order.filled)
        if not changed and not before.is_live:
            track.order = before  # a late word, as a cancel that came too late, does not reword an end
        return changed
