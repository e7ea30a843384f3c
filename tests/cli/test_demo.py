"""The main job, end to end, with the real command: on the embedded model, and where there is none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.server.demo import run_demo
from wattproof.server.settings import load_settings

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

Wattproof = Callable[..., subprocess.CompletedProcess[str]]

MOST_LINES = 24


@pytest.mark.embedded
def test_the_demo_is_a_real_run_whose_record_holds(wattproof: Wattproof, tmp_path: Path) -> None:
    shown = wattproof("demo", WATTPROOF_ZONE="FR")
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.splitlines()) <= MOST_LINES
    assert max(map(len, shown.stdout.splitlines())) <= 110

    done = wattproof("demo", "--json", WATTPROOF_ZONE="FR")
    demo = json.loads(done.stdout)
    assert demo["outcome"] == "real_inference"
    assert demo["run"]["answer"]
    assert demo["run"]["usage"]["output_tokens"] > 0
    assert {verdict["verdict"] for verdict in demo["verify"]["verdicts"].values()} == {"pass"}
    assert demo["summary"]["request_count"] == 2
    assert demo["summary"]["provenance"]["region_scope"] == "FR"

    receipt_id = demo["run"]["receipt_id"]
    bundle, keys = wattproof("receipt", receipt_id), wattproof("keys")
    (tmp_path / "receipt.json").write_text(bundle.stdout)
    (tmp_path / "jwks.json").write_text(keys.stdout)
    stranger = {"WATTPROOF_HOME": str(tmp_path / "elsewhere")}
    unknown = wattproof("verify", "receipt.json", "--json", **stranger)
    given = wattproof("verify", "receipt.json", "--jwks", "jwks.json", "--json", **stranger)
    assert (unknown.returncode, given.returncode) == (3, 0)
    assert json.loads(given.stdout)["key_trust"] == "given"
    assert not (tmp_path / "elsewhere").exists()
    assert wattproof("ledger", "fsck").returncode == 0


@pytest.mark.embedded
def test_a_repeated_request_id_is_answered_from_the_record(wattproof: Wattproof) -> None:
    command = ("run", "--model", "smollm2-135m-instruct", "--prompt", "Say hello.", "--max-output-tokens", "8")
    first = wattproof(*command, "--request-id", "r1", "--json")
    again = wattproof(*command, "--request-id", "r1", "--json")
    other = wattproof("run", "--model", "smollm2-135m-instruct", "--prompt", "Say bye.", "--request-id", "r1")
    assert (first.returncode, again.returncode, other.returncode) == (0, 0, 1), other.stderr
    run, replay = json.loads(first.stdout), json.loads(again.stdout)
    assert (run["replayed"], replay["replayed"]) == (False, True)
    assert replay["receipt_id"] == run["receipt_id"]
    assert (replay["answer"], replay["reasons"]["answer"]) == (None, "answers are not stored")
    assert "r1" in other.stderr


def test_where_no_model_runs_nothing_is_made_up(wattproof: Wattproof, tmp_path: Path) -> None:
    missing = {"EMBEDDED_GGUF": "/nowhere.gguf"}
    shown = wattproof("demo", **missing)
    assert shown.returncode == 4
    assert len(shown.stdout.splitlines()) <= MOST_LINES
    assert "no real inference" in shown.stdout
    assert "EMBEDDED_GGUF" in shown.stdout
    done = wattproof("demo", "--json", **missing)
    assert done.returncode == 4
    demo = json.loads(done.stdout)
    assert demo["outcome"] == "no_real_inference"
    assert demo["run"]["status"] == "dry_run"
    assert demo["run"]["answer"] is None
    assert demo["summary"] is None
    assert not (tmp_path / "home").exists()


async def test_a_local_server_takes_the_place_of_the_embedded_model(
    fake_provider: FakeProvider, tmp_path: Path
) -> None:
    fake_provider.models = ("my-own-finetune", "gpt-oss:20b")
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path / "home"), "EMBEDDED_GGUF": "/nowhere.gguf"})
    outcome = await run_demo(settings, (("ollama", fake_provider.base_url),))
    assert outcome.exit_code == 0
    assert (outcome.structured["run"]["provider_id"], outcome.structured["run"]["model"]) == ("ollama", "gpt-oss-20b")
    assert outcome.structured["run"]["answer"] == "The capital of France is Paris."
    assert "EMBEDDED_GGUF" in outcome.text
    assert len(outcome.text.splitlines()) <= MOST_LINES


async def test_a_local_server_that_fails_is_no_real_inference(fake_provider: FakeProvider, tmp_path: Path) -> None:
    fake_provider.script("400")
    settings = load_settings({"WATTPROOF_HOME": str(tmp_path / "home"), "EMBEDDED_GGUF": "/nowhere.gguf"})
    outcome = await run_demo(settings, (("ollama", fake_provider.base_url),))
    assert outcome.exit_code == 4
    assert outcome.structured["run"]["answer"] is None


def test_the_receipt_that_ships_still_holds(wattproof: Wattproof) -> None:
    demo = json.loads(wattproof("demo", "--json", EMBEDDED_GGUF="/nowhere.gguf").stdout)
    verdicts = {name: found["verdict"] for name, found in demo["verify"]["verdicts"].items()}
    assert verdicts["signature"] == verdicts["inclusion"] == verdicts["arithmetic"] == "pass"
