"""Records that differ in nothing but tokens, time and names share one estimate; the figures of each follow from it.

A bucket of an aggregated export that does not state how many requests it holds has no attention over long prompts
(`attention_wh_per_token2_b` 0): that grows with the length of each prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wattproof.methodology.methods.param import rates
from wattproof.methodology.propagate import Row
from wattproof.methodology.quantity import Operand
from wattproof.resources.footprints import Estimate
from wattproof.resources.imports.figures import NO_FIGURES, Figures, GroupFigures
from wattproof.resources.imports.placing import Placed, place
from wattproof.resources.imports.records import UsageRecord
from wattproof.resources.imports.statements import BUCKET, Key, group_of
from wattproof.resources.ledger.batches import Group, Record
from wattproof.resources.providers.records import Deployment
from wattproof.resources.receipts.batch import SCALED_COUNTS

__all__ = ["BUCKET", "Grouping", "Key", "Members"]

Members = dict[Key, list[Record]]
"""Entries by the key of their group."""

_TOO_LARGE = "too_large: more than an entry can hold"
_UNCOUNTED = "bucket without a number of requests"
_NO_TOKENS: dict[str, float] = dict.fromkeys(SCALED_COUNTS, 0.0)


@dataclass(slots=True)
class _Prepared:
    """A group, and what gives its figures; `energy_sums` adds up the means of energy of all records, term by term."""

    group: Group
    placed: Placed
    figures: GroupFigures | None
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
        """The group of a key that `entries` gave."""
        return self._prepared[key].group

    def placed(self, key: Key) -> Placed:
        """Where the records of a key are taken to have run."""
        return self._prepared[key].placed

    def energy(self, keys: Sequence[Key]) -> list[Row]:
        """Energy [nWh] of all entries so far of these groups, as parts of a total."""
        rows: list[Row] = []
        for key in keys:
            prepared = self._prepared[key]
            if prepared.energy_sums:
                loadings = [term.energy_loadings for term in prepared.group.draft.terms]
                rows.append(Row(prepared.energy_sums, loadings))
        return rows

    def entries(self, usages: Sequence[UsageRecord]) -> Members:
        """The entries of records, in the order in which they came within each group."""
        by_key: dict[Key, list[UsageRecord]] = {}
        for usage in usages:
            by_key.setdefault(_key(usage), []).append(usage)
        found: Members = {}
        for key, of_key in by_key.items():
            prepared = self._of(key)
            if prepared.figures is None:
                found.setdefault(key, []).extend([_record(usage, NO_FIGURES) for usage in of_key])
                continue
            figures = prepared.figures.of(of_key)
            self._add_up(prepared, figures)
            for usage, each in zip(of_key, figures, strict=True):
                if each is None:
                    large = key._replace(too_large=True)
                    self._of(large)
                    found.setdefault(large, []).append(_record(usage, NO_FIGURES))
                else:
                    found.setdefault(key, []).append(_record(usage, each))
        return found

    def _add_up(self, prepared: _Prepared, figures: Sequence[Figures | None]) -> None:
        means = [each[1] for each in figures if each is not None]
        columns = zip(prepared.energy_sums, *means, strict=True)
        prepared.energy_sums = [sum(mean or 0 for mean in column) for column in columns]

    def _of(self, key: Key) -> _Prepared:
        known = self._prepared.get(key)
        if known is not None:
            return known
        where = (key.model, key.provider, key.workload)
        placed = self._placed.get(where)
        if placed is None:
            placed = self._placed[where] = place(
                *where, deployments=self._deployments, zone=self._zone, now_s=self._now_s
            )
        if key.too_large:
            placed = replace(placed, estimate=None, reason=_TOO_LARGE)
        made = self._prepared[key] = self._prepare(key, placed)
        return made

    def _prepare(self, key: Key, placed: Placed) -> _Prepared:
        found = placed.estimate
        operands = () if found is None else _operands(found, uncounted=key.uncounted)
        prepared = None if found is None else rates({o.name: o.number for o in operands} | _NO_TOKENS, "comprehensive")
        group = group_of(key, placed, prepared, operands, source=self._source, log_id=self._log_id, tags=self._tags)
        if prepared is None:
            return _Prepared(group, placed, None)
        return _Prepared(group, placed, GroupFigures.at(prepared), [0] * len(group.draft.terms))


def _key(usage: UsageRecord) -> Key:
    bucket = usage.until is not None
    return Key(
        usage.provider,
        usage.model,
        usage.workload,
        usage.status,
        usage.usage_source,
        None if usage.cost_micros is None else usage.currency,
        bucket,
        bucket and usage.requests is None,
    )


def _record(usage: UsageRecord, figures: Figures) -> Record:
    return Record(
        usage.external_id,
        usage.occurred_at,
        (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens),
        *figures,
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


def _operands(found: Estimate, *, uncounted: bool) -> tuple[Operand, ...]:
    """The operands of a group: all but the token counts."""
    kept = [operand for operand in found.operands if operand.name not in SCALED_COUNTS]
    if uncounted:
        kept = [
            Operand(each.name, 0, 0, each.unit, _UNCOUNTED) if each.name == "attention_wh_per_token2_b" else each
            for each in kept
        ]
    return tuple(kept)
