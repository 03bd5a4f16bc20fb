"""Drift's reference: what the errors of a forecast were like before any drift, and how to whiten them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from trimtab.analytics.algebra import ROUNDING
from trimtab.analytics.level import MAD_TO_SIGMA
from trimtab.domain.series import FloatArray

MEMORY = 2000.0
"""Errors that the reference remembers."""
LAGS = 2
"""Order of the autoregression that whitens the errors."""
CLIP = 3.0
"""Innovations count up to this many sigmas."""
LEAST_SIZE = 0.05
"""Errors below this share of their expected size are taken for nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Moments of the errors before any drift, with a fading memory."""

    weight: float
    """Errors that it is worth, at most 2,000."""
    mean: float
    covariances: FloatArray
    """At lags 0 to 2, shape (3,)."""
    square: float
    """Mean of the squared, clipped innovations in units of their variance; 1 for a normal distribution."""
    square_covariances: FloatArray
    """Of these squares at lags 0 and 1, shape (2,)."""

    def whitening(self) -> tuple[float, float, float]:
        """(phi 1, phi 2, sigma of the innovations): Yule-Walker, corrected for the bias of short histories."""
        size = float(self.covariances[0])
        if not size > LEAST_SIZE**2:
            return 0.0, 0.0, LEAST_SIZE
        one, two = (float(value) / size for value in self.covariances[1:])
        one = min(max(one + (1.0 + 3.0 * one) / self.weight, -0.95), 0.95)
        two = min(max(two + (1.0 + 3.0 * two) / self.weight, 2.0 * (one * one) - 0.98), 0.98)
        second = (two - one * one) / (1.0 - one * one)
        first = one * (1.0 - second)
        if first + second > 0.95:
            first, second = one, 0.0
        left = max(1.0 - first * one - second * two, 1e-3)
        return first, second, math.sqrt(size * left)


def learn(errors: FloatArray) -> Reference:
    """The first reference; wild errors are cut to six sigmas first."""
    middle = float(np.median(errors))
    reach = 6.0 * MAD_TO_SIGMA * float(np.median(np.abs(errors - middle)))
    cut = np.clip(errors, middle - reach, middle + reach) if reach > ROUNDING else errors
    away = cut - cut.mean()
    covariances = np.array([float(away[lag:] @ away[: away.size - lag]) / away.size for lag in range(LAGS + 1)])
    reference = Reference(float(errors.size), float(cut.mean()), covariances, 1.0, np.array([2.0, 0.0]))
    first, second, sigma = reference.whitening()
    squares = np.minimum(((away[2:] - first * away[1:-1] - second * away[:-2]) / sigma) ** 2, CLIP**2)
    beyond = squares - squares.mean()
    spread = np.array([float((beyond**2).mean()), float((beyond[1:] * beyond[:-1]).mean())])
    return replace(reference, square=float(squares.mean()), square_covariances=spread)


def remember(reference: Reference, errors: FloatArray) -> Reference:
    """The reference with the newest of three consecutive ``errors`` that left the window."""
    first, second, sigma = reference.whitening()
    weight = min(reference.weight + 1.0, MEMORY)
    share = 1.0 / weight
    reach = 6.0 * math.sqrt(float(reference.covariances[0]))
    away = np.clip(errors - reference.mean, -reach, reach) if reach > ROUNDING else errors - reference.mean
    newest = float(away[-1])
    covariances = reference.covariances + share * (newest * away[::-1] - reference.covariances)
    innovation = (newest - first * float(away[-2]) - second * float(away[-3])) / sigma
    beyond = min(innovation * innovation, CLIP * CLIP) - reference.square
    square = reference.square + share * beyond
    old = reference.square_covariances
    spread = old + share * (np.array([beyond * beyond, float(old[1])]) - old)
    return Reference(weight, reference.mean + share * newest, covariances, square, spread)


def freedom(reference: Reference) -> float:
    """Degrees of freedom that one square is worth: 1 for a normal distribution, less with heavy tails or clusters."""
    size, next_to = (float(value) for value in reference.square_covariances)
    if not size > 0:
        return 1.0
    correlation = min(max(next_to / size, 0.0), 0.9)
    return min(2.0 * (reference.square * reference.square) / size, 1.0) * (1.0 - correlation) / (1.0 + correlation)
