"""A published edition never changes: a correction is a new edition."""

from __future__ import annotations

from pathlib import Path

import pytest

import wattproof.methodology.data as data
from wattproof.methodology.data import EDITION, FILES, edition_sha256, file_sha256, read_edition

FOLDER = Path(data.__file__).parent / EDITION

FROZEN_SHA256 = {
    "ecologits/models.json": "df2d83521738b2f2aada3cf8d97c8b3e74fc2cd822dc49915fe2e03faf72cef7",
    "electricitymaps/zones.json": "68efd2b8387fbc54bcd1f9e3453907c1defb48d6ac859b1d5ac69fcc3326a671",
    "wattproof/batchin_profile.json": "bfbd239ef816e574302d8ea4a12fb875973b759ee426b1f197830dd6104cb8cb",
    "wattproof/embodied.json": "5873cf175a87b9d103ac8ab4c72289294670686f59124afd36c3960b2eeac649",
    "wattproof/energy_fit.json": "c5afc36d701047ae66b8fb03f6c5fe8428da7bfdfbe755b203e1663dc77250d8",
    "wattproof/facilities.json": "8909f57af245707a648eaf95f73352aac93de8fbcf5e14ff519a6a99da4b49dd",
    "wattproof/factors.json": "ed42aed62cb964396e1c3352bb3dd9e8a6b434f2f5920740f4e8304fb35fad96",
    "wattproof/grid_spread.json": "e1b294e77f89ce76b07afe30044e1dfc1a14f008664f638f795f8a9d3414ee2e",
    "wattproof/hardware.json": "36d2d2bfd534df453a6ad19014f9e4aa61f870629183e34cbdf5323b21119125",
    "wattproof/models.json": "e42e72464ac6bdd0b65d6a71d789b45f2d871acdfc3e249d751cb50c54c18fc3",
}
FROZEN_EDITION_SHA256 = "a42b8df2a12d56764af0e9a04a9d6cf9d360e6cbc00e1d17634f97f82202039d"


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
