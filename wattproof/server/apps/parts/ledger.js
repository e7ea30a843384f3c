// The ledger: a period as bars with intervals, by model or zone, and its entries page by page.

const TITLE = "Ledger";
const INLINE_GROUPS = 5;
const BASES = {
  carbon_kg: ["Location", "CO2e, location-based", "estimated_carbon_kg"],
  carbon_market_kg: ["Market", "CO2e, market-based", "carbon_market_kg"],
  energy_kwh: ["Energy", "Energy", "estimated_energy_kwh"],
};
const FILTERS = ["since", "until", "tz", "operation_id", "tag", "method"];

const state = { input: {}, result: null, basis: "carbon_kg", by: "model", days: null, groups: {}, entries: null, problem: {} };

starts(TITLE);
host.on.input = (input) => { state.input = input; };
host.on.result = (result) => {
  const content = contentOf(result, TITLE);
  if (content === null) return;
  Object.assign(state, { result: content, days: null, groups: {}, entries: null, entriesAsked: false, problem: {} });
  if (state.input.group_by === "zone") state.by = "zone";
  draw();
  if (host.can.serverTools && content.request_count > 0) load();
  loadEntries();
};
// Rows go from the server to this view and never to the model.
const rows = (kind, more = {}) => {
  const filters = Object.fromEntries(FILTERS.filter((name) => state.input[name] != null).map((name) => [name, state.input[name]]));
  return host.tool("ledger_rows", { rows: kind, ...filters, ...more });
};

const load = () => Promise.all([loading("days", () => rows("bars").then((found) => { state.days = found; })), loadGroups()]);
const loadGroups = () => {
  const by = state.by;
  return loading("groups", () => rows("groups", { group_by: by }).then((found) => { state.groups[by] = [found]; }));
};

async function loading(part, work) {
  delete state.problem[part];
  try {
    await work();
  } catch (problem) {
    state.problem[part] = problem.message;
  }
  draw();
}

const isLarge = () => host.context.displayMode === "fullscreen";
const units = () => (state.basis === "energy_kwh" ? ENERGY : MASS);
const figure = (row, name = state.basis) => figureOf(row?.[name], 1000);

function draw() {
  const kept = isLarge() ? entries() : null;
  show(heading(TITLE, about()), state.result.request_count ? [total(), days(), groups(), kept, foot(), actions()] : nothing());
}

function nothing() {
  return el("p", {}, "No request was recorded in this period, so there is nothing to draw.");
}

function about() {
  const { since, until, tz } = isObject(state.result.period) ? state.result.period : {};
  const day = (text) => cut(text, 20).replace(/T00:00:00Z$/, "").replace(/:00Z$/, "Z").replace("T", " ");
  const from = since ? ["from ", el("span", { class: "fixed" }, day(since)), " "] : [];
  const to = until ? ["until ", el("span", { class: "fixed" }, day(until)), " "] : [];
  const only = ["operation_id", "tag", "method"].filter((name) => state.input[name] != null).map((name) => `, only ${spaced(name)} ${cut(state.input[name], 40)}`);
  const tokens = isNumber(state.result.token_count) ? `, ${count(state.result.token_count)} tokens` : "";
  return [`${plural(state.result.request_count, "request")}${tokens}, `, since || until ? [from, to] : "all time ", `(${cut(tz, 40) || "UTC"})`, only];
}

function choices(name, legend, options, chosen, chose) {
  return el("fieldset", {}, el("legend", { class: "unseen" }, legend), el("span", { class: "choices" },
    Object.entries(options).map(([value, label]) => {
      const input = el("input", { type: "radio", name, value, "data-key": `${name}-${value}` });
      input.checked = value === chosen;
      input.addEventListener("change", () => chose(value));
      return el("label", {}, input, label);
    })));
}

function total() {
  const [, name, field] = BASES[state.basis];
  const found = figureOf(state.result[field], 1000);
  const why = cut(state.result.reasons?.[field], 160);
  const options = Object.fromEntries(Object.entries(BASES).map(([key, [label]]) => [key, label]));
  const chose = (value) => { state.basis = value; draw(); say(`${BASES[value][1]}: ${figureOf(state.result[BASES[value][2]]) ? "" : "not known"}`); };
  const told = found === null ? el("span", {}, "not known") : el("strong", {}, amountText({ median: found.median, low: null, high: null }, units()));
  const interval = found === null ? null : ranged(found) ? `90 % interval ${amountText(found, units()).replace(/^.*\((.*)\)$/, "$1")} ${unitOf(found.median, units())[0]}` : "no interval is published";
  return el("section", { class: "block", "aria-label": name }, choices("basis", "Show", options, state.basis, chose),
    el("p", { class: "total" }, told, el("span", { class: "quiet" }, [name, interval].filter(Boolean).join(", "))),
    why ? el("p", { class: "quiet" }, `${found === null ? "Null: " : ""}${found === null ? why : why.replace(/^./, (first) => first.toUpperCase())}.`) : null);
}

function barsShown() {
  if (state.days) return state.days;
  if (!Array.isArray(state.result.bars)) return null;
  const bars = state.result.bars.map((bar) => ({ ...bar, carbon_kg: bar.estimated_carbon_kg, energy_kwh: bar.estimated_energy_kwh, carbon_market_kg: undefined }));
  return { bars, bar_unit: state.result.bar_unit };
}

function days() {
  const found = barsShown();
  if (found === null) {
    const why = state.problem.days ? `The days could not be read: ${cut(state.problem.days, 200)}`
      : host.can.serverTools ? "Reading the days…" : "This result holds no days, and this host lets the view ask for none; ask for detail=plot.";
    return el("p", { class: "quiet" }, why);
  }
  const bars = (Array.isArray(found.bars) ? found.bars : []).filter(isObject).slice(0, 400);
  const unit = cut(found.bar_unit, 10) || "day";
  if (!bars.some((bar) => figure(bar))) return el("p", { class: "quiet" }, `${BASES[state.basis][1]} is known for no ${unit} here, so no bars are drawn.`);
  return el("section", { class: "block", "aria-label": `Per ${unit}` }, el("h2", {}, `Per ${unit}, whiskers: 90 % interval of each`), chart(bars), dayTable(bars, unit));
}

function chart(bars) {
  const [width, height, left, bottom] = [Math.max(200, innerWidthOf(byId("card"))), 150, 52, 20];
  const known = bars.map((bar) => figure(bar)).filter(Boolean);
  const top = Math.max(...known.map((one) => one.high ?? one.median), ...known.map((one) => one.median), 0) || 1;
  const low = Math.min(0, ...known.map((one) => one.median));
  const y = (amount) => 6 + ((top - amount) / (top - low)) * (height - bottom - 6);
  const step = (width - left) / bars.length;
  const wide = Math.max(1, Math.min(28, step * 0.68));
  const [unit, by] = unitOf(top, units());
  const gap = niceGap(top * by) / by;
  const lines = Array.from({ length: Math.floor(top / gap) + 1 }, (_, place) => place * gap).flatMap((amount) => [
    svg("line", { class: amount ? "grid" : "base", x1: left, x2: width, y1: y(amount), y2: y(amount) }),
    svg("text", { x: left - 6, y: y(amount) + 4, "text-anchor": "end" }, amount ? `${Number((amount * by).toPrecision(3))} ${unit}` : "0")]);
  const shapes = bars.flatMap((bar, place) => drawnBar(bar, left + step * (place + 0.5), wide, y));
  const marks = [...new Set([0, Math.floor((bars.length - 1) / 2), bars.length - 1])].map((place) =>
    svg("text", { x: left + step * (place + 0.5), y: height - 4, "text-anchor": bars.length === 1 ? "middle" : place === 0 ? "start" : place === bars.length - 1 ? "end" : "middle" }, cut(bars[place].start, 16)));
  return svg("svg", { class: "days", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${BASES[state.basis][1]} in ${unit}; the table holds the same` },
    lines, shapes, marks);
}

// The distance of two lines: 1, 2 or 5 times a power of ten, so that there are two to five of them.
function niceGap(top) {
  const power = 10 ** Math.floor(Math.log10(top / 2));
  return [5, 2, 1].map((times) => times * power).find((gap) => gap <= top / 2) ?? top;
}

function innerWidthOf(card) {
  const { paddingLeft, paddingRight } = getComputedStyle(card);
  return card.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}

function drawnBar(bar, x, wide, y) {
  const found = figure(bar);
  if (found === null) return bar.request_count ? [svg("text", { class: "lost", x, y: y(0) - 4 }, "?")] : [];
  const edge = y(found.median);
  const drawn = [svg("rect", { class: "bar", x: x - wide / 2, width: wide, y: Math.min(edge, y(0)), height: Math.max(0.5, Math.abs(y(0) - edge)) })];
  if (ranged(found)) {
    const [high, low, cap] = [y(found.high), y(Math.max(found.low, 0)), Math.min(4, wide / 3)];
    drawn.push(svg("path", { class: "whisker", fill: "none", d: `M${x} ${high}V${low}M${x - cap} ${high}h${2 * cap}M${x - cap} ${low}h${2 * cap}` }));
  }
  return drawn;
}

function dayTable(bars, unit) {
  const table = el("table", {}, el("caption", { class: "unseen" }, `${BASES[state.basis][1]} per ${unit}`),
    el("thead", {}, el("tr", {}, [unit, "requests", BASES[state.basis][1]].map((name, place) => el("th", { scope: "col", class: place ? "n" : null }, name)))),
    el("tbody", {}, bars.filter((bar) => bar.request_count).map((bar) => el("tr", {}, el("th", { scope: "row" }, cut(bar.start, 20)),
      el("td", { class: "n" }, count(bar.request_count)), el("td", { class: "n" }, amountOf(bar))))));
  return el("div", { class: "unseen" }, table);
}

const amountOf = (row, name) => {
  const found = figure(row, name);
  return found === null ? "not known" : amountText(found, name === "energy_kwh" ? ENERGY : name ? MASS : units());
};

function groups() {
  const chose = (value) => { state.by = value; draw(); if (!state.groups[value] && host.can.serverTools) loadGroups(); };
  const head = el("div", { class: "line" }, el("h2", {}, "Largest energy first"), choices("by", "Group by", { model: "Model", zone: "Zone" }, state.by, chose));
  return el("section", { class: "block", "aria-label": "Groups" }, head, groupRows());
}

function groupsShown() {
  const pages = state.groups[state.by];
  if (pages) return { all: pages.flatMap((page) => page.groups), number: pages[0].group_count, next: pages.at(-1).next_cursor };
  const held = (Array.isArray(state.result.groups) ? state.result.groups : []).filter((row) => isObject(row) && state.by in row);
  if (!held.length) return null;
  const all = held.map((row) => ({ key: row[state.by], request_count: row.request_count, carbon_kg: row.estimated_carbon_kg, energy_kwh: row.estimated_energy_kwh }));
  return { all, number: state.result.next_cursor ? null : all.length, next: null };
}

function groupRows() {
  const found = groupsShown();
  if (found === null) {
    const why = state.problem.groups ? `They could not be read: ${cut(state.problem.groups, 200)}` : host.can.serverTools ? "Reading…" : `This result holds no groups; ask for group_by=${state.by}.`;
    return el("p", { class: "quiet" }, why);
  }
  const list = isLarge() ? found.all : found.all.slice(0, INLINE_GROUPS);
  const top = Math.max(...found.all.map((row) => figure(row)?.median ?? 0)) || 1;
  const drawn = el("ul", { class: "groups" }, list.map((row) => {
    const one = figure(row);
    const bar = svg("svg", { "aria-hidden": "true" }, one ? svg("rect", { class: "bar", x: 0.5, y: 1, height: 10, width: `${(99 * Math.max(0, one.median)) / top}%` }) : null);
    return el("li", {}, el("span", {}, cut(row.key, 60) || "not stated"), bar, el("span", { class: "amount" }, amountOf(row)));
  }));
  const hidden = found.number === null ? null : found.number - list.length;
  const more = hidden ? el("p", { class: "quiet" }, `${count(hidden)} more.`) : null;
  const load = isLarge() && found.next ? button(`Next ${Math.min(20, hidden)}`, pressedMoreGroups) : null;
  load?.setAttribute("data-key", "groups");
  return [drawn, more, load];
}

function pressedMoreGroups({ currentTarget }) {
  const [by, pages] = [state.by, state.groups[state.by]];
  during(currentTarget, "Reading…", async () => {
    const page = await rows("groups", { group_by: by, cursor: pages.at(-1).next_cursor });
    pages.push(page);
    draw();
    return `${page.groups.length} more.`;
  });
}

function entries() {
  const found = state.entries;
  if (found === null) {
    if (!host.can.serverTools) return el("p", { class: "quiet" }, "This host lets the view ask for no entries.");
    return el("p", { class: "quiet" }, state.problem.entries ? `The entries could not be read: ${cut(state.problem.entries, 200)}` : "Reading the entries…");
  }
  const page = found.pages[found.place];
  const names = ["when", "model", "zone", "tokens", "energy", "CO2e, location", "receipt"];
  const head = el("tr", {}, names.map((name) => el("th", { scope: "col", class: /tokens|energy|CO2e/.test(name) ? "n" : null }, name)));
  const cell = (text, kind) => el("td", { class: kind }, text);
  const body = page.entries.map((entry) => el("tr", {}, cell(moment(entry.occurred_at), "fixed"), cell([cut(entry.model, 60), entry.kind === "inference" ? "" : el("small", {}, spaced(entry.kind))]),
    cell(spaced(cut(entry.zone, 40)).replace(/^unknown:(.*)$/, "unknown ($1)")), cell(count(entry.token_count), "n"), cell(baseAmount(entry.energy_wh, ENERGY), "n"), cell(baseAmount(entry.carbon_gco2e, MASS), "n"), cell(cut(entry.receipt_id, 40), "mono fixed")));
  const before = found.place > 0 ? button("Previous", () => turn(-1)) : null;
  const after = page.next_cursor || found.place + 1 < found.pages.length ? button("Next", ({ currentTarget }) => turn(1, currentTarget)) : null;
  before?.setAttribute("data-key", "before");
  after?.setAttribute("data-key", "after");
  return el("section", { class: "block", "aria-label": "Entries" }, el("h2", {}, `Entries, oldest first, page ${found.place + 1}`),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Entries" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))),
    page.entries.length ? null : el("p", { class: "quiet" }, "None on this page."), el("div", { class: "actions" }, before, after));
}

const baseAmount = (amount, kind) => {
  const found = figureOf(amount);
  return found === null ? "not known" : amountText(found, kind);
};

// The first page, once the card is large: by the button here, or by one of the host's.
function loadEntries() {
  if (!isLarge() || state.entriesAsked || !host.can.serverTools || !state.result.request_count) return;
  state.entriesAsked = true;
  loading("entries", () => rows("entries").then((page) => { state.entries = { pages: [page], place: 0 }; }));
}

function turn(by, pressed) {
  const { pages, place } = state.entries;
  const move = () => { state.entries.place += by; draw(); say(`Page ${state.entries.place + 1}`); };
  if (pages[place + by]) return move();
  return during(pressed, "Reading…", async () => {
    pages.push(await rows("entries", { cursor: pages.at(-1).next_cursor }));
    move();
    return `Page ${state.entries.place + 1}`;
  });
}

function foot() {
  const known = state.result.zone_known_bps;
  const zones = isNumber(known) ? `Zone known for ${Math.round(known / 100)} % of requests. ` : "";
  const open = state.result.unsettled_count ? `${count(state.result.unsettled_count)} begun and not settled. ` : "";
  const method = cut(state.result.provenance?.methodology, 80);
  return el("p", { class: "quiet" }, zones, open, method && method !== "none" ? ["Estimates by ", el("span", { class: "mono" }, method === "multi" ? "several methods" : method), "."] : "");
}

function actions() {
  const modes = Array.isArray(host.context.availableDisplayModes) ? host.context.availableDisplayModes : [];
  const problem = el("p", { id: "problem" });
  if (!modes.includes("fullscreen")) return problem;
  const toggle = button(isLarge() ? "Back to the card" : "All entries", pressedMode, "first");
  toggle.setAttribute("data-key", "mode");
  return [el("div", { class: "actions" }, toggle), problem];
}

function pressedMode({ currentTarget }) {
  const mode = isLarge() ? "inline" : "fullscreen";
  during(currentTarget, "…", async () => {
    const answer = await host.ask("ui/request-display-mode", { mode });
    takeContext({ displayMode: answer?.mode });
    return "";
  });
}

host.on.context = () => {
  if (!state.result) return;
  draw();
  loadEntries();
};

// The chart is as wide as the card, so its words keep their size.
let drawnWidth = document.body.clientWidth;
addEventListener("resize", () => {
  if (state.result && document.body.clientWidth !== drawnWidth) draw();
  drawnWidth = document.body.clientWidth;
});

connect("ledger", ["inline", "fullscreen"]);
