"""A ledger with frozen inputs, for what records into it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wattproof.testing import Frozen, frozen


@pytest.fixture
def inputs() -> Iterator[Frozen]:
    with frozen() as made:
        yield made
