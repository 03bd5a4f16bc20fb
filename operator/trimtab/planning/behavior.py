"""Pace of replicas as the HPA (autoscaling/v2) keeps it: stabilisation windows and scaling policies.

The semantics are those of ``pkg/controller/podautoscaler/horizontal.go`` of Kubernetes: recommendations of the past
window are kept, scaling down takes the largest of them and scaling up the smallest; then policies bound the change a
period, counted from what was scaled in that period. State goes in and comes out as small immutable values. Shares are
computed in whole numbers, so that 10 % of 80 is 8 on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from trimtab.domain.choices import ScalingPolicyType, SelectPolicy
from trimtab.domain.scaling import Behavior, ScalingPolicy, ScalingRules

UP_WINDOW_SECONDS, DOWN_WINDOW_SECONDS = 0, 300
_UP_POLICIES = (
    ScalingPolicy(type=ScalingPolicyType.PERCENT, value=100, period_seconds=15),
    ScalingPolicy(type=ScalingPolicyType.PODS, value=4, period_seconds=15),
)
_DOWN_POLICIES = (ScalingPolicy(type=ScalingPolicyType.PERCENT, value=100, period_seconds=15),)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Replicas that were recommended at a time (unix seconds), before stabilisation."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """A change of replicas that was written at a time (unix seconds); negative when they were removed."""

    at: float
    change: int


@dataclass(frozen=True, slots=True)
class BehaviorState:
    """What pacing remembers; empty after a start."""

    wanted: tuple[Wanted, ...] = ()
    scaled: tuple[Scaled, ...] = ()


@dataclass(frozen=True, slots=True)
class Paced:
    """Replicas allowed now, what held them back (empty when nothing did), and the state with this recommendation."""

    replicas: int
    limited_by: str
    state: BehaviorState


def pace(
    state: BehaviorState, behavior: Behavior, now: float, current: int, wanted: int, *, urgent: bool = False
) -> Paced:
    """Replicas to set now (``now`` in unix seconds) when ``wanted`` are recommended and ``current`` are asked for.

    ``urgent`` skips the stabilisation of scaling up, never a policy. Bounds are the caller's. Where nothing was
    recommended within the windows (after a start, or a gap in the data), the present count counts as recommended now,
    as in the HPA: nothing is removed until a window has been seen.

    >>> pace(BehaviorState(), Behavior(), 0.0, current=3, wanted=20).replicas
    7
    >>> pace(BehaviorState(), Behavior(), 0.0, current=20, wanted=3).replicas
    20
    """
    up_window = _or(behavior.scale_up.stabilization_window_seconds, UP_WINDOW_SECONDS)
    down_window = _or(behavior.scale_down.stabilization_window_seconds, DOWN_WINDOW_SECONDS)
    longest = max(up_window, down_window)
    past = tuple(entry for entry in state.wanted if now - longest < entry.at <= now) or (Wanted(now, current),)
    lowest = min([wanted, *(entry.replicas for entry in past if not urgent and entry.at > now - up_window)])
    highest = max([wanted, *(entry.replicas for entry in past if entry.at > now - down_window)])
    stable = min(max(current, lowest), highest)
    limited_by = ""
    if stable != wanted:
        window, side = (down_window, "scaleDown") if wanted < current else (up_window, "scaleUp")
        limited_by = f"{side} stabilisation over {window} s"
    allowed = _by_policies(state, behavior, now, current, stable)
    if allowed != stable:
        limited_by = f"{'scaleUp' if stable > current else 'scaleDown'} policies"
    return Paced(allowed, limited_by, _pruned(state, behavior, now, (*past, Wanted(now, wanted)), longest))


def scaled(state: BehaviorState, now: float, before: int, after: int) -> BehaviorState:
    """The state once a change of replicas was written at ``now``."""
    return state if before == after else replace(state, scaled=(*state.scaled, Scaled(now, after - before)))


def _by_policies(state: BehaviorState, behavior: Behavior, now: float, current: int, stable: int) -> int:
    if stable > current:
        limit = _limit(behavior.scale_up, _UP_POLICIES, state, now, current, up=True)
        return min(stable, max(limit, current))
    if stable < current:
        limit = _limit(behavior.scale_down, _DOWN_POLICIES, state, now, current, up=False)
        return max(stable, min(limit, current))
    return current


def _limit(
    rules: ScalingRules,
    defaults: Sequence[ScalingPolicy],
    state: BehaviorState,
    now: float,
    current: int,
    *,
    up: bool,
) -> int:
    """The farthest count that the selected policy allows."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies or defaults:
        in_period = [event.change for event in state.scaled if now - policy.period_seconds < event.at <= now]
        at_start = current - sum(in_period)
        if policy.type is ScalingPolicyType.PODS:
            limits.append(at_start + policy.value if up else at_start - policy.value)
        else:
            # Rounded away from the present count: ten per cent of 72 lets eight go.
            limits.append(-(-at_start * (100 + policy.value) // 100) if up else at_start * (100 - policy.value) // 100)
    farthest: Callable[[list[int]], int] = max if up == (rules.select_policy is SelectPolicy.MAX) else min
    return max(farthest(limits), 0)


def _pruned(
    state: BehaviorState, behavior: Behavior, now: float, wanted: tuple[Wanted, ...], longest: float
) -> BehaviorState:
    policies = (*behavior.scale_up.policies, *behavior.scale_down.policies, *_UP_POLICIES)
    period = max(policy.period_seconds for policy in policies)
    return BehaviorState(
        wanted=tuple(entry for entry in wanted if now - longest < entry.at),
        scaled=tuple(event for event in state.scaled if now - period < event.at <= now),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
