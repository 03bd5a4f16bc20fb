"""What a policy lets users choose between."""

from __future__ import annotations

from enum import StrEnum


class TargetKind(StrEnum):
    """Kinds whose replicas and resources can be tuned."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Mode(StrEnum):
    """How far the operator may go."""

    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    APPROVE = "Approve"
    AUTO = "Auto"


ACTING = frozenset({Mode.APPROVE, Mode.AUTO})
"""Modes in which something may be changed."""


class StrategyName(StrEnum):
    """What a plan weighs most."""

    PERFORMANCE_FIRST = "PerformanceFirst"
    COST_EFFICIENCY = "CostEfficiency"
    BALANCED = "Balanced"
    RELIABILITY_FOCUSED = "ReliabilityFocused"


class OnNoTraffic(StrEnum):
    """What an objective without a value means while no traffic is seen."""

    MET = "Met"
    HOLD = "Hold"


class Sensitivity(StrEnum):
    """How readily an anomaly is called: each is a stated rate of false alarms."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class AnomalyKind(StrEnum):
    """What an anomaly looks like."""

    SPIKE = "Spike"
    DIP = "Dip"
    LEVEL_SHIFT = "LevelShift"
    TREND_CHANGE = "TrendChange"
    VARIANCE_CHANGE = "VarianceChange"
    CONTEXTUAL = "Contextual"
    COLLECTIVE = "Collective"


class Severity(StrEnum):
    """How much something matters, the least first."""

    INFO = "Info"
    WARNING = "Warning"
    CRITICAL = "Critical"


class SelectPolicy(StrEnum):
    """Which of several scaling policies counts, as in HPA v2."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScalingPolicyType(StrEnum):
    """Unit of a scaling policy's value."""

    PODS = "Pods"
    PERCENT = "Percent"


class UpdateMode(StrEnum):
    """How changed container resources reach the pods."""

    RECREATE = "Recreate"


class ControlledResource(StrEnum):
    """Resources that a container policy lets Trimtab set."""

    CPU = "cpu"
    MEMORY = "memory"


class ControlledValues(StrEnum):
    """Whether limits move with requests."""

    REQUESTS_AND_LIMITS = "RequestsAndLimits"
    REQUESTS_ONLY = "RequestsOnly"


class ForecastModel(StrEnum):
    """Which forecast model is used."""

    AUTO = "Auto"
    NONE = "None"
    SEASONAL_NAIVE = "SeasonalNaive"
    SEASONAL_LINEAR = "SeasonalLinear"
    EXPONENTIAL_SMOOTHING = "ExponentialSmoothing"
    THETA = "Theta"
    LAG_REGRESSION = "LagRegression"


class OnInconclusive(StrEnum):
    """What ends a trial whose evidence does not decide."""

    ROLLBACK = "Rollback"
    KEEP = "Keep"


class WithoutObjectives(StrEnum):
    """What the operator may try under a policy that names no objectives."""

    NONE = "None"
    GUARDS_ONLY = "GuardsOnly"


class OnStaleData(StrEnum):
    """What stale or missing metrics mean for the workload."""

    HOLD = "Hold"
    FOLLOW_FORECAST = "FollowForecast"


class OnFieldConflict(StrEnum):
    """What another controller's claim on a field means."""

    STOP = "Stop"
