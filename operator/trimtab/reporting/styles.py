"""Colours of what every page shows: scores and severities."""

from __future__ import annotations

import math
from typing import Final

from trimtab.domain.choices import Severity

HEALTHY_FROM: Final = 80
UNHEALTHY_BELOW: Final = 50
SEVERITY_STYLE: Final = {Severity.INFO: "cyan", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}
_BAND_STYLE: Final = {"good": "green", "warning": "yellow", "critical": "red", "unknown": "dim"}


def score_band(score: float) -> str:
    """How good a score of 0 to 100 is; unknown for NaN.

    >>> score_band(90), score_band(60.0), score_band(20), score_band(float("nan"))
    ('good', 'warning', 'critical', 'unknown')
    """
    if not math.isfinite(score):
        return "unknown"
    return "good" if score >= HEALTHY_FROM else "warning" if score >= UNHEALTHY_BELOW else "critical"


def score_style(score: float) -> str:
    """Colour of a score of 0 to 100."""
    return _BAND_STYLE[score_band(score)]
