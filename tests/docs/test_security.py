"""SECURITY.md names the algorithms that are accepted, and files are as private as it says."""

from __future__ import annotations

import re

from tests.docs.replay import ROOT
from wattproof.resources.receipts.jws import ALGORITHMS as FOR_RECEIPTS
from wattproof.server.auth.access_tokens import ALGORITHMS as FOR_ACCESS_TOKENS

PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_the_page_names_every_algorithm_that_is_accepted_and_no_other() -> None:
    sentence = PAGE[PAGE.index("Receipts are\nsigned") :]
    receipts, _, tokens = sentence.partition("access tokens")

    assert set(re.findall(r"`(\w+)`", receipts)) == set(FOR_RECEIPTS)
    assert set(re.findall(r"`(\w+)`", tokens)) == set(FOR_ACCESS_TOKENS)
