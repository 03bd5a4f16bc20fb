"""What the watches have told: policies and runs by name, and which of them share a workload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trimtab.adapters.promql_scope import Scope
from trimtab.adapters.signals_requests import query_faults, scope_faults
from trimtab.domain.choices import ACTING, TargetKind
from trimtab.domain.objects import InvalidSpec, Policy, Run
from trimtab.domain.policy import PolicySpec
from trimtab.reconcile.calling_off import has_to_do

Key = tuple[str, str]
"""(namespace, name)."""
TargetKey = tuple[str, TargetKind, str]


def target_of(policy: Policy) -> TargetKey | None:
    """The workload that a policy names; None when its spec cannot be used."""
    if not isinstance(policy.spec, PolicySpec):
        return None
    return policy.namespace, policy.spec.target_ref.kind, policy.spec.target_ref.name


def fault_of(policy: Policy, scope: Scope) -> str:
    """What is wrong with a spec that schema and CEL let through; empty when it can be used.

    ``scope`` says whose series its queries may read.
    """
    if isinstance(policy.spec, InvalidSpec):
        return policy.spec.message
    faults = (*query_faults(policy.spec).values(), *scope_faults(policy.spec, policy.namespace, scope))
    return next(iter(faults), "")


def is_newer(one: Policy | Run, other: Policy | Run) -> bool:
    """Whether one state of an object comes after another state of it; versions that are no numbers cannot tell."""
    numbers = one.resource_version, other.resource_version
    return one.uid == other.uid and all(map(str.isdigit, numbers)) and int(numbers[0]) > int(numbers[1])


@dataclass(frozen=True, slots=True)
class Rivals:
    """Other policies on one workload that may act; all but the oldest stand back."""

    older: str = ""
    """The one that acts in this policy's place."""
    younger: tuple[str, ...] = ()
    """Those that stand back for this policy."""
    trial: str = ""
    """The run of another policy, which may be gone, whose change is on the workload and not proven."""


@dataclass(slots=True)
class World:
    """An index of watched objects. It is told by events and forgets nothing by itself."""

    policies: dict[Key, Policy] = field(default_factory=dict)
    runs: dict[Key, Run] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    """Whose series policies may read."""

    def note(self, run: Run, driven: Run | None) -> None:
        """A run as it is after it was driven; None when it is gone. What a watch told since then stands."""
        if driven is None:
            self.runs.pop(run.key, None)
        elif (known := self.runs.get(driven.key)) is None or not is_newer(known, driven):
            self.runs[driven.key] = driven

    def as_now(self, runs: tuple[Run, ...]) -> tuple[Run, ...]:
        """Runs as they are known now, without those that are gone."""
        return tuple(now for run in runs if (now := self.runs.get(run.key)) is not None)

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
            if (run.namespace, run.policy_name) not in self.policies and has_to_do(run)
        )

    def rivals(self) -> dict[str, Rivals]:
        """Who else may act on the same workload, by uid of each policy that may act itself and is not alone.

        A policy that cannot be used or only recommends is nobody's rival, once what it had on trial is ended. One that
        is paused stays: a pause hands the workload to nobody. What is on trial there is nobody else's to change,
        whatever became of its policy.
        """
        trials: dict[tuple[str, str, str], list[Run]] = {}
        for run in self.runs.values():
            if (where := _on_trial(run)) is not None:
                trials.setdefault(where, []).append(run)
        trying = {(run.namespace, run.policy_name) for run in self.runs.values() if run.phase.unproven}
        by_target: dict[TargetKey, list[Policy]] = {}
        for policy in self.policies.values():
            target = target_of(policy)
            if target is not None:
                by_target.setdefault(target, []).append(policy)
        found: dict[str, Rivals] = {}
        for target, policies in by_target.items():
            there = trials.get(target, [])
            if len(policies) < 2 and not _of_others(there, policies[0]):
                continue  # queries are parsed only where that decides something
            acting = [policy for policy in policies if policy.key in trying or _may_act(policy, self.scope)]
            if not acting or (len(acting) < 2 and not _of_others(there, acting[0])):
                continue
            mine = {(run.namespace, run.policy_name) for run in there}  # whoever tries something there goes first
            first, *others = sorted(acting, key=lambda one: (one.key not in mine, one.created_at, one.name))
            found[first.uid] = Rivals(younger=tuple(other.name for other in others), trial=_of_others(there, first))
            found.update({one.uid: Rivals(older=first.name, trial=_of_others(there, one)) for one in others})
        return found

    def trial_beside(self, policy: Policy) -> str:
        """The run of another policy whose unproven change is on a policy's workload right now; empty without one."""
        target = target_of(policy)
        if target is None:
            return ""
        return _of_others((run for run in self.runs.values() if _on_trial(run) == target), policy)


def _on_trial(run: Run) -> tuple[str, str, str] | None:
    """The workload that the unproven change of a run is on."""
    applied = run.status.applied
    return (run.namespace, applied.kind, applied.name) if run.phase.unproven and applied is not None else None


def _of_others(trials: Iterable[Run], policy: Policy) -> str:
    return next((run.name for run in trials if run.policy_name != policy.name), "")


def _may_act(policy: Policy, scope: Scope) -> bool:
    """Whether a policy's mode lets it change the workload, and its spec can be used."""
    return isinstance(policy.spec, PolicySpec) and policy.spec.mode in ACTING and not fault_of(policy, scope)
