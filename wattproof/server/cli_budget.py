"""`wattproof budget`: limits on what may be spent, which only their owner changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_call import call
from wattproof.server.cli_output import print_json, print_text

if TYPE_CHECKING:
    from wattproof.resources.ledger.budget_records import BudgetPer, BudgetScope
    from wattproof.tools.budget_control import BudgetRequest

__all__ = ["budget_override", "budget_raise", "budget_remove", "budget_set", "budget_show"]

Operation = Annotated[str | None, typer.Option(help="Of this operation, with all below it.")]
Tag = Annotated[str | None, typer.Option(help="Of everything with this tag.")]
Tenant = Annotated[bool, typer.Option("--tenant", help="Of this whole ledger.")]
Per = Annotated[str, typer.Option(help="total, day or month.")]
Unit = Annotated[
    str | None, typer.Option(help="energy_wh, carbon_gco2e, tokens or cost_usd; a limit such as '5 Wh' says it itself.")
]
Limit = Annotated[str, typer.Option(help="Such as '5 Wh', '2 kg', '10000 tokens' or '3 USD'.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept with the decision.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def budget_set(
    limit: Limit,
    operation: Operation = None,
    tag: Tag = None,
    tenant: Tenant = False,
    per: Per = "total",
    unit: Unit = None,
    warn: Annotated[bool, typer.Option("--warn", help="Say that it is exceeded, but refuse nothing.")] = False,
    tz: Annotated[str, typer.Option(help="IANA time zone of days and months.")] = "UTC",
    no_ask: Annotated[
        bool, typer.Option("--no-ask", help="Never ask the user of an MCP client whether it may be exceeded.")
    ] = False,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Set a budget, or change it. A total for a tag or the ledger counts from now on; a day or month counts whole."""
    scope = _scope(operation, tag, tenant)
    action: Literal["warn", "refuse"] = "warn" if warn else "refuse"
    more: dict[str, Any] = {"action": action, "tz": tz, "may_ask": not no_ask}
    _carry_out("set", scope, per, as_json, limit=limit, unit=unit, reason=reason, **more)


def budget_raise(
    limit: Limit,
    operation: Operation = None,
    tag: Tag = None,
    tenant: Tenant = False,
    per: Per = "total",
    unit: Unit = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Give a budget a higher limit, from now on."""
    scope = _scope(operation, tag, tenant)
    _carry_out("raise", scope, per, as_json, limit=limit, unit=unit, reason=reason)


def budget_override(
    limit: Annotated[str, typer.Option("--more", help="How much more may be spent in the present period.")],
    operation: Operation = None,
    tag: Tag = None,
    tenant: Tenant = False,
    per: Per = "total",
    unit: Unit = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Allow more than a budget's limit in its present day, month or total; the limit stays."""
    scope = _scope(operation, tag, tenant)
    _carry_out("override", scope, per, as_json, limit=limit, unit=unit, reason=reason)


def budget_remove(
    unit: Annotated[str, typer.Option(help="energy_wh, carbon_gco2e, tokens or cost_usd.")],
    operation: Operation = None,
    tag: Tag = None,
    tenant: Tenant = False,
    per: Per = "total",
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Take a budget away. What was decided about it stays in the ledger."""
    _carry_out("remove", _scope(operation, tag, tenant), per, as_json, unit=unit, reason=reason)


def budget_show(
    context: typer.Context,
    history: Annotated[int, typer.Option(min=0, max=1000, help="Also the last decisions, so many.")] = 0,
    as_json: Json = False,
) -> None:
    """Every budget of this ledger with what is left of it."""
    if context.invoked_subcommand is not None:
        return
    from wattproof.tools.budget_control import show

    found = call(show, history)
    if as_json:
        print_json(found)
        return
    for row in found["budgets"]:
        print_text(row["words"])
    if not found["budgets"]:
        print_text("No budgets. Set one: wattproof budget set --tenant --per day --limit '50 Wh'")
    for row in found["decisions"]:
        what = "this ledger" if row["scope"] == "tenant" else f"{row['scope']} {row['name']}"
        because = f": {row['reason']}" if row["reason"] else ""
        print_text(
            f"{row['at']}  {row['decision']:<9}{what} per {row['per']}, {row['amount']}, by {row['by']}{because}"
        )


def _scope(operation: str | None, tag: str | None, tenant: bool) -> tuple[BudgetScope, str]:
    given: list[tuple[BudgetScope, str]] = []
    if operation is not None:
        given.append(("operation", operation))
    if tag is not None:
        given.append(("tag", tag))
    if tenant:
        given.append(("tenant", ""))
    if len(given) != 1:
        raise InvalidInput("--operation, --tag, --tenant", f"are given {len(given)} times", "give exactly one of them")
    return given[0]


def _carry_out(
    decision: Literal["set", "raise", "override", "remove"],
    scope: tuple[BudgetScope, str],
    per: str,
    as_json: bool,
    **more: Any,
) -> None:
    from wattproof.tools.budget_control import BudgetRequest, decide

    request: BudgetRequest = BudgetRequest(
        decision=decision, scope=scope[0], name=scope[1], per=_per(per), by=_who(), **more
    )
    left = call(decide, request)
    if as_json:
        print_json(left)
    else:
        print_text(left["words"] if left else "Removed.")


def _per(name: str) -> BudgetPer:
    if name == "day" or name == "month" or name == "total":
        return name
    raise InvalidInput("--per", f"is {name[:40]!r}", "give total, day or month")


def _who() -> str:
    import getpass

    try:
        return f"{getpass.getuser()[:80]} (command line)"
    except (OSError, KeyError):
        return "command line"
