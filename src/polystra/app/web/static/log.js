// The tail of the log, with a filter.
//
// What lives here: the lines kept and those shown. What must not: anything that reads a line as markup.

import { fill, h, say, the } from "./dom.js";
import { activityWords, showActivity } from "./orders.js";
import { clock } from "./words.js";

const KEPT = 600;
const SHOWN = 250;
const RANK = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };
const OWN = new Set(["number", "timestamp", "level", "event"]);

const rest = (line) => Object.entries(line)
  .filter(([name, value]) => !OWN.has(name) && value !== null && value !== "")
  .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
  .join("  ");

/** The lines of the log that this page knows, in their order, each once. */
export class Log {
  #known = new Map();
  #last = 0;
  #dirty = true;

  /** Forget every line, as when another run of the daemon may be there. */
  clear() {
    this.#known.clear();
    this.#last = 0;
    this.#dirty = true;
  }

  /** Add a line as the log writes it, with its number: { number, timestamp, level, event, … }. */
  add(told) {
    const number = told.number ?? this.#last + 1;
    this.#last = Math.max(this.#last, number);
    if (this.#known.has(number)) return;
    this.#known.set(number, { ...told, number, level: told.level ?? "info", text: rest(told), words: activityWords(told) });
    this.#dirty = true;
  }

  /** The lines kept, oldest first. */
  get lines() {
    const all = [...this.#known.values()].sort((one, other) => one.number - other.number);
    for (const line of all.splice(0, Math.max(0, all.length - KEPT))) this.#known.delete(line.number);
    return all;
  }

  touch() {
    this.#dirty = true;
  }

  /** Show the lines that pass the filter, when something changed. */
  show() {
    if (!this.#dirty) return;
    this.#dirty = false;
    const lines = this.lines;
    showActivity(lines.filter((line) => line.words !== null));
    const lowest = RANK[the("log-level").value] ?? 0;
    const words = the("log-filter").value.trim().toLowerCase();
    const passing = lines.filter((line) => (RANK[line.level] ?? 1) >= lowest &&
      (!words || `${line.event} ${line.text}`.toLowerCase().includes(words)));
    const place = the("log");
    const before = place.scrollTop;
    fill(place, passing.slice(-SHOWN).map((line) => h("div", { class: `line ${line.level ?? ""}` },
      h("time", {}, clock(line.timestamp)), h("span", { class: "event" }, line.event ?? ""), h("span", { class: "rest" }, line.text))));
    if (passing.length === 0) fill(place, h("p", { class: "empty" }, lines.length ? "No line passes the filter." : "No line yet."));
    place.scrollTop = the("log-follow").checked ? place.scrollHeight : before;
    const cut = passing.length > SHOWN ? `, the last ${SHOWN} shown` : "";
    say(the("log-count"), `${passing.length} of the last ${lines.length} lines${cut}`);
  }
}
