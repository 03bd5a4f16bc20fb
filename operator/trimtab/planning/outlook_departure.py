"""A demand that has left its forecast, by a step or on a slope, and how it may go on.

What was forecast about a horizon ago is held against what came. The forecast's own law of errors says how far that is
chance. Against it stand departures that began at any time since: a step, a slope, or both. Each gets a share of the
courses by its probability, with parameters drawn from what is known of them, so one hypothesis of many never decides
alone. A Bayesian linear regression on each time of change, weighed by its marginal likelihood (Bishop 2006, 3.4 to
3.5); a slope goes on for as long as Pareto's law makes likely that has been watched for so long already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.forecast import Forecast
from trimtab.planning.outlook_load import Grid

PARTS = 20
"""Equal parts of a horizon, of which each counts as one sample."""
MOST_PROMISES = 8
FEWEST_PARTS = 5
_CHANCE_STEP, _CHANCE_SLOPE = 0.05, 0.2
"""Probabilities, before anything is seen, that the demand has left its forecast within the last horizon."""
_STEP, _SLOPE = 0.3, 0.5
"""Usual size of a step, and of a slope over a horizon, in logs of the demand."""
_LASTS = 3.0
"""A slope is as likely as not to go on for so many times as long as it was watched."""
_FLOOR = 0.05
"""Of the mean demand: so much is added before logs, as what is next to nothing may well double by chance."""
_OWN_NOISE = 0.1
"""Of the expected error: what each part has for itself, however much the errors hang together."""
_FARTHEST = 3.0
"""Departures of more than this many logs are taken for this many."""


@dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """What was forecast at one time."""

    at: float
    horizon_seconds: float
    mean: FloatArray
    """At the middle of each part of the horizon, shape (20,), in the unit of the load."""

    def lasts(self, horizon_seconds: float, now: float) -> bool:
        """Whether it is of such a horizon, which is not over yet."""
        same = abs(self.horizon_seconds - horizon_seconds) <= 1e-6 * horizon_seconds
        return same and 0.0 <= now - self.at <= 1.001 * horizon_seconds


@dataclass(frozen=True, slots=True)
class Promises:
    """Forecasts of about the last horizon, the oldest first: at most 8, below 2 kB."""

    kept: tuple[Promise, ...] = ()

    def with_forecast(self, forecast: Forecast, horizon_seconds: float, now: float) -> Promises:
        """With this one too, if a sixth of the horizon has passed since the newest; those whose horizon is over go."""
        kept = tuple(one for one in self.kept if one.lasts(horizon_seconds, now))
        if not kept or now - kept[-1].at >= 0.999 * horizon_seconds / 6.0:
            kept = (*kept, Promise(now, horizon_seconds, _by_part(forecast, horizon_seconds, now)))
        return Promises(kept[-MOST_PROMISES:])

    def lasting(self, horizon_seconds: float, now: float) -> list[Promise]:
        """Those whose horizon is not over yet, the oldest first."""
        return [one for one in self.kept if one.lasts(horizon_seconds, now)]


@dataclass(frozen=True, slots=True, eq=False)
class _Departures:
    """What may have happened, shape (m,) but for the roots (m, 2, 2): ``m`` hypotheses, the first that nothing did."""

    chance: FloatArray
    """Probabilities; they sum to 1."""
    watched: FloatArray
    """Seconds since it began."""
    mean: FloatArray
    """Expected step, and slope a horizon, in logs, shape (m, 2)."""
    root: FloatArray
    """Root of their covariance."""


def departed(
    courses: FloatArray,
    forecast: Forecast,
    load: Series,
    promises: Promises,
    points: Grid,
    horizon_seconds: float,
    now: float,
) -> FloatArray:
    """``courses`` of the demand (p, h), of which as many as is likely depart from the forecast as the demand did.

    They are as they were while no forecast is at least a quarter of the horizon old, to be judged.
    """
    lasting = promises.lasting(horizon_seconds, now)
    if not lasting:
        return courses
    promise, width = lasting[0], horizon_seconds / PARTS
    age = now - promise.at
    count = min(int(age / width + 1e-6), PARTS)
    seen = _seen(load, promise.at, width, count)
    known = np.isfinite(seen)
    if int(known.sum()) < FEWEST_PARTS:
        return courses
    floor = _FLOOR * max(float(promise.mean[:count].mean()), float(seen[known].mean()))
    if not 0.0 < floor < math.inf:
        return courses
    middles = _middles(width)[:count]
    left = np.log(np.maximum(seen, 0.0) + floor) - np.log(np.maximum(promise.mean[:count], 0.0) + floor)
    law = _law(forecast, middles, floor, now)
    found = _departures(left[known], middles, known, law[np.ix_(known, known)], width, age)
    order, normal, uniform = _draws(len(courses), points.seed + 5)
    which = np.minimum(np.searchsorted(np.cumsum(found.chance), order), found.chance.size - 1)
    drawn = found.mean[which] + np.einsum("pij,pj->pi", found.root[which], normal)
    watched = found.watched[which]
    lasts = _LASTS * watched * (1.0 / uniform - 1.0)
    reach = np.minimum(points.ahead_seconds[None, :], lasts[:, None])
    at_now = (drawn[:, 0] + drawn[:, 1] * watched / horizon_seconds)[:, None]
    taken_in = _taken_in(forecast, lasting, floor, points, width, now)
    # What was forecast last before it began knows nothing of it.
    ages = now - np.array([one.at for one in lasting])
    untouched = np.maximum((ages[None, :] >= watched[:, None] - 1e-6).sum(axis=1) - 1, 0)
    carried = at_now + drawn[:, 1:] * reach / horizon_seconds - taken_in[untouched]
    off = np.clip(carried, -_FARTHEST, _FARTHEST)
    moved = np.maximum((courses + floor) * np.exp(off) - floor, 0.0)
    return np.asarray(np.where((which > 0)[:, None], moved, courses))


def _departures(
    left: FloatArray, middles: FloatArray, known: NDArray[np.bool_], law: FloatArray, width: float, age: float
) -> _Departures:
    """Every hypothesis on ``left`` (n,), logs of what came over what was forecast, with covariance ``law`` (n, n)."""
    begins = np.arange(middles.size - 1) * width
    since = np.maximum(middles[None, :] - begins[:, None], 0.0)
    design = np.stack([since > 0.0, since / (PARTS * width)], axis=-1)[:, known]
    whiten = np.linalg.inv(np.linalg.cholesky(law))
    design, target = whiten @ design, whiten @ left
    evidence, means, roots = [np.zeros(1)], [np.zeros((1, 2))], [np.zeros((1, 2, 2))]
    chances = [np.array([1.0 - _CHANCE_STEP - _CHANCE_SLOPE])]
    for step, slope, chance in ((1, 0, _CHANCE_STEP), (0, 1, _CHANCE_SLOPE / 2.0), (1, 1, _CHANCE_SLOPE / 2.0)):
        # In units of their usual size both parameters are standard normal, and one that is left out stays at 0.
        scale = np.array([step * _STEP, slope * _SLOPE])
        scaled = design * scale
        precision = np.eye(2) + np.swapaxes(scaled, 1, 2) @ scaled
        pull = np.swapaxes(scaled, 1, 2) @ target
        covariance = np.linalg.inv(precision)
        mean = np.einsum("mij,mj->mi", covariance, pull)
        evidence.append(0.5 * (pull * mean).sum(axis=1) - 0.5 * np.log(np.linalg.det(precision)))
        means.append(scale * mean)
        roots.append(scale[:, None] * np.linalg.cholesky(covariance))
        chances.append(np.full(begins.size, chance / begins.size))
    logs = np.concatenate(evidence) + np.log(np.concatenate(chances))
    weights = np.exp(logs - logs.max())
    watched = age - np.concatenate([np.zeros(1), *[begins] * 3])
    return _Departures(weights / weights.sum(), watched, np.concatenate(means), np.concatenate(roots))


def _law(forecast: Forecast, ahead: FloatArray, floor: float, now: float) -> FloatArray:
    """Covariance of a forecast's errors at ``ahead`` seconds (n,), in logs, by its intervals and its backtest."""
    either_side = (forecast.quantile(0.84) - forecast.quantile(0.16)) / 2.0
    size = np.interp(ahead, forecast.times - now, np.minimum(either_side / (forecast.mean + floor), _FARTHEST))
    steps = np.interp(ahead, forecast.times - now, forecast.leads)
    law = forecast.state.dependence
    shape = law.steady + (1.0 - law.steady) * law.persistence ** np.abs(steps[:, None] - steps[None, :])
    own = (_OWN_NOISE * size) ** 2 + 1e-6
    return np.asarray(size[:, None] * size[None, :] * shape + np.diag(own))


def _taken_in(
    forecast: Forecast, lasting: list[Promise], floor: float, points: Grid, width: float, now: float
) -> FloatArray:
    """How far the forecast of now is from each old one, in logs, shape (k, h): what it has learned since.

    Beyond the end of the old one it is as at its end. A line carries that one on by a part, as there is none of now.
    """
    middles = _middles(width)
    ahead = np.log(np.maximum(_by_part(forecast, PARTS * width, now), 0.0) + floor)
    found = []
    for one in lasting:
        old, age = np.log(np.maximum(one.mean, 0.0) + floor), now - one.at
        lead = np.clip(points.ahead_seconds, width, max(PARTS * width - age, width))
        slope = float(old[-1] - old[-4]) / (3.0 * width)
        beyond = np.maximum(age + lead - middles[-1], 0.0)
        found.append(np.interp(lead, middles, ahead) - np.interp(age + lead, middles, old) - slope * beyond)
    return np.array(found)


def _by_part(forecast: Forecast, horizon_seconds: float, now: float) -> FloatArray:
    """The mean at the middle of each part of the horizon, shape (20,)."""
    # The first step is drawn from the newest sample, with its noise.
    told = forecast.leads >= 2.0 if forecast.leads[-1] >= 2.0 else np.ones(forecast.leads.size, dtype=np.bool_)
    middles = _middles(horizon_seconds / PARTS)
    return np.asarray(np.interp(now + middles, forecast.times[told], forecast.mean[told]))


def _middles(width: float) -> FloatArray:
    """Seconds to the middle of each part, shape (20,)."""
    return np.asarray((np.arange(PARTS) + 0.5) * width, dtype=np.float64)


def _seen(load: Series, start: float, width: float, count: int) -> FloatArray:
    """Medians of the load by part after ``start``, shape (count,), NaN where there is no sample."""
    recent = load.between(start + 1e-3, start + count * width + 1e-3)
    known = np.isfinite(recent.values)
    place = np.minimum(((recent.times[known] - start - 1e-3) / width).astype(np.int64), count - 1)
    values = recent.values[known]
    return np.array([np.median(values[place == part]) if (place == part).any() else np.nan for part in range(count)])


@lru_cache(maxsize=8)
def _draws(count: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Which hypothesis (p,) and how long (p,) as levels in (0, 1), and standard normals (p, 2): the same each round."""
    rng = np.random.default_rng(seed)
    levels = (np.arange(count) + 0.5) / count
    drawn = rng.permutation(levels), rng.standard_normal((count, 2)), rng.permutation(levels)
    for draws in drawn:
        draws.flags.writeable = False
    return drawn
