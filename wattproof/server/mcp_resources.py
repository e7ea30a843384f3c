"""What can be read rather than called: methods, zones, providers and receipts, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from wattproof.server.mcp_deps import deps_of
from wattproof.server.mcp_errors import told_to_reader

if TYPE_CHECKING:
    pass

__all__ = ["add_resources"]

_JSON = "application/json"


def add_resources(server: MCPServer[Any]) -> None:
    """Register the resources. The list and the templates are the same in every installation."""
    server.resource(
        "wattproof://providers",
        name="providers",
        title="Provider catalogue",
        description="Every bundled deployment: model, place and its evidence, price, source and date.",
        mime_type=_JSON,
    )(_providers)
    server.resource(
        "wattproof://methods/{+id}",
        name="method",
        title="Method",
        description="One method: formula, inputs, sources, what it does not cover. E.g. wattproof/param@1.0.0",
        mime_type=_JSON,
    )(_method)
    server.resource(
        "wattproof://zones/{zone}",
        name="zone",
        title="Grid zone",
        description="Annual average carbon intensity and renewable share of one zone, e.g. FR",
        mime_type=_JSON,
    )(_zone)
    server.resource(
        "wattproof://receipts/{id}",
        name="receipt",
        title="Receipt",
        description="One receipt of this ledger with its inclusion proof; verify_receipt takes it as it is",
        mime_type=_JSON,
    )(_receipt)


def _providers() -> str:
    with told_to_reader():
        from wattproof.resources.providers import load_catalogue

        return _json([asdict(deployment) for deployment in load_catalogue()])


def _method(id: str) -> str:  # noqa: A002  (the name in the URI)
    with told_to_reader():
        from wattproof.tools.views import method_view

        return _json(method_view(id))


def _zone(zone: str) -> str:
    with told_to_reader():
        from wattproof.tools.views import zone_view

        return _json(zone_view(zone))


async def _receipt(id: str, ctx: Context[Any, Any]) -> str:  # noqa: A002  (the name in the URI)
    deps = deps_of(ctx)
    with told_to_reader():
        from wattproof.tools.views import receipt_view

        found = await receipt_view(id, deps)
    if found is None:
        raise ResourceNotFoundError("This ledger holds no receipt with that id; run_inference returns ids.")
    return _json(found)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
