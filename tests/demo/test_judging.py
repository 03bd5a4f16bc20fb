"""Judging by hand-worked records: a promise is kept only if what it says is in them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from demo.judging import (
    Killing,
    Lead,
    Patch,
    RawMeans,
    Track,
    Trial,
    ahead_of_demand,
    bad_undone,
    good_kept,
    impossible_undone,
    leads,
    raw_means,
    survived,
    violated_seconds,
)

TIMES = np.arange(0.0, 101.0)
RAMP = np.interp(TIMES, [40.0, 60.0], [100.0, 500.0])
"""20 requests/s more each second from 40 s on: beyond 200 at 46 s, beyond 300 at 51 s."""

UP_2_3, UP_3_4, DOWN_4_2 = Patch(30.0, 2, 3), Patch(44.0, 3, 4), Patch(90.0, 4, 2)

LEADS: list[Any] = [
    pytest.param([UP_2_3], [46.0 - 30.0], id="before the demand"),
    pytest.param([UP_2_3, UP_3_4], [16.0, 51.0 - 44.0], id="each against its own old capacity"),
    pytest.param([replace(UP_2_3, at=48.5)], [46.0 - 48.5], id="after the demand: back to where it rose"),
    pytest.param([DOWN_4_2], [], id="replicas taken away are no step up"),
    pytest.param([Patch(30.0, 6, 7)], [math.inf], id="old capacity never passed: headroom"),
    pytest.param([Patch(10.0, 2, 3), Patch(20.0, 3, 2), UP_2_3], [math.inf, 16.0], id="not past a scale-down"),
    pytest.param([Patch(30.0, 0, 1)], [0.0 - 30.0], id="beyond from the start"),
]


@pytest.mark.parametrize(("patches", "expected"), LEADS)
def test_the_lead_is_the_time_until_demand_passes_the_old_capacity(patches: list[Patch], expected: list[float]) -> None:
    assert [lead.seconds for lead in leads(patches, TIMES, RAMP, 100.0)] == expected


def lead(seconds: float, at: float = 30.0) -> Lead:
    return Lead(Patch(at, 2, 3), 200.0, None if math.isinf(seconds) else at + seconds)


AHEAD: list[Any] = [
    pytest.param([lead(16.0)], [46.0], (0.0, 30.0), "", id="kept"),
    pytest.param(
        [lead(16.0), lead(math.inf)], [46.0], (2.0, 30.0), "", id="headroom proves nothing and breaks nothing"
    ),
    pytest.param([lead(9.9)], [39.9], (0.0, 30.0), "less than the 10 s a pod needs", id="too late"),
    pytest.param([lead(16.0)], [46.0, 166.0], (0.0, 30.0), "1 of 2 rises", id="one rise was missed"),
    pytest.param([], [], (0.0, 30.0), "never rose", id="no rise"),
    pytest.param([lead(16.0)], [46.0], (0.0, 3.0), "only 3 s", id="the twin did not suffer"),
    pytest.param([lead(16.0)], [46.0], (30.0, 30.0), "no less than without", id="no better than the twin"),
]


@pytest.mark.parametrize(("following", "risen_at", "violated", "broken"), AHEAD)
def test_replicas_come_ahead_of_demand(
    following: list[Lead], risen_at: list[float], violated: tuple[float, float], broken: str
) -> None:
    promise = ahead_of_demand(following, [lead(-8.0)], risen_at, 10.0, violated)
    assert promise.kept == (broken == "")
    assert broken in " ".join(promise.broken)


TRIAL = Trial(
    name="payments-1",
    trigger="Forecast",
    phase="Succeeded",
    change="cpu 500m→650m",
    reason="more is foreseen",
    applied_at=40.0,
    validate_from=60.0,
    interval_seconds=4.0,
    planned=5,
    effect_percent="-60.0",
    lower_percent="-70.0",
    upper_percent="-50.0",
    message="better",
    measured_at=(60.0, 64.0, 68.0, 72.0, 76.0),
    worst_seconds=0.2,
)
WORSE, BETTER = RawMeans((100.0, 300.0), (0.07, 0.10)), RawMeans((300.0, 90.0), (0.20, 0.13))


def test_raw_means_are_over_equally_long_times_before_and_after() -> None:
    track = Track(TIMES, RAMP, np.where(TIMES < 50, 0.1, 0.3), np.full(101, 4.0), np.full(101, 0.5))
    raw = raw_means(track, TRIAL)
    assert raw.p99_seconds == pytest.approx((0.1, 0.3))
    assert raw.load == pytest.approx((100.0, 500.0)), "20 to 40 s, and 60 to 76 s"
    assert raw.change == pytest.approx(2.0)


def test_seconds_beyond_the_threshold_are_counted_in_a_stretch() -> None:
    track = Track(TIMES, RAMP, np.where(TIMES < 50, 0.1, 0.3), TIMES, TIMES)
    assert violated_seconds(track, 0.25) == 51
    assert violated_seconds(track, 0.25, 40.0, 59.0) == 10


KEPT: list[Any] = [
    pytest.param(TRIAL, WORSE, "b", "", id="kept"),
    pytest.param(replace(TRIAL, phase="RolledBack"), WORSE, "b", "ended RolledBack", id="undone"),
    pytest.param(replace(TRIAL, trigger="Manual"), WORSE, "b", "triggered by Manual", id="a person's"),
    pytest.param(TRIAL, WORSE, "a", "what it was before", id="nothing changed"),
    pytest.param(
        TRIAL, RawMeans((100.0, 300.0), (0.1, 0.1)), "b", "alone would have judged", id="raw means would have kept it"
    ),
    pytest.param(TRIAL, RawMeans((300.0, 100.0), (0.1, 0.2)), "b", "did not rise", id="load fell"),
    pytest.param(None, None, "b", "no run", id="no run"),
]


@pytest.mark.parametrize(("trial", "raw", "spec_after", "broken"), KEPT)
def test_a_good_change_is_kept(trial: Trial | None, raw: RawMeans | None, spec_after: str, broken: str) -> None:
    promise = good_kept(trial, raw, "a", spec_after)
    assert promise.kept == (broken == "")
    assert broken in " ".join(promise.broken)


BAD = replace(TRIAL, name="search-1", trigger="Cost", phase="RolledBack", restored=True, effect_percent="80.0")
IMPOSSIBLE = replace(
    BAD,
    name="billing-larger",
    trigger="Manual",
    message="the change did not reach its pods: FailedCreate: forbidden: maximum cpu usage per Container is 4",
    validate_from=math.nan,
    measured_at=(),
    undone_at=52.0,
)
UNDONE: list[Any] = [
    pytest.param(BAD, BETTER, "a", "", id="undone"),
    pytest.param(replace(BAD, phase="Succeeded"), BETTER, "a", "ended Succeeded", id="kept"),
    pytest.param(replace(BAD, trigger="Forecast"), BETTER, "a", "triggered by Forecast", id="not to save"),
    pytest.param(BAD, BETTER, "b", "not what it was", id="not restored"),
    pytest.param(
        BAD, RawMeans((300.0, 90.0), (0.1, 0.2)), "a", "alone would have judged", id="raw means would have undone it"
    ),
    pytest.param(BAD, RawMeans((300.0, 290.0), (0.2, 0.1)), "a", "did not fall", id="load stayed"),
]


@pytest.mark.parametrize(("trial", "raw", "spec_after", "broken"), UNDONE)
def test_a_bad_change_is_undone(trial: Trial, raw: RawMeans, spec_after: str, broken: str) -> None:
    promise = bad_undone(trial, raw, "a", spec_after, 0.25)
    assert promise.kept == (broken == "")
    assert broken in " ".join(promise.broken)


def test_that_a_threshold_would_not_have_told_is_said_only_where_it_is_so() -> None:
    assert "no measurement beyond 250 ms" in " ".join(bad_undone(BAD, BETTER, "a", "a", 0.25).evidence)
    broken_threshold = replace(BAD, worst_seconds=0.3)
    assert "no measurement beyond" not in " ".join(bad_undone(broken_threshold, BETTER, "a", "a", 0.25).evidence)


KILLING = Killing(
    killed_pid=1,
    killed_at=61.0,
    exit_signal=9,
    restarted_pid=2,
    restarted_at=70.0,
    spec_before="a",
    spec_tried="b",
    spec_after="a",
    measurements_before=1,
    phase_at_kill="Validating",
)
SURVIVED: list[Any] = [
    pytest.param(BAD, KILLING, "", id="kept"),
    pytest.param(replace(BAD, phase="Superseded"), KILLING, "ended Superseded", id="another end"),
    pytest.param(BAD, replace(KILLING, spec_after="c"), "not what it was", id="not exactly"),
    pytest.param(BAD, replace(KILLING, spec_tried="a"), "never on the Deployment", id="never applied"),
    pytest.param(BAD, replace(KILLING, exit_signal=15), "signal 15", id="it could say goodbye"),
    pytest.param(BAD, replace(KILLING, measurements_before=0), "0 measurements", id="not in the middle"),
    pytest.param(BAD, replace(KILLING, restarted_at=62.0), "no measurement fell", id="nothing was missed"),
    pytest.param(
        replace(BAD, measured_at=(60.0, 65.5)), KILLING, "not at the times fixed", id="measured at other times"
    ),
    pytest.param(None, None, "never being validated", id="not played"),
]


@pytest.mark.parametrize(("trial", "killing", "broken"), SURVIVED)
def test_a_planted_change_is_rolled_back_through_a_kill(
    trial: Trial | None, killing: Killing | None, broken: str
) -> None:
    promise = survived(trial, killing)
    assert promise.kept == (broken == "")
    assert broken in " ".join(promise.broken)


UNSAID = replace(IMPOSSIBLE, message="too slow")


@pytest.mark.parametrize(
    ("trial", "spec_after", "broken"),
    [
        pytest.param(IMPOSSIBLE, "a", "", id="undone"),
        pytest.param(None, "a", "never written", id="not played"),
        pytest.param(replace(IMPOSSIBLE, phase="Succeeded"), "a", "ended Succeeded", id="kept"),
        pytest.param(UNSAID, "a", "does not say why: too slow", id="without the reason"),
        pytest.param(replace(IMPOSSIBLE, measured_at=(60.0,)), "a", "it was measured", id="measured"),
        pytest.param(replace(IMPOSSIBLE, validate_from=60.0), "a", "it was measured", id="called complete"),
        pytest.param(IMPOSSIBLE, "b", "not what it was", id="another spec"),
    ],
)
def test_a_change_that_cannot_roll_out_is_undone(trial: Trial | None, spec_after: str, broken: str) -> None:
    track = Track(TIMES, RAMP, np.full(101, 0.1), np.where(TIMES == 45, 3.0, 4.0), np.full(101, 0.5))
    promise = impossible_undone(trial, track, 4, "a", spec_after)
    assert promise.kept == (broken == "")
    assert broken in " ".join(promise.broken)
    assert trial is None or "undone after 12 s, with 3 of 4 pods or more ready" in promise.evidence
