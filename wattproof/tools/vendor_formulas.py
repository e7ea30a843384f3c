"""Does a vendor's block follow from the formula that its vendor publishes?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.published import check_published, published_samples
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from wattproof.tools.vendor_block import VendorBlock

__all__ = ["judge_formula"]

# A vendor rounds what it shows, often to two figures.
_ROUNDED_WITHIN = 0.05


def judge_formula(block: VendorBlock, checks: list[Check]) -> Verdict:
    """Compute the block again where its vendor publishes formula and coefficients; adds what was compared."""
    return _FORMULAS.get(block.reported.vendor, _no_formula)(block, checks)


def _no_formula(block: VendorBlock, _checks: list[Check]) -> Verdict:
    if block.usage is None:
        return unknown("no_token_counts", "Without token counts no energy can be computed.")
    return unknown(
        "no_published_coefficients", f"{block.reported.vendor} publishes no coefficients to compute it with."
    )


def _lowrouter(block: VendorBlock, checks: list[Check]) -> Verdict:
    """Energy is tokens times a line in active parameters: even a model of no parameters costs its constant."""
    from wattproof.methodology.data import read_edition

    reported = block.reported
    published = next(sample for sample in published_samples() if sample.system == "LowRouter")
    if reported.energy_wh is None or reported.methodology != "v0.4-2026-01":
        return unknown("unknown_formula", "The formula is known for energy by methodology v0.4-2026-01.")
    least_wh_per_token: float = read_edition("wattproof/lowrouter.json")["constants"]["beta"]["value"]
    # Pages of theirs count output tokens or all of them; the fewer give the milder judgement.
    tokens = _implied_tokens(block) or (None if block.usage is None else block.usage.output_tokens)
    if not tokens:
        return unknown("no_token_counts", "Without token counts no energy can be computed.")
    stated = reported.energy_wh / tokens
    checks.append(Check("wh_per_token", float(f"{stated:.3g}"), least_wh_per_token, "lowrouter v0.4-2026-01"))
    if stated < least_wh_per_token * (1 - _ROUNDED_WITHIN):
        message = (
            f"not its own formula: {stated:.2g} Wh per token where {published.formula} gives {least_wh_per_token:g}"
        )
        return failed("does_not_follow", f"{message} at least.")
    return _as_computed(block, reported.energy_wh)


def _implied_tokens(block: VendorBlock) -> float | None:
    """Tokens follow from carbon and carbon per 1,000 tokens, which the block states side by side."""
    eco: object = block.raw.get("lowrouter", {})
    eco = cast("dict[str, object]", eco).get("eco") if isinstance(eco, dict) else None
    per_1k: object = cast("dict[str, object]", eco).get("carbon_per_1k_tokens_g") if isinstance(eco, dict) else None
    if isinstance(per_1k, bool) or not isinstance(per_1k, int | float) or not 0 < per_1k < 1e6:
        return None
    return None if block.reported.carbon_gco2e is None else block.reported.carbon_gco2e / per_1k * 1000


def _as_computed(block: VendorBlock, stated_wh: float) -> Verdict:
    """The formula with the parameters of the model, on either basis of tokens."""
    from wattproof.methodology.errors import UnknownModel
    from wattproof.methodology.methods import Activity, Intensity, get_method
    from wattproof.methodology.models import find_model
    from wattproof.methodology.quantity import Workload

    if block.usage is None or block.model is None:
        return unknown("no_model", "Without the model and its tokens only a least energy follows; it is above that.")
    try:
        model = find_model(block.model)
    except UnknownModel as error:
        return unknown("unknown_model", str(error))
    for basis in (0.0, 1.0):
        profile = {"token_basis_output": basis}
        activity = Activity(Workload.CHAT, block.usage, model, Intensity(1.0, 0.0, "none"), profile=profile)
        computed = get_method("lowrouter/ecologits").footprint(activity).energy_wh
        if computed is not None and abs(stated_wh - computed.median) <= _ROUNDED_WITHIN * computed.median:
            return passed(f"It follows from its own formula with {computed.median:.3g} Wh.")
    return unknown("parameters_differ", "Its formula with the parameters known here gives another energy.")


def _vetted(block: VendorBlock, checks: list[Check]) -> Verdict:
    """The accelerator's share of the whole, which its methodology states."""
    sample = next(sample for sample in published_samples() if "narrow_share" in sample.checks)
    telemetry: Any = cast("dict[str, Any]", block.raw["vetted"]).get("telemetry")
    total_wh = block.reported.energy_wh
    if total_wh is None or not isinstance(telemetry, dict):
        return unknown("no_samples", "It states no energy of accelerator, host and idle to compute with.")
    stated = {
        "gpu_wh": float(cast("dict[str, Any]", telemetry)["gpu_wh"]),
        "it_wh": total_wh,
        "pue": 1.0,  # in the total already
        "narrow_share": sample.stated["narrow_share"],
    }
    finding = check_published(replace(sample, checks=("narrow_share",), stated=stated))
    (share,) = finding.tellings
    checks.append(Check("narrow_share", float(f"{share.implied:.3g}"), share.high, "Vetted methodology 0.2.0"))
    if not share.follows:
        return failed("does_not_follow", f"It does not follow from its own methodology: {share.words()}.")
    return unknown(
        "no_embodied_share", "Accelerator and total fit; the share of manufacture in the carbon is not shown."
    )


_FORMULAS: Mapping[str, Callable[[VendorBlock, list[Check]], Verdict]] = MappingProxyType(
    {"lowrouter": _lowrouter, "vetted": _vetted}
)
"""Vendors whose formula is published far enough to be computed; the others publish no coefficients."""
