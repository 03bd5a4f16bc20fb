"""What the samples of a trial say: gathered from the history at the recorded times, judged by the recorded curves."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from trimtab.adapters.signals_kube import Signal
from trimtab.adapters.signals_pods import PODS
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.objects import Run
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import RunSpec, Trigger
from trimtab.domain.run_status import Applied, Plan
from trimtab.domain.series import FloatArray, Series
from trimtab.domain.units import parse_quantity
from trimtab.planning.evidence import believable, pods_missing
from trimtab.planning.options import follows
from trimtab.planning.performance_model import NotLearned, PerformanceCurve
from trimtab.planning.rightsizing import cpu_size
from trimtab.planning.steps import Judged
from trimtab.planning.terms import spec_for, under, validation_under
from trimtab.planning.trial_guards import THROTTLING, TRIAL_GUARDS, Throttled
from trimtab.planning.trials import Former, Intent, Peak, Samples, Trial, measurements
from trimtab.planning.validation import NotYet, verdict
from trimtab.reconcile.situation import Situation

_INTENT: Final = {
    Trigger.COST: Intent.SAVE,
    Trigger.FORECAST: Intent.IMPROVE,
    Trigger.OBJECTIVE: Intent.IMPROVE,
    Trigger.MANUAL: Intent.OTHER,
}


_LEAST_BEFORE: Final = 60


def judge(run: Run, situation: Situation, now: float) -> Judged:
    """The verdict so far; the same samples give the same verdict, before and after a restart."""
    applied, plan = run.status.applied, run.status.plan
    assert applied is not None, "recorded before the phase"
    assert plan is not None, "recorded before the phase"
    run_spec = run.spec if isinstance(run.spec, RunSpec) else None
    spec = under(spec_for(situation.spec, run_spec), plan.objectives)
    times = sample_times(applied)
    ready = times[times <= readable_until(run, situation, now)]
    if ready.size == 0:
        return Judged(None)
    after, asked = _samples(situation.history, ready, spec), throttled(run, situation, now)
    trial = Trial(
        intent=_INTENT[run_spec.trigger if run_spec else Trigger.MANUAL],
        objectives=tuple(spec.objectives),
        curves=_curves(plan, spec),
        before=_samples(situation.history, _times_before(applied), spec, applied.version_since),
        after=after,
        former=_former(applied, plan, spec, after),
        spec=validation_under(spec.validation, applied.limits),
        peak=_peak(plan),
        rescues=run.status.rescues,
        replicas=applied.after.replicas,
        least_load=parse_quantity(plan.predicted.least_load) if plan.predicted.least_load else math.nan,
        guards=tuple(name for name, _ in TRIAL_GUARDS if name != THROTTLING or asked),
        unanswered=(THROTTLING,) if any(one.unanswered for one in asked) else (),
        never_throttled=tuple(one.container for one in asked if one.never_measured),
    )
    found = verdict(trial, complete=ready.size == times.size)
    return Judged(None if isinstance(found, NotYet) else found, tuple(measurements(trial)))


def wants_throttling(run: Run) -> bool:
    """Whether a trial is under way that CPU throttling is looked at in."""
    plan = run.status.plan
    undecided = run.phase.unproven and run.status.verdict is None
    return undecided and plan is not None and (not plan.objectives or bool(_resized(plan)))


def _resized(plan: Plan) -> set[str]:
    """Containers whose CPU is changed."""
    return {change.container for change in plan.changes if change.path.endswith(".cpu")}


def throttled(run: Run, situation: Situation, now: float) -> tuple[Throttled, ...]:
    """CPU throttling of containers with a CPU limit, before the change and at its sample times.

    Without objectives it is looked for in all of them, as nothing else tells that fewer replicas are too few; with
    objectives in those whose CPU is changed.
    """
    applied, plan, workload = run.status.applied, run.status.plan, situation.workload
    if applied is None or plan is None or workload is None or applied.validate_from is None:
        return ()
    history, times = situation.history, sample_times(applied)
    before, after = _times_before(applied), times[times <= readable_until(run, situation, now)]
    limited = [size.name for size in workload.containers if size.limits.cpu]
    if plan.objectives:
        limited = [name for name in limited if name in _resized(plan)]
    loaded = np.isfinite(_at(history.load, after))
    read = after.size > 0 and history.read_to.get(Signal.THROTTLED, -math.inf) >= after[-1]
    return tuple(
        Throttled(name, _at(series, before), _at(series, after), loaded, read)
        for name in limited
        for series in [history.throttled.get(name)]
    )


def sample_times(applied: Applied) -> FloatArray:
    """Times of all measurements in unix seconds, shape (n,): fixed when the change was complete."""
    assert applied.validate_from is not None, "nothing is measured before"
    offsets = np.arange(applied.measurements, dtype=np.float64) * applied.validate_interval_seconds
    return np.asarray(applied.validate_from + offsets, dtype=np.float64)


def readable_until(run: Run, situation: Situation, now: float) -> float:
    """Up to when samples are final: one step after their time they were read twice.

    While one of the signals that a verdict rests on cannot be read, samples are waited for: they may be there once
    Prometheus answers. After the tolerated number of errors in a row the wait is over, and what is missing counts as an
    error.
    """
    until, applied = now - situation.step_seconds, run.status.applied
    assert applied is not None, "recorded before the phase"
    load = Signal.CPU if situation.spec.metrics.load is None else Signal.LOAD
    needed = {load, Signal.REPLICAS, Signal.CPU_SIZE, Signal.THROTTLED}
    unread = [one for one in situation.unread if one in needed or one.startswith(("objective/", PODS))]
    if not unread:
        return until
    last = max(applied.at, min(_read_to(situation.history, name) for name in unread))
    survives = validation_under(situation.spec.validation, applied.limits).consecutive_error_limit
    patience = (survives + 1) * applied.validate_interval_seconds
    return until if now - last > patience else min(last, until)


def _read_to(history: WorkloadHistory, name: str) -> float:
    """Time up to which a signal was read; counts of pods are read together."""
    if name.startswith(PODS):
        return max((one.ready.end for one in history.coverage.values()), default=-math.inf)
    return history.read_to.get(name, -math.inf)


def _samples(history: WorkloadHistory, times: FloatArray, spec: PolicySpec, since: float | None = None) -> Samples:
    """What was measured at these times; NaN before ``since``, when another version ran."""

    def at(series: Series | None) -> FloatArray:
        return np.where(times >= (since or -math.inf), _at(series, times), math.nan)

    covered = np.array([not pods_missing(history, {}, float(time)) for time in times], dtype=np.bool_)
    return Samples(
        at=times,
        load=np.where(covered, at(history.load), np.nan),
        replicas=at(history.replicas),
        cpu_size=at(history.cpu_size),
        values={
            one.name: at(believable(one, history.objectives[one.name]) if one.name in history.objectives else None)
            for one in spec.objectives
        },
        covered=covered,
    )


def _at(series: Series | None, times: FloatArray) -> FloatArray:
    """Values at these times; NaN where there are none."""
    return np.array([series.at(time) if series is not None else math.nan for time in times], dtype=np.float64)


def _times_before(applied: Applied) -> FloatArray:
    """Times at the same spacing as after the change, ending before it: enough to tell what was off before."""
    interval = float(applied.validate_interval_seconds)
    last = math.floor(applied.at / interval) * interval
    return last - interval * np.arange(samples_before(applied), dtype=np.float64)[::-1]


def samples_before(applied: Applied) -> int:
    """How many samples before the change a verdict looks at: with fewer, a bias of the curve hides in noise."""
    return max(_LEAST_BEFORE, applied.measurements)


def _curves(plan: Plan, spec: PolicySpec) -> dict[str, PerformanceCurve | NotLearned]:
    kept = {state.objective: state for state in plan.curves}
    found: dict[str, PerformanceCurve | NotLearned] = {}
    for objective in spec.objectives:
        state = kept.get(objective.name)
        if state is None:
            found[objective.name] = NotLearned(f"no curve of {objective.name} was learned before the change")
            continue
        try:
            found[objective.name] = PerformanceCurve.from_state(state)
        except ValueError as error:
            found[objective.name] = NotLearned(str(error))
    return found


def _former(applied: Applied, plan: Plan, spec: PolicySpec, after: Samples) -> Former:
    """What the former point would have run: its fixed count, or where replicas follow, as many as its size asks for."""
    size_before, size_after = cpu_size(tuple(applied.before.containers)), cpu_size(tuple(applied.after.containers))
    fallback = float(np.nanmedian(after.cpu_size)) if np.isfinite(after.cpu_size).any() else math.nan
    pod_before = _pod_size(plan, fallback, size_before, size_after)
    if applied.before.replicas is not None:
        return Former(np.full(len(after), float(applied.before.replicas)), pod_before)
    replicas = after.replicas.copy()
    if spec.horizontal is not None and follows(spec.horizontal) and size_before > 0 and size_after > 0:
        low, high = spec.horizontal.min_replicas, spec.horizontal.max_replicas
        replicas = np.clip(np.ceil(replicas * size_after / size_before - 1e-9), low, high)
    return Former(replicas, pod_before)


def _pod_size(plan: Plan, live: float, size_before: float, size_after: float) -> float:
    """CPU size of a former pod; containers that the plan did not touch are in the live size alone."""
    if not (size_before > 0 and size_after > 0):
        return live
    untouched = max(live - size_after, 0.0) if math.isfinite(live) else 0.0
    return size_before + (untouched if len(plan.trial_point.containers) > 1 else 0.0)


def _peak(plan: Plan) -> Peak | None:
    predicted = plan.predicted
    if not predicted.peak_load_per_replica or not predicted.cpu_size:
        return None
    return Peak(parse_quantity(predicted.peak_load_per_replica), parse_quantity(predicted.cpu_size))
