from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import UnknownModel
from wattproof.methodology.models import Spread, all_model_ids, find_model
from wattproof.methodology.propagate import Z90


def test_every_model_of_the_registry_is_found_by_its_own_id() -> None:
    for row in read_edition("ecologits/models.json")["models"]:
        found = find_model(row["id"])
        assert row["id"] in (found.id, *found.aliases)


def test_every_canonical_id_leads_to_its_own_model() -> None:
    for model_id in all_model_ids():
        assert find_model(model_id).id == model_id


def test_the_ids_are_sorted_and_unique() -> None:
    ids = all_model_ids()
    assert list(ids) == sorted(set(ids))


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("GPT-OSS-120B", "gpt-oss-120b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b-instruct"),
        ("Meta-Llama-3.1-405B-Instruct", "meta-llama/Meta-Llama-3.1-405B-Instruct"),
        ("zai-glm-5-2", "glm-5.2"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
    ],
)
def test_an_alias_leads_to_the_model(name: str, model_id: str) -> None:
    assert find_model(name).id == model_id


@pytest.mark.parametrize(
    "model_id",
    [
        "gpt-oss-120b",
        "llama-3.3-70b-instruct",
        "mistral-small-3.2-24b",
        "qwen3-32b",
        "qwen3-235b-a22b-instruct-2507",
        "glm-5.2",
        "qwen3-embedding-8b",
        "smollm2-135m-instruct",
    ],
)
def test_the_models_of_the_catalogue_are_known_under_its_ids(model_id: str) -> None:
    found = find_model(model_id)
    assert found.id == model_id
    assert found.open_weights
    assert found.source.startswith("https://")


def test_a_name_shared_by_two_organisations_is_no_alias() -> None:
    with pytest.raises(UnknownModel):
        find_model("Mistral-7B-Instruct-v0.3")


def test_a_part_of_a_name_is_not_a_match() -> None:
    with pytest.raises(UnknownModel):
        find_model("gpt-4o-mini-but-better")


def test_an_unknown_model_names_the_three_closest_ids() -> None:
    with pytest.raises(UnknownModel) as raised:
        find_model("gpt-oss-120")
    assert raised.value.closest[0] == "gpt-oss-120b"
    assert len(raised.value.closest) == 3


def test_a_very_long_name_is_refused_without_being_repeated() -> None:
    with pytest.raises(UnknownModel) as raised:
        find_model("gpt-" * 100_000)
    assert len(str(raised.value)) < 400


def test_an_undisclosed_model_is_gross_and_its_range_is_a_spread() -> None:
    gpt_4o = find_model("gpt-4o")
    assert gpt_4o.band == "gross"
    assert not gpt_4o.open_weights
    assert gpt_4o.active_b == Spread(math.sqrt(44 * 132), math.log(132 / 44) / (2 * Z90))
    assert gpt_4o.sigma_ln_weights == pytest.approx(0.5)


def test_a_published_model_has_exact_parameters() -> None:
    llama = find_model("llama-3.3-70b-instruct")
    assert llama.active_b == Spread(70.6, 0.0)
    assert llama.band == "accurate"
    assert find_model("gpt-oss-120b").band == "medium"


def test_a_precision_named_in_the_id_is_used() -> None:
    assert find_model("meta-llama/Meta-Llama-3.1-405B-Instruct-FP8").bytes_per_param == Spread(1.0, 0.0)
    assert find_model("meta-llama/Meta-Llama-3.1-405B-Instruct").bytes_per_param == Spread(2, 0.35)


@given(low=st.floats(0.01, 1e4), ratio=st.floats(1.0, 100.0))
def test_the_ends_of_a_range_are_the_ends_of_its_90_percent_interval(low: float, ratio: float) -> None:
    spread = Spread.between(low, low * ratio)
    assert spread.median * math.exp(-Z90 * spread.sigma_ln) == pytest.approx(low)
    assert spread.median * math.exp(Z90 * spread.sigma_ln) == pytest.approx(low * ratio)
