// The page: fields, files, results. Everything that comes from a receipt is written as text, never as markup.

const OUTCOMES = {
  established: "Established: signature and arithmetic hold, and nothing fails.",
  failed: "Failed: at least one check does not hold.",
  not_established: "Not established: nothing fails, but signature or arithmetic could not be judged.",
};
const SIGNS = { pass: "✓ pass", fail: "✗ FAIL", unknown: "? unknown" };
const FIELDS = ["jws", "jwks", "proof", "vkeys", "old", "consistency"];

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Which field a file or a pasted text belongs to; null for a bundle or what is not known. */
function fieldOf(text) {
  const start = text.trimStart();
  if (start.startsWith("c2sp.org/tlog-proof@")) return "proof";
  if (start.startsWith("{")) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return null;
    }
    if (!isObject(value)) return null;
    if (Array.isArray(value.keys)) return "jwks";
    return "root_hex" in value ? "proof" : "jws";
  }
  if (/^(# [^\n]*\n)*[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/.test(start)) return "vkeys";
  if (start.includes("\n— ")) return "old";
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\s*$/.test(start)) return "jws";
  return /^(old [0-9]+\n)?([A-Za-z0-9+/]{43}=\s*)+$/.test(start) ? "consistency" : null;
}

async function takeFiles(files) {
  for (const file of files) {
    const text = await file.text();
    const field = fieldOf(text);
    if (field === null) return unusable(`${file.name} is none of what can be verified here.`);
    byId(field).value = text;
    if (!["jws", "jwks"].includes(field)) byId("log").open = true;
  }
  return verify();
}

/** The fields as texts; a bundle {jws, inclusion, jwks, tlog_proof, vkey, ...} in the first fills the others. */
function fields() {
  const given = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]));
  if (!given.jws.trimStart().startsWith("{")) return { ...given, inclusion: "", steps: [], apart: true };
  let bundle;
  try {
    bundle = JSON.parse(given.jws);
  } catch {
    throw new Unusable("The receipt begins with { and is not JSON.");
  }
  if (typeof bundle?.jws !== "string") {
    throw new Unusable('The JSON has no "jws". Give a receipt; for records and vendors\' blocks use wattproof verify.');
  }
  const lines = (value) => (Array.isArray(value) ? value.join("\n") : typeof value === "string" ? value : "");
  const json = (value) => (isObject(value) ? JSON.stringify(value) : "");
  return {
    jws: bundle.jws,
    jwks: given.jwks || json(bundle.jwks),
    inclusion: json(bundle.inclusion),
    proof: given.proof || lines(bundle.tlog_proof),
    vkeys: given.vkeys || lines(bundle.vkey),
    old: given.old || lines(bundle.old_checkpoint),
    consistency: given.consistency || lines(bundle.consistency),
    steps: Array.isArray(bundle.steps) ? bundle.steps.map(String) : [],
    apart: Boolean(given.jwks.trim()) || !isObject(bundle.jwks),
  };
}

/** A signed note ends in a newline, which pasting loses. */
const ended = (note) => (note.endsWith("\n") ? note : `${note}\n`);

async function givenIn(texts) {
  const isTlog = texts.proof.trimStart().startsWith("c2sp.org/tlog-proof@");
  const json = texts.inclusion || (isTlog ? "" : texts.proof);
  return {
    keys: texts.jwks.trim() ? await readKeySet(texts.jwks) : new Map(),
    log: {
      proof: json.trim() ? readInclusionProof(json) : null,
      tlogProof: isTlog ? ended(texts.proof.trimStart()) : null,
      keys: texts.vkeys.trim() ? await readVerifierKeys(texts.vkeys) : [],
      oldCheckpoint: texts.old.trim() ? ended(texts.old) : null,
      consistency: texts.consistency.trim() ? readConsistency(texts.consistency) : null,
    },
    steps: texts.steps,
  };
}

async function verify() {
  const before = document.activeElement;
  try {
    const texts = fields();
    if (!texts.jws.trim()) return unusable("Give a receipt first.");
    const found = await verifyReceipt(texts.jws.trim(), await givenIn(texts), Date.now() / 1000);
    return show(found, texts.apart);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return unusable(error.message);
  } finally {
    before?.focus?.();
  }
}

function unusable(message) {
  outcome("unusable", message);
  byId("verdicts").hidden = byId("stated").hidden = true;
}

function outcome(name, words) {
  const line = byId("outcome");
  line.className = name;
  line.dataset.outcome = name;
  line.textContent = words;
  byId("result").hidden = false;
}

function show(found, apart) {
  outcome(found.outcome, OUTCOMES[found.outcome]);
  const rows = Object.entries(found.verdicts).map(([name, { verdict, reason, message }]) => {
    const row = element("tr", "", verdict);
    row.dataset.name = name;
    row.dataset.verdict = verdict;
    row.dataset.reason = reason ?? "";
    const question = element("th", name);
    question.scope = "row";
    const why = element("td", message);
    if (reason !== null) why.append(element("span", reason, "reason"));
    row.append(question, element("td", SIGNS[verdict], "verdict"), why);
    return row;
  });
  byId("verdicts").tBodies[0].replaceChildren(...rows);
  byId("verdicts").hidden = false;
  byId("verdicts").dataset.evidence = found.logEvidence ?? "";
  const stated = Object.entries(statements(found, apart)).map(([name, value]) => {
    const row = element("tr", "");
    const head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", value, "value"));
    return row;
  });
  byId("stated").tBodies[0].replaceChildren(...stated);
  byId("stated").hidden = false;
}

function statements({ receiptId: id, payload, logEvidence, verdicts }, apart) {
  const text = (value) => (value === undefined || value === null ? "null" : String(value).slice(0, 200));
  const said = { "receipt id": id ?? "unreadable", "log evidence": logEvidence ?? "none" };
  // Whoever forges a receipt can put a key beside it.
  if (!apart) said["issuer's keys"] = "came with the receipt: compare them with those that the issuer publishes";
  if (payload === null) return said;
  const own = {
    "issued at": payload.issued_at,
    model: payload.model,
    provider: payload.provider,
    region_scope: payload.region_scope,
    energy_source: payload.energy_source,
    methodology: payload.method_id,
    renewable_ratio_bps: payload.renewable_ratio_bps,
  };
  for (const [name, value] of Object.entries(own)) said[name] = text(value);
  const readable = !["fail", "unknown"].includes(verdicts.arithmetic.verdict) || verdicts.plausibility.reason !== "not_read";
  if (!readable) return said;
  said.tokens = `${payload.usage.input_tokens} in, ${payload.usage.output_tokens} out (${payload.usage.usage_source})`;
  const units = { energy_nwh: ["energy", 1e-9, "Wh"], carbon_location_ng: ["carbon, location-based", 1e-9, "g CO2e"] };
  for (const [name, [label, factor, unit]] of Object.entries(units)) said[label] = amountText(payload.outputs[name], factor, unit);
  return said;
}

function amountText(amount, factor, unit) {
  if (amount === null) return "null";
  const digits = (number) => String(Number((number * factor).toPrecision(3)));
  const around = amount.low === null ? "" : ` (${digits(amount.low)} to ${digits(amount.high)})`;
  return `${digits(amount.median)} ${unit}${around}`;
}

async function begin() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    verify();
  });
  byId("form").addEventListener("reset", () => {
    byId("result").hidden = true;
  });
  byId("files").addEventListener("change", (event) => takeFiles([...event.target.files]));
  const over = (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", event.type === "dragover");
  };
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", over);
  document.addEventListener("drop", (event) => {
    over(event);
    takeFiles([...event.dataTransfer.files]);
  });
  const known = Object.keys(FACTS.methods).length;
  byId("about").textContent =
    `${FACTS.version}, edition ${FACTS.edition}: ${known} methods, ${Object.keys(FACTS.zones).length} zones. Contains ` +
    `information from ${FACTS.zones_source}. Ages are judged by the clock of this machine. On the command line: ` +
    "wattproof verify.";
  if (!(await hasEd25519())) {
    unusable("This browser's WebCrypto has no Ed25519, so signatures cannot be checked here. Use a newer browser.");
  }
}

begin();
