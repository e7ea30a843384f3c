"""A receipt as one file for a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology import Usage, find_model
from wattproof.methodology.errors import NotDefined
from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Method, all_methods, get_method
from wattproof.methodology.quantity import Boundary
from wattproof.resources.footprints import Estimate, estimate
from wattproof.resources.grid import annual_reading
from wattproof.resources.receipts import build_payload
from wattproof.tools.reproduce import reproduction

RECEIPT_ID = "r_" + "a" * 26


def payload(method: Method, boundary: Boundary = "comprehensive", **supplied: Any) -> dict[str, Any]:
    found = estimate(
        find_model("gpt-4o"),
        Usage(12_000, 400, cached_input_tokens=200),
        annual_reading("FR", 1.8e9),
        method_id=method.id,
        boundary=boundary,
        supplied=supplied,
    )
    return payload_of(found)


def payload_of(found: Estimate) -> dict[str, Any]:
    return build_payload(
        log_id="local",
        issued_at="2026-11-05T12:00:04Z",
        occurred_at="2026-11-05T12:00:00Z",
        kind="inference",
        status="completed",
        request_id="r1",
        attempts=1,
        workload="chat",
        provider=found.provider,
        model=found.activity.model.id,
        resolved_model=None,
        deployment="openai/gpt-4o",
        region_scope=found.region_scope,
        zone=found.reading.zone,
        location_evidence="declared",
        energy_source=found.energy_source,
        renewable_ratio_bps=found.renewable_ratio_bps,
        ghg_scope=found.ghg_scope,
        usage=found.activity.usage,
        usage_source="provider",
        method_id=found.method.id,
        method_sha256=found.method.sha256,
        edition=found.edition,
        edition_sha256=found.edition_sha256,
        tier=found.footprint.tier,
        boundary=found.footprint.boundary,
        outputs=outputs(found.footprint),
        reasons=found.footprint.reasons,
        operands=found.operands,
        accounting=found.reading.as_dict(),
        nonce=bytes(16),
    )


def run_bare(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Isolated, and without the site packages: nothing but the standard library can be imported."""
    file = folder / "reproduced.py"
    file.write_text(text, "utf-8")
    command = [sys.executable, "-I", "-S", str(file)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)
def test_every_method_reproduces_its_receipt_in_a_bare_interpreter(
    method: Method, boundary: Boundary, tmp_path: Path
) -> None:
    stated = payload(method, boundary)
    done = run_bare(reproduction(stated, RECEIPT_ID), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"energy_nwh.median: {stated['outputs']['energy_nwh']['median']} computed" in done.stdout
    assert done.stdout.endswith("agrees\n")


def test_optional_operands_are_reproduced_too(tmp_path: Path) -> None:
    known: dict[str, Any] = {"wue_onsite_l_per_kwh": 0.2, "wue_offsite_l_per_kwh": 1.1, "mix_adpe_kgsbeq_per_kwh": 5e-8}
    stated = payload(get_method("wattproof/param"), **known, market_gco2e_per_kwh=12.0, instrument_id="GO-1")
    done = run_bare(reproduction(stated, RECEIPT_ID), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "carbon_market_ng.median" in done.stdout


def test_a_figure_that_does_not_follow_exits_1_and_is_named(tmp_path: Path) -> None:
    stated = payload(get_method("wattproof/param"))
    stated["outputs"]["energy_nwh"]["high"] *= 2
    done = run_bare(reproduction(stated, RECEIPT_ID), tmp_path)
    assert done.returncode == 1
    differing = [line for line in done.stdout.splitlines() if "DIFFERS" in line]
    assert [line.split(":")[0] for line in differing] == ["energy_nwh.high"]


def test_another_definition_of_the_method_is_not_reproduced() -> None:
    stated = payload(get_method("wattproof/param")) | {"method_sha256": "0" * 64}
    with pytest.raises(NotDefined, match="another definition"):
        reproduction(stated, RECEIPT_ID)


def test_a_method_that_is_not_known_here_is_not_reproduced() -> None:
    stated = payload(get_method("wattproof/param")) | {"method_id": "acme/guess@9.9.9"}
    with pytest.raises(NotDefined, match="acme/guess"):
        reproduction(stated, RECEIPT_ID)


def test_a_strangers_words_stay_words(tmp_path: Path) -> None:
    stated = payload(get_method("wattproof/param"))
    hostile = '"""\nraise SystemExit(7)\n# {prepare} \\'
    stated["operands"][0]["source_id"] = hostile
    stated["edition"] = hostile
    done = run_bare(reproduction(stated, RECEIPT_ID), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_file_imports_the_standard_library_only_and_holds_the_source_as_it_is() -> None:
    text = reproduction(payload(get_method("wattproof/param")), RECEIPT_ID)
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
    assert "def accelerator_rates(" in text
    assert "def combine(" in text or "class Mix:" in text
