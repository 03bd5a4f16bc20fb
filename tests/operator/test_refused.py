"""What the API server does not take: an undo that it refuses is told and tried again, a change has a deadline."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from demo.stage import Stage, StageError
from tests.operator.acting import (
    CPU,
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
from tests.operator.gate import Gate, Request, to_scale, to_template, writes_to
from trimtab.adapters.kube import JsonObject
from trimtab.simulation.scenario import manifest

pytestmark = pytest.mark.cluster

DEADLINE: Final = 8
"""Seconds that a rollout may stand still."""


def forbidding(namespace: str, reasons: dict[str, str]) -> list[JsonObject]:
    """A policy of the API server: Deployments of these names may not have the size that they had at first."""
    name = f"no-small-{namespace}"
    size = "object.spec.template.spec.containers.all(c, c.resources.limits['cpu'] != '{}')"
    validations = [
        {
            "expression": f"object.metadata.name != '{target}' || {size.format(CPU)}",
            "message": f"{target} may not be so small",
            "reason": reason,
        }
        for target, reason in reasons.items()
    ]
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    matches = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return [
        {
            **group,
            "kind": "ValidatingAdmissionPolicy",
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": validations},
        },
        {
            **group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": matches},
        },
    ]


async def test_an_undo_that_is_refused_is_told_and_goes_on_until_it_succeeds(stage: Stage) -> None:
    """The API server answers 403 to one and 422 to the other, with the policy's words."""
    names = {"forbidden": "Forbidden", "invalid": "Invalid"}
    await play(stage, *(service(name, namespace=stage.namespace) for name in names))
    await stage.apply(*(policy(name, validation={"duration": "300s"}) for name in names))
    stage.operator()
    await learned(stage, *names)
    for name in names:
        await stage.create_run(name, name, changes=to_cpu(GOOD_CPU))
    for name in names:
        await stage.in_phase(name, ["Validating"])
    given = yaml.safe_dump_all(forbidding(stage.namespace, names))
    await stage.kubectl("apply", "-f", "-", given=given, kubeconfig=stage.kubeconfig)
    try:
        for name in names:
            await stage.until(partial(is_refused, stage, name), f"the size of {name} to be refused")
            await stage.trimtab("abort", name)
        for name in names:
            told = await stage.told(name, "Degraded", "True", "UndoRefused")
            assert f"run {name} cannot be undone yet: the API server refuses the write: " in told["message"]
            assert f"{name} may not be so small" in told["message"]
            await rounds(stage, 3)
            status = (await stage.run(name))["status"]
            assert f"{name} may not be so small" in status["undoRefused"]
            assert [entry["phase"] for entry in status["timeline"]].count("Validating") == 2, "recorded once"
            assert status["timeline"][-1]["reason"].startswith("cannot undo yet: the API server refuses the write: ")
            events = [event for event in await stage.events(name) if event["reason"] == "UndoRefused"]
            assert [(event["type"], event.get("count", 1)) for event in events] == [("Warning", 1)]
            assert (await resources(stage, name))["limits"]["cpu"] == GOOD_CPU
    finally:
        await stage.kubectl("delete", "-f", "-", given=given, kubeconfig=stage.kubeconfig)
    for name in names:
        run = await stage.settled(name)
        assert (run["status"]["phase"], run["status"]["rollback"]["restored"]) == ("Cancelled", True)
        assert "undoRefused" not in run["status"]
        assert (await resources(stage, name))["limits"]["cpu"] == CPU
        await stage.told(name, "Degraded", "False", "AsExpected")


async def is_refused(stage: Stage, name: str) -> bool:
    """Whether the API server refuses the size that a workload had at first."""
    try:
        await stage.kubectl("set", "resources", f"deployment/{name}", f"--limits=cpu={CPU}", "--dry-run=server")
    except StageError as error:
        if "may not be so small" not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize(
    ("status", "of_template"),
    [
        pytest.param(500, False, id="error-at-the-count"),
        pytest.param(500, True, id="error-at-the-size"),
        pytest.param(409, True, id="conflict-at-the-size"),
        pytest.param(422, False, id="refused-without-a-cause-at-the-count"),
    ],
)
async def test_a_change_that_is_not_taken_until_its_deadline_is_undone(
    stage: Stage, gate: Gate, gate_kubeconfig: Path, status: int, of_template: bool
) -> None:
    """The count is written first; where the size is what is not taken, it is put back. Others follow all the while."""
    body = manifest(service(namespace=stage.namespace))
    body["spec"]["progressDeadlineSeconds"] = DEADLINE
    spare = service("follows", rate=SPARE_RATE, namespace=stage.namespace)
    await stage.apply(body, manifest(spare))
    await play(stage, service(namespace=stage.namespace), spare, deploy=False)
    await stage.apply(policy(), policy("follows", horizontal=FOLLOWING, paused=True))
    stage.operator(kubeconfig=gate_kubeconfig)
    await learned(stage, "web", "follows")
    of_web, which = writes_to("web"), to_template if of_template else to_scale

    def harmed(request: Request) -> bool:
        return of_web(request) and which(request)

    answer = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": "Odd"}
    with gate.answering(harmed, status, json.dumps({**answer, "message": "not now"}).encode()):
        await stage.create_run("try", "web", changes=[*to_replicas(GOOD_REPLICAS), *to_cpu(GOOD_CPU)])
        told = await stage.told("web", "Degraded", "True", "EvaluationFailed")
        assert f"run try comes again: {status} Odd: not now" in told["message"]
        await stage.apply(policy("follows", horizontal=FOLLOWING))
        await counted(stage, "follows", WELL_REPLICAS)
        run = await stage.settled("try")
    why = f"the change could not be written in time: {status} Odd: not now"
    assert (run["status"]["phase"], run["status"]["timeline"][-1]["reason"]) == ("Failed", why)
    assert run["status"]["rollback"]["restored"]
    assert (await replicas(stage), (await resources(stage))["limits"]["cpu"]) == (REPLICAS, CPU)
    tried = [request for request in gate.seen if harmed(request)]
    assert len(tried) < 4 * DEADLINE, "with the rounds, and not in a loop"
    await stage.told("web", "Degraded", "False", "AsExpected")


async def test_pods_that_do_not_come_back_are_told(stage: Stage) -> None:
    """The spec is as before at once; a LimitRange that was made in the meantime refuses the pods of it."""
    changes = {"well": to_replicas(GOOD_REPLICAS), "count": to_replicas(GOOD_REPLICAS), "size": to_cpu(GOOD_CPU)}
    await play(stage, *(service(name, namespace=stage.namespace) for name in changes))
    await stage.apply(*(policy(name, validation={"duration": "300s"}) for name in changes))
    stage.operator()
    await learned(stage, *changes)
    for name, changed in changes.items():
        await stage.create_run(name, name, changes=changed)
    for name in changes:
        await stage.in_phase(name, ["Validating"])
    await stage.trimtab("abort", "well")
    await stage.until(partial(_pods_known, stage, "well"), "the pods of well")
    limits = [{"type": "Container", "max": {"cpu": "950m"}}]
    await stage.apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
    )
    for name in ("count", "size"):
        await stage.trimtab("abort", name)
        run = await stage.settled(name)
        assert run["status"]["phase"] == "Cancelled"
    assert await replicas(stage, "count") == REPLICAS
    assert (await resources(stage, "size"))["requests"]["cpu"] == CPU
    for name in ("count", "size"):
        await stage.until(partial(_pods_known, stage, name), f"the pods of {name}", 120.0)
        rollback = (await stage.run(name))["status"]["rollback"]
        assert not rollback["restored"], name
        assert rollback["notRestored"][0].startswith("pods: the spec is as before, and ")
        assert "maximum cpu usage per Container is 950m" in rollback["notRestored"][0]
    assert (await stage.run("well"))["status"]["rollback"]["restored"]


async def _pods_known(stage: Stage, name: str) -> bool:
    rollback = (await stage.run(name))["status"].get("rollback")
    return rollback is not None and "watchedUntil" not in rollback
