// Plots: lines over time, and the reliability of forecasts.
//
// What lives here: SVG out of figures. What must not: reading, and what the figures mean. Plots are drawn at the
// width that they have, so that their text is never stretched, and anew when that changes.

import { fill, h, s } from "./dom.js";
import { clock } from "./words.js";

const drawn = new WeakMap();
const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) drawn.get(target)?.();
});

/** Draw into `parent` now and whenever its width changes. */
function keepDrawn(parent, draw) {
  let last = 0;
  const again = () => {
    const width = Math.floor(parent.clientWidth);
    if (width < 40 || width === last) return;
    last = width;
    draw(width);
  };
  if (!drawn.has(parent)) watcher.observe(parent);
  drawn.set(parent, again);
  again();
}

/**
 * Lines over time.
 *
 * @param parent  the element to draw into
 * @param plot    { label, height, lines: [{ name, class, points: [[ms, value]], step }],
 *                  levels: [{ name, class, value }], marks: [{ at, value, class, name }],
 *                  span: [from, to] or null, format, small }
 */
export function timePlot(parent, plot) {
  keepDrawn(parent, (width) => fill(parent, drawTime(width, plot)));
}

function drawTime(width, plot) {
  const { height, format } = plot;
  const edge = plot.small ? { top: 6, right: 6, bottom: 6, left: 6 } : { top: 10, right: 56, bottom: 20, left: 4 };
  const [x, times] = timeScale(plot, edge.left, width - edge.right);
  const [y, values] = valueScale(plot, height - edge.bottom, edge.top);
  const right = width - edge.right;
  const root = s("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": plot.label });
  if (!plot.small) {
    for (const value of values) {
      root.append(s("line", { class: "grid", x1: edge.left, x2: right, y1: y(value), y2: y(value) }),
        s("text", { class: "tick", x: right + 6, y: y(value) + 4 }, format(value)));
    }
    for (const at of times) root.append(s("text", { class: "tick mid", x: x(at), y: height - 4 }, clock(at).slice(0, plot.seconds ? 8 : 5)));
  }
  for (const level of plot.levels ?? []) {
    if (level.value === null) continue;
    root.append(s("line", { class: `level ${level.class}`, x1: edge.left, x2: right, y1: y(level.value), y2: y(level.value) }, s("title", {}, `${level.name} ${format(level.value)}`)));
    if (!plot.small) root.append(s("text", { class: `level-name ${level.class}`, x: edge.left + 4, y: y(level.value) + (level.class === "entry" ? 13 : -4) }, `${level.name} ${format(level.value)}`));
  }
  for (const line of plot.lines) {
    if (line.points.length > 0) root.append(s("path", { class: `line ${line.class}`, d: path(line, x, y) }));
  }
  for (const mark of plot.marks ?? []) {
    root.append(s("circle", { class: `mark ${mark.class}`, cx: x(mark.at), cy: y(mark.value), r: plot.small ? 3 : 4 }, s("title", {}, mark.name)));
  }
  if (!plot.small) pointer(root, plot, { x, y, width, height, right, edge });
  return root;
}

function path(line, x, y) {
  let told = "";
  let before = null;
  for (const [at, value] of line.points) {
    if (value === null) {
      before = null;
      continue;
    }
    const here = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    if (before === null) told += `M${here}`;
    else told += line.step ? `H${x(at).toFixed(1)}V${y(value).toFixed(1)}` : `L${here}`;
    before = value;
  }
  return told;
}

function timeScale(plot, from, to) {
  const all = plot.lines.flatMap((line) => line.points.map((point) => point[0]));
  const first = plot.span?.[0] ?? Math.min(...all);
  const last = Math.max(plot.span?.[1] ?? Math.max(...all), first + 1000);
  const scale = (at) => from + ((at - first) / (last - first)) * (to - from);
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];
  const room = Math.max(2, Math.floor((to - from) / 90));
  const step = 1000 * (steps.find((each) => (last - first) / 1000 / each <= room) ?? 604800);
  plot.seconds = step < 60000;
  const ticks = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    if (scale(at) > from + 16 && scale(at) < to - 8) ticks.push(at);
  }
  return [scale, ticks];
}

function valueScale(plot, bottom, top) {
  const all = plot.lines.flatMap((line) => line.points.map((point) => point[1]));
  for (const level of plot.levels ?? []) all.push(level.value);
  for (const mark of plot.marks ?? []) all.push(mark.value);
  const told = all.filter((value) => value !== null && Number.isFinite(value));
  let low = Math.min(...told);
  let high = Math.max(...told);
  if (!told.length) [low, high] = [0, 1];
  const air = Math.max((high - low) * 0.06, plot.air ?? 0.01);
  [low, high] = [low - air, high + air];
  const scale = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) ticks.push(Number(value.toPrecision(12)));
  return [scale, ticks];
}

/** A line under the pointer, with what each line says there. */
function pointer(root, plot, { x, y, height, right, edge }) {
  const line = s("line", { class: "pointer", y1: edge.top, y2: height - edge.bottom });
  const words = s("text", { class: "pointer-words", y: edge.top + 6 });
  const group = s("g", { class: "away" }, line, words);
  root.append(group);
  root.addEventListener("pointerleave", () => group.setAttribute("class", "away"));
  root.addEventListener("pointermove", (event) => {
    const at = event.clientX - root.getBoundingClientRect().left;
    const near = nearest(plot.lines, x, at);
    if (near === null || at > right) return;
    group.setAttribute("class", "");
    const here = x(near);
    line.setAttribute("x1", here);
    line.setAttribute("x2", here);
    const told = plot.lines.map((each) => [each.name, lastBefore(each.points, near)]).filter((pair) => pair[1] !== null);
    words.textContent = `${clock(near)}  ${told.map(([name, value]) => `${name} ${plot.format(value)}`).join("  ")}`;
    words.setAttribute("text-anchor", here > right / 2 ? "end" : "start");
    words.setAttribute("x", here > right / 2 ? here - 6 : here + 6);
  });
}

function nearest(lines, x, at) {
  let found = null;
  for (const [time] of lines.flatMap((line) => line.points)) {
    if (found === null || Math.abs(x(time) - at) < Math.abs(x(found) - at)) found = time;
  }
  return found;
}

function lastBefore(points, at) {
  let found = null;
  for (const [time, value] of points) if (time <= at && value !== null) found = value;
  return found;
}

/**
 * How often what was forecast came: one dot for each group of forecasts, as large as the group.
 *
 * @param groups  [{ forecast, won, count }], shares from 0 to 1
 */
export function reliabilityPlot(parent, groups, label) {
  keepDrawn(parent, (width) => fill(parent, drawReliability(Math.min(width, 300), groups, label)));
}

function drawReliability(size, groups, label) {
  const edge = { left: 34, right: 16, top: 8, bottom: 34 };
  const x = (value) => edge.left + value * (size - edge.left - edge.right);
  const y = (value) => size - edge.bottom - value * (size - edge.top - edge.bottom);
  const root = s("svg", { class: "chart", width: size, height: size, viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label });
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    root.append(s("line", { class: "grid", x1: x(0), x2: x(1), y1: y(value), y2: y(value) }),
      s("text", { class: "tick end", x: x(0) - 6, y: y(value) + 4 }, value.toFixed(2)),
      s("text", { class: "tick mid", x: x(value), y: y(0) + 15 }, value.toFixed(2)));
  }
  root.append(s("line", { class: "level entry", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    s("text", { class: "tick mid", x: x(0.5), y: size - 4 }, "forecast chance"));
  const most = Math.max(1, ...groups.map((group) => group.count));
  for (const group of groups) {
    const radius = 2.5 + 6 * Math.sqrt(group.count / most);
    root.append(s("circle", { class: "mark fair", cx: x(group.forecast), cy: y(group.won), r: radius },
      s("title", {}, `forecast ${group.forecast.toFixed(2)}, came ${group.won.toFixed(2)}, ${group.count} forecasts`)));
  }
  return root;
}

/** A bar of what is used of a limit, coloured when it is nearly or wholly used; a `plain` one is never coloured. */
export function meter(label, kind = "limited") {
  const bar = h("span", { class: `meter ${kind}`, role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span", {}));
  return {
    node: bar,
    set(share) {
      const part = Math.min(1, Math.max(0, share ?? 0));
      bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
      bar.classList.toggle("near", part >= 0.75 && part < 1);
      bar.classList.toggle("over", part >= 1);
      bar.firstChild.style.width = `${(part * 100).toFixed(1)}%`;
    },
  };
}
