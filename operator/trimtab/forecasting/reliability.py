"""Reliability: the probability that objectives hold over the horizon, corrected by how such probabilities came true.

Each probability that was issued is compared with what came. Counts by bin are a reliability diagram (Murphy and Winkler
1977), and a logistic correction fitted to it (Platt 1999) is applied to what is issued next. With few outcomes the
correction is held near none by a prior; old outcomes fade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.forecasting.early_warning import BREACH_SAMPLES, BoolArray, breaches

BINS = 10
FADE = 0.995
"""Weight that an outcome loses with each newer one: the newest 200 count."""
CLOSEST = 0.002
"""No probability from some hundred courses is nearer than this to 0 or 1."""
PRIOR_SHIFT, PRIOR_SLOPE = 0.5, 0.25
"""Standard deviations of the correction's shift about 0 and slope about 1, in log odds, before anything was seen."""
LEAST_JUDGED = 0.8
"""Share of the samples that must be there to tell whether an objective held."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagram:
    """What became of issued probabilities, by bin of a tenth; shape (10,) each, faded counts."""

    issued: FloatArray = field(default_factory=lambda: np.zeros(BINS))
    held: FloatArray = field(default_factory=lambda: np.zeros(BINS))
    """How many of them held."""
    log_odds: FloatArray = field(default_factory=lambda: np.zeros(BINS))
    """Sum of the log odds that were issued."""
    outcomes: int = 0
    """How many were ever judged."""

    def with_outcome(self, probability: float, held: bool) -> Diagram:
        """The diagram with one more outcome of an uncorrected probability."""
        place = min(int(probability * BINS), BINS - 1)
        one = np.zeros(BINS)
        one[place] = 1.0
        return Diagram(
            issued=FADE * self.issued + one,
            held=FADE * self.held + one * held,
            log_odds=FADE * self.log_odds + one * _log_odds(probability),
            outcomes=self.outcomes + 1,
        )

    def correction(self) -> tuple[float, float]:
        """(shift, slope) of the log odds: the most probable ones under the prior, by Newton's method.

        >>> Diagram().correction()
        (0.0, 1.0)
        """
        used = self.issued > 0
        if not used.any():
            return 0.0, 1.0
        x, n, k = self.log_odds[used] / self.issued[used], self.issued[used], self.held[used]
        shift, slope = 0.0, 1.0
        for _ in range(12):
            p = 1.0 / (1.0 + np.exp(-np.clip(shift + slope * x, -30.0, 30.0)))
            rest, weight = k - n * p, n * p * (1.0 - p)
            by_shift = float(rest.sum()) - shift / PRIOR_SHIFT**2
            by_slope = float((rest * x).sum()) - (slope - 1.0) / PRIOR_SLOPE**2
            a = float(weight.sum()) + PRIOR_SHIFT**-2
            b, c = float((weight * x).sum()), float((weight * x * x).sum()) + PRIOR_SLOPE**-2
            det = a * c - b * b
            moved = (c * by_shift - b * by_slope) / det, (a * by_slope - b * by_shift) / det
            # Far from the solution a full step may overshoot.
            shift += min(max(moved[0], -1.0), 1.0)
            slope += min(max(moved[1], -0.5), 0.5)
            if abs(moved[0]) + abs(moved[1]) < 1e-6:
                break
        return shift, max(slope, 0.1)

    def corrected(self, probability: float) -> float:
        """The probability as it came true before.

        >>> round(Diagram().corrected(0.7), 6)
        0.7
        """
        return _moved(probability, *self.correction())


@dataclass(frozen=True, slots=True)
class Issued:
    """A probability whose outcome is not known yet."""

    at: float
    until: float
    probability: float
    """As computed, before correction."""
    asked: str
    """Threshold and side: another threshold is another question."""


@dataclass(frozen=True, slots=True)
class ObjectiveReliability:
    """Whether one objective holds over the horizon."""

    objective: str
    probability_percent: float
    """Probability that it is not breached, corrected."""
    uncorrected_percent: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probability that the objectives hold over the horizon."""

    score: int
    """0 to 100: probability in percent that all of them hold."""
    objectives: tuple[ObjectiveReliability, ...]
    horizon_seconds: float
    outcomes: int
    """How many earlier probabilities were judged by what came; they correct this one."""
    reason: str
    """One sentence: the weakest objective."""


@dataclass(frozen=True, slots=True)
class NoReliability:
    """Why there is no reliability score."""

    reason: str


@dataclass(frozen=True, slots=True)
class ObjectiveMargin:
    """How far an objective is expected to stay from its threshold over the horizon."""

    objective: str
    margin_percent: float
    """Mean distance in percent of the threshold (of the loss allowed, for a share such as availability); below 0
    beyond it."""
    least_percent: float
    """The same at the worst moment."""
    weight: int


@dataclass(frozen=True, slots=True)
class Performance:
    """Predictive performance score."""

    score: int
    """0 to 100, see :func:`performance`."""
    margins: tuple[ObjectiveMargin, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NoPerformance:
    """Why there is no predictive performance score."""

    reason: str


def judged(values_beyond: BoolArray, known: BoolArray, run: int = BREACH_SAMPLES) -> bool | None:
    """Whether an objective held, from its samples in order of time, shape (n,); None when too many are missing.

    A missing sample neither continues nor ends a run of samples beyond the threshold.
    """
    if known.size == 0 or known.mean() < LEAST_JUDGED:
        return None
    return not bool(breaches(values_beyond[known], run).any()) if int(known.sum()) >= run else None


def reliability(
    held: dict[str, BoolArray], diagram: Diagram, horizon_seconds: float, reason: str
) -> Reliability | NoReliability:
    """The score from courses: for each objective, in which of the same (p,) courses it holds.

    The joint probability is that of the courses in which all hold; it is corrected as its weakest objective is.
    """
    if not held:
        return NoReliability(reason)
    found, correction = [], diagram.correction()
    for name, courses in held.items():
        raw = float(courses.mean())
        found.append(ObjectiveReliability(name, 100.0 * _moved(raw, *correction), 100.0 * raw))
    together = float(np.all(list(held.values()), axis=0).mean())
    joint = min(100.0 * _moved(together, *correction), *(one.probability_percent for one in found), 100.0)
    weakest = min(found, key=lambda one: one.probability_percent)
    return Reliability(
        score=round(joint),
        objectives=tuple(found),
        horizon_seconds=horizon_seconds,
        outcomes=diagram.outcomes,
        reason=f"{weakest.objective} holds with a probability of {weakest.probability_percent:.0f} %",
    )


def performance(margins: list[ObjectiveMargin], reason: str) -> Performance | NoPerformance:
    """The score from the objectives' margins.

    Each objective counts 50 plus its mean margin in percent, between 0 and 100: at the threshold 50, at half of it or
    better 100, at one and a half 0. The score is the mean by weight.

    >>> performance([ObjectiveMargin("latency", 30.0, 10.0, 1)], "").score
    80
    """
    if not margins:
        return NoPerformance(reason)
    scores = [min(max(50.0 + one.margin_percent, 0.0), 100.0) for one in margins]
    total = sum(score * one.weight for score, one in zip(scores, margins, strict=True))
    weakest = min(margins, key=lambda one: one.margin_percent)
    side = "inside" if weakest.margin_percent >= 0 else "beyond"
    return Performance(
        score=round(total / sum(one.weight for one in margins)),
        margins=tuple(margins),
        reason=f"{weakest.objective} is expected {abs(weakest.margin_percent):.0f} % {side} its threshold",
    )


def _moved(probability: float, shift: float, slope: float) -> float:
    """``probability`` with its log odds corrected."""
    return 1.0 / (1.0 + math.exp(-(shift + slope * _log_odds(probability))))


def _log_odds(probability: float) -> float:
    p = min(max(probability, CLOSEST), 1.0 - CLOSEST)
    return math.log(p / (1.0 - p))
