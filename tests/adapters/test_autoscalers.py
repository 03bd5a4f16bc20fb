"""Autoscalers as the API server has them: what each owns, and definitions that come, go or may not be read."""

from __future__ import annotations

from typing import Any, cast

import pytest

from trimtab.adapters.autoscalers import Autoscalers, parse_autoscaler
from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.domain.autoscalers import AutoscalerKind
from trimtab.domain.choices import TargetKind

WEB = ("shop", TargetKind.DEPLOYMENT, "web")
VPAS = "/apis/autoscaling.k8s.io/v1"
KEDA = "/apis/keda.sh/v1alpha1"
REQUESTS = {"resources.requests.cpu", "resources.requests.memory"}
LIMITS = {"resources.limits.cpu", "resources.limits.memory"}


def vpa(**spec: Any) -> JsonObject:
    return {"metadata": {"name": "web"}, "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, **spec}}


def of_containers(*policies: JsonObject) -> JsonObject:
    return vpa(resourcePolicy={"containerPolicies": list(policies)})


@pytest.mark.parametrize(
    ("body", "app", "other"),
    [
        (vpa(), REQUESTS | LIMITS, REQUESTS | LIMITS),
        *((vpa(updatePolicy={"updateMode": mode}), REQUESTS | LIMITS, REQUESTS | LIMITS)
          for mode in ("Initial", "Recreate", "Auto", "InPlaceOrRecreate")),
        (vpa(updatePolicy={"updateMode": "Off"}), set(), set()),
        (of_containers({"containerName": "app", "mode": "Off"}), set(), REQUESTS | LIMITS),
        (of_containers({"containerName": "*", "mode": "Off"}), set(), set()),
        (of_containers({"controlledValues": "RequestsOnly"}), REQUESTS, REQUESTS),
        (
            of_containers({"containerName": "app", "controlledResources": ["memory"]}, {"mode": "Off"}),
            {"resources.requests.memory", "resources.limits.memory"},
            set(),
        ),
    ],
)  # fmt: skip
def test_what_a_vpa_owns(body: JsonObject, app: set[str], other: set[str]) -> None:
    found = parse_autoscaler(AutoscalerKind.VPA, body)
    assert not found.replicas
    assert {path for path in REQUESTS | LIMITS if found.sets(path, "app")} == app
    assert {path for path in REQUESTS | LIMITS if found.sets(path, "other")} == other


@pytest.mark.parametrize(
    ("annotations", "owns"),
    [
        ({}, True),
        ({"autoscaling.keda.sh/paused": "true"}, False),
        ({"autoscaling.keda.sh/paused": "false"}, True),
        ({"autoscaling.keda.sh/paused-replicas": "3"}, True),  # it holds that count
    ],
)
def test_what_a_scaled_object_owns(annotations: dict[str, str], owns: bool) -> None:
    body = {"metadata": {"name": "web", "annotations": annotations}, "spec": {"scaleTargetRef": {"name": "web"}}}
    assert parse_autoscaler(AutoscalerKind.SCALED_OBJECT, body).replicas is owns


class Server:
    """An API server in which things come and go."""

    def __init__(self) -> None:
        self.served: dict[str, str] = {}
        self.items: dict[str, list[JsonObject]] = {}
        self.refuses: dict[str, int] = {}
        self.asked: list[str] = []

    def _refuse(self, path: str) -> None:
        for part, status in self.refuses.items():
            if part in path:
                raise KubeError(status, "Forbidden", "may not")

    async def get(self, path: str) -> JsonObject:
        self.asked.append(path)
        self._refuse(path)
        if path not in self.served:
            raise KubeError(404, "NotFound", "no such group")
        return {"resources": [{"name": self.served[path]}]}

    async def list(self, path: str) -> list[JsonObject]:
        self._refuse(path)
        group = path.split("/namespaces/")[0]
        if group.startswith(("/apis/autoscaling.k8s.io", "/apis/keda.sh")) and group not in self.served:
            raise KubeError(404, "NotFound", "no such group")
        return self.items.get(group, [])


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def autoscalers(server: Server, clock: Clock) -> Autoscalers:
    return Autoscalers(cast(KubeClient, server), clock)


def installed(server: Server) -> None:
    server.served = {VPAS: "verticalpodautoscalers", KEDA: "scaledobjects"}
    server.items = {
        VPAS: [vpa()],
        KEDA: [{"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"name": "web"}}}],
    }


async def test_absent_definitions_are_no_error_and_asked_for_now_and_then(
    server: Server, autoscalers: Autoscalers, clock: Clock
) -> None:
    for _ in range(3):
        found = await autoscalers.seen("shop")
        assert (found.by_target, found.unlisted) == ({}, "")
    assert sorted(server.asked) == [VPAS, KEDA]
    installed(server)
    clock.now += 121.0
    titles = [one.title for one in (await autoscalers.seen("shop")).by_target[WEB]]
    assert titles == ["VerticalPodAutoscaler web", "ScaledObject web"]


async def test_definitions_that_go_are_noticed(server: Server, autoscalers: Autoscalers) -> None:
    installed(server)
    assert len(await autoscalers.on(TargetKind.DEPLOYMENT, "shop", "web")) == 2
    server.served = {}
    found = await autoscalers.seen("shop")
    assert (found.by_target, found.unlisted) == ({}, "")


async def test_another_group_of_the_same_name_is_not_taken_for_it(server: Server, autoscalers: Autoscalers) -> None:
    installed(server)
    server.served[VPAS] = "somethingelse"
    assert [one.kind for one in await autoscalers.on(TargetKind.DEPLOYMENT, "shop", "web")] == ["ScaledObject"]


async def test_what_may_not_be_listed_is_said_and_passed_over(server: Server, autoscalers: Autoscalers) -> None:
    installed(server)
    server.refuses = {"verticalpodautoscalers": 403}
    found = await autoscalers.seen("shop")
    assert "let the operator list verticalpodautoscalers.autoscaling.k8s.io" in found.unlisted
    assert [one.kind for one in found.by_target[WEB]] == ["ScaledObject"]
    assert [one.kind for one in await autoscalers.on(TargetKind.DEPLOYMENT, "shop", "web")] == ["ScaledObject"]


async def test_an_answer_that_fails_lets_no_write_through(server: Server, autoscalers: Autoscalers) -> None:
    installed(server)
    server.refuses = {"scaledobjects": 500}
    assert "it is asked again" in (await autoscalers.seen("shop")).unlisted
    with pytest.raises(KubeError):
        await autoscalers.on(TargetKind.DEPLOYMENT, "shop", "web")


async def test_an_hpa_that_cannot_be_read_fails_the_namespace(server: Server, autoscalers: Autoscalers) -> None:
    server.refuses = {"horizontalpodautoscalers": 403}
    with pytest.raises(KubeError):
        await autoscalers.seen("shop")
