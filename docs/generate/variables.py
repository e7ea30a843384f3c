"""Every environment variable that wattproof reads, with what it means: for the reference, server.json and the bundle.

A test compares the names with the settings, the catalogue and the grid sources, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wattproof.resources.grid.sources import default_sources
from wattproof.resources.providers import load_catalogue

__all__ = ["OWN", "Variable", "grid_variables", "provider_variables"]

Kind = Literal["string", "number", "boolean", "filepath"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    `config_key` is its key in config.toml, where it has one. `serves` are the ways of serving for which it matters:
    `all`, or `http` where it means nothing over stdin and stdout. `asked` is whether a host's form asks for it.
    """

    name: str
    title: str
    meaning: str
    default: str
    kind: Kind = "string"
    secret: bool = False
    config_key: str | None = None
    choices: tuple[str, ...] = ()
    placeholder: str | None = None
    serves: Literal["all", "http"] = "all"
    asked: bool = False


OWN: tuple[Variable, ...] = (
    Variable(
        "WATTPROOF_HOME",
        "Folder",
        "Folder of the ledger, the keys, config.toml and providers.toml; an absolute path.",
        "the platform's data directory",
        kind="filepath",
        asked=True,
    ),
    Variable(
        "WATTPROOF_ZONE",
        "Grid zone",
        "Where this machine is, for models that run on it: a zone such as FR, SE-SE3 or US-CAL-CISO.",
        "unknown",
        config_key="zone",
        placeholder="FR",
        asked=True,
    ),
    Variable(
        "WATTPROOF_MAX_COST_USD",
        "Ceiling of one run",
        "Ceiling of one run in US dollars, from 0 to 1000; no argument of a model can raise it.",
        "0.10",
        kind="number",
        config_key="max_cost_usd",
        asked=True,
    ),
    Variable(
        "WATTPROOF_GRID",
        "Grid readings",
        "live asks grid sources; annual asks none, so that results never change.",
        "live",
        config_key="grid",
        choices=("live", "annual"),
        asked=True,
    ),
    Variable(
        "WATTPROOF_OFFLINE",
        "Offline",
        "1 forbids every contact beyond this machine.",
        "off",
        kind="boolean",
        config_key="offline",
        asked=True,
    ),
    Variable(
        "WATTPROOF_PROFILES",
        "Further tools",
        "Sets of tools beside the core, separated by commas.",
        "none",
        config_key="profiles",
        asked=True,
    ),
    Variable(
        "WATTPROOF_APPS",
        "Views",
        "Who is offered views (MCP Apps): auto, clients that say that they show them; on, all; off, none.",
        "auto",
        config_key="apps",
        choices=("auto", "on", "off"),
    ),
    Variable(
        "WATTPROOF_FAST_START",
        "Fast start",
        "0 serves stdin and stdout by the SDK's own transport, with nothing answered before it is loaded.",
        "on",
    ),
    Variable(
        "WATTPROOF_LOG_ORIGIN",
        "Name of the logs",
        "Begins the name of the logs in their checkpoints, such as ledger.example.com.",
        "wattproof.local",
        config_key="log_origin",
    ),
    Variable(
        "WATTPROOF_LEDGER",
        "Database of the ledger",
        "postgresql://USER@HOST/DATABASE: a ledger that processes share; needs the extra postgres and both keys.",
        "a file in the folder",
        secret=True,
    ),
    Variable(
        "WATTPROOF_ISSUER_KEY",
        "Key of receipts",
        "Seed of the Ed25519 key that signs receipts, as base64url of 32 bytes.",
        "a file of mode 0600",
        secret=True,
    ),
    Variable(
        "WATTPROOF_ISSUER_KEY_NEXT",
        "Next key of receipts",
        "The key that ledger rotate-key issuer changes to, where keys come from the environment.",
        "none",
        secret=True,
    ),
    Variable(
        "WATTPROOF_LOG_KEY",
        "Key of checkpoints",
        "Seed of the Ed25519 key that signs checkpoints, as base64url of 32 bytes.",
        "a file of mode 0600",
        secret=True,
    ),
    Variable(
        "WATTPROOF_LOG_KEY_NEXT",
        "Next key of checkpoints",
        "The key that ledger rotate-key log changes to, where keys come from the environment.",
        "none",
        secret=True,
    ),
    Variable(
        "WATTPROOF_TENANT",
        "Tenant",
        "Whose log the commands and stdio act on: local, or an id that `wattproof tenants` lists.",
        "local",
    ),
    Variable(
        "WATTPROOF_HTTP_AUTH",
        "Ways in",
        "How serve --http knows its callers: some of token, keys and oauth, separated by commas.",
        "oauth and keys where they are set up, else token",
        config_key="http_auth",
        serves="http",
    ),
    Variable(
        "WATTPROOF_OAUTH_ISSUER",
        "OAuth issuer",
        "Whose access tokens serve --http takes: the iss of its tokens, letter for letter.",
        "no OAuth",
        config_key="oauth_issuer",
        serves="http",
    ),
    Variable(
        "WATTPROOF_OAUTH_RESOURCE",
        "Address for OAuth",
        "The address by which clients call this server, such as https://watt.example.com/mcp.",
        "none; needed with an issuer",
        config_key="oauth_resource",
        serves="http",
    ),
    Variable(
        "WATTPROOF_OAUTH_AUDIENCE",
        "OAuth audience",
        "What the aud of an access token must hold.",
        "the address for OAuth",
        config_key="oauth_audience",
        serves="http",
    ),
    Variable(
        "WATTPROOF_OAUTH_JWKS",
        "Keys of the OAuth issuer",
        "Where the issuer publishes its keys: an https address, or the absolute path of a file.",
        "none; needed with an issuer",
        config_key="oauth_jwks",
        serves="http",
    ),
    Variable(
        "WATTPROOF_INSTANCE_SECRET",
        "Secret of the installation",
        "32 or more random characters from which tenants' logs get their names; the same on every server of a team.",
        "a file of mode 0600",
        secret=True,
        serves="http",
    ),
    Variable(
        "WATTPROOF_HTTP_TOKEN",
        "Bearer token",
        "A fixed bearer token for serve --http: at least 16 characters.",
        "drawn at start",
        secret=True,
        serves="http",
    ),
    Variable(
        "WATTPROOF_LIMITS",
        "Limits",
        "What one caller may ask for: calls=600/100 runs=60/10 at_once=16 at_once_all=128 grace_s=10, any of them.",
        "as in the example",
        config_key="limits",
        serves="http",
    ),
    Variable(
        "WATTPROOF_LOG",
        "Log",
        "The form of the log on stderr of serve --http.",
        "text at a terminal, else json",
        config_key="log",
        choices=("json", "text", "off"),
        serves="http",
    ),
)
"""The variables that wattproof defines itself, in the order in which a reader needs them."""


def grid_variables() -> tuple[Variable, ...]:
    """The keys of grid sources, in the order in which the sources are asked."""
    return tuple(
        Variable(name, f"{source.title}: {name}", f"Key of {source.title}.", "none", secret=True, asked=True)
        for source in default_sources({})
        for name in source.key_env
    )


def provider_variables() -> tuple[Variable, ...]:
    """The keys and base URLs of the providers in the catalogue, in alphabetical order."""
    return tuple(sorted(set(_of_providers()), key=lambda variable: variable.name))


def _of_providers() -> Iterator[Variable]:
    for row in load_catalogue():
        for name in row.key_env:
            meaning = f"Key of the provider {row.provider}."
            yield Variable(name, f"{row.provider}: key", meaning, "none", secret=True, asked=True)
        if row.base_url_env:
            meaning = f"Base URL of the provider {row.provider}, which differs by account."
            yield Variable(row.base_url_env, f"{row.provider}: address", meaning, "none", asked=True)
