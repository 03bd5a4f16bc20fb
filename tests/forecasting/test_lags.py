"""Lag regression."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import noisy_sine, sine
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.lags import LagRegression, _least_absolute, _priors
from trimtab.forecasting.models import LastValue

HOUR = 3600.0
MODELS = [LagRegression(), LagRegression(relative=True), LagRegression(HOUR), LagRegression(HOUR, relative=True)]


def series(values: FloatArray) -> Series:
    return Series(0.0, 60.0, values)


def test_least_absolute_errors_ignore_outliers() -> None:
    rng = np.random.default_rng(1)
    terms = rng.normal(0.0, 1.0, (2, 400))
    target = np.array([2.0, -1.0]) @ terms + rng.normal(0.0, 0.1, 400)
    target[::10] += 50.0
    assert _least_absolute(terms, target, np.zeros((1, 2))) == pytest.approx([2.0, -1.0], abs=0.15)


def test_what_the_data_do_not_tell_is_taken_from_the_best_simple_forecast() -> None:
    priors = _priors(2, seasonal=True)
    terms = np.zeros((6, 50))
    terms[1] = np.sin(np.arange(50.0))
    weights = _least_absolute(terms, terms[1], priors)
    assert weights @ terms == pytest.approx(terms[1], abs=1e-6)
    assert weights[1] == pytest.approx(1.0)


@pytest.mark.parametrize("model", MODELS[2:])
def test_goes_on_with_a_wave(model: LagRegression) -> None:
    assert model.fit(series(sine(480))).predict(90) == pytest.approx(sine(570)[480:], abs=1.0)


def test_persistence_is_learned() -> None:
    """Of an AR(0.9) deviation 0.9^10 are left after ten steps."""
    left = []
    for seed in range(6):
        values = 100 + autoregressive(2000, 0.9, 10.0, seed)
        values[-12:] = 140.0
        left.append(LagRegression().fit(series(values)).predict(20)[9])
    assert np.mean(left) == pytest.approx(100 + 40 * 0.9**10, abs=4.0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("level", [0.0, 7.0])
def test_constant_stays_constant(model: LagRegression, level: float) -> None:
    assert model.fit(series(np.full(500, level))).predict(70) == pytest.approx(np.full(70, level), abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_each_origin_knows_its_past_only(model: LagRegression) -> None:
    values = noisy_sine(420, seed=3)
    fitted = model.fit(series(values))
    changed = values.copy()
    changed[301:] = 0.0
    origins = np.array([200, 300])
    assert np.array_equal(fitted.paths(values, origins, 80), fitted.paths(changed, origins, 80))


@pytest.mark.parametrize("model", MODELS)
def test_too_few_samples_give_a_simple_forecast(model: LagRegression) -> None:
    path = model.fit(series(np.array([4.0, math.nan, 6.0]))).predict(5)
    assert path.shape == (5,)
    assert ((path >= 4.0) & (path <= 6.0)).all()


def test_beats_the_last_value_where_there_is_something_to_learn() -> None:
    values = noisy_sine(720, seed=5)
    model, last = (one.fit(series(values[:600])) for one in (LagRegression(HOUR), LastValue()))
    origins = np.arange(600, 690)
    outcome = values[origins[:, None] + np.arange(1, 31)]

    def error(paths: FloatArray) -> float:
        return float(np.abs(outcome - paths).mean())

    assert error(model.paths(values, origins, 30)) < 0.4 * error(last.paths(values, origins, 30))


def test_labels_name_the_period() -> None:
    assert [one.label for one in MODELS] == [
        "LagRegression",
        "LagRegression, relative",
        "LagRegression 1h",
        "LagRegression 1h, relative",
    ]
