"""Widening: intervals that hold fewer samples than they should grow, and shrink back once they hold enough."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trimtab.domain.series import FloatArray
from trimtab.forecasting.forecast import Forecast
from trimtab.forecasting.issued import Records

RATE = 0.05
WIDEST = 4.0
FEWEST_TO_WIDEN = 24
CLEARLY_SIGMAS = 2.0
FADING = 0.98


def widening_after(widening: float, inside: FloatArray, records: Records, lead_steps: int, confidence: float) -> float:
    """The factor after samples that were ``inside`` (k,) their interval (1), outside (0), or not judged (NaN).

    It leaves 1 only when the live coverage is clearly below the stated ``confidence``, by two standard errors that
    allow for the overlap of forecasts ``lead_steps`` ahead. From then on each miss multiplies it by
    exp(0.05 confidence) and each hit by exp(-0.05 (1 - confidence)), which holds the long-run coverage at the
    confidence. Source: adaptive conformal inference, Gibbs & Candès 2021, on the width as in Angelopoulos et al. 2023.
    """
    share, count = records.coverage()
    miss = 1.0 - confidence
    if widening == 1.0:
        error = math.sqrt(confidence * miss * min(lead_steps, 10) / max(count, 1))
        if count < FEWEST_TO_WIDEN or share >= confidence - CLEARLY_SIGMAS * error:
            return 1.0
        widening = 1.0 + 1e-6
    for one in inside[np.isfinite(inside)]:
        widening *= math.exp(RATE * ((1.0 - float(one)) - miss))
    return min(max(widening, 1.0), WIDEST)


def widened(found: Forecast, factor: float) -> Forecast:
    """``found`` with the half-widths of its intervals and quantiles multiplied by ``factor``."""
    if factor == 1.0:
        return found
    calibration = found.state.calibration
    buckets = tuple(replace(bucket, scores=factor * bucket.scores) for bucket in calibration.buckets)
    return replace(
        found,
        lower=np.maximum(found.mean - factor * (found.mean - found.lower), 0.0),
        upper=found.mean + factor * (found.upper - found.mean),
        state=replace(found.state, calibration=replace(calibration, buckets=buckets)),
    )
