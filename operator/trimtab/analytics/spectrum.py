"""Spectrum and autocorrelation of a gappy series, and the periods that they suggest."""

from __future__ import annotations

import numpy as np

from trimtab.analytics.algebra import inner, rounded, weighted_sum
from trimtab.analytics.gaps import BoolArray
from trimtab.domain.series import FloatArray

SHORTEST_STEPS = 4.0
PEAKS_EACH = 5


def _power_of_two(length: int) -> int:
    return 1 << max(length - 1, 1).bit_length()


def autocorrelation(values: FloatArray, known: BoolArray) -> FloatArray:
    """Autocorrelation at lags 0 to n - 1, shape (n,), from the pairs of which both values are known.

    ``values`` must be centred. All 0 when there is no variance.
    """
    size = values.size
    padded = _power_of_two(2 * size)
    products = np.fft.irfft(np.abs(np.fft.rfft(values * known, padded)) ** 2, padded)[:size]
    pairs = np.fft.irfft(np.abs(np.fft.rfft(known.astype(np.float64), padded)) ** 2, padded)[:size]
    covariance: FloatArray = products / np.maximum(pairs, 1.0)
    return covariance / covariance[0] if covariance[0] > 0 else np.zeros(size)


def candidates(values: FloatArray, correlation: FloatArray) -> list[float]:
    """Periods in steps, from 4 to about half of the length, worth a closer look; none twice.

    The highest peaks of the periodogram, as it is and whitened by the frequency (so that slow wandering does not hide
    a season), and the highest hills of the autocorrelation.
    """
    size = values.size
    padded = _power_of_two(4 * size)
    power = np.abs(np.fft.rfft(values, padded)) ** 2
    frequency = np.arange(power.size) / padded
    peak = np.flatnonzero((power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])) + 1
    peak = peak[(frequency[peak] >= 1.8 / size) & (frequency[peak] <= 1.0 / SHORTEST_STEPS + 0.5 / size)]
    found: list[float] = []
    for weighted in (power[peak], power[peak] * frequency[peak]):
        found += (1.0 / frequency[peak[np.argsort(-rounded(weighted), kind="stable")[:PEAKS_EACH]]]).tolist()
    lags = correlation[: size // 2 + 2]
    hill = np.flatnonzero((lags[1:-1] > lags[:-2]) & (lags[1:-1] >= lags[2:]) & (lags[1:-1] > 0.1)) + 1
    hill = hill[hill >= SHORTEST_STEPS]
    found += hill[np.argsort(-rounded(lags[hill]), kind="stable")[:PEAKS_EACH]].astype(np.float64).tolist()
    distinct: list[float] = []
    for period in found:
        if all(abs(period / other - 1.0) > 0.03 for other in distinct):
            distinct.append(period)
    return distinct


def _vertex(heights: FloatArray, index: int) -> float:
    """Place of the parabola's vertex through a peak and its two neighbours."""
    left, middle, right = heights[index - 1 : index + 2]
    bend = left - 2.0 * middle + right
    return index + float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else float(index)


def hill_near(correlation: FloatArray, period_steps: float) -> float | None:
    """Period of the autocorrelation's hill near ``period_steps``, sharpened by the hills at its multiples.

    None where the autocorrelation has no positive hill of its own within 12 %.
    """
    size = correlation.size
    weighted, weights, multiple = 0.0, 0.0, 1
    period, share = period_steps, 0.12
    while multiple * period < (0.75 * size if multiple > 1 else size - 2):
        centre, reach = round(multiple * period), int(period * share) + 1
        low, high = max(2, centre - reach), min(size - 2, centre + reach)
        if high - low < 2:
            break
        top = low + int(np.argmax(correlation[low : high + 1]))
        edge = top in (low, high) and not correlation[top] >= max(correlation[top - 1], correlation[top + 1])
        if edge or correlation[top] <= 0.0 or (multiple > 1 and correlation[top] < 0.3 * correlation[round(period)]):
            break
        weighted, weights = weighted + multiple * _vertex(correlation, top), weights + multiple**2
        period, share, multiple = weighted / weights, 0.06, multiple + 1
    return period if weights > 0 else None


def sharpen(values: FloatArray, known: BoolArray, period_steps: float) -> float:
    """The period near ``period_steps`` whose harmonics leave the smallest squares: accurate far below one step.

    Gauss-Newton on level, line and a harmonic series, with 1, 2, 4 and then 8 harmonics (each start is then inside the
    next one's basin). A search that leaves a tenth of the start returns it unchanged. Source: nonlinear least squares
    for the harmonic model (Quinn and Thomson 1991).

    >>> t = np.arange(600.0)
    >>> round(sharpen(np.cos(2 * np.pi * t / 59.65), np.ones(600, dtype=bool), 60.0), 2)
    59.65
    """
    stride = max(1, int(period_steps / 24))
    length = values.size // stride * stride
    sums = (values * known)[:length].reshape(-1, stride).sum(axis=1)
    counts = known[:length].reshape(-1, stride).sum(axis=1)
    rows = np.flatnonzero(counts)
    heights = sums[rows] / counts[rows]
    heights = heights / max(float(np.abs(heights).max(initial=0.0)), 1e-300)
    place = rows * stride + (stride - 1) / 2.0 - (length - 1) / 2.0
    line = np.stack([np.ones(rows.size), 2.0 * place / max(length, 1)])
    rate = start = 2.0 * np.pi / period_steps
    for harmonics in (1, 2, 4, 8):
        if harmonics * 2.5 > period_steps or rows.size < 4 * harmonics + 4:
            break
        order = np.arange(1, harmonics + 1)
        for _ in range(2):
            waves = np.cumprod(np.repeat(np.exp(1j * rate * place)[None, :], harmonics, axis=0), axis=0)
            design = np.concatenate([line, waves.real, waves.imag])
            weight = _least_squares(design, heights)
            cosine, sine = weight[2 : 2 + harmonics], weight[2 + harmonics :]
            turned = weighted_sum(order * sine, waves.real) - weighted_sum(order * cosine, waves.imag)
            change = 2.0 * place / length * turned
            step = _least_squares(np.concatenate([design, change[None, :]]), heights)[-1] * 2.0 / length
            rate += float(np.clip(step, -0.02 * start, 0.02 * start))
    return 2.0 * np.pi / rate if abs(rate / start - 1.0) < 0.1 else period_steps


def _least_squares(rows: FloatArray, heights: FloatArray) -> FloatArray:
    """Weights (p,) of ``rows`` (p, n) for ``heights`` (n,), by the normal equations with a whiff of ridge."""
    gram = inner(rows, rows)
    gram[np.diag_indices_from(gram)] += 1e-10 * max(float(np.trace(gram)) / len(gram), 1e-300)
    return np.linalg.solve(gram, inner(rows, heights[None, :])[:, 0]).astype(np.float64)
