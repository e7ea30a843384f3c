"""Regions and variants: where a pinned row runs, and what may never be said of one that roams."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.zones import zone_average
from wattproof.resources.providers import Deployment, endpoint_for, load_catalogue, unusable_reason
from wattproof.resources.providers.regions import (
    cloud_regions,
    cross_region_reason,
    region_of_host,
    without_unsure_place,
)

ROWS = {row.id: row for row in load_catalogue()}
WANTED = {
    *("ovhcloud", "scaleway", "nebius", "berget", "evroc", "regolo", "stackit", "cloudferro", "groq", "cerebras"),
    *(
        "together",
        "deepinfra",
        "fireworks",
        "mistral",
        "melious",
        "openrouter",
        "openai",
        "anthropic",
        "bedrock",
        "azure",
    ),
}
AZURE = ROWS["azure/gpt-4.1"]


def test_the_providers_that_the_documentation_names_have_rows() -> None:
    assert {row.provider for row in ROWS.values()} >= WANTED


@pytest.mark.parametrize("name", sorted(cloud_regions()))
def test_a_region_names_a_bundled_zone_its_evidence_and_its_source(name: str) -> None:
    region = cloud_regions()[name]
    assert region.region == name
    assert zone_average(region.zone).zone == region.zone
    # A part of a country is our reading of a place; a whole one is what the operator says.
    assert region.evidence == ("inferred" if "-" in region.zone else "declared")
    assert region.source
    assert re.fullmatch(r"\d{4}-\d{2}", region.checked_at)
    assert (region.pue is None) == (region.pue_source is None)
    assert region.pue is None or 1 <= region.pue <= 2


def test_a_bedrock_row_runs_where_its_host_says() -> None:
    rows = [row for row in ROWS.values() if row.provider == "bedrock"]
    assert {row.variant for row in rows} >= {"eu-north-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"}
    for row in rows:
        region = f"aws/{row.variant}"
        assert row.cloud_region == region_of_host(row.base_url.split("/")[2]) == region
        assert row.zone == cloud_regions()[region].zone
        assert row.key_env == ("AWS_BEARER_TOKEN_BEDROCK",)
        assert cross_region_reason(row.native_model) is None
    stockholm = ROWS["bedrock/gpt-oss-120b@eu-north-1"]
    assert (stockholm.zone, stockholm.location_evidence, stockholm.pue) == ("SE-SE3", "inferred", 1.1)
    frankfurt = ROWS["bedrock/gpt-oss-120b@eu-central-1"]
    assert (frankfurt.zone, frankfurt.location_evidence) == ("DE", "declared")


def test_a_price_that_states_no_region_is_not_taken_for_another() -> None:
    assert ROWS["bedrock/gpt-oss-120b@us-east-1"].price is not None
    assert ROWS["bedrock/gpt-oss-120b@eu-north-1"].price is None


@pytest.mark.parametrize(
    "native",
    [
        "eu.anthropic.claude-sonnet-4-6",
        "us.meta.llama3-3-70b-instruct-v1:0",
        "apac.amazon.nova-pro-v1:0",
        "global.anthropic.claude-opus-4-8",
        "US.amazon.nova-pro-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc",
    ],
)
def test_a_cross_region_profile_has_no_place_whatever_its_row_says(native: str) -> None:
    stated = replace(ROWS["bedrock/gpt-oss-120b@eu-north-1"], native_model=native, location_evidence="contractual")
    row = without_unsure_place(stated)
    assert (row.zone, row.location_evidence, row.cloud_region, row.pue) == (None, "unknown", None, None)
    assert "several regions" in row.location_source or "any region" in row.location_source


@pytest.mark.parametrize(
    "native",
    [
        "openai.gpt-oss-120b-1:0",
        "euro-model",
        "usage.model",
        "arn:aws:bedrock:eu-west-1:123456789012:imported-model/abc",
    ],
)
def test_an_in_region_id_keeps_its_place(native: str) -> None:
    row = replace(ROWS["bedrock/gpt-oss-120b@eu-north-1"], native_model=native)
    assert without_unsure_place(row) is row


def test_routers_have_no_place_of_their_own() -> None:
    for row in ROWS.values():
        if row.provider in {"melious", "openrouter"}:
            assert (row.zone, row.location_evidence) == (None, "unknown")
            assert "router" in row.location_source


def test_anthropic_pins_the_us_for_a_tenth_more_and_only_where_the_model_can() -> None:
    pinned = {row.model: row for row in ROWS.values() if row.provider == "anthropic" and row.variant == "us"}
    assert {"claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-8", "claude-sonnet-5"} <= set(pinned)
    assert "claude-haiku-4-5-20251001" not in pinned
    for row in pinned.values():
        plain = ROWS[f"anthropic/{row.model}"]
        assert (plain.zone, plain.request_fields) == (None, {})
        assert (row.zone, row.location_evidence, dict(row.request_fields)) == (
            "US",
            "declared",
            {"inference_geo": "us"},
        )
        assert "data-residency" in row.location_source
        assert row.auth == plain.auth == "x-api-key"
        if plain.price is None:
            assert row.price is None
            continue
        assert row.price is not None
        assert row.price.input_micros_per_mtok * 10 == plain.price.input_micros_per_mtok * 11
        assert row.price.output_micros_per_mtok * 10 == plain.price.output_micros_per_mtok * 11
        assert row.price.source in _content()["sources"]


def test_azure_is_a_template_that_waits_for_an_endpoint() -> None:
    assert (AZURE.zone, AZURE.location_evidence, AZURE.auth) == (None, "unknown", "api-key")
    assert "deployment_type" in AZURE.location_source
    key = {"AZURE_OPENAI_API_KEY": "k"}
    assert unusable_reason(AZURE, key) == "no endpoint: set AZURE_OPENAI_ENDPOINT"
    given = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}
    assert unusable_reason(AZURE, given) == "no key: set AZURE_OPENAI_API_KEY"
    assert unusable_reason(AZURE, {**key, **given}) is None
    assert unusable_reason(AZURE, {**key, **given}, offline=True) is not None


@pytest.mark.parametrize(
    ("stated", "url"),
    [
        ("https://me.openai.azure.com", "https://me.openai.azure.com/openai/v1"),
        (" https://me.openai.azure.com/ ", "https://me.openai.azure.com/openai/v1"),
        ("https://me.openai.azure.com:8443/openai/v1/", "https://me.openai.azure.com:8443/openai/v1"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/openai/v1"),
        ("http://[::1]:9000", "http://[::1]:9000/openai/v1"),
        ("http://localhost", "http://localhost/openai/v1"),
    ],
)
def test_an_endpoint_is_a_host_to_which_the_row_adds_its_path(stated: str, url: str) -> None:
    assert endpoint_for(AZURE, {"AZURE_OPENAI_ENDPOINT": stated}) == url


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ("http://me.openai.azure.com", "is plain http to another machine"),
        ("http://127.0.0.1.evil.example", "is plain http to another machine"),
        ("ftp://me.openai.azure.com", "is not https"),
        ("me.openai.azure.com", "names no host"),
        ("https://", "names no host"),
        ("https://user:secret@me.example", "holds a user name or password"),
        ("https://me.example/?a=b", "holds a query or a fragment"),
        ("https://me.example#x", "holds a query or a fragment"),
        ("https://me.example\\@evil.example", "holds characters that no address may have"),
        ("https://me.exa\nmple", "holds characters that no address may have"),
        ("https://me.example:port", "is no address"),
        ("https://[::1", "is no address"),
        ("https://me.example/other", "holds a path; give the host alone, /openai/v1 is added"),
        ("https://" + "a" * 600, "is longer than 500 characters"),
        ("", "is not set"),
    ],
)
def test_an_endpoint_that_could_send_the_key_astray_is_refused(stated: str, problem: str) -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": stated, "AZURE_OPENAI_API_KEY": "k"}
    with pytest.raises(InvalidInput) as caught:
        endpoint_for(AZURE, environ)
    assert (caught.value.field, caught.value.problem) == ("AZURE_OPENAI_ENDPOINT", problem)
    reason = unusable_reason(AZURE, environ)
    assert reason in {f"bad endpoint: AZURE_OPENAI_ENDPOINT {problem}", "no endpoint: set AZURE_OPENAI_ENDPOINT"}
    assert "secret" not in str(caught.value)


def test_a_row_with_its_own_address_needs_no_variable() -> None:
    ovh: Deployment = ROWS["ovhcloud/gpt-oss-120b"]
    assert endpoint_for(ovh, {}) == ovh.base_url


def test_an_unset_template_can_reach_no_host() -> None:
    assert AZURE.base_url.split("/")[2].endswith(".invalid")


def _content() -> dict[str, Any]:
    return json.loads(files("wattproof.resources.providers").joinpath("catalogue.json").read_bytes())
