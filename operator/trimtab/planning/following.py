"""Following: how many replicas an operating point asks for at the demand seen and foreseen. Level-based and pure.

Each evaluation asks anew: demand and forecast over the capacity of a replica, with headroom, between floor and ceiling,
at the pace of ``behavior``. A forecast may add capacity and never removes safety: the larger of the two needs counts.
A learned capacity is a limit and not a target to hover about, so scaling up has no tolerance; scaling down leaves a
tenth, at most half a replica, of room, so that the next ripple of demand does not bring the replica back. A
utilisation stand-in is a target as the HPA knows it, with its tolerance of ten per cent upwards. What a broken
objective asks for is in :mod:`trimtab.planning.rescue`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from trimtab.domain.scaling import Behavior
from trimtab.domain.units import format_clock, format_duration, format_number
from trimtab.planning.behavior import BehaviorState, pace, scaled
from trimtab.planning.flight import Foreseen
from trimtab.planning.rescue import Breach, RescueState, advise, stepped

UP_TOLERANCE = 0.10
"""Of a utilisation stand-in, as in the HPA."""
DOWN_ROOM, DOWN_ROOM_REPLICAS = 0.10, 0.5
"""Room left when scaling down: this share of the need, at most so many replicas."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What following remembers from one evaluation to the next."""

    behavior: BehaviorState = field(default_factory=BehaviorState)
    rescue: RescueState = field(default_factory=RescueState)


@dataclass(frozen=True, slots=True)
class FollowInputs:
    """Everything that one decision rests on. Times in unix seconds, loads in the demand's unit."""

    now: float
    replicas: int
    """Asked for in the workload's spec."""
    ready_replicas: int
    min_replicas: int
    max_replicas: int
    demand: float | None
    """Total load seen last; None (or NaN) when there is none."""
    demand_age_seconds: float
    max_data_age_seconds: float
    capacity_per_replica: float | None
    """Load that a replica carries under the operating point; None while nothing is known."""
    capacity_learned: bool = True
    """False for a utilisation stand-in."""
    headroom_percent: float = 0.0
    floor: int = 0
    """Floor of the operating point, or of a schedule."""
    forecast_peak: float | None = None
    """The strategy's quantile of the peak from now to now + start-up + hold time; None without a reliable forecast."""
    forecast_peak_at: float | None = None
    breach: Breach | None = None
    foreseen: Foreseen | None = None
    """What to fly by while no demand is seen; None where replicas then stay as they are."""
    no_fewer: str = ""
    """Why the demand may be larger than it looks, so that no replica is removed; empty where it is whole."""
    behavior: Behavior = field(default_factory=Behavior)
    unit: str = ""
    settle_seconds: float = 120.0
    """Start-up time and one metric window: before it a step up cannot show in an objective."""
    bounds_enforced: bool = True
    """Replicas were seen within these bounds since the policy was last changed: without data they are not set again."""
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Follow:
    """Set this many replicas. Keep ``written`` once the write is confirmed, ``memory`` when it was not made."""

    replicas: int
    reason: str
    rescue: bool
    not_capacity: bool
    memory: Memory
    written: Memory
    bounds_set: bool = False
    """Bounds that somebody has just set ask for it, whatever is known of demand and objectives."""
    blind: bool = False
    """Nothing is seen: it goes by a forecast that was made before."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Leave the replicas as they are, and why."""

    reason: str
    not_capacity: bool
    memory: Memory


def follow(inputs: FollowInputs) -> Follow | Hold:
    """Replicas to set now, or why none are set. A result always lies within min and max.

    >>> inputs = FollowInputs(
    ...     now=0.0, replicas=4, ready_replicas=4, min_replicas=2, max_replicas=40, demand=455.0, unit="requests/s",
    ...     demand_age_seconds=5.0, max_data_age_seconds=300.0, capacity_per_replica=85.0, headroom_percent=12.0)
    >>> follow(inputs).reason
    'demand 455 requests/s seen now needs 6 replicas of 85 requests/s with 12 % headroom'
    """
    memory, current = inputs.memory, inputs.replicas
    if current == 0:
        return Hold("scaled to zero by someone: following starts again above zero", False, memory)
    demand = _fresh(inputs)
    if isinstance(demand, str):
        return _without_data(inputs, demand)
    if (inside := _inside(inputs)) is not None:
        return inside
    wanted, reason = _wanted(inputs, demand)
    advice = advise(
        memory.rescue, inputs.breach, inputs.now, demand, current, inputs.ready_replicas, inputs.settle_seconds
    )
    least = max(advice.step or 0, advice.kept, current if inputs.breach is not None else 0)
    if least > wanted:
        wanted, reason = least, advice.reason
    elif inputs.breach is not None:
        reason = f"{reason}; {advice.reason}"
    if (capped := _bounded(inputs, wanted)) != wanted:
        wanted, reason = capped, f"{reason}, but maxReplicas is {inputs.max_replicas}"
    urgent = advice.step is not None
    paced = pace(memory.behavior, inputs.behavior, inputs.now, current, wanted, urgent=urgent)
    memory = Memory(paced.state, advice.state)
    target = _bounded(inputs, paced.replicas)
    if target != wanted:
        reason = f"{reason}; {f'{target} for now' if target != current else 'held'} by {paced.limited_by}"
    if target < current and inputs.no_fewer:
        return Hold(f"{reason}; nothing is removed while {inputs.no_fewer}", advice.not_capacity, memory)
    if target == current:
        return Hold(reason, advice.not_capacity, memory)
    written = replace(memory, behavior=scaled(memory.behavior, inputs.now, current, target))
    if inputs.breach is not None and target > current:
        after = stepped(advice.state, inputs.breach, inputs.now, demand, current, inputs.ready_replicas, target)
        written = replace(written, rescue=after)
    return Follow(target, reason, urgent and target > current, advice.not_capacity, memory, written)


def _inside(inputs: FollowInputs) -> Follow | None:
    """A step into the bounds, at once and whatever the demand; None where replicas are within them."""
    memory, current = inputs.memory, inputs.replicas
    if (inside := _bounded(inputs, current)) == current:
        return None
    side = f"maxReplicas {inputs.max_replicas}" if inside < current else f"minReplicas {inputs.min_replicas}"
    written = replace(memory, behavior=scaled(memory.behavior, inputs.now, current, inside))
    reason = f"{current} replicas are beyond {side}"
    return Follow(inside, reason, False, False, memory, written, bounds_set=not inputs.bounds_enforced)


def _without_data(inputs: FollowInputs, why: str) -> Follow | Hold:
    """All that may be written without a demand: bounds that somebody has just set, and blind flight upwards."""
    inside = _inside(inputs)
    if inside is None or not inside.bounds_set:
        if inputs.foreseen is not None:
            return _blind(inputs, inputs.foreseen, why)
        return Hold(why if inside is None else f"{inside.reason}, but {why}", False, inputs.memory)
    return replace(inside, reason=f"{inside.reason}, which the policy as it is now asks for whatever the demand")


def _blind(inputs: FollowInputs, foreseen: Foreseen, why: str) -> Follow | Hold:
    """Replicas for what was foreseen, at the usual pace; never fewer than there are."""
    current, memory = inputs.replicas, inputs.memory
    known = replace(inputs, forecast_peak=foreseen.peak, forecast_peak_at=foreseen.at)
    wanted, reason = _wanted(known, 0.0)
    why = why.partition(":")[0]
    reason = (
        f"flies blind, as {why}: {reason}, by the forecast of {format_clock(foreseen.issued_at)},"
        f" which reaches to {format_clock(foreseen.ends_at)}"
    )
    if wanted <= current:
        return Hold(f"{reason}; nothing is removed", False, memory)
    wanted = _bounded(inputs, wanted)
    paced = pace(memory.behavior, inputs.behavior, inputs.now, current, wanted, urgent=False)
    memory = replace(memory, behavior=paced.state)
    target = max(_bounded(inputs, paced.replicas), current)
    if target == current:
        return Hold(f"{reason}; held by {paced.limited_by}" if paced.limited_by else reason, False, memory)
    written = replace(memory, behavior=scaled(memory.behavior, inputs.now, current, target))
    return Follow(target, reason, False, False, memory, written, blind=True)


def _wanted(inputs: FollowInputs, demand: float) -> tuple[int, str]:
    """Replicas that the operating point asks for, before pace and ceiling, and why."""
    current, capacity = inputs.replicas, inputs.capacity_per_replica
    floor = max(inputs.floor, inputs.min_replicas)
    if capacity is None or not (math.isfinite(capacity) and capacity > 0):
        return max(current, floor), "the capacity of a replica is not known yet"
    peak = inputs.forecast_peak
    foreseen = peak is not None and math.isfinite(peak) and peak > demand
    load = peak if peak is not None and foreseen else demand
    need = min(load * (1 + inputs.headroom_percent / 100) / capacity, 1e6)
    when = "seen now"
    if foreseen:
        when = "foreseen" if inputs.forecast_peak_at is None else f"foreseen at {format_clock(inputs.forecast_peak_at)}"
    wanted = _with_tolerance(inputs, need)
    exact = max(_ceil(need), 1)
    reason = (
        f"demand {_amount(load, inputs)} {when} needs {exact} {'replica' if exact == 1 else 'replicas'}"
        f" of {_amount(capacity, inputs)} with {inputs.headroom_percent:g} % headroom"
    )
    if wanted < floor:
        return floor, f"{reason}, the floor is {floor}"
    if wanted == current and exact != current:
        reason = f"{reason}, too near to {current} to move"
    elif wanted != exact:
        reason = f"{reason}, {wanted} with room to stay"
    return wanted, reason


def _with_tolerance(inputs: FollowInputs, need: float) -> int:
    current = inputs.replicas
    tolerance = 0.0 if inputs.capacity_learned else UP_TOLERANCE
    if need > current * (1 + tolerance):
        return _ceil(need)
    return max(1, min(current, _ceil(need + min(DOWN_ROOM * need, DOWN_ROOM_REPLICAS))))


def _fresh(inputs: FollowInputs) -> float | str:
    """The demand, or why nothing is known of it."""
    demand = inputs.demand
    if demand is None or not math.isfinite(demand) or demand < 0:
        return "no demand was seen: replicas stay as they are"
    if not math.isfinite(inputs.demand_age_seconds):
        return "the age of the newest demand is not known: replicas stay as they are"
    if inputs.demand_age_seconds > inputs.max_data_age_seconds:
        age, limit = (format_duration(s) for s in (inputs.demand_age_seconds, inputs.max_data_age_seconds))
        return f"the newest demand is {age} old, more than {limit}: replicas stay as they are"
    return demand


def _bounded(inputs: FollowInputs, replicas: int) -> int:
    return min(max(replicas, inputs.min_replicas), inputs.max_replicas)


def _ceil(need: float) -> int:
    return math.ceil(need - 1e-9)


def _amount(value: float, inputs: FollowInputs) -> str:
    return f"{format_number(value)} {inputs.unit}".strip()
