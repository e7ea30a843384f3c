// What a receipt payload of version 1 may hold: exact keys, exact types, bounded sizes. As schema.py.

const SCHEMA = "wattproof-receipt/1";
const OUTPUTS = Object.keys(AMOUNTS);
const USAGE_COUNTS = ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"];
const MAX_TOKENS = 1e12;

function malformed(path, problem) {
  throw new Refused("bad_payload", `The payload is not one of ${SCHEMA}: ${path || "payload"} ${problem}.`);
}

// A check takes a value and the path to it, and throws.
const matching = (pattern) => (value, path) => {
  if (typeof value !== "string" || !pattern.test(value)) malformed(path, "is not as it should be written");
};
const textCheck = (value, path) => {
  const length = typeof value === "string" ? [...value].length : 0;
  if (length < 1 || length > 200) malformed(path, "is not text of 1 to 200 characters");
};
const oneOf = (...choices) => (value, path) => {
  if (!choices.includes(value)) malformed(path, `is not one of ${choices.join(", ")}`);
};
const integer = (low, high) => (value, path) => {
  if (typeof value !== "number" || value < low || value > high) malformed(path, `is not an integer ${low} to ${high}`);
};
const orNull = (check) => (value, path) => {
  if (value !== null) check(value, path);
};
const listOf = (check, most) => (value, path) => {
  if (!Array.isArray(value) || value.length > most) malformed(path, `is not a list of at most ${most}`);
  value.forEach((member, at) => check(member, `${path}[${at}]`));
};
const record =
  (members, optional = {}) =>
  (value, path) => {
    if (!isObject(value)) malformed(path, "is not an object");
    const at = (name) => (path ? `${path}.${name}` : name);
    const known = (name) => Object.hasOwn(members, name) || Object.hasOwn(optional, name);
    for (const name of Object.keys(value)) if (!known(name)) malformed(at(name), "is unknown");
    for (const name of Object.keys(members)) {
      if (!Object.hasOwn(value, name)) malformed(at(name), "is missing");
      members[name](value[name], at(name));
    }
    for (const name of Object.keys(optional)) if (Object.hasOwn(value, name)) optional[name](value[name], at(name));
  };
const mapOfText = (value, path) => {
  if (!isObject(value)) malformed(path, "is not an object");
  for (const name of Object.keys(value)) textCheck(value[name], `${path}.${name}`);
};
const timestamp = (value, path) => {
  if (typeof value !== "string" || instant(value) === null) malformed(path, "is not a time in UTC");
};
const anyObject = (value, path) => {
  if (!isObject(value)) malformed(path, "is not an object");
};
const hex = (bytes) => matching(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
const each = (names, check) => Object.fromEntries(names.map((name) => [name, check]));

const anyInteger = integer(-MAX_INTEGER, MAX_INTEGER);
const amountCheck = orNull(
  record({
    median: anyInteger,
    low: orNull(anyInteger),
    high: orNull(anyInteger),
    interval: oneOf("credible90", "range", "none"),
  }),
);
const ratioBps = orNull(integer(0, 10000));
const intensityCheck = integer(0, 1e9);
const readingCheck = record({
  zone: textCheck,
  basis: oneOf("average", "marginal"),
  factor_scope: oneOf("lifecycle", "direct"),
  accounting: oneOf("consumption", "production"),
  observed_at: timestamp,
  requested_at: timestamp,
  age_minutes: integer(0, 1e9),
  temporal_match: oneOf("live", "fresh", "fallback"),
  evidence: oneOf("measured", "estimated", "forecast", "annual", "mixture"),
  source: textCheck,
  licence: textCheck,
  value_mgco2e_per_kwh: intensityCheck,
  low_mgco2e_per_kwh: orNull(intensityCheck),
  high_mgco2e_per_kwh: orNull(intensityCheck),
  sigma_ln_millionths: integer(0, 1e8),
  renewable_ratio_bps: ratioBps,
  carbon_free_ratio_bps: ratioBps,
});
const operandCheck = record({
  name: matching(/^[a-z][a-z0-9_]{0,99}$/),
  value: anyInteger,
  exp10: integer(-60, 0),
  unit: textCheck,
  source_id: textCheck,
});
const sumCheck = integer(0, MAX_INTEGER);
const batchCheck = record({
  source: textCheck,
  count: integer(1, 1e6),
  root_hex: hex(32),
  first_occurred_at: timestamp,
  last_occurred_at: timestamp,
  requests: orNull(sumCheck),
  usage: record(each(USAGE_COUNTS, sumCheck)),
  energy_nwh: amountCheck,
  carbon_location_ng: amountCheck,
  energy_known: integer(0, 1e6),
  carbon_known: integer(0, 1e6),
  common: anyObject,
  groups: listOf(anyObject, 64),
});
const operationOfCheck = record({
  operation_id: textCheck,
  count: integer(0, 1e6),
  root_hex: hex(32),
  steps: orNull(listOf(record({ seq: sumCheck, entry_hex: hex(32) }), 500)),
  first_occurred_at: timestamp,
  last_occurred_at: timestamp,
});
const payloadCheck = record(
  {
    schema: oneOf(SCHEMA),
    log_id: textCheck,
    issued_at: timestamp,
    occurred_at: timestamp,
    kind: oneOf("inference", "recorded", "imported", "adjustment", "operation", "key"),
    status: oneOf("completed", "failed", "cancelled"),
    request_id: orNull(textCheck),
    attempts: integer(0, 1000),
    workload: oneOf("chat", "embedding", "rerank", "image", "speech", "transcription", "video"),
    provider: textCheck,
    model: textCheck,
    resolved_model: orNull(textCheck),
    deployment: textCheck,
    region_scope: textCheck,
    zone: textCheck,
    location_evidence: oneOf("contractual", "declared", "caller", "inferred", "unknown"),
    energy_source: textCheck,
    renewable_ratio_bps: ratioBps,
    ghg_scope: oneOf("scope3.cat1", "scope2"),
    usage: record({
      ...each(USAGE_COUNTS, integer(-MAX_TOKENS, MAX_TOKENS)),
      usage_source: oneOf("provider", "local_count", "caller"),
    }),
    method_id: textCheck,
    method_sha256: hex(32),
    edition: textCheck,
    edition_sha256: hex(32),
    tier: oneOf("proxy", "parametric", "modelled", "telemetry", "audited"),
    boundary: oneOf("narrow", "comprehensive"),
    outputs: record(each(OUTPUTS, amountCheck)),
    reasons: mapOfText,
    operands: listOf(operandCheck, 200),
    grid: record({ accounting: readingCheck, routing: orNull(readingCheck) }),
    cost: orNull(record({ micros: sumCheck, currency: matching(/^[A-Z]{3}$/) })),
    latency_ms: orNull(integer(0, 1e12)),
    instrument_id: orNull(textCheck),
    operation_id: orNull(textCheck),
    parent_id: orNull(textCheck),
    step_kind: orNull(textCheck),
    tags: listOf(textCheck, 32),
    decision_sha256: orNull(hex(32)),
    nonce: hex(16),
    request_commitment: orNull(hex(32)),
    provider_reported: orNull(anyObject),
  },
  { batch: batchCheck, operation: operationOfCheck },
);

function validatePayload(payload) {
  payloadCheck(payload, "");
  for (const name of OUTPUTS) {
    const amount = payload.outputs[name];
    if (amount === null) {
      if (!(name in payload.reasons)) malformed(`reasons.${name}`, "is missing though the output is null");
      continue;
    }
    const { median, low, high, interval } = amount;
    const path = `outputs.${name}`;
    if ((low === null) !== (interval === "none") || (high === null) !== (low === null)) {
      malformed(path, "has bounds that do not fit its interval");
    }
    if (low !== null && !(low <= median && median <= high)) malformed(path, "is not in the order low, median, high");
    if (median < 0 && payload.kind !== "adjustment") malformed(path, "is negative");
  }
  if (payload.kind !== "adjustment") validateUsage(payload.usage);
  const names = payload.operands.map((operand) => operand.name);
  if (names.some((name, at) => at > 0 && names[at - 1] >= name)) malformed("operands", "are not sorted by name");
}

/** Of a request. What an adjustment changes may be negative, and a part of it may change more than the whole. */
function validateUsage(usage) {
  for (const name of USAGE_COUNTS) if (usage[name] < 0) malformed(`usage.${name}`, "is negative");
  if (usage.cached_input_tokens > usage.input_tokens) malformed("usage.cached_input_tokens", "is more than its whole");
  if (usage.reasoning_tokens > usage.output_tokens) malformed("usage.reasoning_tokens", "is more than its whole");
}
