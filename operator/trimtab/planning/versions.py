"""Versions of a workload: since when the present one runs alone, so that no sample of another teaches its capacity."""

from __future__ import annotations

import math

from trimtab.domain.objects import Workload
from trimtab.domain.status import VersionState


def followed(state: VersionState | None, workload: Workload, now: float) -> VersionState | None:
    """The version that runs now, and since when; one that was there at the first look counts as there for ever.

    A new one runs alone once its rollout was seen complete. An unknown one changes nothing.
    """
    if not workload.version:
        return state
    if state is None:
        return VersionState(digest=workload.version)
    if state.digest != workload.version:
        return VersionState(digest=workload.version, since=now, rolling=not workload.rolled_out)
    if state.rolling and workload.rolled_out:
        return VersionState(digest=workload.version, since=now)
    return state


def learns_from(state: VersionState | None, window_seconds: float) -> float | None:
    """Time from which samples are of the present version alone, whose rates reach back so far; None: all are.

    Infinite while it is rolled out.
    """
    if state is None or state.since is None:
        return None
    return math.inf if state.rolling else state.since + window_seconds


def too_new(state: VersionState | None, workload: Workload, now: float, min_history: float | None) -> str:
    """Why nothing is planned on what is known of the version that runs now; empty when enough is.

    Without ``min_history`` it is enough that what is known is not of another version.
    """
    if state is None or not workload.version:
        return ""
    if state.digest != workload.version:
        return "another version was deployed just now"
    if min_history is None:
        return ""
    if state.rolling:
        return "another version is being rolled out"
    if state.since is not None and now - state.since < min_history:
        return "another version was deployed: runs wait until guardrails.minHistory of its own samples is there"
    return ""
