"""Each tool of the table as an MCP tool: how a call becomes text and structured content."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import (
    CallToolResult,
    ClientCapabilities,
    ImageContent,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import ValidationError

from wattproof.methodology.errors import Unavailable, WattproofError
from wattproof.methodology.foreign import escaped
from wattproof.server.mcp_deps import deps_of
from wattproof.server.mcp_elicit import within_budgets
from wattproof.server.mcp_errors import argument_problems
from wattproof.server.mcp_links import links
from wattproof.server.mcp_schemas import input_schema, output_schema
from wattproof.server.tool_table import ToolSpec
from wattproof.tools.provenance import META_KEY, SALT_KEY, named_fields
from wattproof.tools.result import Arguments

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["sdk_tool"]

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


def sdk_tool(spec: ToolSpec) -> Tool:
    """The MCP tool of one row. Our own argument model checks the call, so that its errors can say what would work."""

    async def call(arguments: dict[str, Any], ctx: Context[Deps, Any]) -> CallToolResult | InputRequiredResult:
        # The one place where our errors become the SDK's, which hides the text of every other exception.
        try:
            args = spec.arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(argument_problems(error, spec.arguments)) from None

        deps = deps_of(ctx)

        async def run() -> Any:
            return await spec.call(args, deps, ctx.report_progress)

        try:
            result = await within_budgets(run, ctx)
        except WattproofError as error:
            raise ToolError(escaped(str(error))) from error
        if isinstance(result, InputRequiredResult):
            return result
        return _called(spec, result, args, ctx.client_capabilities)

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


def _called(spec: ToolSpec, result: Any, args: Arguments, client: ClientCapabilities | None) -> CallToolResult:
    # A picture is asked for with detail too; its data are as brief as without it.
    structured = result.structured(brief=getattr(args, "detail", None) != "full")
    meta: dict[str, Any] = {META_KEY: named_fields(result.provenance, structured.get("receipt_id"))}
    salt = getattr(result, "request_salt", None)
    if salt is not None:
        # Given once, here: it opens the receipt's commitment to the request. For programs; no model has a use for it.
        meta[SALT_KEY] = salt
    return CallToolResult(
        content=[
            TextContent(type="text", text=spec.brief(result)),
            *_picture(result, args),
            *links(spec.name, result, client),
        ],
        structured_content=structured,
        _meta=meta,
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
