"""The report that the page on clients is made from is whole, and of what is pinned."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from clients.suites import BASELINES, SUITES
from clients.table import CLIENTS

ROOT = Path(__file__).parents[2]
REPORT: dict[str, Any] = json.loads((ROOT / "docs" / "reports" / "clients.json").read_text("utf-8"))


def test_every_client_made_the_journey_over_both_transports() -> None:
    found = {(row["client"], row["transport"]): row["problems"] for row in REPORT["clients"]}

    assert found == {key: [] for key in product((client.name for client in CLIENTS), ("stdio", "http"))}


def test_every_model_was_given_the_receipt_id() -> None:
    assert all(row["receipt_id_reaches_model"] for row in REPORT["clients"])


def test_everything_reaches_the_application_of_an_sdk_and_no_model_reads_less_than_one_whole_channel() -> None:
    sdks = {client.name for client in CLIENTS if client.is_sdk}

    for row in REPORT["clients"]:
        for channels in row["forwards"].values():
            assert {"text", "structured", "meta"} <= set(channels) or row["client"] not in sdks
            assert {"text", "structured"} & set(channels)


def test_every_suite_passed() -> None:
    assert [row["revision"] for row in REPORT["conformance"]] == [suite.revision for suite in SUITES]
    assert len(REPORT["inspector"]) == 4
    assert [row["problems"] for row in (*REPORT["conformance"], *REPORT["inspector"])] == [[]] * (len(SUITES) + 4)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_reported_versions_are_the_pinned_ones(client: Any) -> None:
    if client.environment == "node":
        pinned = json.loads((ROOT / "clients" / "node" / "package.json").read_text("utf-8"))["dependencies"]
    else:
        lines = (ROOT / "clients" / "requirements" / f"{client.environment}.txt").read_text("utf-8").split()
        pinned = {name.split("[")[0]: version for name, _, version in (line.partition("==") for line in lines)}

    for row in REPORT["clients"]:
        if row["client"] == client.name:
            name, version = next(iter(row["versions"].items()))
            assert pinned[name] == version


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.baseline)
def test_every_line_of_a_baseline_has_its_reason_and_none_is_of_what_must_pass(suite: Any) -> None:
    entries = [line for line in (BASELINES / suite.baseline).read_text("utf-8").splitlines() if line.startswith("  - ")]
    names = [entry.removeprefix("  - ").split("#")[0].strip() for entry in entries]

    assert all(len(entry.partition("  # ")[2]) > 20 for entry in entries)
    assert len(set(names)) == len(names)
    # The two checks of `server-stateless` are the reason why it is not among those that must pass.
    assert not {name.split(":")[0] for name in names} & set(suite.proven)
