"""The rights that the chart gives are all that the operator needs: cluster-wide, or in the namespaces it watches."""

from __future__ import annotations

from collections import Counter

import pytest

from demo.stage import Stage
from tests.operator.acting import (
    BAD_CPU,
    CPU,
    FOLLOWING,
    GOOD_REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    learned,
    play,
    policy,
    replicas,
    resources,
    service,
    to_cpu,
    to_replicas,
)
from tests.operator.audit import Audit

pytestmark = pytest.mark.cluster


async def test_what_the_chart_grants_in_a_namespace_suffices(stage: Stage, audit: Audit) -> None:
    rates = {"kept": 100.0, "undone": 100.0, "followed": SPARE_RATE}
    await play(stage, *(service(name, rate=rate, namespace=stage.namespace) for name, rate in rates.items()))
    await stage.apply(policy("kept"), policy("undone"), policy("followed", horizontal=FOLLOWING))
    operator = stage.operator()
    await learned(stage, *rates)
    await stage.create_run("kept", "kept", changes=to_replicas(GOOD_REPLICAS))
    await stage.create_run("undone", "undone", changes=to_cpu(BAD_CPU))
    kept, undone = await stage.settled("kept"), await stage.settled("undone")
    await counted(stage, "followed", WELL_REPLICAS)

    assert (kept["status"]["phase"], undone["status"]["phase"]) == ("Succeeded", "RolledBack")
    assert await replicas(stage, "kept") == GOOD_REPLICAS
    assert (await resources(stage, "undone"))["limits"]["cpu"] == CPU
    done = Counter(write.what for write in audit.writes() if write.done)
    assert done == Counter({"deployments/scale": 2, "deployments": 2})
    assert "orbidden" not in operator.log
    assert {event["reason"] for event in await stage.events()} >= {"Succeeded", "RolledBack", "ScaledDown"}
