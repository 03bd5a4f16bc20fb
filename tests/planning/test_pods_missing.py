"""What may be decided while some of the pods have no samples: more, never less, and no verdict passes on it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.planning.test_following import BASE, target
from tests.planning.trial_support import LATENCY, trial
from trimtab.analytics.quality import DataProblem
from trimtab.domain.history import Coverage, WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import VerdictResult
from trimtab.domain.run_status import Verdict
from trimtab.domain.series import Series
from trimtab.planning.evidence import pods_missing, quality_of, uncounted
from trimtab.planning.following import Follow, Hold, follow
from trimtab.planning.validation import measurements, verdict

NOW, WINDOW = 7200.0, 240.0
MISSING = "3 of 6 pods have no samples of cpu"
SPEC = PolicySpec.model_validate({"targetRef": {"kind": "Deployment", "name": "web"}})


def series(*values: float) -> Series:
    """The newest samples, one a minute, up to now."""
    return Series(NOW - 60.0 * (len(values) - 1), 60.0, np.array(values))


def history(seen: float, *before: float, ready: float = 6.0, signal: str = "cpu", used: float = 3.0) -> WorkloadHistory:
    """Two hours of a load, with the pods that had samples at the end."""
    load = Series(0.0, 60.0, np.full(121, used), "cores")
    counts = series(*before, seen)
    coverage = {signal: Coverage(replace(counts, values=np.full(len(counts), ready)), counts, WINDOW)}
    return WorkloadHistory(load, load, load, {"app": load}, {"app": load}, coverage=coverage)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (history(6.0), ""),
        (history(3.0), MISSING),
        (history(0.0), "6 of 6 pods have no samples of cpu"),
        (history(6.0, 3.0, 6.0, 6.0), MISSING),
        (history(6.0, 3.0, 6.0, 6.0, 6.0), ""),
        (history(7.0), ""),
        (history(math.nan, ready=math.nan), ""),
        (history(2.0, signal="objective/p99"), "4 of 6 pods have no samples of objective/p99"),
        (replace(history(0.0, signal="memory"), memory_bytes={}), ""),
    ],
    ids=[
        "all are seen",
        "half",
        "none",
        "seen again, and the rate still lacks them",
        "seen again for a window",
        "more than are ready",
        "not counted",
        "an objective",
        "no exporter shows it",
    ],
)
def test_pods_without_samples(given: WorkloadHistory, told: str) -> None:
    assert pods_missing(given, {}, NOW) == told
    quality = quality_of(SPEC, given, {}, NOW, partial=False)
    assert quality.problem is (DataProblem.PODS_MISSING if told else None)
    assert quality.message.startswith(told)


@pytest.mark.parametrize(
    ("gap", "counted", "told"),
    [
        (True, math.nan, "after a gap in the metrics, it is not known yet how many pods have samples of cpu"),
        (False, math.nan, ""),
        (True, 6.0, ""),
    ],
    ids=["after a gap", "all pods are new", "counted again"],
)
def test_pods_not_counted_again_after_a_gap(*, gap: bool, counted: float, told: str) -> None:
    """They count once they have been ready for two windows, and those before the gap were six."""
    assert pods_missing(_with_gap(counted, gap=gap), {}, NOW) == told


def test_what_is_said_of_a_time_does_not_depend_on_what_came_after_it() -> None:
    whole = _with_gap(6.0, gap=True)
    cpu = whole.coverage["cpu"]
    for time in np.arange(NOW - 1800.0, NOW + 1.0, 60.0):
        until = replace(cpu, ready=cpu.ready.between(0.0, time), seen=cpu.seen.between(0.0, time))
        cut = replace(whole, replicas=whole.replicas.between(0.0, time), coverage={"cpu": until})
        assert pods_missing(cut, {}, time) == pods_missing(whole, {}, time)


def _with_gap(counted: float, *, gap: bool) -> WorkloadHistory:
    """Six pods that were counted until ten minutes ago, and so many now; a gap is of all that is known of them."""
    counts = series(*[6.0] * 10, *[math.nan] * 10, counted)
    replicas = np.full(121, 6.0)
    replicas[-12:-4] = math.nan if gap else 6.0
    given = history(counted)
    return replace(given, replicas=Series(0.0, 60.0, replicas), coverage={"cpu": Coverage(counts, counts, WINDOW)})


def test_a_count_that_could_not_be_read_removes_nothing() -> None:
    told = pods_missing(history(6.0), {"pods/load": "it took too long"}, NOW)
    assert told == "how many pods have samples could not be read: it took too long"


def test_worse_problems_are_told_first() -> None:
    stale = quality_of(SPEC, history(3.0), {}, NOW + 3600.0, partial=False)
    assert stale.problem is DataProblem.STALE
    short = quality_of(
        SPEC.model_copy(update={"guardrails": SPEC.guardrails.model_copy(update={"min_history": 86400.0})}),
        history(3.0),
        {},
        NOW,
        partial=False,
    )
    assert short.problem is DataProblem.PODS_MISSING


def test_what_is_not_counted_by_pod_is_named() -> None:
    query = {"query": 'sum(rate(hits{service="$target"}[$window]))', "targetLabel": "service"}
    spec = PolicySpec.model_validate(
        {
            "targetRef": {"kind": "Deployment", "name": "web"},
            "metrics": {"load": query},
            "objectives": [{"name": "p99", "query": 'p99{pod=~"$pods"}', "max": 1}],
        }
    )
    assert uncounted(spec, history(6.0, signal="objective/p99")) == ("load",)
    assert uncounted(SPEC, history(6.0)) == ()


@pytest.mark.parametrize(
    ("demand", "replicas"), [(200.0, 5), (400.0, 5), (700.0, 8)], ids=["looks low", "is right", "more already"]
)
def test_replicas_go_up_and_never_down(demand: float, replicas: int) -> None:
    assert target(replace(BASE, demand=demand, no_fewer=MISSING)) == replicas


def test_a_hold_says_how_many_are_missing() -> None:
    decision = follow(replace(BASE, demand=200.0, no_fewer=MISSING))
    assert isinstance(decision, Hold)
    assert decision.reason.endswith(f"; nothing is removed while {MISSING}")


def test_bounds_are_a_persons_word_and_hold() -> None:
    decision = follow(replace(BASE, replicas=50, no_fewer=MISSING))
    assert isinstance(decision, Follow)
    assert decision.replicas == BASE.max_replicas


def test_no_verdict_passes_on_a_part_of_the_pods() -> None:
    whole = trial(0, slower=1.0)
    assert _result(verdict(whole, complete=True)) is VerdictResult.PASS
    covered = np.zeros(len(whole.after), dtype=np.bool_)
    partly = replace(whole, after=replace(whole.after, covered=covered, load=np.full(len(whole.after), np.nan)))
    assert _result(verdict(partly, complete=True)) is VerdictResult.INCONCLUSIVE
    assert {row.result for row in measurements(partly)} == {"Error"}


def test_a_failure_counts_whoever_saw_it() -> None:
    good = trial(0)
    values = np.full(len(good.after), 3.0)
    covered = np.zeros(len(good.after), dtype=np.bool_)
    bad = replace(good, after=replace(good.after, covered=covered, values={LATENCY.name: values}))
    assert _result(verdict(bad, complete=True)) is VerdictResult.FAIL


def _result(decided: object) -> VerdictResult:
    assert isinstance(decided, Verdict)
    return decided.result
