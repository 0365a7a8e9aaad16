// Figures and times in words.
//
// What lives here: how values are shown. What must not: arithmetic that matters. Money comes as decimal text and
// is rounded here for the eye alone; the exact text stands in the title of what is shown.

export const NOTHING = "–";

const two = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export function number(value) {
  if (value === null || value === undefined || value === "") return null;
  const found = Number(value);
  return Number.isFinite(found) ? found : null;
}

/** Dollars: 1,003.25. */
export function dollars(value) {
  const found = number(value);
  if (found === null) return NOTHING;
  return found < 0 ? `−$${two.format(-found)}` : `$${two.format(found)}`;
}

/** Dollars with their sign: +$4.43, −$2.10; a rounded nought has none. */
export function signed(value) {
  const found = number(value);
  if (found === null) return NOTHING;
  const text = two.format(Math.abs(found));
  if (text === "0.00") return "$0.00";
  return `${found < 0 ? "−" : "+"}$${text}`;
}

/** "gain", "loss" or "" for the colour of a result. */
export function tone(value) {
  const found = number(value);
  if (found === null || two.format(Math.abs(found)) === "0.00") return "";
  return found > 0 ? "gain" : "loss";
}

/** A price per share with at least two digits: 0.31, 0.305. */
export function price(value) {
  const found = number(value);
  if (found === null) return NOTHING;
  return found.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
}

export function shares(value) {
  const found = number(value);
  return found === null ? NOTHING : found.toLocaleString("en-US", { maximumFractionDigits: 2 }).replace("-", "−");
}

export function chance(value) {
  const found = number(value);
  return found === null ? NOTHING : found.toFixed(3);
}

export function percent(value, digits = 1) {
  const found = number(value);
  return found === null ? NOTHING : `${(found * 100).toFixed(digits).replace("-", "−")} %`;
}

export function bias(value) {
  const found = number(value);
  return found === null ? NOTHING : `${found < 0 ? "−" : "+"}${Math.abs(found).toFixed(2)}`;
}

/** Milliseconds of a time of the API ("2026-11-02T14:00:15Z", "2026-11-02 14:00:15.5", "… UTC"), or null. */
export function moment(text) {
  if (!text) return null;
  let iso = String(text).trim().replace(" UTC", "Z").replace(" ", "T");
  if (!/(Z|[+-]\d\d:?\d\d)$/.test(iso)) iso += "Z";
  const found = Date.parse(iso);
  return Number.isNaN(found) ? null : found;
}

/** 14:05:06 of a time. */
export function clock(text) {
  const at = typeof text === "number" ? text : moment(text);
  return at === null ? NOTHING : new Date(at).toISOString().slice(11, 19);
}

/** 2 Nov 14:05:06 of a time. */
export function dayAndClock(text) {
  const at = typeof text === "number" ? text : moment(text);
  if (at === null) return NOTHING;
  const date = new Date(at);
  const month = date.toLocaleString("en-GB", { month: "short", timeZone: "UTC" });
  return `${date.getUTCDate()} ${month} ${clock(at)}`;
}

/** A length of time in at most two units: 12 s, 4 min 3 s, 2 h 5 min, 3 d 4 h. */
export function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const found = [];
  let rest = whole;
  for (const [size, name] of parts) {
    const count = Math.floor(rest / size);
    if (count > 0) found.push(`${count} ${name}`);
    else if (found.length > 0) break;
    rest -= count * size;
  }
  return found.length === 0 ? "0 s" : found.slice(0, 2).join(" ");
}

/** The age of something in seconds, with a tenth below ten. */
export function age(seconds) {
  const found = number(seconds);
  if (found === null) return NOTHING;
  return found < 9.95 ? `${Math.max(0, found).toFixed(1)} s` : lasting(found);
}

/** 4:32 until something. */
export function countdown(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

const LENGTHS = { s: 1, m: 60, h: 3600, d: 86400 };

/** { symbol, window, length_s } of a market's slug like btc-updown-15m-1793628000; unknown ones are shown as they are. */
export function market(slug) {
  const found = /^([a-z]+)-updown-(\d+)([mhd])-(\d+)/.exec(String(slug ?? ""));
  if (found === null) return { symbol: "", window: String(slug ?? ""), length_s: null, opens: null };
  const length = Number(found[2]) * LENGTHS[found[3]];
  return { symbol: found[1].toUpperCase(), window: `${found[2]}${found[3]}`, length_s: length, opens: Number(found[4]) * 1000 };
}

/** "BTC 15m 14:15": which market, in the fewest words. */
export function marketWords(slug) {
  const told = market(slug);
  if (told.opens === null) return told.window || NOTHING;
  return `${told.symbol} ${told.window} ${clock(told.opens).slice(0, 5)}`;
}

/** An outcome with its arrow, so that it needs no colour. */
export function side(outcome) {
  if (outcome === "UP") return "▲ Up";
  if (outcome === "DOWN") return "▼ Down";
  return outcome ? String(outcome) : NOTHING;
}
