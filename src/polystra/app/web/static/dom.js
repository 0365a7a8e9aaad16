// Elements out of plain values.
//
// What lives here: making and updating nodes. What must not: markup as text. Names of markets, log lines and
// reasons come from outside, so everything becomes a text node; nothing on this page ever parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id; it is an error of this page when there is none. */
export function the(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no element ${id}`);
  return node;
}

/** An HTML element. `on` holds listeners, `class` its classes; null and false attributes are left out. */
export function h(tag, props, ...children) {
  return dress(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return dress(document.createElementNS(SVG, tag), props, children);
}

function dress(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Change the text of a node only when it differs, so that a selection or a screen reader is not disturbed. */
export function say(node, words) {
  const text = String(words ?? "");
  if (node.textContent !== text) node.textContent = text;
}

/** Replace all children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter(Boolean));
}

const rowsOf = new WeakMap();

/**
 * Make the children of `parent` match `items`, keeping the nodes of those that stay (and so focus and scrolling).
 * `build(item)` gives { node, update }; `update(item)` is called only when the item changed. Without items
 * the parent shows `empty` as a sentence.
 */
export function keyed(parent, items, keyOf, build, empty) {
  let rows = rowsOf.get(parent);
  if (rows === undefined) rowsOf.set(parent, (rows = new Map()));
  const kept = new Map(items.map((item) => [String(keyOf(item)), item]));
  for (const [key, row] of rows) {
    if (kept.has(key)) continue;
    row.node.remove();
    rows.delete(key);
  }
  let next = parent.firstChild;
  for (const [key, item] of kept) {
    const told = JSON.stringify(item);
    let row = rows.get(key);
    if (row === undefined) rows.set(key, (row = { ...build(item), told: "" }));
    if (row.told !== told) {
      row.told = told;
      row.update?.(item);
    }
    if (row.node === next) next = next.nextSibling;
    else parent.insertBefore(row.node, next);
  }
  emptyWords(parent, kept.size === 0 ? empty : "");
}

function emptyWords(parent, words) {
  let node = parent.querySelector(":scope > .empty");
  if (!words) {
    node?.remove();
    return;
  }
  if (node === null) parent.append((node = h(parent.tagName === "OL" ? "li" : "p", { class: "empty quiet" })));
  say(node, words);
}

/** A table: `columns` are { name, class, of(row) }, where `of` gives text or nodes. */
export function table(caption, columns, rows, onRow) {
  const body = rows.map((row) =>
    h("tr", { class: onRow ? "link" : null, on: onRow ? { click: () => onRow(row) } : {} },
      columns.map((column) => h("td", { class: column.class ?? null }, column.of(row)))));
  return h("div", { class: "scroll" }, h("table", {},
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.class ?? null }, column.name)))),
    h("tbody", {}, body)));
}
