"""What may change in a run after its creation: nothing but approval and cancelled."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.crds import manifests
from tests.crds.conftest import Objects
from tests.crds.manifests import ABSENT

pytestmark = pytest.mark.cluster

IMMUTABLE = "spec cannot be changed after creation, but for approval and cancelled; create another run instead"
APPROVED = {"approval": {"planHash": "3f9c"}}


@pytest.fixture
def stored(objects: Objects, namespace: str) -> Any:
    """Creates a run whose spec has the given fields beside the usual ones."""

    def create(extra: dict[str, Any] | None = None, kind: str = "OptimizationRun") -> Any:
        body = manifests.run() if kind == "OptimizationRun" else manifests.policy()
        body["metadata"]["namespace"] = namespace
        body["spec"] |= extra or {}
        return objects.create(body, namespace, dry_run=False)

    return create


@pytest.mark.parametrize(
    ("before", "path", "value"),
    [
        pytest.param({}, "approval", {"planHash": "3f9c"}, id="approve"),
        pytest.param(APPROVED, "approval.planHash", "77aa", id="approve another plan"),
        pytest.param({}, "cancelled", True, id="cancel"),
        pytest.param(APPROVED, "cancelled", True, id="cancel what was approved"),
        pytest.param({"cancelled": True}, "approval", {"planHash": "3f9c"}, id="approve what was cancelled"),
        pytest.param({}, "trigger", "Manual", id="same value"),
    ],
)
def test_allowed(objects: Objects, stored: Any, before: dict[str, Any], path: str, value: Any) -> None:
    objects.replace(manifests.changed(stored(before), f"spec.{path}", value))


@pytest.mark.parametrize(
    ("before", "path", "value", "message"),
    [
        pytest.param({}, "policyRef.name", "other", IMMUTABLE, id="policy"),
        pytest.param({}, "strategy", "Balanced", IMMUTABLE, id="strategy"),
        pytest.param({}, "strategy", ABSENT, IMMUTABLE, id="strategy removed"),
        pytest.param({}, "trigger", "Cost", IMMUTABLE, id="trigger"),
        pytest.param({}, "dryRun", True, IMMUTABLE, id="dry run"),
        pytest.param({"dryRun": True}, "dryRun", ABSENT, IMMUTABLE, id="dry run back to its default"),
        pytest.param({}, "changes.0.to", 5, IMMUTABLE, id="value of a change"),
        pytest.param({}, "changes", ABSENT, IMMUTABLE, id="changes removed"),
        pytest.param({"changes": []}, "changes", [{"path": "spec.replicas", "to": 1}], IMMUTABLE, id="changes added"),
        pytest.param({}, "objectives.0.max", "500m", IMMUTABLE, id="threshold"),
        pytest.param({}, "objectives", [], IMMUTABLE, id="objectives removed"),
        pytest.param(APPROVED, "approval", ABSENT, "approval may be replaced but not removed", id="approval removed"),
        pytest.param({"cancelled": True}, "cancelled", False, "cancelled cannot be taken back", id="uncancelled"),
        pytest.param(
            {"cancelled": True}, "cancelled", ABSENT, "cancelled cannot be taken back", id="cancelled removed"
        ),
    ],
)
def test_refused(objects: Objects, stored: Any, before: dict[str, Any], path: str, value: Any, message: str) -> None:
    with pytest.raises(ApiException, match=message):
        objects.replace(manifests.changed(stored(before), f"spec.{path}", value))


def test_a_strategy_cannot_be_added(objects: Objects, stored: Any) -> None:
    body = stored({"strategy": None})
    assert "strategy" not in body["spec"]
    with pytest.raises(ApiException, match=IMMUTABLE):
        objects.replace(manifests.changed(body, "spec.strategy", "Balanced"))


def test_the_same_quantity_written_another_way_is_a_change(objects: Objects, stored: Any) -> None:
    with pytest.raises(ApiException, match=IMMUTABLE):
        objects.replace(manifests.changed(stored(), "spec.changes.1.to", "0.75"))


def test_a_policy_may_change_its_target(objects: Objects, stored: Any) -> None:
    body = stored(kind="PerformancePolicy")
    replaced = objects.replace(manifests.changed(copy.deepcopy(body), "spec.targetRef.name", "other"))
    assert replaced["metadata"]["generation"] == 2
