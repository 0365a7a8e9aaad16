// The buttons: what they will do is said first, then asked, then done.
//
// What lives here: the confirmation, the token and the requests. What must not: judgement. The daemon decides, and its
// sentence is shown. The token stays in this variable, or in this tab's session storage when that was ticked.

import { fill, h, say, the } from "./dom.js";
import { act, read } from "./feed.js";
import { dollars, market, number, price, shares, side } from "./words.js";

const KEPT = "polystra-token";
let token = sessionStorage.getItem(KEPT) ?? "";
let pending = null;
let state = () => ({ status: null, positions: [], orders: [] });

export function wireControls(current) {
  state = current;
  the("stop").addEventListener("click", askStop);
  the("resume").addEventListener("click", askStart);
  the("stopentry").addEventListener("click", askStopEntries);
  the("pause").addEventListener("click", askPause);
  the("exit-all").addEventListener("click", () => askExit("all"));
  the("confirm-no").addEventListener("click", () => the("confirm").close());
  the("confirm").addEventListener("close", () => { pending = null; });
  the("confirm-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  the("token-words").addEventListener("click", (event) => {
    if (event.target instanceof HTMLButtonElement) forget();
  });
  tokenWords();
}

function tokenWords() {
  const words = the("token-words");
  if (!token) return fill(words, "Actions ask for the API token once; reading needs none.");
  const kept = sessionStorage.getItem(KEPT) !== null;
  fill(words, `The token is in ${kept ? "this tab's session storage" : "this page's memory"}. `, h("button", { type: "button", class: "text" }, "Forget it"));
}

function forget() {
  token = "";
  sessionStorage.removeItem(KEPT);
  tokenWords();
}

function ask({ title, lines, yes, path, body, danger }) {
  pending = { path, body };
  say(the("confirm-title"), title);
  fill(the("confirm-body"), ...lines.map((line) => (typeof line === "string" ? h("p", {}, line) : line)));
  say(the("confirm-yes"), yes);
  the("confirm-yes").className = danger ? "button danger" : "button primary";
  the("confirm-yes").disabled = false;
  say(the("confirm-error"), "");
  the("confirm-token").hidden = token !== "";
  the("token").value = "";
  if (!the("confirm").open) the("confirm").showModal();
  (token ? the("confirm-no") : the("token")).focus();
}

async function send() {
  if (pending === null) return;
  const fresh = !the("confirm-token").hidden;
  const using = fresh ? the("token").value.trim() : token;
  if (!using) return say(the("confirm-error"), "Type the API token first.");
  the("confirm-yes").disabled = true;
  say(the("confirm-error"), "");
  let reply;
  try {
    reply = await act(pending.path, pending.body, using);
  } catch (error) {
    return refuse(`No answer from the daemon (${error.message}). It may or may not have been done: look at what is shown.`);
  }
  if (reply.status === 401 || reply.status === 403 || reply.status === 429) {
    if (reply.status === 401) {
      forget();
      the("confirm-token").hidden = false;
      the("token").select();
    }
    return refuse(`${reply.told?.error ?? "The daemon refused the token."}${reply.after ? ` Try again in ${reply.after} s.` : ""}`);
  }
  if (fresh) keep(using);
  if (reply.status >= 400) return refuse(reply.told?.error ?? `The daemon answered ${reply.status}.`);
  the("confirm").close();
  toast(reply.told?.done ?? "Done.");
}

function refuse(words) {
  the("confirm-yes").disabled = false;
  say(the("confirm-error"), words);
}

function keep(using) {
  token = using;
  if (the("token-keep").checked) sessionStorage.setItem(KEPT, using);
  tokenWords();
}

let hide = 0;

export function toast(words) {
  say(the("toast"), words);
  the("toast").classList.add("shown");
  clearTimeout(hide);
  hide = setTimeout(() => the("toast").classList.remove("shown"), 8000);
}

// --- the questions -----------------------------------------------------------------------

function held() {
  const { positions } = state();
  if (positions.length === 0) return "Nothing is held.";
  return `${positions.length} ${positions.length === 1 ? "position keeps its" : "positions keep their"} take-profit and stop.`;
}

function askStop() {
  const entries = state().orders.filter((order) => order.side === "BUY").length;
  ask({
    title: "Stop trading?",
    lines: [
      `No entry leaves any more${entries ? `, and ${entries} resting ${entries === 1 ? "entry is" : "entries are"} cancelled` : ""}. Exits go on: ${held()[0].toLowerCase()}${held().slice(1)}`,
      "It stays so, over a restart too, until someone starts it again.",
    ],
    yes: "Stop trading", path: "stop", body: {}, danger: true,
  });
}

function askStart() {
  const on = (state().status?.switches ?? []).map((each) => `${each.name.replaceAll("_", " ")}${each.subject ? ` ${each.subject}` : ""}: ${each.reason}`);
  ask({
    title: "Start trading again?",
    lines: [on.length ? "This ends what stops entries now:" : "Entries are made again.", h("ul", {}, on.map((words) => h("li", {}, words)))],
    yes: "Start", path: "start", body: {}, danger: false,
  });
}

function askStopEntries() {
  ask({ title: "Stop entries?", lines: ["No new entry is decided on; what rests stays. Until someone starts it again."], yes: "Stop entries", path: "stopentry", body: {}, danger: false });
}

function askPause() {
  ask({ title: "Pause entries for 30 minutes?", lines: ["No new entry for 30 minutes of the run's clock; then it goes on by itself."], yes: "Pause 30 min", path: "pause", body: { for: "30m" }, danger: false });
}

/** Ask whether to sell one position, or all. */
export function askExit(id) {
  const wanted = state().positions.filter((each) => id === "all" || each.position_id === id);
  if (wanted.length === 0) return toast("Nothing is held.");
  const prices = h("div", {}, h("p", { class: "quiet" }, "Reading the worst price …"));
  ask({
    title: id === "all" ? `Exit all ${wanted.length} ${wanted.length === 1 ? "position" : "positions"} now?` : "Exit this position now?",
    lines: ["Its resting exits are cancelled first; what is left is sold at once, for no less than the worst price.", prices],
    yes: id === "all" ? "Exit all" : "Exit", path: "forceexit", body: id === "all" ? { all: true } : { id }, danger: true,
  });
  showWorst(prices, wanted, id);
}

async function showWorst(place, wanted, id) {
  let worst = new Map();
  try {
    const told = await read(`forceexit?id=${encodeURIComponent(id)}`);
    worst = new Map((told.lines ?? []).map((line) => [line.position_id, line]));
  } catch {
    // The daemon of another version does not tell it; the mark is shown, as what it is.
  }
  fill(place, h("ul", { class: "worst" }, wanted.map((each) => h("li", {}, worstWords(each, worst.get(each.position_id))))));
}

function worstWords(position, line) {
  const name = `${position.symbol} ${market(position.market).window} ${side(position.outcome)}, ${shares(position.shares)} shares: `;
  if (line?.worst_price) {
    return `${name}worst price ${price(line.worst_price)} (best bid ${price(line.best_bid)}), at least ${dollars(line.proceeds ?? Number(line.worst_price) * Number(position.shares))}`;
  }
  const mark = number(position.mark);
  return mark === null ? `${name}no price is known now` : `${name}mark ${price(position.mark)}; the worst price is not known here`;
}
