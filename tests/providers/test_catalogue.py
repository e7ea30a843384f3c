"""The catalogue: every row is usable, sourced and honest about what is unknown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from wattproof.methodology.errors import UnknownModel, UnknownProvider
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.methodology.zones import zone_average
from wattproof.resources.providers import (
    Deployment,
    WireProtocol,
    deployments_for,
    key_for,
    load_catalogue,
    provider_rows,
    unusable_reason,
)

ROWS = load_catalogue()


def row(provider: str, model: str) -> Deployment:
    return next(d for d in ROWS if (d.provider, d.model, d.variant) == (provider, model, None))


def test_rows_are_sorted_and_unique() -> None:
    keys = [(d.provider, d.model, d.variant or "") for d in ROWS]
    assert keys == sorted(set(keys))
    assert len({d.id for d in ROWS}) == len(ROWS) > 100


@pytest.mark.parametrize("deployment", ROWS, ids=lambda d: d.id)
def test_a_row_names_a_known_model_a_bundled_zone_and_an_https_address(deployment: Deployment) -> None:
    assert find_model(deployment.model).id == deployment.model
    assert deployment.zone is None or zone_average(deployment.zone).zone == deployment.zone
    assert (deployment.zone is None) == (deployment.location_evidence == "unknown")
    assert deployment.location_source
    assert re.fullmatch(r"\d{4}-\d{2}", deployment.checked_at)
    address = urlsplit(deployment.base_url)
    assert address.scheme == "https"
    assert address.hostname
    assert deployment.key_env


@pytest.mark.parametrize("deployment", ROWS, ids=lambda d: d.id)
def test_a_price_has_a_currency_a_source_and_a_date(deployment: Deployment) -> None:
    price = deployment.price
    if price is None:
        return
    assert price.currency in {"USD", "EUR"}
    assert price.source in _content()["sources"]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", price.checked_at)
    assert 0 < price.input_micros_per_mtok < 100_000_000
    assert 0 <= price.output_micros_per_mtok < 100_000_000
    assert price.cached_input_micros_per_mtok is None or (
        price.cached_input_micros_per_mtok <= price.input_micros_per_mtok
    )


def test_evidence_of_a_place_is_never_stronger_than_what_the_provider_states() -> None:
    assert row("ovhcloud", "gpt-oss-120b").location_evidence == "declared"
    assert row("berget", "gpt-oss-120b").location_evidence == "inferred"
    assert row("nebius", "gpt-oss-120b").location_evidence == "inferred"
    assert row("groq", "gpt-oss-120b").location_evidence == "unknown"


def test_scaleway_is_priced_in_euros() -> None:
    price = row("scaleway", "gpt-oss-120b").price
    assert price is not None
    assert (price.input_micros_per_mtok, price.output_micros_per_mtok, price.currency) == (150_000, 600_000, "EUR")


def test_a_model_is_found_by_alias_too() -> None:
    by_id = deployments_for("gpt-oss-120b", ROWS)
    assert {d.provider for d in by_id} >= {"ovhcloud", "nebius", "groq"}
    assert deployments_for("openai/gpt-oss-120b", ROWS) == by_id


def test_a_model_that_no_edition_lists_is_refused_but_a_local_row_of_one_does_no_harm() -> None:
    with pytest.raises(UnknownModel):
        deployments_for("my-finetune", ROWS)
    odd = Deployment("ollama", "my-finetune", "my-finetune", "", "openai-chat", (), None, "unknown", "", "", local=True)
    assert odd not in deployments_for("gpt-oss-120b", (*ROWS, odd))


def test_an_unknown_provider_names_the_closest() -> None:
    assert {d.provider for d in provider_rows("groq", ROWS)} == {"groq"}
    with pytest.raises(UnknownProvider) as caught:
        provider_rows("ovh", ROWS)
    assert "ovhcloud" in caught.value.closest


def test_a_key_is_taken_from_the_environment_and_stripped() -> None:
    ovh = row("ovhcloud", "gpt-oss-120b")
    assert key_for(ovh, {}) is None
    assert key_for(ovh, {"OVHCLOUD_API_KEY": "  "}) is None
    assert key_for(ovh, {"OVHCLOUD_API_KEY": " k1\n"}) == "k1"


def test_why_a_deployment_cannot_run_is_said_in_words() -> None:
    ovh, key = row("ovhcloud", "gpt-oss-120b"), {"OVHCLOUD_API_KEY": "k1"}
    assert unusable_reason(ovh, {}) == "no key: set OVHCLOUD_API_KEY"
    assert unusable_reason(ovh, key) is None
    assert unusable_reason(ovh, key, offline=True) == "offline: WATTPROOF_OFFLINE forbids requests beyond this machine"
    assert unusable_reason(ovh, {"OVHCLOUD_API_KEY": "k\u00e91"}) == (
        "bad key: OVHCLOUD_API_KEY holds characters that no HTTP header can carry"
    )
    claude = row("anthropic", "claude-opus-4-8")
    assert unusable_reason(claude, {"ANTHROPIC_API_KEY": "k"}) is None
    assert unusable_reason(row("nebius", "qwen3-embedding-8b"), {"NEBIUS_API_KEY": "k"}) is None
    strange = replace(ovh, protocol=cast("WireProtocol", "gopher"))
    assert unusable_reason(strange, key) == "protocol not supported yet: gopher"


def test_cost_is_rounded_up_to_the_micro_unit() -> None:
    price = row("ovhcloud", "gpt-oss-120b").price
    assert price is not None
    assert price.cost_micros(Usage(1000, 400)) == 278
    assert price.cost_micros(Usage(1, 0)) == 1


def _content() -> dict[str, Any]:
    return json.loads(files("wattproof.resources.providers").joinpath("catalogue.json").read_bytes())
