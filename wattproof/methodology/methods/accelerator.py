"""Energy of the accelerators that serve one request, from the size of the model, the tokens and the batch.

The decode term is our regression on published GPU energy per output token (edition file `energy_fit.json`); prefill and
attention count floating-point operations. Host, idle, PUE and everything that follows from energy are elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import NamedTuple

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.propagate import Loadings

__all__ = ["ACCELERATOR_FORMULA", "TERMS", "AcceleratorRates", "accelerator_loadings", "accelerator_rates"]

ACCELERATOR_FORMULA = """\
decode    = exp(fit_const + fit_ln_active_params ln(active_params_b) + fit_ln_weights ln(total_params_b bytes_per_param)
                + fit_ln_batch ln(batch) + fit_b200 is_b200 + fit_long_reasoning is_long_reasoning)   [Wh/output token]
prefill   = prefill_wh_per_token_b active_params_b                                                    [Wh/input token]
attention = attention_wh_per_token2_b active_params_b^(2/3)                                           [Wh/input token^2]
reach(n)  = max(1, n / longest_prompt_tokens) max(0, min(n, longest_prompt_tokens) - attention_free_tokens)^2
accelerator = generates decode output_tokens
            + prefill (input_tokens - cached_input_tokens)
            + prefill cached_input_ratio cached_input_tokens
            + attention (reach(input_tokens) - reach(cached_input_tokens))                            [Wh]
Each of the four terms is log-normal around its value; the standard deviations of its logarithm, by independent factor:
decode    fit_ln_active_params sigma_ln_active_params (active), fit_ln_weights sigma_ln_weights,
          fit_ln_batch sigma_ln_batch, sigma_ln_fit, sigma_ln_hardware (hardware)
prefill   sigma_ln_active_params (active), sigma_ln_hardware (hardware), sigma_ln_prefill (prefill)
cached    as prefill, and sigma_ln_cached_input
attention as prefill, with 2/3 sigma_ln_active_params, and sigma_ln_attention"""

TERMS = ("decode", "prefill", "cached", "attention")


class AcceleratorRates(NamedTuple):
    """The formula for one deployment, up to the token counts [Wh per token; attention per token squared]."""

    decode: float
    prefill: float
    cached: float
    attention: float
    attention_free_tokens: float
    longest_prompt_tokens: float

    def terms_wh(
        self, input_tokens: float, cached_input_tokens: float, output_tokens: float
    ) -> tuple[float, float, float, float]:
        """Decode, prefill, cached and attention of one request [Wh].

        Raises:
            InvalidInput: a count is negative, or more input is cached than there is.
        """
        if not (input_tokens >= cached_input_tokens >= 0 <= output_tokens):
            raise InvalidInput("input_tokens", "gives a negative count", "cached input is a part of input")
        attention_wh = 0.0
        if input_tokens > self.attention_free_tokens:
            attention_wh = self.attention * (self._reach(input_tokens) - self._reach(cached_input_tokens))
        return (
            self.decode * output_tokens,
            self.prefill * (input_tokens - cached_input_tokens),
            self.cached * cached_input_tokens,
            attention_wh,
        )

    def _reach(self, tokens: float) -> float:
        """Pairs of tokens that attend to each other beyond what the prefill rate already holds [token^2].

        Token i of a prompt attends to i tokens; the prefill rate holds the first `attention_free_tokens` of them. More
        than `longest_prompt_tokens` cannot be one prompt: it counts as several of that length.
        """
        prompts = max(1.0, tokens / self.longest_prompt_tokens)
        beyond = max(0.0, min(tokens, self.longest_prompt_tokens) - self.attention_free_tokens)
        return prompts * beyond * beyond


def accelerator_rates(n: Mapping[str, float]) -> AcceleratorRates:
    """The rates at the numbers `n` of a deployment's operands; token counts in `n` are not read."""
    decode_wh_per_token = exp(
        n["fit_const"]
        + n["fit_ln_active_params"] * log(n["active_params_b"])
        + n["fit_ln_weights"] * log(n["total_params_b"] * n["bytes_per_param"])
        + n["fit_ln_batch"] * log(n["batch"])
        + n["fit_b200"] * n["is_b200"]
        + n["fit_long_reasoning"] * n["is_long_reasoning"]
    )
    prefill_wh_per_token = n["prefill_wh_per_token_b"] * n["active_params_b"]
    return AcceleratorRates(
        decode=decode_wh_per_token * n["generates"],
        prefill=prefill_wh_per_token,
        cached=prefill_wh_per_token * n["cached_input_ratio"],
        attention=n["attention_wh_per_token2_b"] * n["active_params_b"] ** (2 / 3),
        attention_free_tokens=n["attention_free_tokens"],
        longest_prompt_tokens=n["longest_prompt_tokens"],
    )


def accelerator_loadings(n: Mapping[str, float], **everywhere: float) -> tuple[Loadings, ...]:
    """How far each factor moves the logarithm of each of the four `TERMS`; factors `everywhere` move all of them.

    Batch acts on decode alone, so its sign has no effect; it is kept positive for those who rank factors.
    """
    decode = {
        "active_params": n["fit_ln_active_params"] * n["sigma_ln_active_params"],
        "batch": abs(n["fit_ln_batch"]) * n["sigma_ln_batch"],
        "fit": n["sigma_ln_fit"],
        "hardware": n["sigma_ln_hardware"],
        "weights": n["fit_ln_weights"] * n["sigma_ln_weights"],
    }
    prefill = {
        "active_params": n["sigma_ln_active_params"],
        "hardware": n["sigma_ln_hardware"],
        "prefill": n["sigma_ln_prefill"],
    }
    cached = {**prefill, "cached_input": n["sigma_ln_cached_input"]}
    attention = {
        **prefill,
        "active_params": 2 / 3 * n["sigma_ln_active_params"],
        "attention": n["sigma_ln_attention"],
    }
    return tuple(_sorted({**term, **everywhere}) for term in (decode, prefill, cached, attention))


def _sorted(factors: Mapping[str, float]) -> Loadings:
    return tuple(sorted((factor, sigma) for factor, sigma in factors.items() if sigma))
