"""What is asked of a survey, and the policy that stands for a workload that has none."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from trimtab.adapters.discovery import FoundWorkload
from trimtab.domain.choices import Sensitivity, TargetKind
from trimtab.domain.policy import PolicySpec

_STEPS_SECONDS: Final = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
_MOST_POINTS: Final = 2016
"""Samples a signal that a chosen step leaves: a week at five minutes."""
_LEAST_WINDOW_SECONDS: Final = 300.0
"""Window of a rate where the scrape interval is not known: two scrapes lie within for intervals up to 150 s."""
_SCRAPES_A_WINDOW: Final = 4
_FRESH_STEPS: Final = 3
_LEAST_FRESH_SECONDS: Final = 300.0
_SHORTEST_HISTORY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class SurveyOptions:
    """What is looked at, and how."""

    namespaces: tuple[str, ...] = ()
    """Names or globs; none stands for all."""
    selectors: tuple[str, ...] = ()
    """Globs of workload names; none stands for all."""
    history_seconds: float = 168 * 3600.0
    step_seconds: float | None = None
    """Step of the samples; None chooses one that gives at most 2,016 a signal, up to an hour."""
    horizon_seconds: float = 24 * 3600.0
    confidence_percent: int = 90
    sensitivity: Sensitivity = Sensitivity.MEDIUM
    time_zone: str = "UTC"
    """Zone of hours and weekdays, by its IANA name."""
    scrape_interval_seconds: float | None = None
    cpu_core_hour: float | None = None
    """Price; None takes the policy's default."""
    memory_gib_hour: float | None = None
    currency: str = "USD"

    @property
    def step(self) -> float:
        """Step of the samples in seconds.

        >>> SurveyOptions().step, SurveyOptions(history_seconds=86400).step, SurveyOptions(step_seconds=30).step
        (300.0, 60.0, 30)
        """
        if self.step_seconds is not None:
            return self.step_seconds
        fitting = (step for step in _STEPS_SECONDS if self.history_seconds / step <= _MOST_POINTS)
        return next(fitting, _STEPS_SECONDS[-1])

    @property
    def window_seconds(self) -> float:
        """Window of the CPU's rate: no sample is left out, and two scrapes lie within."""
        if self.scrape_interval_seconds is None:
            return max(self.step, _LEAST_WINDOW_SECONDS)
        return max(self.step, _SCRAPES_A_WINDOW * self.scrape_interval_seconds)

    def check(self) -> None:
        """Raises ValidationError for what no policy may have, naming the field."""
        self.spec(FoundWorkload("", TargetKind.DEPLOYMENT, "any", 1, ()))

    def selects(self, workload: FoundWorkload) -> bool:
        """Whether a workload is asked for by its name."""
        return not self.selectors or any(fnmatchcase(workload.name, glob) for glob in self.selectors)

    def spec(self, workload: FoundWorkload) -> PolicySpec:
        """The policy that stands for a workload: its load is its CPU usage. Raises ValidationError for an odd name."""
        prices = {"cpuCoreHour": self.cpu_core_hour, "memoryGiBHour": self.memory_gib_hour}
        fresh = max(_FRESH_STEPS * self.step, _LEAST_FRESH_SECONDS)
        return PolicySpec.model_validate(
            {
                "targetRef": {"kind": workload.kind, "name": workload.name},
                "analysis": {
                    "interval": self.step,
                    "history": self.history_seconds,
                    "sensitivity": self.sensitivity,
                    "timeZone": self.time_zone,
                },
                "forecast": {"horizon": self.horizon_seconds, "confidencePercent": self.confidence_percent},
                "guardrails": {
                    "maxDataAge": fresh,
                    "minHistory": min(_SHORTEST_HISTORY_SECONDS, self.history_seconds),
                },
                "cost": {name: price for name, price in prices.items() if price is not None}
                | {"currency": self.currency},
            }
        )
