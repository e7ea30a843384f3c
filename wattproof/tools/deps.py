"""What a tool may touch. Built once per process by the server or the command line and passed to every tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattproof.resources.grid import Grid
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.providers import ExchangeRate
    from wattproof.resources.providers.records import Deployment
    from wattproof.resources.runs import RunDeps

__all__ = ["Deps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The outside world of the tools. Nothing is opened until a tool awaits it.

    `clock` returns Unix seconds. `deployments` lists every candidate this installation knows: catalogue rows, the
    embedded model, and local servers that answered; the first await does the work, later ones return the same
    tuple. `ledger` opens the ledger (and creates it and its keys) on the first await. `runs` opens what a real run
    needs beside it: the HTTP client, the embedded server's factory, health, the bounded cache of answers. `grid` opens
    the desk that gives newest grid readings; None: the annual edition only. `rates` gives exchange rates; None: the
    bundled ones.

    `shared_ledger` says that the ledger is a database that others use too, so it is there before the first run.
    `default_zone` is WATTPROOF_ZONE: where this machine is; it places local and embedded deployments only.
    `max_cost_usd` caps one run; a caller can lower it and no argument raises it. `allow_keyed_runs` is
    false where the server cannot know its caller; then only deployments that need no key may run. `own_files` says that
    the caller is the user of this machine, for whom its files may be read. `random_bytes` gives nonces and names.
    """

    clock: Callable[[], float]
    environ: Mapping[str, str]
    home: Path
    log_id: str
    deployments: Callable[[], Awaitable[tuple[Deployment, ...]]]
    ledger: Callable[[], Awaitable[Ledger]]
    runs: Callable[[], Awaitable[RunDeps]]
    grid: Callable[[], Awaitable[Grid]] | None = None
    rates: Callable[[], Mapping[str, ExchangeRate]] | None = None
    shared_ledger: bool = False
    default_zone: str | None = None
    max_cost_usd: float | None = 0.10
    offline: bool = False
    allow_keyed_runs: bool = True
    own_files: bool = True
    random_bytes: Callable[[int], bytes] = urandom

    def why_unusable(self, deployment: Deployment) -> str | None:
        """Why a real run on `deployment` is impossible here and now, or None. Runs and dry runs ask the same."""
        from wattproof.resources.providers import unusable_reason

        if deployment.key_env and not self.allow_keyed_runs:
            return "needs a key: this server asks its callers for no token, so it spends nobody's keys"
        return unusable_reason(
            deployment, self.environ, offline=self.offline, embedded_problem=_embedded_problem(deployment)
        )


def _embedded_problem(deployment: Deployment) -> str | None:
    if deployment.protocol != "embedded":
        return None
    from wattproof.resources.providers.embedded import embedded_status

    status = embedded_status()
    return None if status.available else "; ".join(part for part in (status.reason, status.fix) if part)
