"""Seeded demands for the tests of forecasting."""

from __future__ import annotations

import numpy as np

from tests.analytics.noise import autoregressive
from trimtab.domain.series import FloatArray


def sine(length: int, period: float = 60.0, level: float = 100.0, swing: float = 50.0) -> FloatArray:
    """A wave without noise."""
    wave: FloatArray = level + swing * np.sin(2 * np.pi * np.arange(length) / period)
    return wave


def noisy_sine(length: int, seed: int, persistence: float = 0.7, sigma: float = 8.0) -> FloatArray:
    """A wave of 60 steps with AR(1) noise."""
    return np.maximum(sine(length) + autoregressive(length, persistence, sigma, seed), 0.0)


def compressed_day(shape: str, period: float, seasons: float, noise: float, seed: int) -> FloatArray:
    """A compressed day: steep ``ramp`` (from a third to full within a tenth of the day), ``peak`` or ``square``."""
    phase: FloatArray = (np.arange(int(seasons * period)) / period + 0.13) % 1.0
    wave: FloatArray
    if shape == "ramp":
        wave = 0.15 + 1 / (1 + np.exp(-(phase - 0.3) / 0.012)) - 1 / (1 + np.exp(-(phase - 0.8) / 0.04))
    elif shape == "peak":
        wave = 0.1 + np.exp(4 * (np.cos(2 * np.pi * (phase - 0.5)) - 1))
    else:
        wave = np.where((phase > 0.3) & (phase < 0.7), 1.2, 0.2)
    return np.maximum(300 * wave * (1 + np.random.default_rng(seed).normal(0, noise, phase.size)), 0.0)
