"""Pictures of the views in a host: python -m tests.apps.shots <folder with node_modules> <folder for the pictures>."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.apps.hosting import Host, open_host
from tests.apps.world import World, open_world
from tests.browser.chromium import find_browser

BUILD = Path(__file__).with_name("host") / "build.mjs"


def build_bundle(tools: Path, target: Path) -> Path:
    """The host page's script, put together from what npm installed in `tools`."""
    subprocess.run(["node", str(BUILD), str(tools), str(target)], check=True)
    return target


def operation(world: World, name: str = "weekly-report", limit: float = 12.0, scale: int = 1) -> None:
    """A workflow of six steps with a budget."""
    budget = {"unit": "energy_wh", "limit": limit, "action": "warn"}
    world.tool("track_operation", action="begin", operation_id=name, budget=budget)
    steps = [
        ("draft", "claude-sonnet-4-6", 4_000, 900, "FR"),
        ("outline", "mistral-small-3.2", 9_000, 2_600, "DE"),
        ("check figures", "gpt-oss-120b", 24_000, 3_000, "SE-SE3"),
        ("rewrite", "llama-3.3-70b", 6_000, 1_200, "DE"),
        ("title", "gpt-oss-20b", 900, 40, "FR"),
        ("translate", "in-house-7", 3_000, 2_000, None),
    ]
    world.tool(
        "track_operation",
        action="record",
        operation_id=name,
        steps=[
            {"step_id": step, "model": model, "usage": {"input_tokens": given * scale, "output_tokens": got * scale}}
            | ({} if zone is None else {"zone": zone})
            for step, model, given, got, zone in steps
        ],
    )


def tampered(jws: str) -> str:
    """The receipt with another signature."""
    head, payload, signature = jws.split(".")
    return ".".join([head, payload, signature[:-8] + "AAAAAAAA"])


MELIOUS: dict[str, Any] = {
    "environment_impact": {
        "energy_kwh": 0.00015,
        "carbon_g_co2": 0.06,
        "renewable_percent": 85,
        "pue": 1.18,
        "location": "FR",
    }
}


def states(world: World) -> dict[str, tuple[str, Callable[[Host], Any]]]:
    """Each state: the view, and what brings it there."""
    run = world.run()
    jws = world.answer("resources/read", {"uri": f"wattproof://receipts/{run['receipt_id']}"})["contents"][0]["text"]
    bad = tampered(json.loads(jws)["jws"])
    operation(world)
    operation(world, "too-much", 4.0, 2)
    return {
        "receipt": ("receipt", lambda host: host.call("verify_receipt", {"receipt": run["receipt_id"]})),
        "receipt-failing": ("receipt", lambda host: host.call("verify_receipt", {"receipt": bad})),
        "receipt-vendor": ("receipt", lambda host: host.call("verify_receipt", {"receipt": MELIOUS})),
        "receipt-run": (
            "receipt",
            lambda host: host.call(
                "run_inference",
                {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 50},
            ),
        ),
        "receipt-error": ("receipt", lambda host: host.call("verify_receipt", {"receipt": "r_nope"})),
        "operation": (
            "operation",
            lambda host: host.call("track_operation", {"action": "status", "operation_id": "weekly-report"}),
        ),
        "operation-over": (
            "operation",
            lambda host: host.call(
                "track_operation", {"action": "status", "operation_id": "too-much", "detail": "full"}
            ),
        ),
        "ledger": ("ledger", lambda host: host.call("summarize_ledger", {"since": "2026-10-01"})),
        "ledger-market": (
            "ledger",
            lambda host: (host.call("summarize_ledger", {"since": "2026-10-01"}), host.press("Market")),
        ),
        "ledger-empty": ("ledger", lambda host: host.call("summarize_ledger", {"since": "2030-01-01"})),
    }


def main() -> int:
    """Every state in light and dark, at 500 and at 320 px, and large; into the folder that was named."""
    tools, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    browser = find_browser()
    if browser is None:
        raise SystemExit("no Chromium is installed")
    with tempfile.TemporaryDirectory() as name, open_world(Path(name) / "home") as world:
        bundle = build_bundle(tools, Path(name) / "bundle.js")
        world.history()
        with open_host(browser, Path(name), bundle) as host:
            host.answer = world.answer
            for state, (view, reach) in states(world).items():
                for theme in ("light", "dark"):
                    host.page.run(f"document.documentElement.style.colorScheme = {theme!r}")
                    for mode, width in (("inline", 500), ("narrow", 320), ("fullscreen", 1000)):
                        if (mode == "fullscreen" and view == "receipt") or (theme == "dark" and mode == "narrow"):
                            continue
                        host.resize(width)
                        host.load(world.view(view), theme=theme, displayMode="inline" if mode == "narrow" else mode)
                        reach(host)
                        take(host, target / f"{state}-{theme}-{mode}.png")
    return 0


def take(host: Host, path: Path) -> None:
    """The view alone, as high as it asked to be."""
    host.settle()
    box = host.page.run(
        "(({ width, height }) => ({ x: 0, y: 0, width, height, scale: 1 }))(host.frame.getBoundingClientRect())"
    )
    taken = host.page.call("Page.captureScreenshot", format="png", clip=box)
    picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
