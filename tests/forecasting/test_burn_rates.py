"""Error budgets: arithmetic by hand, the workbook's alerts, and what short or missing data must not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.domain.objectives import Objective, Slo
from trimtab.domain.series import FloatArray, Series
from trimtab.forecasting.burn_rates import (
    BudgetAlert,
    BudgetLedger,
    ErrorBudget,
    NoBudget,
    budget,
    record,
    rules,
)

HOUR = 60
"""Samples of a minute."""


def objective(target: str = "99.9", window: str = "720h", **changed: Any) -> Objective:
    given: dict[str, Any] = {
        "name": "latency",
        "query": "up",
        "max": "250m",
        "slo": {"targetPercent": target, "window": window},
    }
    return Objective.model_validate({**given, **changed})


def minutes(bad: FloatArray | list[int], start: float = 60.0) -> Series:
    """A value of 0.5 where bad, else 0.1; a minute apart, the first one at the end of the first minute."""
    return Series(start, 60.0, np.where(np.asarray(bad, dtype=bool), 0.5, 0.1))


def ledger_of(asked: Objective, series: Series, idle: FloatArray | None = None) -> BudgetLedger:
    found = record(None, asked, series, np.zeros(len(series), bool) if idle is None else idle > 0, series.end)
    assert found is not None
    return found


def told(asked: Objective, series: Series) -> ErrorBudget:
    found = budget(ledger_of(asked, series), asked, series.end)
    assert isinstance(found, ErrorBudget)
    return found


def test_what_is_left_is_the_allowed_time_without_the_bad_time() -> None:
    """30 days at 99.9 % allow 43.2 minutes; 21.6 of them are half."""
    bad = np.zeros(48 * HOUR)
    bad[100:122] = 1
    found = told(objective(), minutes(bad))
    assert found.remaining_percent == pytest.approx(100 - 100 * 22 / 43.2)
    assert found.covered_percent == round(100 * 48 / 720)


def test_the_burn_rate_is_the_share_of_bad_time_over_the_share_allowed() -> None:
    """Six bad minutes in the last hour are 10 %, a hundred times the 0.1 % that is allowed."""
    bad = np.zeros(8 * HOUR)
    bad[-6:] = 1
    rates = {round(one.window_seconds): one.rate for one in told(objective(), minutes(bad)).burn_rates}
    assert rates[300] == pytest.approx(1000)
    assert rates[1800] == pytest.approx(200)
    assert rates[3600] == pytest.approx(100)
    assert rates[21600] == pytest.approx(6 / 360 / 0.001)


@pytest.mark.parametrize(
    ("target", "window", "first"),
    [
        ("99.9", "720h", (14.4, 3600.0, 300.0)),
        ("99.9", "2160h", (14.4, 3 * 3600.0, 900.0)),
        ("99.9", "168h", (14.4, 840.0, 180.0)),
        ("95", "720h", (14.4, 3600.0, 300.0)),
        ("90", "720h", (9.0, 5760.0, 480.0)),
        ("50", "720h", (1.8, 28_800.0, 2400.0)),
    ],
    ids=["30 days", "90 days", "7 days", "outage burns 20", "outage burns 10", "outage burns 2"],
)
def test_rules_keep_the_share_of_the_budget_that_they_stand_for(
    target: str, window: str, first: tuple[float, float, float]
) -> None:
    slo = Slo.model_validate({"targetPercent": target, "window": window})
    page, _, ticket = rules(slo, 60.0)
    assert (page.factor, page.long_seconds, page.short_seconds) == pytest.approx(first)
    assert page.factor * page.long_seconds == pytest.approx(0.02 * slo.window)
    assert ticket.factor * ticket.long_seconds == pytest.approx(0.10 * slo.window)
    assert page.factor <= 0.9 / (1 - slo.target_percent / 100) + 1e-9, "an outage must reach it"


def share_bad(hours: int, every: int) -> FloatArray:
    bad = np.zeros(hours * HOUR)
    bad[::every] = 1
    return bad[::-1]


@pytest.mark.parametrize(
    ("bad", "alert"),
    [
        (np.zeros(96 * HOUR), BudgetAlert.NONE),
        (np.r_[np.zeros(95 * HOUR), np.ones(HOUR)], BudgetAlert.PAGE),
        (np.r_[np.zeros(94 * HOUR), np.ones(HOUR), np.zeros(HOUR)], BudgetAlert.TICKET),
        (np.r_[np.zeros(90 * HOUR), share_bad(6, 12)], BudgetAlert.PAGE),
        (share_bad(96, 80), BudgetAlert.TICKET),
        (share_bad(96, 150), BudgetAlert.NONE),
        (np.r_[np.zeros(96 * HOUR - 1), 1.0], BudgetAlert.NONE),
        (np.r_[share_bad(96, 80)[: 88 * HOUR], np.zeros(8 * HOUR)], BudgetAlert.NONE),
    ],
    ids=[
        "all good",
        "an hour of outage",
        "an outage that is over leaves a ticket",
        "six hours at 8.3 times",
        "three days at 1.25 times",
        "three days at 0.67 times",
        "one bad sample",
        "a slow burn that is over",
    ],
)
def test_alerts(bad: FloatArray, alert: BudgetAlert) -> None:
    assert told(objective("99"), minutes(bad)).alert is alert


@pytest.mark.parametrize("samples", [1, 2, 5, 15, 29])
def test_short_data_never_page(samples: int) -> None:
    assert told(objective(), minutes(np.ones(samples))).alert is BudgetAlert.NONE


def test_half_an_hour_of_outage_pages_although_nothing_was_seen_before() -> None:
    assert told(objective(), minutes(np.ones(31))).alert is BudgetAlert.PAGE


def test_missing_samples_are_neither_good_nor_bad() -> None:
    bad = np.ones(2 * HOUR)
    series = minutes(bad)
    series.values[: 2 * HOUR - 10] = np.nan
    found = told(objective(), series)
    assert found.alert is BudgetAlert.NONE
    assert found.covered_percent == 0
    assert found.remaining_percent == pytest.approx(100 - 100 * 10 / 43.2)


def test_time_without_traffic_is_good() -> None:
    asked, series = objective(), minutes(np.zeros(72 * HOUR))
    series.values[:] = np.nan
    found = budget(ledger_of(asked, series, np.ones(len(series))), asked, series.end)
    assert isinstance(found, ErrorBudget)
    assert (found.remaining_percent, found.covered_percent) == (100.0, 10)


def test_nothing_seen_is_no_budget() -> None:
    asked, series = objective(), Series(60.0, 60.0, np.full(30, np.nan))
    assert isinstance(budget(ledger_of(asked, series), asked, series.end), NoBudget)
    assert record(None, objective(slo=None), series, np.zeros(30, bool), 0.0) is None


def test_a_late_sample_is_waited_for_and_counted_once() -> None:
    asked, full = objective(), minutes(np.ones(90))
    late = Series(full.start, 60.0, full.values.copy())
    late.values[-2:] = np.nan
    first = record(None, asked, late, np.zeros(90, bool), full.end)
    then = record(first, asked, full, np.zeros(90, bool), full.end)
    again = record(then, asked, full, np.zeros(90, bool), full.end + 30)
    assert again is not None
    assert again.over(full.end, 7200.0) == (0.0, 90 * 60.0)


def test_another_threshold_begins_anew() -> None:
    asked, series = objective(), minutes(np.ones(90))
    other = objective(max="600m")
    found = record(ledger_of(asked, series), other, series, np.zeros(90, bool), series.end)
    assert found is not None
    assert found.over(series.end, 5400.0) == (5400.0, 0.0)


def test_time_left_at_the_present_burn() -> None:
    """A quarter of the last hour is bad: 43.2 - 15 minutes are left, at 15 minutes an hour."""
    bad = np.zeros(12 * HOUR)
    bad[-HOUR::4] = 1
    found = told(objective(), minutes(bad))
    assert found.seconds_left == pytest.approx((43.2 - 15) / 15 * 3600, rel=1e-3)
    assert found.spent_soon_percent > 95
    assert told(objective(), minutes(np.zeros(12 * HOUR))).seconds_left is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.1, 0.5, np.nan, np.inf, -1.0]), min_size=2, max_size=120),
    st.lists(st.integers(1, 119), max_size=4),
)
def test_new_samples_bit_by_bit_are_the_same_as_all_at_once(values: list[float], cuts: list[int]) -> None:
    asked = objective(window="1h")
    series = Series(60.0, 60.0, np.array([*values, 0.1]))
    series.values[np.isinf(series.values)] = np.nan
    whole = ledger_of(asked, series)
    ledger: BudgetLedger | None = None
    for cut in [*sorted(cut for cut in cuts if cut < len(series)), len(series)]:
        part = Series(60.0, 60.0, series.values[:cut])
        ledger = record(ledger, asked, part, np.zeros(cut, bool), part.end)
    assert ledger is not None
    assert ledger.until == whole.until
    np.testing.assert_allclose(ledger.coarse.good, whole.coarse.good)
    np.testing.assert_allclose(ledger.fine.bad, whole.fine.bad)


def test_what_is_over_is_not_foretold_to_go_on() -> None:
    bad = np.zeros(12 * HOUR)
    bad[-40:-10] = 1
    assert told(objective(), minutes(bad)).spent_soon_percent == 0


def test_the_ledger_does_not_grow() -> None:
    asked = objective(window="2160h")
    found = ledger_of(asked, Series(60.0, 3600.0, np.full(24 * 120, 0.1)))
    assert found.coarse.good.nbytes + found.fine.good.nbytes < 10_000
    assert found.over(found.until, 2160 * 3600.0)[0] == pytest.approx(2160 * 3600.0)
