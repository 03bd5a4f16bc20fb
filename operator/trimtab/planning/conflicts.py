"""Conflicts field by field: what somebody else claims is left to them, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind
from trimtab.domain.choices import ControlledValues
from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run_status import FieldChange
from trimtab.domain.scaling import ContainerPolicy, Vertical
from trimtab.domain.status import ConflictState, ContainerSize, PolicyStatus
from trimtab.planning import changes as fields
from trimtab.planning.ownership import claim
from trimtab.planning.rightsizing import policy_for

EVERYTHING: Final = "*"
_NO_HORIZONTAL: Final = "remove it, or take spec.horizontal out of this policy, which then changes resources only"
_NO_RUN: Final = "remove it, or let it: meanwhile no run of this policy may change replicas"
_VPA_OFF: Final = "set its updateMode to Off, or take what it controls out of spec.vertical of this policy"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that somebody else claims, by whom, and what to do about it."""

    path: str
    container: str
    owner: str
    remedy: str

    @property
    def state(self) -> ConflictState:
        """The same as status tells it."""
        return ConflictState(field=self.path, container=self.container, owner=self.owner)


def rival(older: str, trial: str) -> tuple[Conflict, ...]:
    """The conflict with an older policy, or with the trial of another one, on the same workload, if there is one."""
    if older:
        remedy = "it is older or tries something there; remove one of the two"
        return (Conflict(EVERYTHING, "", f"policy {older}", remedy),)
    if trial:
        remedy = f"its change is not proven; wait until it has ended, or trimtab abort {trial}"
        return (Conflict(EVERYTHING, "", f"run {trial} of another policy", remedy),)
    return ()


def scaler_of_replicas(autoscalers: Iterable[Autoscaler]) -> Autoscaler | None:
    """The autoscaler that sets replicas; of a ScaledObject and the HPA that it made, the former."""
    scaling = [one for one in autoscalers if one.replicas]
    return min(scaling, key=lambda one: (one.kind is not AutoscalerKind.SCALED_OBJECT, one.name), default=None)


@dataclass(frozen=True, slots=True)
class Claimants:
    """Who may claim fields of a policy's workload beside us."""

    spec: PolicySpec
    status: PolicyStatus
    workload: Workload
    autoscalers: tuple[Autoscaler, ...]
    unlisted: bool = False
    """Whether some kind of autoscalers could not be listed: then what one has written is taken for its claim."""

    def on_replicas(self) -> Conflict | None:
        """Who else sets replicas: an autoscaler, or a tool that owns the field.

        Once following has written, a tool's ownership counts only where it brought another value.
        """
        last, horizontal = self.status.scaling.last, self.spec.horizontal
        if (scaler := scaler_of_replicas(self.autoscalers)) is not None:
            return Conflict(fields.REPLICAS, "", scaler.title, _NO_RUN if horizontal is None else _NO_HORIZONTAL)
        follows = horizontal is not None and horizontal.follow
        if follows and last is not None and self.workload.replicas == last.to:
            return None
        return self._owned(fields.REPLICAS, "", self.workload.replicas_owner)

    def on_resource(self, path: str, container: str) -> Conflict | None:
        """Who else sets an amount of a container: a VPA, or a tool that owns the field."""
        for one in self.autoscalers:
            if one.sets(path, container):
                return Conflict(path, container, one.title, _VPA_OFF)
        return self._owned(path, container, fields.owner_of(self.workload, path, container))

    def on_changes(self, changes: Iterable[FieldChange]) -> tuple[Conflict, ...]:
        """Who else claims what would be changed; what is not replicas themselves is what they follow by."""
        found = (
            self.on_resource(change.path, change.container)
            if change.path.startswith(fields.RESOURCES)
            else self.on_replicas()
            for change in changes
        )
        return tuple(dict.fromkeys(conflict for conflict in found if conflict is not None))

    def on_policy(self) -> tuple[Conflict, ...]:
        """Every field that the policy may change and somebody else claims."""
        found = [self.on_replicas()] if self.spec.horizontal is not None else []
        for size in self.workload.containers:
            policy = policy_for(self.spec.vertical, size.name) if self.spec.vertical is not None else None
            if policy is not None:
                found += [self.on_resource(path, size.name) for path in _paths(policy, size)]
        return tuple(conflict for conflict in found if conflict is not None)

    def _owned(self, path: str, container: str, owner: FieldOwner | None) -> Conflict | None:
        found = claim(owner, unlisted=self.unlisted)
        return None if found is None else Conflict(path, container, *found)


def without_claimed(spec: PolicySpec, workload: Workload, conflicts: Iterable[Conflict]) -> PolicySpec:
    """The policy's spec with what is left to it."""
    taken = {(conflict.path, conflict.container) for conflict in conflicts}
    update: dict[str, object] = {}
    if (fields.REPLICAS, "") in taken:
        update["horizontal"] = None
    if spec.vertical is not None:
        update["vertical"] = _vertical(spec.vertical, workload, taken)
    return spec.model_copy(update=update)


def told(conflicts: Iterable[Conflict]) -> str:
    """All conflicts for a person, the fields of one owner together; empty where there are none."""
    by_owner: dict[tuple[str, str], list[str]] = {}
    for one in conflicts:
        name = f"{one.path} of container {one.container}" if one.container else one.path
        by_owner.setdefault((one.owner, one.remedy), []).append("the whole workload" if name == EVERYTHING else name)
    return "; ".join(
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} owned by {owner}; {remedy}"
        for (owner, remedy), names in by_owner.items()
    )


def _paths(policy: ContainerPolicy, size: ContainerSize) -> list[str]:
    """Paths of a container that a plan may change: limits only where there are some, and only with the requests."""
    paths = []
    for resource in policy.controlled_resources:
        request = getattr(size.requests, resource.value)
        limit = getattr(size.limits, resource.value)
        if request or limit:
            paths.append(f"resources.requests.{resource.value}")
        if limit and policy.controlled_values is not ControlledValues.REQUESTS_ONLY:
            paths.append(f"resources.limits.{resource.value}")
    return paths


def _vertical(vertical: Vertical, workload: Workload, taken: set[tuple[str, str]]) -> Vertical | None:
    """What is left of the bounds, container by container; None where nothing is."""
    left = []
    for size in workload.containers:
        policy = policy_for(vertical, size.name)
        if policy is None:
            continue
        free = [
            resource
            for resource in policy.controlled_resources
            if not any((f"resources.{group}.{resource.value}", size.name) in taken for group in ("requests", "limits"))
        ]
        if free:
            left.append(policy.model_copy(update={"container_name": size.name, "controlled_resources": free}))
    return vertical.model_copy(update={"container_policies": left}) if left else None
