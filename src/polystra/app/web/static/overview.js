// How the daemon stands: mode, verdict, key figures, health, limits and switches.
//
// What lives here: what is shown of the status. What must not: actions (controls.js).

import { h, keyed, say, the } from "./dom.js";
import { meter } from "./chart.js";
import { age, clock, dayAndClock, dollars, lasting, moment, number, signed, tone } from "./words.js";

const MODES = {
  live: "LIVE: orders cost real money",
  paper: "PAPER: real markets, made-up money",
  sim: "SIM: the built-in exchange, made-up money",
};

/** What is wrong with the daemon itself, most urgent first; a venue that rests is not its fault. */
export function problems(status, health) {
  const found = [];
  if (status.stopping) found.push("the daemon is shutting down");
  for (const problem of health?.problems ?? []) found.push(problem);
  for (const stream of status.streams ?? []) {
    if (!stream.connected && !found.some((each) => each.includes(stream.name))) found.push(`the ${stream.name} stream is not connected`);
  }
  return found;
}

/** One sentence on how things are, most urgent first: { tone, words, more }. */
export function verdict(status, health, feed) {
  if (feed.state === "lost") {
    const last = feed.age();
    const since = last === null ? "no update yet" : `last update ${lasting(last)} ago`;
    return { tone: "bad", words: `Connection lost, ${since}`, more: "What is shown is old. Trying again." };
  }
  if (feed.state === "waiting") return { tone: "wait", words: "The daemon is starting …", more: "" };
  if (status === null) return { tone: "wait", words: "Connecting to the daemon …", more: "" };
  const wrong = problems(status, health);
  const blocked = status.entries_blocked ? `Entries: ${status.entries_blocked}` : "";
  if (wrong.length > 0) return { tone: "bad", words: `Unhealthy: ${wrong[0]}`, more: [...wrong.slice(1), blocked].filter(Boolean).join("; ") };
  if (status.venue_words) return { tone: "warn", words: capital(status.venue_words), more: blocked };
  if (status.orders_in_doubt > 0) {
    const count = status.orders_in_doubt === 1 ? "1 order is" : `${status.orders_in_doubt} orders are`;
    return { tone: "warn", words: `${count} in doubt`, more: "The venue is being asked; nothing is sent twice." };
  }
  const kill = switchNamed(status, "kill");
  if (kill) return { tone: "warn", words: "Stopped: no entries, exits go on", more: kill.reason };
  if (status.entries_blocked) return { tone: "warn", words: "Healthy, but no entries", more: status.entries_blocked };
  return { tone: "good", words: "Healthy, trading", more: "" };
}

const capital = (words) => `${words[0].toUpperCase()}${words.slice(1)}`;

export function switchNamed(status, name) {
  return (status?.switches ?? []).find((each) => each.name === name) ?? null;
}

export function showVerdict(status, health, feed) {
  const told = verdict(status, health, feed);
  the("verdict").dataset.tone = told.tone;
  say(the("verdict-words"), told.words);
  say(the("verdict-more"), told.more);
  document.body.dataset.feed = feed.state;
  const worth = status === null ? "" : ` ${signed(status.day_pnl)}`;
  document.title = `${told.tone === "bad" ? "⚠ " : ""}Polystra${status === null ? "" : ` ${String(status.mode).toUpperCase()}`}${worth}`;
}

export function showMode(status) {
  const mode = String(status.mode ?? "unknown").toLowerCase();
  document.body.dataset.mode = mode;
  say(the("mode"), MODES[mode] ?? `Mode ${mode}`);
  const account = String(status.account ?? "");
  say(the("who"), account.length > 14 ? `${account.slice(0, 6)}…${account.slice(-4)}` : account);
  the("who").title = [account && `account ${account}`, status.version && `version ${status.version}`].filter(Boolean).join(", ");
  const speed = number(status.speed);
  say(the("clock"), status.at ? `${dayAndClock(status.at)} UTC${speed !== null && speed !== 1 ? ` · ${speed}× speed` : ""}` : "");
}

const tiles = new Map();

function tile(name) {
  if (!tiles.has(name)) {
    const value = h("strong", {});
    const note = h("span", { class: "quiet small" });
    const bar = meter(name);
    const node = h("div", { class: "tile" }, h("span", { class: "quiet small" }, name), value, bar.node, note);
    the("tiles").append(node);
    tiles.set(name, { value, note, bar });
  }
  return tiles.get(name);
}

function showTile(name, { value, note, tone: colour, share }) {
  const parts = tile(name);
  say(parts.value, value);
  parts.value.className = colour ?? "";
  say(parts.note, note ?? "");
  parts.bar.node.hidden = share === undefined || share === null;
  parts.bar.set(share);
}

function limitOf(status, name) {
  const line = (status.limits ?? []).find((each) => each.name === name);
  return line === undefined ? null : { used: number(line.used) ?? 0, limit: number(line.limit) };
}

const part = (line) => (line === null || !line.limit ? null : line.used / line.limit);

export function showTiles(status) {
  const claims = number(status.claims) ?? 0;
  const risk = limitOf(status, "at risk");
  const count = limitOf(status, "positions");
  const limit = number(status.day_loss_limit);
  showTile("Equity", { value: dollars(status.equity), note: `cash ${dollars(status.cash)}, held ${dollars(status.positions_value)}` });
  showTile("Today", {
    value: signed(status.day_pnl),
    tone: tone(status.day_pnl),
    note: limit ? `entries stop at −${dollars(limit)}` : "no daily limit",
    share: limit ? Math.max(0, -(number(status.day_pnl) ?? 0)) / limit : null,
  });
  showTile("At risk", { value: dollars(risk?.used ?? 0), note: risk?.limit ? `of ${dollars(risk.limit)}` : "no limit", share: part(risk) });
  showTile("Open positions", {
    value: String(status.open_positions ?? 0),
    note: count?.limit ? `of ${count.limit}; unrealised ${signed(status.unrealised_pnl)}` : `unrealised ${signed(status.unrealised_pnl)}`,
    share: part(count),
  });
  showTile("Available", { value: dollars(status.available), note: claims > 0 ? `${dollars(claims)} more to redeem` : `${dollars(status.reserved)} promised to orders` });
  const doubt = status.orders_in_doubt ?? 0;
  showTile("Resting orders", {
    value: String(status.open_orders ?? 0),
    tone: doubt > 0 ? "warn" : "",
    note: doubt > 0 ? `${doubt} in doubt` : "none in doubt",
  });
}

export function showLimits(status) {
  keyed(the("limits"), status.limits ?? [], (line) => line.name, () => {
    const words = h("span", {});
    const figures = h("span", { class: "figure" });
    const bar = meter("");
    return {
      node: h("div", { class: "limit" }, words, figures, bar.node),
      update(line) {
        const limit = number(line.limit);
        say(words, line.name);
        say(figures, limit ? `${plain(line.used)} / ${plain(line.limit)}` : `${plain(line.used)}, no limit`);
        bar.node.setAttribute("aria-label", line.name);
        bar.node.hidden = !limit;
        bar.set(limit ? (number(line.used) ?? 0) / limit : 0);
      },
    };
  }, "No limits are told.");
}

function plain(value) {
  const found = number(value);
  return found === null ? String(value) : found.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

export function showHealth(status, health) {
  const rows = [];
  const add = (name, words, colour) => rows.push({ name, words, tone: colour ?? "" });
  add("trading loop", `lag ${number(status.loop_lag_ms) === null ? "not told" : `${Number(status.loop_lag_ms).toFixed(1)} ms`}, ${status.waiting_inputs ?? 0} inputs wait`, late(status.loop_lag_ms, 1000));
  for (const stream of status.streams ?? []) {
    add(`${stream.name} stream`, stream.connected ? `last word ${age(stream.quiet_s)} ago` : "not connected", stream.connected ? "" : "bad");
  }
  add("venue", status.venue_words || "takes orders", status.venue_words ? "warn" : "");
  add("reconciled", reconciled(status), status.reconciled_at ? "" : "warn");
  add("orders in doubt", status.orders_in_doubt ? `${status.orders_in_doubt}, oldest ${age(status.oldest_doubt_s)}` : "none", status.orders_in_doubt ? "warn" : "");
  if (number(status.claims) > 0) add("winnings", `${dollars(status.claims)} wait to be redeemed`, "");
  if (number(health?.running_s) !== null) add("running for", lasting(health.running_s), "");
  add("markets settled", String(status.markets_settled ?? 0), "");
  keyed(the("health"), rows, (row) => row.name, () => {
    const words = h("dd", {});
    const name = h("dt", {});
    return {
      node: h("div", {}, name, words),
      update(row) {
        say(name, row.name);
        say(words, row.words);
        words.className = row.tone;
      },
    };
  });
  const wrong = problems(status, health);
  say(the("health-words"), wrong.length ? `${wrong.length} ${wrong.length === 1 ? "problem" : "problems"}` : "all well");
  the("health-words").className = wrong.length ? "bad" : "quiet";
}

const late = (seconds, limit) => ((number(seconds) ?? 0) > limit ? "bad" : "");

function reconciled(status) {
  const words = String(status.last_reconcile || "");
  const found = /\(([^)]*)\): (.*)$/.exec(words);
  const last = status.reconciled_at ? clock(status.reconciled_at) : "not yet";
  return found === null ? last : `${last} (${found[1]}), ${found[2].replace(/(0x[0-9a-f]{4})[0-9a-f]{12,}([0-9a-f]{4})/gi, "$1…$2")}`;
}

export function showSwitches(status) {
  const on = status.switches ?? [];
  say(the("entries-words"), status.entries_blocked ? "blocked" : "allowed");
  the("entries-words").className = status.entries_blocked ? "warn" : "good";
  const rows = on.map((each) => ({ ...each, now: each.until ? status.at : "" }));
  if (status.entries_blocked && on.length === 0) rows.push({ name: "blocked", subject: "", reason: status.entries_blocked, since: "", until: "", cause: true });
  keyed(the("switches"), rows, (each) => `${each.name} ${each.subject}`, () => {
    const name = h("strong", {});
    const reason = h("p", {});
    const times = h("p", { class: "quiet small" });
    return {
      node: h("div", { class: "switch" }, name, reason, times),
      update(each) {
        say(name, `${each.name.replaceAll("_", " ")}${each.subject ? ` ${each.subject}` : ""}`);
        say(reason, each.reason);
        say(times, each.cause ? "Ends by itself when the cause is gone." : switchTimes(each));
      },
    };
  }, "Nothing stops entries.");
  const stopped = ["kill", "stop_entry", "pause"].some((name) => switchNamed(status, name)) || on.length > 0;
  the("resume").hidden = !stopped;
  the("stop").hidden = switchNamed(status, "kill") !== null;
}

function switchTimes(each) {
  const by = each.source ? `by ${each.source}, ` : "";
  const until = moment(each.until);
  const now = moment(each.now);
  const left = until !== null && now !== null && until > now ? ` (${lasting((until - now) / 1000)})` : "";
  const end = each.until ? `until ${dayAndClock(each.until)}${left}` : "until someone starts it again";
  return `${by}since ${dayAndClock(each.since)}, ${end}`;
}
