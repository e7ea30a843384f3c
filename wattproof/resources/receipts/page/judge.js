// The five verdicts, each apart. Rules and reasons are those of verify.py, arithmetic.py, adjustment.py and
// plausibility.py; FACTS holds what those read from the edition: zones, methods and their definitions.

const passed = (message) => ({ verdict: "pass", reason: null, message });
const failed = (reason, message) => ({ verdict: "fail", reason, message });
const open = (reason, message) => ({ verdict: "unknown", reason, message });

/**
 * Judge a receipt. `given`: {keys: Map, log: {proof, tlogProof, keys, oldCheckpoint, consistency}, steps: [JWS]}, `now`
 * Unix time.
 * Gives {receiptId, payload, verdicts, logEvidence, outcome}.
 */
async function verifyReceipt(jws, given, now) {
  const isAscii = /^[\x00-\x7f]*$/.test(jws);
  const entry = isAscii ? await sha256(bytesOf(jws)) : null;
  const id = entry && receiptId(entry);
  let parsed;
  try {
    parsed = parseJws(jws);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const nothing = open("not_read", "The receipt could not be read.");
    const others = { inclusion: nothing, arithmetic: nothing, plausibility: nothing, freshness: nothing };
    return report(id, null, { signature: failed(error.reason, error.message), ...others }, null);
  }
  const { payload } = parsed;
  const canSign = await hasEd25519();
  const included = await inclusionIn(entry, payload, given.log, now, canSign);
  const verdicts = {
    signature: await judgeSignature(parsed, given.keys, included.seenAt, canSign),
    inclusion: included.verdict,
  };
  const problem = payloadProblem(payload);
  if (problem) {
    const unread = open("not_read", "The payload does not say what it should.");
    Object.assign(verdicts, { arithmetic: problem, plausibility: unread, freshness: unread });
  } else {
    const batch = batchVerdict(payload);
    verdicts.arithmetic = batch ?? (await judgeFigures(payload, given.steps));
    verdicts.plausibility = batch ?? judgePlausibility(payload);
    verdicts.freshness = judgeFreshness(payload, now);
  }
  return report(id, payload, verdicts, included.evidence ?? null);
}

function report(id, payload, verdicts, logEvidence) {
  const fails = Object.values(verdicts).some(({ verdict }) => verdict === "fail");
  const holds = verdicts.signature.verdict === "pass" && verdicts.arithmetic.verdict === "pass";
  const outcome = fails ? "failed" : holds ? "established" : "not_established";
  return { receiptId: id, payload, verdicts, logEvidence, outcome };
}

async function inclusionIn(entry, payload, log, now, canSign) {
  const signed = log.tlogProof || log.oldCheckpoint;
  if (!signed || canSign) return judgeInclusion(entry, payload, log, now);
  return { verdict: open("browser_lacks_ed25519", "This browser cannot check the signature of a checkpoint.") };
}

async function judgeSignature({ header, payload, signed, signature }, keys, seenAt, canSign) {
  if (header.typ === "wattproof-simulation+jws") {
    return failed("simulation", "This is a simulation: its inputs were invented and its key was thrown away.");
  }
  if (header.typ !== "wattproof-receipt+jws") return failed("bad_typ", `The typ is ${header.typ.slice(0, 40)}.`);
  const key = keys.get(header.kid);
  if (key === undefined) return open("unknown_key", `No key that was given has the id ${header.kid}.`);
  if (!canSign) {
    return open("browser_lacks_ed25519", "This browser's WebCrypto has no Ed25519. Use a newer one, or wattproof verify.");
  }
  if (!(await isSignedBy(key.publicKey, signed, signature))) {
    return failed("bad_signature", `The signature was not made over these bytes by the key ${header.kid}.`);
  }
  return keyProblem(key, payload, seenAt) ?? passed(`Signed by the key ${header.kid}.`);
}

function keyProblem({ notBefore = null, expires = null, revokedAt = null }, payload, seenAt) {
  if (notBefore === null && expires === null && revokedAt === null) return null;
  const issuedAt = typeof payload.issued_at === "string" ? instant(payload.issued_at) : null;
  if (issuedAt === null) return open("not_dated", "Its key has limits in time, and it does not say when it was issued.");
  if (notBefore !== null && issuedAt < notBefore - SKEW_S) {
    return failed("key_not_yet_valid", `It was issued at ${payload.issued_at}, before its key was valid.`);
  }
  if (expires !== null && issuedAt > expires + SKEW_S) {
    return failed("key_retired", `It was issued at ${payload.issued_at}, after its key was retired.`);
  }
  if (revokedAt !== null && (seenAt === undefined || seenAt >= revokedAt)) {
    return failed("key_revoked", "Its key was revoked, and no witness saw the receipt in the log before that.");
  }
  return null;
}

function payloadProblem(payload) {
  if (typeof payload.schema === "string" && payload.schema !== SCHEMA) {
    return open("unknown_schema", `The payload is of schema ${payload.schema.slice(0, 40)}; this page reads ${SCHEMA}.`);
  }
  try {
    validatePayload(payload);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return failed(error.reason, error.message);
  }
  return null;
}

/** Of a receipt that signs for records: it has no figures of its own that could be judged. */
function batchVerdict({ batch }) {
  if (batch === undefined) return null;
  return open("batch_of_records", `It signs for ${batch.count} records; each has figures of its own.`);
}

/** An operation is added up from its steps; everything else is computed from its own operands. */
async function judgeFigures(payload, steps) {
  return Object.hasOwn(payload, "operation") ? judgeOperation(payload, steps) : judgeArithmetic(payload);
}

function judgeArithmetic(payload) {
  const id = payload.method_id;
  const facts = Object.hasOwn(FACTS.methods, id) ? FACTS.methods[id] : undefined;
  if (facts === undefined) return open("unknown_method", `This page does not know the method ${id.slice(0, 80)}.`);
  if (facts.sha256 !== payload.method_sha256) {
    return open("method_differs", `The receipt was made with another definition of ${id} than this page knows.`);
  }
  if (!payload.operands.length && OUTPUTS.every((name) => payload.outputs[name] === null)) {
    return open("no_estimate", `It states no figures: ${payload.reasons.energy_nwh}.`);
  }
  const now = Object.create(null);
  const before = Object.create(null);
  for (const { name, value, exp10 } of payload.operands) {
    const former = payload.kind === "adjustment" && name.endsWith("_before");
    (former ? before : now)[former ? name.slice(0, -"_before".length) : name] = Number(`${value}e${exp10}`);
  }
  const problem = usageProblem(now, before, payload) ?? unitProblem(payload, facts);
  if (problem) return problem;
  let computed;
  try {
    computed = outputs(id, facts, now, payload.boundary);
    if (payload.kind === "adjustment") {
      computed = change(computed, outputs(id, facts, { ...now, ...before }, payload.boundary));
    }
  } catch (error) {
    if (!(error instanceof OutsideDomain)) throw error;
    return failed("not_computable", `${id} cannot be computed: ${error.message}.`);
  }
  const differing = OUTPUTS.filter((name) => differs(payload.outputs[name], computed[name]));
  if (differing.length) {
    return failed("outputs_differ", `${id} gives other figures from these operands: ${differing.join(", ")}.`);
  }
  return passed(`${id} gives the same figures from the ${payload.operands.length} operands.`);
}

function usageProblem(now, before, payload) {
  const isAdjustment = payload.kind === "adjustment";
  for (const name of USAGE_COUNTS) {
    if (!(name in now)) continue;
    const count = isAdjustment ? now[name] - (before[name] ?? now[name]) : now[name];
    if (count !== payload.usage[name]) {
      return failed("usage_differs", `The operand ${name} is not the ${name} of the usage.`);
    }
  }
  return null;
}

function unitProblem(payload, facts) {
  for (const { name, unit } of payload.operands) {
    if (payload.kind === "adjustment" && name.endsWith("_before")) continue;
    if (Object.hasOwn(facts.units, name) && facts.units[name] !== unit) {
      return failed("unit_differs", `The operand ${name} is in ${unit}; ${payload.method_id} takes ${facts.units[name]}.`);
    }
  }
  return null;
}

function outputs(id, facts, numbers, boundary) {
  const names = Object.keys(numbers);
  const leftOut = facts.optional.filter((group) => !group.some((name) => names.includes(name))).flat();
  const wrong = [
    ...names.filter((name) => !Object.hasOwn(facts.units, name)),
    ...Object.keys(facts.units).filter((name) => !names.includes(name) && !leftOut.includes(name)),
  ];
  if (wrong.length) throw new OutsideDomain(`its operands differ: ${wrong.slice(0, 5).join(", ")}`);
  return outputsOf(id, numbers, boundary);
}

/** By how much each output changed; the bounds are differences of the bounds, in order. */
function change(after, former) {
  const found = {};
  for (const name of OUTPUTS) {
    const [one, other] = [after[name], former[name]];
    if (one === null || other === null) found[name] = null;
    else if (one.low === null || other.low === null) {
      found[name] = { median: one.median - other.median, low: null, high: null, interval: "none" };
    } else {
      const bounds = ["low", "median", "high"].map((bound) => one[bound] - other[bound]).sort((a, b) => a - b);
      found[name] = { low: bounds[0], median: bounds[1], high: bounds[2], interval: one.interval };
    }
  }
  return found;
}

function differs(stated, computed) {
  if (stated === null || computed === null) return stated !== computed;
  if (stated.interval !== computed.interval) return true;
  return ["median", "low", "high"].some((bound) => {
    const [one, other] = [stated[bound], computed[bound]];
    if (one === null || other === null) return one !== other;
    return Math.abs(one - other) > Math.max(1, 1e-6 * Math.abs(other));
  });
}

function judgePlausibility(payload) {
  const reading = payload.grid.accounting;
  const isDifference = payload.kind === "adjustment";
  // What an operation states as its reading is what its steps come to.
  const isTotal = payload.kind === "operation";
  const found = [
    samePlace(payload),
    isDifference ? null : impliedIntensity(payload),
    intensityOfZone(reading),
    isDifference ? null : energyPerToken(payload),
    isDifference ? null : impliedPower(payload),
    isTotal ? null : renewableRatioOfZone(reading),
  ].filter((verdict) => verdict !== null);
  const weightiest = found.find(({ verdict }) => verdict === "fail") ?? found[0];
  return weightiest ?? passed("It agrees with itself and with what is known of its zone, its tokens and its time.");
}

/** An operation whose steps come to no intensity: without steps, or without figures. */
function hasNoReading({ kind, grid, outputs: { energy_nwh: energy, carbon_location_ng: carbon } }) {
  const nothing = energy === null || carbon === null || energy.median === 0;
  return nothing && kind === "operation" && grid.accounting.zone === "unknown:operation";
}

function samePlace(payload) {
  const reading = payload.grid.accounting;
  if (hasNoReading(payload)) return null;
  if (payload.zone !== reading.zone) return failed("zone_differs", "The zone is not that of the reading.");
  if (payload.renewable_ratio_bps !== reading.renewable_ratio_bps) {
    return failed("renewable_ratio_differs", "The renewable ratio is not the one of the reading.");
  }
  return null;
}

function impliedIntensity({ outputs: { energy_nwh: energy, carbon_location_ng: carbon }, grid, method_id: id }) {
  if (energy === null || carbon === null) return open("no_intensity", "Energy or carbon is not stated.");
  const expected = grid.accounting.value_mgco2e_per_kwh / 1000;
  const expectedNg = energy.median * expected * 1e-3;
  const countsManufacture = Object.hasOwn(FACTS.methods, id) && FACTS.methods[id].embodied;
  const excess = carbon.median - expectedNg;
  const counted = countsManufacture ? Math.min(0, excess) : excess;
  if (Math.abs(counted) <= 1 + expected * 1e-3 + 0.02 * expectedNg) return null;
  return failed(
    "implied_intensity",
    `${carbon.median} ng over ${energy.median} nWh is not ${expected} gCO2e/kWh, the reading it names.`,
  );
}

/** Against the zone's annual average; of several zones (multi:FI,FR) against the lowest and the highest. */
function intensityOfZone(reading) {
  const stated = reading.value_mgco2e_per_kwh / 1000;
  const averages = reading.zone.replace(/^multi:/, "").split(",").map(averageOf);
  if (averages.includes(null)) return open("unknown_zone", `The edition has no zone ${reading.zone.slice(0, 40)}.`);
  const expected = Math.min(Math.max(stated, Math.min(...averages)), Math.max(...averages));
  const words = `The reading is ${stated} gCO2e/kWh; ${reading.zone.slice(0, 40)} averages ${expected.toPrecision(3)}.`;
  if (stated <= 0) return open("far_from_average", words);
  const ratio = Math.exp(Math.abs(Math.log(stated / expected)));
  if (ratio <= 3) return null;
  return (ratio > 10 ? failed : open)("far_from_average", words);
}

function averageOf(zone) {
  if (zone.startsWith("unknown:")) return FACTS.mixture_gco2e_per_kwh;
  const name = zone.toUpperCase();
  return Object.hasOwn(FACTS.zones, name) ? FACTS.zones[name][0] : null;
}

function energyPerToken({ outputs: { energy_nwh: energy }, usage, status }) {
  const tokens = usage.input_tokens + usage.output_tokens;
  const worked = usage.output_tokens || tokens - usage.cached_input_tokens;
  const countsOutputAlone = energy !== null && energy.median === 0 && usage.output_tokens === 0;
  if (energy === null || worked === 0 || countsOutputAlone) {
    return open("no_energy_per_token", "Without energy or counted tokens there is no energy per token.");
  }
  const wh = energy.median * 1e-9;
  if (1e-8 * worked <= wh && wh <= 10 * tokens) return null;
  const words = `${wh.toPrecision(2)} Wh for ${tokens} tokens is outside 1e-8 to 10 Wh per token.`;
  return (status === "completed" ? failed : open)("energy_per_token", words);
}

function impliedPower({ outputs: { energy_nwh: energy }, latency_ms: latency }) {
  if (energy === null || latency === null) return null;
  const watts = (energy.median * 3.6e-6) / Math.max(latency / 1000, 0.1);
  if (watts <= 20000) return null;
  const words = `${Math.round(watts / 1000)} kW implied by energy and latency; a rack draws 20 kW.`;
  return (watts > 1e6 ? failed : open)("implied_power", words);
}

function renewableRatioOfZone(reading) {
  const stated = reading.renewable_ratio_bps;
  const name = reading.zone.toUpperCase();
  if (stated === null || reading.zone.startsWith("unknown:") || !Object.hasOwn(FACTS.zones, name)) return null;
  const average = FACTS.zones[name][1] * 100;
  const ofAYear = ["annual", "mixture"].includes(reading.evidence);
  if (Math.abs(stated - average) <= (ofAYear ? 2000 : 5000)) return null;
  const words = `${stated / 100} % renewable stated; the zone had ${average / 100} % in its year.`;
  return (ofAYear ? failed : open)("renewable_share", words);
}

function judgeFreshness(payload, now) {
  const [occurredAt, issuedAt] = [instant(payload.occurred_at), instant(payload.issued_at)];
  if (issuedAt < occurredAt - SKEW_S) {
    return failed("issued_before_it_occurred", "It was issued before the request that it describes.");
  }
  const problem = payload.kind === "operation" ? null : readingProblem(payload.grid.accounting);
  if (problem) return problem;
  if (issuedAt > now + SKEW_S) return failed("in_the_future", "It was issued at a time that is still to come.");
  const days = Math.max(0, now - issuedAt) / 86400;
  if (days > 400) return open("long_ago", `It was issued ${Math.round(days)} days ago, before the years of its data.`);
  return passed(`Issued ${days.toFixed(days < 10 ? 1 : 0)} days ago.`);
}

function readingProblem({ temporal_match: match, evidence, age_minutes: age, requested_at, observed_at }) {
  const elapsed = Math.max(0, instant(requested_at) - instant(observed_at)) / 60;
  if (Math.abs(age - elapsed) > 1) return failed("age_differs", `The reading is not ${age} minutes old by its own times.`);
  if (match === "fallback") return null;
  if (["annual", "mixture"].includes(evidence)) {
    return failed("match_overstated", `A reading of evidence ${evidence} can only be a fallback.`);
  }
  if (match === "live" && evidence === "forecast") return failed("match_overstated", "A forecast is never live.");
  if (age > { live: 75, fresh: 240 }[match]) {
    return failed("match_overstated", `A reading that is ${age} minutes old is not ${match}.`);
  }
  return null;
}
