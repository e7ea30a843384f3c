"""Each tool as an MCP tool: what a model reads about it, and how a call becomes text and structured content."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ImageContent, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import ValidationError

from wattproof.methodology.errors import Unavailable, WattproofError
from wattproof.server.mcp_elicit import within_budgets
from wattproof.server.mcp_errors import argument_problems
from wattproof.server.mcp_schemas import input_schema, output_schema
from wattproof.tools import estimate_request as estimate
from wattproof.tools import explain
from wattproof.tools import recommend_window as window
from wattproof.tools import run_inference as run
from wattproof.tools import summarize_ledger as summarize
from wattproof.tools import track_operation as track
from wattproof.tools import verify_receipt as verify
from wattproof.tools.progress import Report
from wattproof.tools.provenance import META_KEY, named_fields
from wattproof.tools.result import Arguments, Result

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["PROFILE_TOOLS", "TOOLS", "ToolSpec", "sdk_tool", "tools_of"]

# The four named fields where nothing more particular is known. In the definitions, so that a client can show them
# before it calls.
_DEFAULTS: dict[str, Any] = {
    META_KEY: {
        "region_scope": "unknown",
        "energy_source": "unknown-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": None,
    }
}


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
    ),
}


def tools_of(profiles: Iterable[str]) -> tuple[ToolSpec, ...]:
    """The core tools, then those of each profile."""
    return TOOLS + tuple(spec for profile in profiles for spec in PROFILE_TOOLS[profile])


def sdk_tool(spec: ToolSpec) -> Tool:
    """The MCP tool of one row. Our own argument model checks the call, so that its errors can say what would work."""

    async def call(arguments: dict[str, Any], ctx: Context[Deps, Any]) -> CallToolResult | InputRequiredResult:
        # The one place where our errors become the SDK's, which hides the text of every other exception.
        try:
            args = spec.arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(argument_problems(error, spec.arguments)) from None

        async def run() -> Any:
            return await spec.call(args, ctx.request_context.lifespan_context, ctx.report_progress)

        try:
            result = await within_budgets(run, ctx)
        except WattproofError as error:
            raise ToolError(str(error)) from error
        if isinstance(result, InputRequiredResult):
            return result
        return _called(spec, result, args)

    return Tool(
        fn=call,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        parameters=input_schema(spec.arguments),
        fn_metadata=_OwnArguments(arg_model=ArgModelBase, output_schema=output_schema(spec.result)),
        is_async=True,
        context_kwarg="ctx",
        annotations=ToolAnnotations(
            read_only_hint=spec.read_only,
            destructive_hint=False,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        ),
        meta=_DEFAULTS,
    )


class _OwnArguments(FuncMetadata):
    """Hands the arguments to the tool function unchecked, which checks them itself.

    The SDK's own check would show pydantic's dump to the model, and would read any text that happens to be JSON as an
    object. The result is not validated a second time: it comes from our own checked model, and the contract tests
    compare it with the published schema.
    """

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        return {"arguments": arguments_to_validate}


def _called(spec: ToolSpec, result: Any, args: Arguments) -> CallToolResult:
    structured = result.structured()
    meta = named_fields(result.provenance, structured.get("receipt_id"))
    return CallToolResult(
        content=[TextContent(type="text", text=spec.brief(result)), *_picture(result, args)],
        structured_content=structured,
        _meta={META_KEY: meta},
    )


def _picture(result: Any, args: Arguments) -> list[TextContent | ImageContent]:
    """The picture that was asked for; in plain text where nothing can draw it here."""
    if getattr(args, "detail", None) != "plot":
        return []
    from wattproof.tools.intervals import text_bars
    from wattproof.tools.picture import picture

    try:
        image = picture(result, "png")
    except Unavailable as error:
        return [TextContent(type="text", text=f"{text_bars(result)}\n{error}")]
    return [ImageContent(type="image", data=b64encode(image).decode("ascii"), mime_type="image/png")]
