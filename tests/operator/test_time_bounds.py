"""What is promised within a time, by the times that the API server and the status have on record."""

from __future__ import annotations

from typing import Final

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    FOLLOWING,
    REPLICAS,
    UNDONE_SECONDS,
    WHOLE_SECONDS,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
)
from tests.operator.audit import Audit
from tests.operator.test_autoscalers import hpa
from trimtab.domain.status_types import parse_time

pytestmark = pytest.mark.cluster

ROUND_SECONDS: Final = 10.0
NOISE_SECONDS: Final = 3.0
"""What a round takes on a busy machine."""


async def test_a_change_is_undone_within_its_bound_after_the_verdict(stage: Stage, audit: Audit) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("bad", "web", changes=to_replicas(BAD_REPLICAS))
    run = await stage.settled("bad")
    assert (run["status"]["phase"], await replicas(stage)) == ("RolledBack", REPLICAS)
    decided = parse_time(run["status"]["verdict"]["at"])
    assert audit.last_done_at() - decided <= UNDONE_SECONDS + WHOLE_SECONDS
    assert parse_time(run["status"]["rollback"]["at"]) - decided <= UNDONE_SECONDS + WHOLE_SECONDS


async def test_a_conflict_is_said_within_a_round(stage: Stage) -> None:
    """Somebody makes an HPA beside a policy that is looked at every ten seconds."""
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(horizontal=FOLLOWING, analysis={"interval": f"{ROUND_SECONDS:.0f}s"}))
    stage.operator()
    await stage.told("web", "Conflicted", "False")
    await stage.apply(hpa("web", percent=80))
    made = await stage.kube.get(f"/apis/autoscaling/v2/namespaces/{stage.namespace}/horizontalpodautoscalers/web")
    told = await stage.told("web", "Conflicted", "True", "ClaimedByOther")
    late = parse_time(told["lastTransitionTime"]) - parse_time(made["metadata"]["creationTimestamp"])
    assert late <= ROUND_SECONDS + WHOLE_SECONDS + NOISE_SECONDS
