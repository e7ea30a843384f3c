"""The append-only store of what was run: entries, attempts, receipts, totals, proofs.

Names are loaded when they are first used, so that importing the records does not load SQLite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wattproof.resources.ledger.append import PayloadBuilder
    from wattproof.resources.ledger.ledger import Ledger
    from wattproof.resources.ledger.opening import open_ledger
    from wattproof.resources.ledger.records import (
        Adjusted,
        Amount,
        Attempt,
        AttemptDraft,
        AttemptState,
        ClosedPeriod,
        DecisionPage,
        DecisionRow,
        EntryDraft,
        EntryKind,
        EntryPage,
        EntryStatus,
        FactorTerm,
        Finding,
        FsckReport,
        Opened,
        Replay,
        Settled,
        Summary,
        SummaryQuery,
        SummaryRow,
    )
    from wattproof.resources.ledger.totals import GROUPS

__all__ = [
    "GROUPS",
    "Adjusted",
    "Amount",
    "Attempt",
    "AttemptDraft",
    "AttemptState",
    "ClosedPeriod",
    "DecisionPage",
    "DecisionRow",
    "EntryDraft",
    "EntryKind",
    "EntryPage",
    "EntryStatus",
    "FactorTerm",
    "Finding",
    "FsckReport",
    "Ledger",
    "Opened",
    "PayloadBuilder",
    "Replay",
    "Settled",
    "Summary",
    "SummaryQuery",
    "SummaryRow",
    "open_ledger",
]

_ELSEWHERE = {"GROUPS": "totals", "Ledger": "ledger", "PayloadBuilder": "append", "open_ledger": "opening"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'records')}"), name)
