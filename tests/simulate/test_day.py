"""The simulated day: the limits of a policy hold through drift, errors, outages and corrections."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import pytest

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger import EntryDraft, Ledger, Settled, open_ledger
from wattproof.resources.receipts import Issuer, keys_from_jwks, read_jwks, verify_receipt
from wattproof.resources.routing import Decision, Policy, Ranked, decision_from_json, redecide
from wattproof.server.simulate import day as days
from wattproof.server.simulate.day import Day, simulate_day
from wattproof.server.simulate.fleet import Outage
from wattproof.server.simulate.grid_fleet import GridProfile
from wattproof.server.simulate.result import DayResult, PolicyResult
from wattproof.server.simulate.rows import provider_rows

T = TypeVar("T")

CEILING = 100.0
UNDER_CEILING = Policy(preset="eco", max_carbon_intensity=CEILING)
REQUESTS = 150


@dataclass(frozen=True)
class Finished:
    """A day that is over, and what its ledger holds."""

    result: DayResult
    home: Path

    @property
    def policy(self) -> PolicyResult:
        return self.result.policies[0]

    @property
    def entries(self) -> list[Settled]:
        return _read(self.home, self._entries)

    @property
    def decisions(self) -> list[tuple[EntryDraft, Decision]]:
        """Each completed entry with its stored decision, read back from the ledger."""
        done = [settled.draft for settled in self.entries if settled.draft.status == "completed"]
        return [(draft, redecide(decision_from_json(draft.decision_json or ""))) for draft in done]

    async def _entries(self, ledger: Ledger) -> list[Settled]:
        return list((await ledger.entries(self.policy.log_id, limit=500)).entries)


def _read(home: Path, ask: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
    reader = Issuer(_bytes(32))

    async def main() -> T:
        async with open_ledger(
            home, clock=lambda: days.STARTS_AT, random_bytes=bytes, simulation=True, issuer=reader
        ) as ledger:
            return await ask(ledger)

    return anyio.run(main)


def play(home: Path, policy: Policy = UNDER_CEILING, **changes: Any) -> Finished:
    day = replace(Day(requests=REQUESTS), **changes)
    return Finished(simulate_day(day, home, {"tested": policy}), home)


@pytest.fixture(scope="module")
def under_ceiling(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return play(tmp_path_factory.mktemp("under") / "home")


def test_no_request_runs_above_the_ceiling_or_in_an_unknown_location(under_ceiling: Finished) -> None:
    policy = under_ceiling.policy
    assert policy.completed > 0.9 * REQUESTS
    assert (policy.over_ceiling, policy.zone_known) == (0, 1.0)
    for draft, decision in under_ceiling.decisions:
        reading = _ranked(decision, draft.deployment).candidate.ceiling_reading
        assert reading.value_gco2e_per_kwh <= CEILING
        assert (reading.basis, reading.factor_scope) == ("average", "lifecycle")
        assert draft.grid_source == reading.source
        assert draft.zone == reading.zone
        assert not draft.zone.startswith("unknown:")


def test_the_stored_decision_says_of_every_other_candidate_why_it_was_not_chosen(under_ceiling: Finished) -> None:
    offers = {"gpt-oss-120b": 9, "llama-3.3-70b-instruct": 8, "mistral-small-3.2-24b": 5}
    seen: set[str] = set()
    for draft, decision in under_ceiling.decisions:
        assert len(decision.ranked) == offers[draft.model]
        for ranked in decision.ranked:
            reading = ranked.candidate.ceiling_reading
            codes = {limit.code for limit in ranked.excluded_by}
            seen |= codes
            assert (ranked.score is None) == bool(codes)
            assert ("location_unknown" in codes) == (not reading.zone_known)
            if reading.zone_known:
                assert ("above_ceiling" in codes) == (reading.value_gco2e_per_kwh > CEILING)
    assert seen >= {"above_ceiling", "location_unknown"}


def test_the_ceiling_shuts_a_zone_out_at_some_hours_and_not_at_others(under_ceiling: Finished) -> None:
    """FI swings around 68 g/kWh; its annual average would let it in at any hour."""
    fates = {
        bool(ranked.excluded_by)
        for _, decision in under_ceiling.decisions
        for ranked in decision.ranked
        if ranked.candidate.deployment.id == "sim-fi/gpt-oss-120b"
    }
    assert fates == {True, False}


def test_most_readings_are_live_while_the_grid_apis_answer(under_ceiling: Finished) -> None:
    shares = under_ceiling.policy.temporal_match
    assert shares["live"] > 0.4
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.001)


def test_the_ledger_of_the_day_is_sound_and_every_try_is_closed(under_ceiling: Finished) -> None:
    async def examine(ledger: Ledger) -> None:
        assert (await ledger.fsck()).findings == ()
        states: list[str] = []
        for number in range(REQUESTS):
            tries = await ledger.attempts(under_ceiling.policy.log_id, f"simulated-{number}")
            states += [tried.state for tried in tries]
        assert set(states) <= {"settled", "failed"}
        assert states.count("settled") >= under_ceiling.policy.completed

    _read(under_ceiling.home, examine)


def test_every_entry_is_synthetic_and_its_receipt_fails_as_a_simulation(under_ceiling: Finished) -> None:
    keys = keys_from_jwks(read_jwks(under_ceiling.home / "keys" / "jwks.json"))
    for settled in under_ceiling.entries:
        assert settled.draft.synthetic
        assert settled.jws is not None
    report = verify_receipt(cast("str", under_ceiling.entries[0].jws), keys, now=days.STARTS_AT)
    assert report.verdicts["signature"].verdict == "fail"
    assert report.verdicts["signature"].reason == "simulation"
    assert report.verdicts["arithmetic"].verdict == "pass"


def test_the_key_that_signed_is_nowhere(under_ceiling: Finished) -> None:
    assert not list(under_ceiling.home.rglob("*.key"))


def test_with_the_annual_edition_alone_every_result_is_marked_fallback(tmp_path: Path) -> None:
    finished = play(tmp_path / "home", grid="annual", requests=40)
    assert finished.policy.temporal_match == {"live": 0.0, "fresh": 0.0, "fallback": 1.0}
    for draft, decision in finished.decisions:
        assert draft.temporal_match == "fallback"
        assert {r.candidate.ceiling_reading.evidence for r in decision.ranked} == {"annual", "mixture"}


def test_grids_that_are_away_all_day_leave_the_annual_edition(tmp_path: Path) -> None:
    for_ever = Outage(0.0, 4e9, "silent")
    grids = {"electricity-maps": GridProfile(outages=(for_ever,))}
    finished = play(tmp_path / "home", grids=grids, requests=25)
    assert finished.policy.completed == 25
    assert finished.policy.temporal_match["fallback"] == 1.0


def test_outages_lead_to_other_providers_of_the_allowed_zones_only(tmp_path: Path) -> None:
    zones = ("FR", "SE")
    policy = Policy(preset="eco", max_carbon_intensity=100.0, zones=zones)
    away = replace(_row("sim-se"), outages=((0.2, 0.8, "503"),))
    rows = tuple(away if row.name == "sim-se" else row for row in provider_rows())
    finished = play(tmp_path / "home", policy, providers=rows, requests=60)
    assert finished.policy.failed_tries > 0
    assert finished.policy.completed == 60
    assert {draft.zone.partition("-")[0] for draft, _ in finished.decisions} == set(zones)
    moved = [draft for draft, decision in finished.decisions if _first(decision) != draft.deployment]
    assert moved
    assert {draft.zone for draft in moved} == {"FR"}


def test_without_a_second_provider_in_the_zone_an_outage_is_a_failure_not_a_move(tmp_path: Path) -> None:
    """Never silently another region: with no zones named, a request stays in the zone of its first choice."""
    rows = (replace(_row("sim-se"), outages=((0.0, 1.0, "refused"),)), _row("sim-de"))
    finished = play(tmp_path / "home", Policy(preset="eco"), providers=rows, requests=20)
    assert finished.policy.failed > 0
    assert all(_first(decision) == draft.deployment for draft, decision in finished.decisions)


def test_a_ceiling_that_nobody_holds_refuses_everything_and_spends_nothing(tmp_path: Path) -> None:
    finished = play(tmp_path / "home", Policy(max_carbon_intensity=1.0), requests=10)
    assert (finished.policy.refused, finished.policy.completed) == (10, 0)
    assert finished.policy.carbon_gco2e is None
    assert finished.policy.latency_p50_ms is None
    assert finished.entries == []


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    def outcome(name: str, seed: int) -> bytes:
        policies = {"eco-100": days.POLICIES["eco-100"], "speed": days.POLICIES["speed"]}
        result = simulate_day(Day(seed=seed, requests=25), tmp_path / name, policies)
        return json.dumps(result.as_dict(), sort_keys=True).encode()

    first = outcome("a", 3)
    assert outcome("b", 3) == first
    assert outcome("c", 4) != first


def test_policies_differ_as_their_names_say(tmp_path: Path) -> None:
    result = simulate_day(Day(requests=40), tmp_path / "home")
    assert tuple(row.policy for row in result.policies) == tuple(days.POLICIES)
    carbon = {row.policy: row.carbon_gco2e.median for row in result.policies if row.carbon_gco2e}
    cost = {row.policy: row.cost_usd for row in result.policies}
    latency = {row.policy: row.latency_p50_ms or 0 for row in result.policies}
    assert min(carbon, key=lambda name: carbon[name]).startswith("eco")
    assert min(cost, key=lambda name: cost[name]) == "price"
    assert min(latency, key=lambda name: latency[name]) == "speed"
    assert result.synthetic
    assert result.label.startswith("SIMULATION")


def test_a_second_day_in_the_same_home_gets_a_log_of_its_own(tmp_path: Path) -> None:
    policies = {"eco": Policy(preset="eco")}
    logs = [simulate_day(Day(requests=5), tmp_path / "home", policies).policies[0].log_id for _ in range(2)]
    assert logs == ["simulated-eco", "simulated-eco-2"]


def test_a_home_of_real_runs_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    anyio.run(open_ledger(home, clock=lambda: days.STARTS_AT, random_bytes=_bytes).aclose)
    with pytest.raises(LedgerUnusable, match="made for real runs"):
        play(home, requests=1)


def _bytes(count: int) -> bytes:
    return b"\x07" * count


def _ranked(decision: Decision, deployment: str) -> Ranked:
    return next(ranked for ranked in decision.ranked if ranked.candidate.deployment.id == deployment)


def _first(decision: Decision) -> str:
    return decision.ranked[0].candidate.deployment.id


def _row(name: str) -> Any:
    return next(row for row in provider_rows() if row.name == name)
