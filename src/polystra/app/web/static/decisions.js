// Why it entered, and why it did not: the latest evaluations with both fusions and every gate.
//
// What lives here: these rows. What must not: the judgement; gates, their values and limits come from the daemon.

import { h, keyed, the } from "./dom.js";
import { bias, chance, clock, dollars, marketWords, number, percent, price, shares, side } from "./words.js";

/** Show them; the list stands still while one is open or pointed at, unless it `must` change. */
export function showDecisions(decisions, must = false) {
  const list = the("decisions");
  if (!must && list.childElementCount > 0 && (list.querySelector("details[open]") || list.querySelector("details:hover"))) return;
  const coin = the("decision-coin").value;
  const only = the("decision-enter").checked;
  const shown = decisions.filter((each) => (!coin || each.symbol === coin) && (!only || each.action === "ENTER")).slice(0, 14);
  keyed(the("decisions"), shown, (each) => each.decision_id, row,
    decisions.length === 0 ? "No market has been evaluated yet: a market's window has to open, and its price to beat to be known." : "None of the latest decisions is like that.");
  coins(decisions);
}

function coins(decisions) {
  const select = the("decision-coin");
  const known = new Set([...select.options].map((option) => option.value));
  for (const symbol of new Set(decisions.map((each) => each.symbol))) {
    if (symbol && !known.has(symbol)) select.append(h("option", { value: symbol }, symbol));
  }
}

function row(decision) {
  const entered = decision.action === "ENTER";
  const body = h("div", { class: "decision-body" });
  const details = h("details", { class: `decision ${entered ? "enter" : "skip"}` },
    h("summary", {},
      h("time", { class: "quiet", datetime: decision.at }, clock(decision.at)),
      h("span", { class: "coin" }, marketWords(decision.market) === "–" ? decision.symbol : marketWords(decision.market)),
      h("span", { class: "action" }, entered ? `Enter ${side(decision.outcome)}` : "Skip"),
      h("span", { class: "reason" }, entered ? `${shares(decision.quantity)} at ${price(decision.price)}` : reasonWords(decision.reason)),
      h("span", { class: "figure chances" }, h("span", { class: "quiet small" }, "P up "), chance(decision.p_up), h("span", { class: "quiet small" }, ` market ${chance(decision.market_prior_p_up)}`)),
      h("span", { class: "figure edge" }, h("span", { class: "quiet small" }, "edge "), percent(decision.edge))),
    body);
  details.addEventListener("toggle", () => {
    if (details.open && body.childElementCount === 0) body.append(fusions(decision), gates(decision), inputs(decision));
  });
  return { node: details };
}

/** A reason as it is stored begins with what the market said: "edge" alone means that it was enough. */
function reasonWords(reason) {
  return String(reason ?? "").replace(/^edge(?=;|$)/, "edge is enough");
}

function fusions(decision) {
  const line = (name, figures) => h("tr", {}, h("th", { scope: "row" }, name), figures.map((each) => h("td", { class: "figure" }, each)));
  return h("table", { class: "fusions" },
    h("caption", {}, "Where the probability comes from"),
    h("thead", {}, h("tr", {}, ["", "bias to Up", "confidence", "P up"].map((name, at) => h("th", { scope: "col", class: at ? "figure" : null }, name)))),
    h("tbody", {},
      line("market's price", ["", "", chance(decision.market_prior_p_up)]),
      line("fair value", ["", "", chance(decision.fair_value_up)]),
      signals(decision).map(([name, each]) => line(name, [bias(each.bias), chance(each.confidence), ""])),
      line("additive fusion", [bias(decision.additive_bias), chance(decision.additive_confidence), ""]),
      line("Bayesian fusion", [bias(decision.bayesian_bias), chance(decision.bayesian_confidence), ""]),
      line("used", ["", "", chance(decision.p_up)])));
}

function gates(decision) {
  const list = decision.gates ?? [];
  if (list.length === 0) return h("p", { class: "quiet small" }, `Reason: ${decision.reason}`);
  return h("ul", { class: "gates" }, list.map((gate) => {
    const state = gate.ok === null || gate.ok === undefined ? "unknown" : gate.ok ? "held" : "failed";
    const sign = { held: "✓", failed: "✗", unknown: "·" }[state];
    return h("li", { class: state },
      h("span", { class: "sign", "aria-label": { held: "held", failed: "did not hold", unknown: "not reached" }[state], role: "img" }, sign),
      h("span", {}, gate.name),
      h("span", { class: "figure" }, gate.value, gate.limit ? h("span", { class: "bound" }, ` ${gate.limit}`) : null));
  }));
}

/** What each signal said, where the decision stored it. */
function signals(decision) {
  const told = decision.inputs?.signals;
  if (typeof told !== "object" || told === null) return [];
  return Object.entries(told).map(([name, each]) => [`signal ${name.replaceAll("_", " ")}`, each ?? {}]);
}

const E8 = 1e8;
const MICRO = 1e6;

function inputs(decision) {
  const told = decision.inputs ?? {};
  const coin = (value) => (number(value) === null ? "–" : (Number(value) / E8).toLocaleString("en-US", { maximumFractionDigits: 4 }));
  const micro = (value) => (number(value) === null ? null : Number(value) / MICRO);
  const rows = [
    ["settles on", coin(told.settlement_price_e8 ?? told.price_e8)],
    ["price to beat", coin(told.price_to_beat_e8)],
    ["seconds left", number(told.seconds_left) === null ? "–" : Math.round(told.seconds_left)],
    ["Up bid / ask", `${price(micro(told.up_bid))} / ${price(micro(told.up_ask))}`],
    ["Down bid / ask", `${price(micro(told.down_bid))} / ${price(micro(told.down_ask))}`],
    ["bankroll", dollars(micro(told.bankroll))],
    ["exposure left", dollars(micro(told.exposure_left))],
    ["volatility", number(told.sigma) === null ? "–" : `${(Number(told.sigma) * 1e4).toFixed(2)} bp/√s`],
    ["momentum", bias(told.momentum_bias)],
  ];
  return h("dl", { class: "figures" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}
