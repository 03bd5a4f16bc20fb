"""Verdicts: truth tables of the rules, and how often seeded trials under moving load are judged right."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.domain.objectives import Objective
from trimtab.domain.policy import Validation
from trimtab.domain.run import VerdictResult
from trimtab.domain.run_status import CurveState, Measurement, Verdict
from trimtab.domain.series import FloatArray
from trimtab.planning.performance_model import NotLearned, PerformanceCurve, fit
from trimtab.planning.validation import Former, Intent, NotYet, Peak, Samples, Trial, measurements, verdict

from .mm1_support import MM1, ar1
from .trial_support import LATENCY, SIZE, curve_of, samples, trial

PASS, FAIL, INCONCLUSIVE = VerdictResult.PASS, VerdictResult.FAIL, VerdictResult.INCONCLUSIVE
RISING, FALLING, STEADY = (0.45, 0.5, 0.6, 0.95), (0.9, 0.98, 0.55, 0.25), (0.6, 0.6, 0.6, 0.6)
SEEDS = 200


def judged(of: Trial, complete: bool = True) -> Verdict:
    decided = verdict(of, complete=complete)
    assert isinstance(decided, Verdict), decided
    return decided


def with_values(of: Trial, values: FloatArray, load: FloatArray | None = None) -> Trial:
    """The trial with other measurements after the change."""
    return replace(
        of, after=replace(of.after, values={LATENCY.name: values}, load=of.after.load if load is None else load)
    )


def raw_says_worse(of: Trial) -> bool:
    """What comparing plain means before and after would say."""
    before, after = of.before.values[LATENCY.name], of.after.values[LATENCY.name]
    return bool(np.mean(after) > 1.05 * np.mean(before))


# How often it is right


def rates(seeds: int = SEEDS, **what: object) -> tuple[Counter[VerdictResult], float]:
    """(results, share of trials that raw means call worse)."""
    found, worse = Counter[VerdictResult](), 0
    for seed in range(seeds):
        one = trial(seed, **what)  # type: ignore[arg-type]  # keywords by name in a table
        found[judged(one).result] += 1
        worse += raw_says_worse(one)
    return found, worse / seeds


def test_good_changes_under_rising_load_are_kept_where_raw_means_would_undo_them() -> None:
    found, raw_worse = rates(load=RISING)
    assert found[FAIL] <= 0.05 * SEEDS
    assert found[PASS] >= 0.93 * SEEDS
    assert raw_worse >= 0.95


def test_bad_changes_under_falling_load_are_undone_where_raw_means_would_keep_them() -> None:
    found, raw_worse = rates(load=FALLING, slower=1.3)
    assert found[PASS] <= 0.05 * SEEDS
    assert found[FAIL] >= 0.88 * SEEDS
    assert raw_worse <= 0.05


def test_a_cliff_is_undone_whatever_the_load() -> None:
    for load in (RISING, FALLING):
        found, _ = rates(100, load=load, slower=2.0)
        assert found[FAIL] >= 99


@pytest.mark.parametrize(
    ("what", "most_failed", "fewest_passed"),
    [
        pytest.param({"load": FALLING}, 5, 93, id="falling load"),
        pytest.param({"load": RISING, "n": 20}, 5, 93, id="twenty samples"),
        pytest.param({"load": RISING, "n": 10}, 5, 88, id="ten samples"),
        pytest.param({"load": RISING, "system": MM1(std=0.05)}, 5, 93, id="little noise"),
        pytest.param({"load": RISING, "system": MM1(std=0.3)}, 5, 88, id="much noise"),
        pytest.param({"load": RISING, "system": MM1(rho=0.8)}, 5, 88, id="strong autocorrelation"),
        pytest.param({"load": (0.8, 0.8, 1.0, 1.0)}, 5, 93, id="at the peak all the time"),
        pytest.param({"load": RISING, "slower": 1.2, "before_slower": 1.2}, 5, 88, id="slow already before"),
        pytest.param({"load": RISING, "replicas": (4, 4), "sizes": (0.5, 0.35)}, 5, 93, id="smaller pods"),
    ],
)
def test_good_changes_pass(what: dict[str, object], most_failed: int, fewest_passed: int) -> None:
    found, _ = rates(100, **what)
    assert found[FAIL] <= most_failed
    assert found[PASS] >= fewest_passed


@pytest.mark.parametrize(
    ("what", "most_passed"),
    [
        pytest.param({"load": RISING}, 5, id="rising load"),
        pytest.param({"load": STEADY, "n": 20}, 6, id="twenty samples"),
        pytest.param({"load": STEADY, "system": MM1(std=0.05), "n": 10}, 0, id="ten samples, little noise"),
        pytest.param({"load": FALLING, "before_slower": 1.2, "slower": 1.56}, 8, id="slow already before"),
    ],
)
def test_changes_that_are_thirty_per_cent_worse_do_not_pass(what: dict[str, object], most_passed: int) -> None:
    found, _ = rates(100, **{"slower": 1.3, **what})
    assert found[PASS] <= most_passed


@pytest.mark.parametrize(
    ("what", "result", "fewest"),
    [
        pytest.param({"replicas": (4, 6), "load": (0.9, 0.9, 0.9, 0.95)}, PASS, 98, id="breached, and relieved"),
        pytest.param(
            {"replicas": (4, 6), "load": (0.9, 0.9, 0.9, 0.95), "slower": 2.0, "before_slower": 2.0},
            PASS,
            98,
            id="better than before, though not met",
        ),
        pytest.param({"replicas": (5, 6), "load": STEADY}, PASS, 98, id="met before and after"),
        pytest.param({"replicas": (5, 6), "load": STEADY, "slower": 1.5}, FAIL, 95, id="made it worse"),
    ],
)
def test_improvements(what: dict[str, object], result: VerdictResult, fewest: int) -> None:
    found, _ = rates(100, intent=Intent.IMPROVE, **what)
    assert found[result] >= fewest


@pytest.mark.parametrize(
    ("what", "result", "fewest"),
    [
        pytest.param({"load": RISING}, PASS, 93, id="as the curve expects"),
        pytest.param({"load": FALLING, "slower": 1.3}, FAIL, 85, id="worse than the curve and than before"),
        pytest.param(
            {"replicas": (4, 6), "load": (0.8, 0.8, 0.8, 0.9), "slower": 1.15}, PASS, 95, id="worse than the curve only"
        ),
    ],
)
def test_a_persons_own_change(what: dict[str, object], result: VerdictResult, fewest: int) -> None:
    found, _ = rates(100, intent=Intent.OTHER, **what)
    assert found[result] >= fewest


def test_bounds_of_the_interval_hold_as_often_as_they_say() -> None:
    above = below = 0
    for seed in range(SEEDS):
        told = judged(trial(seed, load=RISING, n=20)).objectives[0]
        above += float(told.lower_percent) > 0.0
        below += float(told.upper_percent) < 0.0
    assert max(above, below) <= 0.08 * SEEDS


# Samples and limits

QUIET = trial(1, load=STEADY, n=10, system=MM1(std=0.05))
GOOD = QUIET.after.values[LATENCY.name]
CRITICAL = LATENCY.model_copy(update={"critical": True})
HOLD = Objective.model_validate(
    {**LATENCY.model_dump(by_alias=True, mode="json", exclude_none=True), "onNoTraffic": "Hold"}
)
NO_DATA = np.full(10, np.nan)


def some(*beyond: int, value: float = 0.4) -> FloatArray:
    """The quiet values, with these measurements at a value."""
    values = GOOD.copy()
    values[list(beyond)] = value
    return values


@pytest.mark.parametrize(
    ("objective", "values", "result", "says"),
    [
        pytest.param(LATENCY, GOOD, PASS, "than planned", id="all within"),
        pytest.param(LATENCY, some(0, value=0.262), PASS, "than planned", id="beyond by less than the tolerance"),
        pytest.param(
            LATENCY, some(3, 6, 9, value=0.27), FAIL, "in 3 of 10 measurements (2 are allowed)", id="3 beyond"
        ),
        pytest.param(CRITICAL, some(4, value=0.27), FAIL, "in 1 of 10 measurements (it is critical)", id="1 critical"),
        pytest.param(LATENCY, some(0, 1, 2, 3, value=math.nan), PASS, "than planned", id="4 errors in a row"),
        pytest.param(
            LATENCY,
            some(0, 1, 2, 3, 4, value=math.nan),
            INCONCLUSIVE,
            "no data in 5 measurements in a row",
            id="5 errors",
        ),
        pytest.param(
            LATENCY,
            some(0, 1, 3, 4, 6, 7, value=math.nan),
            INCONCLUSIVE,
            "only 4 of 10 measurements",
            id="6 errors, apart",
        ),
        pytest.param(
            LATENCY,
            NO_DATA,
            INCONCLUSIVE,
            "no data in the trial, the query 'histogram_quantile(0.99, x)' found nothing",
            id="no data",
        ),
    ],
)
def test_limits(objective: Objective, values: FloatArray, result: VerdictResult, says: str) -> None:
    decided = judged(with_values(replace(QUIET, objectives=(objective,)), values))
    assert decided.result is result
    assert says in decided.message


@pytest.mark.parametrize(
    ("objective", "least", "result", "says"),
    [
        pytest.param(LATENCY, 0.0, PASS, "counts as met: there was no traffic", id="Met"),
        pytest.param(HOLD, 0.0, INCONCLUSIVE, "only 0 of 10 measurements", id="Hold"),
        pytest.param(
            LATENCY, 50.0, INCONCLUSIVE, "no traffic in 10 of 10 measurements, where the forecast", id="foreseen"
        ),
        pytest.param(LATENCY, math.nan, INCONCLUSIVE, "there was some in all samples before", id="no forecast"),
    ],
)
def test_no_traffic(objective: Objective, least: float, result: VerdictResult, says: str) -> None:
    trial = replace(QUIET, objectives=(objective,), least_load=least)
    decided = judged(with_values(trial, NO_DATA, np.zeros(10)))
    assert decided.result is result
    assert says in decided.message


def test_without_a_forecast_a_service_that_was_idle_before_may_be_idle() -> None:
    before = replace(QUIET.before, load=np.where(np.arange(len(QUIET.before)) == 0, 0.0, QUIET.before.load))
    decided = judged(with_values(replace(QUIET, before=before), NO_DATA, np.zeros(10)))
    assert decided.result is PASS


def test_a_scrape_that_was_missed_before_does_not_make_idleness_expected() -> None:
    before = replace(QUIET.before, load=np.where(np.arange(len(QUIET.before)) == 0, np.nan, QUIET.before.load))
    decided = judged(with_values(replace(QUIET, before=before), NO_DATA, np.zeros(10)))
    assert decided.result is INCONCLUSIVE


@pytest.mark.parametrize(
    ("ready", "of_change", "result", "says"),
    [
        pytest.param(4.0, 4, PASS, "", id="as many as the change asks for"),
        pytest.param(3.0, 4, INCONCLUSIVE, "not the 4 replicas of the change were ready in 10 of 10", id="one short"),
        pytest.param(
            5.0, 4, INCONCLUSIVE, "not the 4 replicas of the change were ready in 10 of 10", id="one too many"
        ),
        pytest.param(3.0, None, PASS, "", id="the count is not of the change"),
        pytest.param(0.0, None, INCONCLUSIVE, "no replica was ready in 10 of 10", id="none"),
        pytest.param(math.nan, None, INCONCLUSIVE, "no replica was ready in 10 of 10", id="unknown"),
    ],
)
def test_a_sample_counts_only_of_ready_pods_of_the_change(
    ready: float, of_change: int | None, result: VerdictResult, says: str
) -> None:
    trial = with_values(replace(QUIET, replicas=of_change), GOOD)
    decided = judged(replace(trial, after=replace(trial.after, replicas=np.full(10, ready))))
    assert decided.result is result, decided.message
    assert says in decided.message


def test_idleness_of_pods_that_are_not_ready_is_no_idleness() -> None:
    trial = with_values(replace(QUIET, least_load=0.0), NO_DATA, np.zeros(10))
    decided = judged(replace(trial, after=replace(trial.after, replicas=np.zeros(10))))
    assert decided.result is INCONCLUSIVE


@pytest.mark.parametrize(
    ("rescues", "values", "result"),
    [
        pytest.param(2, GOOD, PASS, id="as many as failures are allowed"),
        pytest.param(3, GOOD, FAIL, id="one more"),
        pytest.param(1, some(0, 5, value=0.3), FAIL, id="together with failed samples"),
    ],
)
def test_rescues_count_as_failed_samples(rescues: int, values: FloatArray, result: VerdictResult) -> None:
    assert (
        judged(with_values(replace(QUIET, rescues=rescues), values), complete=False or result is PASS).result is result
    )


def test_load_that_the_former_point_could_not_carry_either_is_not_the_trials_fault() -> None:
    """Both points are beyond capacity; following and not undoing is the answer."""
    surge = np.full(10, 6 * 0.97 * 240 * SIZE)
    values = MM1().p99(surge / 5, SIZE)
    assert (values > 0.25).all()
    one = with_values(replace(QUIET, rescues=4), values, surge)
    assert verdict(one, complete=False) == NotYet("10 measurements so far, none decides")
    assert judged(one).result is not FAIL
    assert {row.result for row in measurements(one)} == {"Pass"}


def test_load_that_the_former_point_could_carry_is() -> None:
    load = np.full(10, 5 * 0.93 * 240 * SIZE)
    decided = judged(with_values(QUIET, MM1().p99(load / 5, SIZE), load), complete=False)
    assert decided.result is FAIL
    assert "was expected" in decided.message


@pytest.mark.parametrize(
    ("values", "result"),
    [
        pytest.param(GOOD[:4], None, id="nothing yet"),
        pytest.param(some(0, 1)[:4], None, id="failures that may be survived"),
        pytest.param(some(0, 1, 2)[:4], FAIL, id="failed already"),
        pytest.param(NO_DATA[:4], None, id="no data may still come"),
    ],
)
def test_before_all_sample_times_have_passed_only_failure_is_possible(
    values: FloatArray, result: VerdictResult | None
) -> None:
    after = QUIET.after
    early = Samples(
        after.at[:4], after.load[:4], after.replicas[:4], after.cpu_size[:4], {LATENCY.name: np.asarray(values)}
    )
    decided = verdict(replace(QUIET, after=early, former=Former(np.full(4, 6.0), SIZE)), complete=False)
    assert isinstance(decided, NotYet) if result is None else isinstance(decided, Verdict) and decided.result is result


def test_an_early_failure_is_the_later_verdict_too() -> None:
    caught = 0
    for seed in range(60):
        whole = trial(seed, load=(0.9, 0.9, 0.95, 1.25), slower=1.4, before_slower=1.2, n=20)
        whole = replace(whole, objectives=(CRITICAL if seed % 2 else LATENCY,))
        for n in range(1, 20):
            after = whole.after
            part = Samples(
                after.at[:n],
                after.load[:n],
                after.replicas[:n],
                after.cpu_size[:n],
                {LATENCY.name: after.values[LATENCY.name][:n]},
            )
            early = verdict(replace(whole, after=part, former=Former(np.full(n, 6.0), SIZE)), complete=False)
            if isinstance(early, Verdict):
                assert judged(whole).result is FAIL
                caught += 1
                break
    assert caught >= 20


# Without a curve, several objectives, other scales


def test_without_a_curve_thresholds_decide_and_the_message_says_so() -> None:
    kept = judged(trial(0, load=STEADY, learned=False))
    assert kept.result is PASS
    assert "judged by its threshold only (only 12 samples with load, 30 are needed)" in kept.message
    assert kept.objectives[0].effect_percent == ""
    assert judged(trial(0, load=STEADY, learned=False, slower=4.0)).result is FAIL


def test_the_worst_objective_decides_and_critical_ones_are_named_first() -> None:
    other = LATENCY.model_copy(update={"name": "latency-p50", "query": "p50", "weight": 9})
    curves = {LATENCY.name: QUIET.curves[LATENCY.name], "latency-p50": NotLearned("too new")}
    values = {LATENCY.name: GOOD, "latency-p50": GOOD / 3}
    both = replace(QUIET, objectives=(CRITICAL, other), curves=curves, after=replace(QUIET.after, values=values))
    good = judged(both)
    assert (good.result, [one.name for one in good.objectives]) == (PASS, ["latency-p99", "latency-p50"])
    assert good.message.index("latency-p99") < good.message.index("latency-p50")
    blind = judged(replace(both, after=replace(both.after, values={LATENCY.name: GOOD})))
    assert (blind.result, [one.result for one in blind.objectives]) == (INCONCLUSIVE, [PASS, INCONCLUSIVE])
    assert "'p50' found nothing" in blind.message
    failed = judged(replace(both, after=replace(both.after, values={**values, LATENCY.name: some(2)})))
    assert (failed.result, [one.result for one in failed.objectives]) == (FAIL, [FAIL, INCONCLUSIVE])


def test_without_objectives_the_verdict_says_that_only_guards_were_asked() -> None:
    alone = replace(QUIET, objectives=(), guards=("readyReplicas", "restarts"))
    assert judged(alone).result is PASS
    assert (
        judged(alone).message == "no objectives were asked, only the guards (readyReplicas, restarts), and none failed"
    )
    blind = judged(replace(alone, unanswered=("cpuThrottling",)))
    assert blind.result is INCONCLUSIVE
    assert "guard cpuThrottling had no data in most of 10 measurements" in blind.message
    unseen = judged(replace(alone, never_throttled=("app",)))
    assert unseen.result is INCONCLUSIVE
    assert "CPU throttling of app was never measured: nothing exports it" in unseen.message


def test_objectives_that_hold_prove_nothing_beside_a_guard_that_was_not_answered() -> None:
    """Where nothing exports what it asks for, the verdict says what was not looked at."""
    assert judged(QUIET).result is PASS
    blind = judged(replace(QUIET, unanswered=("cpuThrottling",)))
    assert blind.result is INCONCLUSIVE
    assert blind.message.startswith("the objectives hold, but guard cpuThrottling had no data in most of ")
    unseen = judged(replace(QUIET, never_throttled=("app", "side")))
    assert unseen.result is PASS
    assert unseen.message.endswith("; CPU throttling of app, side was never measured: nothing exports it")


@pytest.mark.parametrize(("without", "result"), [(5, PASS), (6, INCONCLUSIVE), (10, INCONCLUSIVE)])
def test_without_objectives_half_of_the_measurements_must_be_of_ready_pods(without: int, result: VerdictResult) -> None:
    alone = replace(QUIET, objectives=(), replicas=None, guards=("readyReplicas", "restarts"))
    ready = alone.after.replicas.copy()
    ready[:without] = 0.0
    seen = judged(replace(alone, after=replace(alone.after, replicas=ready)))
    assert seen.result is result
    assert (f"ready in only {10 - without} of 10" in seen.message) is (result is INCONCLUSIVE)


AVAILABILITY = Objective.model_validate({"name": "availability", "query": "ok / all", "min": "999m"})


def availability_trial(seed: int, capacity: float, load: float) -> Trial:
    """Six replicas to five; each serves ``capacity`` after the change, 80 requests/s before."""
    rng = np.random.default_rng(seed)
    x = 10 + 75 * np.sin(np.arange(1440) / 230) ** 2 * np.exp(ar1(rng, 1440, 0.03, 0.5))

    def ratio(load_per_replica: FloatArray, carried: float) -> FloatArray:
        lost = np.maximum(0.0, 1 - carried / load_per_replica)
        return np.asarray(1 - lost - rng.exponential(1e-4, load_per_replica.size))

    six = np.full(1440, 6.0)
    curve = fit("availability", False, 6 * x, six, np.full(1440, SIZE), ratio(x, 80.0), threshold=0.999)
    before, after = np.full(60, load), np.full(20, load) * np.exp(ar1(rng, 20, 0.02, 0.5))
    return Trial(
        intent=Intent.SAVE,
        objectives=(AVAILABILITY,),
        curves={"availability": curve},
        before=replace(
            samples(np.linspace(0.0, 3540.0, 60), before, 6, before), values={"availability": ratio(before / 6, 80.0)}
        ),
        after=replace(
            samples(np.linspace(4000.0, 5140.0, 20), after, 5, after),
            values={"availability": ratio(after / 5, capacity)},
        ),
        former=Former(np.full(20, 6.0), SIZE),
        spec=Validation(),
        peak=Peak(65.0, SIZE),
    )


@pytest.mark.parametrize(
    ("capacity", "result"),
    [pytest.param(80.0, PASS, id="as planned"), pytest.param(58.0, FAIL, id="loses three per cent")],
)
def test_availability_is_judged_by_what_is_lost(capacity: float, result: VerdictResult) -> None:
    found = Counter(judged(availability_trial(seed, capacity, 300.0)).result for seed in range(20))
    assert found[result] >= 18


def test_tolerance_of_a_ratio_is_one_of_its_budget() -> None:
    """99.85 % is 50 % beyond a budget of 0.1 %, though within 5 % of 99.9 %."""
    one = availability_trial(0, 80.0, 300.0)
    values = one.after.values["availability"].copy()
    values[[1, 5, 9]] = 0.9985
    assert judged(replace(one, after=replace(one.after, values={"availability": values}))).result is FAIL


# Laws


def test_same_samples_same_verdict_through_the_stored_curve() -> None:
    for seed in range(20):
        one = trial(seed, load=RISING, slower=1.1)
        state = CurveState.model_validate_json(curve_of(seed, MM1()).to_state().model_dump_json())
        again = replace(one, curves={LATENCY.name: PerformanceCurve.from_state(state)})
        assert judged(again) == judged(one)
        assert measurements(again) == measurements(one)


def test_measurements_are_bounded_and_keep_failures() -> None:
    one = trial(0, load=RISING, n=200)
    values = one.after.values[LATENCY.name].copy()
    values[[17, 101]] = 3.0
    rows = measurements(with_values(one, values), limit=64)
    assert len(rows) == 64
    assert sum(row.result == "Fail" for row in rows) == 2
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert all(isinstance(row, Measurement) and row.expected for row in rows)


def test_verdict_carries_figures_that_a_person_can_check() -> None:
    decided = judged(trial(0, load=RISING, slower=1.3))
    told = decided.objectives[0]
    assert float(told.before) < float(told.after)
    assert float(told.lower_percent) < float(told.effect_percent) < float(told.upper_percent)
    assert float(told.effect_percent) == pytest.approx(30.0, abs=15.0)
    assert decided.message.startswith("latency-p99 is ")
    assert decided.message.endswith("than planned for the load seen, beyond the tolerance of 5 %")
    assert decided.at == trial(0).after.at[-1]


def test_samples_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Samples(np.zeros(2), np.zeros(3), np.zeros(2), np.zeros(2), {})


odd = st.sampled_from([math.nan, 0.0, -1.0, 1e-9, 0.2, 1e9, math.inf])


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(odd, min_size=10, max_size=10),
    load=st.lists(odd, min_size=10, max_size=10),
    replicas=st.lists(odd, min_size=10, max_size=10),
    intent=st.sampled_from(list(Intent)),
    complete=st.booleans(),
    size=odd,
)
def test_odd_numbers_never_raise(
    values: list[float], load: list[float], replicas: list[float], intent: Intent, complete: bool, size: float
) -> None:
    after = Samples(
        QUIET.after.at, np.array(load), np.array(replicas), np.full(10, size), {LATENCY.name: np.array(values)}
    )
    former = Former(np.array(replicas[::-1]), size)
    decided = verdict(replace(QUIET, intent=intent, after=after, former=former), complete=complete)
    if isinstance(decided, Verdict):
        assert decided.message
        Verdict.model_validate_json(decided.model_dump_json(by_alias=True))


@given(factor=st.floats(1.0, 4.0), more=st.floats(1.0, 2.0))
def test_worse_values_never_turn_a_failure_into_a_pass(factor: float, more: float) -> None:
    first = judged(with_values(QUIET, GOOD * factor)).result
    second = judged(with_values(QUIET, GOOD * factor * more)).result
    order = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}
    assert order[second] >= order[first]
