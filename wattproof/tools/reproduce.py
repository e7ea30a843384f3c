"""A receipt's arithmetic as one Python file: its operands, its method's own source, and the comparison.

The file needs a bare interpreter and nothing else. The formula is the method's source as it runs here, so that the two
cannot differ. It says nothing of the signature; `verify_receipt` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pprint import pformat
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import NotDefined, UnknownMethod, VerificationFailed
from wattproof.methodology.methods import Method, get_method

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps

__all__ = ["formula_source", "reproduce", "reproduction"]

_HEADER = '''\
"""What receipt {receipt_id} states, computed again. Standard library only: python -I -S THIS_FILE

Operands and stated figures are those of the receipt; the rest is the source of the method as it was installed where
this file was written, with its licence: Apache-2.0, The wattproof authors. Prints each figure beside the stated one and
exits 1 where one differs. The signature is not checked here.
"""

from __future__ import annotations

import sys
{imports}

RECEIPT_ID = {receipt_id!r}
METHOD_ID = {method_id!r}
METHOD_SHA256 = {method_sha256!r}
EDITION = {edition!r}
BOUNDARY = {boundary!r}

# name, value, exp10, unit, source: the number is value * 10**exp10
OPERANDS = {operands}

STATED = {stated}


# The method, verbatim.

{source}


# The comparison.

{difference}
def main() -> int:
    numbers = {{row[0]: {Operand}(*row).number for row in OPERANDS}}
{compute}
    print(METHOD_ID, BOUNDARY, "edition", EDITION)
    differing = 0
    for name, stated in STATED.items():
        found = computed[name]
        if stated is None or found is None:
            same = stated is found
            print(f"{{name}}: {{'not defined' if found is None else found}}", "" if same else "DIFFERS")
            differing += not same
            continue
        for bound in ("median", "low", "high"):
            same = {agree}(stated[bound], found[bound])
            print(f"{{name}}.{{bound}}: {{found[bound]}} computed, {{stated[bound]}} stated", "" if same else "DIFFERS")
            differing += not same
    print("differs" if differing else "agrees")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
'''

_COMPUTE = "    computed = {outputs}({prepare}(numbers, BOUNDARY)(numbers))"

# An adjustment states what changed: see wattproof.resources.receipts.adjustment.
_DIFFERENCE = '''
def difference(new, old):
    """By how much a figure changed; its bounds are the differences of the bounds, in order."""
    if new is None or old is None:
        return None
    bounds = ("low", "median", "high")
    if new["low"] is None or old["low"] is None:
        return {"low": None, "median": new["median"] - old["median"], "high": None}
    return dict(zip(bounds, sorted(new[bound] - old[bound] for bound in bounds)))

'''
_COMPUTE_CHANGE = """\
    before = {{name[:-7]: numbers.pop(name) for name in list(numbers) if name.endswith("_before")}}
    former = {{**numbers, **before}}
    print("an adjustment: the difference that new values of", ", ".join(before), "make")
    new, old = ({outputs}({prepare}(each, BOUNDARY)(each)) for each in (numbers, former))
    computed = {{name: difference(new[name], old[name]) for name in new}}"""


async def reproduce(receipt: str | dict[str, Any], deps: Deps) -> str:
    """The file for a receipt: an id of this ledger, a JWS, or {jws, ...}.

    Raises:
        InvalidInput: this is no receipt, or no receipt of this ledger has the id.
        VerificationFailed: the receipt cannot be read.
        NotDefined: its method, or this definition of it, is not known here.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.resources.receipts.verify import verify_receipt
    from wattproof.tools.receipt_subject import local_keys, read_subject

    subject = await read_subject(receipt, deps)
    report = verify_receipt(subject.jws, local_keys(deps), now=deps.clock())
    if report.payload is None:
        verdict = report.verdicts["signature"]
        raise VerificationFailed("format", verdict.reason or "unreadable", f"It cannot be read: {verdict.message}")
    return reproduction(report.payload, report.receipt_id or "unknown")


def reproduction(payload: Mapping[str, Any], receipt_id: str) -> str:
    """The file for a valid payload.

    Raises:
        NotDefined: its method, or this definition of it, is not known here.
    """
    method = _method(payload)
    names, imports, source = formula_source(method)
    operands = [(o["name"], o["value"], o["exp10"], o["unit"], o["source_id"]) for o in payload["operands"]]
    changes = payload["kind"] == "adjustment"
    rows = "".join(f"    {operand!r},\n" for operand in operands)
    return _HEADER.format(
        **names,
        receipt_id=receipt_id,
        imports=imports,
        method_id=method.id,
        method_sha256=method.sha256,
        edition=payload["edition"],
        boundary=payload["boundary"],
        operands=f"[\n{rows}]",
        stated=_literal(payload["outputs"]),
        source=source,
        difference=_DIFFERENCE if changes else "",
        compute=(_COMPUTE_CHANGE if changes else _COMPUTE).format(**names),
    )


def formula_source(method: Method) -> tuple[dict[str, str], str, str]:
    """What the formula's parts are called, the imports that they need, and their source.

    Raises:
        NotDefined: the method's source is not installed, or it cannot stand alone.
    """
    from wattproof.tools.own_source import OwnSource

    source = OwnSource()
    prepare = method.prepare
    names = {
        "prepare": source.add(prepare.__module__, getattr(prepare, "__qualname__", "")),
        "Operand": source.add("wattproof.methodology.quantity", "Operand"),
        "outputs": source.add("wattproof.methodology.integers", "outputs"),
        "agree": source.add("wattproof.resources.receipts.arithmetic", "_agree"),
    }
    return names, source.imports, source.text


def _method(payload: Mapping[str, Any]) -> Method:
    try:
        method = get_method(payload["method_id"])
    except UnknownMethod as error:
        raise NotDefined(f"{error} The wattproof that issued the receipt can reproduce it.") from error
    if method.sha256 != payload["method_sha256"]:
        raise NotDefined(f"The receipt was made with another definition of {method.id} than is installed here.")
    return method


def _literal(value: Any) -> str:
    """Plain data as a Python literal over several lines."""
    return pformat(value, indent=1, width=100)
