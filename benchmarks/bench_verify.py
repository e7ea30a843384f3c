"""How long verifying one receipt takes, beside the bare Ed25519 verification of its bytes, in one run.

    python benchmarks/bench_verify.py [--rounds 15] [--json]

The receipt is that of a request to a hosted model by wattproof/param@1.0.0 with its 51 operands. What is timed:

  ed25519        libsodium on the signed bytes, which are already split and decoded: the yardstick
  parse          base64url and canonical JSON, strictly: what does not encode back to the same bytes is refused
  signature      parse, then ed25519: that this text was signed by that key
  inclusion      the path from its entry to the root of a log of a million, in a proof that is already read
  five verdicts  everything: also its schema, every figure computed again, its plausibility and its age

Exit status 1 when a target is missed: signature at 0.5 of the speed of ed25519.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import timeit
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from nacl.signing import VerifyKey

from wattproof.methodology import EDITION, Activity, Intensity, Usage, Workload, edition_sha256, find_model, get_method
from wattproof.methodology.integers import outputs
from wattproof.resources.grid import annual_reading
from wattproof.resources.receipts import Issuer, build_payload, entry_hash, leaf_hash, sign, verify_inclusion
from wattproof.resources.receipts.jws import parse, verify
from wattproof.resources.receipts.merkle import node_hash
from wattproof.resources.receipts.verify import exit_code, verify_receipt

LEAST_OF_RAW = 0.5
_LOG_SIZE = 1 << 20
_PLACE = 123_456
_ISSUED_S = 1_793_880_000.0
_ISSUED = "2026-11-05T12:00:00Z"


def our_calls() -> tuple[dict[str, Callable[[], object]], int]:
    """What is timed, and the size of the receipt."""
    issuer = Issuer(bytes(range(32)))
    jws = sign(payload(), issuer)
    keys = {issuer.kid: issuer.public_key}
    parsed, key = parse(jws), VerifyKey(issuer.public_key)
    leaf, path, root = proof_of(jws)
    now = _ISSUED_S + 600
    if exit_code(verify_receipt(jws, keys, now=now)):
        sys.exit("the receipt does not verify")
    return {
        "ed25519": lambda: key.verify(parsed.signing_input, parsed.signature),
        "parse": lambda: parse(jws),
        "signature": lambda: verify(parse(jws), keys),
        "inclusion": lambda: verify_inclusion(leaf, _PLACE, _LOG_SIZE, path, root),
        "five verdicts": lambda: verify_receipt(jws, keys, now=now),
    }, len(jws)


def payload() -> dict[str, Any]:
    """The payload of a chat request in FR."""
    method, reading = get_method("wattproof/param"), annual_reading("FR", _ISSUED_S)
    intensity = Intensity(reading.value_gco2e_per_kwh, reading.sigma_ln, reading.source)
    usage = Usage(1000, 400, cached_input_tokens=200, reasoning_tokens=120)
    activity = Activity(Workload.CHAT, usage, find_model("gpt-oss-120b"), intensity)
    operands, footprint = method.operands(activity), method.footprint(activity)
    return build_payload(
        log_id="bench",
        issued_at=_ISSUED,
        occurred_at=_ISSUED,
        kind="inference",
        status="completed",
        request_id="r42-s1",
        attempts=1,
        workload="chat",
        provider="ovhcloud",
        model="gpt-oss-120b",
        resolved_model="gpt-oss-120b",
        deployment="ovhcloud/gpt-oss-120b",
        region_scope="FR",
        zone="FR",
        location_evidence="declared",
        energy_source="grid-mix",
        renewable_ratio_bps=reading.renewable_ratio_bps,
        ghg_scope="scope3.cat1",
        usage=usage,
        usage_source="provider",
        method_id=method.id,
        method_sha256=method.sha256,
        edition=EDITION,
        edition_sha256=edition_sha256(),
        tier=footprint.tier,
        boundary="comprehensive",
        outputs=outputs(footprint),
        reasons=footprint.reasons,
        operands=operands,
        accounting=asdict(reading),
        nonce=bytes(range(16)),
        latency_ms=4100,
    )


def proof_of(jws: str) -> tuple[bytes, list[bytes], bytes]:
    """Leaf, path and root of the receipt in a log of 2**20 entries whose other subtrees are arbitrary."""
    node = leaf = leaf_hash(entry_hash(jws))
    path = [leaf_hash(bytes([level])) for level in range(20)]
    for level, sibling in enumerate(path):
        node = node_hash(sibling, node) if _PLACE >> level & 1 else node_hash(node, sibling)
    return leaf, path, node


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds: microseconds per call, and each speed as a part of that of ed25519."""
    calls, size = our_calls()
    timed: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            timed[name].append(timeit.timeit(call, number=200) / 200 * 1e6)
    medians = {name: statistics.median(values) for name, values in timed.items()}
    return {
        "us": {name: round(median, 1) for name, median in medians.items()},
        "ratios": {f"{name}/ed25519": round(medians["ed25519"] / median, 2) for name, median in medians.items()},
        "bytes": {"receipt": size},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the verification of a receipt.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.rounds)
    met = {f"signature >= {LEAST_OF_RAW:g} x ed25519": result["ratios"]["signature/ed25519"] >= LEAST_OF_RAW}
    if options.json:
        print(json.dumps({**result, "targets": met}))
        return 0 if all(met.values()) else 1
    for unit, figures in result.items():
        for name, figure in figures.items():
            print(f"{name:<24}{figure:>10} {'x' if unit == 'ratios' else unit}")
    for target, is_met in met.items():
        print(f"{'met   ' if is_met else 'MISSED'} {target}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
