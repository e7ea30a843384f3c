"""`verify_receipt` on another vendor's footprint block: the same verdicts, in the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattproof.methodology.foreign import as_name
from wattproof.tools.provenance import StatedProvenance, sentence
from wattproof.tools.receipt_subject import parsed
from wattproof.tools.verify_receipt import VerifyResult, shown_checks, shown_verdicts

if TYPE_CHECKING:
    from wattproof.resources.providers.reported import ReportedFootprint
    from wattproof.tools.vendor_block import VendorBlock

__all__ = ["brief_vendor", "vendor_block_in", "vendor_result"]

_UNSTATED = "unstated"
# As the vendors write themselves.
_NAMES = {
    "batchin": "BatchIn",
    "greenpt": "GreenPT",
    "lowrouter": "LowRouter",
    "melious": "Melious",
    "neuralwatt": "Neuralwatt",
    "vetted": "Vetted",
}
_NOT_OF_A_BLOCK: dict[str, Any] = dict.fromkeys(
    (
        "receipt_id",
        "key_trust",
        "log_evidence",
        "tier",
        "boundary",
        "edition",
        "methodology_sha256",
        "location_evidence",
        "ghg_scope",
        "grid",
    )
)


def vendor_block_in(receipt: str | dict[str, Any]) -> VendorBlock | None:
    """The vendor's block in what a caller gave as a receipt; None where it is something else.

    Raises:
        InvalidInput: it is JSON that cannot be read, or what stands beside the block is malformed.
    """
    from wattproof.tools.vendor_block import comment_block, find_block

    if isinstance(receipt, str):
        text = receipt.strip()
        found = parsed(text) if text.startswith("{") else comment_block(text)
        if found is None:
            return None
        receipt = found
    return None if receipt.keys() & {"jws", "receipt_id", "record"} else find_block(receipt)


def vendor_result(block: VendorBlock, now: float | None, *, full: bool) -> VerifyResult:
    """The verdicts on a vendor's block at `now` (Unix time). It can fail, and it can never be established."""
    from wattproof.tools.vendor_verdicts import judge_vendor_block

    report = judge_vendor_block(block, now)
    failed = any(verdict.verdict == "fail" for verdict in report.verdicts.values())
    return VerifyResult(
        **_NOT_OF_A_BLOCK,
        subject=block.subject,
        outcome="failed" if failed else "not_established",
        verdicts=shown_verdicts(report.verdicts, full=full),
        checks=shown_checks(report.checks, full=full),
        reasons={},
        synthetic=False,
        statement=dict(block.raw) if full else None,
        provenance=_provenance(block),
    )


def brief_vendor(result: VerifyResult) -> str:
    """Vendor and place, what fails with its figures, what is open, and the four fields as the vendor states them."""
    vendor = result.subject.partition("/")[0]
    place = "" if result.provenance.region_scope == _UNSTATED else f", {result.provenance.region_scope[:40]}"
    told = [f"{name} FAIL: {found['message']}" for name, found in result.verdicts.items() if found["verdict"] == "fail"]
    by_words: dict[str, list[str]] = {}
    for name, found in result.verdicts.items():
        if found["verdict"] != "fail":
            reason = found["reason"]
            words = "pass" if reason is None else f"unknown ({reason.replace('_', ' ')})"
            by_words.setdefault(words, []).append(name)
    told += [f"{', '.join(names)}: {words}." for words, names in by_words.items()]
    return f"{_NAMES.get(vendor, vendor)} block{place}: {' '.join(told)} As stated: {sentence(result.provenance)}"


def _provenance(block: VendorBlock) -> StatedProvenance:
    reported: ReportedFootprint = block.reported
    source: object = block.raw.get("headers", {}).get("x-green-energy-source")
    method = f"{reported.vendor}/{reported.methodology}" if reported.methodology else reported.vendor
    return StatedProvenance(
        region_scope=as_name(reported.zone or _UNSTATED),
        energy_source=as_name(source) if isinstance(source, str) and source else _UNSTATED,
        methodology=as_name(method),
        renewable_ratio_bps=reported.renewable_ratio_bps,
    )
