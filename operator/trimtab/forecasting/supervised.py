"""Supervised: what is remembered about a forecast from round to round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from trimtab.forecasting.contenders import Contender
from trimtab.forecasting.drift import DriftDetector, DriftKind
from trimtab.forecasting.issued import LiveAccuracy, Records
from trimtab.forecasting.remedy import Mend, Training
from trimtab.forecasting.state import longest_period

MOST_CHANGES = 20


class DriftPhase(StrEnum):
    """How a forecast stands against drift."""

    NONE = "None"
    WARNING = "Warning"
    DRIFTED = "Drifted"
    RECOVERING = "Recovering"


@dataclass(frozen=True, slots=True)
class DriftState:
    """Whether the demand still behaves as the model learned it."""

    state: DriftPhase
    kind: DriftKind | None
    since: float | None
    """Unix seconds of the first sample after the change, as estimated."""
    message: str


class ChangeCause(StrEnum):
    """Why another model forecasts."""

    SELECTION = "Selection"
    DRIFT = "Drift"


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One change of the model that forecasts."""

    at: float
    from_: str
    to: str
    reason: str
    cause: ChangeCause


@dataclass(frozen=True, slots=True)
class Episode:
    """One drift, from its detection to the end of the trial of challengers."""

    kind: DriftKind
    earliest: float
    """When the errors changed, by the detector."""
    change: float
    """When the demand did, by what mends the history best; the former as long as nothing does."""
    seen_at: float
    until: float
    period_seconds: float
    before: Training
    """What the champion learned from when the drift came."""
    mend: Mend | None
    mended_at: float
    """When a mend was last looked for."""
    remedied: bool
    settled: bool
    """Whether the error is back where it was."""


@dataclass(frozen=True, slots=True, eq=False)
class Supervised:
    """What is handed from round to round: the champion, its challengers and how they fare; below 150 kB."""

    asked: str
    step_seconds: float
    lead_steps: int
    """The lead that is judged."""
    confidence: float
    champion: Contender
    challengers: tuple[Contender, ...]
    """At most two: one learns from a mended history, one from the samples after the drift only."""
    fallback: str | None
    """SeasonalNaive or LastValue while it stands in for the champion."""
    near: DriftDetector
    far: DriftDetector
    records: Records
    judged_until: float
    usual: float
    """Far error over its expected size, as it is without drift; NaN until known."""
    episode: Episode | None
    drift: DriftState
    changes: tuple[ModelChange, ...]
    """The newest 20, oldest first."""

    @property
    def live(self) -> LiveAccuracy:
        """How forecasts fared lately on samples that came after them."""
        return self.records.accuracy(self.lead_steps * self.step_seconds, self.confidence)

    @property
    def period_seconds(self) -> float:
        """The longest season of the champion, or of the one that the drift met; 0 for none."""
        found = longest_period(self.champion.fitted.seasons) if self.champion.fitted is not None else 0.0
        return found or (self.episode.period_seconds if self.episode is not None else 0.0)

    @property
    def name(self) -> str:
        """The model that forecasts, and what it learned from when that is not the whole history."""
        if self.fallback is not None:
            return self.fallback
        return self.champion.label


def noted(state: Supervised, change: ModelChange) -> Supervised:
    """``state`` with one more change; a selection replaces the one before it, so that drifts stay in sight."""
    changes = state.changes
    if changes and change.cause is ChangeCause.SELECTION is changes[-1].cause:
        change = replace(change, from_=changes[-1].from_)
        changes = changes[:-1]
    if change.from_ != change.to:
        changes = (*changes, change)
    return replace(state, changes=changes[-MOST_CHANGES:])


STEADY = DriftState(DriftPhase.NONE, None, None, "forecasts err as they always did")
