"""What the chart makes of its values, without a cluster."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, Run, Template
from trimtab import __version__
from trimtab.adapters.lease_keeper import CLUSTER_LEASE, NAMESPACE_LEASE
from trimtab.domain import crd


def one(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The only object of a kind, or of a kind and a name."""
    (found,) = (body for body in objects if body["kind"] == kind and name in ("", body["metadata"]["name"]))
    return found


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (only,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_lint_has_nothing_to_say(helm: Run) -> None:
    answer = helm("lint", "--strict", str(CHART))
    assert answer.status == 0, answer.output + answer.error


def test_versions_agree() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_every_value_is_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def keys(values: dict[str, Any], described: dict[str, Any]) -> None:
        if described.get("additionalProperties") is False:
            assert values.keys() <= described["properties"].keys()
            for key, value in values.items():
                if isinstance(value, dict):
                    keys(value, described["properties"][key])

    keys(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param({"prometheus": {"url": "prometheus:9090"}}, "/prometheus/url", id="address without a scheme"),
        pytest.param({"prometheus": {"url": ""}}, "/prometheus/url", id="no address"),
        pytest.param({"promtheus": {"url": "http://x"}}, "promtheus", id="misspelt key"),
        pytest.param({"crds": {"instal": True}}, "instal", id="misspelt key inside"),
        pytest.param({"watchNamespaces": "shop"}, "/watchNamespaces", id="namespace not in a list"),
        pytest.param({"watchNamespaces": ["Shop"]}, "/watchNamespaces/0", id="namespace in capitals"),
        pytest.param({"image": {"repository": "trimtab:1"}}, "/image/repository", id="tag in the repository"),
        pytest.param({"image": {"digest": "1234"}}, "/image/digest", id="digest without its algorithm"),
        pytest.param({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy", id="unknown pull policy"),
        pytest.param({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0", id="secret as text"),
        pytest.param({"metrics": {"port": 0}}, "/metrics/port", id="no port"),
        pytest.param({"health": {"port": "8081"}}, "/health/port", id="port as text"),
        pytest.param({"extraArgs": "--workers=2"}, "/extraArgs", id="arguments as text"),
        pytest.param({"extraEnv": [{"value": "x"}]}, "/extraEnv/0", id="variable without a name"),
        pytest.param({"commonLabels": {"team": 7}}, "/commonLabels/team", id="label as a number"),
        pytest.param({"serviceAccount": {"create": False}}, "/serviceAccount/name", id="no service account"),
        pytest.param({"store": {"url": "trimtab.db"}}, "/store/url", id="path for the URL of the store"),
        pytest.param({"store": {"persistence": {"size": "2 GB"}}}, "/store/persistence/size", id="size with a space"),
        pytest.param({"fleet": {"maxOpenRuns": "all"}}, "/fleet/maxOpenRuns", id="limit that is no number"),
        pytest.param({"fleet": {"maxOpenRuns": 0}}, "/fleet/maxOpenRuns", id="limit of nothing"),
        pytest.param({"replicas": -1}, "/replicas", id="fewer pods than none"),
        pytest.param({"leaderElection": {"leaseDuration": "10"}}, "/leaderElection/leaseDuration", id="no unit"),
        pytest.param({"podDisruptionBudget": True}, "/podDisruptionBudget", id="flag for an object"),
    ],
)
def test_schema_refuses(helm: Run, values: dict[str, Any], named: str) -> None:
    answer = helm("template", "trimtab", str(CHART), "--values", "-", stdin=yaml.safe_dump(values))
    assert answer.status != 0
    assert named in answer.error


def test_definitions_are_those_of_the_models(template: Template) -> None:
    for wanted in (crd.policy_crd(), crd.run_crd()):
        found = one(template(), "CustomResourceDefinition", wanted["metadata"]["name"])
        assert found["spec"] == wanted["spec"]
        assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert (
        "annotations"
        not in one(template({"crds": {"keep": False}}), "CustomResourceDefinition", "optimizationruns.trimtab.dev")[
            "metadata"
        ]
    )
    assert "CustomResourceDefinition" not in {body["kind"] for body in template({"crds": {"install": False}})}


def test_example_of_the_artifact_hub_is_a_policy() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    listed = yaml.safe_load(annotations["artifacthub.io/crds"])
    assert [entry["name"] for entry in listed] == [
        definition["metadata"]["name"] for definition in (crd.policy_crd(), crd.run_crd())
    ]


def test_operator_serves_all_namespaces_by_default(template: Template) -> None:
    assert container(template())["args"] == [
        "operator",
        "--prometheus-url",
        "http://prometheus-operated.monitoring.svc:9090",
        "--scrape-interval",
        "30",
        "--all-namespaces",
        "--metrics-port",
        "8080",
        "--health-port",
        "8081",
        "--max-open-runs",
        "5%",
        "--pause-after-failures",
        "3",
        "--lease-duration",
        "10s",
        "--lease-renew-deadline",
        "7s",
        "--lease-retry-period",
        "2s",
        "--store-url",
        "sqlite:////var/lib/trimtab/trimtab.db",
    ]


def test_whose_series_the_operator_may_read(template: Template) -> None:
    prometheus = {"metricLabels": {"cluster": "eu-1", "env": "prod"}, "allowForeignNamespaces": ["ingress-nginx"]}
    arguments = container(template({"prometheus": prometheus}))["args"]
    assert arguments[5:11] == [
        "--metric-label",
        "cluster=eu-1",
        "--metric-label",
        "env=prod",
        "--allow-foreign-namespaces",
        "ingress-nginx",
    ]


def test_operator_serves_the_namespaces_it_has_rights_in(template: Template) -> None:
    objects = template({"watchNamespaces": ["shop", "media", "shop"], "extraArgs": ["--workers", "0"]})
    arguments = container(objects)["args"]
    assert [arguments[place + 1] for place, word in enumerate(arguments) if word == "--namespace"] == ["shop", "media"]
    assert "--all-namespaces" not in arguments
    assert arguments[-2:] == ["--workers", "0"]
    roles: dict[str, list[Any]] = {}
    for body in objects:
        if body["kind"] == "Role":
            roles.setdefault(body["metadata"]["namespace"], []).extend(body["rules"])
    assert roles.keys() == {"shop", "media", "trimtab-system"}
    switch = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["trimtab-switch"], "verbs": ["get"]}
    lease = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["trimtab-operator-cluster"],
        "verbs": ["get"],
    }
    assert roles["trimtab-system"] == [switch, lease]
    assert [body for body in objects if body["kind"] == "ClusterRoleBinding"] == []


def test_pod_is_restricted(template: Template) -> None:
    pod = one(template(), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(template())["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False, "TRIMTAB_METRICS_PORT of the Service would be taken for a setting"


def test_one_pod_unless_a_standby_is_asked_for(template: Template) -> None:
    spec = one(template(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "RollingUpdate"})
    two = template({"replicas": 2, "podDisruptionBudget": {"enabled": True}})
    assert one(two, "Deployment")["spec"]["replicas"] == 2
    assert one(two, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_claimed_store_is_one_pods(template: Template, helm: Run) -> None:
    claim = {"store": {"persistence": {"enabled": True}}}
    assert one(template(claim), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    shared = yaml.safe_dump({**claim, "replicas": 2})
    answer = helm("template", "trimtab", str(CHART), "--values", "-", stdin=shared)
    assert answer.status != 0
    assert "more than one pod cannot share the SQLite file" in answer.error
    elsewhere = {"store": {**claim["store"], "url": "postgresql+psycopg://db/trimtab"}, "replicas": 2}
    assert one(template(elsewhere), "Deployment")["spec"]["strategy"] == {"type": "RollingUpdate"}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["shop"]}], ids=["cluster", "namespaced"])
def test_no_lease_but_our_own_can_be_read_or_written(template: Template, values: dict[str, Any]) -> None:
    rules = [rule for body in template(values) if body["kind"] in ("Role", "ClusterRole") for rule in body["rules"]]
    leases = [rule for rule in rules if "leases" in rule["resources"]]
    unnamed = [rule["verbs"] for rule in leases if "resourceNames" not in rule]
    assert unnamed == [["create"]]
    named = {name for rule in leases for name in rule.get("resourceNames", [])}
    assert named == {NAMESPACE_LEASE, CLUSTER_LEASE}


def store_volume(objects: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The volume that the store is on, mounted where its file is."""
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(objects)["volumeMounts"]}
    found: dict[str, Any] | None = next((volume for volume in pod["volumes"] if volume["name"] == "store"), None)
    assert mounts.get("store") == (None if found is None else "/var/lib/trimtab")
    return found


CLAIM = {"enabled": True, "storageClass": "fast", "annotations": {"helm.sh/resource-policy": "keep"}}


def test_store_is_on_a_volume_that_outlives_the_container(template: Template) -> None:
    objects = template()
    assert store_volume(objects) == {"name": "store", "emptyDir": {}}
    assert {"name": "TRIMTAB_STORE_RETENTION", "value": "2160h"} in container(objects)["env"]
    assert "PersistentVolumeClaim" not in {body["kind"] for body in objects}


def test_store_may_have_a_claim(template: Template) -> None:
    objects = template({"store": {"persistence": CLAIM}})
    assert store_volume(objects) == {"name": "store", "persistentVolumeClaim": {"claimName": "trimtab-store"}}
    claim = one(objects, "PersistentVolumeClaim", "trimtab-store")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "2Gi"}},
    }
    security = one(objects, "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert (security["fsGroup"], security["runAsNonRoot"]) == (65532, True), "the user of the image may write there"


def test_store_may_have_a_claim_that_is_there(template: Template) -> None:
    values = {
        "store": {"persistence": {"enabled": True, "existingClaim": "mine"}},
        "podSecurityContext": {"fsGroup": 7},
    }
    objects = template(values)
    assert store_volume(objects) == {"name": "store", "persistentVolumeClaim": {"claimName": "mine"}}
    assert "PersistentVolumeClaim" not in {body["kind"] for body in objects}
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["securityContext"]["fsGroup"] == 7


@pytest.mark.parametrize("url", ["none", "", "postgresql+psycopg://db/trimtab"])
def test_store_elsewhere_needs_no_volume(template: Template, url: str) -> None:
    objects = template({"store": {"url": url, "persistence": {"enabled": True}}})
    assert store_volume(objects) is None
    assert "PersistentVolumeClaim" not in {body["kind"] for body in objects}
    assert ("--store-url" in container(objects)["args"]) == bool(url)


def test_nothing_may_be_deleted_but_runs(template: Template) -> None:
    role = one(template(), "ClusterRole", "trimtab-system-trimtab")
    deleting = [rule["resources"] for rule in role["rules"] if {"delete", "deletecollection", "*"} & set(rule["verbs"])]
    assert deleting == [["optimizationruns"]]
    everything = [
        entry for rule in role["rules"] for part in ("apiGroups", "resources", "verbs") for entry in rule[part]
    ]
    assert "*" not in everything


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        pytest.param({}, f"trimtab:{__version__}", id="default"),
        pytest.param({"registry": "registry.example:5000", "tag": "7"}, "registry.example:5000/trimtab:7", id="tag"),
        pytest.param({"tag": "7", "digest": "sha256:" + "a" * 64}, "trimtab@sha256:" + "a" * 64, id="digest"),
    ],
)
def test_image(template: Template, image: dict[str, str], reference: str) -> None:
    objects = template({"image": image})
    assert container(objects)["image"] == reference
    assert one(objects, "Pod")["spec"]["containers"][0]["image"] == reference


def test_common_labels_are_on_everything_and_replace_nothing(template: Template) -> None:
    values = {
        "commonLabels": {"team": "platform", "app.kubernetes.io/name": "other"},
        "podLabels": {"sidecar": "no"},
        "podDisruptionBudget": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "prometheus": {"operator": {"serviceMonitor": {"enabled": True, "labels": {"release": "kps"}}}},
    }
    for body in template(values):
        assert body["metadata"]["labels"]["team"] == "platform", body["kind"]
        assert body["metadata"]["labels"]["app.kubernetes.io/name"] in ("trimtab", "trimtab-test")
    deployment = one(template(values), "Deployment")["spec"]
    pod_labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= pod_labels.items()
    assert pod_labels["sidecar"] == "no"
    assert one(template(values), "ServiceMonitor")["metadata"]["labels"]["release"] == "kps"


@pytest.mark.parametrize(
    ("url", "port"),
    [
        pytest.param("http://prometheus:9090", 9090, id="port"),
        pytest.param("http://prometheus/prefix", 80, id="http"),
        pytest.param("https://prometheus.example/api", 443, id="https"),
    ],
)
def test_network_policy_lets_out_to_prometheus_and_the_api_server(template: Template, url: str, port: int) -> None:
    policy = one(template({"networkPolicy": {"enabled": True}, "prometheus": {"url": url}}), "NetworkPolicy")["spec"]
    assert {rule["port"] for rule in policy["egress"][1]["ports"]} == {443, 6443, port}
    assert policy["ingress"] == [{"ports": [{"port": "metrics"}]}]


def test_extra_objects_are_templates(template: Template) -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": '{{ include "trimtab.fullname" . }}-more'}}
    objects = template({"extraObjects": [extra], "fleet": {"switch": False}})
    assert one(objects, "ConfigMap")["metadata"]["name"] == "trimtab-more"


def test_pod_of_helm_test_runs_python_that_parses(template: Template) -> None:
    pod = one(template(), "Pod")
    command = pod["spec"]["containers"][0]["command"]
    ast.parse(command[2])
    assert command[3] == "http://trimtab-metrics.trimtab-system.svc:8080/metrics"
    service = one(template(), "Service")
    assert command[3].split("//")[1].split(".")[0] == service["metadata"]["name"]
    selected = service["spec"]["selector"]
    assert not selected.items() <= pod["metadata"]["labels"].items(), "the Service must not choose the test's own pod"
    assert "Pod" not in {body["kind"] for body in template({"test": {"enabled": False}})}
