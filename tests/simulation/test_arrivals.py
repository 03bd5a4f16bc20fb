"""Shapes of load: values worked by hand, noise that depends on the time alone, and how they are read."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trimtab.simulation.arrivals import AnyShape, Constant, Diurnal, Paused, Scaled, Shape, Spikes, Step, Sum

SHAPES: TypeAdapter[Shape] = TypeAdapter(AnyShape)
DAY = 86_400.0


def rate(shape: object, *seconds: float) -> list[float]:
    return [float(value) for value in SHAPES.validate_python(shape).rate(np.array(seconds))]


@pytest.mark.parametrize(
    ("shape", "seconds", "expected"),
    [
        pytest.param({"kind": "Constant", "rate_per_second": 7}, [0, 1e9], [7, 7], id="constant"),
        pytest.param(
            {"kind": "Ramp", "start": 10, "end": 30, "begin_seconds": 100, "duration_seconds": 10},
            [0, 100, 105, 110, 999],
            [10, 10, 20, 30, 30],
            id="ramp-between-its-ends",
        ),
        pytest.param(
            {"kind": "Step", "before": 1, "after": 5, "at_seconds": 60}, [59.9, 60], [1, 5], id="step-at-its-time"
        ),
        pytest.param(
            {"kind": "Spikes", "height": 9, "width_seconds": 2, "every_seconds": 10, "first_seconds": 5},
            [0, 4.9, 5, 6.9, 7, 15],
            [0, 0, 9, 9, 0, 9],
            id="spikes-return",
        ),
        pytest.param(
            {"kind": "Diurnal", "low": 10, "high": 30, "peak_seconds": 50_400},
            [50_400, 50_400 + DAY / 4, 50_400 + DAY / 2],
            [30, 20, 10],
            id="diurnal-peak-flank-trough",
        ),
        pytest.param(
            {"kind": "Scaled", "factor": 0.5, "of": {"kind": "Constant", "rate_per_second": 8}}, [3], [4], id="scaled"
        ),
        pytest.param(
            {
                "kind": "Sum",
                "of": [{"kind": "Constant", "rate_per_second": 8}, {"kind": "Constant", "rate_per_second": 1}],
            },
            [3],
            [9],
            id="sum",
        ),
        pytest.param(
            {
                "kind": "Paused",
                "of": {"kind": "Constant", "rate_per_second": 8},
                "pauses": [{"begin_seconds": 10, "duration_seconds": 5}],
            },
            [9, 10, 14.9, 15],
            [8, 0, 0, 8],
            id="paused",
        ),
    ],
)
def test_values_of_a_shape(shape: object, seconds: list[float], expected: list[float]) -> None:
    assert rate(shape, *seconds) == pytest.approx(expected)


def test_the_epoch_is_a_thursday_for_the_weekday_factors() -> None:
    shape = Diurnal(low=10, high=10, weekday_factors=(1, 2, 3, 4, 5, 6, 7))
    assert shape.rate(np.arange(7, dtype=np.float64) * DAY).tolist() == [40, 50, 60, 70, 10, 20, 30]


def test_noise_depends_on_the_time_alone() -> None:
    shape = Constant(rate_per_second=100, noise=0.1, seed=3)
    together = shape.rate(np.arange(1000, 1100, dtype=np.float64))
    apart = [float(shape.rate(np.array([second + 0.75]))[0]) for second in range(1000, 1100)]
    assert together.tolist() == apart


def test_noise_has_the_asked_spread_and_differs_by_seed() -> None:
    seconds = np.arange(20_000, dtype=np.float64)
    one, two = (Constant(rate_per_second=100, noise=0.1, seed=seed).rate(seconds) for seed in (1, 2))
    assert one.mean() == pytest.approx(100, rel=0.01)
    assert one.std() == pytest.approx(10, rel=0.05)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03


def test_noise_can_last_longer_than_a_second() -> None:
    values = Constant(rate_per_second=100, noise=0.1, noise_seconds=30).rate(np.arange(60, dtype=np.float64))
    assert len(set(values[:30].tolist())) == 1
    assert values[29] != values[30]


@given(st.floats(0, 1), st.integers(0, 9), st.floats(-1e9, 1e9))
def test_a_rate_is_never_negative(noise: float, seed: int, second: float) -> None:
    shape = Sum(
        of=[
            Constant(rate_per_second=5, noise=noise, seed=seed),
            Scaled(of=Spikes(height=3, width_seconds=1, every_seconds=7), factor=2),
        ],
        noise=noise,
    )
    value = float(shape.rate(np.array([second]))[0])
    assert value >= 0
    assert math.isfinite(value)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"kind": "Sawtooth"}, id="unknown-kind"),
        pytest.param({"kind": "Constant", "rate_per_second": -1}, id="negative-rate"),
        pytest.param({"kind": "Constant", "rate": 1}, id="misspelt-field"),
        pytest.param({"kind": "Diurnal", "low": 1, "high": 2, "weekday_factors": [1, 1]}, id="five-days-missing"),
        pytest.param({"kind": "Sum", "of": []}, id="sum-of-nothing"),
        pytest.param({"kind": "Trace", "path": "/nowhere/trace.csv"}, id="no-such-trace"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(shape: object) -> None:
    with pytest.raises(ValidationError):
        SHAPES.validate_python(shape)


def test_shapes_nest() -> None:
    shape = Paused.model_validate(
        {
            "of": {"kind": "Sum", "of": [Step(before=1, after=2, at_seconds=0).model_dump()]},
            "pauses": [{"begin_seconds": 5, "duration_seconds": 1}],
        }
    )
    assert shape.rate(np.array([-1.0, 1.0, 5.5])).tolist() == [1, 2, 0]
