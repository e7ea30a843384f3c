"""Activities for the tests of the arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wattproof.methodology.methods import Activity, Intensity
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage, Workload

MakeActivity = Callable[..., Activity]


@pytest.fixture(scope="session")
def activity() -> MakeActivity:
    """Make a chat request to gpt-oss-120b on a 31 g/kWh grid, with what a test wants otherwise."""

    def make(
        input_tokens: int = 1000,
        output_tokens: int = 400,
        *,
        cached_input_tokens: int = 0,
        model: str = "gpt-oss-120b",
        intensity_gco2e_per_kwh: float = 31.0,
        sigma_ln: float = 0.244,
        workload: Workload = Workload.CHAT,
        pue: float | None = None,
        batch: float | None = None,
        hardware: str | None = None,
        cpu_seconds: float | None = None,
        profile: dict[str, float] | None = None,
    ) -> Activity:
        return Activity(
            workload=workload,
            usage=Usage(input_tokens, output_tokens, cached_input_tokens),
            model=find_model(model),
            intensity=Intensity(intensity_gco2e_per_kwh, sigma_ln, "test"),
            pue=pue,
            batch=batch,
            hardware=hardware,
            cpu_seconds=cpu_seconds,
            cpu_measured=cpu_seconds is not None,
            profile=profile,
        )

    return make
