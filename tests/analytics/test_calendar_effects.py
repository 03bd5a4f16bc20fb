"""Calendar effects: found where people make them, and not in noise of any colour."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.analytics.noise import autoregressive
from trimtab.analytics.calendar_effects import CalendarEffect, CalendarKind, calendar_effects
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.time_zones import zone_of

MONDAY = 4 * 86_400.0 + 7 * 86_400.0 * 2_900


def effects(values: FloatArray, start: float = MONDAY) -> dict[CalendarKind, CalendarEffect]:
    return {one.kind: one for one in calendar_effects(Series(start, 3600.0, values))}


def hours(days: int) -> tuple[FloatArray, FloatArray]:
    """(hour of the day, weekday) of each hour from Monday on."""
    index = np.arange(days * 24.0)
    return index % 24, index // 24 % 7


def test_the_hour() -> None:
    hour, _ = hours(10)
    found = effects(100 + 30 * np.cos(2 * np.pi * (hour - 14) / 24) + np.random.default_rng(0).normal(0, 5, 240))
    assert set(found) == {CalendarKind.HOUR_OF_DAY}
    one = found[CalendarKind.HOUR_OF_DAY]
    assert one.highest in {"13:00", "14:00", "15:00"}
    assert one.effect_percent == pytest.approx(30.0, abs=6.0)
    assert (len(one.table), one.support) == (24, 10)


@pytest.mark.parametrize("weeks", [2, 3, 8])
def test_the_weekend(weeks: int) -> None:
    hour, weekday = hours(7 * weeks)
    wave = 100 + 30 * np.cos(2 * np.pi * hour / 24) + np.random.default_rng(1).normal(0, 4, hour.size)
    found = effects(wave - 40.0 * (weekday >= 5))
    assert found[CalendarKind.WEEKEND].effect_percent == pytest.approx(-40.0, abs=3.0)
    assert found[CalendarKind.WEEKEND].support == weeks
    assert CalendarKind.DAY_OF_WEEK not in found


def test_the_weekday() -> None:
    _, weekday = hours(56)
    found = effects(100 + 25.0 * (weekday == 1) + np.random.default_rng(2).normal(0, 5, weekday.size))
    one = found[CalendarKind.DAY_OF_WEEK]
    assert one.highest == "Tue"
    assert one.effect_percent == pytest.approx(25 * 6 / 7 * 100 / (100 + 25 / 7), abs=3.0)


def test_the_first_of_the_month() -> None:
    start = datetime(2025, 1, 15, tzinfo=UTC).timestamp()
    times = start + np.arange(150 * 24) * 3600.0
    first = np.array([datetime.fromtimestamp(time, UTC).day == 1 for time in times])
    values = 100 + 30.0 * first + np.random.default_rng(3).normal(0, 5, times.size)
    one = effects(values, start)[CalendarKind.MONTH_START]
    assert one.effect_percent == pytest.approx(30.0, abs=3.0)
    assert one.support == 5


def test_a_rising_series_has_no_weekdays() -> None:
    assert effects(100 + 0.2 * np.arange(56 * 24.0) + np.random.default_rng(4).normal(0, 5, 56 * 24)) == {}


@pytest.mark.parametrize("persistence", [0.0, 0.9, 0.99])
def test_noise_has_none(persistence: float) -> None:
    """40 seeded months of hours; each of three tests errs at 2 to 3 %."""
    found = [effects(100 + autoregressive(28 * 24, persistence, 10.0, seed)) for seed in range(40)]
    assert sum(bool(one) for one in found) <= 5


def test_hours_are_those_of_the_zone() -> None:
    hour, _ = hours(10)
    series = Series(MONDAY, 3600.0, 100 + 50.0 * (hour == 6))
    (utc,), (berlin,) = calendar_effects(series), calendar_effects(series, zone_of("Europe/Berlin"))
    assert (utc.highest, berlin.highest) == ("06:00", "08:00")


@pytest.mark.parametrize(
    "values",
    [np.empty(0), np.zeros(400), np.full(400, np.nan), np.full(400, 5.0), np.arange(30.0)],
    ids=["empty", "zero", "missing", "constant", "a day"],
)
def test_nothing_to_tell(values: FloatArray) -> None:
    assert effects(values) == {}


def test_gaps() -> None:
    hour, weekday = hours(35)
    values = 100 + 30 * np.cos(2 * np.pi * hour / 24) - 40.0 * (weekday >= 5)
    values[200:260] = np.nan
    assert set(effects(values)) == {CalendarKind.HOUR_OF_DAY, CalendarKind.WEEKEND}
