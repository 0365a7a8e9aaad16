// The tail of the log, with a filter.
//
// What lives here: the lines kept and those shown. What must not: anything that reads a line as markup.

import { fill, h, say, the } from "./dom.js";
import { clock } from "./words.js";

const KEPT = 600;
const SHOWN = 250;
const RANK = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };
const OWN = new Set(["number", "timestamp", "level", "event", "key"]);

/** The lines of the log that this page knows, oldest first. */
export class Log {
  lines = [];
  #dirty = true;

  /** Add a line unless it is known already. */
  add(line) {
    this.lines.push({ ...line, text: this.#text(line) });
    if (this.lines.length > KEPT) this.lines.splice(0, this.lines.length - KEPT);
    this.#dirty = true;
  }

  /** Take a whole tail, as after a (re)connection. */
  take(lines) {
    this.lines = lines.slice(-KEPT).map((line) => ({ ...line, text: this.#text(line) }));
    this.#dirty = true;
  }

  touch() {
    this.#dirty = true;
  }

  #text(line) {
    return Object.entries(line)
      .filter(([name, value]) => !OWN.has(name) && value !== null && value !== "")
      .map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)
      .join("  ");
  }

  /** Show the lines that pass the filter, when something changed. */
  show() {
    if (!this.#dirty) return;
    this.#dirty = false;
    const lowest = RANK[the("log-level").value] ?? 0;
    const words = the("log-filter").value.trim().toLowerCase();
    const passing = this.lines.filter((line) => (RANK[line.level] ?? 1) >= lowest &&
      (!words || `${line.event} ${line.text}`.toLowerCase().includes(words)));
    const place = the("log");
    const before = place.scrollTop;
    fill(place, passing.slice(-SHOWN).map((line) => h("div", { class: `line ${line.level ?? ""}` },
      h("time", {}, clock(line.timestamp)), h("span", { class: "event" }, line.event ?? ""), h("span", { class: "rest" }, line.text))));
    if (passing.length === 0) fill(place, h("p", { class: "empty" }, this.lines.length ? "No line passes the filter." : "No line yet."));
    place.scrollTop = the("log-follow").checked ? place.scrollHeight : before;
    const cut = passing.length > SHOWN ? `, the last ${SHOWN} shown` : "";
    say(the("log-count"), `${passing.length} of the last ${this.lines.length} lines${cut}`);
  }
}
