// What the views share: elements made of text, numbers in words, an interval as a bar.

// A tool of the server that this view came from, called through the host. Its structured content.
host.tool = async (name, given) => {
  const result = await host.ask("tools/call", { name, arguments: given });
  if (result?.isError || !isObject(result?.structuredContent)) throw new Error(words(result) || "There was no result.");
  return result.structuredContent;
};

// The text of a result, without the SDK's prefix.
function words(result) {
  const blocks = Array.isArray(result?.content) ? result.content : [];
  const said = blocks.map((block) => (typeof block?.text === "string" ? block.text : "")).join("\n");
  return said.replace(/^Error executing tool \w+: /, "").slice(0, 600);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const byId = (id) => document.getElementById(id);

// An element. Text is only ever text: nothing that came from outside is read as markup.
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (name === "onclick") element.addEventListener("click", value);
    else if (name === "style") Object.entries(value).forEach(([key, set]) => element.style.setProperty(key, set));
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// A text from outside, cut so that it cannot flood the card.
function cut(value, length = 80) {
  const text = typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

const spaced = (code) => cut(code, 200).replaceAll("_", " ");
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => (isNumber(value) ? value.toLocaleString("en-US") : "unknown");
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

function moment(text) {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? `${text.slice(0, 10)} ${text.slice(11, 16)}Z` : "at an unknown time";
}

// {median, low, high}, or null where it is no figure. low and high are null together.
function figureOf(value, by = 1) {
  if (!isObject(value) || !isNumber(value.median)) return null;
  const ranged = isNumber(value.low) && isNumber(value.high);
  return { median: value.median * by, low: ranged ? value.low * by : null, high: ranged ? value.high * by : null };
}

const ENERGY = [["kWh", 1e-3, 1e3], ["Wh", 1, 1e-2], ["mWh", 1e3, 1e-5], ["µWh", 1e6, 0]];
const MASS = [["kg", 1e-3, 1e3], ["g", 1, 1e-1], ["mg", 1e3, 1e-4], ["µg", 1e6, 0]];

function unitOf(amount, units) {
  return units.find(([, by, smallest]) => Math.abs(amount) >= smallest || (amount === 0 && by === 1)) ?? units.at(-1);
}

// Two significant figures, thousands separated, never an exponent.
function significant(number) {
  if (number === 0) return "0";
  const rounded = Number(number.toPrecision(2));
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(rounded))));
  return rounded.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

const ranged = (figure) => figure.low !== null && figure.low !== figure.high;

// "1.8 Wh (0.67–4.7)", as the text of the result says it.
function amountText(figure, units) {
  const [unit, by] = unitOf(figure.median, units);
  const interval = ranged(figure) ? ` (${significant(figure.low * by)}–${significant(figure.high * by)})` : "";
  return `${significant(figure.median * by)} ${unit}${interval}`;
}

// Figures under one another. Each is [name, figure, units, why]: why there is none, or what it does not cover.
function measures(rows, interval) {
  const covers = [...new Set(rows.filter(([, figure, , why]) => figure && why).map(([, , , why]) => why))];
  const told = covers.length ? el("p", { class: "quiet" }, covers.map((why) => `${why.replace(/^./, (first) => first.toUpperCase())}.`).join(" ")) : null;
  return el("div", { class: "measures" }, el("dl", {}, rows.map((row) => measure(...row, interval))), told);
}

// One figure: name, value, and its interval from 0 on a line.
function measure(name, figure, units, why, interval = "90 % interval") {
  if (figure === null)
    return el("div", { class: "measure" }, el("dt", {}, name), el("dd", { class: "none" }, "not known"),
      el("dd", { class: "range quiet" }, why || "no reason was given"));
  const [unit, by] = unitOf(figure.median, units);
  const value = el("dd", { class: "value" }, significant(figure.median * by), " ", el("small", {}, unit));
  const range = ranged(figure)
    ? intervalBar(figure, by, unit, `${name}: ${amountText(figure, units)}, ${interval}`)
    : el("dd", { class: "range quiet" }, "no interval is published");
  return el("div", { class: "measure" }, el("dt", {}, name), value, range);
}

function intervalBar(figure, by, unit, label) {
  const top = Math.max(figure.high, figure.median);
  const bottom = Math.min(0, figure.low);
  const at = (amount) => `${(100 * (amount - bottom)) / (top - bottom || 1)}%`;
  const drawn = svg("svg", { class: "interval", role: "img", "aria-label": label, width: "100%", height: "16" },
    svg("line", { class: "axis", x1: "0", x2: "100%", y1: 8, y2: 8 }),
    svg("rect", { class: "span", x: at(figure.low), width: `${parseFloat(at(figure.high)) - parseFloat(at(figure.low))}%`, y: 4, height: 8, rx: 4 }),
    svg("circle", { class: "point", cx: at(figure.median), cy: 8, r: 5 }));
  const end = (amount) => significant(amount * by);
  return el("dd", { class: "range" }, el("span", { class: "end", "aria-hidden": "true" }, end(figure.low)), drawn,
    el("span", { class: "end", "aria-hidden": "true" }, `${end(figure.high)} ${unit}`));
}

function button(text, onclick, kind = "second") {
  return el("button", { type: "button", class: kind, onclick }, text);
}

// Runs `work` once at a time; says on the button that it runs, and in words what came of it.
async function during(pressed, busy, work) {
  if (pressed.getAttribute("aria-disabled") === "true") return;
  const label = pressed.textContent;
  pressed.setAttribute("aria-disabled", "true");
  pressed.textContent = busy;
  let told;
  try {
    told = await work();
  } catch (problem) {
    told = problem.message;
    byId("problem")?.replaceChildren(cut(told, 300));
  }
  if (pressed.isConnected) {
    pressed.textContent = label;
    pressed.removeAttribute("aria-disabled");
  }
  say(told);
}

function say(text) {
  byId("said").textContent = cut(text ?? "", 300);
}

// Draws the card anew, and leaves the focus on the control that had it.
function show(...children) {
  const kept = document.activeElement?.dataset?.key;
  byId("card").replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  byId("card").removeAttribute("aria-busy");
  if (kept) document.querySelector(`[data-key="${CSS.escape(kept)}"]`)?.focus();
}

function heading(title, about, badge) {
  return el("header", {}, el("h1", {}, title), badge ? el("span", { class: `badge ${badge[1] ?? ""}` }, badge[0]) : null,
    about ? el("p", { class: "quiet" }, about) : null);
}

// What there is to say where no card can be drawn.
function notice(title, text) {
  show(heading(title), el("p", { class: "said" }, cut(text, 600)));
}

function starts(title) {
  host.on.cancelled = (reason) => notice(title, `The call was cancelled${reason ? ` (${cut(reason)})` : ""}, so there is no result.`);
}

// The structured content of a result; null after saying what came instead.
function contentOf(result, title) {
  if (result.isError) notice(`${title}: the call failed`, words(result) || "No reason was given.");
  else if (isObject(result.structuredContent)) return result.structuredContent;
  else notice(title, words(result) || "The result holds no data.");
  return null;
}
