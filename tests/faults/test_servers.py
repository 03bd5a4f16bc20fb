"""The API server or Prometheus fails for a while: runs end as they would have, and nothing is changed on bad data."""

from __future__ import annotations

from typing import Final

import pytest

from tests.faults import proxies
from tests.faults.cases import cases
from tests.faults.promises import broken_promises
from tests.faults.scene import FOLLOWING, GOOD, STEADY_RATE, STEADY_REPLICAS, Scene, When
from tests.operator.acting import learned, play, policy, replicas, rounds, service
from tests.operator.test_pods_unseen import hide, pods_of

pytestmark = pytest.mark.cluster

API: Final = {
    "conflict-409": proxies.refused(409, "Conflict"),
    "gone-410": proxies.refused(410, "Expired"),
    "test-failed-422": proxies.refused(422, "Invalid"),
    "throttled-429": proxies.refused(429, "TooManyRequests"),
    "error-500": proxies.refused(500, "InternalError"),
    "unavailable-503": proxies.refused(503, "ServiceUnavailable"),
    "cut": proxies.cut,
    "cut-after": proxies.cut_after,
    "slow": proxies.slow,
    "html": proxies.html,
    "nested": proxies.nested,
}
PROMETHEUS: Final = {
    "cut": proxies.cut,
    "delay": proxies.never,
    "bad-query-400": proxies.answered('{"status":"error","errorType":"bad_data","error":"no"}', 400),
    "error-500": proxies.answered("no", 500),
    "unavailable-503": proxies.answered("no", 503),
    "truncated": proxies.truncated,
    "html": proxies.html,
    "huge": proxies.huge,
    "nested": proxies.nested,
    "nan": proxies.values("NaN"),
    "inf": proxies.values("+Inf"),
    "negative": proxies.rewritten(proxies.negated),
    "1e12": proxies.values("1e12"),
    "partial": proxies.rewritten(proxies.partial),
    "clock-ahead": proxies.shifted(300.0),
    "clock-behind": proxies.shifted(-300.0),
    "redirect": proxies.redirected,
}


@pytest.mark.parametrize(("fault", "when"), cases(API, When, short={("cut-after", When.UNDOING)}))
async def test_api_server(scene: Scene, fault: str, when: When) -> None:
    async def begin() -> None:
        scene.api.harm = API[fault]

    async def end() -> None:
        scene.api.harm = None

    await scene.reach(when)
    await scene.suffer(begin, end)
    assert scene.api.harmed > 0
    assert await broken_promises(scene, good_is_kept=True) == []


@pytest.mark.parametrize(("fault", "when"), cases(PROMETHEUS, When, short={("1e12", When.VALIDATING)}))
async def test_prometheus(scene: Scene, fault: str, when: When) -> None:
    async def begin() -> None:
        scene.prometheus.harm = PROMETHEUS[fault]

    async def end() -> None:
        scene.prometheus.harm = None

    await scene.reach(when)
    await scene.suffer(begin, end)
    assert scene.prometheus.harmed > 0
    assert await broken_promises(scene, good_is_kept=False) == []


@pytest.mark.parametrize(("fault", "when"), cases(["half-the-pods"], [When.FOLLOWING, When.VALIDATING], short=()))
async def test_exporters(scene: Scene, fault: str, when: When) -> None:
    """Half of the pods are seen by no exporter; one more service follows the CPU that its pods use."""
    name = "by-cpu"
    made = service(name, rate=STEADY_RATE, replicas=STEADY_REPLICAS, namespace=scene.stage.namespace)
    simulation = await play(scene.stage, made)
    await scene.stage.apply(policy(name, metrics=None, objectives=None, horizontal=FOLLOWING))
    await learned(scene.stage, name)
    await scene.reach(when)
    hidden = [pod for each in (name, GOOD) for pod in (await pods_of(scene.stage, each))[:2]]

    async def begin() -> None:
        for one in (simulation, scene.simulation):
            await hide(one, scene.stage.namespace, hidden)
        await scene.stage.told(name, "DataAvailable", "False", "PodsMissing")
        await rounds(scene.stage, 8)  # past the window of the rate

    async def end() -> None:
        for one in (simulation, scene.simulation):
            await one.mend()

    await scene.suffer(begin, end)
    assert await replicas(scene.stage, name) == STEADY_REPLICAS, fault
    assert await broken_promises(scene, good_is_kept=False) == []
