"""A workload that is an M/M/1 queue, with noise: what the planning tests learn from and judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.domain.series import FloatArray

LN100 = float(np.log(100.0))


def ar1(rng: np.random.Generator, n: int, std: float, rho: float) -> FloatArray:
    """AR(1) noise of this standard deviation and lag-one autocorrelation, shape (n,)."""
    shocks = rng.normal(size=n) * std * np.sqrt(1 - rho**2)
    noise = np.empty(n)
    noise[0] = rng.normal() * std
    for i in range(1, n):
        noise[i] = rho * noise[i - 1] + shocks[i]
    return noise


@dataclass(frozen=True)
class MM1:
    """p99 = base + ln(100)/(mu - x) in seconds; mu in requests/s per core."""

    mu: float = 240.0
    base: float = 0.02
    std: float = 0.15
    rho: float = 0.5

    def p99(self, load: FloatArray | float, size: FloatArray | float) -> FloatArray:
        """Without noise; capped as a rate window would see it where the queue has no steady state."""
        mu = self.mu * np.asarray(size)
        return np.asarray(self.base + LN100 / np.maximum(mu - load, 0.03 * mu))

    def noise(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Factors, shape (n,)."""
        return np.asarray(np.exp(ar1(rng, n, self.std, self.rho)))

    def history(
        self,
        rng: np.random.Generator,
        n: int = 1440,
        size: FloatArray | float = 0.5,
        peak: float = 450.0,
        target: float = 0.65,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(load, replicas, cpu_size, p99) of days of following a utilisation target, each shape (n,)."""
        day = 0.62 + 0.38 * np.sin(2 * np.pi * np.arange(n) / 1440)
        load = peak * day * np.exp(ar1(rng, n, 0.06, 0.8))
        sizes = np.broadcast_to(np.asarray(size, dtype=np.float64), (n,)).copy()
        replicas = np.maximum(2.0, np.ceil(np.roll(load, 3) / (target * self.mu * sizes)))
        return load, replicas, sizes, self.p99(load / replicas, sizes) * self.noise(rng, n)


def share(flags: list[bool] | NDArray[np.bool_]) -> float:
    """Fraction of true ones."""
    return float(np.mean(flags))
