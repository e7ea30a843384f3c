from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from wattproof.methodology import Method, all_methods
from wattproof.resources.receipts import Issuer, exit_code, sign, verify_receipt

MakePayload = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)
def test_every_byte_of_a_receipt_counts(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    """One bit of each byte of the receipt is flipped in turn; none of the results is accepted, none raises."""
    assert accepted_flips(make_payload(method), issuer, lambda at: [at % 8]) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)
def test_every_bit_of_a_receipt_counts(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    assert accepted_flips(make_payload(method), issuer, lambda _: range(8)) == []


def accepted_flips(
    payload: dict[str, Any], issuer: Issuer, bits_of: Callable[[int], Iterable[int]]
) -> list[tuple[int, int]]:
    """The places, as byte and bit, where a changed receipt is still accepted."""
    keys = {issuer.kid: issuer.public_key}
    jws = sign(payload, issuer).encode("ascii")
    assert exit_code(verify_receipt(jws.decode(), keys)) == 0

    accepted: list[tuple[int, int]] = []
    for at, byte in enumerate(jws):
        for bit in bits_of(at):
            flipped = jws[:at] + bytes([byte ^ (1 << bit)]) + jws[at + 1 :]
            report = verify_receipt(flipped.decode("latin-1"), keys)
            if report.verdicts["signature"].verdict == "pass" or exit_code(report) == 0:
                accepted.append((at, bit))
    return accepted
