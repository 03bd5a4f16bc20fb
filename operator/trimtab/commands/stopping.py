"""Stopping the whole fleet and letting it go on, and runs that nobody is there to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.adapters.leases import switches_read
from trimtab.adapters.resources import FINALIZER, Resources
from trimtab.adapters.switch import (
    AT,
    BY,
    PAUSED,
    REASON,
    RESUMED,
    SWITCH,
    UNREAD,
    parse_switch,
    switch_path,
    who_am_i,
    write_switch,
)
from trimtab.commands.shell import RefusedError
from trimtab.domain.objects import Policy, Run
from trimtab.domain.status import ConditionType


async def pause_all(kube: KubeClient, namespace: str, reason: str) -> str:
    """Turn the switch on; what to tell. Raises KubeError, and RefusedError where no operator reads it."""
    entries = {PAUSED: "true", REASON: reason or None, BY: await who_am_i(kube), AT: _now()}
    made = await write_switch(kube, namespace, entries)
    told = f"everything is paused by ConfigMap {namespace}/{SWITCH}; trimtab resume --all to go on"
    return told + await _heard(kube, namespace, "nothing is paused", made=made)


async def resume_all(kube: KubeClient, namespace: str, *, everything: bool, fleet: bool) -> str:
    """Turn the switch off, forget the failures that stopped trials, or both; what to tell.

    Raises KubeError, and RefusedError where no operator reads the switch.
    """
    entries: dict[str, str | None] = {}
    told = []
    if everything:
        entries |= {PAUSED: "false", REASON: None, BY: await who_am_i(kube), AT: _now()}
        told.append("everything goes on")
    if fleet:
        entries[RESUMED] = _now()
        told.append("new trials begin again")
    made = await write_switch(kube, namespace, entries)
    heard = await _heard(kube, namespace, "nothing goes on by that", made=made)
    return f"{' and '.join(told)}: ConfigMap {namespace}/{SWITCH}{heard}"


async def _heard(kube: KubeClient, namespace: str, otherwise: str, *, made: bool) -> str:
    """What to add to what was told: who else acts and reads another switch, or that this could not be seen.

    Raises RefusedError where no operator reads this one, as far as that can be seen.
    """
    switch = f"{namespace}/{SWITCH}"
    try:
        read = await switches_read(kube, switch, time.time())
    except KubeError as error:
        unseen = f"whether an operator reads {switch} could not be seen ({error}); trimtab get -A shows it in STATUS"
        if made:  # the chart makes it where its operator is
            raise RefusedError(f"{otherwise} for certain: the ConfigMap was not there and is now; {unseen}") from error
        return f"\n{unseen}"
    others = ", ".join(sorted(read - {switch, ""}))
    if switch in read:
        return f"\noperators that read {others} instead are not told" if others else ""
    if "" in read:
        return f"\nan operator does not say whether it reads {switch}; trimtab get -A shows it in STATUS"
    remedy = f"those that act read {others}: name its namespace by --switch-namespace" if others else "none acts"
    raise RefusedError(f"{otherwise}: no operator reads ConfigMap {switch}, which is set for one that will; {remedy}")


async def stopped(kube: KubeClient, namespace: str, policies: Sequence[Policy]) -> list[str]:
    """What stands above all policies: that everything is paused, and that too many trials failed."""
    lines = []
    seen = [_message(policy, ConditionType.READY) for policy in policies]
    told = UNREAD  # by the operator alone
    try:
        lines.append(parse_switch(await kube.get(switch_path(namespace))).paused)
    except KubeError:  # not there, or not this person's to read: what the operator saw of it is in each policy
        told = "everything is paused"
    lines.append(next((text for text in seen if text.startswith(told)), ""))
    failed = (_message(policy, ConditionType.FLEET_PAUSED, "True") for policy in policies)
    lines.append(next(filter(None, failed), ""))
    return [line for line in lines if line]


async def release_runs(resources: Resources, namespace: str, name: str | None) -> list[str]:
    """Take the finalizer off runs that are being deleted, one or all of a namespace; what to tell, a line each.

    Raises KubeError, RefusedError for a run that is not being deleted.
    """
    runs = [await resources.run(namespace, name)] if name is not None else await resources.runs(namespace)
    if name is not None and not runs[0].deleting:
        remedy = f"kubectl delete orun {name} -n {namespace} first, or trimtab abort {name} -n {namespace}"
        raise RefusedError(f"run {name} is not being deleted; {remedy}")
    lines = []
    for run in runs:
        if run.deleting and FINALIZER in run.finalizers:
            await _release(resources, run)
            lines.append(f"{run.name} is let go{_left(run)}")
    return lines or [f"no run in namespace {namespace} is being deleted and held"]


async def _release(resources: Resources, run: Run) -> None:
    try:
        await resources.set_finalizer(run, present=False)
    except KubeError as error:
        if not error.not_found:
            raise


def _left(run: Run) -> str:
    """What of the run's change may still be on the workload."""
    applied = run.status.applied
    if not run.phase.unproven or applied is None:
        return ""
    return (
        f"; its change was not proven and is not undone: {run.status.summary.change} on {applied.kind} {applied.name}"
    )


def _message(policy: Policy, kind: ConditionType, status: str = "") -> str:
    """What a condition says, of this status where one is given; empty without it."""
    found = (one.message for one in policy.status.conditions if one.type == kind and status in ("", one.status))
    return next(found, "")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
