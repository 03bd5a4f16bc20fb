"""The cast: the services of the story with their loads, the policies over them, and one bad change. Pure.

A day passes in 120 seconds. When life begins it is night for ``checkout`` and ``payments``, and the busy hours of
``search`` end soon. Every load repeats from day to day, so that there is something to foresee; noise comes on top, from
a seed.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from demo.policies import NAMESPACE, following, policy
from trimtab.adapters.kube import JsonObject
from trimtab.domain.series import FloatArray
from trimtab.simulation.arrivals import Trace
from trimtab.simulation.behaviour import Cliff, ServiceModel
from trimtab.simulation.scenario import Scenario, SimulatedService

DAY_SECONDS: Final = 120
HISTORY_DAYS: Final = 7

MIN_REPLICAS: Final = 2
"""Floor of the followed services."""
STARTUP_SECONDS: Final = 10
"""What a pod of ``checkout`` needs to start."""

CHECKOUT, REACTIVE, PAYMENTS, SEARCH, CATALOG = "checkout", "checkout-reactive", "payments", "search", "catalog"
BILLING: Final = "billing"
LARGEST_CPU: Final = "4"
"""CPU of a container beyond which the namespace takes none, once a person has said so."""

Day = tuple[tuple[float, float], ...]
"""Corners of a load over a day: (second of the day, requests/s)."""

PARTS: Final[Mapping[str, str]] = {
    CHECKOUT: "foresees its load; pods need 10 s to start",
    REACTIVE: "the same load, forecast.model None",
    PAYMENTS: "a good change, while load rises",
    SEARCH: "a bad change, while load falls",
    CATALOG: "a person plants a bad change; the operator is killed over it",
    BILLING: "a person asks for more than the API server lets roll out",
}
"""What each service is there to show."""

RELEASED: Final = (PAYMENTS, SEARCH)
"""Services whose policies only recommend until a person sets them to Auto."""

_CHECKOUT_DAY: Final[Day] = ((0, 80), (84, 80), (98, 400), (112, 400))
_DAYS: Final[Mapping[str, Day]] = {
    CHECKOUT: _CHECKOUT_DAY,
    REACTIVE: _CHECKOUT_DAY,
    PAYMENTS: ((-28, 80), (24, 80), (46, 330), (80, 330)),
    SEARCH: ((-20, 290), (19, 290), (41, 88), (92, 88)),
    CATALOG: ((0, 150), (60, 230)),
    BILLING: ((0, 120), (60, 120)),
}


@dataclass(frozen=True, slots=True)
class Planted:
    """A person's change; by itself one that looks like a saving and is not: too little CPU on too few replicas."""

    name: str = "catalog-cheaper"
    policy: str = CATALOG
    changes: tuple[tuple[str, str, str], ...] = (
        ("spec.replicas", "", "4"),
        ("resources.requests.cpu", "app", "250m"),
        ("resources.limits.cpu", "app", "250m"),
    )

    def manifest(self) -> str:
        """The OptimizationRun as a person would write it."""
        changes = [
            {"path": path, **({"container": container} if container else {}), "to": to}
            for path, container, to in self.changes
        ]
        body = {
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "OptimizationRun",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {"policyRef": {"name": self.policy}, "changes": changes},
        }
        return yaml.safe_dump(body, sort_keys=False)


OVERSIZED: Final = Planted(
    "billing-larger",
    BILLING,
    (("resources.requests.cpu", "app", "8"), ("resources.limits.cpu", "app", "8")),
)
"""A change that no pod can be made of: more CPU than `limit_range` lets a container have."""


def limit_range() -> JsonObject:
    """What a person lets a container of the namespace have at most."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "no-giants", "namespace": NAMESPACE},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": LARGEST_CPU}}]},
    }


def rates(day: Day, seconds: FloatArray) -> FloatArray:
    """Requests/s of a day that repeats for ever, on lines between its corners; same shape as ``seconds``.

    >>> rates(((0, 10), (60, 60)), np.array([0.0, 30.0, 90.0, 120.0])).tolist()
    [10.0, 35.0, 35.0, 10.0]
    """
    at, height = np.array(day, dtype=np.float64).T
    order = np.argsort(np.mod(at, DAY_SECONDS))
    value: FloatArray = np.interp(seconds, np.mod(at, DAY_SECONDS)[order], height[order], period=DAY_SECONDS)
    return value


def scenario(folder: Path, origin: float) -> Scenario:
    """The services under load, their days counted from ``origin`` (Unix seconds); writes the loads into ``folder``."""

    def service(name: str, replicas: int, cpu: float, model: Mapping[str, Any]) -> SimulatedService:
        return SimulatedService(
            name=name,
            namespace=NAMESPACE,
            arrivals=Trace(path=_write_day(folder, name), noise=0.03, seed=_SEEDS[name]),
            model=ServiceModel(base_service_seconds=0.005, idle_cpu_cores=0.01, noise=0.05, seed=7, **model),
            replicas=replicas,
            cpu=cpu,
            memory=256 * 2**20,
        )

    slow_start = {"requests_per_core": 200, "startup_seconds": STARTUP_SECONDS}
    quick_start = {"requests_per_core": 200, "startup_seconds": 2}
    jvm = {"requests_per_core": 100, "startup_seconds": 2, "cliff": Cliff(below_cpu_cores=1.0, slowdown=4 / 3)}
    return Scenario(
        origin=origin,
        services=[
            service(CHECKOUT, 5, 0.5, slow_start),
            service(REACTIVE, 5, 0.5, slow_start),
            service(PAYMENTS, 4, 0.5, quick_start),
            service(SEARCH, 4, 1.0, jvm),
            service(CATALOG, 6, 0.5, quick_start),
            service(BILLING, 4, 0.5, quick_start),
        ],
    )


_SEEDS: Final = {CHECKOUT: 1, REACTIVE: 1, PAYMENTS: 2, SEARCH: 3, CATALOG: 4, BILLING: 5}
"""Twins have one seed: the same load to the last request."""


def policies() -> list[JsonObject]:
    """The policies as a person would apply them."""
    history = float(HISTORY_DAYS * DAY_SECONDS)
    follow = following(MIN_REPLICAS, 10, stabilization_seconds=15)
    cpu = {"containerName": "*", "controlledResources": ["cpu"]}
    search = {"containerPolicies": [{**cpu, "minAllowed": {"cpu": "800m"}, "maxAllowed": {"cpu": "1"}}]}
    return [
        policy(CHECKOUT, "Balanced", history, horizontal=follow, forecast={"horizon": "40s"}),
        policy(REACTIVE, "Balanced", history, horizontal=follow, forecast={"horizon": "40s", "model": "None"}),
        policy(
            PAYMENTS,
            "Balanced",
            history,
            vertical={"containerPolicies": [{**cpu, "maxAllowed": {"cpu": "2"}}]},
            mode="Recommend",
            forecast={"horizon": "60s"},
            validation={"duration": "40s"},
        ),
        policy(SEARCH, "CostEfficiency", history, vertical=search, mode="Recommend", forecast={"horizon": "20s"}),
        policy(
            CATALOG,
            "ReliabilityFocused",
            history,
            horizontal={"minReplicas": 2, "maxReplicas": 6, "follow": False},
            forecast={"horizon": "60s"},
            validation={"duration": "40s", "failureLimit": 4},
        ),
        policy(
            BILLING,
            "Balanced",
            history,
            vertical={"containerPolicies": [{"containerName": "none-by-itself"}]},
            forecast={"horizon": "20s"},
        ),
    ]


def _write_day(folder: Path, name: str) -> Path:
    """The load of a day, a row a second."""
    file = folder / f"load-{name}.csv"
    seconds = np.arange(DAY_SECONDS, dtype=np.float64)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["time", "value"])
        rows.writerows(zip(seconds.tolist(), np.round(rates(_DAYS[name], seconds), 3).tolist(), strict=True))
    return file
