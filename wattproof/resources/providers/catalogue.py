"""The catalogue: which provider offers which model where, at what price. All of it is rows of data.

A new provider, model or price is a row in `catalogue.json`; this file only turns rows into records.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from wattproof.methodology.errors import UnknownModel, UnknownProvider
from wattproof.methodology.models import find_model
from wattproof.resources.providers.records import Deployment, Price

__all__ = ["deployments_for", "key_for", "load_catalogue", "provider_rows", "unusable_reason"]

# Protocols that have an adapter. The others serve estimates and dry runs only.
_RUNNABLE = frozenset({"openai-chat", "embedded"})


@functools.cache
def load_catalogue() -> tuple[Deployment, ...]:
    """Every bundled deployment, sorted by provider and model."""
    rows = _read_rows()["providers"]
    found = [_deployment(provider, model) for provider in rows for model in provider["models"]]
    return tuple(sorted(found, key=lambda d: (d.provider, d.model)))


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
    if deployment.protocol not in _RUNNABLE:
        return f"protocol not supported yet: {deployment.protocol}"
    if deployment.protocol == "embedded":
        return embedded_problem
    if offline and not deployment.local:
        return "offline: WATTPROOF_OFFLINE forbids requests beyond this machine"
    if not deployment.key_env:
        return None
    key = key_for(deployment, environ)
    if key is None:
        return f"no key: set {' or '.join(deployment.key_env)}"
    if not (key.isascii() and key.isprintable()):
        return f"bad key: {' or '.join(deployment.key_env)} holds characters that no HTTP header can carry"
    return None


@functools.lru_cache(maxsize=1024)
def _canonical(model: str) -> str:
    try:
        return find_model(model).id
    except UnknownModel:
        # A local server may offer a model that no edition lists.
        return model


def _read_rows() -> dict[str, Any]:
    return json.loads(files("wattproof.resources.providers").joinpath("catalogue.json").read_bytes())


def _deployment(provider: dict[str, Any], model: dict[str, Any]) -> Deployment:
    location = provider["location"]
    return Deployment(
        provider=provider["provider"],
        model=model["model"],
        native_model=model["native_model"],
        base_url=provider["base_url"],
        protocol=model.get("protocol", provider["protocol"]),
        key_env=tuple(provider["key_env"]),
        zone=location["zone"],
        location_evidence=location["evidence"],
        location_source=location["source"],
        checked_at=location["checked_at"],
        price=_price(model["price"]),
        pue=provider.get("pue"),
        pue_source=provider.get("pue_source"),
        hardware=model.get("hardware"),
        context_tokens=model["context_tokens"],
        output_limit_field=provider.get("output_limit_field", "max_tokens"),
        ask_stream_usage=provider.get("ask_stream_usage", True),
    )


def _price(row: dict[str, Any] | None) -> Price | None:
    return None if row is None else Price(**row)
