"""The page in a real browser, and the same question to the tool behind `wattproof verify`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import NAMES, Page, find_browser, open_page
from tests.fakes.installation import Installation
from tests.receipts.conftest import issuer, make_payload
from wattproof.resources.receipts import Issuer, jwks
from wattproof.resources.receipts.page.assemble import VERIFY_HTML
from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt

__all__ = ["issuer", "make_payload"]  # fixtures of tests/receipts

VERDICTS = ("signature", "inclusion", "arithmetic", "plausibility", "freshness")

# Ten minutes after the receipts of these tests were issued.
NOW = 1_793_880_004.0 + 600


@dataclass(frozen=True)
class Found:
    """What a verifier says: verdict and reason by question, the outcome, the receipt's id, whose word its log is."""

    verdicts: dict[str, tuple[str, str | None]]
    outcome: str
    receipt_id: str | None
    log_evidence: str | None


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`./check` leaves the browser to CI, which runs this folder by its name."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


Verifier = Callable[[str, float], Found]
Agree = Callable[..., Found]


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Skips where there is no browser, and fails where there must be one."""
    found = find_browser()
    if found is None:
        reason = f"no Chromium is installed (looked for {', '.join(NAMES)}); apt-get install -y chromium"
        if os.environ.get("WATTPROOF_REQUIRE_THIRD_PARTY") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def browser(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(browser_path, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Page:
    """The page, freshly loaded from its file."""
    browser.events.clear()
    browser.go(VERIFY_HTML)
    return browser


def read_page(page: Page) -> Found:
    """What the page shows now."""
    shown: dict[str, Any] = page.run(
        """({
          rows: Object.fromEntries([...document.querySelectorAll('#verdicts tbody tr')].map(
            (row) => [row.dataset.name, [row.dataset.verdict, row.dataset.reason]])),
          outcome: byId('outcome').dataset.outcome,
          evidence: byId('verdicts').dataset.evidence,
          id: document.querySelector('#stated td')?.textContent,
        })"""
    )
    return Found(
        verdicts={name: (verdict, reason or None) for name, (verdict, reason) in shown["rows"].items()},
        outcome=shown["outcome"],
        receipt_id=None if shown.get("id") == "unreadable" else shown.get("id"),
        log_evidence=shown.get("evidence") or None,
    )


@pytest.fixture
def in_page(page: Page) -> Verifier:
    """The page's answer on a text in its first field."""

    def verify(text: str, now: float = NOW) -> Found:
        page.run(f"Date.now = () => {now * 1000}; byId('jws').value = {json.dumps(text)}; verify()")
        return read_page(page)

    return verify


@pytest.fixture
def in_python(tmp_path: Path) -> Verifier:
    """The tool's answer, in a home that knows no keys."""

    def verify(text: str, now: float = NOW) -> Found:
        return asyncio.run(_verified(tmp_path / "home", text, now))

    return verify


async def _verified(home: Path, text: str, now: float) -> Found:
    async with Installation(home, now_s=now).open() as deps:
        result = await verify_receipt(VerifyArgs(receipt=text), deps)
    return Found(
        verdicts={name: (found["verdict"] or "", found["reason"]) for name, found in result.verdicts.items()},
        outcome=result.outcome,
        receipt_id=result.receipt_id,
        log_evidence=result.log_evidence,
    )


@pytest.fixture
def agree(in_page: Verifier, in_python: Verifier, issuer: Issuer) -> Agree:
    """What both say of a receipt and what is given beside it; the issuer's keys unless others are given."""

    def check(jws: str, now: float = NOW, **beside: Any) -> Found:
        bundle = {"jws": jws, "jwks": jwks([issuer]), **beside}
        text = json.dumps({name: value for name, value in bundle.items() if value is not None})
        expected = in_python(text, now)
        assert in_page(text, now) == expected
        return expected

    return check
