"""What can be answered before anything is loaded: the baked file ``baked/answers.json``.

The file holds, for every combination of profiles and of the `apps` setting, what this version answers to the opening
request and to the `*/list` requests, in each version of the protocol. It ships with the package and is written anew by
``python -m wattproof.server.bake`` (or ``make contracts``) whenever a definition changes; a test compares it with the
live server byte for byte. Standard library only, and little of it: this is read before the first reply.

The form of the file: `parts` are the listed items (tools, resources, templates, prompts), each once. `results` are the
results, whose lists are numbers of parts. `answers[settings][client][method]` is the number of a result.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from wattproof import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wattproof.server.apps.offered import AppsSetting

__all__ = [
    "BAKED_FILE",
    "FORMAT",
    "LISTS",
    "Answers",
    "client_key",
    "load_answers",
    "result_text",
    "settings_key",
]

FORMAT = 1
BAKED_FILE = os.path.join(os.path.dirname(__file__), "baked", "answers.json")  # noqa: PTH118, PTH120  (no pathlib yet)

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""The list methods, and the field of the result that holds the items."""


class Answers:
    """The baked answers under one group of settings."""

    def __init__(self, baked: Mapping[str, Any], profiles: Sequence[str], apps: AppsSetting) -> None:
        self._baked = baked
        self._answers: Mapping[str, Mapping[str, int]] = baked["answers"][settings_key(profiles, apps)]
        self.apps: AppsSetting = apps
        self.handshake_versions: Sequence[str] = baked["handshake_versions"]
        self.stateless_version: str = baked["stateless_version"]

    def result(self, version: str, offered: bool, method: str) -> str | None:
        """The result of `method` as JSON text, for a client of that version; None: it is not baked.

        `offered` says whether the client is offered views.
        """
        number = self._answers.get(client_key(version, offered), {}).get(method)
        return None if number is None else result_text(self._baked, method, number)


def settings_key(profiles: Sequence[str], apps: AppsSetting) -> str:
    """The name of one group of settings in the file."""
    return " ".join((apps, *profiles))


def client_key(version: str, offered: bool) -> str:
    """The name of one kind of client in the file."""
    return f"{version} views" if offered else version


def result_text(baked: Mapping[str, Any], method: str, number: int) -> str:
    """One result of the file as the server writes it."""
    result = baked["results"][number]
    field = LISTS.get(method)
    if field is not None:
        result = {**result, field: [baked["parts"][part] for part in result[field]]}
    return json.dumps(result, ensure_ascii=False, separators=(",", ":"))


def load_answers(profiles: Sequence[str], apps: AppsSetting, path: str = BAKED_FILE) -> Answers | None:
    """The answers under these settings, or None where the file is not there, is broken or belongs to something else.

    It belongs to one version of this package and to one minor version of the SDK, whose answers these are.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            baked = json.loads(file.read())
        if baked["format"] != FORMAT or baked["wattproof"] != __version__ or not _installed("mcp", baked["sdk"]):
            return None
        return Answers(baked, profiles, apps)
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def _installed(package: str, minor: str) -> bool:
    """Whether that minor version of the package is installed: importlib.metadata would cost as much as all the rest."""
    start, end = f"{package}-{minor}.", ".dist-info"
    for folder in sys.path:
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            continue
        found = [name for name in names if name.startswith(f"{package}-") and name.endswith(end)]
        if found:
            return found[0].startswith(start)
    return False
