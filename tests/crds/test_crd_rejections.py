"""What is refused, by the API server and by the models alike, with a message that names the field and the remedy."""
# ruff: noqa: E501 - one case a line reads as the table it is

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.crds import manifests
from tests.crds.conftest import Objects
from tests.crds.manifests import ABSENT
from trimtab.domain.objects import explain_invalid
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import RunSpec

pytestmark = pytest.mark.cluster

OBJECTIVE: dict[str, Any] = {"name": "a", "query": "up", "max": 1}
TWO_THRESHOLDS = "needs exactly one of max and min as its threshold"

POLICY = [
    # what is tuned
    ("no target", "targetRef", ABSENT, "spec.targetRef: Required value"),
    ("no kind", "targetRef.kind", ABSENT, "spec.targetRef.kind: Required value"),
    ("kind that cannot be tuned", "targetRef.kind", "DaemonSet", "spec.targetRef.kind: Unsupported value"),
    ("foreign API version", "targetRef.apiVersion", "batch/v1", "spec.targetRef.apiVersion"),
    ("target name in capitals", "targetRef.name", "Web", "spec.targetRef.name"),
    ("empty target name", "targetRef.name", "", "spec.targetRef.name"),
    ("unknown mode", "mode", "Yolo", 'spec.mode: Unsupported value: "Yolo"'),
    ("mode in lower case", "mode", "auto", 'supported values: "Observe", "Recommend", "Approve", "Auto"'),
    ("unknown strategy", "strategy", "Cheap", "spec.strategy: Unsupported value"),
    ("unknown field", "replicas", 3, 'unknown field "spec.replicas"'),
    ("misspelt field", "horizontal.maxreplicas", 3, 'unknown field "spec.horizontal.maxreplicas"'),
    ("paused as text", "paused", "perhaps", "spec.paused"),
    ("history limit of zero", "runHistoryLimit", 0, "spec.runHistoryLimit"),
    # objectives
    ("objective without threshold", "objectives.0.max", ABSENT, f"objective latency {TWO_THRESHOLDS}"),
    ("objective with two thresholds", "objectives.0.min", 1, f"spec.objectives[0]: Invalid value: objective latency {TWO_THRESHOLDS}"),
    ("threshold that is no quantity", "objectives.0.max", "fast", "max must be a quantity, written like 250m, 0.5"),
    ("threshold of a bare unit", "objectives.0.max", "Mi", "spec.objectives[0].max"),
    ("threshold with a time unit", "objectives.0.max", "250ms", "max must be a quantity"),
    ("threshold as a list", "objectives.0.max", [1], "spec.objectives[0].max"),
    ("objective name twice", "objectives", [OBJECTIVE, OBJECTIVE], 'spec.objectives[1]: Duplicate value: {"name":"a"}'),
    ("too many objectives", "objectives", [OBJECTIVE | {"name": f"a{n}"} for n in range(17)], "spec.objectives: Too many"),
    ("objective name with a space", "objectives.0.name", "p 99", "spec.objectives[0].name"),
    ("no query", "objectives.0.query", ABSENT, "spec.objectives[0].query: Required value"),
    ("blank query", "objectives.0.query", "  ", "spec.objectives[0].query"),
    ("variable of Grafana", "objectives.1.query", "rate(x[$__rate_interval])", "$__rate_interval of Grafana is $window here"),
    ("misspelt variable", "metrics.load.query", 'hits{svc="$target",ns="$namespaces"}', "spec.metrics.load.query: Invalid value: query has a variable"),
    ("label not matched", "objectives.0.query", "sum by (svc) (latency)", 'write svc="$target" in its selectors, or leave targetLabel out'),
    ("label matched in part", "metrics.load.query", 'hits{mysvc="$target"}', "spec.metrics.load.targetLabel"),
    ("label with a dash", "objectives.0.targetLabel", "my-svc", "spec.objectives[0].targetLabel"),
    ("weight of zero", "objectives.0.weight", 0, "spec.objectives[0].weight"),
    ("unknown answer to no traffic", "objectives.0.onNoTraffic", "Ignore", "spec.objectives[0].onNoTraffic"),
    # replicas
    ("no ceiling", "horizontal.maxReplicas", ABSENT, "spec.horizontal.maxReplicas: Required value"),
    ("floor above ceiling", "horizontal.minReplicas", 11, "spec.horizontal.minReplicas: Invalid value: minReplicas 11 is above maxReplicas 10"),
    ("default floor above ceiling", "horizontal", {"maxReplicas": 0}, "spec.horizontal.maxReplicas"),
    ("floor of zero", "horizontal.minReplicas", 0, "spec.horizontal.minReplicas"),
    ("half a replica", "horizontal.maxReplicas", 2.5, "spec.horizontal.maxReplicas"),
    ("pace of nothing", "horizontal.behavior.scaleDown.policies.0.value", 0, "scaleDown.policies[0].value"),
    ("pace over too long", "horizontal.behavior.scaleDown.policies.0.periodSeconds", 3600, "policies[0].periodSeconds"),
    ("unknown unit of pace", "horizontal.behavior.scaleDown.policies.0.type", "Nodes", "policies[0].type: Unsupported"),
    ("window too long", "horizontal.behavior.scaleUp.stabilizationWindowSeconds", 9999, "scaleUp.stabilizationWindowSeconds"),
    # resources
    ("no container policy", "vertical.containerPolicies", [], "spec.vertical.containerPolicies"),
    ("container policy twice", "vertical.containerPolicies", [{}, {"containerName": "*"}], 'Duplicate value: {"containerName":"*"}'),
    ("cpu floor above ceiling", "vertical.containerPolicies.0.minAllowed.cpu", "2100m", "minAllowed.cpu 2100m is above maxAllowed.cpu 2; lower it"),
    ("memory floor above ceiling", "vertical.containerPolicies.0.minAllowed.memory", "5Gi", "minAllowed.memory 5Gi is above maxAllowed.memory 4Gi"),
    ("negative cpu", "vertical.containerPolicies.0.minAllowed.cpu", "-1", "cpu must be a quantity from 1m to 10000"),
    ("memory without its unit", "vertical.containerPolicies.0.maxAllowed.memory", 512, "memory must be a quantity from 1Mi to 65536Gi"),
    ("more cores than a machine has", "vertical.containerPolicies.0.maxAllowed.cpu", "1E30", "cpu must be a quantity from 1m to 10000"),
    ("more memory than a machine has", "vertical.containerPolicies.0.maxAllowed.memory", "65Ti", "memory must be a quantity from 1Mi to 65536Gi"),
    ("unknown resource", "vertical.containerPolicies.0.controlledResources", ["gpu"], "controlledResources[0]: Unsupported"),
    ("no resource", "vertical.containerPolicies.0.controlledResources", [], "controlledResources"),
    ("container name with a slash", "vertical.containerPolicies.0.containerName", "a/b", "containerPolicies[0].containerName"),
    ("update mode to come", "vertical.updateMode", "InPlace", "spec.vertical.updateMode: Unsupported value"),
    # times
    ("interval in days", "analysis.interval", "1d", "interval must be a duration from 1s to 1h, written like 90s"),
    ("interval without a unit", "analysis.interval", "60", "spec.analysis.interval"),
    ("interval below a second", "analysis.interval", "999ms", "interval must be a duration from 1s to 1h"),
    ("interval above an hour", "analysis.interval", "1h1s", "interval must be a duration from 1s to 1h"),
    ("negative settle", "validation.settle", "-1s", "settle must be a duration from 0s to 24h"),
    ("interval as long as history", "analysis", {"interval": "1h", "history": "60m"}, "interval 1h is not shorter than history 60m"),
    ("history above a year", "analysis.history", "9000h", "history must be a duration from 10s to 8784h"),
    ("time zone in words", "analysis.timeZone", "Central European Time", "spec.analysis.timeZone: Invalid value: timeZone Central European Time is not the name of a time zone; write it as Europe/Berlin or UTC"),
    ("zone of the machine", "analysis.timeZone", "localtime", "timeZone localtime is not the name of a time zone"),
    ("empty time zone", "analysis.timeZone", "", "spec.analysis.timeZone"),
    ("horizon above a week", "forecast.horizon", "200h", "horizon must be a duration from 1s to 168h"),
    ("model to come", "forecast.model", "Prophet", "spec.forecast.model: Unsupported value"),
    ("confidence of certainty", "forecast.confidencePercent", 100, "spec.forecast.confidencePercent"),
    ("interval longer than validation", "validation.interval", "21m", "interval 21m is longer than duration 20m"),
    ("501 measurements", "validation", {"interval": "1s", "duration": "501s"}, "interval 1s makes more than 500 measurements in duration 501s"),
    ("a year by the second", "analysis", {"interval": "1s", "history": "8784h"}, "interval 1s makes more than 1000000 samples in history 8784h"),
    ("default duration with a short interval", "validation", {"interval": "2s"}, "interval 2s makes more than 500 measurements in duration 20m"),
    ("negative failure limit", "validation.failureLimit", -1, "spec.validation.failureLimit"),
    ("tolerance above 100", "validation.tolerancePercent", 101, "spec.validation.tolerancePercent"),
    ("history asked for and not read", "guardrails.minHistory", "169h", "guardrails.minHistory 169h is longer than analysis.history 168h"),
    ("blind without a forecast", "guardrails", {"onStaleData": "FollowForecast"}, "guardrails.onStaleData FollowForecast needs a forecast, and forecast.model is None"),
    ("answer to stale data to come", "guardrails.onStaleData", "Guess", "spec.guardrails.onStaleData: Unsupported"),
    ("no rollout at all", "guardrails.maxRolloutsPerDay", 0, "spec.guardrails.maxRolloutsPerDay"),
    ("no history to shrink by", "guardrails.minHistoryToShrink", "0s", "spec.guardrails.minHistoryToShrink"),
    ("history to shrink by in days", "guardrails.minHistoryToShrinkMemory", "7d", "spec.guardrails.minHistoryToShrinkMemory"),
    ("step of nothing", "guardrails.maxStepPercent", 0, "spec.guardrails.maxStepPercent"),
    ("answer to conflicts to come", "guardrails.onFieldConflict", "TakeOver", "spec.guardrails.onFieldConflict: Unsupported"),
    # cost
    ("negative price", "cost.cpuCoreHour", "-0.01", "cpuCoreHour must be a quantity from 0 to 10000"),
    ("price with its currency", "cost.memoryGiBHour", "$0.01", "memoryGiBHour must be a quantity from 0 to 10000"),
    ("price beyond any", "cost.cpuCoreHour", "1E30", "cpuCoreHour must be a quantity from 0 to 10000"),
    ("no currency", "cost.currency", "", "spec.cost.currency"),
    # what would steer the terminal that shows it
    ("escape in a currency", "cost.currency", "U\x1bSD", "spec.cost.currency"),
    ("escape in a unit", "metrics.load.unit", "req\x1b[31m", "spec.metrics.load.unit"),
    ("newline in a unit", "metrics.load.unit", "req\nuests", "spec.metrics.load.unit"),
    ("C1 control in a unit", "metrics.load.unit", "req\x9b31m", "spec.metrics.load.unit"),
    ("mark of direction in a unit", "metrics.load.unit", "req\u202es", "spec.metrics.load.unit"),
    ("separator of lines in a unit", "metrics.load.unit", "req\u2028s", "spec.metrics.load.unit"),
    ("escape in a time zone", "analysis.timeZone", "Europe/\x1bBerlin", "spec.analysis.timeZone"),
]  # fmt: skip

RUN = [
    ("no policy", "policyRef", ABSENT, "spec.policyRef: Required value"),
    ("policy in another namespace", "policyRef.namespace", "shop", 'unknown field "spec.policyRef.namespace"'),
    ("unknown trigger", "trigger", "Whim", "spec.trigger: Unsupported value"),
    ("empty approval", "approval", {}, "spec.approval.planHash: Required value"),
    ("escape in a plan's hash", "approval", {"planHash": "3f\x1b"}, "spec.approval.planHash"),
    ("escape in a container", "changes.0.container", "app\x1b", "spec.changes[0].container"),
    ("unknown path", "changes.0.path", "spec.paused", "spec.changes[0].path: Unsupported value"),
    ("no value", "changes.0.to", ABSENT, "spec.changes[0].to: Required value"),
    ("value of no quantity", "changes.0.to", "four", "to must be a quantity"),
    ("half a replica", "changes.0.to", "4500m", "to 4500m is not a whole number from 0 to 10000, which path spec.replicas needs"),
    ("no replicas", "changes.0.to", 0, "to 0 is not a positive amount, which path spec.replicas needs"),
    ("too many replicas", "changes.0.to", "11k", "to 11k is not a whole number from 0 to 10000"),
    ("more cores than a machine has", "changes.1.to", "1E30", "is not an amount of CPU from 1m to 10k, which path resources.requests.cpu needs"),
    ("less than a core's thousandth", "changes.1.to", "1n", "to 1n is not an amount of CPU from 1m to 10k"),
    ("more memory than a machine has", "changes.1", {"path": "resources.limits.memory", "container": "app", "to": "65Ti"}, "to 65Ti is not an amount of memory from 1Mi to 64Ti, which path resources.limits.memory needs"),
    ("load beyond any", "changes.1", {"path": "operatingPoint.loadPerReplica", "to": "1E30"}, "is above 1T, the most for path operatingPoint.loadPerReplica"),
    ("negative cpu", "changes.1.to", "-250m", "to -250m is not a positive amount, which path resources.requests.cpu needs"),
    ("replicas of a container", "changes.0.container", "app", "takes no container; leave out container app"),
    ("resources of no container", "changes.1.container", ABSENT, "path resources.requests.cpu needs the container"),
    ("same change twice", "changes.1", {"path": "spec.replicas", "to": 5}, 'spec.changes[1]: Duplicate value'),
    ("objective without threshold", "objectives.0.max", ABSENT, f"spec.objectives[0]: Invalid value: objective latency {TWO_THRESHOLDS}"),
    ("objective twice", "objectives", [{"name": "a", "max": 1}, {"name": "a", "min": 0}], 'Duplicate value: {"name":"a"}'),
]  # fmt: skip


def _cases(table: list[tuple[str, str, Any, str]]) -> list[Any]:
    return [pytest.param(path, value, message, id=name) for name, path, value, message in table]


@pytest.mark.parametrize(("path", "value", "message"), _cases(POLICY))
def test_policy_is_refused(objects: Objects, path: str, value: Any, message: str) -> None:
    body = manifests.changed(manifests.policy(), f"spec.{path}", value)
    if path == "guardrails":  # of a rule between two fields
        body["spec"]["forecast"] = {"model": "None"}
    assert message in objects.refusal(body)
    with pytest.raises(ValidationError) as refused:
        PolicySpec.model_validate(body["spec"])
    assert path.split(".")[0] in explain_invalid(refused.value)


@pytest.mark.parametrize(("path", "value", "message"), _cases(RUN))
def test_run_is_refused(objects: Objects, path: str, value: Any, message: str) -> None:
    body = manifests.changed(manifests.run(), f"spec.{path}", value)
    assert message in objects.refusal(body)
    with pytest.raises(ValidationError) as refused:
        RunSpec.model_validate(body["spec"])
    assert path.split(".")[0] in explain_invalid(refused.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param("analysis.interval", 60, "spec.analysis.interval", id="interval as a number"),
        pytest.param("objectives.0.max", 0.25, "of type integer,string", id="threshold as a float"),
        pytest.param("objectives.0.max", "1" * 33, "spec.objectives[0].max: Too long", id="threshold too long"),
        pytest.param("horizontal.minReplicas", "2", "spec.horizontal.minReplicas", id="replicas as text"),
    ],
)
def test_forms_that_our_own_code_may_use_are_refused_by_the_server(
    objects: Objects, path: str, value: Any, message: str
) -> None:
    body = manifests.changed(manifests.policy(), f"spec.{path}", value)
    assert message in objects.refusal(body)
    PolicySpec.model_validate(body["spec"])


@pytest.mark.parametrize("part", ["horizontal", "vertical"])
def test_one_part_that_may_be_changed_is_enough_for_auto(objects: Objects, part: str) -> None:
    assert objects.refusal(manifests.changed(manifests.policy(), f"spec.{part}", ABSENT)) == ""


@pytest.mark.parametrize("mode", ["Approve", "Auto"])
def test_acting_on_nothing_is_refused(objects: Objects, mode: str) -> None:
    body = manifests.changed(manifests.policy(), "spec.mode", mode)
    body = manifests.changed(manifests.changed(body, "spec.horizontal", ABSENT), "spec.vertical", ABSENT)
    message = f"mode {mode} needs horizontal or vertical, which say what may be changed"
    assert f"spec.mode: Invalid value: {message}" in objects.refusal(body)
    with pytest.raises(ValidationError, match=message):
        PolicySpec.model_validate(body["spec"])


def test_name_that_fits_no_label_is_refused(objects: Objects) -> None:
    assert objects.refusal(manifests.changed(manifests.policy(), "metadata.name", "a" * 63)) == ""
    refusal = objects.refusal(manifests.changed(manifests.policy(), "metadata.name", "a" * 64))
    assert "metadata.name must have at most 63 characters" in refusal


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("validation", {"interval": "1s", "duration": "500s"}, id="500 measurements"),
        pytest.param("validation", {"interval": "20m"}, id="one measurement"),
        pytest.param("validation.settle", "0s", id="no settling"),
        pytest.param("analysis.interval", "1s", id="an evaluation a second"),
        pytest.param("analysis.interval", "1.5s", id="fraction"),
        pytest.param("analysis", {"interval": "1m", "history": "61m"}, id="short history"),
        pytest.param("objectives", [], id="no objectives"),
        pytest.param("objectives.0.max", -1, id="negative threshold"),
        pytest.param("objectives.0.max", "1e-3", id="exponent"),
        pytest.param("objectives.0.max", "64Mi", id="bytes"),
        pytest.param(
            "metrics.load.query", 'label_replace(h{svc="$target"}, "a", "$1-${x}", "b", "(.*)$")', id="groups"
        ),
        pytest.param("metrics.load.query", "hits{svc=~'$target'}", id="other quotes"),
        pytest.param("vertical.containerPolicies.0.minAllowed.cpu", "2", id="floor equal to ceiling"),
        pytest.param("guardrails.minHistory", "168h", id="all of the history asked for"),
        pytest.param("cost.cpuCoreHour", 0, id="free"),
        pytest.param("analysis.timeZone", "America/Argentina/Buenos_Aires", id="long zone"),
        pytest.param("analysis.timeZone", "Etc/GMT+3", id="zone by its offset"),
    ],
)
def test_bounds_belong_to_what_is_allowed(objects: Objects, path: str, value: Any) -> None:
    body = manifests.changed(manifests.policy(), f"spec.{path}", value)
    assert objects.refusal(body) == ""
    PolicySpec.model_validate(body["spec"])
