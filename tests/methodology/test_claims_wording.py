"""Statements that say more than can be shown are found, those that do not are left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.claims import check_wording, rule_set

FOUND = (
    ("saved", "We saved 3.2 g of CO2e this month."),
    ("saved", "Switching to Haiku avoids 2 kg of CO2."),
    ("saved", "This saves energy."),
    ("saved", "Energy savings of 30 Wh per day."),
    ("saved", "It is not only fast, it saved 3 g CO2e."),
    ("neutral", "Our inference is carbon-neutral since 2024."),
    ("neutral", "Net zero AI, today."),
    ("neutral", "a climate\npositive assistant"),
    ("neutral", "It is not expensive, it is carbon neutral."),
    ("neutral", "No other provider is carbon neutral."),
    ("offset", "All emissions are fully offset."),
    ("offset", "We compensate for our carbon footprint."),
    ("renewable_100", "We run on 100 % renewable energy."),
    ("renewable_100", "Powered by wind."),
    ("real_time", "Real-time grid intensity for every request."),
    ("generic", "Powered by green AI."),
    ("generic", "An eco-friendly choice of region."),
    ("generic", "Clean regions first."),
    ("generic", "We go green."),
    ("generic", "Sustainable by design."),
    ("superlative", "The most energy-efficient model on the market."),
    ("superlative", "The lowest-carbon provider in Europe."),
    ("measured", "We measured 0.42 Wh per prompt for GPT-5."),
    ("measured", "Actual emissions: 4.2 g CO2e"),
    ("verified", "Verified emissions data for every call."),
    ("compliance", "This report is CSRD-compliant."),
    ("compliance", "fully compliant with the EU AI Act"),
    ("scope_2", "Our OpenAI API usage is reported under Scope 2."),
    ("future", "By 2030 we will halve our emissions."),
    ("zero", "0 g CO2e per request."),
    ("zero", "Zero-carbon answers."),
    ("sci", "SCI score: 0.5 g per request."),
    ("baseline", "40 % less carbon."),
    ("baseline", "Reduces emissions by up to 40%."),
    ("baseline", "30 % less energy than competitors."),
    ("unit", "BatchIn reports 14 Mg CO2."),
    ("unit", "Consumes 3 kW per day."),
    ("unit_mwh", "Each request uses 0.3 MWh."),
    ("market_based", "RECs lower our emissions to 12 t."),
    ("netting", "Net emissions after offsets are 2 kg."),
    ("marginal", "We used the marginal factor for our inventory."),
    ("equivalence", "A query equals charging 3 smartphones, at 0.2 Wh."),
    ("whole_life", "Our total carbon footprint is 4 kg."),
    ("label", "Energy class A assistant."),
    ("frugal", "Frugal AI for everyone."),
)

LEFT_ALONE = (
    'We do not say "carbon neutral".',
    "We never claim net zero.",
    "Nothing here is carbon neutral.",
    "No model is verified as green, clean or sustainable.",
    "Is it carbon neutral?",
    "Net zero is not claimed.",
    "Don't call it sustainable.",
    "The `green_score` field is not used, and `carbon neutral` is code.",
    "1.1 g vs 4.3 g for baseline claude-sonnet-5-5 you chose (same tokens, same grid factor).",
    "Gross 4.3 g; separately, 0.005 kg of credits recorded (status: pledged).",
    "Lower estimated location-based intensity (42 vs 310 g/kWh, NESO, 14:00Z).",
    "Estimated 0.89 Wh (0.26–3.1) by wattproof/param@1.0.0.",
    "Signature valid; arithmetic recomputed; inputs not independently audited.",
    "Supplier reports annual matching; location-based factor unchanged.",
    "Observed 14:00Z, 22 min old.",
    "Carbon intensity was 31 g/kWh in FR.",
    "The carbon-free share was 0.9.",
    "A clean environment for the tests, and a green light for the release.",
    "The cache saves time and money.",
    "Scope 3 category 1, not Scope 2, for the hosted API.",
    "The Green Software Foundation publishes the SCI.",
    "Marginal readings are never used for accounting.",
    "claude-haiku-5-5 would need 0.19x of the energy of claude-sonnet-5-5.",
    "30 % less energy than claude-sonnet-5-5, same tokens, same grid factor.",
    "SCI 0.5 gCO2e per request: E 0.8 Wh, I 31 gCO2e/kWh, embodied 0.1 g.",
)


def ids_in(text: str) -> list[str]:
    return [finding.rule.id for finding in check_wording(text).findings]


@pytest.mark.parametrize(("rule", "text"), FOUND)
def test_a_statement_that_says_too_much_is_found(rule: str, text: str) -> None:
    assert rule in ids_in(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_a_statement_that_can_be_shown_is_left_alone(text: str) -> None:
    assert ids_in(text) == []


def test_every_rule_has_a_statement_that_it_finds() -> None:
    assert {rule.id for rule in rule_set().rules} == {rule for rule, _ in FOUND}


@pytest.mark.parametrize("rule", rule_set().rules, ids=lambda rule: rule.id)
def test_what_to_write_instead_would_pass_itself(rule: object) -> None:
    from wattproof.methodology.claims import Rule

    assert isinstance(rule, Rule)
    for figures in ("3.2 g CO2e", "0.4 Wh and 40 %", "[figure]"):
        assert ids_in(rule.instead.replace("{figures}", figures) + ".") == []


@pytest.mark.parametrize("rule", rule_set().rules, ids=lambda rule: rule.id)
def test_a_reason_and_its_regime_claim_nothing_themselves(rule: object) -> None:
    from wattproof.methodology.claims import Rule

    assert isinstance(rule, Rule)
    assert "compliant" not in rule.why + rule.instead
    assert rule.regime.name
    assert rule.regime.since
    assert rule.why[0].islower() or rule.why.startswith(("SCI", "Mg", "MWh", "RECs", "0 "))


def test_a_rewording_keeps_the_numbers_of_the_claim() -> None:
    (finding,) = check_wording("Last month we saved 3.2 g CO2e and we are glad.").findings

    assert "3.2 g CO2e" in finding.instead
    assert finding.words == "saved 3.2 g CO2e"


def test_two_claims_in_one_sentence_are_two_findings() -> None:
    assert ids_in("Our carbon-neutral assistant saved 3.2 g CO2e.") == ["neutral", "saved"]


def test_a_finding_says_where_it_is() -> None:
    text = "# Title\n\nFirst line.\nWe are\ncarbon neutral now."
    (finding,) = check_wording(text).findings

    assert text[finding.start : finding.end] == "carbon neutral"
    assert finding.sentence == "We are carbon neutral now."


def test_quoted_words_are_not_judged_but_told() -> None:
    wording = check_wording('They print "100 % renewable" on the box, and we quote it.')

    assert wording.findings == ()
    assert wording.quoted == ("renewable_100",)


def test_a_text_that_is_one_quotation_is_judged() -> None:
    assert ids_in('"We saved 3 g CO2e."') == ["saved"]
    assert ids_in("“Net zero.”") == ["neutral"]


def test_fences_comments_tags_and_links_are_no_prose() -> None:
    assert ids_in("```\nwe are carbon neutral\n```\nDone.") == []
    assert (
        ids_in("<!-- carbon neutral --> [text](https://example.com/carbon-neutral) <b class='green energy'>x</b>") == []
    )
    assert ids_in("[we are carbon neutral](https://example.com)") == ["neutral"]


def test_each_cell_of_a_table_is_judged_by_itself() -> None:
    assert ids_in("| not this | we are carbon neutral |") == ["neutral"]


@given(st.text(max_size=400))
def test_any_text_can_be_checked(text: str) -> None:
    for finding in check_wording(text).findings:
        assert 0 <= finding.start < finding.end <= len(text)


@given(
    st.lists(
        st.sampled_from(
            ["saved ", "carbon ", "3 g ", "not ", '"', "`", "net zero ", "| ", ". ", "\n\n", "( ", "will "]
        ),
        max_size=60,
    )
)
def test_any_row_of_telling_words_can_be_checked(words: list[str]) -> None:
    check_wording("".join(words))


@pytest.mark.parametrize("evil", ["not ", "saved ", "reduce ", "0.", '"', "carbon ", "1 - ", "<a", "|", "( ", "1,111"])
def test_the_time_to_check_a_long_text_is_bounded(evil: str) -> None:
    text = (evil * 20_000)[:20_000]
    begun = time.process_time()
    check_wording(text)

    assert time.process_time() - begun < 5
