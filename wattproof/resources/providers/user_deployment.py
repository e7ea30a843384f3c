"""One deployment from a provider's table and a model's table of a user's file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast, get_args
from urllib.parse import SplitResult

from wattproof.methodology.errors import UnknownModel, UnknownZone
from wattproof.methodology.models import find_model
from wattproof.methodology.zones import zone_average
from wattproof.resources.providers.addresses import ADDRESS_FORM, address_of, is_loopback, joined
from wattproof.resources.providers.records import Deployment, LocationEvidence, Price, WireProtocol
from wattproof.resources.providers.regions import cloud_regions, region_of_host, without_unsure_place
from wattproof.resources.providers.toml_table import Table, shown

__all__ = ["MODEL_KEYS", "PROVIDER_KEYS", "checked_date", "deployment_of"]

PROVIDER_KEYS = (
    *("provider", "base_url", "protocol", "key_env", "auth", "zone", "location_evidence", "location_source"),
    *("checked_at", "cloud_region", "deployment_type", "pue", "pue_source", "output_limit_field"),
    *("ask_stream_usage", "model"),
)
MODEL_KEYS = (
    *("model", "native_model", "protocol", "price", "context_tokens", "quality", "quality_source"),
    *("speed_tokens_per_s", "variant", "request_fields"),
)
_PRICE_KEYS = ("input", "output", "cached_input", "currency", "source", "checked_at")
_PROTOCOLS = tuple(name for name in get_args(WireProtocol) if name != "embedded")
_EVIDENCE = ("caller", "declared", "contractual")
# What the request itself says; a row may pin other fields, never these.
_OWN_FIELDS = frozenset(
    {"model", "messages", "input", "query", "documents", "stream", "stream_options", "max_tokens"}
    | {"max_completion_tokens", "n", "tools"}
)
_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
# Source: https://learn.microsoft.com/azure/ai-services/openai/how-to/deployment-types
_AZURE_REGIONAL = ("Standard", "ProvisionedManaged")
_AZURE_ROVING = (
    *("GlobalStandard", "GlobalProvisionedManaged", "GlobalBatch"),
    *("DataZoneStandard", "DataZoneProvisionedManaged", "DataZoneBatch"),
)
_NAME = r"[a-z0-9][a-z0-9._-]*"
_SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_VARIABLE = re.compile(r"(?!WATTPROOF_)[A-Za-z_][A-Za-z0-9_]{0,127}")
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class _Location:
    zone: str | None
    evidence: LocationEvidence
    source: str
    checked_at: str
    cloud_region: str | None
    pue: float | None
    pue_source: str | None


def deployment_of(provider: Table, model: Table) -> Deployment:
    """The deployment that the two tables state.

    Raises:
        InvalidInput: a field is wrong.
    """
    model.only(MODEL_KEYS)
    parts = _address(provider)
    price, key_env = _price(model.table("price")), _key_env(provider)
    place = _location(provider, parts)
    name = model.needed("model", r"[!-?A-~]+", "the model's id, without spaces or @", 200)
    default_protocol = provider.choice("protocol", _PROTOCOLS, "openai-chat")
    protocol = cast("WireProtocol", model.choice("protocol", _PROTOCOLS, default_protocol))
    quality = model.number("quality", "0", "1000000")
    row = Deployment(
        provider=provider.needed("provider", _NAME, "small letters, digits, dots and hyphens", 64),
        model=_canonical(name),
        native_model=model.text("native_model", most=200) or name,
        base_url=joined(parts, parts.path),
        protocol=protocol,
        key_env=key_env,
        zone=place.zone,
        location_evidence=place.evidence,
        location_source=place.source,
        checked_at=place.checked_at,
        price=price,
        pue=place.pue,
        pue_source=place.pue_source,
        speed_tokens_per_s=model.number("speed_tokens_per_s", "0.001", "1000000"),
        context_tokens=model.integer("context_tokens", 1, 10**9),
        # A proxy on this machine costs something or wants a key; a model server here does neither.
        local=is_loopback(parts.hostname or "") and price is None and not key_env,
        output_limit_field=provider.choice("output_limit_field", ("max_tokens", "max_completion_tokens"), "max_tokens"),
        ask_stream_usage=provider.flag("ask_stream_usage", True),
        variant=model.text("variant", _SLUG, "letters, digits, dots and hyphens", 64),
        request_fields=_request_fields(model),
        cloud_region=place.cloud_region,
        auth=cast("Any", provider.choice("auth", ("bearer", "x-api-key", "api-key"), _usual_auth(protocol, parts))),
        quality=quality,
        quality_source=model.text("quality_source") or (None if quality is None else "stated in the user's file"),
        origin="user",
    )
    return without_unsure_place(row)


def checked_date(table: Table) -> str:
    """The `checked_at` of a price or rate, such as `2026-07-02` or `2026-11`."""
    found = _date(table)
    if found is None:
        raise table.wrong("checked_at", "is missing", "give the day when somebody looked, such as 2026-11-22")
    return found


def _date(table: Table) -> str | None:
    value = table.content.get("checked_at")
    if isinstance(value, date):
        return value.isoformat()[:10]
    fix = "a date such as 2026-11-22 or 2026-11"
    text = table.text("checked_at", r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", fix)
    if text is None:
        return None
    try:
        date.fromisoformat(text if len(text) == 10 else f"{text}-01")
    except ValueError:
        raise table.wrong("checked_at", f"is {shown(text)}, which is no date", f"give {fix}") from None
    return text


def _address(provider: Table) -> SplitResult:
    parts, problem = address_of(provider.needed("base_url", form=ADDRESS_FORM, most=500))
    if parts is None:
        raise provider.wrong("base_url", problem, f"give {ADDRESS_FORM}")
    return parts


def _key_env(provider: Table) -> tuple[str, ...]:
    """The variables that may hold the key. Their text is never shown: it may be a key, pasted in the wrong place."""
    value = provider.content.get("key_env", [])
    names: list[object] = cast("list[object]", value) if isinstance(value, list) else [value]
    found = [name for name in names if isinstance(name, str) and _VARIABLE.fullmatch(name)]
    if len(found) != len(names) or len(names) > 4:
        problem = "is not the name of an environment variable, nor a list of at most four"
        raise provider.wrong("key_env", problem, 'name the variable that holds the key, such as "MY_PROVIDER_API_KEY"')
    return tuple(found)


def _location(provider: Table, parts: SplitResult) -> _Location:
    """Where the rows of `provider` run: the zone stated, else that of the cloud region stated."""
    region_name = _cloud_region(provider, parts)
    region = cloud_regions().get(region_name or "")
    zone = _zone(provider)
    if zone is None and region_name is not None and region is None:
        known = ", ".join(sorted(cloud_regions()))
        raise provider.wrong("zone", "is missing, and no zone of this region is known", f"give it; known: {known}")
    if zone is not None and region is not None and not _within(zone, region.zone):
        problem = f"is {zone}, while {region_name} lies in {region.zone}"
        raise provider.wrong("zone", problem, "leave one of the two out")
    source = provider.text("location_source")
    evidence = _evidence(provider, zone, source)
    pue = provider.number("pue", "1", "4")
    pue_source = None if pue is None else provider.text("pue_source") or "stated in the user's file"
    checked_at = _date(provider) or ""
    roving = _azure_roving(provider, parts, region_name, stated=zone is not None or region is not None)
    if roving is not None:
        return _Location(None, "unknown", roving, checked_at, None, None, None)
    if zone is not None:
        stated = source or "stated in the user's file"
        return _Location(zone, evidence, stated, checked_at, region_name, pue, pue_source)
    if region is not None:
        if pue is None:
            pue, pue_source = region.pue, region.pue_source
        return _Location(
            region.zone, region.evidence, region.source, checked_at or region.checked_at, region_name, pue, pue_source
        )
    return _Location(None, "unknown", source or "no zone was stated", checked_at, None, pue, pue_source)


def _cloud_region(provider: Table, parts: SplitResult) -> str | None:
    """The region stated, or the one that a regional host names; the two must not differ."""
    stated = provider.text("cloud_region", rf"[a-z]+/{_NAME}", "cloud/region, such as aws/eu-north-1", 64)
    named = region_of_host(parts.hostname or "")
    if named is None or stated == named:
        return stated
    if stated is not None:
        raise provider.wrong("cloud_region", f"is {stated}, while base_url names {named}", "leave cloud_region out")
    return named if named in cloud_regions() else None


def _zone(provider: Table) -> str | None:
    text = provider.text("zone", most=40)
    if text is None:
        return None
    try:
        return zone_average(text).zone
    except UnknownZone as error:
        near = ", ".join(error.closest)
        raise provider.wrong("zone", f"is {shown(text)}, which no edition lists", f"closest: {near}") from None


def _within(zone: str, region_zone: str) -> bool:
    return zone == region_zone or zone.startswith(f"{region_zone}-") or region_zone.startswith(f"{zone}-")


def _evidence(provider: Table, zone: str | None, source: str | None) -> LocationEvidence:
    evidence = cast("LocationEvidence", provider.choice("location_evidence", _EVIDENCE, "caller"))
    if provider.has("location_evidence") and zone is None:
        raise provider.wrong("location_evidence", "is given without a zone", "give the zone that it is evidence of")
    if evidence == "contractual" and source is None:
        raise provider.wrong("location_source", "is missing", "name the contract that fixes the location")
    return evidence


def _azure_roving(provider: Table, parts: SplitResult, region: str | None, *, stated: bool) -> str | None:
    """Why an Azure deployment has no known place, or None where it has one or is not Azure's.

    The address and the name of a deployment do not tell its type, so that a stated place needs it.
    """
    azure = (parts.hostname or "").endswith(_AZURE_HOSTS) or (region or "").startswith("azure/")
    if not azure:
        if provider.has("deployment_type"):
            raise provider.wrong("deployment_type", "is only for Azure", "leave it out")
        return None
    known = provider.choice("deployment_type", (*_AZURE_REGIONAL, *_AZURE_ROVING), "")
    if known in _AZURE_ROVING:
        return f"{known} deployments may be served from any of several regions"
    if stated and not known:
        fix = f"give the deployment's type: {', '.join(_AZURE_REGIONAL)} stay in the region, the others do not"
        raise provider.wrong("deployment_type", "is missing", fix)
    return None


def _price(table: Table | None) -> Price | None:
    if table is None:
        return None
    table.only(_PRICE_KEYS)
    cost_in, cost_out = _micros(table, "input"), _micros(table, "output")
    if cost_in is None:
        raise table.wrong("input", "is missing", "give the price of a million input tokens")
    currency = table.needed("currency", "[A-Z]{3}", "a code of three capitals, such as EUR")
    source, checked_at = table.needed("source"), checked_date(table)
    # Embeddings and ranking have no output tokens, so that their price may leave it out.
    return Price(cost_in, cost_out or 0, _micros(table, "cached_input"), currency, source, checked_at)


def _micros(table: Table, name: str) -> int | None:
    """A price per million tokens in micro-units, rounded up."""
    value = table.decimal(name, "0", "1000000")
    return None if value is None else int((value * 1_000_000).to_integral_value(ROUND_CEILING))


def _request_fields(model: Table) -> dict[str, Any]:
    fields = model.table("request_fields")
    if fields is None:
        return {}
    for name in fields.content:
        if name in _OWN_FIELDS:
            raise fields.wrong(name, "belongs to the request", "leave it out")
    try:
        return {name: _json(value, _DEEPEST) for name, value in fields.content.items()}
    except ValueError as error:
        fix = "pin text, numbers, true or false, and lists or tables of them"
        raise model.wrong("request_fields", f"holds {error}", fix) from None


def _json(value: object, deepest: int) -> Any:
    """`value` as plain JSON, decimals as floats.

    Raises:
        ValueError: it holds what JSON cannot; the text follows "holds".
    """
    if deepest == 0:
        raise ValueError("tables within tables, too deep")
    if isinstance(value, Mapping):
        return {str(k): _json(v, deepest - 1) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list):
        return [_json(v, deepest - 1) for v in cast("list[object]", value)]
    if isinstance(value, (str, bool)) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, (float, Decimal)) and math.isfinite(float(value)):
        return float(value)
    raise ValueError("a date, a huge number or another value that JSON has no form for")


def _usual_auth(protocol: WireProtocol, parts: SplitResult) -> str:
    if protocol == "anthropic-messages":
        return "x-api-key"
    return "api-key" if (parts.hostname or "").endswith(_AZURE_HOSTS) else "bearer"


def _canonical(name: str) -> str:
    try:
        return find_model(name).id
    except UnknownModel:
        return name
