"""Signals that do not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.test_watch import same
from trimtab.adapters.codec import decode, encode
from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.joint_episodes import Together, trailing
from trimtab.analytics.joint_watch import LATEST, JointWatch
from trimtab.domain.choices import AnomalyKind, Sensitivity, Severity
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series

STEP = 60.0
WARM, LENGTH = 4000, 4400
LATENCY = Objective.model_validate({"name": "latency", "query": "up", "max": "10"})


def values(seed: int = 1, factors: Mapping[str, tuple[float, int, int]] | None = None) -> dict[str, FloatArray]:
    """Signals of a queue; each factor is (what its signal is multiplied by, from, to)."""
    rng = np.random.default_rng(seed)
    load = 200.0 * (1.0 + 0.5 * np.sin(np.arange(LENGTH) / 200.0)) * np.exp(0.1 * rng.standard_normal(LENGTH))
    made = {
        "cpu/app": 0.01 * load * np.exp(0.02 * rng.standard_normal(LENGTH)),
        "memory/app": (3e8 + 1e5 * load) * np.exp(0.005 * rng.standard_normal(LENGTH)),
        "objective/latency": 0.05 / (1.0 - load / 500.0) * np.exp(0.1 * rng.standard_normal(LENGTH)),
        "load": load,
        "replicas": np.full(LENGTH, 6.0),
    }
    for name, (factor, start, end) in (factors or {}).items():
        made[name][start:end] *= factor
    return made


def together(
    made: dict[str, FloatArray], end: int, *, odd: Sequence[int] = (), changes: Sequence[float] = ()
) -> Together:
    series = {name: Series(0.0, STEP, one[:end], "cores" if name == "cpu/app" else "") for name, one in made.items()}
    around = {name: series.pop(name) for name in ("load", "replicas")}
    return Together(series, around, set(odd), changes, 600.0, {"objective/latency": LATENCY})


def warm(made: dict[str, FloatArray], sensitivity: Sensitivity = Sensitivity.MEDIUM) -> JointWatch:
    watch = JointWatch.start(STEP, sensitivity)
    assert list(watch.take(together(made, WARM))) == []
    return watch


def test_cpu_a_request_that_rises_is_told_of_cpu() -> None:
    made = values(factors={"cpu/app": (1.15, 4100, LENGTH)})
    watch = warm(made)
    assert list(watch.take(together(made, 4130))) == []
    told = watch.anomaly(together(made, 4130))
    assert told is not None
    assert (told.signal, told.kind, told.start) == ("cpu/app", AnomalyKind.CONTEXTUAL, 4100 * STEP)
    assert told.severity is Severity.WARNING
    assert told.value > told.expected
    assert told.evidence == (
        "3.54 cores at 20:45, 20 % more than the 2.95 ± 0.0569 that goes with load 296. Usual by itself, but the median"
        " of the 30 samples since 20:20 is 7.4 sigma above what goes with their load."
    )


def test_a_change_that_ends_is_an_anomaly_with_an_end() -> None:
    made = values(factors={"objective/latency": (2.0, 4100, 4130)})
    watch = warm(made)
    (told,) = watch.take(together(made, LENGTH))
    assert told.signal == "objective/latency"
    assert told.start == pytest.approx(4100 * STEP, abs=5 * STEP)
    assert told.end == pytest.approx(4130 * STEP, abs=12 * STEP)


def test_what_lasts_an_hour_is_the_new_normal() -> None:
    made = values(factors={"cpu/app": (1.15, 4100, LENGTH)})
    watch = warm(made)
    ended = list(watch.take(together(made, LENGTH)))
    assert [(one.signal, one.start) for one in ended] == [("cpu/app", 4100 * STEP)]
    assert watch.episode is None
    assert watch.since == 4129 * STEP


def test_a_change_of_the_workload_brings_a_new_normal_without_an_anomaly() -> None:
    made = values(factors={"cpu/app": (1.15, 4100, LENGTH)})
    watch = warm(made)
    assert list(watch.take(together(made, LENGTH, changes=[4100 * STEP]))) == []
    assert watch.episode is None


@pytest.mark.parametrize(("factor", "anew"), [(1.0, True), (1.15, False)])
def test_no_model_is_made_of_two_ways_of_going_together(factor: float, anew: bool) -> None:
    made = values(factors={"cpu/app": (factor, 4100, LENGTH)})
    watch = warm(made)
    watch.tried = 3200 * STEP  # so that the next is due at 4,200
    before = watch.model
    assert list(watch.take(together(made, LENGTH, changes=[4100 * STEP]))) == []
    assert watch.tried == 4200 * STEP
    assert (watch.model is not before) is anew


def test_what_is_odd_by_itself_is_not_told_twice() -> None:
    made = values(factors={"cpu/app": (1.5, 4100, 4140)})
    watch = warm(made)
    assert list(watch.take(together(made, LENGTH, odd=range(4100, 4141)))) == []


def test_circumstances_never_seen_are_not_judged() -> None:
    made = values(factors={"load": (8.0, 4100, 4200)})
    watch = warm(made)
    assert list(watch.take(together(made, LENGTH))) == []
    assert watch.anomaly(together(made, LENGTH)) is None


def test_young_and_lonely_signals_tell_nothing() -> None:
    watch = JointWatch.start(STEP, Sensitivity.HIGH)
    assert list(watch.take(together(values(), 390))) == []
    assert watch.model is None
    alone = Together({}, {"load": Series(0.0, STEP, values()["load"])}, set(), (), 600.0, {})
    assert list(JointWatch.start(STEP, Sensitivity.HIGH).take(alone)) == []


def test_a_signal_that_falls_silent_is_left_out_and_ends_its_anomaly() -> None:
    made = values(factors={"cpu/app": (1.15, 4070, LENGTH)})
    watch = warm(made)
    assert list(watch.take(together(made, 4100))) == []
    assert watch.episode is not None
    gone = together(made, LENGTH)
    shorter = replace(gone, signals={**gone.signals, "cpu/app": Series(0.0, STEP, made["cpu/app"][:4100])})
    assert [one.signal for one in watch.take(shorter)] == ["cpu/app"]
    assert watch.model is not None
    assert watch.model.signals == ("memory/app", "objective/latency")
    assert watch.time == (LENGTH - 1) * STEP


def test_a_signal_that_comes_without_numbers_is_left_out_too() -> None:
    made = values(factors={"objective/latency": (2.0, 4150, LENGTH)})
    made["cpu/app"][4050:] = np.nan
    watch = warm(made)
    assert [one.signal for one in watch.take(together(made, LENGTH))] == ["objective/latency"]
    assert watch.model is not None
    assert watch.model.signals == ("memory/app", "objective/latency")
    assert watch.tried == 4071 * STEP


def test_nothing_but_the_load_falls_silent() -> None:
    made = values()
    made["load"][4050:4200] = np.nan
    watch = warm(made)
    tried = watch.tried
    assert list(watch.take(together(made, 4100))) == []
    assert (watch.run, watch.fast, watch.slow) == (0, 0.0, 0.0)
    assert list(watch.take(together(made, LENGTH))) == []
    assert watch.tried == tried


def test_signals_may_come_in_any_order() -> None:
    made = values(factors={"cpu/app": (1.15, 4070, LENGTH)})
    watch = warm(made)
    assert list(watch.take(together(made, 4090))) == []
    episode = watch.copy().episode
    assert episode is not None
    assert list(watch.take(together(dict(reversed(made.items())), 4091))) == []
    assert watch.episode == replace(episode, samples=21, active=21, last=4090 * STEP)


def test_what_begins_again_is_another_anomaly() -> None:
    made = values()
    for start in (4100, 4140):
        made["cpu/app"][start : start + 15] *= 1.15
    watch = warm(made)
    first, second = watch.take(together(made, LENGTH))
    assert first.end is not None
    assert first.start == 4100 * STEP
    assert first.end < second.start == pytest.approx(4140 * STEP, abs=3 * STEP)


def test_a_change_between_two_samples_is_settled_once() -> None:
    made = values(factors={"cpu/app": (1.15, 4100, LENGTH)})
    watch = warm(made)
    assert list(watch.take(together(made, 4113, changes=[4100 * STEP - 20.0]))) == []
    assert watch.settled is None
    assert watch.run > 0


def test_a_change_long_before_the_first_sample_is_settled() -> None:
    made = values()
    with_change = JointWatch.start(STEP, Sensitivity.MEDIUM)
    assert list(with_change.take(together(made, WARM, changes=[100 * STEP]))) == []
    assert with_change.since == 100 * STEP
    assert same(replace(with_change, since=-np.inf), warm(made))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.sampled_from([4500, 4125]))
@settings(max_examples=25)
def test_rounds_of_any_size_give_the_same_state(sizes: list[int], due: int) -> None:
    """Whether or not another model is due while an anomaly goes on."""
    made = MADE
    whole = WARMED.copy()
    whole.tried = (due - LATEST) * STEP
    parts = whole.copy()
    total, end = sum(sizes), WARM
    told: list[Anomaly] = []
    for size in sizes:
        end += size
        told += parts.take(together(made, end))
    assert told == list(whole.take(together(made, WARM + total)))
    assert same(parts, whole)


def test_a_stored_state_goes_on() -> None:
    stored = decode(encode(WARMED, JointWatch), JointWatch)
    kept = WARMED.copy()
    assert list(stored.take(together(MADE, LENGTH))) == list(kept.take(together(MADE, LENGTH)))
    assert same(stored, kept)
    assert len(encode(kept, JointWatch)) < 48 * 1024


@pytest.mark.parametrize("absurd", [1e50, -1e99, np.inf, 1e300, np.nan])
def test_means_of_the_load_forget_an_absurd_sample(absurd: float) -> None:
    load = np.full(100, 100.0)
    load[10] = absurd
    means = trailing(Series(0.0, STEP, load), 10).values
    assert means[:10].tolist() == [100.0] * 10
    assert means[20:].tolist() == [100.0] * 80


def test_samples_that_come_late_are_waited_for() -> None:
    made = values(factors={"cpu/app": (1.15, 4020, LENGTH), "memory/app": (3.0, 4010, 4012)})
    watch, punctual = warm(made), warm(made)
    for end in range(WARM + 1, 4040):
        now = together(made, end, odd=[end - 1] if 4010 <= end - 1 < 4012 else [])
        late = now.circumstances["load"].values.copy()
        late[-1] = np.nan
        load = replace(now.circumstances["load"], values=late)
        assert list(watch.take(replace(now, circumstances={**now.circumstances, "load": load}))) == []
    assert watch.time == 4037 * STEP
    assert list(punctual.take(together(made, 4038, odd=[4010, 4011]))) == []
    assert watch.episode is not None
    assert same(watch, punctual)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0])
def test_any_value_is_taken(value: float) -> None:
    made = values()
    for name in ("cpu/app", "load"):
        made[name][4100:4120] = value
    watch = warm(made)
    assert len(list(watch.take(together(made, LENGTH)))) <= 2


def test_chance_alarms_at_most_as_stated() -> None:
    told = 0
    for seed in range(10, 20):
        made = values(seed)
        watch = JointWatch.start(STEP, Sensitivity.MEDIUM)
        told += len(list(watch.take(together(made, LENGTH))))
    assert told <= 3, "ten times 1,500 samples are a week and a half"


MADE = values(5, {"cpu/app": (1.15, 4100, 4130), "objective/latency": (1.5, 4250, 4300)})
WARMED = warm(MADE)
