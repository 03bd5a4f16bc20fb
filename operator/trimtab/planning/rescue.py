"""Rescue: what a broken objective asks of the replica count, and when more replicas are seen not to help.

A breach steps up at once. The step is judged when it had time to show: an objective that is no better although each
replica carries less is not short of capacity, and after two such steps nothing is added until it holds again or load
rises well beyond what it was. What a rescue reached is kept, in proportion to load, for an hour: the capacity that was
believed did not hold, and a scale-down on the old belief would break the objective again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trimtab.domain.units import format_clock, format_number

STEP_SHARE = 0.25
"""Replicas added where the curve cannot tell how many are needed: a quarter, at least one."""
FUTILE_STEPS = 2
"""Steps without improvement after which the trouble is not capacity."""
KEPT_SECONDS = 3600.0
_BETTER = 0.8
"""A step helped when at most this share of the distance to the threshold is left."""
_LIGHTER = 0.98
"""A step can be judged when a replica carries at most this share of what it did."""
_RISEN = 1.25
"""Load this much above that of the last step makes the trouble a new one."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An objective that is broken now. Smoothing is the caller's: each one given is acted on."""

    objective: str
    value: float
    threshold: float
    needed_replicas: int | None = None
    """Replicas at which the curve expects the objective to hold at the present load; None when it cannot tell."""

    @property
    def distance(self) -> float:
        """How far the value is beyond the threshold, whichever side that is."""
        return abs(self.value - self.threshold)


@dataclass(frozen=True, slots=True)
class RescueState:
    """What is remembered of steps up for a breach; ``after`` 0 while there was none."""

    futile: int = 0
    """Steps in a row that did not help."""
    pending: bool = False
    """Whether the last step is still to be judged."""
    at: float = 0.0
    distance: float = 0.0
    load: float = 0.0
    load_per_replica: float = 0.0
    """Per ready replica, when the step was made."""
    before: int = 0
    after: int = 0
    starting_since: float | None = None
    """Since when a breach waits for replicas that were ordered without it."""


@dataclass(frozen=True, slots=True)
class Advice:
    """``step``: replicas to have now, or None; ``kept``: replicas not to go below; one reason for both."""

    step: int | None
    kept: int
    reason: str
    not_capacity: bool
    state: RescueState


def advise(
    state: RescueState,
    breach: Breach | None,
    now: float,
    demand: float,
    replicas: int,
    ready_replicas: int,
    settle_seconds: float,
) -> Advice:
    """What the breach (None: all objectives hold) asks for now, at this total load and these replicas."""
    if breach is None:
        remembered = state.after > 0 and state.futile < FUTILE_STEPS and now - state.at < KEPT_SECONDS
        state = replace(state, futile=0, pending=False, starting_since=None) if remembered else RescueState()
        return Advice(None, *_kept(state, now, demand), not_capacity=False, state=state)
    broken = f"{breach.objective} is {format_number(breach.value)}, beyond {format_number(breach.threshold)}"
    kept = _kept(state, now, demand)[0]
    if (wait := _waits(state, now, replicas, ready_replicas, settle_seconds)) is not None:
        if not state.pending and state.starting_since is None:
            state = replace(state, starting_since=now)
        return Advice(None, kept, f"{broken}; {wait}", state.futile >= FUTILE_STEPS, state)
    state = _judged(replace(state, starting_since=None), breach, demand, ready_replicas)
    if state.futile >= FUTILE_STEPS and demand > _RISEN * state.load:
        state = replace(state, futile=0)
    if state.futile >= FUTILE_STEPS:
        reason = f"{broken}, but {FUTILE_STEPS} steps up did not improve it: the trouble is not capacity"
        return Advice(None, 0, reason, not_capacity=True, state=state)
    if breach.needed_replicas is not None and breach.needed_replicas > replicas:
        step, why = breach.needed_replicas, "expected to hold it at this load"
    else:
        step, why = replicas + max(1, math.ceil(STEP_SHARE * replicas)), "a step of a quarter"
    reason = f"{broken}: {step} replicas instead of {replicas}, {why}"
    return Advice(step, kept, reason, not_capacity=False, state=state)


def stepped(
    state: RescueState, breach: Breach, now: float, demand: float, before: int, ready_replicas: int, after: int
) -> RescueState:
    """The state once a step up for this breach was written.

    A step after one that did not help is measured against the same distance, or noise would make every other step seem
    to help.
    """
    distance, load_per_replica = breach.distance, demand / max(ready_replicas, 1)
    if state.futile and state.distance < distance:
        distance, load_per_replica = state.distance, state.load_per_replica
    return RescueState(
        futile=state.futile,
        pending=True,
        at=now,
        distance=distance,
        load=demand,
        load_per_replica=load_per_replica,
        before=before,
        after=after,
    )


def _waits(state: RescueState, now: float, replicas: int, ready: int, settle_seconds: float) -> str | None:
    """Why no step is made yet: what was ordered has not had its chance."""
    missing = max(replicas - ready, 0)
    if state.pending:
        if now - state.at < settle_seconds:
            return (
                f"the step to {state.after} replicas at {format_clock(state.at)} needs {settle_seconds:.0f} s to show"
            )
        # One broken pod among many must not stop a rescue; a step that never started must.
        if missing > 0.5 * (state.after - state.before):
            return f"{ready} of {replicas} replicas are ready, more would wait with the others"
        return None
    if missing > 0 and (state.starting_since is None or now - state.starting_since < settle_seconds):
        return f"{missing} of {replicas} replicas are still starting"
    return None


def _judged(state: RescueState, breach: Breach, demand: float, ready: int) -> RescueState:
    if not state.pending:
        return state
    if breach.distance <= _BETTER * state.distance:
        return replace(state, pending=False, futile=0)
    lighter = demand / max(ready, 1) <= _LIGHTER * state.load_per_replica
    return replace(state, pending=False, futile=state.futile + lighter)


def _kept(state: RescueState, now: float, demand: float) -> tuple[int, str]:
    if state.after == 0 or state.futile >= FUTILE_STEPS or now - state.at >= KEPT_SECONDS:
        return 0, ""
    share = min(1.0, demand / state.load) if state.load > 0 else 1.0
    kept = math.ceil(state.after * share - 1e-9)
    broke, until = format_clock(state.at), format_clock(state.at + KEPT_SECONDS)
    return kept, f"{state.before} replicas broke an objective at {broke}: {kept} are kept until {until}"
