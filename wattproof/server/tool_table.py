"""The table of tools: what a model reads about each, and the verb that a call runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattproof.tools import check_claim as claim
from wattproof.tools import estimate_request as estimate
from wattproof.tools import explain, restate
from wattproof.tools import export_evidence as evidence
from wattproof.tools import import_usage as usage
from wattproof.tools import recommend_window as window
from wattproof.tools import run_inference as run
from wattproof.tools import summarize_ledger as summarize
from wattproof.tools import track_operation as track
from wattproof.tools import verify_receipt as verify
from wattproof.tools.progress import Report
from wattproof.tools.result import Arguments, Result

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["PROFILE_TOOLS", "TOOLS", "ToolSpec", "tools_of"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One row of the tool table. The two `str` fields are read by models; keep them short."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[Result]
    call: Callable[[Any, Deps, Report], Awaitable[Any]]
    brief: Callable[[Any], str]
    read_only: bool
    idempotent: bool
    open_world: bool


async def _estimate(args: estimate.EstimateArgs, deps: Deps, _report: Report) -> Result:
    return await estimate.estimate_request(args, deps)


async def _explain(args: explain.ExplainArgs, deps: Deps, _report: Report) -> explain.ExplainResult:
    return await explain.explain(args, deps)


async def _summarize(args: summarize.SummaryArgs, deps: Deps, _report: Report) -> summarize.SummaryResult:
    return await summarize.summarize_ledger(args, deps)


async def _track(args: track.OperationArgs, deps: Deps, _report: Report) -> track.OperationResult:
    return await track.track_operation(args, deps)


async def _verify(args: verify.VerifyArgs, deps: Deps, _report: Report) -> verify.VerifyResult:
    return await verify.verify_receipt(args, deps)


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        name="estimate_request",
        title="Estimate a request",
        description="Energy and CO2e of an LLM request before it is sent; compares models and methods.",
        arguments=estimate.EstimateArgs,
        result=estimate.EstimateResult,
        call=_estimate,
        brief=estimate.brief,
        read_only=True,
        idempotent=True,
        open_world=False,
    ),
    ToolSpec(
        name="run_inference",
        title="Run a request",
        description="Send a chat request to the provider that fits the limits; answer and signed receipt.",
        arguments=run.RunArgs,
        result=run.RunResult,
        call=run.run_inference,
        brief=run.brief,
        read_only=False,
        idempotent=False,
        open_world=True,
    ),
    ToolSpec(
        name="track_operation",
        title="Track a workflow",
        description="Steps under one operation_id: totals, budget, SCI; end signs one receipt over them.",
        arguments=track.OperationArgs,
        result=track.OperationResult,
        call=_track,
        brief=track.brief,
        read_only=False,
        idempotent=False,
        open_world=False,
    ),
    ToolSpec(
        name="summarize_ledger",
        title="Summarize the ledger",
        description="Totals of recorded requests over a period, with intervals.",
        arguments=summarize.SummaryArgs,
        result=summarize.SummaryResult,
        call=_summarize,
        brief=summarize.brief,
        read_only=True,
        idempotent=True,
        open_world=False,
    ),
    ToolSpec(
        name="verify_receipt",
        title="Verify a receipt",
        description="Check signature, log inclusion, arithmetic, plausibility and age of a receipt.",
        arguments=verify.VerifyArgs,
        result=verify.VerifyResult,
        call=_verify,
        brief=verify.brief,
        read_only=True,
        idempotent=True,
        open_world=False,
    ),
    ToolSpec(
        name="explain",
        title="Explain a number",
        description="Formula, operands with sources, assumptions and what would narrow a method, receipt or estimate.",
        arguments=explain.ExplainArgs,
        result=explain.ExplainResult,
        call=_explain,
        brief=explain.brief,
        read_only=True,
        idempotent=True,
        open_world=False,
    ),
)


async def _window(args: window.WindowArgs, deps: Deps, _report: Report) -> window.WindowResult:
    return await window.recommend_window(args, deps)


async def _claim(args: claim.ClaimArgs, deps: Deps, _report: Report) -> claim.ClaimResult:
    return await claim.check_claim(args, deps)


async def _evidence(args: evidence.EvidenceArgs, deps: Deps, _report: Report) -> evidence.EvidenceResult:
    return await evidence.export_evidence(args, deps)


PROFILE_TOOLS: Mapping[str, tuple[ToolSpec, ...]] = {
    "ops": (
        ToolSpec(
            name="recommend_window",
            title="Recommend when and where to run",
            description=(
                "Find the time and zone with the lowest forecast carbon intensity before a deadline. Sends no request."
            ),
            arguments=window.WindowArgs,
            result=window.WindowResult,
            call=_window,
            brief=window.brief,
            read_only=True,
            idempotent=True,
            open_world=True,
        ),
        ToolSpec(
            name="import_usage",
            title="Import usage",
            description=(
                "Totals by model from logs of this user (Claude Code, Codex) or usage exports, each record once. First "
                "a dry run; with dry_run false they are appended to the ledger."
            ),
            arguments=usage.ImportUsageArgs,
            result=usage.ImportResult,
            call=usage.import_usage,
            brief=usage.brief,
            read_only=False,
            idempotent=True,
            open_world=False,
        ),
    ),
    "audit": (
        ToolSpec(
            name="check_claim",
            title="Check a claim",
            description=(
                "Check the wording of a claim on energy or carbon, and its figures against a receipt; says what to "
                "write instead. Not legal advice."
            ),
            arguments=claim.ClaimArgs,
            result=claim.ClaimResult,
            call=_claim,
            brief=claim.brief,
            read_only=True,
            idempotent=True,
            open_world=False,
        ),
        ToolSpec(
            name="restate_period",
            title="Restate a period",
            description=(
                "Compute a past period under another method or annual grid averages; says what explains the "
                "difference and keeps it beside the original."
            ),
            arguments=restate.RestateArgs,
            result=restate.RestateResult,
            call=restate.restate,
            brief=restate.brief,
            read_only=False,
            idempotent=True,
            open_world=False,
        ),
        ToolSpec(
            name="export_evidence",
            title="Draw receipts for a check",
            description=(
                "Draw a random sample of receipts for a reviewer, each readable with its proof under the log's signed "
                "root."
            ),
            arguments=evidence.EvidenceArgs,
            result=evidence.EvidenceResult,
            call=_evidence,
            brief=evidence.brief,
            # It signs the log's present root, and keeps that.
            read_only=False,
            idempotent=True,
            open_world=False,
        ),
    ),
}


def tools_of(profiles: Iterable[str]) -> tuple[ToolSpec, ...]:
    """The core tools, then those of each profile."""
    return TOOLS + tuple(spec for profile in profiles for spec in PROFILE_TOOLS[profile])
