"""What the operator's own plan is made from where somebody else scales the workload."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.building import plan, policy_spec, run
from tests.planning.test_lifecycle import applied
from tests.planning.test_plans import VERTICAL
from tests.reconcile.test_savings import situation
from trimtab.analytics.quality import Quality
from trimtab.domain.autoscalers import Autoscaler, AutoscalerKind, CpuTarget
from trimtab.domain.choices import WithoutObjectives
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase, VerdictResult
from trimtab.domain.run_status import RunStatus, Verdict
from trimtab.planning.options import PlanInputs
from trimtab.planning.rightsizing import Usage
from trimtab.planning.steps import NoPlan
from trimtab.reconcile import proposing
from trimtab.reconcile.situation import Situation

HPA = Autoscaler(AutoscalerKind.HPA, "web", replicas=True, cpu=CpuTarget(50, 1, 9))
FIXED = policy_spec()
BOTH = policy_spec(vertical={})


def beside(spec: PolicySpec, *others: Autoscaler) -> Situation:
    """A situation with sound data."""
    unasked = spec.validation.model_copy(update={"without_objectives": WithoutObjectives.GUARDS_ONLY})
    base = situation(spec=spec.model_copy(update={"validation": unasked}), autoscalers=others)
    usage = {"app": Usage(0.3, 1e8, cpu_now_cores=1.0)}
    quality = Quality(None, "fine", 1.0, 600.0, 0.0)
    return replace(base, assessment=replace(base.assessment, quality=quality, usage=usage))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[PlanInputs]:
    """What was planned from, in order; nothing ever pays."""
    seen: list[PlanInputs] = []

    def propose(inputs: PlanInputs) -> NoPlan:
        seen.append(inputs)
        return NoPlan("well as it is")

    monkeypatch.setattr(proposing, "propose", propose)
    return seen


@pytest.mark.parametrize(
    ("spec", "others", "expected"),
    [
        (BOTH, (), [(True, True, False)]),
        (BOTH, (HPA,), [(False, True, True), (True, True, False)]),  # what is left, then what would be without the HPA
        (VERTICAL, (HPA,), [(False, True, True)]),  # nothing is claimed, and the HPA still sets the count
        (FIXED, (HPA,), [(False, False, True), (True, False, False)]),
    ],
)
def test_what_a_plan_is_made_from(
    planned: list[PlanInputs], spec: PolicySpec, others: tuple[Autoscaler, ...], expected: list[Any]
) -> None:
    """By (replicas may change, sizes may change, the count is the HPA's)."""
    found = proposing.plan_for(beside(spec, *others), None)
    assert isinstance(found, NoPlan)
    seen = [
        (one.spec.horizontal is not None, one.spec.vertical is not None, one.scaling is not None) for one in planned
    ]
    assert seen == expected


@pytest.mark.parametrize(
    ("phase", "interrupted", "claimed"),
    [
        (Phase.VALIDATING, False, True),
        (Phase.SUPERSEDED, True, True),
        (Phase.SUPERSEDED, False, False),
        (Phase.SUCCEEDED, False, False),
    ],
)
def test_what_only_a_run_changes_is_claimed_while_it_is_on_trial_or_was_ended_by_the_claim(
    phase: Phase, interrupted: bool, claimed: bool
) -> None:
    verdict = Verdict(result=VerdictResult.INCONCLUSIVE, interrupted=interrupted)
    status = RunStatus(phase=phase, plan=plan(), applied=applied(), verdict=verdict)
    found = situation(spec=VERTICAL, autoscalers=(HPA,), runs=(run(status),)).claims
    assert [(one.path, one.owner) for one in found] == [("spec.replicas", HPA.title)] * claimed
    assert all(one.remedy.endswith("no run of this policy may change replicas") for one in found)
