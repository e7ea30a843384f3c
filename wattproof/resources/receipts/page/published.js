// The methods of others, and the table of all methods. As ecologits*.py, factors.py, lowrouter.py, melious.py, batchin.py.

/** Both ends of a chain of formulas, and their middle. `atEnd(suffix)` gives {energy, carbon, ...} in Wh, g, mL, kg. */
function between(n, ranged, atEnd) {
  const isRange = ranged.some((name) => n[`${name}_min`] !== n[`${name}_max`]);
  for (const name of ranged) insist(n[`${name}_min`] <= n[`${name}_max`], "a range upside down");
  const [least, most] = [atEnd("min"), atEnd("max")];
  const found = { interval: isRange ? "range" : "none" };
  for (const name of Object.keys(least)) {
    const middle = (least[name] + most[name]) / 2;
    found[name] = isRange ? { median: middle, low: least[name], high: most[name] } : point(middle);
  }
  return found;
}

function electricity(n, kwh) {
  const found = { energy: kwh * 1000, carbon: kwh * n.intensity_gco2e_per_kwh };
  if ("mix_adpe_kgsbeq_per_kwh" in n) found.adpe = kwh * n.mix_adpe_kgsbeq_per_kwh;
  return found;
}

function useAndManufacture(n, kwh, gpus, share) {
  const found = electricity(n, kwh);
  const servers = ratio(gpus, n.server_gpus);
  found.carbon += share * (servers * n.server_embodied_kgco2e + gpus * n.gpu_embodied_kgco2e) * 1000;
  if ("adpe" in found) found.adpe += share * (servers * n.server_embodied_kgsbeq + gpus * n.gpu_embodied_kgsbeq);
  return found;
}

function insistNotNegative(n, except = "") {
  for (const name of Object.keys(n)) insist(n[name] >= 0 || name === except, `${name} is negative`);
}

function ecologits04(n, wide) {
  insistNotNegative(n);
  insistTokens(n);
  return between(n, ["active_params_b", "total_params_b"], (end) => {
    const [active, total] = [n[`active_params_b_${end}`], n[`total_params_b_${end}`]];
    const gpus = Math.ceil(ratio((n.memory_overhead_ratio * total * n.quantization_bits) / 8, n.gpu_memory_gb));
    const gpuKwh = n.output_tokens * (n.gpu_energy_alpha * active + n.gpu_energy_beta);
    if (!wide) return electricity(n, gpus * gpuKwh);
    const s = Math.min(n.output_tokens * (n.latency_alpha * active + n.latency_beta), n.latency_s ?? Infinity);
    const serverKwh = (s / 3600) * n.server_power_kw * ratio(gpus, n.server_gpus);
    return useAndManufacture(n, n.pue * (serverKwh + gpus * gpuKwh), gpus, ratio(s, n.lifetime_s));
  });
}

function ecologits011(n, wide) {
  insistNotNegative(n, "gpu_energy_beta");
  insistTokens(n);
  const perToken = (active) => {
    if ("tokens_per_s" in n) return ratio(1, n.tokens_per_s);
    return n.latency_alpha * active + n.latency_beta * n.batch + n.latency_gamma;
  };
  return between(n, ["active_params_b", "total_params_b", "pue", "wue_onsite_l_per_kwh"], (end) => {
    const [active, total, pue] = [n[`active_params_b_${end}`], n[`total_params_b_${end}`], n[`pue_${end}`]];
    const wh = n.gpu_energy_alpha * Math.exp(n.gpu_energy_beta * n.batch) * active + n.gpu_energy_gamma;
    const memory = (n.memory_overhead_ratio * total * n.quantization_bits) / 8;
    const least = Math.ceil(ratio(memory, n.gpu_memory_gb));
    insist(least > 0, "a model without weights");
    const gpus = 2 ** Math.ceil(Math.log2(least));
    const gpuKwh = (n.output_tokens * wh) / 1000;
    if (!wide) return electricity(n, gpus * gpuKwh);
    const first = n.input_tokens + n.output_tokens ? n.first_token_s : 0;
    const s = Math.min(n.output_tokens * perToken(active) + first, n.latency_s ?? Infinity);
    const it = ratio((s / 3600) * n.server_power_kw * ratio(gpus, n.server_gpus), n.batch) + gpus * gpuKwh;
    const found = useAndManufacture(n, pue * it, gpus, ratio(s, n.lifetime_s * n.batch));
    if ("wue_offsite_l_per_kwh" in n) {
      found.water = it * (n[`wue_onsite_l_per_kwh_${end}`] + pue * n.wue_offsite_l_per_kwh) * 1000;
    }
    return found;
  });
}

function factorsTokens(n) {
  insistTokens(n);
  insistNotNegative(n);
  const fresh = n.input_tokens - n.cached_input_tokens;
  const input = n.wh_per_1k_input * fresh + n.wh_per_1k_cached_input * n.cached_input_tokens;
  const wh = (input + n.wh_per_1k_output * n.output_tokens) / 1000;
  const by = { tier: n.sigma_ln_factor };
  return {
    interval: "credible90",
    energy: credible(match([[wh, by]])),
    carbon: credible(match([[(wh * n.intensity_gco2e_per_kwh) / 1000, { ...by, grid: n.sigma_ln_intensity }]])),
  };
}

function lowrouter(n) {
  insistTokens(n);
  insistNotNegative(n);
  insist([0, 1].includes(n.token_basis_output), "a basis that does not exist");
  const tokens = n.token_basis_output ? n.output_tokens : n.input_tokens + n.output_tokens;
  const wh = tokens * (n.alpha * n.active_params_b + n.beta);
  return { interval: "none", energy: point(wh), carbon: point((wh * n.intensity_gco2e_per_kwh) / 1000) };
}

function melious(n, wide) {
  insistTokens(n);
  for (const name of ["kwh_per_input_token", "kwh_per_output_token", "wue_l_per_kwh"]) insist(n[name] >= 0, name);
  insist(n.pue >= 1 && [0, 1].includes(n.wue_base_it), "a profile outside its bounds");
  const it = n.kwh_per_input_token * n.input_tokens + n.kwh_per_output_token * n.output_tokens;
  const kwh = wide ? it * n.pue : it;
  const found = { interval: "none", energy: point(kwh * 1000), carbon: point(kwh * n.intensity_gco2e_per_kwh) };
  if (wide) found.water = point((n.wue_base_it ? it : kwh) * n.wue_l_per_kwh * 1000);
  return found;
}

function batchin(n) {
  const declared = ["renewable_ratio_bps", "residual_gco2e_per_kwh", "wh_per_input_token", "wh_per_output_token"];
  for (const name of declared) insist(n[name] >= 0, name);
  insist(n.renewable_ratio_bps <= 10000, "a ratio above one");
  insist(n.input_tokens >= 0 && n.output_tokens >= 0, "a negative count");
  const wh = n.wh_per_input_token * n.input_tokens + n.wh_per_output_token * n.output_tokens;
  const residual = n.residual_gco2e_per_kwh * (1 - n.renewable_ratio_bps / 10000);
  return {
    interval: "none",
    energy: point(wh),
    carbon: point((wh * n.intensity_gco2e_per_kwh) / 1000),
    market: point((wh * residual) / 1000),
  };
}

const METHODS = {
  "wattproof/param@1.0.0": param,
  "wattproof/cpu-time@1.0.0": cpuTime,
  "vetted/ladder@0.2.0": vetted,
  "ecologits/llm@0.11.3": ecologits011,
  "ecologits/llm@0.4.0": ecologits04,
  "factors/tokens@2026-11": factorsTokens,
  "lowrouter/ecologits@0.4-2026-01": lowrouter,
  "melious/measured-token@1.0.0": melious,
  "batchin/token-estimate@1.0.0": batchin,
};

// Name in a receipt -> name above, and how many integer units one of its units holds.
const AMOUNTS = {
  energy_nwh: ["energy", 1e9],
  carbon_location_ng: ["carbon", 1e9],
  carbon_market_ng: ["market", 1e9],
  water_nl: ["water", 1e6],
  adpe_pgsbeq: ["adpe", 1e15],
};

function rounded(number) {
  insist(number < 2 ** 53 && number > -(2 ** 53), "an amount that no receipt can hold");
  const floor = Math.floor(number);
  const over = number - floor;
  if (over !== 0.5) return over > 0.5 ? floor + 1 : floor;
  return floor % 2 ? floor + 1 : floor;
}

/** The figures of a method as a receipt states them: {energy_nwh: {median, low, high, interval} or null, ...}. */
function outputsOf(methodId, numbers, boundary) {
  const footprint = METHODS[methodId](numbers, boundary === "comprehensive");
  const found = {};
  for (const [name, [field, units]] of Object.entries(AMOUNTS)) {
    const amount = footprint[field];
    if (amount === undefined) {
      found[name] = null;
      continue;
    }
    const bound = (value) => (value === null ? null : rounded(value * units));
    found[name] = {
      median: bound(amount.median),
      low: bound(amount.low),
      high: bound(amount.high),
      interval: footprint.interval,
    };
  }
  return found;
}
