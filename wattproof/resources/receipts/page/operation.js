// The receipt of an operation against the receipts of its steps. As operation.py.

/** RFC 9162 root over leaf hashes; of none, SHA-256 of nothing. */
async function merkleRoot(leaves) {
  if (!leaves.length) return sha256(new Uint8Array());
  let level = leaves;
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at + 1 < level.length; at += 2) above.push(await nodeHash(level[at], level[at + 1]));
    if (level.length % 2) above.push(level.at(-1));
    level = above;
  }
  return level[0];
}

async function rootOf(entries) {
  return hexOf(await merkleRoot(await Promise.all(entries.map((entry) => leafHash(bytesOfHex(entry))))));
}

async function judgeOperation(payload, steps) {
  const { count, root_hex: stated_root, steps: listed } = payload.operation;
  let stated = listed && listed.map(({ entry_hex: entry }) => entry);
  if (stated && (stated.length !== count || (await rootOf(stated)) !== stated_root)) {
    return failed("steps_contradict", "The steps that it lists are not those of its own count and root.");
  }
  if (!steps.length && count) {
    return open("steps_not_given", `It sums up ${count} steps; give their receipts to add them up.`);
  }
  const given = new Map();
  for (const jws of steps) {
    given.set(/^[\x00-\x7f]*$/.test(jws) ? hexOf(await sha256(bytesOf(jws))) : "not ASCII", jws);
  }
  if (!stated) {
    if (steps.length !== count || given.size !== count || (await rootOf([...given.keys()])) !== stated_root) {
      return open("steps_missing", `These are not the ${count} steps under its root, in the order of the log.`);
    }
    stated = [...given.keys()];
  }
  if (![...given.keys()].every((entry) => stated.includes(entry))) {
    return failed("not_a_step", "One of the receipts that were given is not a step of this operation.");
  }
  const missing = new Set(stated).size - given.size;
  if (missing) return open("steps_missing", `${missing} of the ${count} steps were not given.`);
  const payloads = [];
  for (const jws of given.values()) {
    const step = stepIn(jws);
    if (step.verdict) return step;
    payloads.push(step);
  }
  return addUp(payload, payloads);
}

/** The payload of a step whose own arithmetic holds, or the verdict. */
function stepIn(jws) {
  let payload;
  try {
    ({ payload } = parseJws(jws));
    validatePayload(payload);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return failed("step_unreadable", `The receipt of a step cannot be read: ${error.message}`);
  }
  const { verdict, reason, message } = judgeArithmetic(payload);
  if (verdict === "pass" || reason === "no_estimate") return payload;
  return (verdict === "fail" ? failed : open)("step_not_computed", `A step: ${message}`);
}

function addUp(payload, steps) {
  const wrong = USAGE_COUNTS.filter((name) => payload.usage[name] !== sum(steps.map((step) => step.usage[name])));
  for (const name of OUTPUTS) {
    const amounts = steps.map((step) => step.outputs[name]).filter((amount) => amount !== null);
    const stated = payload.outputs[name];
    const same = stated === null ? !amounts.length : amounts.length > 0 && addsUp(stated, amounts);
    if (!same) wrong.push(name);
  }
  if (wrong.length) return failed("steps_differ", `The ${steps.length} steps add up to something else: ${wrong.join(", ")}.`);
  return passed(`The ${steps.length} steps, each computed again, add up to its figures.`);
}

function addsUp(stated, amounts) {
  const moments = amounts.map(momentsOf);
  const [mean, deviation] = momentsOf(stated);
  const total = sum(moments.map(([one]) => one));
  const rounding = amounts.length + 1;
  if (Math.abs(mean - total) > rounding + 1e-4 * total) return false;
  if (stated.interval !== "credible90") return true;
  const least = Math.sqrt(sum(moments.map(([, one]) => one * one)));
  const most = sum(moments.map(([, one]) => one));
  const slack = rounding + 0.02 * most;
  return least - slack <= deviation && deviation <= most + slack;
}

/** Mean and standard deviation of a log-normal amount; one without such an interval is a point. */
function momentsOf({ median, high, interval }) {
  if (interval !== "credible90" || median <= 0) return [median, 0];
  const s = Math.log(high / median) / Z90;
  const mean = median * Math.exp((s * s) / 2);
  return [mean, mean * Math.sqrt(Math.expm1(s * s))];
}
