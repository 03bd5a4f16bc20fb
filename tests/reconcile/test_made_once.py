"""A run is made once, whoever makes it: a second one of the same plan after the same run cannot be."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from tests.planning.building import policy, run
from trimtab.adapters.kube import KubeError
from trimtab.domain.objects import Policy, Run
from trimtab.domain.run import Phase, Trigger
from trimtab.domain.run_status import Plan, RunStatus
from trimtab.planning.plans import Proposal
from trimtab.reconcile.runs import _made
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation

PROPOSAL = Proposal(Plan(hash="3f9c", reason="less is enough", changes=[]), Trigger.COST, 2.0, 1.0)


class Cluster:
    """The runs that there are, as the API server keeps them: one a name."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.told: list[str] = []
        self.policy = policy()

    async def create_run(self, policy: Policy, name: str, spec: dict[str, Any]) -> Run:
        if name in self.runs:
            raise KubeError(409, "AlreadyExists", name)
        self.runs[name] = replace(run(), name=name, uid=f"uid-of-{name}", policy_name=policy.name)
        return self.runs[name]

    async def run(self, namespace: str, name: str) -> Run:
        return self.runs[name]

    async def post(self, about: Policy, kind: str, reason: str, message: str, now: float) -> None:
        self.told.append(reason)

    def end(self, name: str) -> Run:
        self.runs[name] = replace(self.runs[name], status=RunStatus(phase=Phase.ROLLED_BACK))
        return self.runs[name]

    async def make(self, *known: Run) -> Run:
        services = SimpleNamespace(resources=self, events=self, clock=lambda: 0.0)
        situation = SimpleNamespace(policy=self.policy, runs=known)
        return await _made(cast(Services, services), cast(Situation, situation), PROPOSAL)


async def test_a_second_operator_gets_the_run_of_the_first() -> None:
    cluster = Cluster()
    first, second = await cluster.make(), await cluster.make()
    assert first == second
    assert (list(cluster.runs), cluster.told) == ([first.name], ["RunCreated"])


async def test_a_run_that_ended_and_is_not_known_yet_is_not_made_again() -> None:
    cluster = Cluster()
    ended = cluster.end((await cluster.make()).name)
    assert await cluster.make() == ended
    assert len(cluster.runs) == 1


async def test_the_same_plan_may_be_tried_again_after_it_ended() -> None:
    cluster = Cluster()
    ended = cluster.end((await cluster.make()).name)
    again = await cluster.make(ended)
    assert (again.name != ended.name, len(cluster.runs)) == (True, 2)


async def test_a_name_that_is_taken_is_passed_over() -> None:
    cluster = Cluster()
    taken = cluster.end((await cluster.make()).name)
    cluster.runs[taken.name] = replace(taken, policy_name="somebody-elses")
    made = await cluster.make()
    assert (made.policy_name, made.name != taken.name) == (cluster.policy.name, True)


async def test_two_runs_of_one_second_do_not_hide_each_other() -> None:
    """Their order is that of their names, so that the one made last may come first."""
    cluster = Cluster()
    older = cluster.end((await cluster.make()).name)
    newer = cluster.end((await cluster.make(older)).name)
    made = await cluster.make(newer, older)
    assert made.name not in (older.name, newer.name)
