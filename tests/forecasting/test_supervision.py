"""Forecasts that are judged, and what is done when they drift."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast, NoForecast
from trimtab.forecasting.issued import MOST_JUDGED
from trimtab.forecasting.remedy import MendKind
from trimtab.forecasting.supervised import MOST_CHANGES, STEADY, ChangeCause, DriftPhase, ModelChange, Supervised, noted
from trimtab.forecasting.supervision import foresee

STEP, PERIOD, AHEAD = 60.0, 24, 6
HISTORY, CALM = 10 * PERIOD, 130
CHANGE = HISTORY + CALM


def demand(length: int, seed: int = 1) -> FloatArray:
    """A season of 24 steps and noise."""
    return np.asarray(
        200 + 60 * np.sin(2 * np.pi * np.arange(length) / PERIOD) + autoregressive(length, 0.5, 5.0, seed)
    )


def play(
    values: FloatArray, first: int = HISTORY, state: Supervised | None = None, every: int = 1
) -> Iterator[tuple[int, Forecast, Supervised]]:
    """Rounds with the newest ten seasons, one at every ``every`` steps."""
    for newest in range(first, values.size, every):
        low = max(newest - HISTORY, 0)
        series = Series(low * STEP, STEP, values[low : newest + 1])
        found, state = ask(series, state)
        assert isinstance(found, Forecast)
        assert state is not None
        yield newest, found, state


def ask(series: Series, state: Supervised | None) -> tuple[Forecast | NoForecast, Supervised | None]:
    return foresee(
        series,
        now=series.end,
        horizon_seconds=AHEAD * STEP,
        model="SeasonalNaive",
        confidence=0.9,
        previous=state,
    )


@pytest.fixture(scope="module")
def shifted() -> list[tuple[int, Forecast, Supervised]]:
    """Rounds through a demand that rises by 12 sigma."""
    values = demand(CHANGE + 90)
    values[CHANGE:] += 60.0
    return list(play(values))


def test_a_drift_is_seen_told_and_remedied(shifted: list[tuple[int, Forecast, Supervised]]) -> None:
    phases = [state.drift.state for _, _, state in shifted]
    seen = next(place for place, phase in enumerate(phases) if phase is DriftPhase.DRIFTED)
    assert set(phases[:seen]) <= {DriftPhase.NONE, DriftPhase.WARNING}
    assert CALM <= seen < CALM + 20
    drift = shifted[seen][2].drift
    assert drift.kind == "Mean"
    assert drift.since == pytest.approx(CHANGE * STEP, abs=5 * STEP)
    assert "too high or too low" in drift.message
    final = shifted[-1][2]
    remedies = [change for change in final.changes if change.cause is ChangeCause.DRIFT]
    assert any("mended" in change.to and "had not seen" in change.reason for change in remedies)
    assert final.champion.training.mends[-1].kind is MendKind.OFFSET
    assert final.drift.state in (DriftPhase.NONE, DriftPhase.RECOVERING)


def test_challengers_cost_nothing_before_a_drift(shifted: list[tuple[int, Forecast, Supervised]]) -> None:
    assert all(state.episode is None and not state.challengers for _, _, state in shifted[:CALM])
    assert all(len(state.challengers) <= 2 for _, _, state in shifted)


def test_live_accuracy_is_reported(shifted: list[tuple[int, Forecast, Supervised]]) -> None:
    live = shifted[CALM - 1][2].live
    assert (live.lead_seconds, live.confidence_percent, live.samples) == (AHEAD * STEP, 90, 120)
    assert live.error_percent_of_naive is not None
    assert live.error_percent_of_naive < 100
    assert live.coverage_percent is not None
    assert 75 <= live.coverage_percent <= 100


def test_the_state_is_small_and_survives_a_restart(shifted: list[tuple[int, Forecast, Supervised]]) -> None:
    newest, _, state = shifted[CALM + 15]
    data = pickle.dumps(state)
    assert len(data) < 150_000
    values = demand(CHANGE + 90)
    values[CHANGE:] += 60.0
    cut = values[: newest + 2]
    (_, found, _), (_, same, _) = next(play(cut, newest + 1, state)), next(play(cut, newest + 1, pickle.loads(data)))
    np.testing.assert_array_equal(found.mean, same.mean)


def test_a_moved_season_is_mended() -> None:
    values = demand(CHANGE + 60, seed=3)
    moved = demand(CHANGE + 60 + PERIOD // 4, seed=3)[PERIOD // 4 :]
    values[CHANGE:] = moved[CHANGE:]
    *_, (_, _, final) = play(values)
    assert final.episode is not None
    assert final.episode.kind == "Seasonal"
    assert final.episode.mend is not None
    assert final.episode.mend.amount == pytest.approx(PERIOD / 4 * STEP, abs=STEP)


def test_what_was_forecast_before_a_gap_is_judged_after_it() -> None:
    values = demand(HISTORY + 60)
    *_, (newest, _, state) = play(values[: HISTORY + 40])
    before = len(state.records.rows)
    series = Series(0.0, STEP, values[: newest + 5])
    found, state_after = ask(series, state)
    assert isinstance(found, Forecast)
    assert state_after is not None
    assert len(state_after.records.rows) == before + 4
    assert np.isfinite(state_after.records.rows[-4:, 1]).all()


def test_a_long_gap_and_missing_samples_are_no_drift() -> None:
    values = demand(HISTORY + 200)
    *_, (newest, _, state) = play(values[: HISTORY + 110])
    values[newest + 1 : newest + 31] = np.nan
    series = Series(0.0, STEP, values[: newest + 26])
    found, kept = ask(series, state)
    assert isinstance(found, NoForecast)
    assert kept is not None
    *_, (_, _, later) = play(values, newest + 32, kept)
    assert later.episode is None


def test_rounds_further_apart_than_a_step_judge_every_sample() -> None:
    *_, (_, _, state) = play(demand(HISTORY + 41), every=4)
    assert np.isfinite(state.records.rows[:, 1]).all()
    assert len(state.records.rows) == 40


def test_no_demand_has_no_forecast_and_no_state() -> None:
    found, state = ask(Series(0.0, STEP, np.full(5, np.nan)), None)
    assert isinstance(found, NoForecast)
    assert state is None


def test_another_question_begins_anew_and_keeps_the_changes() -> None:
    values = demand(HISTORY + 1)
    _, _, state = next(play(values))
    state = noted(state, ModelChange(1.0, "a", "b", "for a test", ChangeCause.DRIFT))
    series = Series(0.0, STEP, values)
    _, anew = foresee(
        series, now=series.end, horizon_seconds=20 * STEP, model="SeasonalLinear", confidence=0.9, previous=state
    )
    assert anew is not None
    assert anew.asked == "SeasonalLinear"
    assert anew.changes == state.changes
    assert anew.drift == STEADY


def test_changes_are_bounded_and_selections_do_not_push_out_drifts() -> None:
    _, _, state = next(play(demand(HISTORY + 1)))
    for at in range(30):
        state = noted(state, ModelChange(float(at), "a", "b", "drift", ChangeCause.DRIFT))
    for at, name in enumerate("xyzxyz"):
        state = noted(state, ModelChange(float(at), "b", name, "selection", ChangeCause.SELECTION))
    assert len(state.changes) == MOST_CHANGES
    assert [(one.from_, one.to) for one in state.changes[-2:]] == [("a", "b"), ("b", "z")]


def test_records_are_bounded(shifted: list[tuple[int, Forecast, Supervised]]) -> None:
    final = shifted[-1][2]
    assert len(final.records.rows) <= MOST_JUDGED
