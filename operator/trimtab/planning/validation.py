"""Verdict of a trial: from measurements at times fixed beforehand, for the load that came. Pure.

Load moves between before and after, so raw means judge the weather. What is judged is how far measurements lie from
what the performance curve expects at the load, replicas and size that each was taken at (regression adjustment with a
baseline learned only before the change). Same samples, same verdict.

Samples
    A value beyond the threshold by more than the tolerance fails its sample, unless the curve expects the *former*
    operating point to be beyond it as well at that load: then load is to blame and undoing would not help. The effect
    below still sees that sample. More failed samples than ``failureLimit`` fail the trial at any look (a count only
    grows, so looking early does not change the verdict), one of a critical objective does. Replicas that following had
    to add for objectives count as failed samples. No value without traffic is met or withheld by ``onNoTraffic``,
    where the forecast made before the change does not expect traffic. Any other sample without a value is an error, and
    so is one that was not taken of ready pods, as many as the change asks for. More than ``consecutiveErrorLimit`` in a
    row leave the objective Inconclusive, as do fewer than half of the samples usable. (Argo Rollouts' semantics of
    limits.)

Effect
    Mean log residual after the change, less what was off before (see :mod:`effects`), with bounds that hold with 95 %
    each. It is looked at once, when all sample times have passed, so that no correction for looking often is needed.

Save
    1. Worse than planned by more than the tolerance, by the lower bound: Fail.
    2. Not worse than planned by more than the tolerance, by the upper bound: Pass.
    3. In between, the plan's own promise decides: Pass when the objective at the peak of the forecast under the plan,
       scaled by the upper bound of what was seen, holds its threshold; the lower bound does not show the change worse
       than planned at all; and the best estimate is at most three tolerances worse. Otherwise Inconclusive.
Improve
    Pass when better than the former point at the same load (upper bound below zero), or when the objective is met
    and the lower bound does not show it worse; Fail when it is worse, or not met and not better by the tolerance.
Other
    As Save, and Pass as well where it is not worse than the former point by more than the tolerance.

Power. With spread s of a log value and autocorrelation r, n samples are worth about n(1-r)/(1+r). Forty at s = 0.15,
r = 0.5 are worth 14; with sixty from before the change the effect has standard error 0.053 and a margin of 0.09. Rule 2
alone (tolerance 0.049) would pass one good change in five. Rule 3 costs a good change the five per cent by which its
lower bound errs, and the room that it needs at the peak is there: a plan that holds its threshold with probability q
leaves z(q) s, 0.19 for q = 0.9. A change 30 % worse (0.26) lies 2.3 standard errors above the margin of rule 1.
Measured over 200 seeded trials each, sixty samples before the change, under load that doubles or falls to a quarter (as
in tests/planning/test_validation.py):

    ===========  ====  ====  =====================  ====================
    samples      s     r     good: pass, fail       30 % worse: fail, pass
    ===========  ====  ====  =====================  ====================
    40           0.15  0.5   97 %, 0 %              92-98 %, 0.5 %
    20           0.15  0.2   98 %, 0.5 %            98 %, 0 %
    20           0.15  0.5   99 %, 0.5 %            75-80 %, 3-5 %
    20           0.05  0.5   98 %, 0 %              100 %, 0 %
    40           0.30  0.5   93 %, 0 %              43-62 %, 11-19 %
    ===========  ====  ====  =====================  ====================

The rest is Inconclusive. Twenty samples that do not overlap see what forty overlapping ones do. The count rule is
sharper than it looks: a point run all the time at the edge of its room breaks its threshold by noise alone in 1 - q of
the samples. Headroom, which keeps all but the peak away from that edge, is what keeps good changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab.domain.run import VerdictResult
from trimtab.domain.run_status import ObjectiveVerdict, Verdict
from trimtab.domain.units import format_number
from trimtab.planning.effects import Effect, Effects, upper_at
from trimtab.planning.trials import Evidence, Former, Intent, Peak, Samples, Trial, evidence_of, measurements

__all__ = ["Former", "Intent", "NotYet", "Peak", "Samples", "Trial", "measurements", "verdict"]

_STRADDLE: Final = 3.0
"""Tolerances by which the best estimate may be worse where the peak decides."""
_FEWEST_USABLE: Final = 0.5

_PASS, _FAIL, _INCONCLUSIVE = VerdictResult.PASS, VerdictResult.FAIL, VerdictResult.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class NotYet:
    """Why there is no verdict yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Judged:
    evidence: Evidence
    result: VerdictResult
    reason: str


def verdict(trial: Trial, *, complete: bool) -> Verdict | NotYet:
    """Verdict of a trial; before all sample times have passed (``complete``) only a failure is possible.

    The worst objective decides: one that fails fails the trial, one that is Inconclusive leaves it so. The message
    names critical and weighty objectives first.
    """
    order = sorted(trial.objectives, key=lambda one: (not one.critical, -one.weight))
    seen = [evidence_of(trial, objective) for objective in order]
    early = [_by_count(trial, one) for one in seen]
    failed = [one for one in early if one is not None]
    if failed or (rescued := _by_rescues(trial, seen)) is not None:
        reason = failed[0].reason if failed else rescued or ""
        undecided = "the trial failed before this was decided"
        judged = [one or _Judged(proof, _INCONCLUSIVE, undecided) for one, proof in zip(early, seen, strict=True)]
        return _verdict(trial, judged, _FAIL, reason)
    if not complete:
        return NotYet(f"{len(trial.after)} measurements so far, none decides")
    if not seen:
        return _without_objectives(trial)
    judged = [_judge(trial, one) for one in seen]
    for result in (_FAIL, _INCONCLUSIVE):
        if found := [one for one in judged if one.result is result]:
            return _verdict(trial, judged, result, found[0].reason)
    if trial.unanswered:
        return _verdict(trial, judged, _INCONCLUSIVE, f"the objectives hold, but {_too_little(trial)}")
    return _verdict(trial, judged, _PASS, "; ".join([*(one.reason for one in judged[:3]), *_never_throttled(trial)]))


def _too_little(trial: Trial) -> str:
    """Which guards cannot be answered."""
    return f"guard {', '.join(trial.unanswered)} had no data in most of {len(trial.after)} measurements"


def _never_throttled(trial: Trial) -> list[str]:
    """What was not looked at, as nothing exports it."""
    if not trial.never_throttled:
        return []
    return [f"CPU throttling of {', '.join(trial.never_throttled)} was never measured: nothing exports it"]


def _without_objectives(trial: Trial) -> Verdict:
    """A verdict of the guards alone, which were asked all the time and found nothing."""
    if unknown := [*([_too_little(trial)] if trial.unanswered else []), *_never_throttled(trial)]:
        return _verdict(trial, [], _INCONCLUSIVE, f"no objectives were asked, and {'; '.join(unknown)}")
    total, counted = len(trial.after), int(trial.counted.sum())
    if total == 0 or counted < _FEWEST_USABLE * total:
        wanted = "replicas" if trial.replicas is None else f"the {trial.replicas} replicas of the change"
        reason = f"no objectives were asked, and {wanted} were ready in only {counted} of {total} measurements"
        return _verdict(trial, [], _INCONCLUSIVE, reason)
    reason = f"no objectives were asked, only the guards ({', '.join(trial.guards)}), and none failed"
    return _verdict(trial, [], _PASS, reason)


def _by_count(trial: Trial, seen: Evidence) -> _Judged | None:
    """Failure by the number of failed samples, which more samples can only raise."""
    limit = 0 if seen.objective.critical else trial.spec.failure_limit
    if seen.failed <= limit:
        return None
    first = seen.results.index("Fail")
    value, load = float(seen.after.values[first]), float(seen.after.load_per_replica[first])
    of = f"{seen.failed} of {len(seen.results)} measurements"
    allowed = "it is critical" if seen.objective.critical else f"{limit} are allowed"
    reason = (
        f"{seen.objective.name} was beyond {format_number(seen.objective.threshold)} in {of} ({allowed}), first"
        f" {format_number(value)} at a load of {format_number(load)} a replica{_expected(seen, first)}"
    )
    return _Judged(seen, _FAIL, reason)


def _expected(seen: Evidence, index: int) -> str:
    if seen.curve is None or not math.isfinite(seen.after.load_per_replica[index]):
        return ""
    expected = float(seen.curve.expected(seen.after.load_per_replica[index], seen.after.cpu_size[index]))
    return f" where {format_number(expected)} was expected"


def _by_rescues(trial: Trial, seen: list[Evidence]) -> str | None:
    worst = max((one.failed for one in seen), default=0)
    load_to_blame = worst == 0 and any(one.excused for one in seen)
    if trial.rescues == 0 or load_to_blame or worst + trial.rescues <= trial.spec.failure_limit:
        return None
    return (
        f"following had to add {trial.rescues} replicas to rescue objectives,"
        f" which with {worst} failed measurements is more than the {trial.spec.failure_limit} allowed"
    )


def _judge(trial: Trial, seen: Evidence) -> _Judged:
    """One objective's result once all samples are in and none of its counts failed it."""
    name = seen.objective.name
    if (missing := _missing(trial, seen)) is not None:
        return _Judged(seen, _INCONCLUSIVE, missing)
    if seen.measured == 0:
        return _Judged(seen, _PASS, f"{name} counts as met: there was no traffic")
    if seen.curve is None or seen.effects is None:
        why = seen.why_not_learned or "too few measurements had load"
        if seen.violated > trial.spec.failure_limit:
            return _Judged(seen, _INCONCLUSIVE, f"{name} is not met, and nothing tells whether it got better: {why}")
        return _Judged(seen, _PASS, f"{name} holds, judged by its threshold only ({why})")
    match trial.intent:
        case Intent.SAVE:
            result, reason = _as_planned(trial, seen, seen.effects)
        case Intent.IMPROVE:
            result, reason = _improved(trial, seen, seen.effects)
        case Intent.OTHER:
            result, reason = _as_planned(trial, seen, seen.effects)
            if result is not _PASS and seen.effects.former.upper <= math.log1p(trial.tolerance):
                result, reason = _PASS, f"{_told(seen.effects.former)} than before at the same load"
    return _Judged(seen, result, f"{name} {reason}")


def _missing(trial: Trial, seen: Evidence) -> str | None:
    """Why the data does not carry a judgement."""
    total, name = len(seen.results), seen.objective.name
    if total == 0 or (seen.measured == 0 and "Error" in seen.results and seen.results.count("Error") == total):
        query = " ".join(seen.objective.query.split())
        if why := _why_none_counts(trial, seen):
            return f"{name}: {why}"
        return f"{name}: no data in the trial, the query {query[:160]!r} found nothing"
    if seen.errors_in_a_row > trial.spec.consecutive_error_limit:
        return f"{name}: {_why_none_counts(trial, seen) or f'no data in {seen.errors_in_a_row} measurements in a row'}"
    if seen.usable < _FEWEST_USABLE * total:
        why = _why_none_counts(trial, seen)
        return f"{name}: only {seen.usable} of {total} measurements say anything{f': {why}' if why else ''}"
    return None


def _why_none_counts(trial: Trial, seen: Evidence) -> str:
    """Why measurements do not count that are there."""
    total = len(seen.results)
    if seen.contradicted:
        expected = "the forecast made before the change expects some"
        if not math.isfinite(trial.least_load):
            expected = "there was some in all samples before the change"
        return f"no traffic in {seen.contradicted} of {total} measurements, where {expected}"
    if seen.uncounted:
        wanted = "no replica was" if trial.replicas is None else f"not the {trial.replicas} replicas of the change were"
        return f"{wanted} ready in {seen.uncounted} of {total} measurements"
    return ""


def _as_planned(trial: Trial, seen: Evidence, effects: Effects) -> tuple[VerdictResult, str]:
    planned, tolerance = effects.planned, math.log1p(trial.tolerance)
    told = f"{_told(planned)} than planned for the load seen"
    if planned.lower > tolerance:
        return _FAIL, f"{told}, beyond the tolerance of {trial.spec.tolerance_percent} %"
    if planned.upper <= tolerance:
        return _PASS, told
    near = planned.lower <= 0.0 and planned.mean <= _STRADDLE * tolerance
    if near and trial.peak is not None and seen.curve is not None:
        at_peak = upper_at(seen.curve, effects, seen.after, trial.peak.load_per_replica, trial.peak.cpu_size)
        if not seen.badness.beyond(np.array([at_peak]), seen.objective.threshold, 0.0)[0]:
            return _PASS, f"{told}, and holds at the peak foreseen ({format_number(at_peak)} at worst)"
    return _INCONCLUSIVE, f"{told}: too uncertain to tell from the tolerance of {trial.spec.tolerance_percent} %"


def _improved(trial: Trial, seen: Evidence, effects: Effects) -> tuple[VerdictResult, str]:
    gain, tolerance = effects.former, math.log1p(trial.tolerance)
    told = f"{_told(gain)} than the former point would be at the same load"
    met = seen.violated <= trial.spec.failure_limit
    if gain.lower > tolerance:
        return _FAIL, told
    if gain.upper < 0.0:
        return _PASS, told
    if met:
        return _PASS, f"holds, {told}"
    if gain.lower > -tolerance:
        return _FAIL, f"is not met and did not improve: {told}"
    return _INCONCLUSIVE, f"is not met, and whether it improved is uncertain: {told}"


def _told(effect: Effect) -> str:
    """An effect in words: ``12 % worse (4 to 21 %)``."""
    mean, lower, upper = (round(100 * math.expm1(min(v, 50.0))) for v in (effect.mean, effect.lower, effect.upper))
    if mean >= 0:
        return f"is {mean} % worse ({lower} to {upper} %)"
    return f"is {-mean} % better ({-upper} to {-lower} %)"


def _verdict(trial: Trial, judged: list[_Judged], result: VerdictResult, message: str) -> Verdict:
    names = {objective.name: index for index, objective in enumerate(trial.objectives)}
    listed = sorted(judged, key=lambda one: names[one.evidence.objective.name])
    return Verdict(
        result=result,
        objectives=[_told_objective(trial, one) for one in listed],
        message=message,
        at=float(trial.after.at[-1]) if len(trial.after) else 0.0,
    )


def _told_objective(trial: Trial, judged: _Judged) -> ObjectiveVerdict:
    seen = judged.evidence
    effect = None
    if seen.effects is not None:
        effect = seen.effects.former if trial.intent is Intent.IMPROVE else seen.effects.planned

    def percent(value: float) -> str:
        return f"{100 * math.expm1(value):.1f}" if value < 50 else ""

    return ObjectiveVerdict(
        name=seen.objective.name,
        before=_median(trial.before.window(seen.objective.name).values),
        after=_median(seen.after.values),
        effect_percent=percent(effect.mean) if effect else "",
        lower_percent=percent(effect.lower) if effect else "",
        upper_percent=percent(effect.upper) if effect else "",
        result=judged.result,
    )


def _median(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    finite = values[np.isfinite(values)]
    return format_number(float(np.median(finite))) if finite.size else ""
