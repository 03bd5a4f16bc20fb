"""Shapes of a performance curve: log badness of an objective as a function of load per replica and CPU size.

Badness is the objective's value where more is worse, and what is lost where less is worse; always positive, and always
rising with load. Each shape gives the logarithm and its gradient by parameter, so that fitting, uncertainty and
prediction are the same code for all. Everything is finite for any finite load.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from trimtab.domain.series import FloatArray

KNEE = 0.95
"""Utilisation beyond which the queue's hyperbola goes on as its tangent: no steady state is seen there."""
_HINGE_WIDTH = 0.01
"""How sharply loss sets in at capacity; under one per cent of the load is lost right at it."""
_FARTHEST = 1e3
"""Utilisation beyond which the curve is flat, to stay finite."""


class Shape(StrEnum):
    """Family of a curve."""

    QUEUEING = "queueing"
    """base + k/(a size^g - x): sojourn time of an M/M/1 (or M/M/1-PS) queue. Parameters log base, log k, log a, g."""
    LOSS = "loss"
    """base + max(0, 1 - a size^g / x): what an overloaded server cannot serve. Parameters log base, log a, g."""
    MONOTONE = "monotone"
    """Straight lines in log badness between knots of x/size; parameters are the values at the knots."""


def hyperbola(rho: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(1/(1 - rho), its slope), both shape (n,), going on as the tangent beyond the knee."""
    inside = np.minimum(rho, KNEE)
    slope = 1.0 / (1.0 - inside) ** 2
    return 1.0 / (1.0 - inside) + (rho - inside) * slope, slope


def queueing(theta: FloatArray, load: FloatArray, cpu_size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(log badness shape (n,), gradient shape (n, 4)) of base + k/(a size^g - x).

    M/M/1: sojourn time is exponential with rate mu - lambda, so its quantile p is ln(1/(1-p))/(mu - lambda), and k is
    ln 100 for a p99 (Kleinrock 1975, Queueing Systems I, 3.2); with processor sharing the mean is the same.
    """
    log_size = np.log(cpu_size)
    log_mu = theta[2] + theta[3] * log_size
    rho = np.clip(load * np.exp(-log_mu), 0.0, _FARTHEST)
    growth, slope = hyperbola(rho)
    base, unit = np.exp(theta[0]), np.exp(theta[1] - log_mu)
    wait = unit * growth
    total = base + wait
    by_mu = -(wait + unit * rho * slope) / total
    gradient = np.stack([base / total, wait / total, by_mu, by_mu * log_size], axis=1)
    return np.log(total), gradient


def loss(theta: FloatArray, load: FloatArray, cpu_size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(log badness shape (n,), gradient shape (n, 3)) of base + max(0, 1 - a size^g / x), with a rounded corner.

    A server of capacity C that is offered x serves C of it: the lost share is 1 - C/x (fluid limit of an overloaded
    queue). The corner is a softplus, so that the fit has a gradient before capacity was ever reached.
    """
    log_size = np.log(cpu_size)
    ratio = np.clip(load * np.exp(-theta[1] - theta[2] * log_size), 1e-6, _FARTHEST)
    bend = (1.0 - 1.0 / ratio) / _HINGE_WIDTH
    lost = _HINGE_WIDTH * np.logaddexp(0.0, bend)
    by_log_ratio = 1.0 / (1.0 + np.exp(np.clip(-bend, -700.0, 700.0))) / ratio
    base = np.exp(theta[0])
    total = base + lost
    by_mu = -by_log_ratio / total
    gradient = np.stack([base / total, by_mu, by_mu * log_size], axis=1)
    return np.log(total), gradient


def monotone(
    knots: FloatArray, heights: FloatArray, load: FloatArray, cpu_size: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(log badness shape (n,), gradient by height shape (n, k)) of lines between knots of load per core, shape (k,).

    Left of the first knot level; right of the last one it goes on with the steeper of the last slope and the mean one.
    """
    u = np.clip(load / cpu_size, 0.0, _FARTHEST * knots[-1])
    inside = np.clip(u, knots[0], knots[-1])
    at = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, knots.size - 2)
    share = (inside - knots[at]) / (knots[at + 1] - knots[at])
    rows = np.arange(u.size)
    gradient = np.zeros((u.size, knots.size))
    gradient[rows, at] = 1.0 - share
    gradient[rows, at + 1] += share
    last = (heights[-1] - heights[-2]) / (knots[-1] - knots[-2])
    mean = (heights[-1] - heights[0]) / (knots[-1] - knots[0])
    # exp of the height must stay finite wherever the load goes.
    beyond = np.minimum((u - inside) * max(last, mean, 0.0), 50.0)
    return gradient @ heights + beyond, gradient
