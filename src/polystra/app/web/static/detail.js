// One position whole: path, exits, orders, fills and the ledger that explains every share.
//
// What lives here: the dialog. What must not: cards (positions.js).

import { fill, h, say, table, the } from "./dom.js";
import { timePlot } from "./chart.js";
import { read } from "./feed.js";
import { pathPlot } from "./positions.js";
import { chance, clock, dayAndClock, dollars, market, moment, number, percent, price, shares, side, signed, tone } from "./words.js";

/** Show the position with this id. */
export async function openDetail(id) {
  const dialog = the("detail");
  say(the("detail-title"), id);
  fill(the("detail-body"), h("p", { class: "quiet" }, "Reading …"));
  if (!dialog.open) dialog.showModal();
  the("detail-title").focus();
  try {
    show(await read(`positions/${encodeURIComponent(id)}`));
  } catch (error) {
    fill(the("detail-body"), h("p", { class: "error" }, `This position cannot be read: ${error.message}`));
  }
}

export function wireDetail() {
  the("detail-close").addEventListener("click", () => the("detail").close());
  the("detail").addEventListener("click", (event) => {
    if (event.target === the("detail")) the("detail").close();
  });
}

function show(position) {
  const told = market(position.market);
  say(the("detail-title"), `${position.symbol} ${told.window} ${side(position.outcome)}`);
  const plot = h("div", { class: "plot" });
  const postings = position.postings ?? position.ledger?.lines ?? [];
  fill(the("detail-body"),
    h("p", { class: "quiet small" }, position.position_id),
    summary(position),
    why(position.decision ?? position.why, position.outcome),
    h("h3", {}, "Path"), plot,
    h("h3", {}, "Ledger"), ledgerTable(postings), h("p", { class: position.ledger?.difference && number(position.ledger.difference) ? "bad" : "quiet" }, sentence(position.ledger?.verdict)),
    h("h3", {}, "Orders"), orderTable(position.orders ?? []),
    h("h3", {}, "Fills"), fillTable(position.fills ?? []));
  drawPath(plot, position);
}

const sentence = (words) => (words ? `${words[0].toUpperCase()}${words.slice(1)}.` : "");

function drawPath(place, position) {
  const path = position.path ?? [];
  if (path.length < 2) return fill(place, h("p", { class: "empty quiet" }, "No prices were recorded while it was held."));
  const marks = (position.fills ?? []).map((each) => ({
    at: moment(each.at), value: number(each.price), class: each.side === "BUY" ? "bought" : "sold",
    name: `${each.side === "BUY" ? "bought" : "sold"} ${shares(each.shares)} at ${price(each.price)}`,
  })).filter((mark) => mark.at !== null && mark.value !== null);
  timePlot(place, { ...pathPlot(position, path, { small: false, height: 240 }), marks });
}

function summary(position) {
  const rows = [
    ["Status", String(position.status ?? "").toLowerCase()],
    ["Shares", shares(position.shares)],
    ["Settled", shares(position.settled_shares)],
    ["Average", price(position.average_price)],
    ["Mark", price(position.mark)],
    ["Unrealised", signed(position.unrealised_pnl)],
    ["Realised", signed(position.realised_pnl)],
    ["Fees", dollars(position.fees)],
    ["Take-profit", price(position.take_profit)],
    ["Stop", position.stop ? `${price(position.stop)} ${position.stop_rule ?? ""}` : "–"],
    ["Exits as", position.exit_mode ?? "–"],
    ["Ended by", String(position.exit_reason ?? "–").toLowerCase().replaceAll("_", " ")],
  ];
  return h("dl", { class: "figures wide-figures" }, rows.map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", { class: name === "Realised" ? tone(position.realised_pnl) : null }, value))));
}

function why(decision, outcome) {
  if (!decision) return null;
  const of = (value) => (number(value) === null ? null : outcome === "DOWN" ? 1 - Number(value) : Number(value));
  return h("p", { class: "why" },
    `Bought at ${clock(decision.at)} for an edge of ${percent(decision.edge)}: chance ${chance(of(decision.p_up))}, the market said ${chance(of(decision.market_prior_p_up))}, fair value ${chance(of(decision.fair_value_up))}.`);
}

function ledgerTable(lines) {
  if (lines.length === 0) return h("p", { class: "empty quiet" }, "Nothing was booked.");
  const figure = (name) => (line) => (number(line[name]) ? shares(line[name]) : "");
  return table("Every posting of this position", [
    { name: "At", of: (line) => dayAndClock(line.at) },
    { name: "Kind", of: (line) => String(line.kind).toLowerCase().replaceAll("_", " ") },
    { name: "Worth", of: (line) => String(line.finality ?? "").toLowerCase() },
    { name: "Reason", of: (line) => line.reason || line.evidence || "" },
    { name: "Pending", class: "figure", of: figure("pending_shares") },
    { name: "Settled", class: "figure", of: figure("settled_shares") },
    { name: "Size then", class: "figure", of: (line) => shares(line.size) },
    { name: "Cash", class: "figure", of: (line) => (number(line.cash) ? signed(line.cash) : "") },
    { name: "Fee", class: "figure", of: (line) => (number(line.fee) ? dollars(line.fee) : "") },
  ], lines);
}

function orderTable(orders) {
  if (orders.length === 0) return h("p", { class: "empty quiet" }, "None.");
  return table("Orders of this position", [
    { name: "Order", of: (each) => each.client_order_id },
    { name: "At", of: (each) => clock(each.created_at) },
    { name: "Rule", of: (each) => each.rule },
    { name: "Side", of: (each) => each.side.toLowerCase() },
    { name: "Type", of: (each) => each.time_in_force },
    { name: "Status", of: (each) => each.status.toLowerCase() },
    { name: "Quantity", class: "figure", of: (each) => shares(each.quantity) },
    { name: "Price", class: "figure", of: (each) => price(each.price) },
    { name: "Filled", class: "figure", of: (each) => shares(each.filled) },
    { name: "Average", class: "figure", of: (each) => price(each.average_price) },
  ], orders);
}

function fillTable(fills) {
  if (fills.length === 0) return h("p", { class: "empty quiet" }, "None.");
  return table("Fills of this position", [
    { name: "At", of: (each) => clock(each.at) },
    { name: "Side", of: (each) => each.side.toLowerCase() },
    { name: "As", of: (each) => String(each.liquidity ?? "").toLowerCase() },
    { name: "Settlement", of: (each) => String(each.status).toLowerCase() },
    { name: "Shares", class: "figure", of: (each) => shares(each.shares) },
    { name: "Price", class: "figure", of: (each) => price(each.price) },
    { name: "Cash", class: "figure", of: (each) => dollars(each.cash) },
    { name: "Fee", class: "figure", of: (each) => dollars(each.fee) },
  ], fills);
}
