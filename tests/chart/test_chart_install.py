"""The chart on a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from cluster.control_plane import ControlPlane
from tests.chart.conftest import CHART, Run, Template
from trimtab.adapters.lease_keeper import CLUSTER_LEASE, NAMESPACE_LEASE

pytestmark = pytest.mark.cluster

VALUE_SETS: list[Any] = [
    pytest.param({}, id="defaults"),
    pytest.param({"watchNamespaces": ["shop"], "rbac": {"aggregateToDefaultRoles": False}}, id="one namespace"),
    pytest.param(
        {
            "prometheus": {"url": "https://thanos.example/prefix"},
            "image": {"registry": "registry.example", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "registry"}],
            "fullnameOverride": "a-name-that-is-longer-than-any-name-of-an-object-should-be",
            "commonLabels": {"team": "platform"},
            "crds": {"keep": False},
            "serviceAccount": {"annotations": {"example.com/role": "trimtab"}, "automount": False},
            "extraArgs": ["--log-level", "DEBUG"],
            "extraEnv": [
                {"name": "TRIMTAB_PROMETHEUS_HEADERS", "value": '{"X-Scope-OrgID": "shop"}'},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "extraEnvFrom": [{"secretRef": {"name": "more", "optional": True}}],
            "fleet": {"maxOpenRuns": 20, "pauseAfterFailures": 5, "switch": False},
            "store": {"persistence": {"enabled": True, "size": "500Mi"}, "retention": "720h"},
            "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
            "metrics": {"port": 9000, "service": {"annotations": {"a": "b"}, "labels": {"c": "d"}}},
            "startupProbe": {"initialDelaySeconds": 5},
            "podAnnotations": {"a": "b"},
            "podLabels": {"c": "d"},
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
            "podDisruptionBudget": {"enabled": True},
            "networkPolicy": {
                "enabled": True,
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            },
            "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}],
        },
        id="everything",
    ),
]

OPERATOR = "system:serviceaccount:trimtab-system:trimtab"
RIGHTS: list[Any] = [
    ("watch", "performancepolicies.trimtab.dev", "", True),
    ("patch", "performancepolicies.trimtab.dev", "status", True),
    ("get", "performancepolicies.trimtab.dev", "status", False),
    ("update", "performancepolicies.trimtab.dev", "status", False),
    ("update", "performancepolicies.trimtab.dev", "", False),
    ("delete", "performancepolicies.trimtab.dev", "", False),
    ("create", "optimizationruns.trimtab.dev", "", True),
    ("patch", "optimizationruns.trimtab.dev", "", True),
    ("update", "optimizationruns.trimtab.dev", "", False),
    ("patch", "optimizationruns.trimtab.dev", "status", True),
    ("get", "optimizationruns.trimtab.dev", "status", False),
    ("update", "optimizationruns.trimtab.dev", "status", False),
    ("delete", "optimizationruns.trimtab.dev", "", True),
    ("list", "deployments.apps", "", True),
    ("watch", "deployments.apps", "", False),
    ("watch", "statefulsets.apps", "", False),
    ("patch", "deployments.apps", "", True),
    ("update", "deployments.apps", "", False),
    ("patch", "deployments.apps", "scale", True),
    ("patch", "statefulsets.apps", "scale", True),
    ("get", "deployments.apps", "scale", False),
    ("get", "statefulsets.apps", "scale", False),
    ("update", "deployments.apps", "scale", False),
    ("create", "deployments.apps", "", False),
    ("delete", "deployments.apps", "", False),
    ("patch", "daemonsets.apps", "", False),
    ("list", "horizontalpodautoscalers.autoscaling", "", True),
    ("get", "horizontalpodautoscalers.autoscaling", "", False),
    ("watch", "horizontalpodautoscalers.autoscaling", "", False),
    ("patch", "horizontalpodautoscalers.autoscaling", "", False),
    ("create", "events", "", True),
    ("get", "events", "", False),
    ("list", "resourcequotas", "", True),
    ("create", "resourcequotas", "", False),
    ("list", "nodes", "", True),
    ("patch", "nodes", "", False),
    ("list", "pods", "", True),
    ("watch", "pods", "", False),
    ("list", "replicasets.apps", "", True),
    ("watch", "replicasets.apps", "", False),
    ("get", "secrets", "", False),
    ("get", "configmaps/trimtab-switch", "", False),
    ("watch", "customresourcedefinitions.apiextensions.k8s.io", "", True),
    ("get", "customresourcedefinitions.apiextensions.k8s.io", "", False),
    ("get", f"leases.coordination.k8s.io/{NAMESPACE_LEASE}", "", True),
    ("list", f"leases.coordination.k8s.io/{NAMESPACE_LEASE}", "", True),
    ("list", "leases.coordination.k8s.io", "", False),
    ("update", f"leases.coordination.k8s.io/{NAMESPACE_LEASE}", "", False),
    ("update", f"leases.coordination.k8s.io/{CLUSTER_LEASE}", "", False),
    ("create", "leases.coordination.k8s.io", "", False),
    ("create", "pods", "exec", False),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", "", False),
]
"""In a namespace that is not its own."""
OWN_RIGHTS: list[Any] = [
    ("get", "configmaps/trimtab-switch", True),
    ("get", "configmaps/trimtab-other", False),
    ("list", "configmaps", False),
    ("patch", "configmaps/trimtab-switch", False),
    ("create", "leases.coordination.k8s.io", True),
    ("update", f"leases.coordination.k8s.io/{CLUSTER_LEASE}", True),
    ("update", f"leases.coordination.k8s.io/{NAMESPACE_LEASE}", False),
    ("delete", f"leases.coordination.k8s.io/{CLUSTER_LEASE}", False),
]
"""In its own namespace, beside those."""


@pytest.mark.parametrize("values", VALUE_SETS)
def test_the_api_server_takes_every_object(template: Template, kubectl: Run, values: dict[str, Any]) -> None:
    for body in template(values):
        answer = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(body))
        assert answer.status == 0, f"{body['kind']}: {answer.error}"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane, helm: Run) -> str:
    """The chart, installed by its defaults; the notes that Helm showed."""
    answer = helm(
        "install", "trimtab", str(CHART), "--namespace", "trimtab-system",
        "--kubeconfig", str(plane.kubeconfig), "--wait", "--timeout", "90s",
    )  # fmt: skip
    assert answer.status == 0, answer.error
    return answer.output


@pytest.mark.usefixtures("installed")
def test_definitions_are_established_and_belong_to_the_release(kubectl: Run) -> None:
    answer = kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/performancepolicies.trimtab.dev",
                     "crd/optimizationruns.trimtab.dev")  # fmt: skip
    assert answer.status == 0, answer.error
    policy = {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformancePolicy",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "checkout"}},
    }
    answer = kubectl("create", "-f", "-", stdin=json.dumps(policy))
    assert answer.status == 0, answer.error


@pytest.mark.usefixtures("installed")
def test_the_operator_pod_is_placed(kubectl: Run) -> None:
    answer = kubectl("rollout", "status", "deployment/trimtab", "-n", "trimtab-system", "--timeout=60s")
    assert answer.status == 0, answer.error


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("verb", "resource", "subresource", "allowed"),
    [pytest.param(*case, id=f"{case[0]} {case[1]} {case[2]}".strip()) for case in RIGHTS],
)
def test_rights_of_the_operator(kubectl: Run, verb: str, resource: str, subresource: str, allowed: bool) -> None:
    answer = kubectl(
        "auth", "can-i", verb, resource, "-n", "shop", "--as", OPERATOR,
        *(["--subresource", subresource] if subresource else []),
    )  # fmt: skip
    assert answer.output.strip() == ("yes" if allowed else "no"), answer.error


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("verb", "resource", "allowed"), [pytest.param(*case, id=f"{case[0]} {case[1]}") for case in OWN_RIGHTS]
)
def test_rights_of_the_operator_in_its_own_namespace(kubectl: Run, verb: str, resource: str, allowed: bool) -> None:
    answer = kubectl("auth", "can-i", verb, resource, "-n", "trimtab-system", "--as", OPERATOR)
    assert answer.output.strip() == ("yes" if allowed else "no"), answer.error


@pytest.mark.usefixtures("installed")
def test_the_default_roles_have_our_resources(plane: ControlPlane, kubectl: Run) -> None:
    for role, user in (("view", "alice"), ("edit", "bob")):
        binding = kubectl("create", "rolebinding", user, "-n", "shop", f"--clusterrole={role}", f"--user=chart-{user}")
        assert binding.status == 0, binding.error

    def may(user: str, verb: str, resource: str) -> bool:
        answer = kubectl("auth", "can-i", verb, f"{resource}.trimtab.dev", "-n", "shop", "--as", f"chart-{user}")
        return answer.output.strip() == "yes"

    assert may("alice", "get", "performancepolicies")
    assert not may("alice", "create", "optimizationruns")
    assert may("bob", "create", "performancepolicies")
    assert may("bob", "patch", "optimizationruns")


def test_notes_say_what_to_do_next(installed: str) -> None:
    for part in ("prometheus-operated.monitoring", "kind: PerformancePolicy", "helm test trimtab -n trimtab-system"):
        assert part in installed


@pytest.mark.usefixtures("installed")
def test_upgrade_and_uninstall_leave_the_definitions(plane: ControlPlane, helm: Run, kubectl: Run) -> None:
    where = ["--namespace", "trimtab-system", "--kubeconfig", str(plane.kubeconfig)]
    upgrade = helm("upgrade", "trimtab", str(CHART), *where, "--values", "-",
                   stdin=yaml.safe_dump({"watchNamespaces": ["shop"]}))  # fmt: skip
    assert upgrade.status == 0, upgrade.error
    assert kubectl("auth", "can-i", "patch", "deployments.apps", "-n", "shop", "--as", OPERATOR).output.strip() == "yes"
    assert kubectl("auth", "can-i", "list", "deployments.apps", "-A", "--as", OPERATOR).output.strip() == "no"
    assert kubectl("auth", "can-i", "list", "resourcequotas", "-n", "shop", "--as", OPERATOR).output.strip() == "yes"
    assert kubectl("auth", "can-i", "list", "nodes", "--as", OPERATOR).output.strip() == "no"
    for verb, lease, namespace, allowed in (
        ("update", NAMESPACE_LEASE, "shop", "yes"),
        ("get", CLUSTER_LEASE, "trimtab-system", "yes"),
        ("update", CLUSTER_LEASE, "trimtab-system", "no"),
    ):
        can = kubectl("auth", "can-i", verb, f"leases.coordination.k8s.io/{lease}", "-n", namespace, "--as", OPERATOR)
        assert can.output.strip() == allowed, f"{verb} {lease}"
    uninstall = helm("uninstall", "trimtab", *where, "--wait")
    assert uninstall.status == 0, uninstall.error
    assert kubectl("get", "perf", "-n", "shop", "checkout").status == 0
    again = helm("install", "trimtab", str(CHART), *where)
    assert again.status == 0, again.error
