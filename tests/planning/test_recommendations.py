"""Recommendations: each kind where it is due and nowhere else, with figures, ranked, and never at odds with another."""

from __future__ import annotations

import doctest
import importlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.analytics.patterns import find_patterns
from trimtab.analytics.quality import DataProblem, Quality
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.choices import Severity
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import FloatArray, Series, empty
from trimtab.domain.status import Amounts, ContainerSize, ObjectiveState
from trimtab.forecasting.capacity_plan import Quota, Room
from trimtab.planning.recommendations import MOST_ADVICE, Advice, AdviceKind, RecommendInputs, recommend
from trimtab.planning.rightsizing import Usage

MONDAY = 4 * 86_400.0 + 7 * 86_400.0 * 2_900
STEP = 300.0
COUNT = 14 * 288
TIME = np.arange(COUNT) * STEP
HOUR, WEEKDAY = TIME % 86_400 / 3600, TIME // 86_400 % 7
MIB, GIB = 2.0**20, 2.0**30
CORE_MONTH, GIB_MONTH = 0.031611 * 730, 0.004237 * 730


def series(values: FloatArray | float, unit: str = "") -> Series:
    return Series(MONDAY, STEP, np.broadcast_to(np.asarray(values, dtype=np.float64), (COUNT,)).copy(), unit)


def container(cpu: str = "1", memory: str = "1Gi", cpu_limit: str = "", memory_limit: str = "1Gi") -> ContainerSize:
    return ContainerSize(
        name="app", requests=Amounts(cpu=cpu, memory=memory), limits=Amounts(cpu=cpu_limit, memory=memory_limit)
    )


def policy(**changed: Any) -> PolicySpec:
    given_: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": "shop"},
        "objectives": [
            {"name": "latency", "query": "p99_of_shop", "max": "0.25", "slo": {"targetPercent": "99"}},
        ],
        "horizontal": {"minReplicas": 1, "maxReplicas": 10, "follow": False},
    }
    return PolicySpec.model_validate({**given_, **changed})


def inputs(
    *,
    cpu: float = 0.85,
    memory: float = 0.8 * GIB,
    size: ContainerSize | None = None,
    load: FloatArray | float = 240.0,
    latency: FloatArray | float = 0.15,
    spec: PolicySpec | None = None,
    **changed: Any,
) -> RecommendInputs:
    """Three replicas that carry 100 each, about which there is nothing to say; 240 with headroom is 92 % of that."""
    latencies = series(latency)
    history = WorkloadHistory(
        load=series(load, "requests/s"),
        replicas=series(3.0),
        cpu_size=series(1.0),
        cpu_cores={"app": series(3 * cpu)},
        memory_bytes={"app": series(memory)},
        objectives={"latency": latencies},
        startup_seconds=20.0,
    )
    value = float(latencies.values[-1])
    base = RecommendInputs(
        spec=spec or policy(),
        target="deployment/shop",
        containers=(size or container(),),
        replicas=3,
        history=history,
        usage={"app": Usage(cpu, memory)},
        now=MONDAY + (COUNT - 1) * STEP,
        states=(
            ObjectiveState(
                name="latency", value=f"{value:.3g}", threshold="≤ 0.25", state="Violated" if value > 0.25 else "Met"
            ),
        ),
        capacity_per_replica=100.0,
        capacity_learned=True,
    )
    return replace(base, **changed)


def by_kind(given_inputs: RecommendInputs) -> dict[AdviceKind, Advice]:
    return {one.kind: one for one in recommend(given_inputs)}


def only(given_inputs: RecommendInputs) -> Advice:
    (one,) = recommend(given_inputs)
    return one


@pytest.mark.parametrize("module", ["recommendations", "advice"])
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.planning.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_a_workload_that_is_right_gets_no_advice() -> None:
    assert recommend(inputs()) == ()


def test_a_smaller_cpu_request() -> None:
    """p95 of 0.4 with 15 % is 0.46; half a core less in each of 3 pods."""
    one = only(inputs(cpu=0.4))
    assert (one.kind, one.subject, one.severity) == (AdviceKind.REDUCE_CPU_REQUEST, "app", Severity.INFO)
    assert one.title == "Reduce the CPU request of app from 1 to 460m"
    assert one.monthly_saving == pytest.approx(3 * 0.54 * CORE_MONTH)
    assert one.confidence_percent == 95
    assert one.how == "kubectl set resources deployment/shop -c app --requests=cpu=460m"
    assert "p" not in one.effect or f"{one.monthly_saving:.2f} USD" in one.effect


def test_a_smaller_memory_request() -> None:
    one = only(inputs(memory=400 * MIB))
    assert one.kind is AdviceKind.REDUCE_MEMORY_REQUEST
    assert one.title.endswith("from 1Gi to 480Mi")
    assert one.monthly_saving == pytest.approx(3 * (1 - 480 / 1024) * GIB_MONTH)


@pytest.mark.parametrize(
    ("changed", "kind", "severity", "how"),
    [
        pytest.param({"cpu": 1.2}, AdviceKind.RAISE_CPU_REQUEST, Severity.WARNING, "--requests=cpu=1380m", id="cpu"),
        pytest.param(
            {"memory": 0.95 * GIB}, AdviceKind.OUT_OF_MEMORY_RISK, Severity.WARNING, "--limits=memory=1168Mi", id="oom"
        ),
        pytest.param(
            {"memory": 0.99 * GIB}, AdviceKind.OUT_OF_MEMORY_RISK, Severity.CRITICAL, "--limits=memory=1217Mi",
            id="oom soon",
        ),
        pytest.param(
            {"memory": 1.2 * GIB, "size": container(memory_limit="2Gi")}, AdviceKind.RAISE_MEMORY_REQUEST,
            Severity.WARNING, "--requests=memory=1475Mi --limits=memory=2Gi", id="memory over its request",
        ),
        pytest.param(
            {"size": container(cpu_limit="1"), "cpu": 0.9}, AdviceKind.CPU_THROTTLING_RISK, Severity.WARNING,
            "--requests=cpu=1040m --limits=cpu=1290m", id="throttled",
        ),
        pytest.param(
            {"size": container(cpu="", memory="", memory_limit="")}, AdviceKind.NO_REQUESTS, Severity.WARNING,
            "--requests=cpu=980m,memory=984Mi", id="no requests",
        ),
    ],
)  # fmt: skip
def test_sizes_that_are_too_small(changed: dict[str, Any], kind: AdviceKind, severity: Severity, how: str) -> None:
    one = by_kind(inputs(**changed))[kind]
    assert one.severity is severity
    assert how in one.how
    assert one.monthly_saving <= 0.0


def test_a_missing_memory_limit() -> None:
    assert by_kind(inputs(size=container(memory_limit="")))[AdviceKind.NO_MEMORY_LIMIT].how.endswith(
        "--limits=memory=984Mi"
    )


def test_bounds_of_the_policy_hold() -> None:
    vertical = {"containerPolicies": [{"containerName": "*", "minAllowed": {"cpu": "700m"}}]}
    one = only(inputs(cpu=0.2, spec=policy(vertical=vertical)))
    assert one.title == "Reduce the CPU request of app from 1 to 700m"
    auto = only(inputs(cpu=0.2, spec=policy(vertical=vertical, mode="Auto")))
    assert auto.how == (
        "an OptimizationRun with spec.changes: [{path: resources.requests.cpu, container: app, to: 700m}]"
    )


def test_a_survey_needs_usage_and_requests_only() -> None:
    bare = PolicySpec.model_validate({"targetRef": {"kind": "Deployment", "name": "shop"}})
    history = WorkloadHistory(empty(STEP), empty(STEP), empty(STEP), {"app": series(1.2)}, {"app": series(4e8)})
    found = recommend(
        RecommendInputs(
            bare, "deployment/shop", (container(),), 3, history, {"app": Usage(0.4, 400 * MIB)}, MONDAY, managed=False
        )
    )
    assert [one.kind for one in found] == [
        AdviceKind.REDUCE_CPU_REQUEST, AdviceKind.REDUCE_MEMORY_REQUEST, AdviceKind.SET_OBJECTIVE,
    ]  # fmt: skip


def test_too_few_replicas() -> None:
    """400 with 15 % headroom over 100 a replica are 5."""
    one = only(inputs(load=400.0))
    assert (one.kind, one.severity) == (AdviceKind.TOO_FEW_REPLICAS, Severity.WARNING)
    assert one.title == "Run 5 replicas instead of 3"
    assert one.monthly_saving == pytest.approx(-2 * (CORE_MONTH + GIB_MONTH))
    assert only(inputs(load=400.0, capacity_learned=False)).severity is Severity.INFO


def test_too_many_replicas() -> None:
    one = only(inputs(load=400.0, replicas=8))
    assert one.title == "Run 5 replicas instead of 8"
    assert one.monthly_saving == pytest.approx(3 * (CORE_MONTH + GIB_MONTH))
    assert one.how == "kubectl scale deployment/shop --replicas=5"


def test_two_replicas_stay_two() -> None:
    assert recommend(inputs(load=10.0, replicas=2)) == ()
    assert only(inputs(load=10.0, replicas=5)).title == "Run 2 replicas instead of 5"


def test_a_single_replica() -> None:
    one = only(inputs(load=50.0, replicas=1))
    assert (one.kind, one.severity) == (AdviceKind.SINGLE_REPLICA, Severity.WARNING)
    assert one.how == "spec.horizontal.minReplicas: 2"


def auto(**horizontal: Any) -> PolicySpec:
    return policy(mode="Auto", horizontal={"minReplicas": 1, "maxReplicas": 3, **horizontal})


def test_max_replicas_reached() -> None:
    one = only(inputs(load=400.0, spec=auto()))
    assert (one.kind, one.how) == (AdviceKind.MAX_REPLICAS_REACHED, "spec.horizontal.maxReplicas: 5")
    broken = by_kind(inputs(load=400.0, latency=0.4, spec=auto()))
    assert broken[AdviceKind.MAX_REPLICAS_REACHED].severity is Severity.CRITICAL


def test_max_replicas_too_low_for_the_peaks() -> None:
    load = np.where((HOUR >= 12) & (HOUR < 13), 400.0, 200.0)
    one = only(inputs(load=load, spec=auto(), replicas=3))
    assert one.kind is AdviceKind.MAX_REPLICAS_TOO_LOW


def test_replicas_of_a_paused_policy_do_not_follow() -> None:
    following = auto(maxReplicas=10)
    assert recommend(inputs(load=400.0, spec=following)) == ()
    paused = only(inputs(load=400.0, spec=following.model_copy(update={"paused": True})))
    assert paused.kind is AdviceKind.TOO_FEW_REPLICAS


def test_follow_a_seasonal_demand() -> None:
    load = 140 + 120 * np.sin(2 * np.pi * TIME / 86_400)
    one = only(inputs(load=load, seasons=(SeasonFound(86_400.0, 95),)))
    assert one.kind is AdviceKind.FOLLOW
    average = float(np.ceil(load * 1.15 / 100 - 1e-9).clip(1).mean())
    assert one.monthly_saving == pytest.approx((3 - average) * (CORE_MONTH + GIB_MONTH))
    assert "follow: true" in one.how
    moving = inputs(load=load, seasons=(SeasonFound(86_400.0, 95),))
    scaled = replace(moving, history=replace(moving.history, replicas=series(np.ceil(load / 100))))
    assert recommend(scaled) == ()
    assert recommend(replace(scaled, replicas=2)) == (), "two at night are not too few for noon"


OFFICE = np.where((WEEKDAY < 5) & (HOUR >= 6) & (HOUR < 20), 240.0, 0.0)


def test_idle_hours() -> None:
    one = by_kind(inputs(load=OFFICE, patterns=find_patterns(series(OFFICE), time_zone="UTC")))[AdviceKind.SCHEDULE]
    assert one.monthly_saving == pytest.approx(2 * (CORE_MONTH + GIB_MONTH) * 98 / 168)
    assert "Mon–Thu 20:00–06:00, Fri 20:00 to Mon 06:00 (UTC), 98 hours a week" in one.reason
    assert one.how == (
        '"0 20 * * 1,2,3,4" kubectl scale deployment/shop --replicas=1 and "0 6 * * 2,3,4,5" kubectl scale'
        ' deployment/shop --replicas=3 (CronJob, timeZone: UTC); "0 20 * * 5" kubectl scale deployment/shop'
        ' --replicas=1 and "0 6 * * 1" kubectl scale deployment/shop --replicas=3 (CronJob, timeZone: UTC)'
    )
    following = inputs(load=OFFICE, patterns=find_patterns(series(OFFICE)), spec=auto(minReplicas=3))
    assert "kubectl patch perf shop" in by_kind(following)[AdviceKind.SCHEDULE].how


def test_hours_of_advice_are_local_and_name_their_zone() -> None:
    found = find_patterns(series(OFFICE), time_zone="Asia/Tokyo")
    one = by_kind(inputs(load=OFFICE, patterns=found))[AdviceKind.SCHEDULE]
    assert "05:00–15:00" in one.reason, "nine hours later"
    assert "(Asia/Tokyo)" in one.reason
    assert one.how.count("timeZone: Asia/Tokyo") == one.how.count("CronJob")


def test_regular_bursts() -> None:
    load = np.full(COUNT, 200.0) + np.random.default_rng(0).normal(0, 2, COUNT)
    load[(WEEKDAY < 5) & (HOUR >= 9) & (HOUR < 9.5)] = 600.0
    advice = {one.kind: one for one in recommend(inputs(load=load, patterns=find_patterns(series(load)), replicas=7))}
    assert AdviceKind.PRE_SCALE not in advice
    one = by_kind(inputs(load=load, patterns=find_patterns(series(load))))[AdviceKind.PRE_SCALE]
    assert one.title == "Run 7 replicas from 08:55 on, ahead of the burst at 09:00 (UTC)"
    assert one.how.startswith('"55 8 * * 1,2,3,4,5" kubectl scale deployment/shop --replicas=7')
    assert one.monthly_saving < 0.0


def test_a_broken_objective_with_room_to_spare() -> None:
    found = by_kind(inputs(load=150.0, latency=np.where(TIME[-5] < TIME, 0.4, 0.15)))
    assert found[AdviceKind.NOT_CAPACITY].subject == "latency"
    assert AdviceKind.OBJECTIVE_BREACHED not in found
    busy = by_kind(inputs(load=250.0, latency=np.where(TIME[-5] < TIME, 0.4, 0.15)))
    assert busy[AdviceKind.OBJECTIVE_BREACHED].evidence == (
        "latency is 0.4, threshold ≤ 0.25; demand is 83 % of what the replicas carry; CPU is 85 % of what the pods"
        " may use."
    )
    told = by_kind(inputs(load=250.0, latency=np.where(TIME[-5] < TIME, 0.4, 0.15), not_capacity=True))
    assert AdviceKind.NOT_CAPACITY in told


def test_an_objective_without_data_names_its_query() -> None:
    unknown = (ObjectiveState(name="latency", state="Unknown"),)
    failures = {"objective/latency": "query 'p99_of_shop' found nothing", "memory": "query 'mem' found nothing"}
    found = by_kind(inputs(states=unknown, failures=failures))
    one = found[AdviceKind.OBJECTIVE_WITHOUT_DATA]
    assert "query 'p99_of_shop' found nothing" in one.evidence
    assert "p99_of_shop" in one.how
    assert found[AdviceKind.SIGNAL_WITHOUT_DATA].evidence == "query 'mem' found nothing."


def test_thresholds_that_say_nothing() -> None:
    loose = only(inputs(latency=0.05 + 0.01 * np.random.default_rng(0).random(COUNT)))
    assert (loose.kind, loose.how) == (AdviceKind.OBJECTIVE_TOO_LOOSE, 'spec.objectives[latency].max: "0.075"')
    tight = by_kind(inputs(latency=0.4 + 0.05 * np.random.default_rng(0).random(COUNT)))
    assert AdviceKind.OBJECTIVE_TOO_TIGHT in tight
    assert AdviceKind.OBJECTIVE_BREACHED not in tight
    assert AdviceKind.NOT_CAPACITY not in tight


def test_broken_under_load_only_is_not_too_tight() -> None:
    load = np.where(HOUR < 8, 50.0, 290.0)
    found = by_kind(inputs(load=load, latency=np.where(HOUR < 8, 0.1, 0.3)))
    assert AdviceKind.OBJECTIVE_TOO_TIGHT not in found


def test_an_slo() -> None:
    objectives = [{"name": "latency", "query": "q", "max": "0.25"}]
    latency = np.where(np.arange(COUNT) % 500 == 0, 0.4, 0.15)
    one = only(inputs(spec=policy(objectives=objectives), latency=latency))
    assert (one.kind, one.title) == (AdviceKind.SET_SLO, "Set an SLO of 99.5 % for latency")
    assert one.how == 'spec.objectives[latency].slo: {targetPercent: "99.5", window: 720h}'


def test_quotas_drift_and_history() -> None:
    room = Room(quotas=(Quota("team", {"requests.cpu": 10.0, "pods": 100.0}, {"requests.cpu": 9.5, "pods": 20.0}),))
    assert only(inputs(room=room)).title == "Raise requests.cpu of quota team"
    assert only(inputs(drift="Drifted")).kind is AdviceKind.DRIFT
    young = inputs(quality=Quality(DataProblem.SHORT_HISTORY, "short", 1.0, 600.0, 0.0))
    assert only(young).kind is AdviceKind.SHORT_HISTORY


def test_bad_data_reduces_nothing() -> None:
    stale = Quality(DataProblem.STALE, "old", 9999.0, 86_400.0, 0.0)
    assert recommend(inputs(cpu=0.2, memory=200 * MIB, replicas=9, quality=stale)) == ()


def test_a_broken_objective_reduces_nothing() -> None:
    found = by_kind(inputs(cpu=0.2, memory=200 * MIB, replicas=9, latency=np.where(TIME[-5] < TIME, 0.4, 0.15)))
    assert not {kind for kind in found if "Reduce" in kind.value or kind is AdviceKind.TOO_MANY_REPLICAS}


def test_little_data_is_little_confidence() -> None:
    whole = inputs(cpu=0.4)
    short = {"app": whole.history.cpu_cores["app"].between(MONDAY, MONDAY + 6 * 3600.0)}
    found = by_kind(replace(whole, history=replace(whole.history, cpu_cores=short)))
    assert 40 <= found[AdviceKind.REDUCE_CPU_REQUEST].confidence_percent <= 55


def test_grave_before_what_saves_and_more_before_less() -> None:
    many = inputs(
        cpu=0.3,
        memory=0.99 * GIB,
        failures={"replicas": "query 'r' found nothing"},
        drift="Drifted",
        replicas=4,
        load=300.0,
    )
    found = recommend(many)
    gravity = [list(Severity).index(one.severity) for one in found]
    assert gravity == sorted(gravity, reverse=True)
    saved = [round(one.expected_saving, 2) for one in found if one.severity is Severity.INFO]
    assert saved == sorted(saved, reverse=True)
    assert found[0].kind is AdviceKind.OUT_OF_MEMORY_RISK


def test_the_same_waste_is_not_saved_twice() -> None:
    """Without a learned capacity fewer pods and smaller pods are two words for the same unused CPU."""
    kinds = set(by_kind(inputs(cpu=0.3, load=90.0, replicas=8, capacity_learned=False)))
    assert len(kinds & {AdviceKind.TOO_MANY_REPLICAS, AdviceKind.REDUCE_CPU_REQUEST}) == 1
    both = set(by_kind(inputs(cpu=0.3, load=90.0, replicas=8)))
    assert {AdviceKind.TOO_MANY_REPLICAS, AdviceKind.REDUCE_CPU_REQUEST} <= both


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        pytest.param("cpu", [0.85 / 1.15 * x for x in (0.99, 1.01)], id="smaller request"),
        pytest.param("load", [300 / 1.15 * 1.05 * x for x in (0.995, 1.005)], id="too few"),
        pytest.param("memory", [0.9 * GIB * x for x in (0.995, 1.005)], id="out of memory"),
    ],
)
def test_advice_does_not_flap(kind: str, at: list[float]) -> None:
    """A value that goes to and fro over a threshold: once advised it stays advised, in the same words."""
    previous: tuple[str, ...] = ()
    seen: list[bool] = []
    for value in at * 10:
        changed: dict[str, Any] = {kind: value, "previous": previous}
        found = recommend(inputs(**changed))
        previous = tuple(one.key for one in found)
        seen.append(bool(found))
    assert seen == sorted(seen)
    assert seen[-1]


CONTRADICTIONS = [
    ({AdviceKind.REDUCE_CPU_REQUEST}, {AdviceKind.RAISE_CPU_REQUEST, AdviceKind.CPU_THROTTLING_RISK}, True),
    ({AdviceKind.REDUCE_MEMORY_REQUEST}, {AdviceKind.RAISE_MEMORY_REQUEST, AdviceKind.OUT_OF_MEMORY_RISK}, True),
    (
        {AdviceKind.TOO_MANY_REPLICAS, AdviceKind.FOLLOW, AdviceKind.SCHEDULE},
        {AdviceKind.TOO_FEW_REPLICAS, AdviceKind.MAX_REPLICAS_REACHED, AdviceKind.MAX_REPLICAS_TOO_LOW},
        False,
    ),
    ({AdviceKind.TOO_MANY_REPLICAS}, {AdviceKind.SINGLE_REPLICA, AdviceKind.PRE_SCALE, AdviceKind.FOLLOW}, False),
    ({AdviceKind.SCHEDULE}, {AdviceKind.FOLLOW, AdviceKind.TOO_MANY_REPLICAS}, False),
    ({AdviceKind.NOT_CAPACITY}, {AdviceKind.TOO_FEW_REPLICAS, AdviceKind.MAX_REPLICAS_REACHED}, False),
    ({AdviceKind.OBJECTIVE_TOO_TIGHT}, {AdviceKind.OBJECTIVE_BREACHED, AdviceKind.NOT_CAPACITY}, True),
    ({AdviceKind.OBJECTIVE_TOO_LOOSE}, {AdviceKind.OBJECTIVE_BREACHED, AdviceKind.SET_SLO}, True),
]
ODD = [0.0, -1.0, 1e-12, 1e30, 1e305, math.nan, math.inf]
PATTERNS = find_patterns(series(OFFICE))


@settings(max_examples=100, deadline=None)
@given(
    cpu=st.one_of(st.floats(0, 3), st.sampled_from(ODD)),
    memory=st.one_of(st.floats(0, 3 * GIB), st.sampled_from(ODD)),
    load=st.one_of(st.floats(0, 2000), st.sampled_from(ODD)),
    latency=st.one_of(st.floats(0, 1), st.sampled_from(ODD)),
    capacity=st.one_of(st.floats(1, 500), st.sampled_from(ODD)),
    replicas=st.integers(0, 30),
    learned=st.booleans(),
    managed=st.booleans(),
    mode=st.sampled_from(["Recommend", "Auto"]),
    sizes=st.tuples(*[st.sampled_from(["", "500m", "1"])] * 2, *[st.sampled_from(["", "512Mi", "1Gi"])] * 2),
    patterned=st.booleans(),
)
def test_no_contradictions_and_nothing_odd(
    cpu: float,
    memory: float,
    load: float,
    latency: float,
    capacity: float,
    replicas: int,
    learned: bool,
    managed: bool,
    mode: str,
    sizes: tuple[str, str, str, str],
    patterned: bool,
) -> None:
    made = inputs(
        cpu=cpu,
        memory=memory,
        load=OFFICE / 240 * load if patterned and math.isfinite(load) else load,
        latency=latency,
        size=container(sizes[0], sizes[2], sizes[1], sizes[3]),
        spec=policy(mode=mode, horizontal={"minReplicas": 1, "maxReplicas": 10, "follow": mode == "Auto"}),
        capacity_per_replica=capacity,
        capacity_learned=learned,
        replicas=replicas,
        managed=managed,
        seasons=(SeasonFound(86_400.0, 80),) if patterned else (),
        patterns=PATTERNS if patterned else None,
    )
    found = recommend(made)
    assert recommend(made) == found
    assert len(found) <= MOST_ADVICE
    assert len({one.key for one in found}) == len(found)
    for one in found:
        assert math.isfinite(one.monthly_saving)
        assert 5 <= one.confidence_percent <= 95
        for text in (one.title, one.reason, one.evidence, one.effect, one.how):
            assert text
            assert "nan" not in text
            assert "inf" not in text.replace("info", "")
    for left, right, same in CONTRADICTIONS:
        for one in found:
            for other in found:
                if one.kind in left and other.kind in right:
                    assert same, (one.key, other.key)
                    assert one.subject != other.subject, (one.key, other.key)
