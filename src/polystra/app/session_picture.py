"""The picture of a session: its result over time and the positions that it held, drawn from its database.

What lives here: the program that draws, run by itself (`python -m polystra.app.session_picture`) with its wish on
stdin. What must not: when it is run and what is said of it (`session_plot`). It imports the drawing library, which is
why it has a process of its own: neither its time nor its memory nor its failure is the daemon's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import msgspec

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.report_figures import INK, STYLE, Chart, blank, clock_axis, colour, legend_above, times
from polystra.domain.errors import PolystraError
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.market import Outcome
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, Nanos

SIMULATED = "means nothing about real markets"
_MOST_POINTS = 2_000
_MOST_BARS = 400


class Wish(msgspec.Struct, frozen=True):
    """What is to be drawn: the database's URL and the file to write."""

    database: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One position: when shares of it were held, and what it came to (micro-dollars)."""

    symbol: str
    outcome: Outcome
    from_ns: Nanos
    until_ns: Nanos
    realised_pnl: MicroDollars


def main() -> None:
    """Draw, and end with 0; with 3 when there was nothing to draw, with 1 and one line on stderr when it failed."""
    try:
        wish = msgspec.json.decode(sys.stdin.buffer.read(), type=Wish)
        account = read_account(wish.database)
        bars = bars_of(account)
        if not bars and not account.settlements:
            sys.exit(3)
        path = Path(wish.file)
        chart = session_chart(account, bars, name=path.stem)
        beside = path.with_suffix(".tmp")
        beside.write_bytes(chart.png())
        beside.replace(path)
    except (PolystraError, OSError, msgspec.MsgspecError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        sys.exit(1)


def results(postings: Sequence[Posting]) -> list[tuple[Nanos, MicroDollars]]:
    """The realised result of the whole account after each change of it."""
    positions: dict[PositionId, Position] = {}
    total = 0
    points: list[tuple[Nanos, MicroDollars]] = []
    for posting in postings:
        position = _position_of(posting, positions)
        if position is not None:
            before = position.realised_pnl
            position.add(posting)
            if position.realised_pnl != before:
                total += position.realised_pnl - before
                points.append((posting.at_ns, total))
    return points


def bars_of(account: AccountReading) -> list[Bar]:
    """The positions that held shares, oldest first."""
    held: dict[PositionId, tuple[Nanos, Nanos]] = {}
    for posting in account.postings:
        if posting.position_id is not None and (posting.pending_shares or posting.settled_shares):
            first, _ = held.get(posting.position_id, (posting.at_ns, 0))
            held[posting.position_id] = (first, posting.at_ns)
    return [
        Bar(
            symbol=each.symbol,
            outcome=each.outcome,
            from_ns=held[each.position_id][0],
            until_ns=account.last_entry_ns
            if each.pending_shares + each.settled_shares > 0
            else held[each.position_id][1],
            realised_pnl=each.realised_pnl,
        )
        for each in account.positions
        if each.position_id in held
    ]


def session_chart(account: AccountReading, bars: Sequence[Bar], *, name: str) -> Chart:
    """Above the result in dollars, below a line of positions for each coin and outcome."""
    points = results(account.postings)
    thinned = points[:: len(points) // _MOST_POINTS + 1]
    if points and thinned[-1] != points[-1]:
        thinned.append(points[-1])
    drawn = bars[-_MOST_BARS:]
    lanes = sorted({f"{bar.symbol} {bar.outcome.value.title()}" for bar in drawn}, reverse=True)
    figure, (upper, lower) = blank((2.4, 0.4 + 0.28 * len(lanes)), height=2.9 + 0.3 * len(lanes))
    with mpl.rc_context(STYLE):
        at = times([at_ns for at_ns, _ in thinned])
        values = [value / MICRO for _, value in thinned]
        upper.step(
            at,
            values,
            where="post",
            color=colour("equity"),
            linewidth=1.6,
            label="realised result; below: gained green, lost red",
        )
        upper.axhline(0, color=INK, linewidth=0.8)
        upper.set_ylabel("dollars, fees included")
        legend_above(upper)
        for bar in drawn:
            place = lanes.index(f"{bar.symbol} {bar.outcome.value.title()}")
            shade = colour("gain" if bar.realised_pnl > 0 else "loss")
            lower.hlines(place, *times([bar.from_ns, bar.until_ns]), color=shade, linewidth=7)
        lower.set_yticks(range(len(lanes)), lanes)
        lower.set_ylim(-0.6, max(1, len(lanes)) - 0.4)
        if not lanes:
            ends = [each.at_ns for each in account.settlements]
            lower.set_xlim(*times([min(ends) - 300 * NS_PER_S, max(ends)]))
            lower.text(0.5, 0.5, "no position was opened", transform=lower.transAxes, ha="center", va="center")
        clock_axis(lower)
    shown = f"{len(bars)} positions" if len(drawn) == len(bars) else f"the last {len(drawn)} of {len(bars)} positions"
    simulated = account.mode == "sim"
    return Chart(
        name=name,
        title=f"Simulated session, {shown} ({SIMULATED})" if simulated else f"Session in mode {account.mode}, {shown}",
        caption="",
        figure=figure,
    )


def _position_of(posting: Posting, positions: dict[PositionId, Position]) -> Position | None:
    if posting.position_id is None or posting.condition_id is None or posting.token_id is None:
        return None
    if posting.position_id not in positions:
        positions[posting.position_id] = Position(
            position_id=posting.position_id,
            condition_id=posting.condition_id,
            token_id=posting.token_id,
            opened_at_ns=posting.at_ns,
        )
    return positions[posting.position_id]


if __name__ == "__main__":
    main()
