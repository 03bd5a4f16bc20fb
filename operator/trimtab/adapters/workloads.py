"""Workloads on the API server: read, and written by JSON Patch with tests of what was seen."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from trimtab.adapters.autoscalers import Autoscalers, TargetKey
from trimtab.adapters.fence import Purpose
from trimtab.adapters.kube import JsonObject, KubeClient, KubeError, PatchOperation
from trimtab.domain.autoscalers import Autoscaler
from trimtab.domain.choices import TargetKind
from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.rollout import NO_DEADLINE_SECONDS, RolloutStatus
from trimtab.domain.status import Amounts, ContainerSize, Snapshot
from trimtab.domain.status_types import parse_time
from trimtab.domain.units import parse_quantity

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"
"""On a Deployment and its ReplicaSets: which ReplicaSet is of the present template."""
_PLURAL: Final = {TargetKind.DEPLOYMENT: "deployments", TargetKind.STATEFUL_SET: "statefulsets"}
_PARALLEL_LISTS: Final = 4
_RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_WRITTEN: Final = tuple(product(("requests", "limits"), ("cpu", "memory")))
"""What we may write of a container's resources."""


@dataclass(frozen=True, slots=True)
class WorkloadsSeen:
    """Workloads of some namespaces and the autoscalers on them, read at one moment."""

    workloads: Mapping[TargetKey, Workload]
    autoscalers: Mapping[TargetKey, tuple[Autoscaler, ...]]
    """Other autoscalers that target the workload."""
    unlisted: Mapping[str, str]
    """Kinds of autoscalers that could not be listed in a namespace, and what to do about it."""
    failed: Mapping[str, KubeError]
    """Why a namespace could not be read."""
    unreadable: Mapping[TargetKey, str] = field(default_factory=dict)
    """Why a workload could not be made sense of; it is there."""


def path(kind: TargetKind, namespace: str, name: str | None = None, subresource: str | None = None) -> str:
    """URL path of a workload or a collection of workloads."""
    parts = [f"/apis/apps/v1/namespaces/{namespace}/{_PLURAL[kind]}", name, subresource]
    return "/".join(part for part in parts if part)


class Workloads:
    """Deployments and StatefulSets on the API server."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._autoscalers = Autoscalers(kube)
        self._slots = asyncio.Semaphore(_PARALLEL_LISTS)

    async def read(self, kind: TargetKind, namespace: str, name: str) -> Workload | None:
        """One workload as it is now, or None when there is none; raises KubeError."""
        try:
            return _parsed(kind, await self._kube.get(path(kind, namespace, name)))
        except KubeError as error:
            if error.not_found:
                return None
            raise

    async def seen(self, namespaces: Iterable[str]) -> WorkloadsSeen:
        """Everything in some namespaces, three requests each, and one more for each of VPA and KEDA where they are.

        A namespace that fails is named in ``failed``.
        """
        workloads: dict[TargetKey, Workload] = {}
        autoscalers: dict[TargetKey, tuple[Autoscaler, ...]] = {}
        unlisted: dict[str, str] = {}
        failed: dict[str, KubeError] = {}
        unreadable: dict[TargetKey, str] = {}

        async def one(namespace: str) -> None:
            async with self._slots:
                try:
                    for kind in TargetKind:
                        for body in await self._kube.list(path(kind, namespace)):
                            try:
                                workload = _parsed(kind, body)
                            except KubeError as error:
                                unreadable[namespace, kind, _name(body)] = str(error)
                            else:
                                workloads[namespace, kind, workload.name] = workload
                    found = await self._autoscalers.seen(namespace)
                    autoscalers.update(found.by_target)
                    unlisted[namespace] = found.unlisted
                except KubeError as error:
                    failed[namespace] = error

        await asyncio.gather(*(one(namespace) for namespace in namespaces))
        return WorkloadsSeen(workloads, autoscalers, unlisted, failed, unreadable)

    async def autoscalers_on(self, kind: TargetKind, namespace: str, name: str) -> tuple[Autoscaler, ...]:
        """What else scales a workload right now; raises KubeError."""
        return await self._autoscalers.on(kind, namespace, name)

    async def scale(self, workload: Workload, replicas: int, purpose: Purpose) -> None:
        """Set replicas through ``/scale``; raises KubeError, 422 when uid or replicas are not what was seen."""
        operations: list[PatchOperation] = [
            {"op": "test", "path": "/metadata/uid", "value": workload.uid},
            {"op": "test", "path": "/spec/replicas", "value": workload.replicas},
            {"op": "replace", "path": "/spec/replicas", "value": replicas},
        ]
        await self._kube.json_patch(
            path(workload.kind, workload.namespace, workload.name, "scale"), operations, purpose
        )

    async def resize(self, workload: Workload, sizes: Iterable[ContainerSize], purpose: Purpose) -> None:
        """Set resources of containers in the template; raises KubeError, 422 when what was seen has changed."""
        operations: list[PatchOperation] = [{"op": "test", "path": "/metadata/uid", "value": workload.uid}]
        for size in sizes:
            operations.extend(resize_operations(workload, size))
        await self._kube.json_patch(path(workload.kind, workload.namespace, workload.name), operations, purpose)


def resize_operations(workload: Workload, size: ContainerSize) -> list[PatchOperation]:
    """JSON Patch operations that give one container its new size; an empty amount leaves no such entry.

    The tests name the container and the resources that were seen, so that the API server refuses the
    write when either has changed.
    """
    index = workload.container_order.index(size.name)
    base = f"/spec/template/spec/containers/{index}"
    seen: JsonObject = workload.raw_resources[size.name]
    wanted: JsonObject = {key: dict(value) if isinstance(value, dict) else value for key, value in seen.items()}
    for group, amounts in (("requests", size.requests), ("limits", size.limits)):
        entries = dict(wanted.get(group) or {})
        for resource, amount in (("cpu", amounts.cpu), ("memory", amounts.memory)):
            if amount:
                entries[resource] = amount
            else:
                entries.pop(resource, None)
        if entries or group in seen:
            wanted[group] = entries
    return [
        {"op": "test", "path": f"{base}/name", "value": size.name},
        {"op": "test", "path": f"{base}/resources", "value": seen},
        {"op": "replace", "path": f"{base}/resources", "value": wanted},
    ]


def parse_workload(kind: TargetKind, body: JsonObject) -> Workload:
    """A Workload from the object that the API server returned."""
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    containers = spec["template"]["spec"]["containers"]
    replicas = spec.get("replicas", 1)
    managed = meta.get("managedFields") or []
    note = str((meta.get("annotations") or {}).get(_LAST_APPLIED, ""))
    return Workload(
        namespace=meta["namespace"],
        kind=kind,
        name=meta["name"],
        uid=meta["uid"],
        replicas=replicas,
        ready_replicas=status.get("readyReplicas", 0),
        containers=tuple(_size(container) for container in containers),
        container_order=tuple(container["name"] for container in containers),
        raw_resources={container["name"]: container.get("resources") or {} for container in containers},
        owners=dict(_owners(managed, [container["name"] for container in containers])),
        selector=_selector(spec.get("selector") or {}),
        rollout=_rollout(kind, body),
        template=_digest(spec["template"]),
        version=_digest(_program(spec["template"])),
        restarted_at=str(_annotations(spec["template"]).get(_RESTARTED_AT, "")),
        template_owners=_owners_of(managed, ("f:spec", "f:template")),
        last_applied=_digest(note) if note else "",
        ordered=kind is TargetKind.STATEFUL_SET and spec.get("podManagementPolicy") != "Parallel",
        stated=_stated(note),
        revision=status.get("updateRevision", "")
        if kind is TargetKind.STATEFUL_SET
        else (meta.get("annotations") or {}).get(REVISION_ANNOTATION, ""),
    )


def _parsed(kind: TargetKind, body: JsonObject) -> Workload:
    """A Workload; raises KubeError where the object is none, as one that a proxy or another version has bent."""
    try:
        return parse_workload(kind, body)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise KubeError(0, "Unreadable", f"{kind.value} {_name(body)} cannot be read: {error!r}") from error


def _name(body: JsonObject) -> str:
    meta = body.get("metadata")
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""


def snapshot(workload: Workload) -> Snapshot:
    """Replicas and sizes of a workload, enough to restore it."""
    return Snapshot(replicas=workload.replicas, containers=list(workload.containers))


def _size(container: JsonObject) -> ContainerSize:
    resources = container.get("resources") or {}

    def amounts(group: str) -> Amounts:
        entries = resources.get(group) or {}
        return Amounts(cpu=str(entries.get("cpu", "")), memory=str(entries.get("memory", "")))

    return ContainerSize(name=container["name"], requests=amounts("requests"), limits=amounts("limits"))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _annotations(template: JsonObject) -> JsonObject:
    return (template.get("metadata") or {}).get("annotations") or {}


def _program(template: JsonObject) -> JsonObject:
    """The pod template without what we may write of it, and without the time of a restart."""
    annotations = {name: value for name, value in _annotations(template).items() if name != _RESTARTED_AT}
    containers = []
    for container in template["spec"]["containers"]:
        resources = dict(container.get("resources") or {})
        for group in ("requests", "limits"):
            entries = resources.pop(group, None) or {}
            if others := {name: value for name, value in entries.items() if (group, name) not in _WRITTEN}:
                resources[group] = others
        containers.append({**container, "resources": resources})
    metadata = {**(template.get("metadata") or {}), "annotations": annotations}
    return {**template, "metadata": metadata, "spec": {**template["spec"], "containers": containers}}


def _stated(note: str) -> dict[tuple[str, str], str]:
    """What a last-applied annotation states of fields that we may write; nothing where it cannot be read."""
    try:
        spec = _within(json.loads(note), "spec") if note else {}
    except (ValueError, RecursionError):
        return {}
    found = {("", "spec.replicas"): spec["replicas"]} if "replicas" in spec else {}
    containers = _within(spec, "template", "spec").get("containers")
    for container in containers if isinstance(containers, list) else ():
        for group, resource in _WRITTEN:
            amounts = _within(container, "resources", group)
            if resource in amounts:
                found[str(_within(container).get("name", "")), f"resources.{group}.{resource}"] = amounts[resource]
    return {key: str(value) for key, value in found.items() if _is_amount(value)}


def _within(value: object, *keys: str) -> JsonObject:
    """The object at the end of these keys; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_amount(value: object) -> bool:
    try:
        parse_quantity(str(value))
    except ValueError:
        return False
    return True


def _owners(
    managed: list[JsonObject], containers: Iterable[str]
) -> Iterator[tuple[tuple[str, str], tuple[FieldOwner, ...]]]:
    """All owners of replicas and of each container's resources that we may write."""
    yield ("", "spec.replicas"), _owners_of(managed, ("f:spec", "f:replicas"))
    for container in containers:
        base = ("f:spec", "f:template", "f:spec", "f:containers", f'k:{{"name":"{container}"}}', "f:resources")
        for group, resource in _WRITTEN:
            if found := _owners_of(managed, (*base, f"f:{group}", f"f:{resource}")):
                yield (container, f"resources.{group}.{resource}"), found


def _owners_of(managed: list[JsonObject], keys: tuple[str, ...]) -> tuple[FieldOwner, ...]:
    """The owners of a field or of what is within it, the newest writer last."""
    found: list[FieldOwner] = []
    for entry in managed:
        fields: Any = entry.get("fieldsV1") or {}
        for key in keys:
            fields = fields.get(key) if isinstance(fields, dict) else None
        if fields is None or entry.get("subresource") == "status":
            continue
        owner = FieldOwner(
            manager=entry.get("manager", ""),
            operation=entry.get("operation", ""),
            subresource=entry.get("subresource", ""),
            at=entry.get("time", ""),
        )
        found.append(owner)
    return tuple(sorted(found, key=lambda owner: owner.at))


def _selector(selector: JsonObject) -> str:
    """The selector of an object as the text that a query takes."""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or []:
        key, values = one["key"], ",".join(one.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
        parts.append(forms.get(one["operator"], key))
    return ",".join(parts)


def _rollout(kind: TargetKind, body: JsonObject) -> RolloutStatus:
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    progressing = conditions.get("Progressing") or {}
    late = progressing.get("status") == "False" and progressing.get("reason") == "ProgressDeadlineExceeded"
    held, scales = _held(kind, meta["name"], spec)
    return RolloutStatus(
        observed=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        total=status.get("replicas", 0),
        one_revision=status.get("currentRevision") == status.get("updateRevision"),  # a Deployment has neither
        held=held,
        scales=scales,
        deadline_seconds=_deadline(spec.get("progressDeadlineSeconds")),
        deadline_passed=str(progressing.get("message", "")) if late else "",
        deadline_passed_at=parse_time(progressing["lastUpdateTime"]) if late else 0.0,
    )


def _deadline(seconds: int | None) -> float:
    """``progressDeadlineSeconds``; its largest value is how Kubernetes writes that there is none."""
    return NO_DEADLINE_SECONDS if not seconds or seconds >= 2**31 - 1 else float(seconds)


def _held(kind: TargetKind, name: str, spec: JsonObject) -> tuple[str, bool]:
    """Why a change of the template would not reach every pod, with the remedy, and whether the count still changes."""
    if kind is TargetKind.DEPLOYMENT:
        remedy = f"kubectl rollout resume deployment/{name}"
        return (
            (f"Deployment {name} is paused, so that no change rolls out; {remedy}", False)
            if spec.get("paused")
            else ("", True)
        )
    strategy = spec.get("updateStrategy") or {}
    remedy = "set spec.updateStrategy to RollingUpdate without a partition"
    if strategy.get("type") == "OnDelete":
        why = "has updateStrategy OnDelete, so that a change reaches a pod only when somebody deletes it"
        return f"StatefulSet {name} {why}; {remedy}", True
    if partition := (strategy.get("rollingUpdate") or {}).get("partition") or 0:
        return f"StatefulSet {name} updates no pod below its partition of {partition}; {remedy}", True
    return "", True
