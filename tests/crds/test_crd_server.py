"""The definitions on a real API server: what it fills in, shows and teaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tests.crds import manifests
from tests.crds.conftest import Kubectl, Objects
from trimtab.adapters import promql
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import RunSpec

pytestmark = pytest.mark.cluster

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
MODELS: dict[str, type[BaseModel]] = {"PerformancePolicy": PolicySpec, "OptimizationRun": RunSpec}


@pytest.mark.usefixtures("definitions")
@pytest.mark.parametrize("short", ["perf", "orun", "trimtab"])
def test_short_names_and_category_are_known(kubectl: Kubectl, short: str) -> None:
    kubectl("get", short, "--all-namespaces")


@pytest.mark.usefixtures("definitions")
@pytest.mark.parametrize(
    ("path", "taught"),
    [
        pytest.param("perf", "What good means for one workload", id="kind"),
        pytest.param("perf.spec.objectives", "enum: Met, Hold", id="enum"),
        pytest.param("perf.spec.objectives.max", "are a quarter", id="quantity"),
        pytest.param("perf.spec.analysis.timeZone", "as its IANA name such as Europe/Berlin", id="time zone"),
        pytest.param("perf.spec.mode", "waits for a person", id="mode"),
        pytest.param("perf.spec.horizontal", "-required-", id="required"),
        pytest.param("perf.status.conditions", "one CamelCase word", id="conditions"),
        pytest.param("orun.spec.changes.path", "operatingPoint.headroomPercent", id="paths of a change"),
        pytest.param("orun.status.plan.evidence", "Facts that the plan rests on", id="map"),
    ],
)
def test_explain_teaches(kubectl: Kubectl, path: str, taught: str) -> None:
    assert taught in " ".join(kubectl("explain", path).split())


MINIMAL: list[Any] = [
    pytest.param("PerformancePolicy", {"targetRef": {"kind": "Deployment", "name": "web"}}, id="policy"),
    pytest.param(
        "PerformancePolicy",
        {
            "targetRef": {"kind": "StatefulSet", "name": "db"},
            "objectives": [{"name": "a", "query": "up", "min": 1}],
            "metrics": {"load": {"query": "up"}},
            "horizontal": {"maxReplicas": 3, "behavior": {"scaleUp": {}}},
            "vertical": {},
        },
        id="policy with optional parts",
    ),
    pytest.param(
        "PerformancePolicy",
        {"targetRef": {"kind": "Deployment", "name": "web"}, "vertical": {"containerPolicies": [{}]}},
        id="policy with an empty container policy",
    ),
    pytest.param("OptimizationRun", {"policyRef": {"name": "web"}}, id="run"),
    pytest.param(
        "OptimizationRun", {"policyRef": {"name": "web"}, "changes": [{"path": "spec.replicas", "to": 2}]}, id="change"
    ),
]


@pytest.mark.parametrize(("kind", "spec"), MINIMAL)
def test_defaults_of_the_server_are_those_of_the_models(objects: Objects, kind: str, spec: dict[str, Any]) -> None:
    body = {"apiVersion": "trimtab.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    filled_in = MODELS[kind].model_validate(objects.create(body)["spec"])

    def told(model: BaseModel, *, only_set: bool) -> Any:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=only_set)

    assert told(filled_in, only_set=True) == told(MODELS[kind].model_validate(spec), only_set=False)


def test_defaults_are_written_as_users_write_them(objects: Objects) -> None:
    spec = objects.create(manifests.changed(manifests.policy(), "spec.analysis", manifests.ABSENT))["spec"]
    assert spec["analysis"] == {"interval": "60s", "history": "168h", "sensitivity": "Medium", "timeZone": "UTC"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_apply_and_parse(objects: Objects, namespace: str, path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    body["metadata"]["namespace"] = namespace
    created = objects.create(body, namespace, dry_run=False)
    spec = MODELS[body["kind"]].model_validate(created["spec"])
    if isinstance(spec, PolicySpec):
        signals = [spec.metrics.load, spec.metrics.cpu, spec.metrics.memory, *spec.objectives]
        assert [promql.check(signal.query, signal.target_label) for signal in signals if signal] == [None] * sum(
            signal is not None for signal in signals
        )


def test_columns_show_spec_and_status(objects: Objects, kubectl: Kubectl, namespace: str) -> None:
    objects.create(manifests.changed(manifests.policy(), "metadata.namespace", namespace), namespace, dry_run=False)
    objects.create(manifests.changed(manifests.run(), "metadata.namespace", namespace), namespace, dry_run=False)
    condition = {"reason": "InForce", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    policy_status = {
        "conditions": [
            {"type": "Ready", "status": "True", **condition},
            {"type": "Conflicted", "status": "False", **condition},
        ],
        "summary": {
            "status": "Following",
            "replicas": "6→4",
            "objectives": "2/2",
            "peak": "412",
            "change": "cpu 500m→350m",
            "savings": "61",
            "outlook": "latency-p99 in 25m",
            "anomalies": "LevelShift of load",
        },
        "health": {"score": 87},
        "recommendation": {"reason": "too much headroom"},
        "forecast": {"model": "SeasonalLinear"},
        "lastRun": {"name": "web-0", "verdict": "Kept", "at": "2026-01-01T00:00:00Z"},
    }
    run_status = {"phase": "Validating", "summary": {"change": "6→4", "verdict": "Pass", "saves": "61"}}
    for name, status in (("perf/web", policy_status), ("orun/web-1", run_status)):
        patch = json.dumps({"status": status})
        kubectl("patch", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)

    def table(*arguments: str) -> dict[str, str]:
        heads, cells = (line.split("  ") for line in kubectl("get", *arguments, "-n", namespace).splitlines())
        return dict(zip(filter(None, map(str.strip, heads)), filter(None, map(str.strip, cells)), strict=True))

    shown = table("perf", "-o", "wide")
    assert shown.pop("AGE")
    assert shown == {
        "NAME": "web",
        "TARGET": "web",
        "STRATEGY": "Balanced",
        "MODE": "Auto",
        "STATUS": "Following",
        "REPLICAS": "6→4",
        "OBJECTIVES": "2/2",
        "LAST RUN": "Kept",
        "SAVINGS": "61",
        "READY": "True",
        "HEALTH": "87",
        "PEAK": "412",
        "CHANGE": "cpu 500m→350m",
        "REASON": "too much headroom",
        "MODEL": "SeasonalLinear",
        "OUTLOOK": "latency-p99 in 25m",
        "ANOMALIES": "LevelShift of load",
        "CONFLICTED": "False",
    }
    default = "NAME TARGET STRATEGY MODE STATUS REPLICAS OBJECTIVES LAST_RUN SAVINGS READY AGE"
    assert [head.replace(" ", "_") for head in table("perf")] == default.split()
    run_shown = table("orun")
    assert run_shown.pop("AGE")
    assert run_shown == {
        "NAME": "web-1",
        "POLICY": "web",
        "TRIGGER": "Manual",
        "CHANGE": "6→4",
        "PHASE": "Validating",
        "VERDICT": "Pass",
        "SAVES": "61",
    }
    assert "web-1" in kubectl("get", "orun", "-n", namespace, "--field-selector", "spec.policyRef.name=web")
    assert "web-1" not in kubectl("get", "orun", "-n", namespace, "--field-selector", "status.phase=Succeeded")


def test_a_user_cannot_write_the_status_with_the_spec(objects: Objects) -> None:
    assert "status" not in objects.create(manifests.policy() | {"status": {"observedGeneration": 7}})


def test_two_appliers_may_own_different_objectives(kubectl: Kubectl, namespace: str) -> None:
    """Objectives are told apart by name, so that a second applier does not take away those of the first."""
    base = manifests.changed(manifests.policy(), "metadata.namespace", namespace)
    other = {key: base[key] for key in ("apiVersion", "kind", "metadata")} | {
        "spec": {
            "targetRef": base["spec"]["targetRef"],
            "objectives": [{"name": "errors", "query": "errors", "max": 0}],
        }
    }
    for manager, body in (("git", base), ("platform", other)):
        kubectl("apply", "--server-side", "--field-manager", manager, "-f", "-", stdin=json.dumps(body))
    names = kubectl("get", "perf", "web", "-n", namespace, "-o", "jsonpath={.spec.objectives[*].name}").split()
    assert names == ["latency", "availability", "errors"]
