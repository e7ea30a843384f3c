// A workflow: what it came to, which step dominates, what its budget leaves.

const TITLE = "Workflow";
const SHOWN_INLINE = 4;
const SHOWN_LARGE = 100;
const UNITS = { energy_wh: "Wh", carbon_gco2e: "g CO2e", tokens: "tokens", cost_usd: "USD" };
const COLOURS = ["var(--mark)", "light-dark(#8a5a16, #e0b26a)", "light-dark(#2c7269, #7cc7bc)", "light-dark(#7a4a8c, #c7a0d6)"];
const REST = "light-dark(#676f78, #8a939d)";

let shown = null;

starts(TITLE);
host.on.result = (result) => {
  const content = contentOf(result, TITLE);
  if (content === null) return;
  shown = content;
  draw();
};
host.on.context = () => { if (shown) draw(); };

function draw() {
  const name = cut(shown.operation_id, 60);
  show(heading(name ? `${TITLE} ${name}` : TITLE, about(), [spaced(shown.status) || "state unknown"]),
    figures(), steps(), budget(), foot(), actions());
}

function about() {
  const parts = [plural(shown.step_count, "step")];
  if (isNumber(shown.token_count)) parts.push(`${count(shown.token_count)} tokens`);
  if (shown.retry_count) parts.push(plural(shown.retry_count, "retry").replace("retrys", "retries"));
  if (shown.unsettled_count) parts.push(`${count(shown.unsettled_count)} begun and not settled`);
  if (shown.late_count) parts.push(`${count(shown.late_count)} after the end`);
  return parts.join(", ");
}

function figures() {
  const why = isObject(shown.reasons) ? shown.reasons : {};
  return measures([["Energy", figureOf(shown.energy_wh), ENERGY, cut(why.energy_wh, 120)],
    ["CO2e", figureOf(shown.carbon_gco2e), MASS, cut(why.carbon_gco2e, 120)]]);
}

// Steps with their shares of the energy, the largest first; then all others together, as far as the result tells.
function parts() {
  const known = (Array.isArray(shown.steps) ? shown.steps : []).filter((step) => isObject(step) && isNumber(step.share) && step.share >= 0);
  known.sort((one, other) => other.share - one.share);
  const drawn = known.slice(0, host.context.displayMode === "fullscreen" ? SHOWN_LARGE : SHOWN_INLINE);
  const rest = Math.max(0, 1 - drawn.reduce((sum, step) => sum + step.share, 0));
  return { drawn, rest: shown.step_count > drawn.length ? rest : 0 };
}

function steps() {
  const { drawn, rest } = parts();
  if (!drawn.length) return shown.step_count ? el("p", { class: "quiet" }, "No step has a known share of the energy, so no bar is drawn.") : null;
  const dominant = shown.step_count > 1 ? `${cut(drawn[0].step_id, 60)} is ${percent(drawn[0].share)} of the ${shown.reasons?.energy_wh ? "known energy" : "energy"}` : "Energy by step";
  return el("section", { class: "block", "aria-label": "Energy by step" }, el("h2", {}, dominant), stack(drawn, rest), table(drawn, rest));
}

function stack(drawn, rest) {
  const whole = drawn.reduce((sum, step) => sum + step.share, 0) + rest || 1;
  const widths = [...drawn.map((step) => step.share), ...(rest >= 0.005 ? [rest] : [])].map((share) => (100 * share) / whole);
  let x = 0;
  const shapes = widths.flatMap((width, place) => {
    const last = rest && place === drawn.length;
    const at = x;
    x += width;
    const colour = last ? REST : COLOURS[place % COLOURS.length];
    const bar = svg("rect", { class: "part", x: `${at}%`, width: `${width}%`, y: 0, height: 28, stroke: "var(--paper)", "stroke-width": 2, style: { fill: colour } });
    const sign = width > 6 ? svg("text", { x: `${at + width / 2}%`, y: 14 }, last ? "+" : String(place + 1)) : null;
    return sign ? [bar, sign] : [bar];
  });
  return svg("svg", { class: "stack", "aria-hidden": "true" }, shapes);
}

// The same as the bar, for everybody: the bar itself is hidden from screen readers.
function table(drawn, rest) {
  const row = (sign, colour, name, more, energy, share) => el("tr", {},
    el("td", { class: "key" }, el("span", { "aria-hidden": "true", style: { background: colour } }, sign)),
    el("th", { scope: "row" }, name, more ? el("small", {}, more) : null), el("td", {}, energy), el("td", {}, share));
  const rows = drawn.map((step, place) => row(String(place + 1), COLOURS[place % COLOURS.length], cut(step.step_id, 60),
    [step.model, step.zone].map((part) => cut(part, 50)).filter(Boolean).join(", "),
    isNumber(step.energy_wh) ? amountText({ median: step.energy_wh, low: null, high: null }, ENERGY) : "not known", percent(step.share)));
  const others = shown.step_count - drawn.length;
  if (others > 0) rows.push(row("+", REST, plural(others, "other step"), "", "", rest ? percent(rest) : ""));
  return el("table", { class: "steps" }, el("caption", { class: "unseen" }, "Energy by step"),
    el("thead", { class: "unseen" }, el("tr", {}, ["", "step", "energy", "share"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows));
}

const percent = (share) => (share > 0 && share < 0.005 ? "under 1 %" : `${Math.round(100 * share)} %`);

function budget() {
  const left = shown.budget;
  if (!isObject(left) || !isNumber(left.limit) || !isNumber(left.spent)) return null;
  const unit = cut(UNITS[left.unit] ?? left.unit, 20);
  const reserved = isNumber(left.reserved) ? left.reserved : 0;
  const plain = (amount) => (Number.isInteger(amount) && Math.abs(amount) >= 10 ? count(amount) : String(Number(amount.toPrecision(3))));
  const bound = left.counted === "high" ? " (the high bounds count)" : "";
  const remaining = isNumber(left.remaining) ? left.remaining : left.limit - left.spent - reserved;
  const told = remaining < 0
    ? el("span", { class: "badword" }, `Over by ${plain(-remaining)} ${unit}.`)
    : `${plain(remaining)} ${unit} left.`;
  const used = `${plain(left.spent)} of ${plain(left.limit)} ${unit} used${bound}${reserved ? `, ${plain(reserved)} reserved` : ""}. `;
  const unknown = left.unknown_count ? ` ${plural(left.unknown_count, "step")} of unknown amount not counted.` : "";
  return el("section", { class: "block", "aria-label": "Budget" }, el("h2", {}, `Budget of the ${spaced(left.of) || "workflow"}`),
    budgetBar(left.limit, left.spent, reserved), el("p", { class: "quiet" }, used, told, unknown));
}

function budgetBar(limit, spent, reserved) {
  const whole = Math.max(limit, spent + reserved) || 1;
  const at = (amount) => `${(100 * amount) / whole}%`;
  const within = Math.min(spent, limit);
  const rect = (kind, from, amount) => (amount > 0 ? svg("rect", { class: kind, x: at(from), width: at(amount), y: 3, height: 10 }) : null);
  return svg("svg", { class: "budget", "aria-hidden": "true" }, svg("rect", { class: "room", x: 0, width: "100%", y: 3, height: 10 }),
    rect("spent", 0, within), rect("over", limit, spent - limit), rect("reserved", spent, reserved),
    svg("line", { class: "limit", x1: at(limit), x2: at(limit), y1: 0, y2: 16 }));
}

function foot() {
  const method = cut(shown.provenance?.methodology, 80);
  const zones = isNumber(shown.zone_known_count) && shown.step_count ? `Zone known for ${count(shown.zone_known_count)} of ${count(shown.step_count)} steps. ` : "";
  const told = isNumber(shown.usage_sources?.caller) ? `Usage of ${count(shown.usage_sources.caller)} stated by the caller. ` : "";
  const receipt = shown.receipt_id ? `Receipt ${cut(shown.receipt_id, 40)}. ` : shown.status === "open" ? "No receipt until it ends. " : "";
  return el("p", { class: "quiet" }, zones, told, receipt, method && method !== "none" ? ["Estimate by ", el("span", { class: "mono" }, method), "."] : "");
}

function actions() {
  const refresh = host.can.serverTools && shown.operation_id ? button("Refresh", pressedRefresh, "first") : null;
  refresh?.setAttribute("data-key", "refresh");
  const modes = Array.isArray(host.context.availableDisplayModes) ? host.context.availableDisplayModes : [];
  const large = host.context.displayMode === "fullscreen";
  const more = modes.includes("fullscreen") && (large || shown.step_count > SHOWN_INLINE)
    ? button(large ? "Back to the card" : "All steps", ({ currentTarget }) => pressedMode(currentTarget, large ? "inline" : "fullscreen")) : null;
  more?.setAttribute("data-key", "mode");
  const problem = el("p", { id: "problem" });
  return refresh || more ? [el("div", { class: "actions" }, refresh, more), problem] : problem;
}

async function reload() {
  shown = await host.tool("track_operation", { action: "status", operation_id: shown.operation_id, detail: "full" });
  draw();
}

function pressedRefresh({ currentTarget }) {
  during(currentTarget, "Refreshing…", async () => {
    await reload();
    return `Refreshed: ${about()}.`;
  });
}

function pressedMode(pressed, mode) {
  during(pressed, "…", async () => {
    const answer = await host.ask("ui/request-display-mode", { mode });
    takeContext({ displayMode: answer?.mode });
    if (answer?.mode === "fullscreen" && host.can.serverTools && shown.steps.length < shown.step_count) await reload();
    return "";
  });
}

connect("operation", ["inline", "fullscreen"]);
