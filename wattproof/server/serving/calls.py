"""Every tool call, watched: one log line, the metrics, what its span says, and a name for what nobody foresaw."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any, cast

from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult

from wattproof.server.auth.principal import principal_in
from wattproof.server.serving.front import REQUEST_ID_KEY

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.types import InputRequiredResult

    from wattproof.server.serving.metrics import Metrics
    from wattproof.tools.deps import Deps

__all__ = ["Calls"]

Call = Callable[[dict[str, Any], "Context[Deps, Any]"], Awaitable["CallToolResult | InputRequiredResult"]]

_log = logging.getLogger("wattproof.calls")

# What a span says of a result, and where the result says it.
_ON_SPANS = (
    ("wattproof.receipt_id", ("receipt_id",)),
    ("wattproof.interval", ("interval",)),
    ("wattproof.energy.median_wh", ("energy_wh", "median")),
    ("wattproof.carbon.median_gco2e", ("carbon_gco2e", "median")),
    ("wattproof.methodology", ("provenance", "methodology")),
    ("wattproof.region_scope", ("provenance", "region_scope")),
)


class Calls:
    """Watches the calls of one server. Without `metrics` nothing is counted; logs and spans are those of the process.

    `monotonic` gives seconds.
    """

    def __init__(self, metrics: Metrics | None = None, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._metrics = metrics
        self._monotonic = monotonic

    def watched(self, tool: str, call: Call) -> Call:
        """`call`, which nothing can leave but a result or an error that a client may read."""

        async def watching(arguments: dict[str, Any], ctx: Context[Deps, Any]) -> CallToolResult | InputRequiredResult:
            began, outcome, problem = self._monotonic(), "cancelled", None
            request_id, tenant = _caller(ctx)
            try:
                result = await call(arguments, ctx)
            except (ToolError, MCPError) as error:
                cause = error.__cause__
                outcome, problem = "refused", "InvalidArguments" if cause is None else type(cause).__name__
                raise
            except asyncio.CancelledError:
                raise
            except Exception as error:
                outcome, problem = "error", type(error).__name__
                _log.exception("unexpected", extra={"fields": {"request_id": request_id, "tool": tool}})
                raise ToolError(
                    f"Internal error. Nothing was returned; the operator finds the cause in the log as {request_id}."
                ) from error
            else:
                outcome = "ok" if isinstance(result, CallToolResult) else "asked"
                _on_span(result)
            finally:
                self._ended(tool, outcome, problem, self._monotonic() - began, request_id, tenant)
            return result

        return watching

    def _ended(
        self, tool: str, outcome: str, problem: str | None, took_s: float, request_id: str, tenant: str | None
    ) -> None:
        if self._metrics is not None:
            self._metrics.called(tool, outcome, took_s)
        if not _log.isEnabledFor(logging.INFO):
            return
        fields: dict[str, Any] = {"request_id": request_id, "tenant": tenant, "tool": tool, "outcome": outcome}
        if problem is not None:
            fields["error"] = problem
        _log.info("call", extra={"fields": fields | {"duration_ms": round(1000 * took_s, 1)}})


def _caller(ctx: Context[Deps, Any]) -> tuple[str, str | None]:
    """Correlation id and tenant: over HTTP those of the request, else an id of its own and no tenant."""
    request = ctx.request_context.request
    scope: Mapping[str, Any] = getattr(request, "scope", {})
    principal = principal_in(scope)
    return scope.get(REQUEST_ID_KEY) or token_hex(16), None if principal is None else principal.tenant


def _on_span(result: CallToolResult | InputRequiredResult) -> None:
    """Say on the SDK's span of this call what the result says of its footprint; never what was asked or answered."""
    from opentelemetry.trace import get_current_span

    span = get_current_span()
    structured = getattr(result, "structured_content", None)
    if not span.is_recording() or not isinstance(structured, dict):
        return
    for name, path in _ON_SPANS:
        value: Any = cast("dict[str, Any]", structured)
        for part in path:
            value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
        if isinstance(value, str | int | float):
            span.set_attribute(name, value)
