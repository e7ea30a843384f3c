// Methods of served inference, from the numbers of a receipt's operands to its figures. Written from the formulas that
// `wattproof methods show` prints: where both give the same figures, two programs agree. As propagate.py, accelerator.py,
// impacts.py, param.py, cpu_time.py, vetted.py.

const Z90 = 1.6448536269514722;

class OutsideDomain extends Error {}

function ln(number) {
  if (!(number > 0)) throw new OutsideDomain("a logarithm of nothing");
  return Math.log(number);
}

function root(number) {
  if (!(number >= 0)) throw new OutsideDomain("a root of less than nothing");
  return Math.sqrt(number);
}

function ratio(number, by) {
  if (by === 0) throw new OutsideDomain("a division by zero");
  return number / by;
}

function insist(holds, what) {
  if (!holds) throw new OutsideDomain(what);
}

// A term is a median and the standard deviations of its logarithm by factor; a sum of terms that share factors is
// matched by one log-normal with the same mean and variance (Fenton-Wilkinson).
function match(terms) {
  const means = terms.map(([median, by]) => median * Math.exp(0.5 * sum(Object.values(by).map((s) => s * s))));
  const total = sum(means);
  if (total === 0) return { median: 0, sigma: 0 };
  let variance = 0;
  terms.forEach(([, one], k) => {
    terms.forEach(([, other], i) => {
      const shared = Object.keys(one).filter((factor) => factor in other);
      variance += means[k] * means[i] * Math.expm1(sum(shared.map((factor) => one[factor] * other[factor])));
    });
  });
  const s2 = Math.log1p(variance / (total * total));
  return { median: total * Math.exp(-0.5 * s2), sigma: root(s2) };
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function credible({ median, sigma }) {
  const spread = Math.exp(Z90 * sigma);
  return { median, low: median / spread, high: median * spread };
}

function point(median) {
  return { median, low: null, high: null };
}

function insistTokens(n) {
  const whole = n.input_tokens >= n.cached_input_tokens && n.cached_input_tokens >= 0 && n.output_tokens >= 0;
  insist(whole, "more input is cached than there is, or a count is negative");
}

/** Decode, prefill, cached and attention energy of the accelerators [Wh]. */
function accelerator(n) {
  insistTokens(n);
  const decode = Math.exp(
    n.fit_const +
      n.fit_ln_active_params * ln(n.active_params_b) +
      n.fit_ln_weights * ln(n.total_params_b * n.bytes_per_param) +
      n.fit_ln_batch * ln(n.batch) +
      n.fit_b200 * n.is_b200 +
      n.fit_long_reasoning * n.is_long_reasoning,
  );
  const prefill = n.prefill_wh_per_token_b * n.active_params_b;
  const attention = n.attention_wh_per_token2_b * n.active_params_b ** (2 / 3);
  const reach = (tokens) => {
    const beyond = Math.max(0, Math.min(tokens, n.longest_prompt_tokens) - n.attention_free_tokens);
    return Math.max(1, ratio(tokens, n.longest_prompt_tokens)) * beyond * beyond;
  };
  const isLong = n.input_tokens > n.attention_free_tokens;
  return [
    n.generates * decode * n.output_tokens,
    prefill * (n.input_tokens - n.cached_input_tokens),
    prefill * n.cached_input_ratio * n.cached_input_tokens,
    isLong ? attention * (reach(n.input_tokens) - reach(n.cached_input_tokens)) : 0,
  ];
}

function acceleratorMatch(n) {
  const prefill = { active: n.sigma_ln_active_params, hardware: n.sigma_ln_hardware, prefill: n.sigma_ln_prefill };
  const by = [
    {
      active: n.fit_ln_active_params * n.sigma_ln_active_params,
      weights: n.fit_ln_weights * n.sigma_ln_weights,
      batch: n.fit_ln_batch * n.sigma_ln_batch,
      fit: n.sigma_ln_fit,
      hardware: n.sigma_ln_hardware,
    },
    prefill,
    { ...prefill, cached: n.sigma_ln_cached_input },
    { ...prefill, active: (2 / 3) * n.sigma_ln_active_params, attention: n.sigma_ln_attention },
  ];
  return match(accelerator(n).map((wh, k) => [wh, by[k]]));
}

/** Accelerator and server by impact, per Wh of accelerator energy: [term, term?]. */
function manufacture(n, wide, impact, unit) {
  const kind = impact.split("_")[0];
  const perWh = ratio(unit, n.rated_w * n.accelerator_load_ratio * n.lifetime_h) * (wide ? n.provisioned_ratio : 1);
  const shared = { load: n.sigma_ln_accelerator_load, lifetime: n.sigma_ln_lifetime };
  if (wide) shared.provisioned = n.sigma_ln_provisioned;
  const made = [[perWh * n[`accelerator_${impact}`], { ...shared, accelerator: n[`sigma_ln_accelerator_${kind}`] }]];
  if (wide) {
    const server = ratio(n[`server_${impact}`], n.accelerators_per_server);
    made.push([perWh * server, { ...shared, server: n[`sigma_ln_server_${kind}`] }]);
  }
  return made;
}

function param(n, wide) {
  const matched = acceleratorMatch(n);
  const spread = wide ? { overhead: n.sigma_ln_overhead, pue: n.sigma_ln_pue } : {};
  const wall = wide ? n.overhead_ratio * n.pue : 1;
  const times = (terms) => {
    const factor = match(terms);
    return credible({ median: matched.median * factor.median, sigma: Math.hypot(matched.sigma, factor.sigma) });
  };
  const found = {
    energy: times([[wall, spread]]),
    carbon: times([[(wall * n.intensity_gco2e_per_kwh) / 1000, { ...spread, grid: n.sigma_ln_intensity }]]),
  };
  if ("market_gco2e_per_kwh" in n) found.market = times([[(wall * n.market_gco2e_per_kwh) / 1000, spread]]);
  if (wide && "wue_onsite_l_per_kwh" in n && "wue_offsite_l_per_kwh" in n) {
    const onsite = { overhead: n.sigma_ln_overhead, onsite: n.sigma_ln_wue_onsite };
    const offsite = { ...spread, offsite: n.sigma_ln_wue_offsite };
    found.water = times([
      [n.overhead_ratio * n.wue_onsite_l_per_kwh, onsite],
      [n.overhead_ratio * n.pue * n.wue_offsite_l_per_kwh, offsite],
    ]);
  }
  if ("rated_w" in n) {
    const terms = manufacture(n, wide, "adpe_kgsbeq", 1);
    if ("mix_adpe_kgsbeq_per_kwh" in n) {
      terms.push([(wall * n.mix_adpe_kgsbeq_per_kwh) / 1000, { ...spread, mix: n.sigma_ln_mix_adpe }]);
    }
    found.adpe = times(terms);
    manufacture(n, wide, "gwp_kgco2e", 1000); // beside the carbon, not in it; it must be computable
  }
  return { interval: "credible90", ...found };
}

function cpuTime(n, wide) {
  insistTokens(n);
  insist(n.cpu_seconds >= 0, "less than no seconds");
  const measured = n.cpu_measured === 1;
  const fresh = n.input_tokens - n.cached_input_tokens;
  const predicted = n.cpu_s_per_input_token * fresh + n.cpu_s_per_output_token * n.output_tokens;
  const seconds = measured ? n.cpu_seconds : predicted;
  const wh = ((seconds * n.watts_per_thread) / 3600) * (wide ? n.pue : 1);
  const by = { watts: n.sigma_ln_watts_per_thread, ...(measured ? {} : { seconds: n.sigma_ln_cpu_s }) };
  return {
    interval: "credible90",
    energy: credible(match([[wh, by]])),
    carbon: credible(match([[(wh * n.intensity_gco2e_per_kwh) / 1000, { ...by, grid: n.sigma_ln_intensity }]])),
  };
}

function vetted(n, wide) {
  insist([1, 2, 3, 4].includes(n.tier_code), "a tier that does not exist");
  const metered = n.tier_code >= 3;
  insist(metered !== "fit_const" in n, "operands of another tier");
  let gpu;
  let it;
  if (metered) {
    insist("gpu_wh" in n && "opinions" in n === (n.tier_code === 4), "operands of another tier");
    insistTokens(n);
    insist(Math.min(n.gpu_wh, n.host_wh, n.idle_wh) >= 0, "a negative sample");
    [gpu, it] = [n.gpu_wh, n.gpu_wh + n.host_wh + n.idle_wh];
  } else {
    gpu = sum(accelerator(n));
    it = gpu * (1 + n.host_ratio + n.idle_ratio);
  }
  const wall = wide ? it * n.pue : gpu;
  const scores = ["reliability", "completeness", "temporal", "geographical", "technological"];
  const sigma = root(n.sigma_ln_basic ** 2 + sum(scores.map((score) => n[`variance_${score}`])));
  const around = (median) => credible({ median, sigma });
  const made = (impact, unit) => gpu * sum(manufactureMedians(n, wide, impact, unit));
  const found = { interval: "credible90", energy: around(wall) };
  if ("rated_w" in n) {
    const embodied = made("gwp_kgco2e", 1000);
    found.carbon = around((wall * n.intensity_gco2e_per_kwh) / 1000 + embodied);
    if ("market_gco2e_per_kwh" in n) found.market = around((wall * n.market_gco2e_per_kwh) / 1000 + embodied);
    found.adpe = around(made("adpe_kgsbeq", 1) + (wall * (n.mix_adpe_kgsbeq_per_kwh ?? 0)) / 1000);
  }
  if (wide && "wue_onsite_l_per_kwh" in n && "wue_offsite_l_per_kwh" in n) {
    found.water = around(it * n.wue_onsite_l_per_kwh + wall * n.wue_offsite_l_per_kwh);
  }
  return found;
}

function manufactureMedians(n, wide, impact, unit) {
  return manufacture(n, wide, impact, unit).map(([median]) => median);
}
