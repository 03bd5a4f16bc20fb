"""The performance curve: hand-worked queues, recovery from noise, caution, and what it says when it cannot learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.domain.run_status import CurveState
from trimtab.domain.series import FloatArray
from trimtab.planning import curve_shapes
from trimtab.planning.curve_shapes import Shape
from trimtab.planning.performance_model import NotLearned, PerformanceCurve, fit
from trimtab.planning.residuals import correlation_time, lag_one, mean_of

from .mm1_support import LN100, MM1, ar1, share


def learned(
    seed: int = 0, system: MM1 | None = None, n: int = 1440, size: FloatArray | float = 0.5, threshold: float = 0.25
) -> PerformanceCurve:
    rng = np.random.default_rng(seed)
    curve = fit("p99", True, *(system or MM1()).history(rng, n, size), threshold=threshold)
    assert isinstance(curve, PerformanceCurve), curve
    return curve


# Shapes


@pytest.mark.parametrize(
    ("load", "size", "p99"),
    [
        pytest.param(0.0, 1.0, 0.0460517, id="idle: ln(100)/100"),
        pytest.param(60.0, 1.0, 0.1151293, id="60 %: ln(100)/40"),
        pytest.param(90.0, 1.0, 0.4605170, id="90 %: ln(100)/10"),
        pytest.param(60.0, 2.0, 0.0328941, id="twice the CPU: ln(100)/140"),
    ],
)
def test_queueing_shape_is_the_p99_of_an_mm1_queue(load: float, size: float, p99: float) -> None:
    theta = np.array([-700.0, np.log(LN100), np.log(100.0), 1.0])
    level, _ = curve_shapes.queueing(theta, np.array([load]), np.array([size]))
    assert np.exp(level[0]) == pytest.approx(p99, rel=1e-6)


@pytest.mark.parametrize(
    ("offered", "lost"),
    [
        pytest.param(50.0, 0.0, id="half of capacity: nothing"),
        pytest.param(125.0, 0.2, id="125 of 100: a fifth"),
        pytest.param(200.0, 0.5, id="200 of 100: half"),
    ],
)
def test_loss_shape_is_what_exceeds_capacity(offered: float, lost: float) -> None:
    level, _ = curve_shapes.loss(np.array([-700.0, np.log(100.0), 1.0]), np.array([offered]), np.array([1.0]))
    assert np.exp(level[0]) == pytest.approx(lost, abs=1e-4)


@pytest.mark.parametrize("shape", ["queueing", "loss"])
def test_gradients_are_those_of_finite_differences(shape: str) -> None:
    model = getattr(curve_shapes, shape)
    theta = {"queueing": np.array([-3.5, 1.4, 5.0, 0.9]), "loss": np.array([-7.0, 5.0, 0.9])}[shape]
    load, size = np.array([5.0, 60.0, 120.0, 150.0, 400.0]), np.array([1.0, 0.5, 1.0, 1.0, 2.0])
    _, gradient = model(theta, load, size)
    for at in range(theta.size):
        step = np.zeros_like(theta)
        step[at] = 1e-6
        numeric = (model(theta + step, load, size)[0] - model(theta - step, load, size)[0]) / 2e-6
        np.testing.assert_allclose(gradient[:, at], numeric, rtol=1e-4, atol=1e-6)


# Learning


def test_recovers_an_mm1_queue_from_noise() -> None:
    for seed in range(10):
        curve, load = learned(seed), np.array([50.0, 60.0, 75.0])
        np.testing.assert_allclose(curve.expected(load, 0.5), MM1().p99(load, 0.5), rtol=0.06)
        assert curve.shape is Shape.QUEUEING
        assert curve.residual_std == pytest.approx(0.15, rel=0.15)
        assert curve.effective_samples == pytest.approx(1440 / 3, rel=0.25)  # (1 - rho)/(1 + rho) of them


def test_is_deterministic() -> None:
    assert learned(3).to_state() == learned(3).to_state()


@pytest.mark.parametrize("exponent", [1.0, 0.7])
def test_learns_how_capacity_grows_with_size_when_two_sizes_were_seen(exponent: float) -> None:
    rng, system = np.random.default_rng(1), MM1()
    size = np.where(np.arange(2000) < 1000, 0.5, 0.35)
    effective = 0.5 * (size / 0.5) ** exponent
    load, replicas, _, values = system.history(rng, 2000, effective)
    curve = fit("p99", True, load, replicas, size, values, threshold=0.25)
    assert isinstance(curve, PerformanceCurve)
    assert not curve.size_assumed
    assert curve.theta[-1] == pytest.approx(exponent, abs=0.08)


def test_one_size_is_extended_in_proportion_and_said_to_be_assumed() -> None:
    curve = learned()
    assert curve.size_assumed
    ratio = curve.capacity(0.25, 1.0, 0.5) / curve.capacity(0.25, 0.5, 0.5)
    assert ratio == pytest.approx(2.0, rel=0.02)
    assert curve.uncertainty(120.0, 1.0) > 3 * curve.uncertainty(60.0, 0.5)


def test_overload_with_backlog_and_a_cut_off_does_not_bend_the_curve() -> None:
    rng, system = np.random.default_rng(2), MM1()
    load, replicas, size, values = system.history(rng, 2000, target=1.05)
    mu, backlog = system.mu * 0.5, 0.0
    for i, x in enumerate(load / replicas):
        backlog = max(0.0, backlog + (x - mu) * 60.0)
        values[i] = min(values[i] + backlog / mu, 10.0)
    assert share(values >= 10.0) > 0.02
    curve = fit("p99", True, load, replicas, size, values, threshold=0.25)
    assert isinstance(curve, PerformanceCurve)
    at = np.array([40.0, 70.0, 95.0])
    np.testing.assert_allclose(curve.expected(at, 0.5), system.p99(at, 0.5), rtol=0.1)


def test_a_ratio_gets_a_loss_curve_whose_capacity_is_where_it_breaks() -> None:
    rng = np.random.default_rng(4)
    load = 300 * (0.6 + 0.4 * np.sin(np.arange(1500) / 200)) * np.exp(ar1(rng, 1500, 0.05, 0.8))
    x = load / 3
    lost = np.maximum(0.0, 1 - 80.0 / x) + rng.exponential(2e-4, 1500)
    curve = fit("availability", False, load, np.full(1500, 3.0), np.full(1500, 0.5), 1 - lost, threshold=0.999)
    assert isinstance(curve, PerformanceCurve)
    assert curve.shape is Shape.LOSS
    assert float(curve.expected(60.0, 0.5)) > 0.999
    assert float(curve.expected(100.0, 0.5)) == pytest.approx(0.8, abs=0.015)
    assert 68.0 < curve.capacity(0.999, 0.5, 0.5) < 80.0


def test_what_is_no_queue_gets_a_monotone_curve() -> None:
    rng = np.random.default_rng(5)
    x = np.linspace(8.0, 80.0, 600)
    used = 0.016 * x * np.exp(ar1(rng, 600, 0.03, 0.5))
    curve = fit("cpu-utilisation", True, 3 * x, np.full(600, 3.0), np.full(600, 0.5), used, threshold=0.9)
    assert isinstance(curve, PerformanceCurve)
    assert curve.shape is Shape.MONOTONE
    at = np.array([45.0, 60.0, 75.0])
    np.testing.assert_allclose(curve.expected(at, 0.5), 0.016 * at, rtol=0.05)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"n": 20}, "20 samples", id="too few"),
        pytest.param({"flat": True}, "moved only between", id="load never moved"),
        pytest.param({"std": 1.5}, "does not follow load", id="noise"),
        pytest.param({"missing": True}, "0 samples", id="no values"),
    ],
)
def test_says_why_it_did_not_learn(change: dict[str, float], says: str) -> None:
    rng = np.random.default_rng(6)
    load, replicas, size, values = MM1(std=change.get("std", 0.15)).history(rng, int(change.get("n", 600)))
    if change.get("flat"):
        load, replicas = np.full(600, 300.0) * np.exp(ar1(rng, 600, 0.02, 0.5)), np.full(600, 4.0)
    if change.get("missing"):
        values = np.full(600, np.nan)
    curve = fit("p99", True, load, replicas, size, values, threshold=0.25)
    assert isinstance(curve, NotLearned)
    assert says in curve.reason


def test_gaps_zero_replicas_and_absurd_values_are_left_out() -> None:
    rng = np.random.default_rng(7)
    load, replicas, size, values = MM1().history(rng)
    values[::7], load[::11], replicas[::13], size[::17], values[::19] = np.nan, np.nan, 0.0, np.inf, -1.0
    curve = fit("p99", True, load, replicas, size, values, threshold=0.25)
    assert isinstance(curve, PerformanceCurve)
    assert float(curve.expected(60.0, 0.5)) == pytest.approx(float(MM1().p99(60.0, 0.5)), rel=0.1)


# Capacity


def test_capacity_is_the_hand_worked_one() -> None:
    """p99 <= 0.25 with 90 %: 0.02 + ln(100)/(120 - x) = 0.25 exp(-1.2816 * 0.15) gives x = 95.2."""
    exact = 120 - LN100 / (0.25 * np.exp(-1.2816 * 0.15) - 0.02)
    assert exact == pytest.approx(95.2, abs=0.1)
    system = MM1()
    found = [
        curve.capacity(0.25, 0.5, 0.9)
        for seed in range(20)
        if isinstance(
            curve := fit("p99", True, *system.history(np.random.default_rng(seed), target=0.8), threshold=0.25),
            PerformanceCurve,
        )
    ]
    assert len(found) == 20
    assert np.median(found) == pytest.approx(exact, rel=0.03)
    assert max(found) < 1.05 * exact


def test_objective_holds_at_the_capacity_with_the_probability_asked_for() -> None:
    system, held = MM1(), []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        curve = fit("p99", True, *system.history(rng, target=0.8), threshold=0.25)
        assert isinstance(curve, PerformanceCurve)
        load = curve.capacity(0.25, 0.5, 0.9)
        held.append(share(system.p99(load, 0.5) * system.noise(rng, 400) <= 0.25))
    assert float(np.mean(held)) >= 0.9


@pytest.mark.parametrize("threshold", [0.25, 5.0])
def test_capacity_stays_within_ten_per_cent_of_what_was_seen(threshold: float) -> None:
    rng = np.random.default_rng(0)
    load, replicas, size, values = MM1().history(rng, target=0.4)
    curve = fit("p99", True, load, replicas, size, values, threshold=threshold)
    assert isinstance(curve, PerformanceCurve)
    assert curve.capacity(threshold, 0.5, 0.5) <= 1.1 * float((load / replicas).max())
    assert curve.capacity(5.0, 0.5, 0.5) == pytest.approx(curve.limit(0.5))


def test_a_threshold_that_an_idle_replica_breaks_leaves_no_capacity() -> None:
    assert learned().capacity(0.01, 0.5, 0.9) == 0.0


@pytest.mark.parametrize(("size", "quantile"), [(0.5, 1.0), (0.5, 0.0), (0.0, 0.9)])
def test_capacity_refuses_nonsense(size: float, quantile: float) -> None:
    with pytest.raises(ValueError, match="quantile must be in"):
        learned().capacity(0.25, size, quantile)


CURVE = learned()


@given(
    load=st.lists(st.floats(0, 1e12), min_size=2, max_size=20),
    size=st.floats(0.01, 64),
    quantile=st.floats(0.51, 0.99),
    threshold=st.floats(0.03, 10),
)
def test_laws_of_a_curve(load: list[float], size: float, quantile: float, threshold: float) -> None:
    expected = CURVE.expected(np.sort(load), size)
    assert np.isfinite(expected).all()
    assert (np.diff(expected) >= -1e-12 * expected[1:]).all()
    capacity = CURVE.capacity(threshold, size, quantile)
    assert 0.0 <= capacity <= CURVE.limit(size) * (1 + 1e-9)
    assert CURVE.capacity(threshold, size, min(quantile + 0.005, 0.999)) <= capacity * (1 + 1e-9)
    assert CURVE.capacity(threshold * 1.01, size, quantile) >= capacity * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(1e-6, 1e9),
    value_scale=st.floats(1e-6, 1e6),
    higher_is_worse=st.booleans(),
)
def test_fit_never_raises_and_scales_with_its_units(
    seed: int, scale: float, value_scale: float, higher_is_worse: bool
) -> None:
    rng = np.random.default_rng(seed)
    load, replicas, size, values = MM1().history(rng, 200)
    curve = fit("o", higher_is_worse, load * scale, replicas, size, values * value_scale, threshold=0.25 * value_scale)
    if isinstance(curve, PerformanceCurve):
        assert np.isfinite(curve.expected(np.array([0.0, 50.0, 1e4]) * scale, 0.5)).all()
        plain = fit("o", higher_is_worse, load, replicas, size, values, threshold=0.25)
        if isinstance(plain, PerformanceCurve) and plain.shape is curve.shape and higher_is_worse:
            wanted = plain.capacity(0.25, 0.5, 0.9) * scale
            assert curve.capacity(0.25 * value_scale, 0.5, 0.9) == pytest.approx(wanted, rel=0.02)


# Keeping


def _curves() -> list[PerformanceCurve]:
    rng = np.random.default_rng(9)
    x = 10 + 70 * np.sin(np.arange(900) / 100) ** 2
    load, replicas, size = 3 * x, np.full(900, 3.0), np.full(900, 0.5)
    ratio = 1 - np.maximum(0, 1 - 70 / x) - rng.exponential(1e-4, load.size)
    percent = fit("percent", False, load, replicas, size, 100 * ratio, threshold=99.9)
    use = fit("use", True, load, replicas, size, 0.016 * x * np.exp(0.03 * rng.normal(size=load.size)), threshold=0.9)
    throughput = fit("throughput", False, load, replicas, size, 500 / x, threshold=3.0)
    found = [learned(), percent, use, throughput]
    return [curve for curve in found if isinstance(curve, PerformanceCurve)]


@pytest.mark.parametrize("curve", _curves(), ids=lambda curve: f"{curve.objective}-{curve.shape.value}")
def test_round_trip_gives_the_same_answers(curve: PerformanceCurve) -> None:
    state = CurveState.model_validate_json(curve.to_state().model_dump_json(by_alias=True))
    for again in (PerformanceCurve.from_state(state), pickle.loads(pickle.dumps(curve))):
        load = np.linspace(0, 200, 41)
        np.testing.assert_allclose(again.expected(load, 0.5), curve.expected(load, 0.5), rtol=1e-6)
        np.testing.assert_allclose(again.uncertainty(75.0, 0.4), curve.uncertainty(75.0, 0.4), rtol=1e-4, atol=1e-9)
        threshold = float(curve.expected(70.0, 0.5))
        assert again.capacity(threshold, 0.5, 0.9) == pytest.approx(curve.capacity(threshold, 0.5, 0.9), rel=1e-6)
        assert again.to_state() == curve.to_state()


def test_every_kind_of_curve_was_kept() -> None:
    assert {curve.shape for curve in _curves()} == set(Shape)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"kind": "spline/value"}, id="unknown shape"),
        pytest.param({"kind": "queueing"}, id="no scale"),
        pytest.param({"parameters": ["1"]}, id="too short"),
        pytest.param({"residual_std": "x"}, id="no number"),
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        PerformanceCurve.from_state(learned().to_state().model_copy(update=damage))


# Residuals


def test_mean_of_white_noise_is_students_t() -> None:
    """1..5: mean 3, standard error sqrt(2.5/5), t(0.95, 4) = 2.1318."""
    mean = mean_of(np.array([3.0, 1.0, 5.0, 2.0, 4.0]), 0.0)
    assert (mean.value, mean.effective_samples, mean.dof) == (3.0, 5.0, 4.0)
    assert mean.margin(0.95) == pytest.approx(2.1318 * np.sqrt(0.5), rel=1e-4)


def test_effective_samples_by_hand() -> None:
    """Three samples at rho 0.5: 3/(1 + 2(2/3 * 0.5 + 1/3 * 0.25)) = 1.6364."""
    assert mean_of(np.array([1.0, 2.0, 3.0]), 0.5).effective_samples == pytest.approx(3 / (1 + 5 / 6))


def test_autocorrelation_is_found() -> None:
    rng = np.random.default_rng(0)
    assert correlation_time(ar1(rng, 20_000, 1.0, 0.5)) == pytest.approx(3.0, rel=0.1)
    short = [lag_one(ar1(rng, 20, 1.0, 0.5))[0] for _ in range(400)]
    assert float(np.mean(short)) == pytest.approx(0.5, abs=0.07)
