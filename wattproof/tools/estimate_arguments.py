"""The arguments of `estimate_request`, which `explain` takes too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wattproof.methodology.quantity import MAX_TOKENS
from wattproof.tools.result import JSON_TEXT, Arguments

if TYPE_CHECKING:
    from wattproof.methodology.methods import Telemetry

__all__ = ["EstimateArgs", "EstimateDetail", "Known", "one_or_several"]

EstimateDetail = Literal["brief", "full", "plot"]

_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Ids = Annotated[list[_Id], Field(min_length=1, max_length=20)]
_OneOrSeveral = Annotated[_Id | _Ids, JSON_TEXT]
_Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
_Workload = Literal["chat", "embedding", "rerank", "image", "speech", "transcription", "video"]


class Samples(BaseModel):
    """What meters recorded for one request [Wh]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu_wh: _Amount
    host_wh: _Amount
    idle_wh: _Amount
    samples: Annotated[int, Field(ge=1)]
    resolution_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def record(self) -> Telemetry:
        """The same as the methods take it."""
        from wattproof.methodology.methods import Telemetry

        return Telemetry(**self.model_dump())


class Known(BaseModel):
    """What a caller knows of the deployment; whatever is absent the method assumes or leaves out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: _Ratio | None = None
    pue: _Ratio | None = None
    hardware: Annotated[str | None, Field(max_length=60)] = None
    weight_bytes_per_param: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    latency_s: _Amount | None = None
    wue_onsite_l_per_kwh: _Amount | None = None
    wue_offsite_l_per_kwh: _Amount | None = None
    market_gco2e_per_kwh: _Amount | None = None
    instrument_id: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    mix_adpe_kgsbeq_per_kwh: _Amount | None = None
    profile: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None
    samples: Samples | None = None
    opinion_ref: Annotated[str | None, Field(min_length=1, max_length=200)] = None

    def supplied(self) -> dict[str, Any]:
        """The fields of an activity that the caller gave, each with its source where the activity names one."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if self.samples is not None:
            given["samples"] = self.samples.record()
        if self.pue is not None:
            given["pue_source"] = "caller"
        if self.wue_onsite_l_per_kwh is not None or self.wue_offsite_l_per_kwh is not None:
            given["wue_source"] = "caller"
        return given


# A name that is not known is refused with all that are.
_KNOWN = "Any of batch, pue, hardware, latency_s, samples, …"


class EstimateArgs(Arguments):
    """Arguments of `estimate_request`."""

    model: Annotated[_OneOrSeveral, Field(description="Model id or ids, e.g. gpt-oss-120b")]
    input_tokens: Annotated[_Tokens | None, Field(description="Cached ones included")] = None
    text: Annotated[str | None, Field(max_length=1_000_000, description="Prompt, if uncounted")] = None
    output_tokens: Annotated[_Tokens | None, Field(description="With reasoning; else assumed")] = None
    cached_input_tokens: Annotated[_Tokens | None, Field(description="Part of input")] = None
    reasoning_tokens: Annotated[_Tokens | None, Field(description="Part of output")] = None
    provider: Annotated[_OneOrSeveral | None, Field(description="E.g. ovhcloud")] = None
    zone: Annotated[str | None, Field(max_length=40, description="Grid zone, e.g. FR")] = None
    grid: Annotated[Literal["annual", "live"] | None, Field(description="live: newest reading")] = None
    workload: Annotated[_Workload | None, Field(description="Default chat")] = None
    batch_api: Annotated[bool | None, Field(description="Offline batch")] = None
    methods: Annotated[_OneOrSeveral | None, Field(description="Method ids, or all")] = None
    baseline: Annotated[_Id | None, Field(description="Model to compare with")] = None
    boundary: Annotated[Literal["narrow", "comprehensive"] | None, Field(description="narrow: accelerator only")] = None
    known: Annotated[Annotated[Known, JSON_TEXT] | None, Field(description=_KNOWN)] = None
    detail: Annotated[EstimateDetail | None, Field(description="full: indicators, operands; plot: image")] = None


def one_or_several(given: str | list[str] | None) -> tuple[str, ...]:
    """The names that were given, in order, each once."""
    return tuple(dict.fromkeys([given] if isinstance(given, str) else given or ()))
