"""Builds the operator from its settings: adapters, clock, scheduler; and keeps its view of the watched objects."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trimtab.adapters.events import Events
from trimtab.adapters.kube import KubeClient
from trimtab.adapters.lease_keeper import LeaseKeeper
from trimtab.adapters.leases import Leases
from trimtab.adapters.limits import Limits
from trimtab.adapters.metrics_cache import MetricsCache
from trimtab.adapters.pods import Pods
from trimtab.adapters.prometheus import PrometheusSource
from trimtab.adapters.resources import Resources
from trimtab.adapters.store import Store
from trimtab.adapters.store_telemetry import StoreTelemetry
from trimtab.adapters.switch import Switch
from trimtab.adapters.telemetry import Telemetry
from trimtab.adapters.workers import Workers
from trimtab.adapters.workloads import Workloads
from trimtab.domain.objects import Policy, Run
from trimtab.planning.fleet import OpenLimit
from trimtab.reconcile.calling_off import needs_no_metrics
from trimtab.reconcile.round import Reconciler
from trimtab.reconcile.scheduler import Scheduler
from trimtab.reconcile.services import Services, StorePace
from trimtab.reconcile.turns import Turns
from trimtab.reconcile.world import Key, World
from trimtab.settings import NO_STORE, Settings, own_namespace


class Operator:
    """One running operator: what was seen, and the scheduler that acts on it."""

    def __init__(self, services: Services, world: World, namespaces: tuple[str, ...]) -> None:
        self.namespaces = namespaces
        self.world = world
        self.services = services
        self.reconciler = Reconciler(services, self.world)
        self.scheduler = Scheduler(self.reconciler, self.world, services)

    @property
    def clusterwide(self) -> bool:
        """Whether every namespace is looked after."""
        return not self.namespaces

    async def load(self) -> None:
        """Read all policies and runs, before the first round and after watches broke off; raises KubeError.

        Those that are gone since are forgotten.
        """
        policies: dict[Key, Policy] = {}
        runs: dict[Key, Run] = {}
        for namespace in self.namespaces or (None,):
            policies |= {policy.key: policy for policy in await self.services.resources.policies(namespace)}
            runs |= {run.key: run for run in await self.services.resources.runs(namespace)}
        for gone in [run for key, run in self.world.runs.items() if key not in runs]:
            self.run_gone(gone)
        for policy in [policy for key, policy in self.world.policies.items() if key not in policies]:
            self.policy_gone(policy)
        for policy in policies.values():
            self.policy_seen(policy)
        for run in runs.values():
            self.run_seen(run)

    def policy_seen(self, policy: Policy) -> None:
        """A policy is there; wakes the scheduler when it is new or a person changed it."""
        known = self.world.policies.get(policy.key)
        self.world.policies[policy.key] = policy
        if known is None or _persons_part(known) != _persons_part(policy):
            self.scheduler.wake(policy.key)

    def policy_gone(self, policy: Policy) -> None:
        """A policy was deleted; policies that stood back for it may act now."""
        self.world.policies.pop(policy.key, None)
        self.scheduler.hurry(policy.key)
        for key in self.world.policies:
            if key[0] == policy.namespace:
                self.scheduler.wake(key)

    def run_seen(self, run: Run) -> None:
        """A run is there; wakes its policy when it is new or a person changed it."""
        known = self.world.runs.get(run.key)
        self.world.runs[run.key] = run
        changed = known is None or (known.uid, known.generation, known.deleting) != (
            run.uid,
            run.generation,
            run.deleting,
        )
        key = (run.namespace, run.policy_name)
        if changed and needs_no_metrics(run, self.world.policies.get(key)):
            self.scheduler.hurry(key)
        elif changed and (not run.finished or known is not None):
            self.scheduler.wake(key)

    def run_gone(self, run: Run) -> None:
        """A run was deleted; its policy may make another."""
        if self.world.runs.pop(run.key, None) is not None:
            self.scheduler.wake((run.namespace, run.policy_name))


def _persons_part(policy: Policy) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    return policy.uid, policy.generation, tuple(sorted(policy.annotations.items()))


@asynccontextmanager
async def operator(settings: Settings) -> AsyncIterator[Operator]:
    """An operator with its connections; they are closed at the end. Raises KubeError without a usable kubeconfig."""
    telemetry = Telemetry()
    workers = Workers(settings.workers)
    source = PrometheusSource(settings.prometheus)
    most = int(settings.kubernetes_max_answer)
    world, switch = World(scope=settings.scope), Switch(settings.switch_in)
    keeper = LeaseKeeper(
        lambda: KubeClient.connect(settings.kubeconfig),
        settings.namespaces,
        settings.lease_namespace or own_namespace(),
        settings.lease_timing,
        switch.where,
    )
    leases = Leases(keeper)
    for namespace, holds in leases.scopes.items():
        telemetry.leader(namespace, holds)
    async with await KubeClient.connect(settings.kubeconfig, fences=(switch, leases), max_answer_bytes=most) as kube:
        switch.use(kube)
        services = Services(
            resources=Resources(kube),
            workloads=Workloads(kube),
            pods=Pods(kube),
            events=Events(kube),
            source=source,
            metrics=MetricsCache(settings.scope.matchers),
            workers=workers,
            limits=Limits(kube, time.time),
            leases=leases,
            telemetry=telemetry,
            scrape_interval_seconds=settings.scrape_interval_seconds,
            clock=time.time,
            turns=Turns(world, switch, OpenLimit.parse(settings.max_open_runs), settings.pause_after_failures),
            store=_store(settings, telemetry),
            pace=StorePace(settings.store_interval_seconds, settings.store_state_interval_seconds),
        )
        made = Operator(services, world, settings.namespaces)
        keeper.start()
        try:
            yield made
        finally:
            await keeper.stop()
            await made.reconciler.remembering.stop()
            workers.close()
            await source.close()


def _store(settings: Settings, telemetry: Telemetry) -> Store | None:
    if settings.store_url == NO_STORE:
        return None
    return Store(settings.store_url, StoreTelemetry(telemetry.registry), time.time, settings.store_retention)
