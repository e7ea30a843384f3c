"""Pictures of the views in a host.

python -m tests.apps.shots <folder with node_modules> <folder for the pictures> [--all]
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.apps.hosting import Host, build_bundle, open_host
from tests.apps.states import states
from tests.apps.world import open_world
from tests.browser.chromium import find_browser

WIDTHS = {"inline": 500, "narrow": 320, "fullscreen": 1000}
SHOWN = (
    "receipt-light-inline",
    "receipt-failing-dark-inline",
    "receipt-vendor-light-inline",
    "operation-light-inline",
    "operation-over-dark-inline",
    "ledger-light-inline",
    "ledger-dark-inline",
    "ledger-light-fullscreen",
)
"""The pictures that the documents show. With --all: every state, in both themes, at each width."""


def main() -> int:
    """Draw them into the folder that was named."""
    tools, target, every = Path(sys.argv[1]), Path(sys.argv[2]), "--all" in sys.argv
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
                    for mode, width in WIDTHS.items():
                        picture = f"{state}-{theme}-{mode}"
                        if every or picture in SHOWN:
                            host.resize(width, scale=1 if mode == "fullscreen" else 2)
                            shown = "fullscreen" if mode == "fullscreen" else "inline"
                            host.load(world.view(view), theme=theme, displayMode=shown)
                            reach(host)
                            take(host, target / f"{picture}.png")
    return 0


def take(host: Host, path: Path) -> None:
    """The view alone, as high as it asked to be."""
    host.settle()
    host.until(lambda: host.run("Math.ceil(document.body.offsetHeight) === innerHeight"))
    box = "(({ width, height }) => ({ x: 0, y: 0, width, height, scale: 1 }))(host.frame.getBoundingClientRect())"
    taken = host.page.call("Page.captureScreenshot", format="png", clip=host.page.run(box))
    picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
    picture.quantize(80, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
