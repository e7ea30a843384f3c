"""`wattproof/cpu-time@1.0.0`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods import Activity, Intensity, get_method
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Quantity, Usage, Workload

MakeActivity = Callable[..., Activity]
CPU_TIME = get_method("wattproof/cpu-time")
SMOLLM2 = "smollm2-135m-instruct"


def width(quantity: Quantity | None) -> float:
    assert quantity is not None
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.high / quantity.low


def test_measured_seconds_times_four_watts(activity: MakeActivity) -> None:
    footprint = CPU_TIME.footprint(activity(30, 128, model=SMOLLM2, cpu_seconds=1.95))
    assert footprint.energy_wh is not None
    assert footprint.energy_wh.median == pytest.approx(1.95 * 4 / 3600)
    assert footprint.tier == "modelled"


def test_before_a_run_the_seconds_are_predicted_from_tokens(activity: MakeActivity) -> None:
    footprint = CPU_TIME.footprint(activity(30, 128, model=SMOLLM2))
    assert footprint.energy_wh is not None
    assert footprint.energy_wh.median == pytest.approx((30 * 0.0062 + 128 * 0.0147) * 4 / 3600)
    assert footprint.tier == "parametric"


def test_the_interval_is_wide_and_wider_before_the_run(activity: MakeActivity) -> None:
    measured = width(CPU_TIME.footprint(activity(30, 128, model=SMOLLM2, cpu_seconds=1.95)).energy_wh)
    predicted = width(CPU_TIME.footprint(activity(30, 128, model=SMOLLM2)).energy_wh)
    assert 9 < measured < predicted


def test_a_local_machine_has_no_pue_and_a_server_room_has(activity: MakeActivity) -> None:
    at_home = CPU_TIME.footprint(activity(model=SMOLLM2, cpu_seconds=1.0))
    hosted = CPU_TIME.footprint(activity(model=SMOLLM2, cpu_seconds=1.0, pue=1.5))
    narrow = CPU_TIME.footprint(activity(model=SMOLLM2, cpu_seconds=1.0, pue=1.5), "narrow")
    assert at_home.energy_wh is not None
    assert hosted.energy_wh is not None
    assert hosted.energy_wh.median == pytest.approx(1.5 * at_home.energy_wh.median)
    assert narrow.energy_wh == at_home.energy_wh


def test_zero_tokens_are_zero_without_width(activity: MakeActivity) -> None:
    footprint = CPU_TIME.footprint(activity(0, 0, model=SMOLLM2))
    assert footprint.energy_wh == Quantity(0.0, 0.0, 0.0)
    assert footprint.carbon_gco2e == Quantity(0.0, 0.0, 0.0)


@given(cpu_seconds=st.floats(0.001, 1e5), more=st.floats(0.001, 1e5))
def test_more_seconds_never_need_less(activity: MakeActivity, cpu_seconds: float, more: float) -> None:
    base = CPU_TIME.footprint(activity(model=SMOLLM2, cpu_seconds=cpu_seconds)).energy_wh
    longer = CPU_TIME.footprint(activity(model=SMOLLM2, cpu_seconds=cpu_seconds + more)).energy_wh
    assert base is not None
    assert longer is not None
    assert longer.median >= base.median


def test_it_says_what_is_assumed(activity: MakeActivity) -> None:
    assert CPU_TIME.assumed(activity(model=SMOLLM2, cpu_seconds=1.0)) == ("watts_per_thread",)
    assert CPU_TIME.assumed(activity(model=SMOLLM2)) == ("cpu_seconds", "watts_per_thread")


def test_rerank_is_not_defined(activity: MakeActivity) -> None:
    with pytest.raises(NotDefined, match="rerank"):
        CPU_TIME.footprint(activity(workload=Workload.RERANK))


def test_measured_without_seconds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cpu_seconds"):
        Activity(Workload.CHAT, Usage(1, 1), find_model(SMOLLM2), Intensity(31.0, 0.2, "test"), cpu_measured=True)
