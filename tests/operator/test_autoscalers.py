"""Beside other autoscalers: each owns some fields, and the policy goes on with the others."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml

from demo.stage import Stage
from tests.operator.acting import (
    CPU,
    FIXED,
    FOLLOWING,
    GOOD_CPU,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    learned,
    play,
    policy,
    replicas,
    resources,
    rounds,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Audit
from tests.operator.conftest import ROLES, Access
from tests.operator.gate import Gate, Request
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

SIZES: Final = {"containerPolicies": [{"containerName": "app", "controlledResources": ["cpu"]}]}
CPU_FIELDS: Final = {("resources.requests.cpu", "app"), ("resources.limits.cpu", "app")}


@pytest.fixture(scope="session")
def definitions(access: Access, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Definitions of VPA and KEDA objects with the fields that are read; they stay, as others may use them."""
    from tests.operator.conftest import _kubectl

    with (tmp_path_factory.getbasetemp().parent / "definitions.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bodies = [
            definition("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler"),
            definition("keda.sh", "v1alpha1", "ScaledObject"),
        ]
        _kubectl(access.admin, "apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(bodies))
        names = [f"crd/{body['metadata']['name']}" for body in bodies]
        _kubectl(access.admin, "wait", "--for=condition=Established", "--timeout=60s", *names)


async def test_an_hpa_owns_replicas_and_leaves_resources(stage: Stage, audit: Audit) -> None:
    """A run of CPU goes on and says what it does to the HPA's replicas; replicas are refused."""
    names = ("web", "fixed")
    await play(stage, *(service(name, namespace=stage.namespace) for name in names))
    await stage.apply(*(hpa(name, percent=25) for name in names))
    await stage.apply(policy("web", horizontal={**FOLLOWING, "minReplicas": 8}), policy("fixed", horizontal=FIXED))
    stage.operator()
    await learned(stage, *names)
    for name in names:
        told = await stage.told(name, "Conflicted", "True", "ClaimedByOther")
        assert told["message"].startswith(f"spec.replicas is owned by HorizontalPodAutoscaler {name}; remove it, or ")
        status = (await stage.in_state(name, "Conflicted"))["status"]
        assert [one["field"] for one in status["conflicts"]] == ["spec.replicas"]
    await stage.create_run("size", "web", changes=to_cpu(GOOD_CPU))
    await stage.create_run("count", "fixed", changes=to_replicas(GOOD_REPLICAS))
    refused = await stage.settled("count")
    assert refused["status"]["phase"] == "Rejected"
    said = refused["status"]["timeline"][-1]["reason"]
    assert said.startswith("conflict: spec.replicas is owned by HorizontalPodAutoscaler fixed")

    kept = (await stage.settled("size"))["status"]
    assert (kept["phase"], (await resources(stage))["requests"]["cpu"]) == ("Succeeded", GOOD_CPU)
    # 100 requests/s use one core: 25 % of four, and 28 % of four times 900m; ceil(4 × 28 / 25) are 5
    effect = "HorizontalPodAutoscaler web goes from 4 to 5 replicas at the present usage"
    assert kept["plan"]["reason"] == f"asked for by a person: cpu 1→{GOOD_CPU}; {effect}"
    assert kept["plan"]["evidence"]["hpaReplicas"].startswith("4 → 5: HorizontalPodAutoscaler web holds usage at 25 %")
    cost = kept["plan"]["predicted"]["cost"]
    assert float(cost["to"]) > float(cost["from"]), "five of 900m cost more than four of 1"
    assert [await replicas(stage, name) for name in names] == [REPLICAS, REPLICAS]
    assert audit.done() == Counter({("web", "deployments"): 1})


VPA_MODES: Final = {
    "off": ("Off", False),
    "initial": ("Initial", True),
    "recreate": ("Recreate", True),
    "auto": ("Auto", True),
    "in-place": ("InPlaceOrRecreate", True),
}


@pytest.mark.usefixtures("definitions")
async def test_a_vpa_owns_resources_and_leaves_replicas(stage: Stage, audit: Audit) -> None:
    """In every mode but Off, which only recommends; replicas follow in all."""
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in VPA_MODES))
    await stage.apply(*(vpa(name, mode) for name, (mode, _) in VPA_MODES.items()))
    await stage.apply(*(policy(name, horizontal=FOLLOWING, vertical=SIZES) for name in VPA_MODES))
    stage.operator()
    await learned(stage, *VPA_MODES)
    for name in VPA_MODES:
        await counted(stage, name, WELL_REPLICAS)
        await stage.create_run(name, name, changes=to_cpu(GOOD_CPU))
    for name, (_, owns) in VPA_MODES.items():
        told = await stage.told(name, "Conflicted", "True" if owns else "False")
        conflicts = (await stage.policy(name))["status"].get("conflicts", [])
        assert {(one["field"], one["container"]) for one in conflicts} == (CPU_FIELDS if owns else set())
        if owns:
            assert f"owned by VerticalPodAutoscaler {name}; set its updateMode to Off" in told["message"]
            refused = (await stage.settled(name))["status"]
            assert refused["phase"] == "Rejected"
            assert f"VerticalPodAutoscaler {name}" in refused["timeline"][-1]["reason"]
    sized = await stage.in_phase("off", ["Settling", "Validating", "Succeeded"])
    assert sized["status"]["applied"]["after"]["containers"][0]["requests"]["cpu"] == GOOD_CPU
    assert {name for name, what in audit.done() if what == "deployments"} == {"off"}


@pytest.mark.usefixtures("definitions")
async def test_a_scaled_object_owns_replicas_while_it_is_not_paused(stage: Stage, audit: Audit) -> None:
    paused = "autoscaling.keda.sh/paused"
    await play(stage, *(service(name, rate=SPARE_RATE, namespace=stage.namespace) for name in ("scaled", "paused")))
    await stage.apply(scaled_object("scaled"), scaled_object("paused", **{paused: "true"}))
    await stage.apply(hpa("scaled", percent=80, name="keda-hpa-scaled", made_by="scaled"))
    await stage.apply(*(policy(name, horizontal=FOLLOWING) for name in ("scaled", "paused")))
    stage.operator()
    await counted(stage, "paused", WELL_REPLICAS)
    told = await stage.told("scaled", "Conflicted", "True")
    assert told["message"].startswith("spec.replicas is owned by ScaledObject scaled; ")
    await stage.told("paused", "Conflicted", "False", "NoConflict")
    await stage.kubectl("annotate", "scaledobject", "paused", f"{paused}-")
    await stage.told("paused", "Conflicted", "True")
    assert await replicas(stage, "scaled") == REPLICAS
    assert audit.done() == Counter({("paused", "deployments/scale"): 1})


@pytest.mark.usefixtures("definitions")
async def test_what_came_between_record_and_write_is_seen(
    stage: Stage, audit: Audit, gate: Gate, gate_kubeconfig: Path
) -> None:
    """A ScaledObject and a VPA, made when the run was on record already."""
    made: dict[str, tuple[list[JsonObject], Callable[[str], JsonObject]]] = {
        "counted": (to_replicas(GOOD_REPLICAS), scaled_object),
        "sized": (to_cpu(GOOD_CPU), vpa),
    }
    await play(stage, *(service(name, namespace=stage.namespace) for name in made))
    await stage.apply(*map(policy, made))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, *made)
    for name, (changes, other) in made.items():
        hold = gate.hold(begins(name))
        await stage.create_run(name, name, changes=changes)
        await hold.caught()
        await stage.apply(other(name))
        assert await hold.let_go() == 200
        ended = (await stage.settled(name))["status"]
        assert (ended["phase"], ended["applied"]["uid"] != "") == ("Rejected", True)
        assert f"{other(name)['kind']} {name}" in ended["timeline"][-1]["reason"]
    assert audit.writes() == []


@pytest.mark.usefixtures("definitions")
async def test_one_that_is_made_in_mid_trial_ends_the_trial(stage: Stage, audit: Audit) -> None:
    """Under policies that claim neither field themselves; what was on trial is still ours, and undone."""
    made: dict[str, tuple[list[JsonObject], JsonObject]] = {
        "hpa": (to_replicas(GOOD_REPLICAS), hpa("hpa", percent=80)),
        "keda": (to_replicas(GOOD_REPLICAS), scaled_object("keda")),
        "vpa": (to_cpu(GOOD_CPU), vpa("vpa")),
    }
    await play(stage, *(service(name, namespace=stage.namespace) for name in made))
    await stage.apply(*(policy(name, validation={"duration": "10m"}) for name in made))
    stage.operator()
    await learned(stage, *made)
    for name, (changes, _) in made.items():
        await stage.create_run(name, name, changes=changes)
    for name, (_, other) in made.items():
        await stage.in_phase(name, ["Validating"])
        await stage.told(name, "Conflicted", "False", "NoConflict")
        await stage.apply(other)
    for name, (_, other) in made.items():
        ended = (await stage.settled(name))["status"]
        verdict = ended["verdict"]
        assert (ended["phase"], verdict["result"], verdict["interrupted"]) == ("Superseded", "Inconclusive", True)
        assert f"is owned by {other['kind']} {name}; " in verdict["message"].replace("are owned", "is owned")
        assert ended["rollback"]["restored"]
        told = await stage.told(name, "Conflicted", "True", "ClaimedByOther")
        assert f"owned by {other['kind']} {name}; " in told["message"]
        assert (await replicas(stage, name), (await resources(stage, name))["requests"]["cpu"]) == (REPLICAS, CPU)
    writes = {"hpa": "deployments/scale", "keda": "deployments/scale", "vpa": "deployments"}
    assert audit.done() == Counter(dict.fromkeys(writes.items(), 2))

    await stage.kubectl("delete", "horizontalpodautoscaler", "hpa")
    await stage.told("hpa", "Conflicted", "False", "NoConflict")


@pytest.mark.usefixtures("definitions")
async def test_a_kind_that_may_not_be_listed_is_said_and_stops_nothing(stage: Stage) -> None:
    role = f"{ROLES.format(stage.namespace)}/{stage.namespace}-trimtab"
    rules = [rule for rule in (await stage.kube.get(role))["rules"] if "autoscaling.k8s.io" not in rule["apiGroups"]]
    await stage.kube.merge_patch(role, {"rules": rules})
    await play(stage, service(rate=SPARE_RATE, namespace=stage.namespace))
    await stage.apply(policy(horizontal=FOLLOWING))
    stage.operator()
    told = await stage.told("web", "Conflicted", "Unknown", "NotListed")
    assert "let the operator list verticalpodautoscalers.autoscaling.k8s.io" in told["message"]
    await counted(stage, "web", WELL_REPLICAS)
    await rounds(stage, 1)


def begins(run: str) -> Callable[[Request], bool]:
    """The write that puts a run on record as Applying."""

    def matches(request: Request) -> bool:
        return f"/optimizationruns/{run}/status" in request.path and b'"Applying"' in request.body

    return matches


def hpa(target: str, *, percent: int, name: str = "", made_by: str = "") -> JsonObject:
    """An HPA of a workload's CPU; nothing here carries it out."""
    metric = {"type": "Utilization", "averageUtilization": percent}
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": made_by, "uid": "of-no-matter"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name or target, **({"ownerReferences": [owner]} if made_by else {})},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1,
            "maxReplicas": 8,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": metric}}],
        },
    }


def vpa(target: str, mode: str = "Recreate") -> JsonObject:
    """A VPA of all containers."""
    return {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {"name": target},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "updatePolicy": {"updateMode": mode},
        },
    }


def scaled_object(target: str, **annotations: str) -> JsonObject:
    """A ScaledObject of a Deployment, which is the kind that it means by default."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target, "annotations": annotations},
        "spec": {"scaleTargetRef": {"name": target}, "minReplicaCount": 1, "maxReplicaCount": 8},
    }


def definition(group: str, version: str, kind: str) -> JsonObject:
    """A definition that keeps every field."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in of the tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
