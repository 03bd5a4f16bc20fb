"""What the watches have told: policies and runs by name, and which of them share a workload."""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.adapters.resources import FINALIZER
from trimtab.domain.choices import TargetKind
from trimtab.domain.objects import Policy, Run
from trimtab.domain.policy import PolicySpec

Key = tuple[str, str]
"""(namespace, name)."""
TargetKey = tuple[str, TargetKind, str]


def target_of(policy: Policy) -> TargetKey | None:
    """The workload that a policy names; None when its spec cannot be used."""
    if not isinstance(policy.spec, PolicySpec):
        return None
    return policy.namespace, policy.spec.target_ref.kind, policy.spec.target_ref.name


def is_held(run: Run) -> bool:
    """Whether our finalizer is on a run; on one that has ended, a kill came between its end and letting go of it."""
    return FINALIZER in run.finalizers


@dataclass(slots=True)
class World:
    """An index of watched objects. It is told by events and forgets nothing by itself."""

    policies: dict[Key, Policy] = field(default_factory=dict)
    runs: dict[Key, Run] = field(default_factory=dict)

    def runs_by_policy(self) -> dict[Key, tuple[Run, ...]]:
        """Runs of each policy by its (namespace, name), oldest first."""
        found: dict[Key, list[Run]] = {}
        for run in sorted(self.runs.values(), key=lambda run: (run.created_at, run.name)):
            found.setdefault((run.namespace, run.policy_name), []).append(run)
        return {key: tuple(runs) for key, runs in found.items()}

    def orphans(self) -> tuple[Run, ...]:
        """Runs whose policy is gone but which still have something to end."""
        return tuple(
            run
            for run in self.runs.values()
            if (run.namespace, run.policy_name) not in self.policies and (not run.finished or is_held(run))
        )

    def rivals(self) -> dict[str, str]:
        """Name of the older policy on the same workload, by uid of each policy that must stand back."""
        by_target: dict[TargetKey, list[Policy]] = {}
        for policy in self.policies.values():
            target = target_of(policy)
            if target is not None:
                by_target.setdefault(target, []).append(policy)
        found: dict[str, str] = {}
        for policies in by_target.values():
            first, *others = sorted(policies, key=lambda policy: (policy.created_at, policy.name))
            found.update({other.uid: first.name for other in others})
        return found
