"""Kinds and severities of unusual stretches."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.analytics.kinds import Sign, Stretch, alternates, classify, heart, severity
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray

NOISE = np.random.default_rng(0).normal(size=60)
COUNT = np.arange(60.0)


def stretch(
    deviations: FloatArray,
    sign: Sign = Sign.POINT,
    *,
    swing: float = 0.0,
    value: float = 0.0,
    seasonal: FloatArray | None = None,
    persistence: float = 0.0,
    jump: float = 5.0,
) -> Stretch:
    """One sigma is 1 in the unit of the signal; usual values reach from 0 to the swing."""
    return Stretch(
        sign=sign,
        deviations=deviations,
        values=np.full(deviations.size, value),
        seasonal=np.zeros(deviations.size) if seasonal is None else seasonal,
        usual_low=0.0,
        usual_high=swing,
        swing=swing,
        persistence=persistence,
        jump=jump,
    )


WAVE = 4 * np.sin(COUNT / 4)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        pytest.param(stretch(np.array([6.0])), AnomalyKind.SPIKE, id="one high"),
        pytest.param(stretch(np.array([-6.0, -5.0])), AnomalyKind.DIP, id="two low"),
        pytest.param(stretch(np.append([9.0, 8.0], NOISE[:10])), AnomalyKind.SPIKE, id="high, then usual"),
        pytest.param(stretch(5 + NOISE), AnomalyKind.LEVEL_SHIFT, id="an offset"),
        pytest.param(stretch(-3 + NOISE[:12]), AnomalyKind.LEVEL_SHIFT, id="a small offset below"),
        pytest.param(stretch(COUNT / 6 + NOISE, jump=1.0), AnomalyKind.TREND_CHANGE, id="a ramp"),
        pytest.param(
            stretch(COUNT / 12 + 0.3 * NOISE, persistence=0.9, jump=0.5), AnomalyKind.TREND_CHANGE, id="a slow ramp"
        ),
        pytest.param(stretch(4 * NOISE), AnomalyKind.VARIANCE_CHANGE, id="four times the spread"),
        pytest.param(stretch(0.3 * NOISE, Sign.CALM), AnomalyKind.VARIANCE_CHANGE, id="a third of the spread"),
        pytest.param(stretch(np.array([8.0]), swing=20.0, value=12.0), AnomalyKind.CONTEXTUAL, id="usual later"),
        pytest.param(stretch(np.array([8.0]), swing=20.0, value=28.0), AnomalyKind.SPIKE, id="never usual"),
        pytest.param(stretch(np.array([4.0]), swing=20.0, value=12.0), AnomalyKind.SPIKE, id="not far enough away"),
        pytest.param(stretch(8 + NOISE, swing=20.0, value=12.0), AnomalyKind.CONTEXTUAL, id="another phase for long"),
        pytest.param(stretch(np.zeros(20), Sign.FLAT), AnomalyKind.COLLECTIVE, id="flat"),
        pytest.param(stretch(2.0 * (-1.0) ** COUNT), AnomalyKind.COLLECTIVE, id="to and fro"),
        pytest.param(stretch(NOISE[:20], Sign.ORDER), AnomalyKind.COLLECTIVE, id="out of order"),
        pytest.param(stretch(NOISE - WAVE, seasonal=WAVE), AnomalyKind.COLLECTIVE, id="the season is missing"),
    ],
)
def test_kind(given: Stretch, kind: AnomalyKind) -> None:
    assert classify(given) is kind


def test_a_spike_that_stays_becomes_a_level_shift() -> None:
    away = 6 + NOISE
    kinds = [classify(stretch(away[:count])) for count in range(1, 20)]
    assert kinds == [AnomalyKind.SPIKE] * 7 + [AnomalyKind.LEVEL_SHIFT] * 12


def test_heart() -> None:
    assert heart(np.array([0.0, -4.0, -0.5, -3.0, 0.2])) == slice(1, 4)
    assert heart(np.array([5.0])) == slice(0, 1)


def test_alternates() -> None:
    assert alternates(np.tile([1.0, -1.0], 6))
    assert not alternates(NOISE)
    assert not alternates(np.tile([1.0, -1.0], 3))


LATENCY = Objective.model_validate({"name": "latency", "query": "up", "max": "250m"})
KEY = Objective.model_validate({"name": "latency", "query": "up", "max": "250m", "critical": True})
SUCCESS = Objective.model_validate({"name": "success", "query": "up", "min": "999m"})


@pytest.mark.parametrize(
    ("sigmas", "samples", "objective", "beyond", "wanted"),
    [
        pytest.param(4.0, 1, None, False, Severity.INFO, id="small and short"),
        pytest.param(8.0, 1, None, False, Severity.WARNING, id="large"),
        pytest.param(-5.0, 15, None, False, Severity.WARNING, id="middling and long"),
        pytest.param(9.0, 15, None, False, Severity.CRITICAL, id="large and long"),
        pytest.param(9.0, 30, LATENCY, False, Severity.CRITICAL, id="objective, wrong way"),
        pytest.param(-9.0, 30, LATENCY, False, Severity.INFO, id="objective, right way"),
        pytest.param(9.0, 30, SUCCESS, False, Severity.INFO, id="minimum, right way"),
        pytest.param(4.0, 1, LATENCY, True, Severity.WARNING, id="beyond"),
        pytest.param(8.0, 1, LATENCY, True, Severity.CRITICAL, id="far beyond"),
        pytest.param(4.0, 1, KEY, True, Severity.CRITICAL, id="critical objective beyond"),
    ],
)
def test_severity(sigmas: float, samples: int, objective: Objective | None, beyond: bool, wanted: Severity) -> None:
    assert severity(sigmas, samples, AnomalyKind.SPIKE, objective, beyond) is wanted


def test_a_changed_spread_counts_as_five_sigma() -> None:
    assert severity(3.0, 15, AnomalyKind.VARIANCE_CHANGE, None, False) is Severity.WARNING
