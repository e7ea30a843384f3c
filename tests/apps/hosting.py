"""A view inside the official host bridge, in a real browser, with the real server behind it.

The host page tells Python every question of the view (`askPython`); a client of the server answers it.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.chromium import Page, open_page

__all__ = ["ALL_CAPABILITIES", "Answer", "Host", "build_bundle", "open_host"]

Wire = dict[str, Any]
Answer = Callable[[str, Wire], Wire]
"""What answers a question of the view: method and params to a result. An exception is an error of the protocol."""

ALL_CAPABILITIES: Wire = {"serverTools": {}, "serverResources": {}, "downloadFile": {}, "openLinks": {}, "logging": {}}
CONTEXT: Wire = {
    "theme": "light",
    "displayMode": "inline",
    "availableDisplayModes": ["inline", "fullscreen"],
    "locale": "en-GB",
    "timeZone": "Europe/Paris",
}
_PATIENCE_S = 20.0
_BUILD = Path(__file__).with_name("host") / "build.mjs"


@dataclass
class Host:
    """The host page. `frame` is where the view runs: the session of its own process, or a context in the page's."""

    page: Page
    answer: Answer = field(default=lambda method, params: {})
    frame: Wire = field(default_factory=dict[str, Any])

    def load(self, html: str, capabilities: Wire | None = None, **context: Any) -> None:
        """Show a view, up to `ui/notifications/initialized`."""
        self.page.events.clear()
        self.frame = {}
        given = json.dumps([html, ALL_CAPABILITIES if capabilities is None else capabilities, CONTEXT | context])
        self.page.run(f"host.ready = false; host.load(...{given}).then(() => (host.ready = true)); undefined")
        self.until(lambda: self.page.run("host.ready"))
        self._find_frame()

    def give(self, name: str, params: Wire) -> None:
        """Send a notification of the host: ToolInput, ToolInputPartial, ToolResult, ToolCancelled."""
        self.page.run(f"host.bridge.send{name}({json.dumps(params)})")
        self.settle()

    def call(self, tool: str, arguments: Wire) -> Wire:
        """What a host does for a call of a model: input, call, result."""
        self.give("ToolInput", {"arguments": arguments})
        result = self.answer("tools/call", {"name": tool, "arguments": arguments})
        self.give("ToolResult", result)
        return result

    def change(self, **context: Any) -> None:
        """Change the context of the host."""
        self.page.run(f"host.change({json.dumps(context)})")
        self.settle()

    def resize(self, width: int, scale: int = 2) -> None:
        """How wide the frame is, in CSS pixels; drawn with `scale` device pixels for each."""
        self.page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=2400, deviceScaleFactor=scale, mobile=False
        )

    def settle(self) -> None:
        """Until the view waits for no answer, and the host knows how high it is."""
        quiet = 0
        deadline = time.monotonic() + _PATIENCE_S
        while quiet < 2:
            assert time.monotonic() < deadline, "the view does not come to rest"
            self.run("new Promise((done) => setTimeout(done, 15))")
            waits, height = self.run("[waiting.size, Math.ceil(document.body.offsetHeight)]")
            told = [size for kind, size in self.log if kind == "size"]
            quiet = 0 if self._answer_questions() or waits or told[-1:] != [height] else quiet + 1

    def until(self, reached: Callable[[], Any]) -> Any:
        """Answer the view's questions until `reached`."""
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := reached()):
            assert time.monotonic() < deadline, "the view never came so far"
            self.page.run("new Promise((done) => setTimeout(done, 15))")
            self._answer_questions()
        return found

    def run(self, expression: str) -> Any:
        """The value of an expression in the view."""
        session, self.page.session = self.page.session, self.frame.get("session", self.page.session)
        context = {"contextId": self.frame["context"]} if "context" in self.frame else {}
        try:
            found = self.page.call(
                "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, **context
            )
        finally:
            self.page.session = session
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, label: str) -> None:
        """Press the button with this text, as a person would."""
        found = f"[...document.querySelectorAll('button, label')].find((b) => b.textContent === {json.dumps(label)})"
        assert self.run(f"Boolean({found})"), f"no button {label!r}: {self.text()}"
        self.run(f"{found}.click()")
        self.settle()

    def text(self) -> str:
        """What the card shows, without empty lines."""
        return re.sub(r"\n+", "\n", self.run("document.getElementById('card').innerText"))

    def said(self) -> str:
        """What was last said to screen readers."""
        return self.run("document.getElementById('said').textContent")

    def named(self) -> list[tuple[str, str]]:
        """Role and name of what the view offers to assistive technology."""
        session, self.page.session = self.page.session, self.frame.get("session", self.page.session)
        try:
            options = {"frameId": self.frame["frame"]} if "frame" in self.frame else {}
            self.page.call("Accessibility.enable")
            nodes = self.page.call("Accessibility.getFullAXTree", **options)["nodes"]
        finally:
            self.page.session = session
        kept = [node for node in nodes if not node.get("ignored")]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in kept]

    @property
    def log(self) -> list[list[Any]]:
        """What the view told and asked, in order."""
        return self.page.run("host.log")

    def asked(self, method: str) -> list[Wire]:
        """The params of every question of this kind."""
        return [params for kind, params in self.log if kind == method]

    @property
    def requests(self) -> list[str]:
        """Every address that page or view asked a network for."""
        return [url for url in self.page.requests if not url.startswith(("file:", "about:", "data:"))]

    def _answer_questions(self) -> bool:
        calls = [event for event in self.page.events if event.get("method") == "Runtime.bindingCalled"]
        for event in calls:
            self.page.events.remove(event)
            asked = json.loads(event["params"]["payload"])
            try:
                told, problem = self.answer(asked["method"], asked["params"]), None
            except Exception as error:  # the host's error is the view's business
                told, problem = None, str(error)
            self.page.run(f"host.answer({asked['id']}, {json.dumps(told)}, {json.dumps(problem)})")
        return bool(calls)

    def _find_frame(self) -> None:
        attached = [e["params"] for e in self.page.events if e.get("method") == "Target.attachedToTarget"]
        frames = [found for found in attached if found["targetInfo"]["type"] == "iframe"]
        if frames:
            session, self.page.session = self.page.session, frames[-1]["sessionId"]
            for domain in ("Runtime", "Network", "Log"):
                self.page.call(f"{domain}.enable")
            self.frame = {"session": self.page.session}
            self.page.session = session
            return
        tree = self.page.call("Page.getFrameTree")["frameTree"]
        frame = tree["childFrames"][-1]["frame"]["id"]
        contexts = [
            e["params"]["context"] for e in self.page.events if e["method"] == "Runtime.executionContextCreated"
        ]
        mine = [c for c in contexts if c["auxData"].get("frameId") == frame and c["auxData"].get("isDefault")]
        self.frame = {"context": mine[-1]["id"], "frame": frame}


def build_bundle(tools: Path, target: Path) -> Path:
    """The host page's script, put together from what npm installed in `tools`."""
    subprocess.run(["node", str(_BUILD), str(tools), str(target)], check=True)
    return target


@contextmanager
def open_host(browser: str, profile: Path, bundle: Path, width: int = 500) -> Generator[Host]:
    """A browser that shows the host page."""
    page_file = profile / "host.html"
    head = "<!doctype html><meta charset='utf-8'><style>body{margin:0}</style><body>"
    page_file.write_text(f"{head}<script>{bundle.read_text('utf-8')}</script>", "utf-8")
    with open_page(browser, profile / "browser", width=width, height=900) as page:
        page.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        page.call("Runtime.addBinding", name="askPython")
        page.go(page_file)
        yield Host(page)
