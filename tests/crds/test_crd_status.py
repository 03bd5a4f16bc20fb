"""A full status goes to the API server and comes back as it was, and stays small."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from tests.crds import manifests
from tests.crds.conftest import Kubectl, Objects
from trimtab.domain import crd
from trimtab.domain.run_status import RunStatus, TimelineEntry
from trimtab.domain.status import Condition, PolicyStatus

LIMIT_BYTES = 16 * 1024
TEXTS = {
    32: "0.249",
    253: "latency-p99",
    512: "6→4, cpu 500m→350m",
    1024: "latency-p99 is 0.312 and its threshold 0.25; 0.231 was expected with 6 replicas at 412 requests/s",
}
LONG = {"measurements": 64, "timeline": 8, "guardrails": 8, "conditions": 3, "objectives": 3, "changes": 3}


def filled(schema: dict[str, Any], name: str = "", index: int = 0) -> Any:
    """A value of a status' schema with every field, texts of usual length and lists as long as a busy workload's."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            return {f"fact-{number}": filled(schema["additionalProperties"]) for number in range(6)}
        case "object":
            return {
                key: filled(inner, name if key == "type" else key, index) for key, inner in schema["properties"].items()
            }
        case "array":
            length = min(LONG.get(name, 2), schema["maxItems"])
            return [filled(schema["items"], name, number) for number in range(length)]
        case "string" if schema.get("format") == "date-time":
            return "2026-01-02T03:04:05Z"
        case "string":
            unique = index if name == "conditions" else ""
            return f"{TEXTS[schema['maxLength']]}{unique}"
        case "integer":
            return 12
        case "boolean":
            return True
    raise AssertionError(schema)


CASES = [
    pytest.param(crd.policy_crd(), PolicyStatus, manifests.policy(), "perf", id="policy"),
    pytest.param(crd.run_crd(), RunStatus, manifests.run(), "orun", id="run"),
]


@pytest.mark.cluster
@pytest.mark.parametrize(("definition", "model", "manifest", "short"), CASES)
def test_a_full_status_comes_back_as_it_was(
    objects: Objects,
    kubectl: Kubectl,
    namespace: str,
    definition: dict[str, Any],
    model: type[BaseModel],
    manifest: dict[str, Any],
    short: str,
) -> None:
    status = filled(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"])
    parsed = model.model_validate(status)
    body = manifests.changed(manifest, "metadata.namespace", namespace)
    objects.create(body, namespace, dry_run=False)
    name = f"{short}/{body['metadata']['name']}"
    patch = json.dumps({"status": parsed.model_dump(mode="json", by_alias=True)})
    kubectl("patch", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    stored = json.loads(kubectl("get", name, "-n", namespace, "-o", "json"))["status"]
    assert stored == status
    assert model.model_validate(stored) == parsed
    assert len(json.dumps(stored, separators=(",", ":")).encode()) < LIMIT_BYTES


def test_a_text_that_is_too_long_is_cut_and_not_refused() -> None:
    condition = Condition(type="Ready", status="False", reason="Broken", message="x" * 5000)
    assert condition.message == "x" * 1023 + "…"
    assert len(TimelineEntry.model_validate({"phase": "Failed", "at": 0, "reason": "y" * 600}).reason) == 512
