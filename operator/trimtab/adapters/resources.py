"""Our own custom resources: reading them, and writing their status as its only writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.adapters.fence import Purpose
from trimtab.adapters.kube import JsonObject, KubeClient
from trimtab.domain.naming import policy_label
from trimtab.domain.objects import Policy, Run, parse_policy, parse_run
from trimtab.domain.policy import GROUP, VERSION
from trimtab.domain.status_types import StatusModel

POLICIES: Final = "performancepolicies"
RUNS: Final = "optimizationruns"
FINALIZER: Final = f"{GROUP}/undo"
RUN_POLICY_LABEL: Final = f"{GROUP}/policy"
RESUMED_ANNOTATION: Final = f"{GROUP}/resumed-at"


def path(plural: str, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
    """URL path of a collection or an object of our group."""
    parts = [f"/apis/{GROUP}/{VERSION}"]
    if namespace:
        parts.append(f"namespaces/{namespace}")
    parts.append(plural)
    parts.extend(part for part in (name, subresource) if part)
    return "/".join(parts)


class Resources:
    """PerformancePolicies and OptimizationRuns on the API server."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def policy(self, namespace: str, name: str) -> Policy:
        """One policy; raises KubeError."""
        return parse_policy(await self._kube.get(path(POLICIES, namespace, name)))

    async def run(self, namespace: str, name: str) -> Run:
        """One run; raises KubeError."""
        return parse_run(await self._kube.get(path(RUNS, namespace, name)))

    async def policies(self, namespace: str | None = None) -> list[Policy]:
        """All policies of a namespace, or of the cluster; raises KubeError."""
        return [parse_policy(body) for body in await self._kube.list(path(POLICIES, namespace))]

    async def runs(self, namespace: str | None = None) -> list[Run]:
        """All runs of a namespace, or of the cluster; raises KubeError."""
        return [parse_run(body) for body in await self._kube.list(path(RUNS, namespace))]

    async def write_policy_status(self, policy: Policy, status: StatusModel) -> Policy:
        """Replace a policy's status; a policy of another uid is left alone. Raises KubeError."""
        return parse_policy(await self._write_status(POLICIES, policy.namespace, policy.name, policy.uid, status))

    async def write_run_status(self, run: Run, status: StatusModel) -> Run:
        """Replace a run's status, if the run is still as it was read. Raises KubeError, 409 or 422 when it is not."""
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": run.resource_version}
        return parse_run(await self._write_status(RUNS, run.namespace, run.name, run.uid, status, test))

    async def create_run(self, policy: Policy, name: str, spec: JsonObject) -> Run:
        """Create a run that goes with its policy; raises KubeError."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "OptimizationRun",
            "metadata": {
                "namespace": policy.namespace,
                "name": name,
                "labels": {RUN_POLICY_LABEL: policy_label(policy.name)},
                "ownerReferences": [
                    {
                        "apiVersion": f"{GROUP}/{VERSION}",
                        "kind": "PerformancePolicy",
                        "name": policy.name,
                        "uid": policy.uid,
                    }
                ],
            },
            "spec": spec,
        }
        return parse_run(await self._kube.create(path(RUNS, policy.namespace), body, Purpose.START))

    async def delete_run(self, run: Run) -> None:
        """Delete a run; raises KubeError."""
        await self._kube.delete(path(RUNS, run.namespace, run.name))

    async def set_finalizer(self, run: Run, present: bool) -> Run:
        """Put our finalizer on a run or take it off; other finalizers stay. Raises KubeError."""
        kept = [name for name in run.finalizers if name != FINALIZER]
        wanted = [*kept, FINALIZER] if present else kept
        operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": run.uid}]
        if run.finalizers:
            operations.append({"op": "test", "path": "/metadata/finalizers", "value": list(run.finalizers)})
        operations.append({"op": "add", "path": "/metadata/finalizers", "value": wanted})
        return parse_run(await self._kube.json_patch(path(RUNS, run.namespace, run.name), operations))

    async def patch_run_spec(self, run: Run, spec: Mapping[str, object]) -> Run:
        """Set ``approval`` or ``cancelled``; raises KubeError."""
        return parse_run(await self._kube.merge_patch(path(RUNS, run.namespace, run.name), {"spec": dict(spec)}))

    async def patch_policy(self, namespace: str, name: str, body: JsonObject) -> Policy:
        """Change a policy's spec or annotations as a person would; raises KubeError."""
        return parse_policy(await self._kube.merge_patch(path(POLICIES, namespace, name), body))

    async def _write_status(
        self, plural: str, namespace: str, name: str, uid: str, status: StatusModel, *tests: JsonObject
    ) -> JsonObject:
        value = status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            *tests,
            {"op": "add", "path": "/status", "value": value},
        ]
        return await self._kube.json_patch(path(plural, namespace, name, "status"), operations)
