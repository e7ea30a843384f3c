"""Put ``verify.html`` together: page, style, scripts, and the facts of the edition that the verdicts rest on.

The file that ships is the one in the repository, so that what was tested is what is handed out; a test compares it with
`assemble`. It may run nothing but its own script and load nothing at all: the policy names the script by its hash.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import wattproof
from wattproof.methodology.data import EDITION
from wattproof.methodology.methods import all_methods
from wattproof.methodology.zones import all_zones, mixture, zone_average

__all__ = ["VERIFY_HTML", "assemble", "shipped"]

VERIFY_HTML = Path(__file__).parents[1] / "verify.html"

_SCRIPTS = (
    "strict.js",
    "keys.js",
    "log.js",
    "served.js",
    "published.js",
    "payload.js",
    "operation.js",
    "judge.js",
    "view.js",
)


@cache
def shipped() -> str:
    """The page as it ships."""
    return VERIFY_HTML.read_bytes().decode()


def assemble() -> str:
    """The page from its sources and this edition."""
    facts = json.dumps(_facts(), sort_keys=True, separators=(",", ":"))
    script = "\n".join(['\n"use strict";', f"const FACTS = {facts};", *map(_source, _SCRIPTS)])
    style = f"\n{_source('style.css')}"
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _source("page.html")
    for name, text in (("policy", policy), ("style", style), ("script", script)):
        page = page.replace("{{" + name + "}}", text)
    return page


def _facts() -> dict[str, Any]:
    averages = [zone_average(zone) for zone in all_zones()]
    return {
        "edition": EDITION,
        "version": f"wattproof {wattproof.__version__}",
        "year": averages[0].year,
        "zones_source": f"{averages[0].source}, {averages[0].licence}",
        "mixture_gco2e_per_kwh": mixture().median,
        # Intensity [gCO2e/kWh] and renewable share [%].
        "zones": {
            average.zone: [average.value_gco2e_per_kwh, average.renewable_ratio_bps / 100] for average in averages
        },
        "methods": {
            method.id: {
                "sha256": method.sha256,
                "embodied": method.embodied_included,
                "units": dict(method.operand_units),
                "optional": [sorted(group) for group in method.optional_operands],
            }
            for method in all_methods()
        },
    }


def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_bytes().decode().replace("\r\n", "\n")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}"
