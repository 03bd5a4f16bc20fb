"""Error budgets: how much of the time that an objective may be beyond its threshold is left, and how fast it is spent.

A ledger counts good and bad seconds in buckets and takes each new sample once. Alerts are the multi-window burn rates
of Google's SRE workbook (2018, chapter 5, "Alerting on SLOs"): a long window tells that much was spent, a short one
that it is being spent still, and both must exceed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc

from trimtab.domain.objectives import Objective, Slo
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import format_duration, format_number

COARSE, FINE = 720, 360
"""Buckets of either width: an hour and a minute for a window of 30 days."""
LATE_STEPS, LATE_SECONDS = 3, 120.0
"""A sample that is missing may still come for so long."""
FEWEST_LONG, FEWEST_SHORT = 3, 2
"""Bad samples that an alert needs in its windows: one wild sample pages nobody."""
LEAST_KNOWN = 0.5
"""Share of a window that must be known."""
REACHABLE = 0.9
"""Of the burn rate of a complete outage: a factor beyond this is taken as this."""
SHORT_SHARE = 1.0 / 12.0


class BudgetAlert(StrEnum):
    """What the burn rates call for."""

    NONE = "None"
    TICKET = "Ticket"
    PAGE = "Page"


@dataclass(frozen=True, slots=True)
class Rule:
    """Alert when the budget burns at ``factor`` over both windows."""

    alert: BudgetAlert
    factor: float
    long_seconds: float
    short_seconds: float


_WORKBOOK: Final = ((BudgetAlert.PAGE, 14.4, 0.02), (BudgetAlert.PAGE, 6.0, 0.05), (BudgetAlert.TICKET, 1.0, 0.10))
"""Alert, factor, and the share of the budget that is spent in the long window at that factor."""


def rules(slo: Slo, step_seconds: float) -> tuple[Rule, ...]:
    """The workbook's three rules for this SLO.

    The share of the budget that a rule stands for is kept, so its windows scale with the SLO's. A factor that not even
    a complete outage reaches (14.4 with a target below 93 %) becomes nine tenths of what an outage burns, over a window
    that spends the same share. No short window is below three steps, no long one below twelve.

    >>> [(r.factor, r.long_seconds / 3600, r.short_seconds / 60) for r in rules(Slo(target_percent="99.9"), 60.0)]
    [(14.4, 1.0, 5.0), (6.0, 6.0, 30.0), (1.0, 72.0, 360.0)]
    """
    outage = 1.0 / _allowed(slo)
    made = []
    for alert, factor, share in _WORKBOOK:
        reached = min(factor, REACHABLE * outage)
        long_seconds = round(share * slo.window / reached, 3)
        short_seconds = max(long_seconds * SHORT_SHARE, 3.0 * step_seconds)
        made.append(Rule(alert, reached, max(long_seconds, 12.0 * step_seconds), short_seconds))
    return tuple(made)


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Seconds that were good and bad, by bucket; bucket j counts samples in ((j - 1) width, j width]."""

    width_seconds: float
    newest: int
    good: FloatArray
    """Shape (b,), oldest first; the last one is bucket ``newest``."""
    bad: FloatArray

    @staticmethod
    def empty(width_seconds: float, count: int) -> Buckets:
        """Buckets without samples."""
        return Buckets(width_seconds, 0, np.zeros(count), np.zeros(count))

    def add(self, times: FloatArray, good: FloatArray, bad: FloatArray) -> Buckets:
        """The buckets with seconds that were good and bad at ``times``, shape (n,) each, in order, n at least 1."""
        numbers = np.ceil(times / self.width_seconds - 1e-6).astype(np.int64)
        newest, count = max(int(numbers[-1]), self.newest), self.good.size
        kept = max(count - (newest - self.newest), 0)
        place = numbers - newest + count - 1
        inside = place >= 0
        sums = []
        for old, new in ((self.good, good), (self.bad, bad)):
            moved = np.zeros(count)
            moved[:kept] = old[count - kept :]
            sums.append(moved + np.bincount(place[inside], weights=new[inside], minlength=count))
        return Buckets(self.width_seconds, newest, *sums)

    def within(self, end: float, seconds: float) -> tuple[float, float]:
        """(good, bad) seconds in (end - seconds, end]; a bucket that is only partly inside counts by that part."""
        edges = (self.newest - np.arange(self.good.size)[::-1]) * self.width_seconds
        share = np.clip((edges - (end - seconds)) / self.width_seconds, 0.0, 1.0)
        return float(np.sum(share * self.good)), float(np.sum(share * self.bad))


@dataclass(frozen=True, slots=True, eq=False)
class BudgetLedger:
    """Good and bad time of one objective; two rings of 720 and 360 buckets, below 20 kB."""

    threshold: float
    window_seconds: float
    step_seconds: float
    until: float
    """Time of the newest sample that is in it."""
    since: float
    """Time of the first one."""
    coarse: Buckets
    fine: Buckets

    def over(self, end: float, seconds: float) -> tuple[float, float]:
        """(good, bad) seconds in (end - seconds, end]."""
        ring = self.fine if seconds <= self.fine.width_seconds * FINE else self.coarse
        return ring.within(end, seconds)


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast a budget was spent over one window; 1 spends it in exactly the SLO's window."""

    window_seconds: float
    rate: float
    known_percent: int
    """Share of the window that is known."""


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What is left of an objective's error budget."""

    objective: str
    target_percent: float
    window_seconds: float
    remaining_percent: float
    """Time without data counts as good; negative when overspent."""
    covered_percent: int
    """Share of the SLO's window that is known."""
    burn_rates: tuple[BurnRate, ...]
    """By window, the shortest first."""
    alert: BudgetAlert
    message: str
    seconds_left: float | None
    """Until the budget is spent at the burn rate of the first rule's long window; None when it is not being spent, or
    too little is known."""
    spent_soon_percent: int
    """Probability that it is spent within ``soon_seconds``, were the rate of the last window to stay."""
    soon_seconds: float


@dataclass(frozen=True, slots=True)
class NoBudget:
    """Why there is no error budget to tell of."""

    reason: str


def record(
    ledger: BudgetLedger | None, objective: Objective, series: Series, idle: NDArray[np.bool_], now: float
) -> BudgetLedger | None:
    """The ledger with the samples of ``series`` that are new and not after ``now``; None without ``objective.slo``.

    ``idle``, shape (n,), tells where no traffic was seen and no value is expected: that time counts as good. Other
    samples without a value are unknown. The newest ones are waited for, as a scrape may come late. A ledger of another
    threshold, window or step is begun anew.
    """
    slo = objective.slo
    if slo is None:
        return None
    step = series.step_seconds
    same = ledger is not None and (ledger.threshold, ledger.window_seconds, ledger.step_seconds) == (
        _signed(objective),
        slo.window,
        step,
    )
    if ledger is None or not same or ledger.until > now + step:
        ledger = BudgetLedger(
            threshold=_signed(objective),
            window_seconds=slo.window,
            step_seconds=step,
            until=-math.inf,
            since=math.inf,
            coarse=Buckets.empty(max(slo.window / COARSE, step), COARSE),
            fine=Buckets.empty(max(slo.window / COARSE / 60.0, step), FINE),
        )
    times = series.times
    chosen = (times > ledger.until + 0.5 * step) & (times <= now + 0.5 * step)
    finite = np.isfinite(series.values)
    settled = np.flatnonzero(chosen & (finite | idle))
    overdue = np.flatnonzero(chosen & (times <= now - max(LATE_STEPS * step, LATE_SECONDS)))
    last = max(int(settled[-1]) if settled.size else -1, int(overdue[-1]) if overdue.size else -1)
    if last < 0:
        return ledger
    chosen[last + 1 :] = False
    beyond = objective.beyond(series.values)
    bad = (finite & beyond)[chosen]
    good = ((finite & ~beyond) | (~finite & idle))[chosen]
    new = times[chosen]
    good_seconds, bad_seconds = (step * mask.astype(np.float64) for mask in (good, bad))
    known = new[good | bad]
    return replace(
        ledger,
        until=float(new[-1]),
        since=min(ledger.since, float(known[0]) if known.size else math.inf),
        coarse=ledger.coarse.add(new, good_seconds, bad_seconds),
        fine=ledger.fine.add(new, good_seconds, bad_seconds),
    )


def budget(ledger: BudgetLedger, objective: Objective, now: float) -> ErrorBudget | NoBudget:
    """What is left, how fast it goes, and what that calls for. Raises ValueError for an objective without an SLO."""
    slo = objective.slo
    if slo is None:
        raise ValueError(f"{objective.name} has no SLO")
    if not math.isfinite(ledger.since):
        return NoBudget(f"{objective.name}: no sample was seen yet that counts for its error budget")
    fresh = now - ledger.until <= max(LATE_STEPS * ledger.step_seconds, LATE_SECONDS)
    end, allowed = (ledger.until if fresh else now), _allowed(slo)
    wanted = rules(slo, ledger.step_seconds)
    windows = sorted({seconds for rule in wanted for seconds in (rule.long_seconds, rule.short_seconds)})
    rates = {seconds: _burn(ledger, end, seconds, allowed) for seconds in windows}
    good, bad = ledger.over(end, slo.window)
    left = slo.window * allowed - bad
    fired = next((rule for rule in wanted if _fires(ledger, rule, rates, end)), None)
    remaining = 100.0 * left / (slo.window * allowed)
    covered = min(100, round(100.0 * (good + bad) / slo.window))
    first = rates[wanted[0].long_seconds]
    usable = first.known_percent >= 100 * LEAST_KNOWN and first.rate > 0 and left > 0
    soon = slo.window / 30.0
    return ErrorBudget(
        objective=objective.name,
        target_percent=slo.target_percent,
        window_seconds=slo.window,
        remaining_percent=remaining,
        covered_percent=covered,
        burn_rates=tuple(rates[seconds] for seconds in windows),
        alert=fired.alert if fired else BudgetAlert.NONE,
        message=_message(slo, remaining, covered, fired, rates, first),
        seconds_left=left / (first.rate * allowed) if usable else None,
        spent_soon_percent=_spent_soon(ledger, end, wanted[0], left / soon) if usable else 0,
        soon_seconds=soon,
    )


def _allowed(slo: Slo) -> float:
    return 1.0 - slo.target_percent / 100.0


def _signed(objective: Objective) -> float:
    """The threshold, negative for a minimum: enough to tell one question from another."""
    return objective.threshold if objective.max is not None else -objective.threshold


def _burn(ledger: BudgetLedger, end: float, seconds: float, allowed: float) -> BurnRate:
    good, bad = ledger.over(end, seconds)
    known = good + bad
    rate = bad / known / allowed if known > 0 else 0.0
    return BurnRate(seconds, rate, min(100, round(100.0 * known / seconds)))


def _fires(ledger: BudgetLedger, rule: Rule, rates: dict[float, BurnRate], end: float) -> bool:
    """Whether both windows burn at the rule's factor, are known well enough, and not by a sample or two."""
    for seconds, fewest in ((rule.long_seconds, FEWEST_LONG), (rule.short_seconds, FEWEST_SHORT)):
        found = rates[seconds]
        if found.known_percent < 100 * LEAST_KNOWN or found.rate < rule.factor - 1e-9:
            return False
        if ledger.over(end, seconds)[1] < (fewest - 0.5) * ledger.step_seconds:
            return False
    return True


def _spent_soon(ledger: BudgetLedger, end: float, rule: Rule, needed: float) -> int:
    """Probability, in percent, that the true share of bad time exceeds ``needed``, were the long window's to stay.

    Beta posterior (Jeffreys' prior) over pieces of the length of the short window: bad minutes come in runs. None while
    the short window is better than that: then it is over.
    """
    good, bad = ledger.over(end, rule.short_seconds)
    if needed >= 1.0 or bad < needed * (good + bad) or bad <= 0:
        return 0
    good, bad = ledger.over(end, rule.long_seconds)
    pieces = rule.short_seconds
    return round(100.0 * float(betaincc(bad / pieces + 0.5, good / pieces + 0.5, max(needed, 0.0))))


def _message(
    slo: Slo, remaining: float, covered: int, fired: Rule | None, rates: dict[float, BurnRate], first: BurnRate
) -> str:
    """The figures in one or two sentences."""
    window = format_duration(slo.window)
    spent = f"{remaining:.0f} % of the error budget is left" if remaining >= 0 else f"overspent by {-remaining:.0f} %"
    text = f"{format_number(slo.target_percent, 5)} % over {window}: {spent}"
    if covered < 99:
        text += f"; data cover {covered} % of the window"
    if fired is not None:
        long, short = rates[fired.long_seconds], rates[fired.short_seconds]
        return text + (
            f"; it burns {format_number(long.rate, 2)} times too fast over {_span(long)} and"
            f" {format_number(short.rate, 2)} times over {_span(short)}"
        )
    return text + f"; burn rate {format_number(first.rate, 2)} over {_span(first)}"


def _span(rate: BurnRate) -> str:
    return format_duration(max(1.0, round(rate.window_seconds)))
