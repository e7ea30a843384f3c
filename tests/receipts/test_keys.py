from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology.errors import KeyUnusable
from wattproof.resources.receipts import (
    Issuer,
    base64url,
    create_issuer,
    issuer_from_env,
    jwks,
    keys_from_jwks,
    load_issuer,
    publish,
    read_jwks,
)

SEED = bytes(range(32))


def _seed(size: int) -> bytes:
    assert size == 32
    return SEED


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    signer = Issuer(base64url.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    assert signer.public_jwk()["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert signer.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_new_key_is_private_to_its_owner_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "issuer.key"
    made = create_issuer(path, _seed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == SEED
    assert load_issuer(path).kid == made.kid


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "issuer.key"
    path.write_bytes(b"mine")
    with pytest.raises(KeyUnusable, match="never overwritten"):
        create_issuer(path, _seed)
    assert path.read_bytes() == b"mine"


def test_a_link_in_the_place_of_a_key_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "issuer.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyUnusable):
        create_issuer(tmp_path / "issuer.key", _seed)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match=str(tmp_path / "missing")):
        create_issuer(tmp_path / "missing" / "issuer.key", _seed)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "issuer.key"
    create_issuer(path, _seed)
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match=f"chmod 600 {path}"):
        load_issuer(path)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "issuer.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="32 bytes"):
        load_issuer(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="does not exist"):
        load_issuer(tmp_path / "issuer.key")


def test_a_folder_in_the_place_of_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "issuer.key").mkdir()
    with pytest.raises(KeyUnusable, match="Cannot read"):
        load_issuer(tmp_path / "issuer.key")


def test_a_key_from_the_environment_is_the_same_key() -> None:
    assert issuer_from_env(base64url.encode(SEED) + "\n").kid == Issuer(SEED).kid


@pytest.mark.parametrize("value", ["", "secret", base64url.encode(bytes(31)), base64url.encode(SEED) + "="])
def test_a_bad_key_in_the_environment_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        issuer_from_env(value)
    assert not value or value not in str(caught.value)


def test_a_seed_of_another_size_is_refused() -> None:
    with pytest.raises(KeyUnusable, match="32 bytes"):
        Issuer(b"short")


def test_a_key_set_that_cannot_be_written_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    publish(path, Issuer(SEED))
    before = path.read_bytes()
    (tmp_path / "jwks.json.new").mkdir()
    with pytest.raises(KeyUnusable, match=r"jwks\.json"):
        publish(path, Issuer(bytes(32)))
    assert path.read_bytes() == before


def test_an_issuer_does_not_show_its_seed() -> None:
    shown = repr(Issuer(SEED))
    assert SEED.hex() not in shown
    assert Issuer(SEED).kid in shown


def test_the_published_set_names_every_key_without_an_algorithm() -> None:
    first, second = Issuer(SEED), Issuer(bytes(32))
    document = jwks([first, second])
    assert keys_from_jwks(document) == {first.kid: first.public_key, second.kid: second.public_key}
    assert all(jwk.keys() == {"kty", "crv", "x", "kid", "use"} for jwk in document["keys"])


def test_publishing_keeps_the_retired_keys(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    first, second = Issuer(SEED), Issuer(bytes(32))
    publish(path, first)
    publish(path, second)
    before = path.stat().st_mtime_ns
    assert publish(path, second) == read_jwks(path)
    assert keys_from_jwks(read_jwks(path)).keys() == {first.kid, second.kid}
    assert path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [path]


def test_keys_of_other_kinds_are_passed_over() -> None:
    document = jwks([Issuer(SEED)])
    document["keys"] += [{"kty": "RSA"}, {"kty": "OKP", "crv": "X25519", "x": "AA"}]
    assert len(keys_from_jwks(document)) == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": {}},
        {"keys": ["x"]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 1}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "é"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]},
        {"keys": [{**Issuer(SEED).public_jwk(), "kid": "mine"}]},
        {"keys": [{**Issuer(SEED).public_jwk(), "d": "AA"}]},
    ],
)
def test_a_malformed_key_set_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(KeyUnusable):
        keys_from_jwks(document)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, json.dumps("x").encode()])
def test_a_file_that_is_not_a_key_set_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    with pytest.raises(KeyUnusable):
        read_jwks(path)


def test_a_missing_key_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match=r"jwks\.json"):
        read_jwks(tmp_path / "jwks.json")
