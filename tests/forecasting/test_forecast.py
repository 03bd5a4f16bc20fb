"""The way in: what a forecast says, when it is relied on, and what it never does."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import compressed_day, noisy_sine, sine
from trimtab.domain.series import FloatArray, Series, empty
from trimtab.forecasting.forecast import Forecast, NoForecast, forecast


def ahead(values: FloatArray, horizon_steps: int = 20, step_seconds: float = 60.0, **asked: Any) -> Forecast:
    series = Series(0.0, step_seconds, values, "requests/s")
    found = forecast(series, **({"now": series.end, "horizon_seconds": horizon_steps * step_seconds} | asked))
    assert isinstance(found, Forecast), found
    return found


def test_a_wave_goes_on() -> None:
    found = ahead(noisy_sine(420, seed=1, sigma=4.0), 30)
    assert found.mean == pytest.approx(sine(450)[420:], abs=8.0)
    assert found.model in {"SeasonalNaive", "SeasonalLinear", "Combination"}
    assert found.reliable
    assert found.periods[0].period_seconds == pytest.approx(3600.0)
    assert found.error_percent_of_naive is not None
    assert found.error_percent_of_naive < 90
    assert found.reason.startswith("the demand repeats every 1h; ")


def test_times_lie_on_the_grid_after_now() -> None:
    series = Series(1000.0, 60.0, sine(400))
    found = forecast(series, now=series.end + 45.0, horizon_seconds=300.0)
    assert isinstance(found, Forecast)
    assert (found.times - series.end).tolist() == [60.0, 120.0, 180.0, 240.0, 300.0]
    found = forecast(series, now=series.end + 75.0, horizon_seconds=300.0)
    assert isinstance(found, Forecast)
    assert found.times[0] - series.end == 120.0
    assert found.mean == pytest.approx(sine(410)[401:406], abs=1.0)


def test_a_horizon_below_a_step_is_one_step() -> None:
    assert ahead(sine(400), horizon_seconds=10.0).times.tolist() == [400 * 60.0]


def test_unix_times_with_fractions_lose_no_sample() -> None:
    values = sine(300)
    for start in (1_753_000_000.3, 1_753_000_000.7, 1_753_000_001.1):
        series = Series(start, 0.7, values)
        found = forecast(series, now=series.end, horizon_seconds=14.0)
        assert isinstance(found, Forecast)
        assert found.mean == pytest.approx(ahead(values, step_seconds=0.7).mean, rel=1e-6)
        assert found.times[0] == pytest.approx(series.end + 0.7)


def test_samples_after_now_are_not_looked_at() -> None:
    values = noisy_sine(420, seed=2)
    later = np.concatenate([values, np.full(60, 9999.0)])
    now = 419 * 60.0
    assert np.array_equal(ahead(later, now=now).mean, ahead(values, now=now).mean)


def test_quantiles_and_peak() -> None:
    found = ahead(noisy_sine(420, seed=3), 40)
    assert np.array_equal(found.quantile(0.95), found.upper)
    assert (found.lower <= found.mean).all()
    assert (found.mean <= found.upper).all()
    assert (found.quantile(0.99) >= found.upper).all()
    value, time = found.peak(found.times[-1], 0.9)
    assert found.quantile(0.9).max() <= value <= found.quantile(0.999).max()
    assert time == pytest.approx((419 + 16) * 60.0, abs=5 * 60.0)
    early, at = found.peak(found.times[2], 0.9)
    assert found.quantile(0.9)[:3].max() <= early < value
    assert at <= found.times[2]
    assert found.peak(0.0, 0.9) == (found.quantile(0.9)[0], found.times[0])


@pytest.mark.parametrize(("confidence", "narrower"), [(0.5, 0.9), (0.9, 0.99)])
def test_more_confidence_is_wider(confidence: float, narrower: float) -> None:
    values = noisy_sine(420, seed=4)
    less, more = ahead(values, confidence=confidence), ahead(values, confidence=narrower)
    assert (more.upper >= less.upper).all()
    assert (more.lower <= less.lower).all()


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_constant(level: float) -> None:
    found = ahead(np.full(100, level))
    for path in (found.mean, found.lower, found.upper):
        assert path.tolist() == [level] * 20
    assert found.model == "LastValue"
    assert found.reliable
    assert found.error_percent_of_naive == 100


@pytest.mark.parametrize(
    ("values", "reliable", "reason"),
    [
        pytest.param(sine(4), False, "reactive until a backtest is possible: 4 samples; a backtest needs 10", id="4"),
        pytest.param(np.full(20, 5.0), False, "reactive until 30 samples are seen: 20 so far", id="20 samples"),
        pytest.param(
            noisy_sine(30, 1, sigma=3.0), False, "reactive until a pattern was seen twice", id="half a season"
        ),
        pytest.param(noisy_sine(60, 1, sigma=3.0), False, "reactive until a pattern was seen twice", id="one season"),
        pytest.param(noisy_sine(90, 1, sigma=3.0), False, "reactive until a pattern was seen twice", id="1.5 seasons"),
        pytest.param(noisy_sine(115, 1, sigma=3.0), False, "reactive until a pattern was seen twice", id="1.9 seasons"),
        pytest.param(noisy_sine(130, 1, sigma=3.0), True, "the demand repeats every 1h", id="2.2 seasons"),
        pytest.param(100 + autoregressive(200, 0.0, 5.0, 1), True, "no season shows; ", id="steady"),
        pytest.param(1000 + autoregressive(300, 1.0, 5.0, 1), False, "reactive until a pattern was", id="random walk"),
    ],
)
def test_cold_start(values: FloatArray, reliable: bool, reason: str) -> None:
    found = ahead(values)
    assert found.reliable == reliable
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("series", "now", "reason"),
    [
        (empty(60.0), 0.0, "reactive until 3 samples are seen: 0 so far"),
        (Series(0.0, 60.0, np.array([1.0, math.nan, 2.0])), 120.0, "reactive until 3 samples are seen: 2 so far"),
        (Series(0.0, 60.0, np.full(100, math.nan)), 5940.0, "reactive until 3 samples are seen: 0 so far"),
        (Series(0.0, 60.0, sine(100)), 99 * 60 + 1201.0, "the newest sample is 1201 s old; the limit is 1200 s"),
        (Series(600.0, 60.0, sine(100)), 0.0, "reactive until 3 samples are seen: 0 so far"),
    ],
    ids=["empty", "two", "missing", "stale", "all in the future"],
)
def test_no_forecast(series: Series, now: float, reason: str) -> None:
    assert forecast(series, now=now, horizon_seconds=600.0) == NoForecast(reason)


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "Prophet"},
        {"model": "None"},
        {"horizon_seconds": 0.0},
        {"horizon_seconds": math.inf},
        {"confidence": 1.0},
        {"now": math.nan},
    ],
)
def test_questions_that_make_no_sense(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"model must be|no forecast"):
        ahead(sine(300), **asked)


@pytest.mark.parametrize(
    ("values", "asked", "model"),
    [
        (noisy_sine(420, 1), "SeasonalNaive", "SeasonalNaive"),
        (noisy_sine(420, 1), "SeasonalLinear", "SeasonalLinear"),
        (100 + autoregressive(300, 0.0, 5.0, 1), "SeasonalNaive", "LastValue"),
        (100 + autoregressive(300, 0.0, 5.0, 1), "SeasonalLinear", "SeasonalLinear"),
    ],
)
def test_the_model_that_is_asked_for(values: FloatArray, asked: str, model: str) -> None:
    found = ahead(values, model=asked)
    assert found.model == model
    assert (f"{asked} as asked" if asked == model else f"LastValue stands in for {asked}") in found.reason


def test_gaps_are_not_bridged_by_a_line() -> None:
    """Eighty minutes are missing at the crest of a wave: its next crest is foreseen all the same."""
    values = noisy_sine(360, seed=5, sigma=3.0)
    values[235:315] = math.nan
    found = ahead(values, 30)
    assert found.mean == pytest.approx(sine(390)[360:], abs=10.0)


def test_newest_samples_missing() -> None:
    values = noisy_sine(360, seed=6, sigma=3.0)
    values[-10:] = math.nan
    found = ahead(values, 30)
    assert found.mean == pytest.approx(sine(390)[360:], abs=12.0)
    assert found.leads[0] == 11.0


def test_what_cannot_be_a_demand_is_left_out() -> None:
    values = noisy_sine(360, seed=7, sigma=3.0)
    broken = values.copy()
    broken[[50, 60, 70, 80]] = [math.inf, -math.inf, -5.0, 1e200]
    assert ahead(broken).mean == pytest.approx(ahead(values).mean, abs=3.0)


def test_long_history_and_far_horizon_are_thinned() -> None:
    """Seven days by the minute, a day ahead."""
    minute = np.arange(8 * 1440)
    truth = 100 + 50 * np.sin(2 * np.pi * minute / 1440)
    values = truth[: 7 * 1440] + np.random.default_rng(1).normal(0, 5, 7 * 1440)
    found = ahead(values, 1440)
    assert found.state.stride == 4
    assert found.times.size == 1440
    assert found.mean == pytest.approx(truth[7 * 1440 :], abs=6.0)
    outcome = truth[7 * 1440 :] + np.random.default_rng(2).normal(0, 5, 1440)
    assert 0.85 <= np.mean((outcome >= found.lower) & (outcome <= found.upper)) <= 0.97


def test_state_is_small_and_survives_pickling() -> None:
    found = ahead(noisy_sine(420, seed=8), 60)
    packed = pickle.dumps(found.state)
    assert len(packed) < 20_000
    values = noisy_sine(425, seed=8)
    again = ahead(values, 60, previous=pickle.loads(packed))
    assert again.state.chosen_at == found.state.chosen_at
    assert again.mean == pytest.approx(ahead(values, 60, previous=found.state).mean)


def test_previous_state_is_used_until_it_is_outdated() -> None:
    values = noisy_sine(420, seed=9)
    first = ahead(values)
    marked = replace(first.state, reason="kept")
    now = 419 * 60.0

    def reason(**asked: Any) -> str:
        usual: dict[str, Any] = {"previous": replace(marked, chosen_at=now - 60.0)}
        return ahead(values, **(usual | asked)).reason

    assert reason() == "kept"
    assert reason(reselect_seconds=61.0) == "kept"
    assert reason(reselect_seconds=60.0) != "kept"
    assert reason(previous=replace(marked, chosen_at=now - 901.0)) != "kept"
    assert reason(previous=replace(marked, chosen_at=now + 1.0)) != "kept"
    assert reason(model="SeasonalNaive") != "kept"
    assert reason(horizon_seconds=1400.0) == "kept"
    assert reason(horizon_seconds=600.0) != "kept"
    assert reason(previous=replace(marked, step_seconds=30.0)) != "kept"


@settings(max_examples=15, deadline=None)
@given(power=st.integers(-12, 12), seed=st.integers(0, 10))
def test_scale_equivariant(power: int, seed: int) -> None:
    values = noisy_sine(240, seed)
    small, large = ahead(values), ahead(values * 2.0**power)
    assert large.model == small.model
    for name in ("mean", "lower", "upper"):
        assert getattr(large, name) == pytest.approx(getattr(small, name) * 2.0**power, rel=1e-4)


@settings(max_examples=10, deadline=None)
@given(shift=st.integers(-(10**9), 2 * 10**9), seed=st.integers(0, 10))
def test_the_same_at_any_time(shift: int, seed: int) -> None:
    values = noisy_sine(240, seed)
    series = Series(float(shift), 60.0, values)
    found = forecast(series, now=series.end, horizon_seconds=1200.0)
    assert isinstance(found, Forecast)
    plain = ahead(values)
    assert np.array_equal(found.mean, plain.mean)
    assert np.array_equal(found.upper, plain.upper)
    assert (found.times - shift).tolist() == plain.times.tolist()


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.floats(0, 1e9), st.sampled_from([0.0, math.nan, math.inf, -1.0, 1e14])), min_size=0, max_size=120
    ),
    steps=st.integers(1, 50),
    late=st.floats(-500, 500),
    model=st.sampled_from(["Auto", "SeasonalNaive", "SeasonalLinear"]),
)
def test_finite_and_ordered_whatever_comes(values: list[float], steps: int, late: float, model: str) -> None:
    series = Series(0.0, 60.0, np.array(values, dtype=np.float64))
    found = forecast(series, now=series.end + late, horizon_seconds=steps * 60.0, model=model)
    if isinstance(found, NoForecast):
        assert found.reason
        return
    assert found.times.size >= 1
    assert found.times[0] > series.end + late - 0.1
    for path in (found.times, found.mean, found.lower, found.upper, found.quantile(0.999)):
        assert path.shape == found.times.shape
        assert np.isfinite(path).all()
    assert (found.lower >= 0).all()
    assert (found.lower <= found.mean).all()
    assert (found.mean <= found.upper).all()


def test_the_rise_of_a_compressed_morning_is_foreseen() -> None:
    """A day of 120 s sampled each 2 s, six days seen; 20 s before the plateau the demand is still at its lowest."""
    values = compressed_day("ramp", 60.0, 7.0, 0.04, seed=11)
    origin = 6 * 60 + int((0.26 - 0.13) * 60)
    found = ahead(values[: origin + 1], 20, 2.0)
    truth = compressed_day("ramp", 60.0, 7.0, 0.0, seed=0)[origin + 1 : origin + 21]
    assert values[origin] < 0.25 * truth.max()
    assert found.mean == pytest.approx(truth, rel=0.12)
    value, time = found.peak(found.times[-1], 0.5)
    assert value == pytest.approx(1.06 * truth.max(), rel=0.06), "half of ten values are above the plateau"
    assert time > found.times[5]
