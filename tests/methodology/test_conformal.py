"""Split conformal calibration over model families, and what a result may say of its calibration."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from wattproof.methodology.calibration import calibration_of
from wattproof.methodology.conformal import calibrate, grouping, score
from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.models import find_model


def test_with_one_row_per_family_it_is_the_usual_order_statistic() -> None:
    scores = {f"f{i}": [float(i)] for i in range(1, 20)}
    assert calibrate(scores).quantile == 18.0
    assert calibrate(scores, level=0.5).quantile == 10.0


def test_too_few_families_give_no_interval_and_a_review() -> None:
    found = calibrate({f"f{i}": [float(i)] for i in range(8)})
    assert found.quantile is None
    assert found.coverage is None
    assert (found.status, found.n_groups) == ("review", 8)
    assert calibrate({}).status == "review"


def test_many_rows_of_one_family_weigh_as_one() -> None:
    scores = {f"f{i}": [float(i)] for i in range(1, 20)}
    crowded = {**scores, "f19": [19.0] * 1000}
    assert calibrate(crowded).quantile == calibrate(scores).quantile
    assert calibrate(crowded).n_rows == 1018


def test_the_calibrated_interval_holds_a_new_family_as_often_as_it_says() -> None:
    noise = random.Random(3)

    def family() -> list[float]:
        centre = noise.gauss(0, 1)
        return [abs(centre + noise.gauss(0, 0.5)) for _ in range(noise.randint(1, 6))]

    held: list[float] = []
    for _ in range(400):
        found = calibrate({f"f{i}": family() for i in range(30)})
        assert found.quantile is not None
        new = family()
        held.append(sum(row <= found.quantile for row in new) / len(new))
    assert 0.87 <= fmean(held) <= 0.95


def test_status_follows_the_coverage_of_families_left_out() -> None:
    noise = random.Random(5)
    steady = {f"f{i}": [abs(noise.gauss(0, 1)) for _ in range(20)] for i in range(40)}
    assert calibrate(steady).status == "pass"
    same = {f"f{i}": [1.0] for i in range(40)}
    assert calibrate(same).status == "review"
    assert calibrate(same).coverage == 1.0


def test_intervals_stay_global_until_there_are_enough_families_and_truths() -> None:
    assert calibrate({f"f{i}": [1.0] for i in range(19)}).mode == "global"
    assert grouping(19, 100) == "global"
    assert grouping(30, 9) == "global"
    assert grouping(30, 10) == "cell"


def test_a_score_is_the_distance_in_stated_spreads() -> None:
    assert score(2.0, 1.0, 0.5) == pytest.approx(math.log(2) / 0.5)
    assert score(1.0, 2.0, 0.5) == score(2.0, 1.0, 0.5)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 1.0), (1.0, math.nan, 1.0), (1.0, 1.0, 0.0), (math.inf, 1.0, 1.0)])
def test_a_score_of_nothing_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        score(*wrong)


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(InvalidInput, match="level"):
        calibrate({"f": [1.0]}, level)


def test_a_negative_score_is_refused_with_its_family() -> None:
    with pytest.raises(InvalidInput, match="llama"):
        calibrate({"llama": [-1.0]})


@pytest.mark.parametrize(
    ("model", "status"),
    [("gpt-oss-120b", "calibrated"), ("gpt-4o", "provisional"), ("claude-sonnet-5-5", "none")],
)
def test_a_result_can_say_how_far_its_model_family_is_calibrated(model: str, status: str) -> None:
    found = calibration_of(find_model(model), "wattproof/param@1.0.0")
    assert found.status == status
    assert found.why


def test_no_other_method_is_called_calibrated() -> None:
    assert calibration_of(find_model("gpt-oss-120b"), "ecologits/llm@0.11.3").status == "none"


def test_every_model_with_a_status_is_in_the_registry() -> None:
    for row in read_edition("wattproof/calibration.json")["families"]:
        assert row["status"] in {"calibrated", "provisional"}
        for model_id in row["models"]:
            assert find_model(model_id).id.lower() == model_id.lower()
