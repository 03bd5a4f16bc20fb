"""Demands that leave their forecast: the outlook carries that on, and takes noise for noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.planning.outlook_support import DAY, STEP, cut, day, inputs_of, service, spec
from trimtab.adapters.codec import decode, encode
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.early_warning import Source
from trimtab.forecasting.forecast import Forecast, forecast
from trimtab.forecasting.state import FittedState
from trimtab.planning.outlook import Outlook, OutlookState, look_ahead
from trimtab.planning.outlook_departure import PARTS, Promises, departed
from trimtab.planning.outlook_load import grid, load_courses

HOUR, BEGINS = 3600.0, 2 * DAY + 1000
"""Seconds of the horizon, and the sample at which demands leave their day, in its fall."""


def leaving(rise: FloatArray | float, seed: int = 2) -> FloatArray:
    """Three days of which the end is the usual day times ``1 + rise``, with ``rise`` from BEGINS on."""
    load = day(3 * DAY, seed)
    load[BEGINS:] *= 1.0 + rise
    return load


def ramp(an_hour: float) -> FloatArray:
    return np.asarray(an_hour * np.arange(3 * DAY - BEGINS) / 60.0)


def ahead(load: FloatArray, end: int, fitted: FittedState | None) -> Forecast:
    found = forecast(Series(0.0, STEP, load[:end]), now=(end - 1) * STEP, horizon_seconds=HOUR, previous=fitted)
    assert isinstance(found, Forecast)
    return found


def courses_at(load: FloatArray, end: int, minutes: int = 70) -> tuple[FloatArray, FloatArray]:
    """Courses by the forecast alone and with what left it, after so many minutes of rounds."""
    promises, fitted = Promises(), None
    for step in range(end - minutes, end, 5):
        found = ahead(load, step, fitted)
        fitted = found.state
        promises = promises.with_forecast(found, HOUR, (step - 1) * STEP)
    found, now = ahead(load, end, fitted), (end - 1) * STEP
    points = grid(found, now, STEP, HOUR)
    courses = load_courses(found, points)
    return courses, departed(courses, found, Series(0.0, STEP, load[:end]), promises, points, HOUR, now)


def played(history: WorkloadHistory, maximum: int, first: int, last: int) -> list[Outlook]:
    """An outlook every two minutes."""
    inputs = inputs_of(cut(history, first), spec(maximum))
    rounds: list[Outlook] = []
    fitted = None
    for end in range(first, last, 2):
        seen = cut(history, end)
        found = ahead(history.load.values, end, fitted)
        fitted = found.state
        previous = rounds[-1].state if rounds else None
        changed = replace(inputs, history=seen, forecast=found, now=seen.load.end, previous=previous)
        rounds.append(look_ahead(replace(changed, replicas=int(seen.replicas.values[-1]))))
    return rounds


def test_a_ramp_that_was_never_seen_is_warned_of_before_it_breaks() -> None:
    history = service(leaving(ramp(0.6)), 5)
    beyond = history.objectives["latency-p99"].values > 0.25
    runs = beyond[:-2] & beyond[1:-1] & beyond[2:]
    breach = int(np.flatnonzero(runs & (np.arange(runs.size) > BEGINS))[0])
    rounds = played(history, 5, BEGINS - 30, breach)
    warned = [
        round_.state.promises.kept[-1].at
        for round_ in rounds
        if any(one.source is Source.FORECAST for one in round_.warnings)
    ]
    assert warned
    assert BEGINS * STEP < warned[0] < (breach - 10) * STEP


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_noisy_day_like_any_other_is_not_warned_of(seed: int) -> None:
    history = service(leaving(0.0, seed), 5)
    assert not any(round_.warnings for round_ in played(history, 5, BEGINS, BEGINS + 120))


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_noise_moves_no_course_to_speak_of(seed: int) -> None:
    before, after = courses_at(leaving(0.0, seed), BEGINS + 100)
    assert (before != after).any(axis=1).mean() < 0.2
    assert after.mean(axis=0) == pytest.approx(before.mean(axis=0), rel=0.02)


@pytest.mark.parametrize("an_hour", [0.6, -0.2])
def test_a_slope_is_carried_on_and_fades(an_hour: float) -> None:
    load, end = leaving(ramp(an_hour)), BEGINS + 45
    before, after = courses_at(load, end)
    truth = float(np.median(load[end + 55 : end + 60]))
    alone, carried = float(np.median(before[:, -3])), float(np.median(after[:, -3]))
    assert abs(carried - truth) < 0.5 * abs(alone - truth)
    assert after[:, -3].std() > before[:, -3].std(), "how long it lasts is in doubt"


def test_a_step_is_carried_on_as_a_step() -> None:
    load, end = leaving(0.4), BEGINS + 25
    _, after = courses_at(load, end)
    truth = float(np.median(load[end + 55 : end + 60]))
    assert float(np.median(after[:, -3])) == pytest.approx(truth, rel=0.1)


def test_single_wild_samples_are_no_departure() -> None:
    load, end = leaving(0.0), BEGINS + 100
    load[end - 40 : end : 9] *= 5.0
    before, after = courses_at(load, end)
    assert after.mean(axis=0) == pytest.approx(before.mean(axis=0), rel=0.03)


def test_without_an_old_forecast_courses_stay() -> None:
    before, after = courses_at(leaving(ramp(0.6)), BEGINS + 45, minutes=10)
    assert np.array_equal(before, after)


def test_a_forecast_that_is_late_by_a_gap_is_judged_on_what_is_known() -> None:
    load, end = leaving(ramp(0.6)), BEGINS + 45
    load[end - 30 : end - 15] = np.nan
    before, after = courses_at(load, end)
    assert np.isfinite(after).all()
    assert float(np.median(after[:, -3])) > float(np.median(before[:, -3]))


@pytest.mark.parametrize("value", [0.0, np.nan, 1e300])
def test_odd_loads_give_courses_all_the_same(value: float) -> None:
    load = leaving(0.0)
    load[BEGINS + 40 : BEGINS + 60] = value
    found = ahead(load, BEGINS + 40, None)
    promises = Promises().with_forecast(found, HOUR, (BEGINS + 39) * STEP)
    now = (BEGINS + 59) * STEP
    points = grid(found, (BEGINS + 39) * STEP, STEP, HOUR)
    courses = load_courses(found, points)
    after = departed(courses, found, Series(0.0, STEP, load[: BEGINS + 60]), promises, points, HOUR, now)
    assert np.isfinite(after).all()
    assert (after >= 0.0).all()


def test_promises_are_bounded_and_survive_being_stored() -> None:
    load, promises, state = leaving(0.0), Promises(), None
    for end in range(BEGINS, BEGINS + 200, 2):
        found = ahead(load, end, state)
        state = found.state
        promises = promises.with_forecast(found, HOUR, (end - 1) * STEP)
    now = (BEGINS + 197) * STEP
    assert 6 <= len(promises.kept) <= 8
    assert all(one.mean.shape == (PARTS,) for one in promises.kept)
    oldest = promises.lasting(HOUR, now)[0]
    assert 0.8 * HOUR <= now - oldest.at <= HOUR
    assert promises.lasting(2.0 * HOUR, now) == [], "another horizon was asked for"
    whole = OutlookState(promises=promises)
    again = decode(encode(whole, OutlookState), OutlookState)
    assert isinstance(again, OutlookState)
    for one, other in zip(again.promises.kept, promises.kept, strict=True):
        assert (one.at, one.horizon_seconds) == (other.at, other.horizon_seconds)
        assert np.array_equal(one.mean, other.mean)
    assert len(encode(whole, OutlookState)) < 4_000
