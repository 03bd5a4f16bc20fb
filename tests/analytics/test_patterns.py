"""Patterns: bursts, idle times and cold starts, found where they are and nowhere else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.noise import autoregressive
from trimtab.analytics.bursts import Bursts, bursts
from trimtab.analytics.cold_starts import cold_starts
from trimtab.analytics.idle_times import IdleTimes, idle_times
from trimtab.analytics.local_time import local_seconds, weekdays_text
from trimtab.analytics.no_pattern import NoPattern
from trimtab.analytics.patterns import find_patterns
from trimtab.analytics.seasonality import SeasonFound
from trimtab.domain.objectives import Objective
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.time_zones import zone_of

MONDAY = 4 * 86_400.0 + 7 * 86_400.0 * 2_900
"""A Monday midnight in the summer of 2025."""
STEP = 300.0
DAYS = 14
TIME = np.arange(DAYS * 288) * STEP
HOUR, WEEKDAY = TIME % 86_400 / 3600, TIME // 86_400 % 7
OFFICE = np.where((WEEKDAY < 5) & (HOUR >= 6) & (HOUR < 20), 100.0, 0.0)


def of(values: FloatArray) -> Series:
    return Series(MONDAY, STEP, values)


def wave(seed: int) -> FloatArray:
    return 100 + 40 * np.sin(2 * np.pi * TIME / 86_400) + autoregressive(TIME.size, 0.5, 4.0, seed)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param((0, 1, 2, 3, 4, 5, 6), "every day", id="each day"),
        pytest.param((0, 1, 2, 3, 4), "Mon–Fri", id="weekdays"),
        pytest.param((2,), "Wed", id="Wednesdays"),
    ],
)
def test_regular_bursts(days: tuple[int, ...], expected: str) -> None:
    rng = np.random.default_rng(1)
    time = np.arange(28 * 288) * STEP
    values = 100 + 40 * np.sin(2 * np.pi * time / 86_400) + rng.normal(0, 4, time.size)
    for day in range(28):
        if day % 7 in days:
            start = day * 288 + 9 * 12 + int(rng.integers(0, 3))
            values[start : start + 4] += 120.0
    found = bursts(Series(MONDAY, STEP, values))
    assert isinstance(found, Bursts)
    assert found.count == 4 * len(days)
    (regular,) = found.regular
    assert regular.text == f"{expected} at about 09:00"
    assert regular.share_percent == 100
    assert regular.duration_seconds == pytest.approx(1200.0, abs=300.0)
    assert found.height_percent == pytest.approx(100 * 120 / 128, abs=25)


def test_bursts_from_nothing() -> None:
    values = np.zeros(TIME.size)
    values[50::300] = 80.0
    found = bursts(of(values))
    assert isinstance(found, Bursts)
    assert "from next to nothing to 80 for 5m" in found.message


def test_bursts_at_any_time_have_no_hour() -> None:
    values = wave(2)
    for start in np.random.default_rng(3).choice(TIME.size - 5, 20, replace=False):
        values[start : start + 3] += 150.0
    found = bursts(of(values))
    assert isinstance(found, Bursts)
    assert 15 <= found.count <= 20
    assert found.regular == ()
    assert "at no particular time" in found.message


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(wave(1), id="a daily wave"),
        pytest.param(OFFICE + 5.0, id="office hours"),
        pytest.param(np.zeros(TIME.size), id="zero"),
        pytest.param(np.full(TIME.size, np.nan), id="missing"),
        pytest.param(np.full(TIME.size, 7.0), id="constant"),
        pytest.param(np.arange(20.0), id="short"),
    ],
)
def test_no_bursts(values: FloatArray) -> None:
    assert isinstance(bursts(of(values)), NoPattern)


def test_idle_nights_and_weekends() -> None:
    found = idle_times(of(OFFICE + np.random.default_rng(0).random(TIME.size)))
    assert isinstance(found, IdleTimes)
    assert [one.text for one in found.schedule] == ["Mon–Thu 20:00–06:00", "Fri 20:00 to Mon 06:00"]
    assert found.hours_per_week == 168 - 5 * 14
    assert found.share_percent == pytest.approx(100 * 98 / 168, abs=0.5)
    assert found.longest_seconds == pytest.approx(58 * 3600.0)
    assert found.days_seen == 14


def test_idle_hours_are_those_of_the_zone() -> None:
    found = idle_times(of(OFFICE), zone_of("Europe/Berlin"))
    assert isinstance(found, IdleTimes)
    assert [one.text for one in found.schedule] == ["Mon–Thu 22:00–08:00", "Fri 22:00 to Mon 08:00"]


def test_idle_at_random_is_no_schedule() -> None:
    rng = np.random.default_rng(5)
    busy = np.repeat(rng.random(DAYS * 12) < 0.6, 24)
    found = idle_times(of(np.where(busy, 80.0, 0.0)))
    assert isinstance(found, IdleTimes)
    assert 25 <= found.share_percent <= 55
    assert found.hours_per_week <= 4


def test_one_day_off_does_not_break_a_schedule() -> None:
    values = np.tile(OFFICE, 2)
    values[3 * 288 + 22 * 12 : 3 * 288 + 23 * 12] = 90.0
    found = idle_times(Series(MONDAY, STEP, values[: 24 * 288]))
    assert isinstance(found, IdleTimes)
    assert found.hours_per_week >= 94


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(wave(1), id="never idle"),
        pytest.param(np.zeros(TIME.size), id="always"),
        pytest.param(np.where(np.arange(TIME.size) % 50 == 0, 0.0, 50.0), id="single zeros"),
        pytest.param(np.full(TIME.size, np.nan), id="missing"),
        pytest.param(np.empty(0), id="empty"),
    ],
)
def test_no_idle_times(values: FloatArray) -> None:
    assert isinstance(idle_times(of(values)), NoPattern)


LATENCY = Objective.model_validate({"name": "latency", "query": "up", "max": "0.5"})
AVAILABILITY = Objective.model_validate({"name": "availability", "query": "up", "min": "0.99"})


def after_wakes(bad: float, samples: int, usual: float) -> FloatArray:
    values = np.where(OFFICE > 0, usual, np.nan)
    for start in np.flatnonzero((OFFICE[1:] > 0) & (OFFICE[:-1] == 0)) + 1:
        values[start : start + samples] = bad
    return values


def test_cold_starts() -> None:
    idle = idle_times(of(OFFICE))
    found = cold_starts(idle, [(LATENCY, of(after_wakes(0.8, 3, 0.1))), (AVAILABILITY, of(after_wakes(0.9, 2, 0.999)))])
    assert isinstance(found, tuple)
    slow, lossy = found
    assert (slow.objective, slow.cold, slow.violations) == ("latency", slow.wakes, slow.wakes)
    assert slow.wakes >= 9
    assert [slow.duration_seconds, slow.worst, slow.usual] == pytest.approx([900.0, 0.8, 0.1])
    assert lossy.duration_seconds == 600.0


def test_replicas_from_none_wake_as_well() -> None:
    replicas = np.full(600, 2.0)
    latency = np.full(600, 0.1)
    for start in (100, 300, 500):
        replicas[start - 20 : start] = 0.0
        latency[start : start + 4] = 0.4
    found = cold_starts(NoPattern(""), [(LATENCY, of(latency))], of(replicas))
    assert isinstance(found, tuple)
    assert (found[0].wakes, found[0].duration_seconds, found[0].violations) == (3, 1200.0, 0)


def test_no_cold_starts() -> None:
    idle = idle_times(of(OFFICE))
    assert isinstance(cold_starts(idle, [(LATENCY, of(after_wakes(0.1, 3, 0.1)))]), NoPattern)
    assert isinstance(cold_starts(idle, []), NoPattern)
    assert isinstance(cold_starts(NoPattern(""), [(LATENCY, of(wave(1)))]), NoPattern)
    assert isinstance(cold_starts(idle, [(LATENCY, of(np.full(TIME.size, np.nan)))]), NoPattern)


def test_everything_in_sentences() -> None:
    values = OFFICE + np.random.default_rng(0).random(TIME.size)
    found = find_patterns(of(values), [SeasonFound(86_400.0, 81)], objectives=[(LATENCY, of(after_wakes(0.8, 3, 0.1)))])
    assert found.told[0][1] == "Repeats every 24h, which explains 81 % of its movement."
    assert [text.split()[0] for _, text in found.told] == ["Repeats", "Idle", "After", "The", "Weekends"]
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(ValueError, match="no time zone"):
        find_patterns(of(values), time_zone="Mars/Olympus")


def test_daylight_saving() -> None:
    """Europe left summer time on 26 October 2025 at 01:00 UTC."""
    change = 1_761_440_400.0
    times = change + np.arange(-48.0, 48.0) * 1800.0
    offsets = local_seconds(times, zone_of("Europe/Berlin")) - times
    assert offsets.tolist() == [7200.0] * 48 + [3600.0] * 48


@pytest.mark.parametrize(("days", "text"), [((0,), "Mon"), ((0, 1), "Mon and Tue"), ((0, 1, 2, 5), "Mon–Wed and Sat")])
def test_weekdays(days: tuple[int, ...], text: str) -> None:
    assert weekdays_text(days) == text


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(-1e9, 1e12), st.just(float("nan")), st.just(float("inf"))), max_size=150),
    step=st.sampled_from([1.0, 300.0, 3600.0, 86_400.0]),
)
def test_anything_goes(values: list[float], step: float) -> None:
    series = Series(MONDAY, step, np.array(values, dtype=np.float64))
    found = find_patterns(series, objectives=[(LATENCY, series)], replicas=series, time_zone="Asia/Kolkata")
    assert all(message.endswith(".") and "nan" not in message for _, message in found.told)
