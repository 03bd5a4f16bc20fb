"""What is promised within a time, by the times that the API server and the status have on record."""

from __future__ import annotations

from typing import Final

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_REPLICAS,
    FOLLOWING,
    GOOD_REPLICAS,
    REPLICAS,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
    written_at,
)
from tests.operator.audit import Audit
from tests.operator.gate import Gate
from tests.operator.test_autoscalers import hpa
from tests.operator.test_neighbours import queries
from trimtab.domain.status_types import parse_time

pytestmark = pytest.mark.cluster

UNDONE_SECONDS: Final = 10.0
ROUND_SECONDS: Final = 10.0
WHOLE_SECONDS: Final = 1.0
"""By so much two times on record may be off, as they are rounded."""
NOISE_SECONDS: Final = 3.0
"""What a round takes on a busy machine."""


def undone_at(audit: Audit) -> float:
    """When the API server got the last write of a workload that it let happen."""
    return [write.at for write in audit.writes() if write.done][-1]


async def test_a_change_is_undone_within_its_bound_after_the_verdict(stage: Stage, audit: Audit) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy())
    stage.operator()
    await learned(stage, "web")
    await stage.create_run("bad", "web", changes=to_replicas(BAD_REPLICAS))
    run = await stage.settled("bad")
    assert (run["status"]["phase"], await replicas(stage)) == ("RolledBack", REPLICAS)
    decided = parse_time(run["status"]["verdict"]["at"])
    assert undone_at(audit) - decided <= UNDONE_SECONDS + WHOLE_SECONDS
    assert parse_time(run["status"]["rollback"]["at"]) - decided <= UNDONE_SECONDS + WHOLE_SECONDS


async def test_an_abort_is_undone_within_its_bound_while_prometheus_hangs(stage: Stage, audit: Audit) -> None:
    await play(stage, service(namespace=stage.namespace))
    await stage.apply(policy(validation={"duration": "300s"}))
    async with Gate(stage.prometheus_url) as gate:
        stage.operator(prometheus_url=gate.url)
        await learned(stage, "web")
        await stage.create_run("aborted", "web", changes=to_replicas(GOOD_REPLICAS))
        await stage.in_phase("aborted", ["Settling", "Validating"])
        hanging = gate.hold(queries)
        await hanging.caught()
        await stage.trimtab("abort", "aborted")
        run = await stage.settled("aborted")
        assert not hanging._fate.done(), "Prometheus hangs still"
        assert (run["status"]["phase"], await replicas(stage)) == ("Cancelled", REPLICAS)
        assert undone_at(audit) - written_at(run, "f:spec", "f:cancelled") <= UNDONE_SECONDS + WHOLE_SECONDS


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
