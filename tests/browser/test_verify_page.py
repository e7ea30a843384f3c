"""The offline page: one file that loads nothing, and does what it says for whoever opens it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import NOW, Found, Verifier, read_page
from tests.fakes.receipt_log import WITNESS_KEY, ReceiptLog
from tests.receipts.conftest import MakePayload
from wattproof.methodology import all_methods
from wattproof.resources.receipts import Issuer, jwks, sign
from wattproof.resources.receipts.page import assemble, shipped
from wattproof.resources.receipts.page.assemble import VERIFY_HTML

ROOT = Path(__file__).parents[2]
ALL_PASS = dict.fromkeys(("signature", "inclusion", "arithmetic", "plausibility", "freshness"), ("pass", None))


@pytest.fixture
def folder(tmp_path: Path, make_payload: MakePayload, issuer: Issuer) -> Path:
    """receipt.jws, jwks.json, receipt.tlog-proof, log.vkey, old.checkpoint and consistency.txt."""
    jws = sign(make_payload(), issuer)
    log = ReceiptLog().fill(3)
    proof = log.tlog_proof(log.append(jws), witnessed_at_s=int(NOW))
    for name, text in (
        ("receipt.jws", f"{jws}\n"),
        ("jwks.json", json.dumps(jwks([issuer]))),
        ("receipt.tlog-proof", proof),
        ("log.vkey", f"# the log and a witness\n{log.vkey}\n{WITNESS_KEY}\n"),
        ("old.checkpoint", log.checkpoint(3)),
        ("consistency.txt", log.consistency(3)),
    ):
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def settled(page: Page) -> Found:
    """What the page shows once it has shown something."""
    page.run(
        "new Promise((done) => { const look = () => byId('result').hidden ? setTimeout(look, 5) : done(); look(); })"
    )
    return read_page(page)


def test_the_page_that_ships_is_the_one_of_its_sources_and_this_edition() -> None:
    if os.environ.get("WATTPROOF_UPDATE_CONTRACTS") == "1":
        VERIFY_HTML.write_bytes(assemble().encode())
    assert shipped() == assemble(), "run: make contracts"


def test_it_is_one_file_whose_policy_lets_nothing_in_and_nothing_out() -> None:
    page = shipped()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for name in ("script", "style"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        assert f"{name}-src 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" in policy[1]
    assert not re.search(r"\b(src|href|action)=", page)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest"):
        assert word not in page, word


def test_it_knows_every_method_by_the_definition_that_is_installed() -> None:
    for method in all_methods():
        assert f'"{method.id}":{{' in shipped()
        assert method.sha256 in shipped()


def test_opening_it_and_verifying_ask_for_nothing_but_the_file(page: Page, folder: Path, in_page: Verifier) -> None:
    found = in_page((folder / "receipt.jws").read_text(), NOW)
    assert found.verdicts["arithmetic"] == ("pass", None)
    assert page.requests == [VERIFY_HTML.as_uri()]
    assert page.complaints == []
    refused = page.run(
        "new Promise((done) => { const i = new Image(); i.onerror = () => done('refused'); i.src = 'data:,'; })"
    )
    assert refused == "refused"


def test_files_find_their_fields(page: Page, folder: Path) -> None:
    page.run(f"Date.now = () => {NOW * 1000}; 0")
    page.give_files("#files", *(path for path in sorted(folder.iterdir())))
    found = settled(page)
    assert found.verdicts == ALL_PASS
    assert found.log_evidence == "witnessed"
    assert page.run("byId('old').value.length > 50 && byId('consistency').value.length > 40 && byId('log').open")


def test_a_file_that_is_none_of_these_is_named(page: Page, tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("sun and sea")
    page.give_files("#files", tmp_path / "holiday.txt")
    settled(page)
    assert page.run("byId('outcome').textContent") == "holiday.txt is none of what can be verified here."


def test_everything_can_be_done_with_the_keyboard(page: Page, folder: Path) -> None:
    page.run(f"Date.now = () => {NOW * 1000}; byId('jws').focus(); 0")
    page.call("Input.insertText", text=(folder / "receipt.jws").read_text().strip())
    page.press("Tab", 9)
    page.call("Input.insertText", text=(folder / "jwks.json").read_text())
    page.press("Tab", 9)
    assert page.run("document.activeElement.tagName") == "SUMMARY"
    page.press("Tab", 9)
    assert page.run("document.activeElement.textContent") == "Verify"
    page.press("Enter", 13)
    assert settled(page).outcome == "established"
    assert page.run("document.activeElement.textContent") == "Verify"


def test_every_field_has_a_label_and_no_verdict_is_told_by_colour_alone(
    page: Page, folder: Path, in_page: Verifier
) -> None:
    in_page((folder / "receipt.jws").read_text(), NOW)
    unlabelled = "[...document.querySelectorAll('textarea, input')].filter((field) => !field.labels.length).length"
    assert page.run(unlabelled) == 0
    assert page.run("byId('result').getAttribute('aria-live')") == "polite"
    assert page.run("[...document.querySelectorAll('td.verdict')].map((cell) => cell.textContent)") == [
        "? unknown",
        "? unknown",
        "✓ pass",
        "✓ pass",
        "✓ pass",
    ]
    assert page.run("[...document.querySelectorAll('tbody th')].every((head) => head.scope === 'row')")


def test_what_a_receipt_says_is_shown_and_never_run(page: Page, make_payload: MakePayload, issuer: Issuer) -> None:
    markup = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    jws = sign(make_payload(model=markup), issuer)
    page.run(f"byId('jws').value = {json.dumps(jws)}; verify()")
    assert markup in page.run("byId('stated').textContent")
    assert page.run("document.querySelectorAll('img, #result script').length") == 0
    assert page.run("document.title") == "Verify a wattproof receipt"


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("jws", "", "Give a receipt first."),
        ("jws", "{", "begins with { and is not JSON"),
        ("jws", '{"receipt_id":"r_x"}', 'has no "jws"'),
        ("jwks", "{", "not JSON"),
        ("jwks", "{}", 'an object with a list "keys"'),
        ("jwks", '{"keys":[7]}', "is not an object"),
        ("jwks", '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}', "32 bytes"),
        ("jwks", '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"A=="}]}', "not base64url"),
        ("jwks", '{"keys":[{"kty":"OKP","crv":"Ed25519","d":"AA"}]}', "private key"),
        ("proof", "{}", "inclusion proof is not"),
        ("vkeys", "nonsense", "no verifier key"),
        ("vkeys", "# only this", "one a line"),
        ("consistency", "nonsense", "hash in base64"),
    ],
)
def test_what_cannot_be_used_is_named_and_judged_by_nobody(page: Page, field: str, text: str, said: str) -> None:
    page.run(f"byId('jws').value = 'a.b.c'; byId({json.dumps(field)}).value = {json.dumps(text)}; verify()")
    assert page.run("byId('outcome').dataset.outcome") == "unusable"
    assert said in page.run("byId('outcome').textContent")
    assert page.run("byId('verdicts').hidden")


def test_keys_that_came_with_the_receipt_are_told_from_keys_that_were_given(
    page: Page, folder: Path, in_page: Verifier
) -> None:
    jws, keys = (folder / "receipt.jws").read_text().strip(), (folder / "jwks.json").read_text()
    in_page(json.dumps({"jws": jws, "jwks": json.loads(keys)}), NOW)
    assert "came with the receipt" in page.run("byId('stated').textContent")
    page.run(f"byId('jwks').value = {json.dumps(keys)}; 0")
    in_page(json.dumps({"jws": jws, "jwks": {"keys": []}}), NOW)
    assert "came with the receipt" not in page.run("byId('stated').textContent")
    assert read_page(page).verdicts["signature"] == ("pass", None)


def test_clear_takes_everything_away(page: Page, folder: Path, in_page: Verifier) -> None:
    in_page((folder / "receipt.jws").read_text(), NOW)
    page.run("document.querySelector('button[type=reset]').click()")
    assert page.run("byId('result').hidden && byId('jws').value === ''")


def test_a_browser_without_ed25519_says_so_and_passes_no_signature(page: Page, folder: Path, in_page: Verifier) -> None:
    page.run("crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError')); begin()")
    assert "has no Ed25519" in page.run("byId('outcome').textContent")
    bundle = {
        "jws": (folder / "receipt.jws").read_text().strip(),
        "jwks": json.loads((folder / "jwks.json").read_text()),
        "tlog_proof": (folder / "receipt.tlog-proof").read_text(),
        "vkey": (folder / "log.vkey").read_text(),
    }
    found = in_page(json.dumps(bundle), NOW)
    assert found.verdicts["signature"] == found.verdicts["inclusion"] == ("unknown", "browser_lacks_ed25519")
    assert found.verdicts["arithmetic"] == ("pass", None)
    assert found.outcome == "not_established"


@pytest.mark.parametrize("tampered", [False, True])
def test_the_command_says_the_same_as_the_page(folder: Path, in_page: Verifier, tampered: bool) -> None:
    if tampered:
        path = folder / "receipt.jws"
        path.write_text(path.read_text()[:-6] + "AAAAA\n")
    command = [sys.executable, "-m", "wattproof", "verify", "receipt.jws", "--jwks", "jwks.json", "--json"]
    options = ["--tlog-proof", "receipt.tlog-proof", "--vkey", "log.vkey"]
    environ = {"PATH": os.defpath, "HOME": str(folder), "PYTHONPATH": str(ROOT), "WATTPROOF_HOME": str(folder / "home")}
    done = subprocess.run([*command, *options], cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    said = json.loads(done.stdout)
    bundle = {
        "jws": (folder / "receipt.jws").read_text().strip(),
        "jwks": json.loads((folder / "jwks.json").read_text()),
        "tlog_proof": (folder / "receipt.tlog-proof").read_text(),
        "vkey": (folder / "log.vkey").read_text(),
    }
    found = in_page(json.dumps(bundle), time.time())
    assert {
        name: (verdict["verdict"], verdict["reason"]) for name, verdict in said["verdicts"].items()
    } == found.verdicts
    assert (said["outcome"], said["log_evidence"]) == (found.outcome, found.log_evidence)
    assert done.returncode == (1 if tampered else 0)
