"""Records that differ in nothing but tokens, time and names share one estimate; the figures of each follow from it.

The arithmetic is that of `footprints.estimate`, prepared once for each group. A bucket of an aggregated export has the
figures of its average request, as often as it states; where it does not state how many requests it holds, attention
over long prompts is left out (`attention_wh_per_token2_b` 0), because it grows with the length of each prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, hypot
from typing import Any, NamedTuple, cast

from wattproof.methodology.integers import AMOUNTS
from wattproof.methodology.methods.param import PARAM, Indicators, ParamRates, rates
from wattproof.methodology.propagate import Z90, Loadings, Row, mean, scoped
from wattproof.methodology.quantity import Operand, Term, Usage
from wattproof.resources.footprints import Estimate
from wattproof.resources.imports.placing import METHOD, Placed, place
from wattproof.resources.imports.records import UsageRecord
from wattproof.resources.ledger.batches import Group, Record
from wattproof.resources.ledger.records import Amount, EntryDraft, EntryStatus, FactorTerm
from wattproof.resources.providers.records import Deployment
from wattproof.resources.receipts.batch import SCALED_COUNTS
from wattproof.resources.receipts.payload import grid_payload
from wattproof.resources.receipts.schema import OUTPUTS

__all__ = ["BUCKET", "Grouping", "Key"]

BUCKET = "bucket"
"""The `step_kind` of an entry that stands for a bucket of time."""

_TOO_LARGE = "too_large: more than an entry can hold"
_UNCOUNTED = "bucket without a number of requests"
_LIMIT = 2**53
_UNITS = tuple(AMOUNTS[name] for name in OUTPUTS)
_NO_AMOUNTS = (None,) * (3 * len(OUTPUTS))
_NO_MEANS = (None,) * 4
_UNKNOWN = (None, None, None)
_NO_USAGE = Usage(0, 0)


class Key(NamedTuple):
    """What the records of a group have in common."""

    provider: str
    model: str
    workload: str
    status: str
    usage_source: str
    currency: str | None
    bucket: bool = False
    uncounted: bool = False
    too_large: bool = False


@dataclass(slots=True)
class _Prepared:
    """A group, and what turns token counts into its figures; `rates` is None where there are none.

    `scales` turn Wh at the accelerator into each output: (factor, integer units of its unit, sigma of ln of the
    factor), None where it is unknown. `means` turn the terms into the means of energy [nWh] and carbon [ng].
    `energy_sums` adds up the means of energy of all records, term by term.
    """

    group: Group
    placed: Placed
    rates: ParamRates | None
    scales: tuple[tuple[float, float, float] | None, ...] = ()
    means: tuple[tuple[float, float], ...] = ()
    energy_sums: list[int] = field(default_factory=list[int])


class Grouping:
    """Groups as they come up, and the entries that their records become.

    `tags` are put on every entry. Other parameters are those of `placing.place`.
    """

    def __init__(
        self,
        source: str,
        *,
        log_id: str,
        deployments: Sequence[Deployment],
        zone: str | None,
        now_s: float,
        tags: tuple[str, ...] = (),
    ) -> None:
        self._source = source
        self._log_id = log_id
        self._deployments = deployments
        self._zone = zone
        self._now_s = now_s
        self._tags = tags
        self._prepared: dict[Key, _Prepared] = {}
        self._placed: dict[tuple[str, str, str], Placed] = {}
        self.parts: dict[tuple[Key, ...], list[list[Key]]] = {}
        """Which groups fit into one receipt, as far as it was asked."""

    def group(self, key: Key) -> Group:
        """The group of a key that `entry` gave."""
        return self._prepared[key].group

    def placed(self, key: Key) -> Placed:
        """Where the records of a key are taken to have run."""
        return self._prepared[key].placed

    def add_up(self, entries: Sequence[tuple[Key, Record]]) -> None:
        """Add entries to what `energy` gives."""
        means: dict[Key, list[tuple[int | None, ...]]] = {}
        for key, record in entries:
            means.setdefault(key, []).append(record.energy_means)
        for key, of_group in means.items():
            prepared = self._prepared[key]
            added = zip(prepared.energy_sums, *of_group, strict=False)
            prepared.energy_sums = [sum(filter(None, column)) for column in added]

    def energy(self, keys: Sequence[Key]) -> list[Row]:
        """Energy [nWh] of all entries so far of these groups, as parts of a total."""
        rows: list[Row] = []
        for key in keys:
            prepared = self._prepared[key]
            if prepared.energy_sums:
                loadings = [term.energy_loadings for term in prepared.group.draft.terms]
                rows.append(Row(prepared.energy_sums, loadings))
        return rows

    def entry(self, usage: UsageRecord) -> tuple[Key, Record]:
        """The entry of one record, and the key of its group."""
        bucket = usage.until is not None
        key = Key(
            usage.provider,
            usage.model,
            usage.workload,
            usage.status,
            usage.usage_source,
            None if usage.cost_micros is None else usage.currency,
            bucket,
            bucket and usage.requests is None,
        )
        prepared = self._prepared.get(key) or self._prepare(key)
        figures = _figures(prepared, usage)
        if figures is None and prepared.rates is not None:
            key = key._replace(too_large=True)
            prepared = self._prepared.get(key) or self._prepare(key)
        amounts, energy, carbon = figures or (_NO_AMOUNTS, _NO_MEANS, _NO_MEANS)
        record = Record(
            usage.external_id,
            usage.occurred_at,
            (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens),
            amounts,
            energy,
            carbon,
            usage.cost_micros,
            usage.latency_ms,
            usage.finish_reason,
            usage.model,
            usage.provider_request_id,
            usage.operation_id,
            usage.project,
            usage.requests,
            usage.until,
        )
        return key, record

    def _prepare(self, key: Key) -> _Prepared:
        where = (key.model, key.provider, key.workload)
        placed = self._placed.get(where)
        if placed is None:
            placed = self._placed[where] = place(
                *where, deployments=self._deployments, zone=self._zone, now_s=self._now_s
            )
        if key.too_large:
            placed = replace(placed, estimate=None, reason=_TOO_LARGE)
        made = self._prepared[key] = _prepared(key, placed, self._source, self._log_id, self._tags)
        return made


def _prepared(key: Key, placed: Placed, source: str, log_id: str, tags: tuple[str, ...]) -> _Prepared:
    found = placed.estimate
    operands = () if found is None else _operands(found, uncounted=key.uncounted)
    figures = None if found is None else rates({o.name: o.number for o in operands} | _NO_TOKENS, "comprehensive")
    loadings = () if found is None or figures is None else _loadings(found, figures, key.provider)
    draft = _draft(key, placed, figures, loadings, source, log_id, tags)
    group = Group(draft, _statement(draft, placed, operands, figures))
    if figures is None:
        return _Prepared(group, placed, None)
    wall, grams = figures.multipliers.energy.median, figures.multipliers.carbon.median
    means = tuple((wall * 1e9 * _mean(energy), grams * 1e9 * _mean(carbon)) for _, energy, carbon in loadings)
    return _Prepared(group, placed, figures, _scales(figures), means, [0] * len(means))


def _scales(figures: ParamRates) -> tuple[tuple[float, float, float] | None, ...]:
    """What turns Wh at the accelerator into each of OUTPUTS."""
    factors = dict(zip(Indicators._fields, figures.multipliers, strict=True))
    found = [(factors[field], units) for field, units in _UNITS]
    return tuple(None if each is None else (each.median, units, each.sigma_ln) for each, units in found)


_NO_TOKENS: dict[str, float] = dict.fromkeys(SCALED_COUNTS, 0.0)


def _operands(found: Estimate, *, uncounted: bool) -> tuple[Operand, ...]:
    """The operands of a group: all but the token counts."""
    kept = [operand for operand in found.operands if operand.name not in SCALED_COUNTS]
    if uncounted:
        kept = [
            Operand(each.name, 0, 0, each.unit, _UNCOUNTED) if each.name == "attention_wh_per_token2_b" else each
            for each in kept
        ]
    return tuple(kept)


def _loadings(found: Estimate, figures: ParamRates, provider: str) -> tuple[tuple[str, Loadings, Loadings], ...]:
    """Each term's name and its loadings for energy and carbon, factors named by scope."""
    scopes = {"model": found.activity.model.id, "zone": found.region_scope, "provider": provider}
    names = ("decode", "prefill", "cached", "attention")
    energy = scoped([Term(n, 1.0, each) for n, each in zip(names, figures.energy_loadings, strict=True)], *_of(scopes))
    carbon = scoped([Term(n, 1.0, each) for n, each in zip(names, figures.carbon_loadings, strict=True)], *_of(scopes))
    return tuple((e.name, e.loadings, c.loadings) for e, c in zip(energy, carbon, strict=True))


def _of(scopes: Mapping[str, str]) -> tuple[Any, Any]:
    return PARAM.factor_scopes, scopes


def _mean(loadings: Loadings) -> float:
    return mean(Term("", 1.0, loadings))


def _figures(
    prepared: _Prepared, usage: UsageRecord
) -> tuple[tuple[int | None, ...], tuple[int, ...], tuple[int, ...]] | None:
    """Amounts and means of one record; None where there are none, or one is more than an entry can hold.

    `ParamRates.indicators` in integers, without the records in between: this is done for every record.
    """
    figures = prepared.rates
    if figures is None:
        return None
    times = usage.requests or 1
    terms_wh = figures.accelerator.terms_wh(
        usage.input_tokens / times, usage.cached_input_tokens / times, usage.output_tokens / times
    )
    used = 4 if terms_wh[3] else 3 if terms_wh[2] else 2
    median_wh, sigma_ln = figures.mixes[used].match(terms_wh[:used])
    amounts: list[int | None] = []
    for scaled in prepared.scales:
        if scaled is None:
            amounts += _UNKNOWN
            continue
        per_wh, units, sigma_ln_per_wh = scaled
        scale = units * times
        spread = exp(Z90 * hypot(sigma_ln, sigma_ln_per_wh))
        median = median_wh * per_wh
        if not median * spread * scale < _LIMIT:
            return None
        amounts += (round(median * scale), round(median / spread * scale), round(median * spread * scale))
    energy = [round(wh * times * per_wh) for wh, (per_wh, _) in zip(terms_wh, prepared.means, strict=True)]
    carbon = [round(wh * times * per_wh) for wh, (_, per_wh) in zip(terms_wh, prepared.means, strict=True)]
    return tuple(amounts), tuple(energy), tuple(carbon)


def _draft(
    key: Key,
    placed: Placed,
    figures: ParamRates | None,
    loadings: tuple[tuple[str, Loadings, Loadings], ...],
    source: str,
    log_id: str,
    tags: tuple[str, ...],
) -> EntryDraft:
    """The template of the group's entries: what they share."""
    reading, found = placed.reading, placed.estimate
    reasons = _reasons(placed, figures)
    known = {name: None if name in reasons else Amount(0, 0, 0) for name in OUTPUTS}
    return EntryDraft(
        log_id=log_id,
        kind="imported",
        status=cast("EntryStatus", key.status),
        request_id=None,
        request_digest=None,
        occurred_at="1970-01-01T00:00:00Z",
        workload=key.workload,
        provider=key.provider,
        model=placed.model_id,
        resolved_model=None,
        deployment=placed.deployment_id,
        zone=reading.zone,
        location_evidence=placed.location_evidence,
        energy_source="grid-mix" if reading.zone_known else "unknown-mix",
        renewable_ratio_bps=reading.renewable_ratio_bps,
        temporal_match=reading.temporal_match,
        grid_source=reading.source,
        usage=_NO_USAGE,
        usage_source=cast("Any", key.usage_source),
        method_id=METHOD,
        edition=placed.edition,
        tier="proxy" if found is None else found.footprint.tier,
        boundary="comprehensive",
        energy_nwh=known["energy_nwh"],
        carbon_location_ng=known["carbon_location_ng"],
        carbon_market_ng=known["carbon_market_ng"],
        water_nl=known["water_nl"],
        adpe_pgsbeq=known["adpe_pgsbeq"],
        reasons=reasons,
        terms=tuple(FactorTerm(name, 0, 0, energy, carbon) for name, energy, carbon in loadings),
        currency=key.currency,
        tags=tags,
        step_kind=BUCKET if key.bucket else None,
        source=source,
    )


def _reasons(placed: Placed, figures: ParamRates | None) -> dict[str, str]:
    """Why each output is null that is."""
    if figures is None:
        return dict.fromkeys(OUTPUTS, placed.reason or "unknown")
    return {name: figures.reasons[field] for name, (field, _) in AMOUNTS.items() if field in figures.reasons}


def _statement(
    draft: EntryDraft, placed: Placed, operands: Sequence[Operand], figures: ParamRates | None
) -> dict[str, Any]:
    """What the receipt of a batch states of the group (`receipts/batch.py`)."""
    grid = grid_payload(placed.reading.as_dict())
    del grid["requested_at"], grid["age_minutes"]
    return {
        "source": draft.source,
        "status": draft.status,
        "workload": draft.workload,
        "provider": draft.provider,
        "model": draft.model,
        "deployment": draft.deployment,
        "region_scope": draft.zone,
        "zone": draft.zone,
        "location_evidence": draft.location_evidence,
        "energy_source": draft.energy_source,
        "renewable_ratio_bps": draft.renewable_ratio_bps,
        "ghg_scope": "scope3.cat1" if placed.estimate is None else placed.estimate.ghg_scope,
        "usage_source": draft.usage_source,
        "method_id": draft.method_id,
        "method_sha256": placed.method_sha256,
        "edition": draft.edition,
        "edition_sha256": placed.edition_sha256,
        "tier": draft.tier,
        "boundary": draft.boundary,
        "interval": "none" if figures is None else "credible90",
        "reasons": dict(draft.reasons),
        "operands": [
            {
                "name": operand.name,
                "value": operand.value,
                "exp10": operand.exp10,
                "unit": operand.unit,
                "source_id": operand.source_id,
            }
            for operand in operands
        ],
        "grid": grid,
        "currency": draft.currency,
        "step_kind": draft.step_kind,
        "tags": list(draft.tags),
    }
