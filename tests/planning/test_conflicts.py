"""Conflicts field by field, as truth tables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planning.building import RESOURCES, policy_spec, size, workload
from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind
from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import PolicyStatus, Scaling, ScalingStep
from trimtab.planning.conflicts import Claimants, Conflict, rival, scaler_of_replicas, told, without_claimed

HPA = Autoscaler(AutoscalerKind.HPA, "web", replicas=True)
OF_KEDA = Autoscaler(AutoscalerKind.HPA, "keda-hpa-web", replicas=True, made_by="web")
KEDA = Autoscaler(AutoscalerKind.SCALED_OBJECT, "web", replicas=True)
PAUSED_KEDA = Autoscaler(AutoscalerKind.SCALED_OBJECT, "web", replicas=False)
VPA = Autoscaler(AutoscalerKind.VPA, "web", resources={"*": frozenset(RESOURCES)})
CPU_OF_APP = Autoscaler(
    AutoscalerKind.VPA, "web", resources={"app": frozenset({"resources.requests.cpu"}), "*": frozenset()}
)
OFF = Autoscaler(AutoscalerKind.VPA, "web")
ARGO = FieldOwner("argocd-controller", "Apply", "", "2026-01-02T00:00:00Z")
OF_AN_HPA = FieldOwner("kube-controller-manager", "Update", "scale", "2026-01-02T00:00:00Z")
BOTH = {"horizontal": {"minReplicas": 1, "maxReplicas": 9}, "vertical": {}}
ALL = {"spec.replicas", *RESOURCES}

TABLE: dict[str, tuple[dict[str, Any], tuple[Autoscaler, ...], dict[str, Any], set[str]]] = {
    "nobody else": (BOTH, (), {}, set()),
    "an HPA owns replicas": (BOTH, (HPA,), {}, {"spec.replicas"}),
    "an HPA owns nothing that a policy of sizes may change": ({"horizontal": None, "vertical": {}}, (HPA,), {}, set()),
    "a ScaledObject owns replicas": (BOTH, (KEDA,), {}, {"spec.replicas"}),
    "a paused one does not": (BOTH, (PAUSED_KEDA,), {}, set()),
    "a VPA owns sizes": (BOTH, (VPA,), {}, set(RESOURCES)),
    "a VPA that is off owns nothing": (BOTH, (OFF,), {}, set()),
    "a VPA of one amount": (BOTH, (CPU_OF_APP,), {}, {"resources.requests.cpu"}),
    "a VPA and an HPA": (BOTH, (VPA, HPA), {}, ALL),
    "Git owns replicas": (BOTH, (), {"replicas_owner": ARGO}, {"spec.replicas"}),
    "an HPA that is gone wrote replicas": (BOTH, (), {"replicas_owner": OF_AN_HPA}, set()),
    "one that is there wrote them": (BOTH, (HPA,), {"replicas_owner": OF_AN_HPA}, {"spec.replicas"}),
    "an HPA wrote replicas, and only a VPA is there": (BOTH, (OFF,), {"replicas_owner": OF_AN_HPA}, set()),
    "KEDA, which is paused now, wrote them": (
        BOTH,
        (PAUSED_KEDA,),
        {"replicas_owner": FieldOwner("keda-operator", "Update", "scale", "2026-01-02T00:00:00Z")},
        set(),
    ),
    "Git owns one amount": (
        BOTH,
        (),
        {"resources_owners": {("app", "resources.limits.memory"): ARGO}},
        {"resources.limits.memory"},
    ),
    "what the policy does not control": (
        {"vertical": {"containerPolicies": [{"containerName": "app", "controlledResources": ["memory"]}]}},
        (VPA,),
        {},
        {path for path in RESOURCES if path.endswith("memory")},
    ),
    "requests only": (
        {"horizontal": None, "vertical": {"containerPolicies": [{"controlledValues": "RequestsOnly"}]}},
        (VPA,),
        {},
        {path for path in RESOURCES if ".requests." in path},
    ),
    "limits that are not there": (
        {"horizontal": None, "vertical": {}},
        (VPA,),
        {"container": size().model_copy(update={"limits": size("", "").limits})},
        {path for path in RESOURCES if ".requests." in path},
    ),
}


@pytest.mark.parametrize(("spec", "others", "live", "fields"), TABLE.values(), ids=TABLE.keys())
def test_claimed(spec: dict[str, Any], others: tuple[Autoscaler, ...], live: dict[str, Any], fields: set[str]) -> None:
    found = on_policy(policy_spec(**spec), workload(4, **live), others)
    assert {one.path for one in found} == fields
    assert len(found) == len(fields)


def on_policy(spec: PolicySpec, live: Workload, others: tuple[Autoscaler, ...]) -> tuple[Conflict, ...]:
    return Claimants(spec, PolicyStatus(), live, others).on_policy()


def test_what_an_autoscaler_wrote_is_its_claim_where_autoscalers_could_not_be_listed() -> None:
    live = workload(4, replicas_owner=OF_AN_HPA)
    found = Claimants(policy_spec(**BOTH), PolicyStatus(), live, (), unlisted=True).on_policy()
    assert told(found).startswith("spec.replicas is owned by Autoscaler manager 'kube-controller-manager'; remove ")


def stepped(to: int) -> PolicyStatus:
    return PolicyStatus(scaling=Scaling(last=ScalingStep(from_=3, to=to, at=100.0, reason="demand")))


@pytest.mark.parametrize(
    ("status", "follows", "conflict"),
    [
        (PolicyStatus(), True, True),
        (PolicyStatus(), False, True),
        (stepped(4), True, False),  # as following wrote it
        (stepped(5), True, True),  # written back
        (stepped(4), False, True),
    ],
)
def test_a_tool_that_owns_replicas(status: PolicyStatus, follows: bool, conflict: bool) -> None:
    spec = policy_spec(horizontal={"minReplicas": 1, "maxReplicas": 9, "follow": follows})
    found = Claimants(spec, status, workload(4, replicas_owner=ARGO), ()).on_replicas()
    assert (found is not None) is conflict


def test_the_one_that_a_person_made_is_named() -> None:
    assert scaler_of_replicas((OF_KEDA, KEDA)) is KEDA
    assert scaler_of_replicas((OF_KEDA,)) is OF_KEDA
    assert OF_KEDA.title == "HorizontalPodAutoscaler keda-hpa-web of ScaledObject web"
    assert scaler_of_replicas((PAUSED_KEDA, VPA)) is None


def test_what_is_left() -> None:
    both, live = policy_spec(**BOTH), workload(4)
    left = without_claimed(both, live, on_policy(both, live, (HPA,)))
    assert left.horizontal is None
    assert left.vertical is not None
    left = without_claimed(both, live, on_policy(both, live, (CPU_OF_APP,)))
    assert left.horizontal is not None
    assert left.vertical is not None
    assert [(one.container_name, one.controlled_resources) for one in left.vertical.container_policies] == [
        ("app", ["memory"])
    ]
    assert without_claimed(both, live, on_policy(both, live, (VPA,))).vertical is None


def test_the_fields_of_one_owner_are_told_together() -> None:
    text = told(on_policy(policy_spec(**BOTH), workload(4), (HPA, CPU_OF_APP)))
    first, second = text.split("; resources.")
    assert first.startswith("spec.replicas is owned by HorizontalPodAutoscaler web; remove it, or ")
    assert second.startswith("requests.cpu of container app is owned by VerticalPodAutoscaler web; set its updateMode")
    assert (
        told(rival("older", "theirs"))
        == "the whole workload is owned by policy older; it is older or tries something there; remove one of the two"
    )
    assert told(rival("", "theirs")) == (
        "the whole workload is owned by run theirs of another policy; its change is not proven; wait until it has"
        " ended, or trimtab abort theirs"
    )
    assert rival("", "") == ()
    assert told(()) == ""
