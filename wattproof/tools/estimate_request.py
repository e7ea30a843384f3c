"""What one request would cost, before it is sent: by one method, or side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.tools.compared import Compared, compared
from wattproof.tools.estimate_arguments import EstimateArgs
from wattproof.tools.estimate_cases import Asked, Case, asked_for, cases_of, estimated, with_newest
from wattproof.tools.estimate_result import EstimateResult, brief_of_one, result_of_one
from wattproof.tools.estimate_rows import EstimateRows, Row, brief_of_rows, result_of_rows

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.tools.deps import Deps

__all__ = ["EstimateArgs", "EstimateResult", "EstimateRows", "brief", "estimate_one", "estimate_request"]


async def estimate_request(args: EstimateArgs, deps: Deps) -> EstimateResult | EstimateRows:
    """Estimate one request with the interval that the method publishes; several models or methods give rows.

    The place is the caller's zone, else the deployment's, else `unknown:<provider>` with the mixture of all bundled
    zones. The request is sent nowhere; with `grid: live` the grid sources are asked about the place.

    Raises:
        UnknownModel, UnknownZone, UnknownMethod, UnknownProvider: no edition lists the name.
        InvalidInput: token counts contradict each other, or neither `input_tokens` nor `text` is given.
        NotDefined: no method covers the workload, or the only one that was asked for does not.
    """
    asked = asked_for(args, deps)
    cases = await cases_of(args, deps)
    if args.grid == "live":
        asked = await with_newest(asked, cases, deps)
    if len(cases) == 1:
        return await _one(cases[0], asked, args, deps)
    rows = [await _row(case, asked, args, deps) for case in cases]
    return result_of_rows(rows, asked, full=args.detail == "full")


async def estimate_one(args: EstimateArgs, deps: Deps) -> EstimateResult:
    """The same where one model, one place and one method are named. Raises as `estimate_request` does.

    Raises:
        InvalidInput: several were named.
    """
    case, *more = await cases_of(args, deps)
    if more:
        problem = f"gives {1 + len(more)} estimates with its providers and methods"
        raise InvalidInput("model", problem, "name one of each")
    asked = asked_for(args, deps)
    if args.grid == "live":
        asked = await with_newest(asked, (case,), deps)
    return await _one(case, asked, args, deps)


def brief(result: EstimateResult | EstimateRows) -> str:
    """The result in a few sentences, the four named fields last."""
    return brief_of_rows(result) if isinstance(result, EstimateRows) else brief_of_one(result)


async def _one(case: Case, asked: Asked, args: EstimateArgs, deps: Deps) -> EstimateResult:
    found = estimated(case, asked)
    return result_of_one(
        found,
        asked,
        provider_id=found.provider if case.deployment else case.provider,
        baseline=await _baseline(found, case, asked, args, deps),
        full=args.detail == "full",
    )


async def _row(case: Case, asked: Asked, args: EstimateArgs, deps: Deps) -> Row:
    """A row with its figures, or with the reason why its method gives none."""
    from wattproof.methodology.methods import get_method

    try:
        found = estimated(case, asked)
    except (NotDefined, InvalidInput) as error:
        method_id = get_method(case.method_id).id if case.method_id else "none"
        return Row(case, method_id, None, str(error))
    return Row(case, found.method.id, found, None, await _baseline(found, case, asked, args, deps))


async def _baseline(found: Estimate, case: Case, asked: Asked, args: EstimateArgs, deps: Deps) -> Compared | None:
    """The estimate beside the baseline: the same tokens, the same method, the same grid reading."""
    if args.baseline is None:
        return None
    only = args.model_copy(
        update={"model": args.baseline, "provider": case.provider, "methods": case.method_id, "baseline": None}
    )
    (other,) = await cases_of(only, deps)
    theirs = estimated(replace(other, method_id=found.method.id), asked, reading=found.reading)
    return compared(found, theirs, None if args.detail == "full" else 3)
