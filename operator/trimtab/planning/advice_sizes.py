"""Advice on the requests and limits of containers, sized as plans size them: CPU by the 95th percentile, memory by its
peak, both with a margin. Sources: VPA (margins, out-of-memory bump), KRR (CPU p95, memory maximum).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trimtab.analytics.quality import LARGEST_MAGNITUDE
from trimtab.domain.choices import Severity
from trimtab.domain.scaling import ResourceAmounts
from trimtab.domain.status import ContainerSize
from trimtab.domain.units import format_cpu, format_memory
from trimtab.planning.advice import Advice, AdviceKind, RecommendInputs, confidence, span_text
from trimtab.planning.changes import amount
from trimtab.planning.options import monthly_cost
from trimtab.planning.rightsizing import CPU_MARGIN, bounded, on_cpu_grid, policy_for

_DAY: Final = 86400.0
_CPU_SECONDS, _MEMORY_SECONDS = _DAY, 3 * _DAY
"""History behind a full confidence."""
_OUTER, _INNER = 0.15, 0.08
"""Share of the request by which a size must differ to be advised, and to stay advised."""
_THROTTLED, _THROTTLED_STILL, _THROTTLED_BADLY = 0.85, 0.78, 0.97
_OOM, _OOM_STILL, _OOM_SOON = 0.90, 0.85, 0.97
_OOM_BUMP_BYTES, _OOM_BUMP = 100 * 2.0**20, 1.2
_ROOMY: Final = 0.7
"""CPU use of the limit that a raised limit aims at."""


@dataclass(frozen=True, slots=True)
class _Container:
    """One container's numbers; 0 for what is not set, NaN for what is not known."""

    size: ContainerSize
    cpu_used: float
    memory_peak: float
    cpu_request: float
    cpu_limit: float
    memory_request: float
    memory_limit: float
    cpu_wanted: float
    memory_wanted: float


def size_advice(inputs: RecommendInputs) -> Iterator[Advice]:
    """Advice on each container whose usage is known."""
    for size in inputs.containers:
        one = _container(inputs, size)
        yield from _unset(inputs, one)
        throttled = list(_throttling(inputs, one))
        yield from throttled or _cpu(inputs, one)
        starved = list(_out_of_memory(inputs, one))
        yield from starved or _memory(inputs, one)


def _container(inputs: RecommendInputs, size: ContainerSize) -> _Container:
    used = inputs.usage.get(size.name)
    cpu = used.cpu_p95_cores if used is not None else math.nan
    peak = used.memory_peak_bytes if used is not None else math.nan
    cpu = cpu if 0.0 <= cpu <= LARGEST_MAGNITUDE else math.nan
    peak = peak if 0.0 < peak <= LARGEST_MAGNITUDE else math.nan
    lowest, highest = _bounds(inputs, size.name)
    cpu_wanted = on_cpu_grid(cpu * CPU_MARGIN) if math.isfinite(cpu) else math.nan
    return _Container(
        size=size,
        cpu_used=cpu,
        memory_peak=peak,
        cpu_request=amount(size.requests.cpu) or amount(size.limits.cpu),
        cpu_limit=amount(size.limits.cpu),
        memory_request=amount(size.requests.memory) or amount(size.limits.memory),
        memory_limit=amount(size.limits.memory),
        cpu_wanted=bounded(cpu_wanted, lowest.cpu, highest.cpu),
        memory_wanted=bounded(peak * (1.0 + inputs.strategy.memory_margin), lowest.memory, highest.memory),
    )


def _bounds(inputs: RecommendInputs, container: str) -> tuple[ResourceAmounts, ResourceAmounts]:
    vertical = inputs.spec.vertical
    policy = policy_for(vertical, container) if vertical is not None else None
    return (policy.min_allowed, policy.max_allowed) if policy is not None else (ResourceAmounts(), ResourceAmounts())


def _unset(inputs: RecommendInputs, one: _Container) -> Iterator[Advice]:
    """Requests that are not set, for cpu and memory together; a missing limit of memory."""
    name = one.size.name
    requests: dict[str, str] = {}
    cost = 0.0
    if one.cpu_request == 0.0 and math.isfinite(one.cpu_wanted):
        requests["cpu"] = format_cpu(one.cpu_wanted)
        cost += _price(inputs, one.cpu_wanted, 0.0)
    if one.memory_request == 0.0 and math.isfinite(one.memory_wanted):
        requests["memory"] = format_memory(one.memory_wanted)
        cost += _price(inputs, 0.0, one.memory_wanted)
    if requests:
        what = " and ".join(requests)
        yield Advice(
            AdviceKind.NO_REQUESTS,
            name,
            Severity.WARNING,
            f"Set requests for {what} of {name}",
            f"{name} requests no {what}, so the scheduler sets nothing aside for it and it is the first to be evicted.",
            _seen(inputs, one),
            f"The scheduler keeps room for what it uses. {inputs.cost_effect(-cost)}",
            -cost,
            confidence(inputs.history.cpu_cores.get(name) or inputs.history.memory_bytes.get(name), _CPU_SECONDS),
            _patch(inputs, name, requests=requests),
        )
    if one.memory_limit == 0.0 and math.isfinite(one.memory_peak):
        limit = format_memory(max(one.memory_wanted, one.memory_peak * _OOM_BUMP))
        yield Advice(
            AdviceKind.NO_MEMORY_LIMIT,
            name,
            Severity.INFO,
            f"Set a memory limit for {name}",
            f"{name} has no memory limit: a leak takes the memory of its neighbours on the node.",
            _seen(inputs, one),
            "A leak ends in a restart of this container only. The cost stays as it is.",
            0.0,
            confidence(inputs.history.memory_bytes.get(name), _MEMORY_SECONDS),
            _patch(inputs, name, limits={"memory": limit}),
        )


def _throttling(inputs: RecommendInputs, one: _Container) -> Iterator[Advice]:
    name, kind = one.size.name, AdviceKind.CPU_THROTTLING_RISK
    share = one.cpu_used / one.cpu_limit if one.cpu_limit > 0.0 else 0.0
    if not share >= (_THROTTLED_STILL if inputs.kept(kind, name) else _THROTTLED):
        return
    limit = on_cpu_grid(one.cpu_used / _ROOMY)
    request = max(one.cpu_wanted, one.cpu_request)
    saving = -_price(inputs, request - one.cpu_request, 0.0)
    severity = Severity.CRITICAL if share >= _THROTTLED_BADLY and inputs.broken else Severity.WARNING
    broken = f" {', '.join(inputs.broken)} is broken at this time." if inputs.broken else ""
    yield Advice(
        kind,
        name,
        severity,
        f"Raise the CPU limit of {name} from {format_cpu(one.cpu_limit)} to {format_cpu(limit)}",
        f"The 95th percentile of its CPU is {100 * share:.0f} % of the limit: the kernel stops it in between, and what"
        " it would use is not seen.",
        _seen(inputs, one),
        f"Less waiting for CPU in latencies: use falls to about {100 * _ROOMY:.0f} % of the limit.{broken}"
        f" {inputs.cost_effect(saving)}",
        saving,
        confidence(inputs.history.cpu_cores.get(name), _CPU_SECONDS),
        _patch(inputs, name, requests={"cpu": format_cpu(request)}, limits={"cpu": format_cpu(limit)}),
    )


def _cpu(inputs: RecommendInputs, one: _Container) -> Iterator[Advice]:
    """A request that is too small or too large by more than the dead band."""
    name, wanted, request = one.size.name, one.cpu_wanted, one.cpu_request
    if not (math.isfinite(wanted) and request > 0.0):
        return
    series = inputs.history.cpu_cores.get(name)
    saving = -_price(inputs, wanted - request, 0.0)
    change = wanted / request - 1.0
    if change > (_INNER if inputs.kept(AdviceKind.RAISE_CPU_REQUEST, name) else _OUTER):
        short = one.cpu_used > request
        limit = {"cpu": format_cpu(on_cpu_grid(wanted / _ROOMY))} if 0.0 < one.cpu_limit < wanted else {}
        yield Advice(
            AdviceKind.RAISE_CPU_REQUEST,
            name,
            Severity.WARNING if short else Severity.INFO,
            f"Raise the CPU request of {name} from {format_cpu(request)} to {format_cpu(wanted)}",
            f"It uses {format_cpu(one.cpu_used)} (95th percentile), {100 * one.cpu_used / request:.0f} % of what it"
            " requests: on a full node it gets no more than its request.",
            _seen(inputs, one),
            f"Latencies stay as they are when the node fills. {inputs.cost_effect(saving)}",
            saving,
            confidence(series, _CPU_SECONDS),
            _patch(inputs, name, requests={"cpu": format_cpu(wanted)}, limits=limit),
        )
    elif -change > (_INNER if inputs.kept(AdviceKind.REDUCE_CPU_REQUEST, name) else _OUTER) and inputs.trusted:
        yield Advice(
            AdviceKind.REDUCE_CPU_REQUEST,
            name,
            Severity.INFO,
            f"Reduce the CPU request of {name} from {format_cpu(request)} to {format_cpu(wanted)}",
            f"It uses {format_cpu(one.cpu_used)} (95th percentile), {100 * one.cpu_used / request:.0f} % of what it"
            " requests.",
            _seen(inputs, one),
            f"Objectives stay as they are: the request is still {100 * (wanted / max(one.cpu_used, 1e-9) - 1):.0f} %"
            f" above that, and limits stay. {inputs.cost_effect(saving)}",
            saving,
            confidence(series, _CPU_SECONDS),
            _patch(inputs, name, requests={"cpu": format_cpu(wanted)}),
        )


def _out_of_memory(inputs: RecommendInputs, one: _Container) -> Iterator[Advice]:
    name, kind = one.size.name, AdviceKind.OUT_OF_MEMORY_RISK
    share = one.memory_peak / one.memory_limit if one.memory_limit > 0.0 else 0.0
    if not share >= (_OOM_STILL if inputs.kept(kind, name) else _OOM):
        return
    limit = max(one.memory_wanted, one.memory_peak * _OOM_BUMP, one.memory_peak + _OOM_BUMP_BYTES)
    request = max(min(one.memory_wanted, limit), one.memory_request)
    saving = -_price(inputs, 0.0, request - one.memory_request)
    yield Advice(
        kind,
        name,
        Severity.CRITICAL if share >= _OOM_SOON else Severity.WARNING,
        f"Raise the memory limit of {name} from {format_memory(one.memory_limit)} to {format_memory(limit)}",
        f"Its memory peaked at {format_memory(one.memory_peak)}, {100 * share:.0f} % of the limit: above it the kernel"
        " kills it.",
        _seen(inputs, one),
        f"No restarts for want of memory: the peak falls to {100 * one.memory_peak / limit:.0f} % of the limit."
        f" {inputs.cost_effect(saving)}",
        saving,
        confidence(inputs.history.memory_bytes.get(name), _CPU_SECONDS),
        _patch(inputs, name, requests={"memory": format_memory(request)}, limits={"memory": format_memory(limit)}),
    )


def _memory(inputs: RecommendInputs, one: _Container) -> Iterator[Advice]:
    name, wanted, request = one.size.name, one.memory_wanted, one.memory_request
    if not (math.isfinite(wanted) and request > 0.0):
        return
    series = inputs.history.memory_bytes.get(name)
    saving = -_price(inputs, 0.0, wanted - request)
    raised, reduced = AdviceKind.RAISE_MEMORY_REQUEST, AdviceKind.REDUCE_MEMORY_REQUEST
    over = one.memory_peak / request - 1.0
    if over > (-_INNER if inputs.kept(raised, name) else 0.0):
        limit = {"memory": format_memory(max(one.memory_limit, wanted))} if one.memory_limit > 0.0 else {}
        yield Advice(
            raised,
            name,
            Severity.WARNING,
            f"Raise the memory request of {name} from {format_memory(request)} to {format_memory(wanted)}",
            f"Its memory peaked at {format_memory(one.memory_peak)}, {100 * over:+.0f} % against what it requests: when"
            " the node runs short it is evicted first.",
            _seen(inputs, one),
            f"No evictions under memory pressure. {inputs.cost_effect(saving)}",
            saving,
            confidence(series, _CPU_SECONDS),
            _patch(inputs, name, requests={"memory": format_memory(wanted)}, limits=limit),
        )
    elif 1.0 - wanted / request > (_INNER if inputs.kept(reduced, name) else _OUTER) and inputs.trusted:
        yield Advice(
            reduced,
            name,
            Severity.INFO,
            f"Reduce the memory request of {name} from {format_memory(request)} to {format_memory(wanted)}",
            f"Its memory peaked at {format_memory(one.memory_peak)}, {100 * one.memory_peak / request:.0f} % of what it"
            " requests.",
            _seen(inputs, one),
            f"Objectives stay as they are: the request is still {100 * (wanted / one.memory_peak - 1):.0f} % above the"
            f" peak, and limits stay. {inputs.cost_effect(saving)}",
            saving,
            confidence(series, _MEMORY_SECONDS),
            _patch(inputs, name, requests={"memory": format_memory(wanted)}),
        )


def _price(inputs: RecommendInputs, cores: float, size_bytes: float) -> float:
    """Cost a month of so much more in each pod."""
    return monthly_cost(inputs.spec, max(inputs.replicas, 0), cores, size_bytes)


def _seen(inputs: RecommendInputs, one: _Container) -> str:
    name = one.size.name
    words = []
    if math.isfinite(one.cpu_used):
        over = span_text(inputs.history.cpu_cores.get(name))
        words.append(f"CPU of a pod: 95th percentile {format_cpu(one.cpu_used)} over {over}")
    if math.isfinite(one.memory_peak):
        over = span_text(inputs.history.memory_bytes.get(name))
        words.append(f"memory of a pod: peak {format_memory(one.memory_peak)} over {over}")
    return "; ".join(words) + "."


def _patch(
    inputs: RecommendInputs, name: str, *, requests: dict[str, str] | None = None, limits: dict[str, str] | None = None
) -> str:
    """A command that makes the change, or the run that tries it where the policy may change this container."""
    vertical = inputs.spec.vertical
    groups = [(group, amounts) for group, amounts in (("requests", requests), ("limits", limits)) if amounts]
    if inputs.by_runs and vertical is not None and policy_for(vertical, name) is not None:
        changes = [
            f"{{path: resources.{group}.{resource}, container: {name}, to: {quantity}}}"
            for group, amounts in groups
            for resource, quantity in amounts.items()
        ]
        return f"an OptimizationRun with spec.changes: [{', '.join(changes)}]"
    words = [
        f"--{group}=" + ",".join(f"{resource}={quantity}" for resource, quantity in amounts.items())
        for group, amounts in groups
    ]
    return " ".join([f"kubectl set resources {inputs.target} -c {name}", *words])
