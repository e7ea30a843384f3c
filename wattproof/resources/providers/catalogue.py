"""The catalogue: which provider offers which model where, at what price. All of it is rows of data.

A new provider, model, price or region is a row in `catalogue.json` or `cloud_regions.json`; this file only turns rows
into records. Rows of one's own come from `user_rows`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wattproof.methodology.errors import InvalidInput, UnknownModel, UnknownProvider
from wattproof.methodology.models import find_model
from wattproof.resources.providers.addresses import ADDRESS_FORM, address_of, joined
from wattproof.resources.providers.records import Deployment, Price
from wattproof.resources.providers.regions import cloud_regions, without_unsure_place

if TYPE_CHECKING:
    from wattproof.resources.providers.user_rows import UserRows

__all__ = [
    "RUNNABLE_PROTOCOLS",
    "catalogue_with",
    "deployments_for",
    "endpoint_for",
    "key_for",
    "load_catalogue",
    "provider_rows",
    "unusable_reason",
]

RUNNABLE_PROTOCOLS = frozenset({"openai-chat", "anthropic-messages", "openai-embeddings", "rerank", "embedded"})
"""Protocols that an adapter speaks. Rows in any other serve estimates and dry runs only."""


@functools.cache
def load_catalogue() -> tuple[Deployment, ...]:
    """Every bundled deployment, sorted by provider, model and variant; the row without a variant comes first."""
    rows = _read_rows()["providers"]
    found = [_deployment(row) for provider in rows for model in provider["models"] for row in _merged(provider, model)]
    return tuple(sorted(found, key=_order))


def catalogue_with(user_rows: UserRows, others: Iterable[Deployment] = ()) -> tuple[Deployment, ...]:
    """The bundled rows, then `others` (this machine's), with a user's row in the place of any that has its id."""
    own = {row.id: row for row in user_rows.deployments}
    bundled = [row for row in load_catalogue() if row.id not in own]
    return (*sorted([*bundled, *own.values()], key=_order), *(row for row in others if row.id not in own))


def deployments_for(model: str, catalogue: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """The deployments in `catalogue` of one model, given by its id or an alias.

    Raises:
        UnknownModel: no edition lists the model.
    """
    wanted = find_model(model).id
    return tuple(d for d in catalogue if _canonical(d.model) == wanted)


def provider_rows(provider: str, catalogue: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """The deployments of one provider.

    Raises:
        UnknownProvider: no row names it; carries the three closest.
    """
    found = tuple(d for d in catalogue if d.provider == provider)
    if not found:
        import difflib

        names = sorted({d.provider for d in catalogue})
        raise UnknownProvider(provider, difflib.get_close_matches(provider, names, n=3, cutoff=0.3))
    return found


def key_for(deployment: Deployment, environ: Mapping[str, str]) -> str | None:
    """The first non-blank value among the variables that may hold this deployment's key, or None."""
    for name in deployment.key_env:
        value = environ.get(name, "").strip()
        if value:
            return value
    return None


def endpoint_for(deployment: Deployment, environ: Mapping[str, str]) -> str:
    """The base URL to call: the row's own, or the host that its variable names with the path of the row.

    Raises:
        InvalidInput: the variable is unset or holds no acceptable address.
    """
    url, problem = _endpoint(deployment, environ)
    if url is None:
        raise InvalidInput(str(deployment.base_url_env), problem, f"set it to {ADDRESS_FORM}")
    return url


def unusable_reason(
    deployment: Deployment,
    environ: Mapping[str, str],
    *,
    offline: bool = False,
    embedded_problem: str | None = None,
) -> str | None:
    """Why a real run on this deployment is impossible now, or None.

    `offline` forbids everything beyond this machine. `embedded_problem` says why the embedded model cannot start.
    """
    if deployment.protocol not in RUNNABLE_PROTOCOLS:
        return f"protocol not supported yet: {deployment.protocol}"
    if deployment.protocol == "embedded":
        return embedded_problem
    if offline and not deployment.local:
        return "offline: WATTPROOF_OFFLINE forbids requests beyond this machine"
    if deployment.base_url_env is not None:
        if not environ.get(deployment.base_url_env, "").strip():
            return f"no endpoint: set {deployment.base_url_env}"
        url, problem = _endpoint(deployment, environ)
        if url is None:
            return f"bad endpoint: {deployment.base_url_env} {problem}"
    return _key_problem(deployment, environ)


def _key_problem(deployment: Deployment, environ: Mapping[str, str]) -> str | None:
    if not deployment.key_env:
        return None
    key = key_for(deployment, environ)
    if key is None:
        return f"no key: set {' or '.join(deployment.key_env)}"
    if not (key.isascii() and key.isprintable()):
        return f"bad key: {' or '.join(deployment.key_env)} holds characters that no HTTP header can carry"
    return None


def _endpoint(deployment: Deployment, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The base URL, or None and what is wrong with the variable that should hold it."""
    if deployment.base_url_env is None:
        return deployment.base_url, ""
    stated = environ.get(deployment.base_url_env, "").strip()
    if not stated:
        return None, "is not set"
    parts, problem = address_of(stated)
    if parts is None:
        return None, problem
    path = urlsplit(deployment.base_url).path
    if parts.path.rstrip("/") not in {"", path}:
        return None, f"holds a path; give the host alone, {path} is added"
    return joined(parts, path), ""


@functools.lru_cache(maxsize=1024)
def _canonical(model: str) -> str:
    try:
        return find_model(model).id
    except UnknownModel:
        # A local server or a user's row may offer a model that no edition lists.
        return model


def _order(row: Deployment) -> tuple[str, str, str]:
    return row.provider, row.model, row.variant or ""


def _read_rows() -> dict[str, Any]:
    return json.loads(files("wattproof.resources.providers").joinpath("catalogue.json").read_bytes())


def _merged(provider: dict[str, Any], model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One flat row for the model itself and one for each of its variants; what is narrower goes first."""
    if not model.get("only_variants", False):
        yield {**provider, **model}
    for variant, stated in model.get("variants", {}).items():
        yield {**provider, **model, **provider["variants"][variant], **stated, "variant": variant}


def _deployment(row: dict[str, Any]) -> Deployment:
    location = row["location"]
    found = Deployment(
        provider=row["provider"],
        model=row["model"],
        native_model=row["native_model"],
        base_url=row["base_url"],
        protocol=row["protocol"],
        key_env=tuple(row["key_env"]),
        zone=location["zone"],
        location_evidence=location["evidence"],
        location_source=location["source"],
        checked_at=location["checked_at"],
        price=_price(row),
        pue=row.get("pue"),
        pue_source=row.get("pue_source"),
        hardware=row.get("hardware"),
        context_tokens=row["context_tokens"],
        output_limit_field=row.get("output_limit_field", "max_tokens"),
        ask_stream_usage=row.get("ask_stream_usage", True),
        variant=row.get("variant"),
        request_fields=row.get("request_fields", {}),
        base_url_env=row.get("base_url_env"),
        auth=row.get("auth", "bearer"),
    )
    return without_unsure_place(_in_region(found, row.get("cloud_region")))


def _in_region(row: Deployment, name: str | None) -> Deployment:
    if name is None:
        return row
    region = cloud_regions()[name]
    return replace(
        row,
        cloud_region=name,
        zone=region.zone,
        location_evidence=region.evidence,
        location_source=region.source,
        checked_at=region.checked_at,
        pue=region.pue,
        pue_source=region.pue_source,
    )


def _price(row: dict[str, Any]) -> Price | None:
    """The row's price; a variant with a `price_ratio` multiplies every rate by it, rounded up."""
    if row["price"] is None:
        return None
    price = Price(**row["price"])
    if "price_ratio" not in row:
        return price
    times, over = row["price_ratio"]
    cached = price.cached_input_micros_per_mtok
    return replace(
        price,
        input_micros_per_mtok=-(-price.input_micros_per_mtok * times // over),
        output_micros_per_mtok=-(-price.output_micros_per_mtok * times // over),
        cached_input_micros_per_mtok=None if cached is None else -(-cached * times // over),
        source=row["price_source"],
    )
