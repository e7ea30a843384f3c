"""A published edition never changes: a correction is a new edition."""

from __future__ import annotations

from pathlib import Path

import pytest

import wattproof.methodology.data as data
from wattproof.methodology.data import EDITION, FILES, edition_sha256, file_sha256, read_edition

FOLDER = Path(data.__file__).parent / EDITION

FROZEN_SHA256 = {
    "ecologits/llm_0.11.3.json": "b3e2d259a0097696a53e10b7e14923850b31114b837cee3b9a77ce6cd459fd00",
    "ecologits/llm_0.4.0.json": "43f956bcd57da19ae9bb2196b102272701326d8c890a3c16e20a8d37c5374da6",
    "ecologits/models.json": "3b47157fa0d2cf844c5192f3440fcaf8dcfa52ce3be41bf2f7c34525a6e2ae96",
    "ecologits/models_0.4.0.json": "0a991c9d72255948e64b30448240ab23d488e33e8d3d666e7d79d78fc8bfcf22",
    "electricitymaps/zones.json": "68efd2b8387fbc54bcd1f9e3453907c1defb48d6ac859b1d5ac69fcc3326a671",
    "wattproof/batchin_profile.json": "bfbd239ef816e574302d8ea4a12fb875973b759ee426b1f197830dd6104cb8cb",
    "wattproof/calibration.json": "3ff2b9beac49e08fc9d7835b71bb9992e97a0ac349351545c34ebb2762f4ff65",
    "wattproof/embodied.json": "5873cf175a87b9d103ac8ab4c72289294670686f59124afd36c3960b2eeac649",
    "wattproof/energy_fit.json": "c5afc36d701047ae66b8fb03f6c5fe8428da7bfdfbe755b203e1663dc77250d8",
    "wattproof/facilities.json": "8909f57af245707a648eaf95f73352aac93de8fbcf5e14ff519a6a99da4b49dd",
    "wattproof/factors.json": "32ebe61dda6612017e8f294328d72dfbb796627bdf7be5c18dbe0977157c8c1d",
    "wattproof/grid_spread.json": "e1b294e77f89ce76b07afe30044e1dfc1a14f008664f638f795f8a9d3414ee2e",
    "wattproof/hardware.json": "36d2d2bfd534df453a6ad19014f9e4aa61f870629183e34cbdf5323b21119125",
    "wattproof/ladder.json": "ffb727c85d86402f62201226974ebd4324e50708e6688beb0cf74f2c7ba762f1",
    "wattproof/lowrouter.json": "22e2fafa27bbaf755fb664e6fb4f4c225bc95a4d2ce690afaf665dc43218148d",
    "wattproof/melious_profile.json": "b28bca453963657ff0f4bb29e6dc583e0babda081e3ed83d65def353aedf99f6",
    "wattproof/models.json": "90a6e8c5c08c137908d7da90eb83ee066fb0c03e633441ed1c1498ee02a4aaf0",
    "wattproof/output_length.json": "6ac279a42b0bccce507aa04ab98ac6d66aaf25153032a0906f4811ae44bb705e",
    "wattproof/pedigree.json": "31859cddc6ccdab8dfc6a0bae1140bd97e3d6bc551e1e428176c9044943f0ed8",
    "wattproof/published_samples.json": "2c4b67eec6a83d1f7845f28e0528b4b13da5a57b144d2f690b9927154a8968fe",
    "wattproof/token_factors.json": "1fe86698c07e04cb1f675152e752bf3f08beb2a13e6a6d8aaa92e0f24e996bd8",
}
FROZEN_EDITION_SHA256 = "0f496a391a24edc62720d36dcb2b008f27b1ccb6a74df273bbd76c2b959d54af"


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_edition_is_what_was_published(name: str) -> None:
    assert file_sha256(name) == FROZEN_SHA256[name]


def test_the_edition_is_what_was_published() -> None:
    assert edition_sha256() == FROZEN_EDITION_SHA256


def test_every_data_file_of_the_edition_is_in_its_hash() -> None:
    assert sorted(FILES) == sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.json"))


@pytest.mark.parametrize("name", FILES)
def test_every_file_names_its_licence_its_date_and_a_source_id(name: str) -> None:
    edition = read_edition(name)
    assert edition["licence"]
    assert edition["source_id"]
    assert edition.get("date") or edition.get("year")


def test_every_factor_has_a_unit_and_a_source() -> None:
    for name, factor in read_edition("wattproof/factors.json")["factors"].items():
        assert factor["unit"], name
        assert factor["source"], name


def test_files_of_other_people_stand_beside_their_notice() -> None:
    assert "Mozilla Public License" in (FOLDER / "ecologits" / "LICENSE").read_text("utf-8")
    assert "EcoLogits" in (FOLDER / "ecologits" / "NOTICE").read_text("utf-8")
    notice = (FOLDER / "electricitymaps" / "NOTICE").read_text("utf-8")
    assert "Electricity Maps" in notice
    assert "opendatacommons.org/licenses/odbl" in notice
