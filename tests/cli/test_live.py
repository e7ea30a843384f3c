"""The tables of what can be chosen from."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Wattproof = Callable[..., subprocess.CompletedProcess[str]]


def test_the_grid_table_says_that_offline_nobody_is_asked(wattproof: Wattproof, tmp_path: Path) -> None:
    done = wattproof("grid", "SE", "PL", COLUMNS="200")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split()[0] for line in done.stdout.splitlines() if "annual" in line]
    assert rows[:2] == ["SE", "PL"]
    assert "WATTPROOF_OFFLINE is set" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_zone_names_the_closest(wattproof: Wattproof) -> None:
    done = wattproof("grid", "FRA")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Unknown zone 'FRA'" in done.stderr


def test_the_provider_table_shows_place_price_and_what_is_missing(wattproof: Wattproof) -> None:
    done = wattproof("providers", "gpt-oss-120b", COLUMNS="200")
    assert done.returncode == 0
    (ovh,) = [line for line in done.stdout.splitlines() if "ovhcloud/" in line]
    assert "FR (declared)" in ovh
    assert "0.09 / 0.47 USD" in ovh
    assert "offline" in ovh


def test_the_provider_table_is_one_json_document_too(wattproof: Wattproof) -> None:
    rows = json.loads(wattproof("providers", "gpt-oss-120b", "--json").stdout)
    known = [row["intensity_gco2e_per_kwh"] for row in rows if "intensity_gco2e_per_kwh" in row]
    assert known == sorted(known)
    assert {row["model"] for row in rows} == {"gpt-oss-120b"}


def test_a_row_of_the_user_stands_in_the_table(wattproof: Wattproof, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "providers.toml").write_text(
        '[[provider]]\nprovider = "ours"\nbase_url = "https://llm.example.com/v1"\nprotocol = "openai-chat"\n'
        'zone = "SE"\nlocation_evidence = "declared"\nlocation_source = "our rack"\n'
        '[[provider.model]]\nmodel = "gpt-oss-120b"\nnative_model = "gpt-oss"\n'
    )
    rows = json.loads(wattproof("providers", "gpt-oss-120b", "--json").stdout)
    assert [row["zone"] for row in rows if row["deployment"] == "ours/gpt-oss-120b"] == ["SE"]


def test_a_mistake_in_the_users_rows_stops_everything_and_says_where(wattproof: Wattproof, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "providers.toml").write_text(
        '[[provider]]\nprovider = "ours"\nbase_url = "http://llm.example.com/v1"\nprotocol = "openai-chat"\n'
        '[[provider.model]]\nmodel = "gpt-oss-120b"\nnative_model = "gpt-oss"\n'
    )
    done, doctor = wattproof("providers"), wattproof("doctor")
    assert done.returncode == 2
    assert "providers.toml" in done.stderr
    assert "base_url" in done.stderr
    assert doctor.returncode == 1
    assert "base_url" in doctor.stdout


def test_an_embedding_without_a_key_says_what_is_missing(wattproof: Wattproof) -> None:
    done = wattproof(
        "embed", "--model", "qwen3-embedding-8b", "--text", "hello", WATTPROOF_OFFLINE="", WATTPROOF_GRID="annual"
    )
    assert done.returncode == 1
    assert "no key" in done.stderr


def test_a_ranking_by_a_model_that_nobody_offers_says_so(wattproof: Wattproof) -> None:
    done = wattproof("rerank", "--model", "qwen3-embedding-8b", "--query", "q", "--document", "-", stdin="one\ntwo\n")
    assert done.returncode == 1
    assert "No provider in the catalogue" in done.stderr
