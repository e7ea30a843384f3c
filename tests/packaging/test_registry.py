"""server.json and the bundle's manifest say what is true of this version; `make docs` writes them.

The registry's own schema cannot be fetched here, so the rules that matter are stated below in our words: names,
lengths, exact versions, and what each kind of package must and must not carry.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError, validate

from docs.generate.distribution import REGISTRY_NAME
from docs.generate.listed import listed
from docs.generate.variables import OWN, grid_variables, provider_variables
from tests.packaging.conftest import ROOT
from wattproof import __version__
from wattproof.server.settings import CONFIG_KEYS, load_settings, unknown_variables
from wattproof.server.tool_table import TOOLS

SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text("utf-8"))
MANIFEST: dict[str, Any] = json.loads((ROOT / "packaging" / "mcpb" / "manifest.json").read_text("utf-8"))
EXACT_VERSION = r"^\d+\.\d+\.\d+([.-]?[a-z0-9.]+)?$"

_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "isRequired": {"type": "boolean"},
        "isSecret": {"type": "boolean"},
        "format": {"enum": ["string", "number", "boolean", "filepath"]},
        "default": {"type": "string"},
        "placeholder": {"type": "string"},
        "value": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
}
_VARIABLE: dict[str, Any] = {**_INPUT, "required": ["name", "description"], "additionalProperties": False}
_ARGUMENT: dict[str, Any] = {
    **_INPUT,
    "properties": {**_INPUT["properties"], "type": {"enum": ["named", "positional"]}},
    "required": ["type"],
    "additionalProperties": False,
}
_PACKAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "registryType": {"enum": ["pypi", "oci"]},
        "identifier": {"type": "string"},
        "version": {"type": "string", "pattern": EXACT_VERSION},
        "runtimeHint": {"enum": ["uvx", "docker"]},
        "transport": {"const": {"type": "stdio"}},
        "runtimeArguments": {"type": "array", "items": _ARGUMENT},
        "environmentVariables": {"type": "array", "items": _VARIABLE},
    },
    "required": ["registryType", "identifier", "transport"],
    "additionalProperties": False,
    "dependentRequired": {"runtimeArguments": ["runtimeHint"]},
    # An image carries its version in its reference, a wheel beside its name.
    "if": {"properties": {"registryType": {"const": "oci"}}},
    "then": {"not": {"required": ["version"]}, "properties": {"identifier": {"pattern": r"^[a-z0-9./-]+:[\w.-]+$"}}},
    "else": {"required": ["version"], "properties": {"identifier": {"pattern": r"^[a-z0-9._-]+$"}}},
}
SERVER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
        "name": {"type": "string", "minLength": 3, "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": {"type": "string", "maxLength": 255, "pattern": EXACT_VERSION},
        "repository": {
            "type": "object",
            "properties": {"url": {"type": "string", "pattern": "^https://"}, "source": {"const": "github"}},
            "required": ["url", "source"],
            "additionalProperties": False,
        },
        "packages": {"type": "array", "items": _PACKAGE, "minItems": 1},
    },
    "required": ["$schema", "name", "description", "version", "packages"],
    "additionalProperties": False,
}


def test_the_registry_entry_keeps_the_rules_of_its_schema() -> None:
    Draft202012Validator.check_schema(SERVER_SCHEMA)

    validate(SERVER, SERVER_SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"description": "x" * 101},
        {"version": ">=0.1"},
        {"name": "wattproof"},
        {"packages": [{"registryType": "oci", "identifier": "a/b", "transport": {"type": "stdio"}}]},
        {"packages": [{"registryType": "pypi", "identifier": "wattproof", "transport": {"type": "stdio"}}]},
    ],
    ids=["long description", "range of versions", "name without a space of its own", "image", "wheel"],
)
def test_the_rules_refuse_an_entry_that_breaks_one(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate({**SERVER, **wrong}, SERVER_SCHEMA)


def test_the_versions_are_that_of_the_package_and_the_name_is_that_of_the_readme() -> None:
    pypi, oci = SERVER["packages"]
    readme = (ROOT / "README.md").read_text("utf-8")

    assert SERVER["version"] == pypi["version"] == MANIFEST["version"] == __version__
    assert oci["identifier"].endswith(f":{__version__}")
    assert SERVER["name"] == REGISTRY_NAME
    assert f"<!-- mcp-name: {REGISTRY_NAME} -->" in readme


def test_the_table_of_variables_has_every_one_that_the_settings_read_and_no_other() -> None:
    named = {variable.name for variable in OWN}

    assert len(named) == len(OWN)
    assert unknown_variables(dict.fromkeys(named, "")) == ()
    source = (ROOT / "wattproof" / "server" / "settings.py").read_text("utf-8")
    assert set(re.findall(r'"(WATTPROOF_[A-Z_]+[A-Z])"', source)) == named
    assert {v.config_key: v.name for v in OWN if v.config_key} == dict(CONFIG_KEYS)


def test_every_key_and_no_plain_setting_is_marked_as_a_secret() -> None:
    variables = {entry["name"]: entry["isSecret"] for entry in SERVER["packages"][0]["environmentVariables"]}
    keys = re.compile(r"KEY|TOKEN|PASSWORD|_USER$|SECRET|WATTPROOF_LEDGER|AWS_BEARER")

    assert {name for name, secret in variables.items() if secret} == {n for n in variables if keys.search(n)}


def test_a_form_asks_for_every_provider_and_grid_key_and_hides_what_is_typed() -> None:
    fields = MANIFEST["user_config"]
    env = MANIFEST["server"]["mcp_config"]["env"]
    keys = {v.name for v in (*grid_variables(), *provider_variables()) if v.secret}

    assert keys <= env.keys()
    assert {reference[14:-1] for reference in env.values()} == fields.keys()
    assert {name for name in env if fields[env[name][14:-1]].get("sensitive")} == keys
    assert not [name for name, field in fields.items() if field["required"] or field["default"]]


def test_the_settings_take_the_form_as_a_host_fills_it_in_when_nothing_was_typed() -> None:
    fields = MANIFEST["user_config"]
    env = {
        name: str(fields[reference[14:-1]]["default"]).lower()
        for name, reference in MANIFEST["server"]["mcp_config"]["env"].items()
    }
    settings = load_settings({**env, "WATTPROOF_HOME": str(ROOT / "no-such-folder")})

    assert (settings.zone, settings.offline, settings.profiles) == (None, False, ())


def test_the_manifest_names_the_tools_of_the_server_in_its_order() -> None:
    assert [tool["name"] for tool in MANIFEST["tools"]] == [spec.name for spec in TOOLS]


def test_the_manifest_and_the_project_ask_for_the_same_python_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert MANIFEST["compatibility"]["runtimes"]["python"] == project["requires-python"]
    assert MANIFEST["license"] == project["license"]


async def test_the_manifest_names_the_prompts_of_the_server_with_their_arguments() -> None:
    found = await listed()

    assert [prompt["name"] for prompt in MANIFEST["prompts"]] == [prompt.name for prompt in found.prompts]
    for stated, prompt in zip(MANIFEST["prompts"], found.prompts, strict=True):
        names = [argument.name for argument in prompt.arguments or ()]
        assert stated.get("arguments", []) == names
        assert re.findall(r"\$\{arguments\.(\w+)\}", stated["text"]) == names
