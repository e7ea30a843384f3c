"""The zip of an evidence pack: whole or not there, the same for the same files, and never larger than asked."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.evidence_zip import EvidenceZip


def test_what_was_written_is_listed_with_its_hash_and_carries_no_time(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with EvidenceZip(tmp_path / name, 1) as pack:
            with pack.stream("one.txt") as write:
                write("eins ")
                write("zwölf")
            pack.add("two/three.txt", "")
    data = "eins zwölf".encode()
    assert pack.files["one.txt"] == {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
    assert pack.size == (tmp_path / "a.zip").stat().st_size
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with ZipFile(tmp_path / "a.zip") as written:
        assert written.testzip() is None
        assert written.read("one.txt") == data


def test_a_pack_that_would_be_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("older")
    with pytest.raises(InvalidInput, match="larger than 0 MiB"), EvidenceZip(tmp_path / "a.zip", 0) as pack:
        pack.add("one.txt", "x" * 100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_text() == "older"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"), EvidenceZip(tmp_path / "missing" / "a.zip", 1):
        pass
