// Orders that rest, fills with their settlement, and what the daemon just did.
//
// What lives here: these three lists. What must not: reading.

import { fill, h, keyed, say, table, the } from "./dom.js";
import { clock, dollars, market, marketWords, number, price, shares, side, signed } from "./words.js";

export function showOrders(orders, open) {
  const place = the("orders");
  const told = JSON.stringify(orders);
  if (place.dataset.told === told) return;
  place.dataset.told = told;
  if (orders.length === 0) return fill(place, h("p", { class: "empty quiet" }, "No order rests or is on its way."));
  fill(place, table("Resting orders", [
    { name: "Order", of: (each) => [h("span", {}, marketWords(each.market)), h("span", { class: "quiet small block" }, `${each.rule}, ${each.time_in_force}`)] },
    { name: "Side", of: (each) => each.side.toLowerCase() },
    { name: "Left", class: "figure", of: (each) => shares((number(each.quantity) ?? 0) - (number(each.filled) ?? 0)) },
    { name: "Price", class: "figure", of: (each) => price(each.price) },
    { name: "State", of: (each) => h("span", { class: each.in_doubt ? "warn" : "" }, each.status.toLowerCase()) },
  ], orders, open));
}

const SETTLEMENT = {
  MATCHED: ["matched", "quiet"],
  MINED: ["mined", "quiet"],
  RETRYING: ["retrying", "warn"],
  CONFIRMED: ["confirmed", ""],
  FAILED: ["failed", "bad"],
};

export function showFills(fills) {
  const place = the("fills");
  const told = JSON.stringify(fills);
  if (place.dataset.told === told) return;
  place.dataset.told = told;
  const pending = fills.filter((each) => !["CONFIRMED", "FAILED"].includes(each.status)).length;
  say(the("fills-words"), fills.length ? (pending ? `${pending} not final` : "all final") : "");
  if (fills.length === 0) return fill(place, h("p", { class: "empty quiet" }, "Nothing has been bought or sold yet."));
  fill(place, table("Fills, newest first", [
    { name: "At", of: (each) => clock(each.at) },
    { name: "Market", of: (each) => marketWords(each.market) },
    { name: "", of: (each) => each.side.toLowerCase() },
    { name: "Shares", class: "figure", of: (each) => shares(each.shares) },
    { name: "Price", class: "figure", of: (each) => price(each.price) },
    { name: "Settled", of: (each) => {
      const [words, colour] = SETTLEMENT[each.status] ?? [String(each.status).toLowerCase(), ""];
      return h("span", { class: colour, title: `${each.liquidity ?? ""} fee ${dollars(each.fee)}` }, words);
    } },
  ], fills));
}

/** What a log line means for a person, or null when it is not something that the daemon did. */
export function activityWords(line) {
  const name = line.symbol ? `${line.symbol} ` : "";
  const at = () => `${shares(line.quantity)} at ${price(line.price)}`;
  switch (line.event) {
    case "decision.made":
      return line.action === "ENTER" ? `${name}${side(line.outcome)}: decided to enter, edge ${(Number(line.edge) * 100).toFixed(1)} %` : null;
    case "order.submitted":
      return `Sent ${String(line.purpose ?? "an order").toLowerCase().replaceAll("_", "-")}: ${String(line.side).toLowerCase()} ${at()}, ${where(line.position)}`;
    case "order.refused":
      return `Refused: order ${line.order}, ${line.detail || line.reason || "no reason told"}`;
    case "order.in_doubt":
      return `In doubt: order ${line.order}, the venue is being asked`;
    case "order.canceled":
      return `Cancelled ${String(line.purpose ?? "").toLowerCase().replaceAll("_", "-")} ${line.order}, filled ${line.filled}`;
    case "fill.booked":
      return `${line.side === "BUY" ? "Bought" : "Sold"} ${at()}, ${where(line.position)}${line.liquidity ? ` (${line.liquidity.toLowerCase()})` : ""}`;
    case "fill.failed":
      return `A fill failed on the chain and was posted back: ${where(line.position)}`;
    case "position.closed":
      return `Closed ${name}${side(line.outcome)} by ${String(line.exit_reason ?? "").toLowerCase().replaceAll("_", " ")}: ${signed(line.realised_pnl)}`;
    case "position.settled":
      return `Settled ${name}${side(line.outcome)}: ${signed(line.realised_pnl)}`;
    case "market.resolved":
      return number(line.payout) || number(line.realised_pnl) ? `${marketWords(line.slug)} went ${String(line.winner).toLowerCase()}: ${signed(line.realised_pnl)}` : null;
    case "stop.fired":
    case "take_profit.fired":
      return `Fired: ${line.message}, ${where(line.subject_id)}`;
    case "switch.set":
      return `Switched on ${String(line.switch).replaceAll("_", " ")}: ${line.reason}`;
    case "switch.cleared":
      return `Switched off ${String(line.switch).replaceAll("_", " ")}`;
    case "entries.blocked":
      return `Entries blocked: ${line.message}`;
    case "entries.allowed":
      return "Entries allowed again";
    case "stream.lost":
      return `Lost the ${line.subject_id} stream`;
    case "venue.mode_changed":
      return `Venue: ${line.mode ?? line.message ?? "another mode"}`;
    case "api.refused":
      return `Refused the action ${line.action} of ${line.client}: ${line.outcome}`;
    case "app.started":
      return `Started in mode ${line.mode}`;
    case "reconcile.completed":
      return line.differences && line.differences !== "none" ? `Reconciled: ${line.differences}` : null;
    default:
      return ["error", "critical"].includes(line.level) ? `${line.event}: ${line.message ?? line.reason ?? line.error ?? ""}` : null;
  }
}

function where(position) {
  const found = /^(.*):(up|down):\d+$/.exec(String(position ?? ""));
  if (found === null) return String(position ?? "");
  const told = market(found[1]);
  return `${`${told.symbol} ${told.window}`.trim()} ${side(found[2].toUpperCase())}`;
}

/** The last things done, newest first. */
export function showActivity(lines) {
  keyed(the("activity"), lines.slice(-8).reverse(), (line) => `${line.number} ${line.timestamp}`, (line) => ({
    node: h("li", { class: line.level === "info" || line.level === "debug" ? "" : line.level },
      h("time", { class: "quiet", datetime: line.timestamp }, clock(line.timestamp)), h("span", {}, line.words)),
  }), "Nothing yet. Orders, fills, exits and switches appear here as they happen.");
}
