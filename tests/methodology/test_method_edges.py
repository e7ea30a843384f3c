"""What every method shares, on a small method made for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods import Activity, Method, all_methods, get_method
from wattproof.methodology.methods.method import Constants, Prepared, factor_operand, token_operands
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Workload

MakeActivity = Callable[..., Activity]


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    def footprint(n: Mapping[str, float]) -> Footprint:
        energy_wh = n["input_tokens"] / c["tokens_per_wh"] * (2.0 if boundary == "comprehensive" else 1.0)
        energy = Quantity(energy_wh)
        return Footprint("test/line@1.0.0", "none", "proxy", boundary, energy_wh=energy, carbon_gco2e=None)

    return footprint


LINE = Method(
    id="test/line@1.0.0",
    aliases=(),
    title="line",
    summary="line",
    formula="energy = input_tokens / tokens_per_wh",
    interval="none",
    tier="proxy",
    indicators=("energy_wh",),
    workloads=(Workload.CHAT,),
    sources=(),
    not_covered=(),
    operand_units=MappingProxyType(
        {
            "cached_input_tokens": "token",
            "extra_a": "1",
            "extra_b": "1",
            "input_tokens": "token",
            "output_tokens": "token",
            "tokens_per_wh": "token/Wh",
        }
    ),
    factor_scopes=MappingProxyType({}),
    assumed=lambda activity: (),
    constants=lambda activity: Constants.of([Operand.of("tokens_per_wh", 4.0, "token/Wh", "test")]),
    variables=token_operands,
    prepare=_prepare,
    optional_operands=(frozenset({"extra_a", "extra_b"}),),
)
NUMBERS = {"cached_input_tokens": 0.0, "input_tokens": 8.0, "output_tokens": 1.0, "tokens_per_wh": 4.0}


def test_the_whole_boundary_is_the_default(activity: MakeActivity) -> None:
    assert LINE.compute(NUMBERS).energy_wh == Quantity(4.0)
    assert LINE.compute(NUMBERS, "narrow").energy_wh == Quantity(2.0)
    assert LINE.footprint(activity(8, 1)).boundary == "comprehensive"
    assert LINE.footprint(activity(8, 1)) == LINE.compute(NUMBERS)


def test_optional_operands_are_there_together_or_not_at_all() -> None:
    both = {**NUMBERS, "extra_a": 1.0, "extra_b": 1.0}
    assert LINE.compute(both).energy_wh == Quantity(4.0)
    for name, missing in (("extra_a", "extra_b"), ("extra_b", "extra_a")):
        with pytest.raises(InvalidInput, match=f": {missing};") as raised:
            LINE.compute({**NUMBERS, name: 1.0})
        assert raised.value.field == "operands"


def test_every_wrong_operand_is_named_in_order() -> None:
    wrong = {**NUMBERS, "zeal": 1.0, "ardour": 1.0}
    del wrong["input_tokens"]
    with pytest.raises(InvalidInput, match="ardour, input_tokens, zeal"):
        LINE.compute(wrong)


def test_a_long_list_of_wrong_operands_is_cut() -> None:
    with pytest.raises(InvalidInput) as raised:
        LINE.compute({**NUMBERS, **{f"x{i:03}": 1.0 for i in range(100)}})
    assert ", ".join(f"x{i:03}" for i in range(100))[:200] in str(raised.value)
    assert "x041" not in str(raised.value)


def test_numbers_outside_the_domain_are_refused_not_divided_by() -> None:
    with pytest.raises(InvalidInput, match="outside the domain of test") as raised:
        LINE.compute({**NUMBERS, "tokens_per_wh": 0.0})
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_operands_and_footprint_refuse_an_uncovered_workload(activity: MakeActivity) -> None:
    speech = activity(workload=Workload.SPEECH)
    for refuse in (LINE.operands, LINE.footprint):
        with pytest.raises(NotDefined, match="does not cover the workload 'speech'; it covers chat"):
            refuse(speech)


def test_the_hash_covers_id_formula_operands_indicators_interval_and_optional_operands() -> None:
    definition = {
        "formula": LINE.formula,
        "id": LINE.id,
        "indicators": ["energy_wh"],
        "interval": "none",
        "operands": dict(LINE.operand_units),
        "optional_operands": [["extra_a", "extra_b"]],
    }

    def sha256(value: object) -> str:
        return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    assert LINE.sha256 == sha256(definition)
    del definition["optional_operands"]
    assert replace(LINE, optional_operands=()).sha256 == sha256(definition)
    other = replace(LINE, title="other", summary="other", aliases=("line",), sources=("elsewhere",))
    assert other.sha256 == LINE.sha256


def test_the_hash_does_not_depend_on_the_order_of_what_has_none() -> None:
    several = replace(LINE, indicators=("energy_wh", "carbon_gco2e"))
    assert several.sha256 == replace(LINE, indicators=("carbon_gco2e", "energy_wh")).sha256
    groups = (frozenset({"extra_a"}), frozenset({"extra_b"}))
    assert replace(LINE, optional_operands=groups).sha256 == replace(LINE, optional_operands=groups[::-1]).sha256


def test_the_hash_of_a_formula_beyond_ascii_is_that_of_its_escapes() -> None:
    greek = replace(LINE, formula="energy = \u03b1 input_tokens", optional_operands=())
    definition = (
        '{"formula":"energy = \\u03b1 input_tokens","id":"test/line@1.0.0",'
        '"indicators":["energy_wh"],"interval":"none",'
        f'"operands":{json.dumps(dict(LINE.operand_units), separators=(",", ":"))}}}'
    )
    assert greek.sha256 == hashlib.sha256(definition.encode()).hexdigest()


def test_constants_keep_operands_and_numbers() -> None:
    operands = [Operand.of("pue", 1.2, "1", "test"), Operand.of("batch", 64, "requests", "test")]
    constants = Constants.of(iter(operands))
    assert constants.operands == tuple(operands)
    assert constants.numbers == {"pue": 1.2, "batch": 64.0}


def test_a_factor_comes_from_the_table_with_its_source() -> None:
    table = read_edition("wattproof/factors.json")
    pue = factor_operand("pue", "1")
    assert (pue.number, pue.unit, pue.source_id) == (table["factors"]["pue"]["value"], "1", table["source_id"])
    stated = factor_operand("sigma_ln_pue", "sd of ln", "sigma_ln_pue_stated")
    assert (stated.name, stated.number) == ("sigma_ln_pue", table["factors"]["sigma_ln_pue_stated"]["value"])


def test_token_counts_are_exact_whatever_their_size(activity: MakeActivity) -> None:
    operands = token_operands(activity(10**12 - 1, 123_456_789_013, cached_input_tokens=987_654_321_987))
    assert [(o.name, o.number, o.exp10, o.unit) for o in operands] == [
        ("cached_input_tokens", 987_654_321_987, 0, "token"),
        ("input_tokens", 10**12 - 1, 0, "token"),
        ("output_tokens", 123_456_789_013, 0, "token"),
    ]


def test_a_figure_includes_manufacture_only_where_the_method_says_so() -> None:
    assert not LINE.embodied_included
    included = {method.id for method in all_methods() if method.embodied_included}
    assert included == {"ecologits/llm@0.11.3", "ecologits/llm@0.4.0", "vetted/ladder@0.2.0"}


def test_the_default_method_comes_first() -> None:
    assert all_methods()[0] is get_method("wattproof/param")
