// The page: what comes in, and which section shows it.
//
// What lives here: the state of the page and when things are read. What must not: how they look (the other modules).
// The stream brings status, positions and resting orders; the rest is read when it may have changed, and never
// while the page is hidden.

import { fill, h, say, the } from "./dom.js";
import { reliabilityPlot, timePlot } from "./chart.js";
import { askExit, wireControls } from "./controls.js";
import { showDecisions } from "./decisions.js";
import { openDetail, wireDetail } from "./detail.js";
import { Feed, items, read } from "./feed.js";
import { Log } from "./log.js";
import { showFills, showOrders } from "./orders.js";
import { showHealth, showLimits, showMode, showSwitches, showTiles, showVerdict } from "./overview.js";
import { drawPaths, pastTable, showPositions } from "./positions.js";
import { dollars, moment, number, signed } from "./words.js";

const now = { status: null, health: null, equity: null, positions: [], orders: [], decisions: [] };
const paths = new Map();
const log = new Log();

// --- what comes by the stream ----------------------------------------------------------------

const feed = new Feed({
  snapshot(told) {
    Object.assign(now, { status: told.status, positions: (told.positions ?? []).filter((each) => Number(each.shares) > 0), orders: told.orders ?? [] });
    followPaths();
    showStatus();
  },
  fact: () => due("soon"),
  log(line) {
    log.add(line);
    showLog();
  },
  state(state) {
    if (state === "live") {
      log.clear();
      paths.clear(); // Another daemon may be there, with a world of its own.
      readAt.clear();
      due();
      readLog();
    }
    showVerdict(now.status, now.health, feed);
  },
  tick: () => showVerdict(now.status, now.health, feed),
});

function showStatus() {
  const { status } = now;
  showMode(status);
  showTiles(status);
  showHealth(status, now.health);
  showLimits(status);
  showSwitches(status);
  showVerdict(status, now.health, feed);
  showPositions(now.positions, { paths, open: openDetail, exit: askExit });
  if (now.equity !== null) showEquity(now.equity);
  showOrders(now.orders, (order) => { if (order.position_id) openDetail(order.position_id); });
}

let painting = false;

function showLog() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    log.show();
  });
}

// --- the paths of open positions ---------------------------------------------------------------

function followPaths() {
  const held = new Set(now.positions.map((each) => each.position_id));
  for (const id of paths.keys()) if (!held.has(id)) paths.delete(id);
  for (const each of now.positions) {
    const path = paths.get(each.position_id);
    if (path === undefined) {
      paths.set(each.position_id, []);
      readPath(each.position_id);
    } else if (each.mark !== null && now.status.at && moment(path.at(-1)?.at) < moment(now.status.at) - 2000) {
      path.push({ at: now.status.at, mid: each.mark, fair: each.fair_value ?? null });
    }
  }
}

async function readPath(id) {
  const told = await quietly(() => read(`positions/${encodeURIComponent(id)}`));
  if (told === null || !paths.has(id)) return;
  paths.set(id, told.path ?? []);
  drawPaths(now.positions, paths);
}

// --- what is read --------------------------------------------------------------------------------

/** Reading that may fail while the daemon is away: the connection's state says so already. */
async function quietly(reading) {
  try {
    return await reading();
  } catch {
    return null;
  }
}

const SECTIONS = {
  health: { every: 5000, async read() {
    now.health = await quietly(() => read("health"));
  } },
  decisions: { every: 3000, async read() {
    const only = the("decision-enter").checked ? "&action=ENTER" : "";
    const told = await quietly(() => read(`decisions?limit=60${only}`));
    if (told !== null) showDecisions((now.decisions = items(told)));
  } },
  fills: { every: 10000, soon: true, async read() {
    const told = await quietly(() => read("fills?limit=12"));
    if (told !== null) showFills(items(told));
  } },
  equity: { every: 10000, soon: true, async read() {
    const told = await quietly(() => read("equity"));
    if (told !== null) showEquity((now.equity = told));
  } },
  past: { every: 15000, soon: true, async read() {
    const told = await quietly(() => read("positions?state=ended&limit=60"));
    if (told === null) return;
    const ended = items(told).filter((each) => Number(each.average_price) > 0);
    say(the("past").querySelector("summary"), `Closed and settled positions (${ended.length})`);
    fill(the("past-list"), pastTable(ended.slice(0, 40), openDetail));
  } },
  paths: { every: 10000, async read() {
    for (const id of [...paths.keys()]) await readPath(id);
  } },
  calibration: { every: 60000, async read() {
    const told = await quietly(() => read("calibration"));
    if (told !== null) showCalibration(told);
  } },
};

const readAt = new Map();
const reading = new Set();

async function readSection(name) {
  if (reading.has(name)) return;
  reading.add(name);
  readAt.set(name, performance.now());
  try {
    await SECTIONS[name].read();
  } finally {
    reading.delete(name);
  }
}

function due(when) {
  if (document.hidden || feed.state !== "live") return;
  for (const [name, section] of Object.entries(SECTIONS)) {
    const wait = when === "soon" && section.soon ? 1000 : section.every;
    if (performance.now() - (readAt.get(name) ?? -Infinity) >= wait) readSection(name);
  }
}

async function readLog() {
  const told = await quietly(() => read("logs?limit=400"));
  if (told === null) return;
  for (const line of items(told)) log.add(line);
  showLog();
}

// --- plots -----------------------------------------------------------------------------------------

function showEquity(told) {
  const points = (told.points ?? []).map((point) => [moment(point.at), number(point.equity)]).filter((point) => point[0] !== null && point[1] !== null);
  const [at, equity] = [moment(now.status.at), number(now.status.equity)];
  if (at !== null && equity !== null && (points.length === 0 || at > points.at(-1)[0])) points.push([at, equity]);
  const start = number(told.day_start_equity);
  if (points.length < 2) {
    say(the("equity-words"), "");
    return fill(the("equity"), h("p", { class: "empty quiet" }, "The plot begins with the first bookings."));
  }
  const floor = number(told.loss_floor);
  say(the("equity-words"), [`${dollars(points.at(-1)[1])}`, `${signed(now.status.day_pnl)} today`, floor === null ? "no daily limit" : `entries stop at ${dollars(floor)}`].filter(Boolean).join(" · "));
  timePlot(the("equity"), {
    label: "Equity over time against the day's loss limit",
    height: 190,
    air: 0.5,
    format: (value) => value.toFixed(Math.abs(value) >= 100 ? 0 : 2),
    lines: [{ name: "equity", class: "price", points, step: true }],
    levels: [{ name: "start of the day", class: "entry", value: start }, { name: "day's loss limit", class: "stop", value: floor }],
  });
}

function showCalibration(told) {
  const groups = (told.bins ?? []).filter((bin) => bin.count > 0).map((bin) => ({ forecast: Number(bin.forecast), won: Number(bin.won), count: bin.count }));
  if (groups.length === 0) {
    say(the("calibration-words"), "");
    return fill(the("calibration"), h("p", { class: "empty quiet" }, "No forecast has met its outcome yet: it takes a resolved market."));
  }
  const brier = (value) => (number(value) === null ? "unknown" : Number(value).toFixed(4));
  say(the("calibration-words"), `${told.forecasts} forecasts. Brier score ${brier(told.brier_model)}, the market's ${brier(told.brier_market)}; lower is better, a coin has 0.25. Dots on the line are honest forecasts.`);
  reliabilityPlot(the("calibration"), groups, "How often Up came, by the chance that was forecast");
}

// --- start -------------------------------------------------------------------------------------------

for (const id of ["log-level", "log-filter", "log-follow"]) {
  the(id).addEventListener("input", () => {
    log.touch();
    showLog();
  });
}
for (const id of ["decision-coin", "decision-enter"]) {
  the(id).addEventListener("input", () => {
    showDecisions(now.decisions, true);
    readSection("decisions");
  });
}
wireControls(() => now);
wireDetail();
showDecisions([]);
showLog();
setInterval(() => due(), 1000);
document.addEventListener("visibilitychange", () => due());
feed.start();
