// What is held and why: one card for each open position, a list of those that ended.
//
// What lives here: cards and their small plots. What must not: the whole story of a position (detail.js).

import { h, keyed, say, table, the } from "./dom.js";
import { meter, timePlot } from "./chart.js";
import { chance, countdown, dollars, market, moment, number, percent, price, shares, side, signed, tone } from "./words.js";

/** The path of a position as lines and levels for a plot. */
export function pathPlot(position, path, { small, height }) {
  const points = path.map((point) => [moment(point.at), number(point.mid ?? point.bid), number(point.fair)]).filter((point) => point[0] !== null);
  return {
    label: `Path of ${position.position_id}: price, fair value and exits`,
    small,
    height,
    air: 0.02,
    format: (value) => value.toFixed(3).replace(/0$/, ""),
    lines: [
      { name: "fair value", class: "fair", points: points.map((point) => [point[0], point[2]]) },
      { name: "price", class: "price", points: points.map((point) => [point[0], point[1]]) },
    ],
    levels: [
      { name: "entry", class: "entry", value: number(position.average_price) || null },
      { name: "take-profit", class: "target", value: number(position.take_profit) },
      { name: position.stop_rule || "stop", class: "stop", value: number(position.stop) },
    ],
  };
}

/** Show the open positions; `paths` holds what is known of their prices, `open(id)` shows one whole. */
export function showPositions(positions, { paths, open, exit }) {
  keyed(the("positions"), positions, (each) => each.position_id, (first) => card(first, { paths, open, exit }),
    "No open position. When an entry fills, it appears here with its price, its fair value and its exits.");
  drawPaths(positions, paths);
}

const cards = new Map();

function card(first, { open, exit }) {
  const id = first.position_id;
  const told = market(first.market);
  const parts = {
    pnl: h("strong", { class: "pnl" }),
    status: h("span", { class: "chip" }),
    why: h("p", { class: "why" }),
    plot: h("div", { class: "plot small-plot" }),
    figures: h("dl", { class: "figures" }),
    exits: h("p", { class: "exits quiet small" }),
    left: h("span", { class: "left" }),
    bar: meter("time gone of the window", "plain"),
  };
  const title = h("h3", {}, `${first.symbol || told.symbol} ${told.window} `, h("span", { class: "side" }, side(first.outcome)));
  const ledger = h("button", { type: "button", class: "button", on: { click: () => open(id) } }, "Ledger");
  const leave = h("button", { type: "button", class: "button", on: { click: () => exit(id) } }, "Exit…");
  ledger.setAttribute("aria-label", `Ledger of ${id}`);
  leave.setAttribute("aria-label", `Exit ${id}`);
  const node = h("article", { class: "position", "data-id": id },
    h("header", {}, title, parts.status, parts.pnl),
    parts.why, parts.plot, parts.figures, parts.exits,
    h("footer", {}, h("span", { class: "until" }, parts.left, parts.bar.node), ledger, leave));
  parts.node = node;
  cards.set(id, parts);
  return { node, update: (position) => updateCard(parts, position) };
}

function updateCard(parts, position) {
  say(parts.pnl, position.unrealised_pnl === null ? "not marked" : signed(position.unrealised_pnl));
  parts.pnl.className = `pnl ${tone(position.unrealised_pnl)}`;
  parts.pnl.title = `unrealised ${position.unrealised_pnl ?? "unknown"}, realised ${position.realised_pnl}, fees ${position.fees}`;
  say(parts.status, String(position.status ?? "").toLowerCase());
  parts.status.hidden = position.status === "OPEN";
  say(parts.why, whyWords(position));
  parts.why.hidden = parts.why.textContent === "";
  showFigures(parts.figures, position);
  say(parts.exits, exitWords(position));
  showTimeLeft(parts, position);
}

function whyWords(position) {
  const why = position.why ?? position.decision;
  if (!why) return "";
  const up = position.outcome !== "DOWN";
  const of = (value) => (number(value) === null ? null : up ? Number(value) : 1 - Number(value));
  return `Bought for an edge of ${percent(why.edge)}: chance ${chance(of(why.p_up))} against the market's ${chance(of(why.market_prior_p_up))}`;
}

function showFigures(list, position) {
  const held = number(position.shares) ?? 0;
  const mark = number(position.mark);
  const pending = held - (number(position.settled_shares) ?? held);
  const rows = [
    ["Shares", shares(position.shares), pending > 0.000001 ? `${shares(pending)} not settled` : ""],
    ["Average", price(position.average_price), ""],
    ["Mark", price(position.mark), position.mark_age_s === null || position.mark_age_s === undefined ? "" : `${Math.round(position.mark_age_s)} s old`],
    ["Fair value", chance(position.fair_value), ""],
    ["Worth", mark === null ? dollars(null) : dollars(held * mark), ""],
    ["Realised", signed(position.realised_pnl), `fees ${dollars(position.fees)}`],
  ];
  keyed(list, rows.filter((row) => row[0] !== "Fair value" || row[1] !== "–"), (row) => row[0], (row) => {
    const value = h("dd", {});
    return {
      node: h("div", {}, h("dt", {}, row[0]), value),
      update(now) {
        say(value, now[1]);
        value.title = now[2];
      },
    };
  });
}

const RESTS = new Set(["live", "open"]);

function exitWords(position) {
  const resting = (position.exits ?? []).map((each) => `${each.rule} rests: ${shares(each.shares)} at ${price(each.price)}${RESTS.has(each.status.toLowerCase()) ? "" : ` (${each.status.toLowerCase()})`}`);
  const words = [...resting, ...(position.armed ?? [])];
  return words.length ? words.join(" · ") : "No exit is armed.";
}

function showTimeLeft(parts, position) {
  const left = number(position.resolves_in_s);
  const length = market(position.market).length_s;
  say(parts.left, left === null ? "" : left > 0 ? `${countdown(left)} left` : "verdict awaited");
  parts.bar.node.hidden = left === null || length === null;
  parts.bar.set(length === null || left === null ? 0 : 1 - left / length);
}

/** Draw the paths anew that changed. */
export function drawPaths(positions, paths) {
  for (const each of positions) drawPath(each, paths);
}

function drawPath(position, paths) {
  const parts = cards.get(position.position_id);
  const path = paths.get(position.position_id) ?? [];
  if (parts === undefined) return;
  const told = `${path.length} ${path.at(-1)?.at} ${position.stop} ${position.take_profit} ${position.average_price}`;
  if (parts.drawn === told) return;
  parts.drawn = told;
  if (path.length >= 2) timePlot(parts.plot, pathPlot(position, path, { small: true, height: 76 }));
}

/** The positions that ended, newest first. */
export function pastTable(positions, open) {
  if (positions.length === 0) return h("p", { class: "empty quiet" }, "None yet.");
  return table("Closed and settled positions", [
    { name: "Market", of: (each) => h("button", { type: "button", class: "text", on: { click: () => open(each.position_id) } }, `${each.symbol} ${market(each.market).window} ${side(each.outcome)}`) },
    { name: "Ended by", of: (each) => String(each.exit_reason || each.status || "").toLowerCase().replaceAll("_", " ") },
    { name: "Bought at", class: "figure", of: (each) => price(number(each.average_price) ? each.average_price : null) },
    { name: "Fees", class: "figure", of: (each) => dollars(each.fees) },
    { name: "Result", class: "figure", of: (each) => h("span", { class: tone(each.realised_pnl) }, signed(each.realised_pnl)) },
  ], positions);
}
