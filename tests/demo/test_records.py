"""What is read back from the audit log and from runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import cast
from demo.judging import Patch
from demo.policies import THRESHOLD_SECONDS
from demo.records import capacity_within, patches, trial, trial_of
from trimtab.simulation.latency import sojourn

OPERATOR = "system:serviceaccount:trimtab-system:trimtab"


def audit(user: str = OPERATOR, code: int = 200, name: str = "checkout", subresource: str = "scale") -> str:
    entry = {
        "user": {"username": user},
        "objectRef": {"namespace": "shop", "name": name, "subresource": subresource},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": "2026-01-01T00:00:01.500000Z",
        "requestObject": [
            {"op": "test", "path": "/metadata/uid", "value": "1"},
            {"op": "test", "path": "/spec/replicas", "value": 2},
            {"op": "replace", "path": "/spec/replicas", "value": 5},
        ],
    }
    return json.dumps(entry)


OTHERS: list[Any] = [
    pytest.param(audit(user="admin"), id="a person's"),
    pytest.param(audit(code=422), id="refused"),
    pytest.param(audit(name="search"), id="of another Deployment"),
    pytest.param(audit(subresource="status"), id="of the status"),
]


def test_a_patch_of_the_scale_is_read_with_its_counts_and_its_time(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(f"{audit()}\n")
    assert patches(log, "shop", "checkout", OPERATOR) == [Patch(1767225601.5, 2, 5)]


@pytest.mark.parametrize("line", OTHERS)
def test_other_writes_do_not_count(tmp_path: Path, line: str) -> None:
    log = tmp_path / "audit.log"
    log.write_text(f"{line}\n")
    assert patches(log, "shop", "checkout", OPERATOR) == []


RUN: dict[str, Any] = {
    "metadata": {"name": "search-1"},
    "spec": {"policyRef": {"name": "search"}, "trigger": "Cost"},
    "status": {
        "phase": "RolledBack",
        "summary": {"change": "cpu 1→850m"},
        "plan": {"reason": "cheaper"},
        "applied": {
            "at": "2026-01-01T00:00:00Z",
            "validateFrom": "2026-01-01T00:00:20Z",
            "validateIntervalSeconds": 4,
            "measurements": 8,
        },
        "measurements": [
            {"at": "2026-01-01T00:00:20Z", "value": "0.12", "result": "Pass"},
            {"at": "2026-01-01T00:00:24Z", "result": "Error"},
        ],
        "verdict": {"message": "worse", "objectives": [{"effectPercent": "80.0", "lowerPercent": "60.0"}]},
        "rollback": {"restored": True, "at": "2026-01-01T00:01:00Z"},
    },
}


def test_a_run_is_read_with_its_times_and_its_verdict() -> None:
    found = trial(RUN)
    assert found is not None
    assert (found.validate_from - found.applied_at, found.planned, found.phase) == (20.0, 8, "RolledBack")
    assert found.undone_at - found.applied_at == 60.0
    assert (found.effect_percent, found.message, found.restored, found.worst_seconds) == ("80.0", "worse", True, 0.12)


def test_a_run_that_touched_nothing_is_no_trial() -> None:
    pending = {**RUN, "status": {"phase": "Rejected"}}
    assert trial(pending) is None
    assert trial_of([pending, RUN], "search") == trial(RUN)
    assert trial_of([RUN], "payments") is None


def test_the_capacity_of_a_pod_is_where_its_queue_reaches_the_threshold(tmp_path: Path) -> None:
    checkout = cast.scenario(tmp_path, 0.0).services[0]
    carried = capacity_within(checkout, THRESHOLD_SECONDS)
    served = checkout.model.capacity(checkout.cpu)
    latency = sojourn(*(np.array([[value]]) for value in (carried, served, 1.0, checkout.model.base_service_seconds)))
    assert float(latency.tail(np.array([[THRESHOLD_SECONDS]]))[0, 0]) == pytest.approx(0.01, rel=1e-3)
