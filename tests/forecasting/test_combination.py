"""Several models together, and which are tried."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from tests.forecasting.demands import noisy_sine
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.series import Series
from trimtab.forecasting.combination import Combination, weights_of
from trimtab.forecasting.models import LastValue, SeasonalNaive
from trimtab.forecasting.pool import ASKED, candidates, clock_periods
from trimtab.forecasting.selection import Choice, choose

DAY = SeasonFound(86_400.0, 90)
HOUR = SeasonFound(3600.0, 90)


def test_weights_hand_worked() -> None:
    """Errors 1 and 1.1 over 4 horizons: 1 to 1.1^-4 = 0.683; 3^-4 is below 8 %."""
    assert weights_of(np.array([1.0, 1.1, 3.0]), 4.0, np.ones(3)) == pytest.approx(
        [1 / 1.683, 0.683 / 1.683, 0.0], abs=1e-3
    )
    assert weights_of(np.array([1.0, 1.0]), 4.0, np.array([2.0, 1.0])) == pytest.approx([2 / 3, 1 / 3])


def test_the_more_was_measured_the_more_the_best_counts() -> None:
    shares = [weights_of(np.array([1.0, 1.05]), horizons, np.ones(2))[0] for horizons in (1.0, 10.0, 40.0)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.85


@pytest.mark.parametrize(
    ("errors", "weights"),
    [([0.0, 0.0, 1.0], [0.5, 0.5, 0.0]), ([2.0], [1.0]), ([1.0] * 8, [0.2] * 5 + [0.0] * 3)],
    ids=["no error", "one", "at most five"],
)
def test_weights_add_up_to_one(errors: list[float], weights: list[float]) -> None:
    assert weights_of(np.array(errors), 5.0, np.ones(len(errors))).tolist() == weights


def test_members_are_weighed() -> None:
    values = noisy_sine(300, seed=1)
    members = (LastValue(), SeasonalNaive(3600.0))
    series = Series(0.0, 60.0, values)
    path = Combination(members, (0.25, 0.75)).fit(series).predict(30)
    apart = [one.fit(series).predict(30) for one in members]
    assert path == pytest.approx(0.25 * apart[0] + 0.75 * apart[1])


def test_a_short_backtest_does_not_decide_for_one() -> None:
    """Nine horizons of noise around a level: several models come out alike and are all used."""
    series = Series(0.0, 60.0, 100 + autoregressive(400, 0.3, 5.0, 1))
    choice = choose(series, 20, candidates("Auto", ()), combine=True)
    assert isinstance(choice, Choice)
    assert isinstance(choice.model, Combination)
    assert sum(choice.model.weights) == pytest.approx(1.0)
    used = [one for one in choice.backtest.scores if one.share > 0]
    assert len(used) == len(choice.model.members)
    assert choice.error_percent_of_naive is not None
    assert choice.error_percent_of_naive <= 1.05 * min(one.error_percent_of_naive or 0 for one in used) + 1


def test_one_model_is_enough_where_it_makes_no_error() -> None:
    choice = choose(Series(0.0, 60.0, np.full(200, 7.0)), 20, candidates("Auto", ()), combine=True)
    assert isinstance(choice, Choice)
    assert choice.model == LastValue()


@pytest.mark.parametrize(
    ("step_seconds", "length", "found", "periods"),
    [
        pytest.param(300.0, 71, (), (), id="below six hours"),
        pytest.param(300.0, 72, (), (3600.0,), id="six hours"),
        pytest.param(300.0, 72, (HOUR,), (), id="the hour was found"),
        pytest.param(900.0, 100, (), (), id="hour of four steps"),
        pytest.param(60.0, 2880, (), (86_400.0,), id="two days"),
        pytest.param(60.0, 2880, (HOUR,), (86_400.0,), id="two days with an hour"),
        pytest.param(240.0, 2520, (DAY,), (), id="a week with its day"),
        pytest.param(900.0, 1344, (DAY,), (604_800.0,), id="two weeks"),
        pytest.param(1.0, 3000, (), (), id="seconds"),
    ],
)
def test_periods_of_the_clock(
    step_seconds: float, length: int, found: tuple[SeasonFound, ...], periods: tuple[float, ...]
) -> None:
    assert clock_periods(Series(0.0, step_seconds, np.ones(length)), found) == periods


@pytest.mark.parametrize("asked", ASKED)
def test_simple_models_come_first(asked: str) -> None:
    models = candidates(asked, (DAY, HOUR), (604_800.0,))
    assert len(set(models)) == len(models)
    if asked == "Auto":
        assert models[0] == LastValue()
    elif asked != "Theta":
        assert {one.name.value for one in models} <= {asked, "DampedTrend"}
