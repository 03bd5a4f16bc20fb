"""HPA, VPA and KEDA objects on the API server; the latter two only where their definitions are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind, CpuTarget
from trimtab.domain.choices import TargetKind

TargetKey: TypeAlias = tuple[str, TargetKind, str]
"""(namespace, kind, name) of a workload."""
_Targeted: TypeAlias = tuple[TargetKey, Autoscaler]

_HPAS: Final = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
_OPTIONAL: Final = {
    AutoscalerKind.VPA: ("/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers"),
    AutoscalerKind.SCALED_OBJECT: ("/apis/keda.sh/v1alpha1", "scaledobjects"),
}
_DISCOVERED_FOR_SECONDS: Final = 120.0
_PAUSED: Final = "autoscaling.keda.sh/paused"
_RESOURCES: Final = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class AutoscalersSeen:
    """The autoscalers of one namespace by their target, read at one moment."""

    by_target: dict[TargetKey, tuple[Autoscaler, ...]]
    unlisted: str = ""
    """Which kind could not be listed although its definition is there, why, and what to do; empty where all were."""


class Autoscalers:
    """Objects that scale workloads. Whether VPA and KEDA are installed is asked anew every two minutes."""

    def __init__(self, kube: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._discovered: dict[AutoscalerKind, tuple[bool, float]] = {}

    async def seen(self, namespace: str) -> AutoscalersSeen:
        """All of a namespace; raises KubeError, but not where only VPA or KEDA objects cannot be listed."""
        found, unlisted = await self._hpas(namespace), []
        for kind in _OPTIONAL:
            try:
                found += await self._optional(kind, namespace)
            except KubeError as error:
                unlisted.append(_not_listed(kind, namespace, error))
        return AutoscalersSeen(_by_target(found), "; ".join(unlisted))

    async def on(self, kind: TargetKind, namespace: str, name: str) -> tuple[Autoscaler, ...]:
        """Those on one workload right now. Raises KubeError; a kind that may not be listed is passed over."""
        found = await self._hpas(namespace)
        for optional in _OPTIONAL:
            try:
                found += await self._optional(optional, namespace)
            except KubeError as error:
                if error.status != 403:
                    raise
        return _by_target(found).get((namespace, kind, name), ())

    async def _hpas(self, namespace: str) -> list[_Targeted]:
        return _parsed(AutoscalerKind.HPA, namespace, await self._kube.list(_HPAS.format(namespace)))

    async def _optional(self, kind: AutoscalerKind, namespace: str) -> list[_Targeted]:
        """Objects of a kind that need not be installed."""
        group, plural = _OPTIONAL[kind]
        if not await self._installed(kind):
            return []
        try:
            return _parsed(kind, namespace, await self._kube.list(f"{group}/namespaces/{namespace}/{plural}"))
        except KubeError as error:
            if error.not_found:  # the definition went since it was asked for
                self._discovered.pop(kind, None)
                return []
            raise

    async def _installed(self, kind: AutoscalerKind) -> bool:
        """Whether the API server serves a kind: without the definition a list may be answered 403 as well as 404."""
        known, until = self._discovered.get(kind, (False, 0.0))
        if self._clock() < until:
            return known
        group, plural = _OPTIONAL[kind]
        try:
            served = (await self._kube.get(group)).get("resources") or []
            found = any(one.get("name") == plural for one in served)
        except KubeError as error:
            if not error.not_found:
                raise
            found = False
        self._discovered[kind] = found, self._clock() + _DISCOVERED_FOR_SECONDS
        return found


def _not_listed(kind: AutoscalerKind, namespace: str, error: KubeError) -> str:
    group, plural = _OPTIONAL[kind]
    remedy = f"let the operator list {plural}.{group.split('/')[2]}" if error.status == 403 else "it is asked again"
    return f"{kind.value} objects in {namespace} could not be listed ({error.message or error.reason}); {remedy}"


def _by_target(found: Iterable[_Targeted]) -> dict[TargetKey, tuple[Autoscaler, ...]]:
    by_target: dict[TargetKey, tuple[Autoscaler, ...]] = {}
    for target, one in found:
        by_target[target] = (*by_target.get(target, ()), one)
    return by_target


def _parsed(kind: AutoscalerKind, namespace: str, bodies: Iterable[JsonObject]) -> list[_Targeted]:
    """The objects on workloads that we know, with their targets; raises KubeError for one that is none."""
    found = []
    for body in bodies:
        try:
            target = body["spec"]["targetRef" if kind is AutoscalerKind.VPA else "scaleTargetRef"]
            named = target.get("kind") or (TargetKind.DEPLOYMENT if kind is AutoscalerKind.SCALED_OBJECT else "")
            if named in list(TargetKind):
                key = namespace, TargetKind(named), str(target["name"])
                found.append((key, parse_autoscaler(kind, body)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            name = str(((body.get("metadata") or {}) if isinstance(body, dict) else {}).get("name", ""))
            raise KubeError(0, "Unreadable", f"{kind.value} {name} is none: {error!r}") from error
    return found


def parse_autoscaler(kind: AutoscalerKind, body: JsonObject) -> Autoscaler:
    """What an object of this kind owns."""
    name, spec = str(body["metadata"]["name"]), body.get("spec") or {}
    if kind is AutoscalerKind.VPA:
        return Autoscaler(kind, name, resources=_vpa_resources(spec))
    if kind is AutoscalerKind.SCALED_OBJECT:
        annotations = body["metadata"].get("annotations") or {}
        return Autoscaler(kind, name, replicas=str(annotations.get(_PAUSED, "")).lower() != "true")
    owners = body["metadata"].get("ownerReferences") or []
    made_by = next((str(one["name"]) for one in owners if one.get("kind") == AutoscalerKind.SCALED_OBJECT), "")
    return Autoscaler(kind, name, replicas=True, cpu=_cpu_target(spec), made_by=made_by)


def _vpa_resources(spec: JsonObject) -> dict[str, frozenset[str]]:
    """Paths by container; a mode Off, of the object or of a container, only recommends."""
    if (spec.get("updatePolicy") or {}).get("updateMode") == "Off":
        return {}
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or []
    found = {"*": _paths({})}
    for policy in policies:
        found[str(policy.get("containerName") or "*")] = _paths(policy)
    return found


def _paths(policy: JsonObject) -> frozenset[str]:
    if policy.get("mode") == "Off":
        return frozenset()
    groups = ("requests",) if policy.get("controlledValues") == "RequestsOnly" else ("requests", "limits")
    controlled = policy.get("controlledResources")
    resources = _RESOURCES if controlled is None else controlled
    return frozenset(f"resources.{group}.{resource}" for group in groups for resource in resources)


def _cpu_target(spec: JsonObject) -> CpuTarget | None:
    metrics = spec.get("metrics") or []
    for metric in metrics:
        source = metric.get("resource") or metric.get("containerResource") or {}
        target = source.get("target") or {}
        if source.get("name") == "cpu" and target.get("averageUtilization"):
            return CpuTarget(
                percent=int(target["averageUtilization"]),
                min_replicas=int(spec.get("minReplicas") or 1),
                max_replicas=int(spec["maxReplicas"]),
                container=str(source.get("container") or ""),
                alone=len(metrics) == 1,
            )
    return None
