"""What a provider says of the footprint of one answer, in our units, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Flag", "ReportedFootprint"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One doubt about what a provider reports.

    `code` is stable, `field` names a field of `ReportedFootprint`, `detail` says it in our words; what it quotes of the
    provider is cut and escaped. Codes of `read_reported`:

    | code | meaning |
    |---|---|
    | not_a_number | text, a boolean or a structure where a number belongs; the value is left out |
    | out_of_range | negative, not finite, or beyond what one request can be; left out |
    | zero | nothing is nothing: a zero where a request must cost something; left out |
    | ambiguous_unit | the name of the field has two readings; the one that suits a request is taken |
    | unknown_unit | the block names a unit that we do not know; left out |
    | self_contradiction | two statements of one amount differ by more than 1 %; left out |
    | incomplete | a sum lacks a part; left out |
    | not_a_zone | the location is no grid zone |
    | live_overstated | called live although its own age says otherwise |
    | several_vendors | blocks of several vendors; the first is read |

    Codes of `cross_check`: energy_far_from_estimate, energy_per_token, below_own_formula, contradicts_grid,
    beyond_any_grid, renewable_share, implausible_pue, implausible_power, location_differs.
    """

    code: str
    field: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFootprint:
    """One answer's footprint as its provider states it; None where it states nothing usable.

    `vendor` names the shape of the block, not who is behind it. `zone` and the texts are the provider's words, cut to
    40 and 100 printable characters, `zone` in upper case. `intensity_gco2e_per_kwh` is implied: grams over energy.
    `grid_age_minutes` is the stated age of the grid value used. `raw_blocks` names the blocks that were there.
    """

    vendor: str
    energy_wh: float | None = None
    carbon_gco2e: float | None = None
    water_ml: float | None = None
    renewable_ratio_bps: int | None = None
    pue: float | None = None
    zone: str | None = None
    average_power_w: float | None = None
    duration_s: float | None = None
    grid_age_minutes: float | None = None
    methodology: str | None = None
    accuracy: str | None = None
    evidence: str | None = None
    flags: tuple[Flag, ...] = ()
    raw_blocks: tuple[str, ...] = ()

    @property
    def intensity_gco2e_per_kwh(self) -> float | None:
        """Grams per kWh of what is stated, or None where either is missing."""
        if self.energy_wh is None or self.carbon_gco2e is None:
            return None
        return self.carbon_gco2e / self.energy_wh * 1000
