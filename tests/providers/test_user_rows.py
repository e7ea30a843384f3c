"""A user's providers.toml: what it may state, what it replaces, and how it is refused."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.providers import (
    NO_USER_ROWS,
    Deployment,
    UserRows,
    catalogue_with,
    deployments_for,
    is_stale,
    load_catalogue,
    load_user_rows,
    rates_with,
    to_usd_micros,
    unusable_reason,
)
from wattproof.resources.providers.user_deployment import MODEL_KEYS, PROVIDER_KEYS
from wattproof.resources.providers.user_rows import user_rows_from

PROVIDER = """
[[provider]]
provider = "mine"
base_url = "https://api.example.com/v1"
key_env = "MINE_API_KEY"
"""
MODEL = """
[[provider.model]]
model = "gpt-oss-120b"
"""
PRICE = 'price = { input = "0.1", output = 0.25, currency = "EUR", source = "s", checked_at = 2026-11-01 }\n'


def load(tmp_path: Path, text: str) -> UserRows:
    path = tmp_path / "providers.toml"
    path.write_text(text, encoding="utf-8")
    return load_user_rows(path)


def refused(tmp_path: Path, text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text)
    return caught.value


def one(rows: UserRows) -> Deployment:
    (row,) = rows.deployments
    return row


def test_no_file_states_nothing(tmp_path: Path) -> None:
    assert load_user_rows(tmp_path / "providers.toml") == NO_USER_ROWS
    assert load(tmp_path, "") == NO_USER_ROWS
    assert catalogue_with(NO_USER_ROWS) == load_catalogue()


def test_the_example_that_ships_is_read_as_its_comments_say() -> None:
    with as_file(files("wattproof.resources.providers").joinpath("providers.example.toml")) as path:
        rows = load_user_rows(path)
    found = {row.id: row for row in rows.deployments}
    swedish = found["example-se/gpt-oss-120b"]
    assert (swedish.zone, swedish.location_evidence, swedish.pue) == ("SE-SE3", "contractual", 1.12)
    assert swedish.price is not None
    assert (swedish.price.input_micros_per_mtok, swedish.price.cached_input_micros_per_mtok) == (150_000, 15_000)
    assert (swedish.price.currency, swedish.price.checked_at, swedish.checked_at) == ("EUR", "2026-11-22", "2026-11-22")
    assert found["example-se/gpt-oss-120b@low"].request_fields == {"reasoning_effort": "low"}
    azure = found["azure-sweden/gpt-4.1"]
    assert (azure.zone, azure.location_evidence, azure.pue, azure.auth) == ("SE", "declared", 1.16, "api-key")
    milan = found["bedrock-milan/gpt-oss-120b"]
    assert (milan.zone, milan.location_evidence, milan.cloud_region) == ("IT-NO", "inferred", "aws/eu-south-1")
    local = found["my-vllm/qwen3-32b"]
    assert (local.local, local.zone, local.location_evidence, local.key_env) == (True, "FR", "caller", ())
    assert {row.origin for row in rows.deployments} == {"user"}
    assert to_usd_micros(100, "EUR", rates=rates_with(rows.rates)) == 112
    assert rows.notes == ()


def test_the_example_documents_every_key() -> None:
    text = files("wattproof.resources.providers").joinpath("providers.example.toml").read_text()
    undocumented = {"ask_stream_usage"}
    for key in {*PROVIDER_KEYS, *MODEL_KEYS} - undocumented:
        assert key in text, key


def test_a_row_of_ones_own_replaces_the_bundled_one_with_its_id(tmp_path: Path) -> None:
    text = PROVIDER.replace("mine", "ovhcloud") + 'zone = "fr"\n' + MODEL.replace("gpt-oss", "openai/gpt-oss")
    rows = load(tmp_path, text)
    catalogue = catalogue_with(rows)
    assert len(catalogue) == len(load_catalogue())
    (row,) = [d for d in deployments_for("gpt-oss-120b", catalogue) if d.provider == "ovhcloud"]
    assert row is one(rows)
    assert (row.base_url, row.zone, row.origin) == ("https://api.example.com/v1", "FR", "user")


def test_a_row_of_ones_own_goes_before_a_probed_one_too(tmp_path: Path) -> None:
    rows = load(tmp_path, PROVIDER + MODEL)
    probed = load(tmp_path, PROVIDER + MODEL).deployments
    other = load(tmp_path, PROVIDER.replace("mine", "other") + MODEL).deployments
    found = catalogue_with(rows, (*probed, *other))
    assert [row for row in found if row.provider in {"mine", "other"}] == [one(rows), *other]
    assert found[-1] is other[0]


def test_a_model_that_no_edition_lists_is_kept_and_told_of(tmp_path: Path) -> None:
    rows = load(tmp_path, PROVIDER + '[[provider.model]]\nmodel = "my-finetune"\n')
    assert one(rows).model == one(rows).native_model == "my-finetune"
    assert rows.notes == (
        "mine/my-finetune: no edition lists the model 'my-finetune', so it has no estimate and is never chosen",
    )
    assert one(rows) not in deployments_for("gpt-oss-120b", catalogue_with(rows))


def test_a_zone_without_evidence_is_what_the_caller_states(tmp_path: Path) -> None:
    row = one(load(tmp_path, PROVIDER + 'zone = "se-se3"\n' + MODEL))
    assert (row.zone, row.location_evidence) == ("SE-SE3", "caller")
    assert is_stale(row, 2e9) is None
    nowhere = one(load(tmp_path, PROVIDER + MODEL))
    assert (nowhere.zone, nowhere.location_evidence) == (None, "unknown")


@pytest.mark.parametrize("native", ["eu.openai.gpt-oss-120b", "global.openai.gpt-oss-120b-1:0"])
def test_a_cross_region_profile_has_no_place_even_under_a_contract(tmp_path: Path, native: str) -> None:
    text = PROVIDER + 'zone = "FR"\nlocation_evidence = "contractual"\nlocation_source = "c"\npue = 1.1\n'
    row = one(load(tmp_path, text + MODEL + f'native_model = "{native}"\n'))
    assert (row.zone, row.location_evidence, row.pue) == (None, "unknown", None)
    assert "cross-region" in row.location_source


AZURE = '[[provider]]\nprovider = "az"\nbase_url = "https://me.openai.azure.com/openai/v1"\n'


@pytest.mark.parametrize("kind", ["GlobalStandard", "DataZoneStandard", "GlobalProvisionedManaged"])
def test_a_roving_azure_deployment_has_no_place(tmp_path: Path, kind: str) -> None:
    stated = f'cloud_region = "azure/francecentral"\ndeployment_type = "{kind}"\n'
    row = one(load(tmp_path, AZURE + stated + MODEL))
    assert (row.zone, row.location_evidence, row.cloud_region) == (None, "unknown", None)
    assert kind in row.location_source


def test_a_regional_azure_deployment_takes_the_place_of_its_region(tmp_path: Path) -> None:
    stated = 'cloud_region = "azure/francecentral"\ndeployment_type = "Standard"\n'
    row = one(load(tmp_path, AZURE + stated + MODEL))
    assert (row.zone, row.location_evidence, row.auth) == ("FR", "declared", "api-key")


def test_an_azure_place_needs_the_type_of_the_deployment(tmp_path: Path) -> None:
    for place in ('zone = "FR"\n', 'cloud_region = "azure/francecentral"\n'):
        error = refused(tmp_path, AZURE + place + MODEL)
        assert error.field == "providers.toml, provider 1: deployment_type"
        assert "Standard, ProvisionedManaged stay in the region" in error.fix
    assert one(load(tmp_path, AZURE + MODEL)).zone is None


def test_a_regional_host_tells_its_region(tmp_path: Path) -> None:
    host = PROVIDER.replace("api.example.com/v1", "bedrock-runtime.eu-west-1.amazonaws.com/openai/v1")
    row = one(load(tmp_path, host + MODEL))
    assert (row.zone, row.cloud_region, row.pue) == ("IE", "aws/eu-west-1", 1.11)
    error = refused(tmp_path, host + 'cloud_region = "aws/eu-north-1"\n' + MODEL)
    assert error.problem == "is aws/eu-north-1, while base_url names aws/eu-west-1"
    error = refused(tmp_path, host + 'zone = "SE"\n' + MODEL)
    assert error.problem == "is SE, while aws/eu-west-1 lies in IE"
    unlisted = host.replace("eu-west-1", "sa-west-9")
    assert one(load(tmp_path, unlisted + MODEL)).zone is None


def test_a_proxy_on_this_machine_is_not_a_model_server_of_this_machine(tmp_path: Path) -> None:
    loopback = '[[provider]]\nprovider = "here"\nbase_url = "http://localhost:4000/v1/"\n'
    server = one(load(tmp_path, loopback + MODEL))
    assert (server.local, server.base_url) == (True, "http://localhost:4000/v1")
    assert unusable_reason(server, {}, offline=True) is None
    for proxy in (loopback + 'key_env = "K"\n' + MODEL, loopback + MODEL + PRICE):
        row = one(load(tmp_path, proxy))
        assert not row.local
        assert unusable_reason(row, {"K": "k"}, offline=True) is not None


def test_prices_are_exact_and_rounded_up(tmp_path: Path) -> None:
    price = 'price = { input = 0.1, output = "0.00000001", currency = "SEK", source = "s", checked_at = "2026-11" }\n'
    row = one(load(tmp_path, PROVIDER + MODEL + price))
    assert row.price is not None
    assert (row.price.input_micros_per_mtok, row.price.output_micros_per_mtok) == (100_000, 1)
    assert (row.price.cached_input_micros_per_mtok, row.price.currency) == (None, "SEK")


def test_the_protocol_of_a_model_goes_before_that_of_its_provider(tmp_path: Path) -> None:
    text = PROVIDER + 'protocol = "anthropic-messages"\n' + MODEL
    text += '[[provider.model]]\nmodel = "qwen3-embedding-8b"\nprotocol = "openai-embeddings"\n'
    chat, embedding = load(tmp_path, text).deployments
    assert (chat.protocol, chat.auth) == ("anthropic-messages", "x-api-key")
    assert (embedding.protocol, embedding.auth) == ("openai-embeddings", "bearer")


def test_pinned_fields_become_plain_json(tmp_path: Path) -> None:
    text = PROVIDER + MODEL + 'request_fields = { a = 1, b = 0.5, c = [true, "x", { d = 2.0 }] }\n'
    assert one(load(tmp_path, text)).request_fields == {"a": 1, "b": 0.5, "c": [True, "x", {"d": 2.0}]}


UNREADABLE = "is empty, too long or holds control characters"
NO_JSON = "holds a date, a huge number or another value that JSON has no form for"

IN_PROVIDER = [
    # lines of the provider's table, field, problem, part of the fix
    ('api_key = "sk-1"', "api_key", "is not a key of this table", "key_env"),
    ('zome = "FR"', "zome", "is not a key of this table", "zone"),
    ("zone = 3", "zone", "is a number", "in quotes"),
    ('zone = ""', "zone", UNREADABLE, ""),
    ('zone = "SE-SE9"', "zone", "is 'SE-SE9', which no edition lists", "SE-SE"),
    ('location_evidence = "declared"', "location_evidence", "is given without a zone", "zone"),
    ('zone = "FR"\nlocation_evidence = "inferred"', "location_evidence", "is 'inferred'", "caller, declared"),
    ('zone = "FR"\nlocation_evidence = "contractual"', "location_source", "is missing", "contract"),
    ('cloud_region = "gcp/x"', "zone", "is missing, and no zone of this region is known", "aws/eu-north-1"),
    ('cloud_region = "europe"', "cloud_region", "has another form", "aws/eu-north-1"),
    ('deployment_type = "Standard"', "deployment_type", "is only for Azure", "leave it out"),
    ('protocol = "openai-chats"', "protocol", "is 'openai-chats'", "closest: openai-chat"),
    ('protocol = "embedded"', "protocol", "is 'embedded'", "openai-chat"),
    ("pue = 0.9", "pue", "is out of range", "from 1 to 4"),
    ("pue = nan", "pue", "is not finite or has too many digits", ""),
    ("pue = true", "pue", "is true or false", ""),
    ("pue = []", "pue", "is a list", ""),
    ("ask_stream_usage = 1", "ask_stream_usage", "is a number", "true or false"),
    ('auth = "basic"', "auth", "is 'basic'", "bearer"),
    ('output_limit_field = "max"', "output_limit_field", "is 'max'", "max_tokens"),
    ('checked_at = "2026-02-30"', "checked_at", "is '2026-02-30', which is no date", "2026-11-22"),
    ("checked_at = 10:00:00", "checked_at", "is a table or a date", "2026-11-22"),
]

IN_ADDRESS = [
    # part of the provider's table, what stands there instead, field, problem
    ('"mine"', '"My Provider"', "provider", "has another form"),
    ('"mine"', '"a\\r\\nX-Evil: 1"', "provider", UNREADABLE),
    ("https", "http", "base_url", "is plain http to another machine"),
    ("api.", "u:p@api.", "base_url", "holds a user name or password"),
    ("/v1", "/v1?key=1", "base_url", "holds a query or a fragment"),
    ("base_url", "location_source", "base_url", "is missing"),
]

IN_MODEL = [
    # lines of the model's table, field, problem, part of the fix
    ('native_model = "a\\u0000b"', ": native_model", UNREADABLE, ""),
    ("nope = 1", ": nope", "is not a key of this table", ""),
    ("context_tokens = 0", ": context_tokens", "is no such whole number", "from 1"),
    ("speed_tokens_per_s = -1", ": speed_tokens_per_s", "is out of range", ""),
    ("quality = inf", ": quality", "is not finite or has too many digits", ""),
    ('variant = "a b"', ": variant", "has another form", ""),
    ("price = 3", ": price", "is a number", "{ ... }"),
    ("price = {}", ", price: input", "is missing", ""),
    (PRICE.replace('"0.1"', '"1e3"'), ", price: input", "is text", "from 0"),
    (PRICE.replace('"0.1"', "-0.1"), ", price: input", "is out of range", "from 0"),
    (PRICE.replace('"EUR"', '"euro"'), ", price: currency", "has another form", "EUR"),
    (PRICE.replace('source = "s", ', ""), ", price: source", "is missing", ""),
    (PRICE.replace(", checked_at = 2026-11-01", ""), ", price: checked_at", "is missing", "2026-11-22"),
    ("request_fields = { messages = 1 }", ", request_fields: messages", "belongs to the request", ""),
    ("request_fields = { a = 2026-01-01 }", ": request_fields", NO_JSON, ""),
    ("request_fields = { a = nan }", ": request_fields", NO_JSON, ""),
    ("request_fields = { a = 9007199254740993 }", ": request_fields", NO_JSON, ""),
    ("request_fields = { a = [[[[[[1]]]]]] }", ": request_fields", "holds tables within tables, too deep", ""),
]

RATE = '[[exchange]]\ncurrency = "EUR"\nusd_per_unit = 1.1\nsource = "s"\nchecked_at = "2026-11"\n'
ELSEWHERE = [
    # the whole file, field, problem
    ("nope = 1\n", ": nope", "is not a key of this table"),
    ("provider = 3\n", ": provider", "is no array of at most 500 tables"),
    ("provider = [1]\n", ": provider", "is no array of at most 500 tables"),
    (PROVIDER, ", provider 1: model", "is missing"),
    (PROVIDER + "[[provider.model]]\n", ", provider 1, model 1: model", "is missing"),
    (PROVIDER + MODEL + MODEL, ", provider 1, model 2: model", "repeats 'mine/gpt-oss-120b'"),
    (PROVIDER + MODEL + PROVIDER + MODEL, ", provider 2, model 1: model", "repeats 'mine/gpt-oss-120b'"),
    (PROVIDER + MODEL.replace("gpt-oss", "a b"), ", provider 1, model 1: model", "has another form"),
    (PROVIDER + MODEL.replace("gpt-oss", "a@b"), ", provider 1, model 1: model", "has another form"),
    (RATE.replace("EUR", "USD"), ", exchange 1: currency", "has another form"),
    (RATE.replace("usd_per_unit = 1.1", ""), ", exchange 1: usd_per_unit", "is missing"),
    (RATE.replace("1.1", "0"), ", exchange 1: usd_per_unit", "is out of range"),
    (RATE.replace('checked_at = "2026-11"', ""), ", exchange 1: checked_at", "is missing"),
    (RATE.replace("source", "sauce"), ", exchange 1: sauce", "is not a key of this table"),
    (RATE * 2, ", exchange 2: currency", "repeats EUR"),
]


@pytest.mark.parametrize(("lines", "field", "problem", "fix"), IN_PROVIDER)
def test_a_wrong_field_of_a_provider_is_named_with_what_would_work(
    tmp_path: Path, lines: str, field: str, problem: str, fix: str
) -> None:
    error = refused(tmp_path, PROVIDER + lines + "\n" + MODEL)
    assert (error.field, error.problem) == (f"providers.toml, provider 1: {field}", problem)
    assert fix in error.fix


@pytest.mark.parametrize(("part", "instead", "field", "problem"), IN_ADDRESS)
def test_a_name_or_address_that_no_request_could_carry_is_refused(
    tmp_path: Path, part: str, instead: str, field: str, problem: str
) -> None:
    error = refused(tmp_path, PROVIDER.replace(part, instead) + MODEL)
    assert (error.field, error.problem) == (f"providers.toml, provider 1: {field}", problem)


@pytest.mark.parametrize(("lines", "field", "problem", "fix"), IN_MODEL)
def test_a_wrong_field_of_a_model_is_named_with_what_would_work(
    tmp_path: Path, lines: str, field: str, problem: str, fix: str
) -> None:
    error = refused(tmp_path, PROVIDER + MODEL + lines + "\n")
    assert (error.field, error.problem) == (f"providers.toml, provider 1, model 1{field}", problem)
    assert fix in error.fix


@pytest.mark.parametrize(("text", "field", "problem"), ELSEWHERE)
def test_a_wrong_table_is_named(tmp_path: Path, text: str, field: str, problem: str) -> None:
    error = refused(tmp_path, text)
    assert (error.field, error.problem) == (f"providers.toml{field}", problem)


@pytest.mark.parametrize("value", ['"sk-abc-123"', '["OK_NAME", "sk-abc-123"]', '"WATTPROOF_ISSUER_KEY"', "3", '""'])
def test_what_is_no_variable_is_refused_and_never_shown(tmp_path: Path, value: str) -> None:
    error = refused(tmp_path, PROVIDER.replace('"MINE_API_KEY"', value) + MODEL)
    assert error.field == "providers.toml, provider 1: key_env"
    assert "sk-abc" not in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        b"[[provider]\n",
        b"a = \xff\n",
        b"\x00",
        b"a = " + b"9" * 5000 + b"\n",
        b"a = " + b"[" * 5000,
        b"a = 1e99999999999999999999\n",
        b"\xef\xbb\xbfa = 1\n",
    ],
    ids=["broken", "no UTF-8", "NUL", "long number", "deep", "huge exponent", "byte order mark"],
)
def test_a_file_that_is_no_toml_is_refused_in_one_line(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "providers.toml"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput) as caught:
        load_user_rows(path)
    assert caught.value.field.startswith("providers.toml")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_file_too_large_or_unreadable_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InvalidInput, match="is larger than 1 MiB"):
        load_user_rows(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_user_rows(tmp_path)


def test_nothing_is_kept_of_a_file_with_one_wrong_field(tmp_path: Path) -> None:
    refused(tmp_path, PROVIDER + MODEL + PROVIDER.replace("mine", "other") + "pue = 9\n" + MODEL)
    assert catalogue_with(NO_USER_ROWS) == load_catalogue()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.dates() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def table(*names: str, **good: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables with the known names, each good or anything, and now and then another name."""
    known = {name: good.get(name, st.nothing()) | ANYTHING for name in names}
    return st.fixed_dictionaries({}, optional=known).flatmap(
        lambda found: st.dictionaries(st.text(max_size=6), ANYTHING, max_size=1).map(lambda extra: {**extra, **found})
    )


MODELS = table(
    *MODEL_KEYS,
    model=st.sampled_from(["gpt-oss-120b", "qwen3-32b", "x"]),
    price=table("input", "output", "currency", "source", "checked_at", input=st.just("0.1"), currency=st.just("EUR")),
    request_fields=st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
)
PROVIDERS = table(
    *PROVIDER_KEYS,
    provider=st.just("mine"),
    base_url=st.sampled_from(["https://a.example", "https://me.openai.azure.com", "http://localhost"]) | st.text(),
    key_env=st.just("KEY"),
    zone=st.sampled_from(["FR", "SE-SE3"]),
    cloud_region=st.sampled_from(["aws/eu-north-1", "azure/westeurope"]),
    model=st.lists(MODELS, max_size=2),
)


FILES = table("provider", "exchange", provider=st.lists(PROVIDERS, max_size=2))


@given(FILES)
@settings(max_examples=150)
def test_any_content_is_read_or_refused_in_words(content: dict[str, Any]) -> None:
    found = read_or_refused(content)
    if isinstance(found, InvalidInput):
        assert str(found).isprintable()
        assert len(str(found)) < 1200
        return
    for row in found.deployments:
        assert (row.zone is None) == (row.location_evidence == "unknown")
        assert row.location_source


GOOD_PROVIDER = {"provider": "mine", "base_url": "https://a.example/v1", "key_env": "K", "zone": "FR"}
GOOD_MODEL = {"model": "gpt-oss-120b", "request_fields": {"a": 1}}
GOOD_PRICE = {"input": "0.1", "currency": "EUR", "source": "s", "checked_at": "2026-11"}
ONE_WILD_KEY = st.sampled_from(
    [(0, key) for key in PROVIDER_KEYS] + [(1, key) for key in MODEL_KEYS] + [(2, key) for key in GOOD_PRICE]
)


@given(ONE_WILD_KEY, ANYTHING)
@settings(max_examples=200)
def test_one_wild_value_in_a_good_file_is_read_or_named(where: tuple[int, str], wild: object) -> None:
    tables: tuple[dict[str, Any], ...] = (dict(GOOD_PROVIDER), dict(GOOD_MODEL), dict(GOOD_PRICE))
    tables[1]["price"] = tables[2]
    tables[0]["model"] = [tables[1]]
    assert isinstance(read_or_refused({"provider": [tables[0]]}), UserRows)
    tables[where[0]][where[1]] = wild
    found = read_or_refused({"provider": [tables[0]]})
    if isinstance(found, InvalidInput):
        assert found.field.startswith("providers.toml")
    else:
        assert [row.origin for row in found.deployments] == ["user"]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "providers.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load_user_rows(path)
        except InvalidInput as error:
            said = str(error)
        else:
            said = ""
    assert not said or said.isprintable()


def read_or_refused(content: dict[str, Any]) -> UserRows | InvalidInput:
    try:
        return user_rows_from(content)
    except InvalidInput as error:
        return error


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    first = load(tmp_path, PROVIDER + MODEL)
    assert load(tmp_path, PROVIDER + MODEL) is first
    second = load(tmp_path, PROVIDER + MODEL.replace("120b", "20b"))
    assert [row.model for row in second.deployments] == ["gpt-oss-20b"]
    with pytest.raises(InvalidInput, match="is no TOML"):
        load(tmp_path, "[")
