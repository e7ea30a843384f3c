// A receipt: what it states, and which of its checks hold.

const TITLE = "Receipt";
const NAMES = {
  signature: ["Signature", "valid"],
  arithmetic: ["Arithmetic", "recomputed"],
  inclusion: ["In the log", "by its own root"],
  plausibility: ["Plausible", "within bounds"],
  freshness: ["Fresh", "recent"],
};
const SHAPES = {
  pass: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z", "m4.8 8.2 2.2 2.2 4.2-4.6"],
  fail: ["M5 1h6l4 4v6l-4 4H5l-4-4V5Z", "m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2"],
  unknown: [null, "M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.6-.9 1.2m0 2v.1"],
};
const KEYS = { local: "key of this installation", given: "key as the caller gave it" };
const EVIDENCE = { annual: "annual average", mixture: "mixture of zones", forecast: "forecast", measured: "measured by the grid", estimated: "estimated by the source" };

const state = { input: {}, run: null, verdict: null, checkedAt: null };

starts(TITLE);
host.on.input = (input) => { state.input = input; };
host.on.result = (result) => {
  const content = contentOf(result, TITLE);
  if (content === null) return;
  const isRun = !isObject(content.verdicts);
  Object.assign(state, { run: isRun ? content : null, verdict: isRun ? null : content });
  draw();
  if (!isRun && isBrief() && subject() !== null && host.can.serverTools)
    check().then(draw, (problem) => { state.problem = problem.message; draw(); });
};
host.on.context = () => { if (state.run || state.verdict) draw(); };

// What to check: the receipt as it was given, else the id in the result.
function subject() {
  const given = state.verdict ? state.input.receipt : undefined;
  return given ?? state.verdict?.receipt_id ?? state.run?.receipt_id ?? null;
}

// Whether the result left something out of the model's context: the statement with the figures, or why a check fails.
function isBrief() {
  const untold = Object.values(state.verdict.verdicts).some((found) => found?.verdict === "fail" && !found.message);
  return untold || (state.verdict.subject === "receipt" && !state.verdict.statement);
}

async function check() {
  state.verdict = await host.tool("verify_receipt", { receipt: subject(), detail: "full" });
  state.checkedAt = new Date().toISOString().slice(11, 19);
  state.problem = null;
}

function draw() {
  const shown = state.verdict ?? state.run;
  const id = cut(shown.receipt_id, 40);
  const vendor = state.verdict && state.verdict.subject !== "receipt";
  const title = vendor ? `Block of ${cut(state.verdict.subject, 60)}` : id ? `Receipt ${id}` : TITLE;
  show(heading(title, about(), badge()), ticks(), reasons(), figures(vendor), facts(), foot(vendor), actions(vendor));
}

function about() {
  const said = state.verdict?.statement ?? {};
  const model = said.model ?? state.run?.model;
  const provider = said.provider ?? state.run?.provider_id;
  return [model, provider && `by ${cut(provider)}`, said.issued_at && `issued ${moment(said.issued_at)}`].map((part) => cut(part)).filter(Boolean).join(", ");
}

function badge() {
  const shown = state.verdict ?? state.run;
  if (shown.synthetic === true) return ["simulated, not a real run", "bad"];
  if (state.run && !state.verdict && state.run.status !== "completed") return [spaced(state.run.status)];
  return null;
}

function ticks() {
  const verdicts = state.verdict?.verdicts ?? {};
  return el("ul", { class: "ticks", "aria-label": "Checks" }, Object.entries(NAMES).map(([name, [label, holds]], place) => {
    const found = isObject(verdicts[name]) ? verdicts[name] : {};
    const verdict = found.verdict === "pass" || found.verdict === "fail" ? found.verdict : "unknown";
    const witnessed = name === "inclusion" && state.verdict?.log_evidence === "witnessed";
    const said = verdict === "pass" ? (witnessed ? "witnessed" : holds) : verdict === "fail" ? "FAILS" : state.verdict ? "not known" : "not checked";
    return el("li", { class: `${verdict} ${place > 2 && verdict !== "fail" ? "lesser" : ""}`, "data-check": name },
      icon(verdict), el("span", {}, el("b", {}, label), el("i", {}, said)));
  }));
}

function icon(verdict) {
  const [outline, sign] = SHAPES[verdict];
  const around = outline ? svg("path", { d: outline, fill: "currentColor" })
    : svg("circle", { cx: 8, cy: 8, r: 6.5, fill: "none", stroke: "currentColor", "stroke-dasharray": "2.4 1.7" });
  const line = { d: sign, fill: "none", stroke: outline ? "var(--paper)" : "currentColor", "stroke-width": 1.8, "stroke-linecap": "round" };
  return svg("svg", { width: 18, height: 18, viewBox: "0 0 16 16", "aria-hidden": "true" }, around, svg("path", line));
}

// Why what fails does, whole; why what is not known is not, in a few words.
function reasons() {
  const verdicts = Object.entries(state.verdict?.verdicts ?? {}).filter(([name, found]) => name in NAMES && isObject(found));
  const failed = verdicts.filter(([, found]) => found.verdict === "fail")
    .map(([name, found]) => el("li", { class: "fail" }, `${NAMES[name][0]}: ${cut(found.message ?? differences() ?? spaced(found.reason), 300)}`));
  const unknown = verdicts.filter(([, found]) => found.verdict === "unknown").map(([name, found]) => `${NAMES[name][0].toLowerCase()} (${spaced(found.reason)})`);
  const told = unknown.length ? el("li", { class: "quiet" }, `Not known: ${unknown.join(", ")}.`) : null;
  return failed.length || told ? el("ul", { class: "why" }, failed, told) : null;
}

// What differs, in figures, where no words came with it.
function differences() {
  const checks = Array.isArray(state.verdict.checks) ? state.verdict.checks.filter((one) => isNumber(one?.stated) && isNumber(one?.expected)) : [];
  return checks.map((one) => `${spaced(one.field)} is stated as ${one.stated}, expected ${one.expected}`).join("; ") || undefined;
}

function figures(vendor) {
  const said = state.verdict?.statement?.outputs;
  if (!isObject(said) && !state.run) {
    const why = vendor ? "A vendor's block is judged, not recomputed, so no figure is drawn."
      : state.verdict?.receipt_id == null ? "The receipt could not be read, so it has no figures to draw."
        : state.verdict.statement ? "Its statement holds no figures of its own."
          : state.problem ? `The statement could not be read: ${cut(state.problem, 200)}`
            : host.can.serverTools ? "Reading the statement for its figures." : "This brief result holds no figures; ask for detail=full.";
    return el("p", { class: "quiet" }, why);
  }
  const why = state.verdict?.statement?.reasons ?? state.run?.reasons ?? {};
  const energy = isObject(said) ? figureOf(said.energy_nwh, 1e-9) : figureOf(state.run.energy_wh);
  const carbon = isObject(said) ? figureOf(said.carbon_location_ng, 1e-9) : figureOf(state.run.carbon_gco2e);
  const because = (...names) => names.map((name) => why[name]).find((text) => typeof text === "string");
  const kind = said?.energy_nwh?.interval === "range" ? "range of the method" : "90 % interval";
  return measures([["Energy", energy, ENERGY, cut(because("energy_nwh", "energy_wh"), 120)],
    ["CO2e", carbon, MASS, cut(because("carbon_location_ng", "carbon_gco2e"), 120)]], kind);
}

function facts() {
  const shown = state.verdict ?? state.run;
  const method = shown.provenance?.methodology;
  return el("dl", { class: "facts" }, el("dt", {}, "Grid"), el("dd", {}, gridLine(shown)),
    el("dt", {}, "Method"), el("dd", { class: "mono" }, cut(method, 120) || "not stated"));
}

function gridLine(shown) {
  const grid = isObject(shown.grid) ? shown.grid : null;
  if (grid === null || !isNumber(grid.intensity_gco2e_per_kwh)) return "not stated";
  const reading = state.verdict?.statement?.grid?.accounting ?? {};
  const parts = [`${significant(grid.intensity_gco2e_per_kwh)} gCO2e/kWh`, cut(grid.zone), EVIDENCE[grid.evidence] ?? spaced(grid.evidence)];
  const year = typeof reading.observed_at === "string" ? cut(reading.observed_at, 4).slice(0, 4) : "";
  if (grid.evidence === "annual" && year) parts[2] += ` of ${year}`;
  else if (isNumber(reading.age_minutes) && grid.evidence !== "mixture") parts.push(["observed ", el("span", { class: "fixed" }, moment(reading.observed_at))], `${age(reading.age_minutes)} old when used`);
  if (reading.source) parts.push(`source ${cut(reading.source, 60)}`);
  return parts.filter(Boolean).flatMap((part, place) => (place ? [", ", part] : [part]));
}

function age(minutes) {
  return minutes < 120 ? `${Math.round(minutes)} min` : minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

function foot(vendor) {
  if (!state.verdict) return el("p", { class: "quiet" }, state.run.receipt_id ? "Estimated; the receipt was not checked here yet." : cut(state.run.reasons?.answer, 200) || "There is no receipt.");
  if (vendor) return el("p", { class: "quiet" }, "Another vendor's statement. It is not signed by wattproof.");
  const key = KEYS[state.verdict.key_trust] ?? "key unknown";
  const at = state.checkedAt ? ` Checked ${state.checkedAt}Z.` : "";
  return el("p", { class: "quiet" }, `Estimate; ${key}; inputs not independently audited.${at}`);
}

function actions(vendor) {
  const again = state.verdict ? "Verify again" : "Verify receipt";
  const verify = subject() !== null && host.can.serverTools ? button(again, pressedVerify, "first") : null;
  const download = subject() !== null && !vendor && host.can.downloadFile ? button("Download receipt", pressedDownload) : null;
  verify?.setAttribute("data-key", "verify");
  download?.setAttribute("data-key", "download");
  const problem = el("p", { id: "problem" });
  return verify || download ? [el("div", { class: "actions" }, verify, download), problem] : problem;
}

function pressedVerify({ currentTarget }) {
  during(currentTarget, "Verifying…", async () => {
    await check();
    draw();
    const verdicts = Object.entries(state.verdict.verdicts);
    return `Checked again. ${verdicts.map(([name, found]) => `${spaced(name)}: ${spaced(found.verdict)}`).join(", ")}.`;
  });
}

function pressedDownload({ currentTarget }) {
  during(currentTarget, "Downloading…", async () => {
    const file = await receiptFile();
    const answer = await host.ask("ui/download-file", { contents: [file] });
    if (answer?.isError) throw new Error("The host did not write the file.");
    return "The receipt was handed to the host.";
  });
}

async function receiptFile() {
  const given = subject();
  const name = /^r_\w+$/.test(state.verdict?.receipt_id ?? given) ? (state.verdict?.receipt_id ?? given) : "receipt";
  const whole = (text, mimeType, ending) => ({ type: "resource", resource: { uri: `file:///${name}.${ending}`, mimeType, text } });
  if (isObject(given)) return whole(JSON.stringify(given, null, 2), "application/json", "json");
  if (given.includes(".")) return whole(given, "application/jose", "jws");
  const uri = `wattproof://receipts/${encodeURIComponent(given)}`;
  if (!host.can.serverResources) return { type: "resource_link", uri, name: `${name}.json`, mimeType: "application/json" };
  const read = await host.ask("resources/read", { uri });
  if (typeof read?.contents?.[0]?.text !== "string") throw new Error("The receipt could not be read.");
  return whole(read.contents[0].text, "application/json", "json");
}

connect("receipt", ["inline"]);
