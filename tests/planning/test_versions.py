"""Capacity is of a version: what another one showed teaches no plan, and following goes on by it meanwhile."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.assess import SAMPLES, STEP, history
from tests.planning.building import policy_spec, workload
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.status import OperatingPoint, VersionState
from trimtab.planning.assessment import assess
from trimtab.planning.capacity import capacity, effective_capacity
from trimtab.planning.evidence import cpu_per_load
from trimtab.planning.findings import AssessInputs, Assessment, Known
from trimtab.planning.strategies import STRATEGIES
from trimtab.planning.versions import followed, learns_from, too_new

SPEC = policy_spec(objectives=[{"name": "latency-p99", "query": "up", "max": "200m"}])
STRATEGY = STRATEGIES[SPEC.strategy]
END = SAMPLES * STEP
FOUND = VersionState(digest="v1")
ROLLED = VersionState(digest="v2", since=160.0, rolling=True)
ROLLING = VersionState(digest="v2", since=100.0, rolling=True)
ALONE = VersionState(digest="v2", since=160.0)

FOLLOWED = {
    "first look: there for ever": (None, workload(version="v1"), FOUND),
    "first look, in a rollout": (None, workload(version="v1", rolled_out=False), FOUND),
    "the same": (FOUND, workload(version="v1"), FOUND),
    "scaled, not rolled out": (FOUND, workload(version="v1", rolled_out=False), FOUND),
    "another is rolled out": (FOUND, workload(version="v2", rolled_out=False), ROLLED),
    "another came at once": (FOUND, workload(version="v2"), ALONE),
    "goes on rolling": (ROLLING, workload(version="v2", rolled_out=False), ROLLING),
    "runs alone": (ROLLING, workload(version="v2"), ALONE),
    "back to the one before": (ALONE, workload(version="v1"), VersionState(digest="v1", since=160.0)),
    "not known": (FOUND, workload(), FOUND),
}  # fmt: skip


@pytest.mark.parametrize(("before", "live", "after"), FOLLOWED.values(), ids=FOLLOWED.keys())
def test_which_version_runs_alone_since_when(before: VersionState | None, live: object, after: VersionState) -> None:
    assert followed(before, live, 160.0) == after  # type: ignore[arg-type]  # a table of three kinds


def test_samples_of_the_present_version_begin_one_window_after_it_runs_alone() -> None:
    assert learns_from(None, 4.0) is None
    assert learns_from(FOUND, 4.0) is None
    assert learns_from(ROLLING, 4.0) == math.inf
    assert learns_from(ALONE, 4.0) == 164.0


NEW = {
    "never another": (FOUND, "v1", 60.0, ""),
    "not known": (None, "v1", 60.0, ""),
    "deployed since it was looked at": (FOUND, "v2", None, "another version was deployed just now"),
    "rolling": (ROLLING, "v2", 0.0, "another version is being rolled out"),
    "rolling, and nobody waits": (ROLLING, "v2", None, ""),
    "young, and nobody waits": (ALONE, "v2", None, ""),
    "too young": (ALONE, "v2", 60.0, "runs wait until guardrails.minHistory"),
    "old enough": (ALONE, "v2", 40.0, ""),
}


@pytest.mark.parametrize(("state", "live", "needed", "why"), NEW.values(), ids=NEW.keys())
def test_what_is_too_new_to_plan_on(state: VersionState | None, live: str, needed: float | None, why: str) -> None:
    found = too_new(state, workload(version=live), 200.0, needed)
    assert why in found
    assert bool(why) == bool(found)


def assessed(since: float | None, before: Known | None = None, given: WorkloadHistory | None = None) -> Assessment:
    """A replica of 500m serves 50 requests/s; its p99 is 0.02 + 4.6 / (50 - load)."""
    seen = given or history(1)
    return assess(AssessInputs(SPEC, seen, {}, END, previous=before, version_from=since))


def dearer(given: WorkloadHistory, since: float, factor: float) -> WorkloadHistory:
    """The same, but that the load costs more CPU from a time on."""
    cores = {
        name: replace(series, values=np.where(series.times >= since, factor, 1.0) * series.values)
        for name, series in given.cpu_cores.items()
    }
    return replace(given, cpu_cores=cores)


def test_a_deploy_leaves_no_curve_to_plan_on_and_following_goes_on_by_the_last() -> None:
    first = assessed(None)
    before = capacity(first, SPEC, STRATEGY, 0.5)
    assert (before.learned, first.carried) == (True, None)
    rolling = assessed(math.inf, first.known)
    assert rolling.curves == {}
    assert rolling.not_learned == {"latency-p99": "latency-p99 has no samples of the present version yet"}
    assert math.isnan(rolling.cpu_per_load)
    assert math.isnan(capacity(rolling, SPEC, STRATEGY, 0.5).load_per_replica)
    going_on = effective_capacity(rolling, SPEC, STRATEGY, OperatingPoint(), 0.5)
    assert (going_on.load_per_replica, going_on.learned) == (before.load_per_replica, True)
    assert going_on.source.startswith("of the version before")
    young = assessed(END - 20 * STEP, rolling.known)
    assert young.curves == {}
    assert effective_capacity(young, SPEC, STRATEGY, OperatingPoint(), 0.5).load_per_replica == pytest.approx(
        before.load_per_replica, rel=0.05
    )


def test_what_the_new_version_takes_more_of_the_cpu_it_carries_less() -> None:
    first = assessed(None)
    since = END - 20 * STEP
    given = dearer(history(1), since, 2.0)
    assert cpu_per_load(given, since) == pytest.approx(2 * cpu_per_load(history(1)), rel=0.05)
    young = assessed(since, first.known, given)
    before = effective_capacity(first, SPEC, STRATEGY, OperatingPoint(), 0.5).load_per_replica
    assert effective_capacity(young, SPEC, STRATEGY, OperatingPoint(), 0.5).load_per_replica == pytest.approx(
        before / 2, rel=0.05
    )
    cheaper = assessed(since, first.known, dearer(history(1), since, 0.5))
    assert effective_capacity(cheaper, SPEC, STRATEGY, OperatingPoint(), 0.5).load_per_replica == before


def test_once_relearned_the_version_before_counts_no_more() -> None:
    first = assessed(None)
    later = assessed(END / 3, assessed(math.inf, first.known).known)
    assert later.curves.keys() == {"latency-p99"}
    assert later.curves["latency-p99"].samples < first.curves["latency-p99"].samples
    assert later.carried is None
    assert effective_capacity(later, SPEC, STRATEGY, OperatingPoint(), 0.5) == capacity(later, SPEC, STRATEGY, 0.5)
