"""Where a number comes from: the formula and operands behind a method, a receipt or an estimate, and what widens it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, ValidationError

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.foreign import as_name, escaped
from wattproof.methodology.quantity import Quantity
from wattproof.tools.estimate_arguments import EstimateArgs
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, significant
from wattproof.tools.provenance import Provenance, StatedProvenance, sentence
from wattproof.tools.result import JSON_TEXT, Arguments, Detail, Result, first_of
from wattproof.tools.sensitive import driver_shares, sensitivity_fields, tightening_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattproof.methodology.methods import Method
    from wattproof.methodology.quantity import Operand
    from wattproof.resources.footprints import Estimate
    from wattproof.tools.deps import Deps

__all__ = ["ExplainArgs", "ExplainResult", "brief", "explain", "names_a_receipt"]

_FORMULA_IN_TEXT = 120
_LISTED_IN_TEXT = 4
_LISTED_IN_BRIEF = 10
_LONGEST_STATED = 160
_TELLING = (
    "active_params_b",
    "batch",
    "intensity_gco2e_per_kwh",
    "overhead_ratio",
    "pue",
    "total_params_b",
    "watts_per_thread",
)
_PLAIN_SOURCES = ("deployment", "usage", "workload", "cpu-time")
_TOKEN_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens")


class ExplainArgs(Arguments):
    """Arguments of `explain`."""

    subject: Annotated[
        str | dict[str, Any],
        # No id and no JWS begins with a brace, so such text is an object from a client that knows only strings here.
        JSON_TEXT,
        Field(description="Method id, receipt id or JWS, or estimate_request's arguments"),
    ]
    detail: Annotated[Detail | None, Field(description="full: all of it")] = None


class ExplainResult(Result):
    """What `explain` returns. For a receipt, operands and provenance are its own words."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"receipt_id", "edition", "energy_wh", "carbon_gco2e"})
    told_last: ClassVar[tuple[str, ...]] = ("provenance",)
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {
            "methodology_sha256",
            "summary",
            "boundary",
            "interval",
            "tier",
            "embodied_included",
            "not_covered",
            "sources",
            "reasons",
            "synthetic",
            "assumed",
            "drivers",
            "would_tighten",
        }
    )

    subject: Literal["method", "receipt", "estimate"]
    receipt_id: str | None = None
    energy_wh: Figure | None = None
    carbon_gco2e: Figure | None = None
    methodology_sha256: str
    edition: str | None = None
    summary: str
    formula: str
    boundary: str | None
    interval: str
    tier: str
    embodied_included: bool
    operands: tuple[dict[str, Any], ...]
    assumed: tuple[str, ...]
    drivers: dict[str, list[dict[str, Any]]] | None
    would_tighten: dict[str, dict[str, Any] | None] | None
    not_covered: tuple[str, ...]
    sources: tuple[str, ...]
    reasons: dict[str, str]
    synthetic: bool
    provenance: SerializeAsAny[Provenance]

    in_full_only: ClassVar[frozenset[str]] = frozenset({"methodology_sha256", "edition", "embodied_included"})
    usual: ClassVar[Mapping[str, object]] = {"synthetic": False, "boundary": "comprehensive"}

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        fields["formula"] = _cut(self.formula)
        fields["operands"] = sorted(fields["operands"], key=lambda operand: operand["name"] not in _TELLING)
        first_of(fields, "operands", _LISTED_IN_BRIEF)
        for name in ("assumed", "not_covered", "sources"):
            first_of(fields, name, _LISTED_IN_TEXT)
        if self.drivers is not None:
            fields["drivers"] = {name: shares[:3] for name, shares in self.drivers.items()}
        return fields


async def explain(args: ExplainArgs, deps: Deps) -> ExplainResult:
    """Explain a method (its id), a receipt (its id, the JWS, or {jws}), or an estimate (its arguments).

    Raises:
        UnknownMethod, UnknownModel, UnknownZone, UnknownProvider: no edition lists the name.
        InvalidInput: the subject is none of the three, or the estimate's arguments are wrong.
        VerificationFailed: the receipt cannot be read.
        LedgerError: the ledger cannot be read.
    """
    subject = args.subject
    if isinstance(subject, dict) and "jws" not in subject:
        return _of_estimate(*await _estimate(subject, deps))
    if isinstance(subject, dict) or names_a_receipt(subject):
        return await _of_receipt(subject, deps)
    return _of_method(subject)


def brief(result: ExplainResult) -> str:
    """The formula, what it rests on and what widens it, the four named fields last."""
    formula = _cut(result.formula)
    figures = [energy_text(result.energy_wh)] if result.energy_wh else []
    figures += [mass_text(result.carbon_gco2e)] if result.carbon_gco2e else []
    named = f"Receipt {result.receipt_id}" if result.receipt_id else result.subject.capitalize()
    words = [f"{named}: {', '.join(figures)}." if figures else "", f"{result.summary} {formula}"]
    words.append(_operand_words(result))
    if result.assumed:
        words.append(f"Assumed: {_listed(result.assumed, _LISTED_IN_TEXT)}.")
    if result.drivers and result.drivers["energy_wh"]:
        shares = (f"{each['words']} {100 * each['share']:.0f} %" for each in result.drivers["energy_wh"][:3])
        words.append(f"Energy's uncertainty: {', '.join(shares)}.")
    if result.would_tighten and (told := tightening_words({"would_tighten": result.would_tighten})):
        words.append(f"{told}.")
    words.append(f"Not covered: {_listed(result.not_covered, 2, '; ')}.")
    stated = ["As stated:"] if result.subject == "receipt" else []
    return " ".join([*(word for word in words if word), *stated, sentence(result.provenance)])


def names_a_receipt(subject: str) -> bool:
    """A JWS has two dots and no slash; an id of a receipt begins with r_. Method ids have a slash or are aliases."""
    text = subject.strip()
    return text.startswith(("r_", "{")) or (text.count(".") == 2 and "/" not in text)


def _of_method(method_id: str) -> ExplainResult:
    from wattproof.methodology.data import EDITION
    from wattproof.methodology.methods import get_method

    method = get_method(method_id.strip())
    return ExplainResult(
        subject="method",
        edition=EDITION,
        **_method_fields(method),
        boundary=None,
        tier=method.tier,
        operands=tuple({"name": name, "unit": unit} for name, unit in method.operand_units.items()),
        assumed=(),
        drivers=None,
        would_tighten=None,
        reasons=dict.fromkeys(("drivers", "would_tighten", "region_scope"), "a method has no request: give an estimate")
        | {"renewable_ratio_bps": "a method has no zone"},
        synthetic=False,
        provenance=Provenance(
            region_scope="none", energy_source="none", methodology=method.id, renewable_ratio_bps=None
        ),
    )


async def _estimate(given: Mapping[str, Any], deps: Deps) -> tuple[Estimate, dict[str, str]]:
    from wattproof.tools.estimate_cases import asked_for, cases_of, estimated

    try:
        args = EstimateArgs.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(["subject", *map(str, first["loc"][:1])])
        raise InvalidInput(
            where, f"is wrong ({first['msg'][:100]})", "give the arguments of estimate_request"
        ) from error
    case, *more = await cases_of(args, deps)
    if more:
        raise InvalidInput("subject", "gives several estimates", "name one model, one provider and one method")
    found = estimated(case, asked_for(args, deps))
    null = {} if found.renewable_ratio_bps is not None else {"renewable_ratio_bps": "location unknown"}
    return found, dict(found.footprint.reasons) | null


def _of_estimate(found: Estimate, reasons: dict[str, str]) -> ExplainResult:
    return ExplainResult(
        subject="estimate",
        edition=found.edition,
        energy_wh=figure(found.footprint.energy_wh),
        carbon_gco2e=figure(found.footprint.carbon_gco2e),
        **_method_fields(found.method),
        boundary=found.footprint.boundary,
        tier=found.footprint.tier,
        operands=_operand_fields(found.operands),
        assumed=found.assumed,
        **sensitivity_fields(found),
        reasons=reasons,
        synthetic=False,
        provenance=Provenance(
            region_scope=found.region_scope,
            energy_source=found.energy_source,
            methodology=found.method.id,
            renewable_ratio_bps=found.renewable_ratio_bps,
        ),
    )


async def _of_receipt(receipt: str | dict[str, Any], deps: Deps) -> ExplainResult:
    """Its own operands; what widens it is worked out from them. Whether it is signed is for `verify_receipt`."""
    from wattproof.methodology.quantity import Operand
    from wattproof.resources.receipts import validate_payload
    from wattproof.resources.receipts.schema import SCHEMA
    from wattproof.resources.receipts.verify import verify_receipt
    from wattproof.tools.receipt_subject import local_keys, read_subject

    subject = await read_subject(receipt, deps)
    report = verify_receipt(subject.jws, local_keys(deps), now=deps.clock())
    payload = report.payload
    if payload is None:
        verdict = report.verdicts["signature"]
        raise VerificationFailed("format", verdict.reason or "unreadable", f"It cannot be read: {verdict.message}")
    if payload.get("schema") != SCHEMA:
        raise InvalidInput("subject", "is a receipt of another schema", f"give one of {SCHEMA}")
    validate_payload(payload)
    method = _method_of(payload)
    operands = tuple(Operand(**operand) for operand in payload["operands"])
    drivers, reasons = _receipt_drivers(method, operands, payload)
    signature, arithmetic = report.verdicts["signature"], report.verdicts["arithmetic"]
    is_own = signature.verdict == "pass" and report.key_trust == "local"
    reasons |= {
        as_name(name): why if is_own else as_name(why, _LONGEST_STATED) for name, why in payload["reasons"].items()
    }
    reasons["signature"] = f"{signature.verdict}: {signature.message}"
    reasons["arithmetic"] = f"{arithmetic.verdict}: {arithmetic.message}"
    described: dict[str, Any] = _method_fields(method)
    described["methodology_sha256"] = as_name(payload["method_sha256"])
    return ExplainResult(
        subject="receipt",
        receipt_id=report.receipt_id,
        energy_wh=_stated_figure(payload, "energy_nwh"),
        carbon_gco2e=_stated_figure(payload, "carbon_location_ng"),
        edition=as_name(payload["edition"]),
        **described,
        boundary=as_name(payload["boundary"]),
        tier=as_name(payload["tier"]),
        operands=tuple(_stated_operand(operand, method) for operand in operands),
        assumed=tuple(
            as_name(o.name) for o in operands if "factors" in o.source_id and not o.name.startswith("sigma_ln")
        ),
        drivers=drivers,
        would_tighten=None,
        reasons=reasons,
        synthetic=signature.reason == "simulation",
        provenance=StatedProvenance(
            region_scope=as_name(payload["region_scope"]),
            energy_source=as_name(payload["energy_source"]),
            methodology=method.id,
            renewable_ratio_bps=payload["renewable_ratio_bps"],
        ),
    )


def _stated_operand(operand: Operand, method: Method) -> dict[str, Any]:
    """An operand of a receipt that may be anyone's: our own unit by our own name, anything else as a stranger's."""
    known = method.operand_units.get(operand.name) == operand.unit
    return {
        "name": as_name(operand.name),
        "value": operand.number,
        "unit": operand.unit if known else as_name(operand.unit),
        "source_id": as_name(operand.source_id),
    }


def _method_of(payload: Mapping[str, Any]) -> Method:
    """The method of a receipt's figures.

    Raises:
        InvalidInput: it adds up others, or states a method that this release does not have.
    """
    from wattproof.methodology.errors import UnknownMethod
    from wattproof.methodology.methods import get_method

    try:
        return get_method(payload["method_id"])
    except UnknownMethod:
        stated = ascii(str(payload["method_id"])[:60])
        raise InvalidInput(
            "subject",
            f"is a receipt by {stated}, which has no formula here",
            "explain the receipt of one request; verify_receipt judges this one",
        ) from None


def _receipt_drivers(
    method: Method, operands: Sequence[Operand], payload: Mapping[str, Any]
) -> tuple[dict[str, list[dict[str, Any]]] | None, dict[str, str]]:
    reasons = {"would_tighten": "the request is over; explain an estimate to see what would narrow the next one"}
    try:
        footprint = method.compute({operand.name: operand.number for operand in operands}, payload["boundary"])
    except InvalidInput as error:
        return None, reasons | {"drivers": escaped(str(error))}
    return {
        "energy_wh": driver_shares(footprint.energy_terms),
        "carbon_gco2e": driver_shares(footprint.carbon_terms),
    }, reasons


def _stated_figure(payload: Mapping[str, Any], name: str) -> Figure | None:
    """An output of a receipt, which counts in nanounits."""
    stated = payload["outputs"][name]
    if stated is None:
        return None
    low, high = (None if stated[end] is None else stated[end] / 1e9 for end in ("low", "high"))
    return figure(Quantity(stated["median"] / 1e9, low, high))


def _method_fields(method: Method) -> dict[str, Any]:
    return {
        "methodology_sha256": method.sha256,
        "summary": method.summary,
        "formula": method.formula,
        "interval": method.interval,
        "embodied_included": method.embodied_included,
        "not_covered": method.not_covered,
        "sources": method.sources,
    }


def _operand_fields(operands: Sequence[Operand]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"name": operand.name, "value": operand.number, "unit": operand.unit, "source_id": operand.source_id}
        for operand in operands
    )


def _cut(formula: str) -> str:
    """The beginning of a formula on one line; detail=full and the method's resource have all of it."""
    line = " ".join(formula.split())
    return line if len(line) <= _FORMULA_IN_TEXT else line[:_FORMULA_IN_TEXT].rpartition(" ")[0] + " …"


def _listed(names: Sequence[str], most: int, mark: str = ", ") -> str:
    hidden = len(names) - most
    return mark.join(names[:most]) + (f" and {hidden} more" if hidden > 0 else "")


def _operand_words(result: ExplainResult) -> str:
    """How many operands from which sources, and the telling ones: those that somebody could know better."""
    if result.subject == "method":
        return f"{len(result.operands)} operands, each with its unit in the data."
    sources = sorted({operand["source_id"] for operand in result.operands})
    telling = [
        f"{operand['name']} {significant(operand['value'])}"
        for operand in result.operands
        if operand["value"]
        and not operand["name"].startswith(("sigma_ln", "fit_", "is_", "generates"))
        and operand["name"] not in _TOKEN_COUNTS
    ]
    shown = sorted(telling, key=lambda words: words.split()[0] not in _TELLING)[:_LISTED_IN_TEXT]
    origins = [source for source in sources if source not in _PLAIN_SOURCES]
    return f"{len(result.operands)} operands ({', '.join(shown)} …) from {_listed(origins, _LISTED_IN_TEXT)}."
