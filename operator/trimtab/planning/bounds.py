"""Bounds: whether a change leaves what the policy allows for a value."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab.domain.policy import PolicySpec
from trimtab.domain.run_status import FieldChange
from trimtab.domain.units import format_cpu, format_memory, parse_quantity
from trimtab.planning import changes as fields
from trimtab.planning.rightsizing import policy_for

_FLOOR = "operatingPoint.minReplicas"


def beyond(spec: PolicySpec, changes: Iterable[FieldChange], *, nearer_is_well: bool = False) -> str:
    """The first change beyond a bound of the policy, with value and bound; empty when there is none.

    Where the policy states no bound there is nothing to be beyond. ``nearer_is_well``: a plan may come nearer in steps.
    """
    for change in changes:
        for bound, name, upper in _limits(spec, change):
            limit, to, before = parse_quantity(bound), fields.amount(change.to), fields.amount(change.from_)
            outside = to > limit if upper else to < limit
            nearer = bool(change.from_) and (limit < to < before if upper else before < to < limit)
            if change.to and outside and not (nearer and nearer_is_well):
                where = f" of container {change.container}" if change.container else ""
                return f"{change.path}{where}: {change.to} is {'above' if upper else 'below'} {name} {bound}"
    return ""


def _limits(spec: PolicySpec, change: FieldChange) -> list[tuple[str, str, bool]]:
    """(bound, its name, whether it is an upper one), written as a plan writes values."""
    horizontal = spec.horizontal
    if change.path in (fields.REPLICAS, _FLOOR):
        if horizontal is None:
            return []
        ceiling = (str(horizontal.max_replicas), "horizontal.maxReplicas", True)
        floor = (str(horizontal.min_replicas), "horizontal.minReplicas", False)
        return [ceiling] if change.path == _FLOOR else [ceiling, floor]
    policy = policy_for(spec.vertical, change.container) if spec.vertical is not None else None
    if policy is None or not change.path.startswith("resources.requests."):
        return []
    cpu = change.path.endswith(".cpu")
    written = format_cpu if cpu else format_memory
    found = []
    for allowed, name, upper in ((policy.max_allowed, "maxAllowed", True), (policy.min_allowed, "minAllowed", False)):
        bound = allowed.cpu if cpu else allowed.memory
        if bound is not None:
            found.append((written(bound), f"{name}.{'cpu' if cpu else 'memory'}", upper))
    return found
