"""What a run takes and what it tells: plain records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Workload
from wattproof.resources.providers import (
    ChatDelta,
    ChatEnd,
    ChatRequest,
    Deployment,
    EmbeddingRequest,
    ExchangeRate,
    RerankRequest,
    unusable_reason,
)
from wattproof.resources.providers.records import UpstreamRequest
from wattproof.resources.routing import Decision, HealthBook, Incumbents
from wattproof.resources.runs.answers import Answers
from wattproof.resources.runs.turns import Turns
from wattproof.resources.runs.watching import Watch

if TYPE_CHECKING:
    import httpx2

    from wattproof.resources.footprints import Estimate
    from wattproof.resources.grid import Grid
    from wattproof.resources.ledger import Ledger
    from wattproof.resources.ledger.records import Settled
    from wattproof.resources.providers.embedded import EmbeddedServer
    from wattproof.resources.providers.reported import ReportedFootprint

__all__ = ["AttemptFailed", "Retry", "RunDeps", "RunEvent", "RunRequest", "RunSettled"]

_MAX_NAME = 200
_MAX_TAG = 64
_MAX_TAGS = 16
_MAX_DEADLINE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One request to run. `chat` is what is asked for: an answer, or vectors or a ranking.

    `model` may carry a preset suffix (`gpt-oss-120b:eco`). `request_id` is the caller's: the same id with the same
    body is replayed and never spends again; None makes a new one. `deadline_s` bounds the whole run with all its
    attempts, and the time that it waits for another run of the same request.

    Raises:
        InvalidInput: a name is not short printable text, or a number is out of range. Everything that the ledger or a
            receipt would refuse is refused here, before anything is spent.
    """

    model: str
    chat: UpstreamRequest
    request_id: str | None = None
    operation_id: str | None = None
    tags: tuple[str, ...] = ()
    project: str | None = None
    parent_id: str | None = None
    step_kind: str | None = None
    deadline_s: float = 120.0

    def __post_init__(self) -> None:
        for name in ("model", "request_id", "operation_id", "project", "parent_id", "step_kind"):
            value: str | None = getattr(self, name)
            if value is not None:
                _check_text(name, value, _MAX_NAME)
        if len(self.tags) > _MAX_TAGS or len(set(self.tags)) != len(self.tags):
            raise InvalidInput("tags", f"are {len(self.tags)}", f"give at most {_MAX_TAGS} different tags")
        for tag in self.tags:
            _check_text("tags", tag, _MAX_TAG)
        _check_content(self.chat)
        if not 0 < self.deadline_s <= _MAX_DEADLINE_S:
            raise InvalidInput("deadline_s", f"is {self.deadline_s!r}", f"give seconds up to {_MAX_DEADLINE_S:g}")

    @property
    def workload(self) -> Workload:
        """What kind of work it asks for."""
        return _WORKLOADS[type(self.chat)]

    @property
    def max_output_tokens(self) -> int:
        """The most tokens that may be answered; 0 where the answer is no text."""
        return self.chat.max_output_tokens if isinstance(self.chat, ChatRequest) else 0


@dataclass(frozen=True, slots=True)
class Retry:
    """How failures are tried again: `tries_each` on one deployment, with jitter around `pause_s`, then the next one.

    With another candidate at hand, a pause longer than `longest_pause_s` (a Retry-After) goes to that candidate
    instead. A deployment that stays silent for `patience` of the time left gives way to the next.
    """

    tries_each: int = 2
    pause_s: float = 0.3
    longest_pause_s: float = 2.0
    patience: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDeps:
    """The outside world of a run; one object serves all runs of a process.

    `clock` gives Unix seconds, `monotonic` seconds that never go back, `random_bytes` n unpredictable bytes.
    `unusable` says why a deployment cannot be called (None: it can); by default a missing key or adapter.
    `embedded` returns the running embedded server, starting it at its first use. `grid` gives the newest readings;
    None: the annual edition only. `rates` gives the exchange rates; None: the bundled ones. `watch`
    is told what happens.
    """

    ledger: Ledger
    client: httpx2.AsyncClient
    catalogue: tuple[Deployment, ...]
    log_id: str
    environ: Mapping[str, str]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    embedded: Callable[[], Awaitable[EmbeddedServer]] | None = None
    grid: Grid | None = None
    rates: Callable[[], Mapping[str, ExchangeRate]] | None = None
    unusable: Callable[[Deployment], str | None] | None = None
    answers: Answers = field(default_factory=Answers)
    turns: Turns = field(default_factory=Turns)
    health: HealthBook = field(default_factory=HealthBook)
    incumbents: Incumbents = field(default_factory=Incumbents)
    retry: Retry = Retry()
    watch: Watch = field(default_factory=Watch)

    def why_unusable(self, deployment: Deployment) -> str | None:
        """Why a real run on `deployment` is impossible now, or None."""
        return unusable_reason(deployment, self.environ) if self.unusable is None else self.unusable(deployment)


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A try ended without an answer; what it had sent so far is void.

    `retry_in_s` is the pause before the same deployment is tried again; None when it is not.
    """

    deployment: str
    reason: str
    message: str
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class RunSettled:
    """The end of a run that has an entry in the ledger.

    `answer` is None with `answer_reason` where a replay finds it no longer in memory: answers are not stored. On a
    replay `decision` and `commitment_salt` are None, and `estimate` is recomputed from the stored receipt.
    `commitment_salt` opens the receipt's `request_commitment` and is given once, here. `reported` is what the provider
    says of the footprint, with every doubt about it; None where it says nothing, and on a replay. Vectors and rankings
    are in `end`.
    """

    settled: Settled
    answer: str | None
    answer_reason: str | None
    replayed: bool
    estimate: Estimate
    decision: Decision | None
    end: ChatEnd | None
    commitment_salt: bytes | None
    reported: ReportedFootprint | None = None


RunEvent = ChatDelta | AttemptFailed | RunSettled


_WORKLOADS: Mapping[type, Workload] = {
    ChatRequest: Workload.CHAT,
    EmbeddingRequest: Workload.EMBEDDING,
    RerankRequest: Workload.RERANK,
}


def _check_content(content: UpstreamRequest) -> None:
    if isinstance(content, ChatRequest):
        if not content.messages:
            raise InvalidInput("messages", "is empty", "give at least one message")
        if content.max_output_tokens < 1:
            raise InvalidInput("max_output_tokens", f"is {content.max_output_tokens}", "give an integer from 1")
    elif isinstance(content, EmbeddingRequest):
        if not content.inputs:
            raise InvalidInput("inputs", "is empty", "give at least one text")
    elif not content.documents:
        raise InvalidInput("documents", "is empty", "give at least one text")


def _check_text(field: str, value: str, longest: int) -> None:
    if not 0 < len(value) <= longest or not value.isprintable():
        raise InvalidInput(field, f"is {value[:40]!r}", f"give 1 to {longest} printable characters")
