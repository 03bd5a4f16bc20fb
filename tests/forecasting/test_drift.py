"""Drift of the errors of a forecast is seen, and nothing else is taken for it."""

from __future__ import annotations

import doctest
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.domain.series import FloatArray
from trimtab.forecasting import drift
from trimtab.forecasting.drift import WINDOW, DriftDetector, DriftKind, DriftTest, detect
from trimtab.forecasting.drift_matrix import detect_many

AT = 300


def errors(seed: int, length: int = AT + 100, persistence: float = 0.5) -> FloatArray:
    """Errors with a standard deviation of 1."""
    return autoregressive(length, persistence, 1.0, seed)


def first(values: FloatArray, period: float = 0.0) -> tuple[int, DriftTest]:
    """The first drift."""
    found = detect(values, period)
    assert found, "no drift was seen"
    return found[0]


def test_examples() -> None:
    assert doctest.testmod(drift).failed == 0


@pytest.mark.parametrize("seed", [21, 22, 23])
@pytest.mark.parametrize("size", [-3.0, -2.0, 2.0, 3.0])
def test_a_shift_of_two_sigma_is_seen_within_60_samples(size: float, seed: int) -> None:
    values = errors(seed)
    values[AT:] += size
    index, test = first(values)
    assert AT <= index < AT + 60
    assert test.kind is DriftKind.MEAN
    assert test.since == pytest.approx(AT, abs=20)


def test_errors_that_scatter_more_are_a_change_of_variance() -> None:
    values = errors(21)
    values[AT:] *= 2.0
    index, test = first(values)
    assert AT <= index < AT + 60
    assert test.kind is DriftKind.VARIANCE


def test_errors_that_depend_on_the_phase_without_a_level_are_seasonal() -> None:
    values, step = errors(2, 900), np.arange(900)
    values[AT:] += 1.2 * np.sin(2 * np.pi * step[AT:] / 12)
    _, test = first(values, 12.0)
    assert test.kind is DriftKind.SEASONAL


def test_errors_that_always_depended_on_the_phase_have_not_drifted() -> None:
    values = errors(3, 900) + 1.2 * np.sin(2 * np.pi * np.arange(900) / 12)
    assert not detect(values, 12.0)


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.8])
def test_autocorrelation_is_no_drift(persistence: float) -> None:
    assert not detect(errors(7, 1500, persistence), 48.0)


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_constant_errors_have_not_drifted(constant: float) -> None:
    assert not detect(np.full(400, constant))


def test_a_spike_of_three_samples_is_no_drift() -> None:
    values = errors(4)
    values[AT : AT + 3] += 12.0
    assert not detect(values)


def test_a_model_that_was_always_biased_has_not_drifted() -> None:
    assert not detect(errors(5, 800) + 4.0)


def test_a_warning_comes_before_a_drift() -> None:
    values = errors(6)
    values[AT:] += 2.0
    detector, warned = DriftDetector.start(), False
    for step, value in enumerate(values):
        detector, test = detector.update(float(step), float(value))
        warned |= test.warns
        if test.drifted:
            break
    assert warned


def test_a_second_drift_is_seen_after_the_first_was_learned() -> None:
    values = errors(8, 900)
    values[300:] += 3.0
    values[600:] += 3.0
    assert [round(test.since, -2) for _, test in detect(values)] == [300.0, 600.0]


def test_missing_errors_change_nothing() -> None:
    detector = DriftDetector.start(24.0)
    for step, value in enumerate(errors(9, 150)):
        detector, _ = detector.update(float(step), float(value))
    for missing in (math.nan, math.inf, -math.inf):
        same, test = detector.update(150.0, missing)
        assert same is detector
        assert not test.drifted


def test_a_batch_is_the_same_as_updates_through_a_restart() -> None:
    values = errors(10)
    values[AT:] += 2.0
    detector, found = DriftDetector.start(48.0), []
    for step, value in enumerate(values):
        detector, test = detector.update(float(step), float(value))
        detector = pickle.loads(pickle.dumps(detector))
        if test.drifted:
            found.append((step, test))
            detector = detector.restarted(test.since, 48.0)
    assert tuple(found) == detect(values, 48.0)


def drifting(kind: int, seed: int, length: int) -> FloatArray:
    """Errors of one of many kinds: calm, drifting in several ways, constant, heavy-tailed."""
    values, at = errors(seed, length, (0.0, 0.5, 0.8)[seed % 3]), length // 2
    match kind:
        case 0:
            values[at:] += 3.0
        case 1:
            values[at:] *= 2.5
        case 2:
            values[at:] += 2.5 * np.sin(2 * np.pi * np.arange(length - at) / 12)
        case 3:
            values[:] = 4.0
        case 4:
            values *= 1e-3
        case 5:
            values = np.random.default_rng(seed).standard_cauchy(length)
        case 6:
            values[:at] += 2.0
            values[at:] = 0.0
    return values


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10_000)), max_size=5),
    st.sampled_from([0.0, 4.0, 7.5, 12.0, 100.0, 1440.0]),
    st.sampled_from([0.0, 0.01, 0.3]),
    st.lists(st.tuples(st.integers(0, 599), st.floats()), max_size=5),
)
def test_many_streams_at_once_are_bit_for_bit_as_each_alone(
    kinds: list[tuple[int, int]], period: float, missing: float, odd: list[tuple[int, float]]
) -> None:
    rng = np.random.default_rng(len(kinds))
    streams = np.array([drifting(kind, seed, 600) for kind, seed in kinds]).reshape(-1, 600)
    streams[rng.random(streams.shape) < missing] = math.nan
    for index, value in odd:
        streams[rng.random(len(kinds)) < 0.5, index] = value
    assert detect_many(streams, period) == tuple(detect(stream, period) for stream in streams)


def test_streams_of_all_kinds_drift_at_once_for_long() -> None:
    streams = np.array([drifting(kind, seed, 1500) for kind in range(8) for seed in range(3)])
    streams[3, 900:] = math.nan
    found = detect_many(streams, 12.0)
    assert sum(bool(one) for one in found) >= 3
    assert {test.kind for one in found for _, test in one} == set(DriftKind)
    assert found == tuple(detect(stream, 12.0) for stream in streams)


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (3, 0), (2, 99)])
def test_streams_too_short_have_not_drifted(shape: tuple[int, int]) -> None:
    assert detect_many(np.ones(shape), 12.0) == ((),) * shape[0]


def test_the_state_stays_small() -> None:
    detector = DriftDetector.start(1440.0)
    for step, value in enumerate(errors(11, 2500)):
        detector, _ = detector.update(float(step), float(value))
    assert detector.errors.size <= WINDOW + 2
    assert len(pickle.dumps(detector)) < 6000


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30), st.sampled_from([4.0, 7.5, math.nan, 0.0]))
def test_any_numbers_are_taken(odd: list[float], period: float) -> None:
    detect(np.array([*errors(12, 120), *odd, *odd]), period)
