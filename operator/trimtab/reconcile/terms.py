"""When another operator acts in a namespace: its writes are read before ours, and what we knew is forgotten after."""

from __future__ import annotations

from trimtab.adapters.kube import KubeError
from trimtab.adapters.lease_keeper import Term
from trimtab.reconcile.services import Services
from trimtab.reconcile.world import World, is_newer


async def take_over(services: Services, world: World, term: Term) -> None:
    """Read policies and runs again that another operator may have written; raises KubeError.

    What a watch has told meanwhile is newer than the list; what has gone since, a watch tells, or its own reading.
    """
    namespace, resources = term.covers or None, services.resources
    runs, policies = await resources.runs(namespace), await resources.policies(namespace)
    for policy in policies:
        try:
            found = policy if policy.key in world.policies else await resources.policy(*policy.key)
        except KubeError as error:
            if not error.not_found:
                raise
            continue
        known = world.policies.get(policy.key)
        if known is None or not is_newer(known, found):
            world.policies[policy.key] = found
    for run in runs:
        seen = world.runs.get(run.key)
        if seen is None or not is_newer(seen, run):
            world.runs[run.key] = run


def hand_over(services: Services, world: World, term: Term) -> None:
    """Forget samples and figures of a namespace that another operator looks after."""
    ours = {policy.key: policy.uid for policy in world.policies.values() if term.covers_namespace(policy.namespace)}
    services.metrics.forget(ours.values())
    services.telemetry.keep_only(world.policies.keys() - ours.keys())
