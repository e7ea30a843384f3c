"""`docs/reference/settings.md`: every environment variable and key of config.toml."""

from __future__ import annotations

from collections.abc import Iterable

from docs.generate.markdown import table
from docs.generate.reference.notice import NOTICE, cell, code
from docs.generate.variables import OWN, Variable, grid_variables, provider_variables
from wattproof.server.settings import PROFILES

__all__ = ["render"]

_HEAD = f"""{NOTICE}# Settings

A variable of the environment comes first, then `config.toml` in the folder that `WATTPROOF_HOME` names, then the
default. Secrets come from the environment or from `secrets.toml` in that folder (`NAME = "value"`, mode 0600). The
working directory is never read. `wattproof doctor` says what holds here and which key is missing for what; it also
names variables that begin with `WATTPROOF_` and that nothing reads.

"""

_FILES = """## Files of the folder

| file | what |
|---|---|
| `config.toml` | the settings above that have a key |
| `secrets.toml` | any of the variables, as strings; refused where others can read it |
| `providers.toml` | [your own deployments and exchange rates](../routing.md#your-own-providers) |
| `ledger.sqlite3` | the ledger; with `WATTPROOF_LEDGER` it is in the database instead |
| `keys/` | what signs receipts and checkpoints, mode 0600, and the public keys |
| `grid.sqlite3` | what grid sources said in the last 8 days; may be deleted at any time |
"""


def render() -> str:
    """The page."""
    mine = [variable for variable in OWN if variable.serves == "all"]
    http = [variable for variable in OWN if variable.serves == "http"]
    profiles = f"Profiles: {', '.join(code(profile) for profile in PROFILES)}; [their tools](tools.md).\n"
    return "\n".join(
        (
            _HEAD + "## For every way of serving\n",
            _own(mine),
            profiles,
            "## For `serve --http`\n",
            _own(http),
            "## Keys of grid sources\n",
            _keys(grid_variables()),
            "## Keys of providers\n",
            _keys(provider_variables()),
            _FILES,
        )
    )


def _own(variables: Iterable[Variable]) -> str:
    rows = [
        (
            code(v.name),
            code(v.config_key) if v.config_key else "secret" if v.secret else "",
            cell(v.meaning + (f" One of {', '.join(map(code, v.choices))}." if v.choices else "")),
            cell(v.default),
        )
        for v in variables
    ]
    return table(("variable", "key in `config.toml`", "meaning", "default"), rows, numbers=False)


def _keys(variables: Iterable[Variable]) -> str:
    return table(("variable", "meaning"), [(code(v.name), cell(v.meaning)) for v in variables], numbers=False)
