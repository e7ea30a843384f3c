"""What a caller may ask of an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import MAX_TOKENS
from wattproof.tools.result import JSON_TEXT, Arguments, Detail

if TYPE_CHECKING:
    from wattproof.resources.operations import Step

__all__ = ["BudgetGiven", "OperationArgs", "StepGiven"]

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]


class UsageGiven(BaseModel):
    """Token counts; cached tokens are a part of the input, reasoning tokens of the output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_tokens: _Tokens
    output_tokens: _Tokens = 0
    cached_input_tokens: _Tokens = 0
    reasoning_tokens: _Tokens = 0


class StepGiven(BaseModel):
    """One step that was made elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step_id: _Name
    step_kind: Literal["llm", "embedding", "tool", "other"] = "llm"
    model: _Name
    usage: Annotated[UsageGiven, JSON_TEXT]
    provider: Annotated[str, Field(max_length=100)] | None = None
    zone: Annotated[str, Field(max_length=40)] | None = None
    retry_of: _Name | None = None
    idempotency_key: _Name | None = None

    def step(self) -> Step:
        """The same as a record.

        Raises:
            InvalidInput: a name is not printable, or token counts contradict each other.
        """
        from wattproof.methodology.quantity import Usage
        from wattproof.resources.operations import Step

        fields = {name: getattr(self, name) for name in StepGiven.model_fields if name != "usage"}
        for name, value in fields.items():
            if value is not None and not value.isprintable():
                raise InvalidInput(f"steps.{name}", f"is {value[:40]!r}", "give printable characters")
        return Step(**fields, usage=Usage(**self.usage.model_dump()))


class BudgetGiven(BaseModel):
    """A limit on an operation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Literal["energy_wh", "carbon_gco2e", "tokens", "cost_usd"]
    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    action: Literal["refuse", "warn"] = "refuse"


class OperationArgs(Arguments):
    """Arguments of `track_operation`."""

    action: Annotated[Literal["begin", "record", "status", "end"], Field(description="record adds steps")]
    operation_id: Annotated[_Name | None, Field(description="begin makes one if null")] = None
    parent_id: Annotated[_Name | None, Field(description="begin: operation above")] = None
    steps: Annotated[
        Annotated[list[StepGiven], JSON_TEXT] | None,
        Field(
            max_length=100,
            description="record: {step_id, model, usage: {input_tokens, output_tokens}, step_kind: "
            "llm|embedding|tool|other, provider, zone, retry_of}",
        ),
    ] = None
    budget: Annotated[
        Annotated[BudgetGiven, JSON_TEXT] | None,
        Field(description="begin: {unit: energy_wh|carbon_gco2e|tokens|cost_usd, limit, action: refuse|warn}"),
    ] = None
    detail: Annotated[Detail | None, Field(description="full: 100 steps")] = None
