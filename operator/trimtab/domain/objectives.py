"""What a policy measures: the workload, its signals, and the thresholds that its metrics must hold."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trimtab.domain.choices import OnNoTraffic, TargetKind
from trimtab.domain.printable import PRINTABLE
from trimtab.domain.rules import Rule, SpecModel
from trimtab.domain.series import FloatArray
from trimtab.domain.units import Duration, Quantity

_QUERY = r"^([^$]|\$(namespace|target|pods|container|window)\b|\$[^a-zA-Z_]|\$$)*$"
_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_MATCHED = r"""["']?\s*=~?\s*["'`]\$target["'`]"""

_QUERY_RULES = (
    Rule(
        "query has a variable that is not filled in; known are $namespace, $target, $pods, $container and $window"
        " ($__rate_interval of Grafana is $window here)",
        cel=f"self.query.matches(r'{_QUERY}')",
        holds=lambda q: re.fullmatch(_QUERY, q.query, re.ASCII) is not None,
        field=".query",
    ),
    Rule(
        "targetLabel {targetLabel} is not matched with $target in query;"
        ' write {targetLabel}="$target" in its selectors, or leave targetLabel out',
        cel=f"!has(self.targetLabel) || !self.targetLabel.matches(r'{_LABEL}')"
        rf" || self.query.matches(r'\b' + self.targetLabel + r'''{_MATCHED}''')",
        holds=lambda q: q.target_label is None or re.search(rf"\b{q.target_label}{_MATCHED}", q.query) is not None,
        field=".targetLabel",
    ),
)
THRESHOLD_RULE = Rule(
    "objective {name} needs exactly one of max and min as its threshold; set one, leave out the other",
    cel="has(self.max) != has(self.min)",
    holds=lambda o: (o.max is None) != (o.min is None),
)


class TargetRef(SpecModel):
    """The workload that this policy tunes."""

    api_version: str = Field("apps/v1", pattern=r"^apps/v1$", max_length=32)
    """API version of the workload: apps/v1."""
    kind: TargetKind
    """Kind of the workload."""
    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """Name of the workload, in the policy's own namespace."""


class MetricQuery(SpecModel):
    """A PromQL query for one signal of the workload."""

    rules: ClassVar = _QUERY_RULES

    query: str = Field(min_length=1, max_length=4096, pattern=r"\S")
    """PromQL. $namespace, $target, $pods, $container and $window are filled in, escaped."""
    target_label: str | None = Field(None, max_length=128, pattern=_LABEL)
    """Label that query matches with $target: lets one grouped query serve all policies that share it."""
    unit: str = Field("", max_length=32, pattern=PRINTABLE)
    """Unit shown with the values, such as requests/s."""


class Metrics(SpecModel):
    """Where signals come from. Defaults fit kube-prometheus (cAdvisor and kube-state-metrics)."""

    load: MetricQuery | None = None
    """Demand on the workload, such as requests a second. Absent: its CPU usage in cores."""
    cpu: MetricQuery | None = None
    """Override of CPU usage in cores; grouped by container."""
    memory: MetricQuery | None = None
    """Override of memory working set in bytes a pod; grouped by container."""


class Slo(SpecModel):
    """How much of the time an objective must hold: the rest is its error budget."""

    target_percent: Quantity = Field(ge=50, le=99.999)
    """Share of the time within the threshold, in percent: "99.5"."""
    window: Duration = Field("720h", validate_default=True, ge=3600, le=2160 * 3600)
    """Rolling window over which the share is taken."""


class Objective(SpecModel):
    """A threshold that the workload's own metric must hold."""

    rules: ClassVar = (THRESHOLD_RULE, *_QUERY_RULES)

    name: str = Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the objective, unique in the policy."""
    query: str = Field(min_length=1, max_length=4096, pattern=r"\S")
    """PromQL whose one value is compared with the threshold; $namespace, $target, $pods, $container and $window
    are filled in, escaped."""
    target_label: str | None = Field(None, max_length=128, pattern=_LABEL)
    """Label that query matches with $target: lets one grouped query serve all policies that share it."""
    max: Quantity | None = None
    """The value must stay at or below this, in the query's own unit: 250m or "0.25", in quotes, are a quarter."""
    min: Quantity | None = None
    """The value must stay at or above this, in the query's own unit: 999m and "0.999", in quotes, are the same."""
    critical: bool = False
    """One critical failure fails a validation."""
    weight: int = Field(1, ge=1, le=100)
    """Share of this objective in scores."""
    slo: Slo | None = None
    """How much of the time it must hold: gives an error budget, burn rates and early warnings."""
    on_no_traffic: OnNoTraffic = OnNoTraffic.MET
    """What no value means while no load is seen: Met lets an idle service shrink, Hold does not."""

    @property
    def threshold(self) -> float:
        """The bound, whichever side it is on."""
        bound = self.max if self.max is not None else self.min
        assert bound is not None, "the rules keep an objective without a threshold out"
        return bound

    def violated(self, value: float, tolerance: float = 0.0) -> bool:
        """Whether a finite value is beyond the threshold by more than the relative tolerance."""
        if self.max is not None:
            return value > self.max * (1 + tolerance)
        return value < self.threshold * (1 - tolerance)

    def beyond(self, values: FloatArray) -> NDArray[np.bool_]:
        """Which values are beyond the threshold, same shape; missing ones are not."""
        with np.errstate(invalid="ignore"):
            return np.asarray(values > self.max if self.max is not None else values < self.threshold)
