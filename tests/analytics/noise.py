"""Seeded noise for the tests of analytics and forecasting."""

from __future__ import annotations

import numpy as np

from trimtab.domain.series import FloatArray


def autoregressive(length: int, persistence: float, sigma: float, seed: int) -> FloatArray:
    """AR(1) noise with standard deviation ``sigma``; a random walk with steps of ``sigma`` for persistence 1."""
    shocks = np.random.default_rng(seed).normal(size=length + 200)
    size = sigma if persistence == 1.0 else sigma * np.sqrt(1.0 - persistence**2)
    values = np.zeros(length + 200)
    for index in range(1, length + 200):
        values[index] = persistence * values[index - 1] + size * shocks[index]
    return values[200:] - (values[200] if persistence == 1.0 else 0.0)
