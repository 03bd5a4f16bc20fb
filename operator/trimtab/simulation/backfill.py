"""History for a Prometheus: a virtual run of a scenario, as OpenMetrics text with the names of the live metrics.

`promtool tsdb create-blocks-from openmetrics FILE DIR` turns the file into blocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

import numpy as np

from trimtab.simulation.exposition import number
from trimtab.simulation.plans import Plan
from trimtab.simulation.recording import Recorder, SeriesLog, Written
from trimtab.simulation.scenario import Scenario, SimulatedService
from trimtab.simulation.service import Observation
from trimtab.simulation.views import PodView
from trimtab.simulation.virtual import VirtualPod, VirtualWorkload

CONTROL_SECONDS = 15.0
"""How often the plan is asked: the HPA's own interval, or every scrape where they are further apart."""

LivePods = Mapping[tuple[str, str], Sequence[PodView]]


def backfill(
    scenario: Scenario,
    start: float,
    end: float,
    step_seconds: float,
    out: TextIO,
    plan: Callable[[SimulatedService], Plan],
    live_pods: LivePods | None = None,
) -> Written:
    """Write what a Prometheus would have scraped of the scenario every `step_seconds` in (start, end], Unix seconds.

    `plan` makes each service's plan of replicas. With `live_pods` (by namespace and service) history starts
    with their number and size, and the pods that are there at the end carry their names, so that series go on
    without a seam; counters begin anew, which `rate()` takes for a restart. A pod that is gone has no staleness
    marker, as text cannot carry one: instant queries see it for the lookback delta (5 min).

    Raises ValueError for an empty range, and a step that is neither below a second nor whole seconds.
    """
    run_step = min(step_seconds, 1.0)
    if step_seconds <= 0 or abs(step_seconds / run_step - round(step_seconds / run_step)) > 1e-9:
        raise ValueError(f"step must be whole seconds, or less than one, not {step_seconds}")
    count = int((end - start) / step_seconds + 1e-9)
    if count < 1:
        raise ValueError(f"no step of {step_seconds} s fits between {start} and {end}")
    log = SeriesLog(",".join(f'{name}="{text}"' for name, text in scenario.target_labels.items()))
    for config in scenario.services:
        pods = (live_pods or {}).get(config.key, ())
        sized = _sized(config, pods)

        def play(sized: SimulatedService = sized) -> Iterator[tuple[VirtualWorkload, Observation]]:
            workload = VirtualWorkload(sized, start, run_step, scenario.origin)
            return _play(workload, plan(sized), count * step_seconds, max(CONTROL_SECONDS, step_seconds))

        live_replica_set = pods[0].owner_name if pods and config.kind == "Deployment" else ""
        names = _names(play(), pods) if pods else {}
        recorder = Recorder(log, start, step_seconds, names, live_replica_set)
        for workload, observation in play():
            recorder.record(workload, observation)
    return log.write(out, [number(moment) for moment in (start + step_seconds * np.arange(1, count + 1)).tolist()])


def _play(
    workload: VirtualWorkload, plan: Plan, seconds: float, control_seconds: float
) -> Iterator[tuple[VirtualWorkload, Observation]]:
    end = workload.now + seconds
    interval = max(1, round(control_seconds / workload.step_seconds)) * workload.step_seconds
    while workload.now < end - 1e-6:
        workload.scale(plan(workload))
        for observation in workload.stretches(min(interval, end - workload.now)):
            yield workload, observation


def _sized(config: SimulatedService, pods: Sequence[PodView]) -> SimulatedService:
    """The service with as many and as large pods as there are live."""
    container = pods[0].container(config.container) if pods else None
    if container is None:
        return config
    size = {"replicas": len(pods)}
    found = {**container.requests, **container.limits}
    return config.model_copy(update=size | {name: found[name] for name in ("cpu", "memory") if name in found})


def _names(run: Iterator[tuple[VirtualWorkload, Observation]], pods: Sequence[PodView]) -> dict[str, PodView]:
    """Which live pod each virtual pod that is there at the end stands for, by the virtual name."""
    last: list[VirtualPod] = []
    for workload, _ in run:
        last = sorted(workload.pods.values(), key=lambda member: member.ordinal)
    ordered = sorted(pods, key=lambda view: (view.created_at, view.name))
    return {member.pod.name: view for member, view in zip(last, ordered, strict=False)}
