"""What a policy may change: bounds and pace of replicas, bounds of container resources."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from trimtab.domain.choices import (
    ControlledResource,
    ControlledValues,
    ScalingPolicyType,
    SelectPolicy,
    UpdateMode,
)
from trimtab.domain.rules import Rule, SpecModel, list_map, of_quantities
from trimtab.domain.units import Quantity


class ScalingPolicy(SpecModel):
    """At most this much change in this long, as in HPA v2."""

    type: ScalingPolicyType
    """Pods or Percent of the replicas at the period's start."""
    value: int = Field(ge=1, le=100_000)
    """How many pods, or how many percent."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of the period in seconds."""


class ScalingRules(SpecModel):
    """How fast replicas may move in one direction, as in HPA v2."""

    stabilization_window_seconds: int | None = Field(None, ge=0, le=3600)
    """Past recommendations looked back at, so that replicas do not flap. Default 0 up, 300 down."""
    select_policy: SelectPolicy = SelectPolicy.MAX
    """Which policy counts when several are given."""
    policies: list[ScalingPolicy] = Field(default_factory=list, max_length=10)
    """Rate limits. Default up: 100 % or 4 pods a 15 s; down: 100 % a 15 s."""


class Behavior(SpecModel):
    """Pace of following, as in HPA v2."""

    scale_up: ScalingRules = ScalingRules()
    """Pace of adding replicas."""
    scale_down: ScalingRules = ScalingRules()
    """Pace of removing replicas."""


class Horizontal(SpecModel):
    """Bounds and pace for replicas."""

    rules: ClassVar = (
        Rule(
            "minReplicas {minReplicas} is above maxReplicas {maxReplicas}; lower it or raise maxReplicas",
            cel="self.minReplicas <= self.maxReplicas",
            holds=lambda h: h.min_replicas <= h.max_replicas,
            field=".minReplicas",
        ),
    )

    min_replicas: int = Field(1, ge=1, le=10_000)
    """Floor of the replica count."""
    max_replicas: int = Field(ge=1, le=10_000)
    """Ceiling of the replica count."""
    follow: bool = True
    """Replicas follow demand between runs; false: only runs change them."""
    behavior: Behavior = Behavior()
    """Pace of following."""


LEAST_CORES, MOST_CORES = 0.001, 10_000
LEAST_BYTES, MOST_BYTES = 2**20, 2**46
"""A container has more of nothing than the largest machines, with room for years."""


class ResourceAmounts(SpecModel):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = Field(None, ge=LEAST_CORES, le=MOST_CORES)
    """CPU in cores, such as 250m or 2."""
    memory: Quantity | None = Field(None, ge=LEAST_BYTES, le=MOST_BYTES)
    """Memory in bytes, such as 64Mi or 4Gi."""


def _at_most(lower: float | None, upper: float | None) -> bool:
    return lower is None or upper is None or lower <= upper


class ContainerPolicy(SpecModel):
    """Bounds for one container's resources, as in VPA."""

    rules: ClassVar = (
        Rule(
            "minAllowed.cpu {minAllowed.cpu} is above maxAllowed.cpu {maxAllowed.cpu};"
            " lower it or raise maxAllowed.cpu",
            cel=of_quantities("{}.compareTo({}) <= 0", "minAllowed.cpu", "maxAllowed.cpu"),
            holds=lambda p: _at_most(p.min_allowed.cpu, p.max_allowed.cpu),
            field=".minAllowed.cpu",
        ),
        Rule(
            "minAllowed.memory {minAllowed.memory} is above maxAllowed.memory {maxAllowed.memory};"
            " lower it or raise maxAllowed.memory",
            cel=of_quantities("{}.compareTo({}) <= 0", "minAllowed.memory", "maxAllowed.memory"),
            holds=lambda p: _at_most(p.min_allowed.memory, p.max_allowed.memory),
            field=".minAllowed.memory",
        ),
    )

    container_name: str = Field("*", min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")
    """Name of the container, or * for all that have no policy of their own."""
    min_allowed: ResourceAmounts = ResourceAmounts()
    """Requests never go below this."""
    max_allowed: ResourceAmounts = ResourceAmounts()
    """Requests never go above this."""
    controlled_resources: list[ControlledResource] = Field(
        default_factory=lambda: list(ControlledResource),
        min_length=1,
        max_length=2,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    """Resources that may be set."""
    controlled_values: ControlledValues = ControlledValues.REQUESTS_AND_LIMITS
    """Whether limits move in proportion with requests."""


class Vertical(SpecModel):
    """Bounds for container resources."""

    rules: ClassVar = (
        Rule(
            "containerPolicies has a containerName twice; keep one policy for each container",
            holds=lambda v: len({p.container_name for p in v.container_policies}) == len(v.container_policies),
        ),
    )

    update_mode: UpdateMode = UpdateMode.RECREATE
    """How changes reach the pods: Recreate rolls the workload."""
    container_policies: list[ContainerPolicy] = Field(
        default_factory=lambda: [ContainerPolicy(container_name="*")],
        min_length=1,
        max_length=32,
        json_schema_extra=list_map("containerName"),
    )
    """Bounds by container."""
