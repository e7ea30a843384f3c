"""`docs/validation.md`: every method beside published figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from docs.generate.markdown import factor, interval, ratio, table
from docs.generate.measurements import GROUPS, Case, Group, cases, reference
from docs.generate.scores import Comparison, NotApplicable, Score, compare, score
from wattproof.methodology.data import EDITION
from wattproof.methodology.methods import Activity, Intensity, Method, all_methods
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import IntervalKind, Usage, Workload
from wattproof.methodology.zones import zone_average
from wattproof.tools.figures import significant

__all__ = ["render"]

_INTERVALS: Mapping[IntervalKind, str] = {"credible90": "90 %", "range": "min–max", "none": "none"}
_GROUP_TEXT: Mapping[Group, str] = {
    "metered": "Accelerators under a meter. The last column says what the publications leave open. Only LLaMA 65B\n"
    "is far from our fit; the others come from its laboratory, model families and kind of server.",
    "operator": "What Google and OpenAI say of their own services. Neither names the model or the number of tokens.",
    "estimate": "Nobody metered these: they come from other formulas, latencies or a doubled GPU figure.\n"
    "Agreement with them says that two estimates agree.",
    "fit": "**In-sample for `wattproof/param`**, whose coefficients are a regression on this leaderboard. It says how\n"
    "well six coefficients describe their own data, nothing about other servers. No prompt is given to the methods,\n"
    "because the published energy per output token holds that of short prompts.",
    "fit-best": "In-sample as well, but the batch is kept from the methods. The best batch is the most favourable\n"
    "point of each curve, so an estimate that assumes an ordinary batch lies above it.",
}


def render() -> str:
    """The page."""
    return "\n".join(
        (
            _INTRODUCTION.format(edition=EDITION, cases=len(cases()), **_in_short()),
            *(_group(group) for group in GROUPS),
            _not_applicable(),
            _FITTED.format(**_batch_counts()),
            _matrix(),
            _reference(),
            _NEXT,
        )
    )


_INTRODUCTION = """\
<!-- Written by `make docs` (python -m docs.generate). Do not edit: a test compares it with the code. -->
# Validation: every method beside published figures

{cases} published energy figures, each put to every method of edition {edition} with what its publication states: model,
tokens and, where given, batch, hardware and precision.

**In short.** {n_backed} figures have a meter or an operator behind them and are not data of our fit. {backed} of them
lie inside the 90 % interval of `{method}`; half of them are missed by more than ×/÷ {error}, and the
intervals span a factor of {width}. That is too few to call any method validated, and {n_known} of the {n_backed} were
known when the default batch was chosen: see [what was fitted on what](#what-was-fitted-on-what).

How to read the tables:

- *Bias*: the median of estimated over published. 1 is right, 2 is twice too high.
- *Error*: half of the cases are missed by more than this factor.
- *Inside*: the published figures within the method's own interval. Nine in ten are due to a 90 % interval; a min–max
  range promises no share, and a dash says that the method gives no width for these cases.
- *Width*: the median of upper over lower end. Who is wide hits easily.
- *Scope*: `GPU` the accelerators alone, `all` the whole data centre. A method that knows one boundary answers with it.
- `[unverified]`: the figure was read in a second source, not at its origin. † ‡ are explained
  [below](#what-was-fitted-on-what).

Only energy is compared: carbon follows from it by the grid's intensity, which these publications do not state. Rows,
sources and assumptions: [`measurements.json`](generate/measurements.json).
"""

_FITTED = """\
## What was fitted on what

- **Coefficients of `wattproof/param`**: least squares on 486 configurations of the ML.ENERGY leaderboard, to which the
  cases of our own fit belong. Leaving out one model family at a time, half of the configurations are missed by more
  than ×/÷ 1.22 and a tenth by more than ×/÷ 1.69, with the batch known.
- **Default batch 64**: picked *after* batch 128 had failed on the cases marked †. Of these {n}, {at_64} lie
  inside with 64 and {at_128} with 128. So {at_64} of {n} is not a held-out score.
- **Growth with long prompts**: its coefficient is derived, and was checked against Epoch's two long prompts.
- **Host and idle share**: taken from Google's report, which is also the source of the Gemini case.
- **Cases marked ‡** were looked at for the first time after all constants were set. Two cases are no sample.
- MIT Technology Review's Llama figures and the older leaderboard come from the laboratory of the fit.
- EcoLogits' authors fitted 0.4.0 on LLM-Perf and 0.11.3 on ML.ENERGY, so the ML.ENERGY cases are near its own data too.
  LowRouter uses the coefficients of 0.4. Those of `batchin/*` are our own reading, because the vendor publishes none.
- `factors/*` and the parametric tier of `vetted/ladder` rest on `wattproof/param` and inherit everything above.
"""

_NEXT = """\
## The next release

Cases, method, default batch, metrics and thresholds of the next score are fixed in advance in
[`pre-registration.json`](pre-registration.json), and a test holds its hash.
"""


@cache
def _compared(method: Method) -> tuple[Comparison | NotApplicable, ...]:
    return tuple(compare(method, case) for case in cases())


def _comparisons(method: Method) -> Iterator[Comparison]:
    return (each for each in _compared(method) if isinstance(each, Comparison))


def _in_short() -> dict[str, str]:
    """The default method over everything that was metered or stated by an operator, outside the fit."""
    method = all_methods()[0]
    backed = [each for each in _comparisons(method) if each.case.group in ("metered", "operator")]
    scored = score(backed)
    assert scored is not None
    assert scored.width is not None
    return {
        "method": method.id,
        "n_backed": str(scored.n),
        "n_known": str(sum(each.case.seen_for_batch for each in backed)),
        "backed": str(scored.covered),
        "error": ratio(scored.error),
        "width": ratio(scored.width),
    }


def _group(group: Group) -> str:
    rows = [
        _score_row(method, scored)
        for method in all_methods()
        if (scored := score(each for each in _comparisons(method) if each.case.group == group)) is not None
    ]
    count = sum(case.group == group for case in cases())
    header = ("method", "n", "bias", "error", "interval", "inside", "width")
    return (
        f"## {GROUPS[group]} ({count})\n\n{_GROUP_TEXT[group]}\n\n{table(header, rows)}\n"
        f"By the default method:\n\n{_default_cases(group)}"
    )


def _score_row(method: Method, scored: Score) -> tuple[str, ...]:
    return (
        f"`{method.id}`",
        str(scored.n),
        ratio(scored.bias),
        factor(scored.error),
        _INTERVALS[method.interval],
        f"{scored.covered} of {scored.intervals}" if scored.intervals else "–",
        ratio(scored.width) if scored.width is not None else "–",
    )


def _not_applicable() -> str:
    """Per method and reason, the cases that it cannot be put to."""
    reasons: dict[tuple[str, str], int] = {}
    for method in all_methods():
        for each in _compared(method):
            if isinstance(each, NotApplicable):
                key = (method.id, each.reason)
                reasons[key] = reasons.get(key, 0) + 1
    lines = [
        f"- `{method_id}`, {'all' if count == len(cases()) else count} cases: {reason.rstrip('.')}."
        for (method_id, reason), count in reasons.items()
    ]
    return "## Not comparable\n\n" + "\n".join(lines or ["Every method answers every case."]) + "\n"


def _batch_counts() -> dict[str, int]:
    """How many of the cases that the batch was chosen on lie inside the default method's interval, by default batch."""
    seen = [case for case in cases() if case.seen_for_batch]
    return {"n": len(seen), "at_64": _inside(seen, 64), "at_128": _inside(seen, 128)}


def _inside(among: Iterable[Case], batch: float) -> int:
    method = all_methods()[0]
    found = 0
    for case in among:
        numbers = {operand.name: operand.number for operand in method.operands(case.activity())}
        energy_wh = method.compute(numbers | {"batch": batch}, case.boundary).energy_wh
        found += energy_wh is not None and Comparison(case, energy_wh).inside is True
    return found


def _default_cases(group: Group) -> str:
    """The cases of a group, by the default method."""
    method = all_methods()[0]
    rows = [
        (
            _title(each.case),
            "GPU" if each.case.boundary == "narrow" else "all",
            significant(each.case.published_wh),
            interval(each.energy_wh),
            ratio(each.ratio),
            "yes" if each.inside else "**no**",
            "; ".join(each.case.assumed) or "–",
        )
        for each in _comparisons(method)
        if each.case.group == group
    ]
    header = ("case", "scope", "published [Wh]", f"`{method.id}` [Wh]", "ratio", "inside", "assumed by us")
    return table(header, rows, numbers=False)


def _title(case: Case) -> str:
    marks = ("†" if case.seen_for_batch else "") + ("‡" if case.new else "")
    return f"[{case.title}]({case.url}){marks}{' [unverified]' if case.unverified else ''}"


def _matrix() -> str:
    """Estimated over published, every method by every case."""
    methods = [method for method in all_methods() if any(True for _ in _comparisons(method))]
    header = ("case", *(method.id.replace("@", "<br>") for method in methods))
    rows = [(case.title, *(_cell(_compared(method)[at]) for method in methods)) for at, case in enumerate(cases())]
    return (
        "## Every method, case by case\n\n<details><summary>Estimated over published</summary>\n\n"
        f"Bold: the published figure lies inside the method's interval or range.\n\n{table(header, rows)}\n</details>\n"
    )


def _cell(each: Comparison | NotApplicable) -> str:
    if isinstance(each, NotApplicable):
        return "–"
    return f"**{ratio(each.ratio)}**" if each.inside else ratio(each.ratio)


def _reference() -> str:
    """Mistral's figure, with what the electricity of the same answer comes to."""
    shown, zone = reference(), zone_average(reference().zone)
    method = all_methods()[0]
    grams = method.footprint(
        Activity(
            workload=Workload.CHAT,
            usage=Usage(shown.input_tokens, shown.output_tokens),
            model=find_model(shown.model),
            intensity=Intensity(zone.value_gco2e_per_kwh, zone.sigma_ln, zone.source_id),
        )
    ).carbon_gco2e
    assert grams is not None
    return (
        "## Shown, not compared\n\n"
        f"[{shown.title}]({shown.url}): {shown.carbon_gco2e:g} g CO2e, {shown.water_ml:g} mL of water, "
        f"{shown.adpe_mgsbeq:g} mg Sb eq ({shown.source}).\nThe electricity of such an answer in {shown.zone} comes to "
        f"{interval(grams)} g by `{method.id}`.\n{shown.note}\n"
    )
