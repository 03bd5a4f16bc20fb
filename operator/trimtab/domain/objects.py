"""The live objects as the operator sees them, parsed from what the API server returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from trimtab.domain.choices import TargetKind
from trimtab.domain.policy import PolicySpec
from trimtab.domain.rollout import RolloutStatus
from trimtab.domain.run import Phase, RunSpec
from trimtab.domain.run_status import RunStatus
from trimtab.domain.status import ContainerSize, PolicyStatus
from trimtab.domain.status_types import parse_time

_Status = TypeVar("_Status", PolicyStatus, RunStatus)


@dataclass(frozen=True, slots=True)
class InvalidSpec:
    """Why a spec that the API server let through cannot be used: field, value and remedy in one message."""

    message: str


def explain_invalid(error: ValidationError) -> str:
    """One line for each fault, naming field, value and what would be right."""
    faults = []
    for fault in error.errors()[:5]:
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        value = "" if isinstance(fault["input"], dict) else f" (got {str(fault['input'])[:80]!r})"
        faults.append(f"spec.{where}: {message}{value}" if fault["loc"] else f"spec: {message}{value}")
    return "; ".join(faults)


@dataclass(frozen=True, slots=True)
class Policy:
    """A PerformancePolicy. ``spec`` is InvalidSpec where schema and CEL could not say what is wrong."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: float
    spec: PolicySpec | InvalidSpec
    status: PolicyStatus
    annotations: dict[str, str] = field(default_factory=dict)
    resource_version: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Run:
    """An OptimizationRun."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: float
    spec: RunSpec | InvalidSpec
    status: RunStatus
    policy_name: str
    resource_version: str = ""
    deleting: bool = False
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    @property
    def phase(self) -> Phase:
        """Where the run is; Pending while nothing is recorded."""
        return self.status.phase or Phase.PENDING

    @property
    def is_kept(self) -> bool:
        """Whether its change was proven, and nobody has undone it since."""
        return self.phase is Phase.SUCCEEDED and self.status.applied is not None and self.status.rollback is None

    @property
    def finished(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.phase.finished


@dataclass(frozen=True, slots=True)
class FieldOwner:
    """Who wrote a field, from managedFields."""

    manager: str
    operation: str
    subresource: str
    at: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet as read from the API server just now."""

    namespace: str
    kind: TargetKind
    name: str
    uid: str
    replicas: int
    ready_replicas: int
    containers: tuple[ContainerSize, ...]
    container_order: tuple[str, ...]
    """Names in the order of the template, which JSON Patch paths count by."""
    raw_resources: dict[str, dict[str, Any]]
    """Resources of each container as written, which the tests of a patch repeat."""
    owners: Mapping[tuple[str, str], tuple[FieldOwner, ...]]
    """All owners of each field that we may write, the newest writer last, by container (none for replicas) and path:
    ``("", "spec.replicas")``, ``("app", "resources.limits.cpu")``."""
    selector: str
    """Label selector of its pods, as the API server takes it in a query."""
    rollout: RolloutStatus
    template: str = ""
    """Digest of the pod template: another one is a rollout."""
    revision: str = ""
    """What the newest ReplicaSet's annotation (Deployment) or the label of the newest pods (StatefulSet) says."""
    version: str = ""
    """Digest of the pod template without CPU and memory of its containers, which we may write, and without the time of
    the last ``kubectl rollout restart``: another one is another program or another configuration of it."""
    restarted_at: str = ""
    """When ``kubectl rollout restart`` last restarted it, as that wrote it."""
    template_owners: tuple[FieldOwner, ...] = ()
    """Everybody who owns a field of the pod template, the newest writer last."""
    last_applied: str = ""
    """Digest of what client-side ``kubectl apply`` noted; empty where it noted nothing."""
    ordered: bool = False
    """A StatefulSet's pods come one by one: while one is not ready, its controller replaces none (``OrderedReady``)."""
    stated: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Values that this note states of fields that we may write, by container and path."""

    @property
    def rolled_out(self) -> bool:
        """Whether as many pods serve as are asked for, all of the present template."""
        return self.rollout.remaining(self.replicas, of_template=True) == 0

    @property
    def replicas_owner(self) -> FieldOwner | None:
        """Who last wrote replicas."""
        return next(reversed(self.owners.get(("", "spec.replicas"), ())), None)


def _readable(kind: type[_Status], raw: dict[str, Any]) -> _Status:
    """A status; parts that cannot be read, as a hand or a backup may have written them, are as if they were not there.

    A schema lets through what no calendar has, such as the year 0.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        faulty = {fault["loc"][0] for fault in error.errors()}
        return kind.model_validate({name: part for name, part in raw.items() if name not in faulty})


def parse_policy(body: dict[str, Any]) -> Policy:
    """A Policy from the object the API server returned; a spec that cannot be used becomes InvalidSpec."""
    meta = body["metadata"]
    spec: PolicySpec | InvalidSpec
    try:
        spec = PolicySpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        spec = InvalidSpec(explain_invalid(error))
    return Policy(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        created_at=parse_time(meta["creationTimestamp"]),
        spec=spec,
        status=_readable(PolicyStatus, body.get("status") or {}),
        annotations=dict(meta.get("annotations") or {}),
        resource_version=meta.get("resourceVersion", ""),
    )


def parse_run(body: dict[str, Any]) -> Run:
    """A Run from the object the API server returned."""
    meta = body["metadata"]
    raw = body.get("spec") or {}
    spec: RunSpec | InvalidSpec
    try:
        spec = RunSpec.model_validate(raw)
    except ValidationError as error:
        spec = InvalidSpec(explain_invalid(error))
    return Run(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        created_at=parse_time(meta["creationTimestamp"]),
        spec=spec,
        status=_readable(RunStatus, body.get("status") or {}),
        policy_name=(raw.get("policyRef") or {}).get("name", ""),
        resource_version=meta.get("resourceVersion", ""),
        deleting="deletionTimestamp" in meta,
        finalizers=tuple(meta.get("finalizers") or ()),
    )
