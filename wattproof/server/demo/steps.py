"""Estimate, route, run, record, verify, summarise, through the same tools that an MCP client calls.

Where no model can be run, nothing is made up: an estimate, a dry run, and the check of a receipt that ships with the
package, made once by this code from a real run of the embedded model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import UpstreamError
from wattproof.server.demo.text import real_text, unreal_text
from wattproof.server.open import LocalServers, open_deps

if TYPE_CHECKING:
    from wattproof.resources.providers.records import Deployment
    from wattproof.server.settings import Settings
    from wattproof.tools.deps import Deps

__all__ = ["DemoOutcome", "run_demo", "shipped_receipt"]

QUESTION = "What is the capital of France? Answer in one short sentence."
MAX_OUTPUT_TOKENS = 40
HOSTED_MODEL = "gpt-oss-120b"


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demo found: its text, and each tool's structured content under the tool's step."""

    real_inference: bool
    established: bool
    text: str
    structured: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """0 for a real run whose receipt holds, 1 where it does not hold, 4 for no real inference."""
        if not self.real_inference:
            return 4
        return 0 if self.established else 1


async def run_demo(settings: Settings, local_servers: LocalServers | None = None) -> DemoOutcome:
    """Run the demo in this home. A model on this machine only: the embedded one, else a local server that answers.

    `local_servers` are the (provider, base URL) pairs to look for; None: the usual ports.

    Raises:
        LedgerError, KeyUnusable: the home cannot be used.
    """
    from wattproof.resources.providers.embedded import embedded_status

    status = embedded_status(settings.environ)
    problem = None if status.available else status.reason or "it is not available"
    async with open_deps(settings, local_servers=local_servers) as deps:
        for deployment in await _models_here(deps, embedded=status.available):
            try:
                return await _real(deps, deployment, problem, status.fix)
            except UpstreamError as error:
                problem = problem or str(error)
        return await _unreal(deps, problem or "it is not available", status.fix)


def shipped_receipt() -> dict[str, Any]:
    """The receipt that ships with the package, with the public keys and the proof that belong to it."""
    folder = files("wattproof.server.demo")
    return {
        "jws": folder.joinpath("receipt.jws").read_text("ascii").strip(),
        "jwks": json.loads(folder.joinpath("jwks.json").read_bytes()),
        "inclusion": json.loads(folder.joinpath("inclusion.json").read_bytes()),
    }


async def _models_here(deps: Deps, *, embedded: bool) -> list[Deployment]:
    """Local deployments whose model has known parameters, the embedded one first."""
    from wattproof.methodology.models import all_model_ids

    known = set(all_model_ids())
    local = [row for row in await deps.deployments() if row.local and row.model in known]
    local.sort(key=lambda row: row.protocol != "embedded")
    return [row for row in local if embedded or row.protocol != "embedded"]


async def _real(deps: Deps, deployment: Deployment, problem: str | None, fix: str | None) -> DemoOutcome:
    from wattproof.tools.estimate_request import EstimateArgs, estimate_one
    from wattproof.tools.run_inference import RunArgs, run_inference
    from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger
    from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt

    estimate = await estimate_one(
        EstimateArgs(
            model=deployment.model, text=QUESTION, output_tokens=MAX_OUTPUT_TOKENS, provider=deployment.provider
        ),
        deps,
    )
    run = await run_inference(
        RunArgs(
            model=deployment.model,
            messages=[{"role": "user", "content": QUESTION}],
            max_output_tokens=MAX_OUTPUT_TOKENS,
            providers=[deployment.provider],
            temperature=0,
            tags=["demo"],
        ),
        deps,
    )
    verify = await verify_receipt(VerifyArgs(receipt=run.receipt_id or ""), deps)
    summary = await summarize_ledger(SummaryArgs(), deps)
    return DemoOutcome(
        real_inference=True,
        established=verify.outcome == "established",
        text=real_text(QUESTION, estimate, run, verify, summary, note=_note(problem, fix)),
        structured={
            "outcome": "real_inference",
            "reason": None,
            "estimate": estimate.structured(),
            "run": run.structured(),
            "verify": verify.structured(),
            "summary": summary.structured(),
        },
    )


async def _unreal(deps: Deps, problem: str, fix: str | None) -> DemoOutcome:
    from wattproof.tools.estimate_request import EstimateArgs, estimate_one
    from wattproof.tools.run_inference import RunArgs, run_inference
    from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt

    estimate = await estimate_one(
        EstimateArgs(model=HOSTED_MODEL, text=QUESTION, output_tokens=MAX_OUTPUT_TOKENS), deps
    )
    run = await run_inference(
        RunArgs(
            model=HOSTED_MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            max_output_tokens=MAX_OUTPUT_TOKENS,
            max_carbon_intensity=100,
            dry_run=True,
        ),
        deps,
    )
    verify = await verify_receipt(VerifyArgs(receipt=shipped_receipt()), deps)
    return DemoOutcome(
        real_inference=False,
        established=False,
        text=unreal_text(estimate, run, verify, note=_note(problem, fix)),
        structured={
            "outcome": "no_real_inference",
            "reason": problem,
            "fix": fix,
            "estimate": estimate.structured(),
            "run": run.structured(),
            "verify": verify.structured(),
            "summary": None,
        },
    )


def _note(problem: str | None, fix: str | None) -> str | None:
    if problem is None:
        return None
    told = f"The embedded model cannot run: {problem.rstrip('.')}."
    return told if fix is None else f"{told} Fix: {fix.removeprefix('run: ').rstrip('.')}."
