"""Strategies: parameters of the one planner, not planners of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trimtab.domain.choices import StrategyName


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a plan weighs: all shares are fractions of 1."""

    name: StrategyName
    demand_quantile: float
    """Quantile of the forecast's peak that capacity is provided for."""
    headroom: float
    """Spare capacity above that quantile."""
    utilisation_target: float
    """CPU usage over CPU size that stands in for a capacity until one is learned."""
    capacity_probability: float
    """One-sided probability that objectives hold at the capacity used."""
    memory_margin: float
    """Memory requested above the largest working set seen."""
    min_saving: float
    """Smaller savings start no run."""
    min_replicas: int
    """Replicas below which this strategy never plans."""


_TABLE: Final = (
    Strategy(StrategyName.PERFORMANCE_FIRST, 0.95, 0.30, 0.50, 0.95, 0.30, 0.20, 1),
    Strategy(StrategyName.BALANCED, 0.90, 0.15, 0.60, 0.90, 0.20, 0.10, 1),
    Strategy(StrategyName.COST_EFFICIENCY, 0.80, 0.05, 0.70, 0.80, 0.15, 0.05, 1),
    Strategy(StrategyName.RELIABILITY_FOCUSED, 0.99, 0.25, 0.50, 0.975, 0.30, 0.20, 2),
)
STRATEGIES: Final = {strategy.name: strategy for strategy in _TABLE}
