"""What was read of each policy so far, in memory, so that a round reads only what is new. Pure.

Memory: 8 bytes a sample, for (3 + objectives + 2 × containers) series of ``history / interval`` samples each. A policy
with the default 168h at 60s, one container and two objectives has 7 series and takes 0.6 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from trimtab.adapters.prometheus_wire import FailureKind
from trimtab.adapters.signals import grid_floor
from trimtab.adapters.signals_kube import Signal
from trimtab.adapters.signals_requests import SignalQuery, SignalRequest, objective_name
from trimtab.adapters.signals_results import FetchResult
from trimtab.domain.choices import TargetKind
from trimtab.domain.history import WorkloadHistory
from trimtab.domain.policy import PolicySpec
from trimtab.domain.series import Series, empty

OVERLAP_STEPS: Final = 2
"""Steps that are read again: a scrape that came late has changed them."""


class _Origin(NamedTuple):
    """Where a signal's samples come from: with another origin, older samples are worth nothing."""

    query: SignalQuery
    namespace: str
    kind: TargetKind
    target: str
    window_seconds: float


class _Slot(NamedTuple):
    """Place of a series in a history, and the signal that it is read with."""

    field: str
    name: str
    signal: str


@dataclass(slots=True)
class _Entry:
    step_seconds: float
    history_seconds: float
    series: dict[_Slot, Series] = field(default_factory=dict)
    origins: dict[str, _Origin] = field(default_factory=dict)
    read_to: dict[str, float] = field(default_factory=dict)
    """Time up to which each signal was read."""
    startup_seconds: float | None = None


class MetricsCache:
    """Histories by uid of the policy. Where query, window or target of a signal change, this signal is read anew."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    @property
    def memory_bytes(self) -> int:
        """Bytes of all samples held."""
        return sum(series.values.nbytes for entry in self._entries.values() for series in entry.series.values())

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forgets the policies that are not among ``uids``."""
        wanted = set(uids)
        self._entries = {uid: entry for uid, entry in self._entries.items() if uid in wanted}

    def request(self, uid: str, namespace: str, spec: PolicySpec, now: float, window_seconds: float) -> SignalRequest:
        """What is missing of a policy's history at ``now``, in unix seconds, on multiples of the policy's interval."""
        step = spec.analysis.interval
        until = grid_floor(now, step)
        since = grid_floor(until - spec.analysis.history, step)
        request = SignalRequest(uid, namespace, spec, since, until, step, window_seconds)
        entry = self._usable(request)
        origins = _origins(request)
        resumed = {
            name: max(since, min(until, read_to - OVERLAP_STEPS * step))
            for name, read_to in entry.read_to.items()
            if entry.origins[name] == origins.get(name)
        }
        return replace(request, resumed=resumed)

    def absorb(self, request: SignalRequest, result: FetchResult) -> WorkloadHistory:
        """The history with what was read for ``request``: all series from one start to ``request.until``, gaps as NaN.

        A signal that failed keeps its older samples and is read from there next time; one without data counts as read.
        """
        entry, origins = self._usable(request), _origins(request)
        old = {
            slot: kept
            for slot, kept in entry.series.items()
            if entry.origins.get(slot.signal) == origins.get(slot.signal)
        }
        new = _slots(result.history, request.spec)
        for name, origin in origins.items():
            failure = result.failures.get(name)
            if failure is None or failure.kind is FailureKind.NO_DATA:
                entry.read_to[name] = request.until
            elif entry.origins.get(name) != origin:
                entry.read_to.pop(name, None)
        entry.series = _merged(old, new, request)
        entry.origins = origins
        entry.read_to = {name: time for name, time in entry.read_to.items() if name in origins}
        entry.history_seconds = request.spec.analysis.history
        entry.startup_seconds = result.history.startup_seconds or entry.startup_seconds
        self._entries[request.key] = entry
        return _history(entry, request.spec)

    def _usable(self, request: SignalRequest) -> _Entry:
        """The entry of a policy; an empty one where the grid has changed or more history is wanted than is held."""
        step, length = request.step_seconds, request.spec.analysis.history
        entry = self._entries.get(request.key)
        if entry is None or entry.step_seconds != step or entry.history_seconds < length:
            return _Entry(step, length)
        return entry


def _origins(request: SignalRequest) -> dict[str, _Origin]:
    target = request.spec.target_ref
    return {
        query.name: _Origin(query, request.namespace, target.kind, target.name, request.window_seconds)
        for query in request.queries
    }


def _slots(history: WorkloadHistory, spec: PolicySpec) -> dict[_Slot, Series]:
    """The series of a history that have samples."""
    load = Signal.CPU if spec.metrics.load is None else Signal.LOAD
    slots = {
        _Slot("load", "", load): history.load,
        _Slot("replicas", "", Signal.REPLICAS): history.replicas,
        _Slot("cpu_size", "", Signal.CPU_SIZE): history.cpu_size,
    }
    slots |= {_Slot("cpu_cores", name, Signal.CPU): series for name, series in history.cpu_cores.items()}
    slots |= {_Slot("memory_bytes", name, Signal.MEMORY): series for name, series in history.memory_bytes.items()}
    slots |= {_Slot("objectives", name, objective_name(name)): series for name, series in history.objectives.items()}
    return {slot: series for slot, series in slots.items() if len(series)}


def _merged(old: dict[_Slot, Series], new: dict[_Slot, Series], request: SignalRequest) -> dict[_Slot, Series]:
    """Both on one grid, the newer samples over the older ones, cut to the length of the history."""
    step = request.step_seconds
    starts = [series.start for series in old.values()] + [_first(series) for series in new.values()]
    start = max(request.since, min(starts, default=request.until))
    count = round((request.until - start) / step) + 1
    merged: dict[_Slot, Series] = {}
    for slot in {**old, **new}:
        parts = [part[slot] for part in (old, new) if slot in part]
        values = np.full(count, np.nan)
        for part in parts:
            offset = round((part.start - start) / step)
            low, high = max(0, offset), min(count, offset + len(part))
            values[low:high] = part.values[low - offset : max(low, high) - offset]
        if np.isfinite(values).any():
            merged[slot] = Series(start, step, values, parts[-1].unit)
    return merged


def _first(series: Series) -> float:
    """Time of the first sample."""
    return series.start + int(np.argmax(np.isfinite(series.values))) * series.step_seconds


def _history(entry: _Entry, spec: PolicySpec) -> WorkloadHistory:
    def group(name: str) -> dict[str, Series]:
        return {slot.name: series for slot, series in entry.series.items() if slot.field == name}

    def single(name: str) -> Series:
        return group(name).get("", empty(entry.step_seconds))

    objectives = group("objectives")
    return WorkloadHistory(
        load=single("load"),
        replicas=single("replicas"),
        cpu_size=single("cpu_size"),
        cpu_cores=group("cpu_cores"),
        memory_bytes=group("memory_bytes"),
        objectives={o.name: objectives.get(o.name, empty(entry.step_seconds)) for o in spec.objectives},
        startup_seconds=entry.startup_seconds,
    )
