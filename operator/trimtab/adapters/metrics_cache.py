"""What was read of each policy so far, in memory, so that a round reads only what is new. Pure.

What was added since it was last stored is known too (`MetricsCache.take_unsaved`), and what was stored can be put back
after a restart (`MetricsCache.restore`), from where it then goes on.

Memory: 8 bytes a sample, for (3 + objectives + 2 × containers) series of ``history / interval`` samples each. A policy
with the default 168h at 60s, one container and two objectives has 7 series and takes 0.6 MB.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from trimtab.adapters.prometheus_wire import FailureKind
from trimtab.adapters.signals import count_start, grid_floor
from trimtab.adapters.signals_kube import Signal, default_query
from trimtab.adapters.signals_requests import SignalQuery, SignalRequest, objective_name
from trimtab.adapters.signals_results import FetchResult, listed_pods
from trimtab.domain.choices import TargetKind
from trimtab.domain.history import LISTED_PODS, Coverage, WorkloadHistory
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
    matchers: tuple[tuple[str, str], ...] = ()


class Slot(NamedTuple):
    """Place of a series in a history, and the signal that it is read with."""

    field: str
    name: str
    signal: str

    @property
    def text(self) -> str:
        """As it is stored, and read by `parse`; only the signal may have a slash in it."""
        return "/".join(self)

    @staticmethod
    def parse(text: str) -> Slot:
        """Raises ValueError for a text that is none.

        >>> Slot.parse(Slot("objectives", "p99", "objective/p99").text).signal
        'objective/p99'
        """
        place, name, signal = text.split("/", 2)
        if place not in _FIELDS:
            raise ValueError(f"{text!r} is no place in a history")
        return Slot(place, name, signal)


_FIELDS: Final = frozenset({"load", "replicas", "cpu_size", "cpu_cores", "memory_bytes", "throttled", "objectives"})


@dataclass(frozen=True, slots=True)
class Readings:
    """What must be known of stored samples to go on from them."""

    step_seconds: float
    history_seconds: float
    origins: dict[str, str]
    """By signal, a digest of where its samples come from."""
    read_to: dict[str, float]
    """Time up to which each signal was read."""
    startup_seconds: float | None


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What is to be stored of one policy."""

    readings: Readings
    series: dict[Slot, Series]
    since: dict[Slot, float]
    """Time from which on each changed series is to be stored anew; one that is not in ``series`` is gone."""
    whole: bool
    """Nothing that was stored of this policy before holds any more."""


@dataclass(slots=True)
class _Entry:
    step_seconds: float
    history_seconds: float
    series: dict[Slot, Series] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    read_to: dict[str, float] = field(default_factory=dict)
    """Time up to which each signal was read."""
    startup_seconds: float | None = None
    unsaved: dict[Slot, float] = field(default_factory=dict)
    """Time from which on each series differs from what is stored."""
    whole: bool = True
    """Nothing of this entry is stored yet."""
    coverage: dict[str, Coverage] = field(default_factory=dict)
    """Counts of pods; they are not stored, and read anew after a restart."""


class MetricsCache:
    """Histories by uid of the policy. Where query, window or target of a signal change, this signal is read anew."""

    def __init__(self, matchers: tuple[tuple[str, str], ...] = ()) -> None:
        """``matchers`` are what every series must have: what was read under others is worth nothing."""
        self._matchers = matchers
        self._entries: dict[str, _Entry] = {}

    @property
    def memory_bytes(self) -> int:
        """Bytes of all samples held."""
        return sum(series.values.nbytes for entry in self._entries.values() for series in entry.series.values())

    def keep_only(self, uids: Iterable[str]) -> None:
        """Forgets the policies that are not among ``uids``."""
        wanted = set(uids)
        self._entries = {uid: entry for uid, entry in self._entries.items() if uid in wanted}

    def forget(self, uids: Iterable[str]) -> None:
        """Forgets some policies."""
        for uid in uids:
            self._entries.pop(uid, None)

    def restore(self, uid: str, readings: Readings, series: Mapping[Slot, Series], now: float) -> bool:
        """Put back what was stored of a policy; whether it could be used.

        What claims to have been read after ``now`` was written by a clock that was wrong, and is read anew. Where
        something was read already, because the store could not be used before, older samples go before it.
        """
        times = [*readings.read_to.values(), *(one.end for one in series.values())]
        sound = readings.step_seconds > 0 and all(time <= now + readings.step_seconds for time in times)
        if not sound or readings.read_to.keys() - readings.origins.keys():
            return False
        entry = self._entries.get(uid)
        if entry is not None:
            return entry.step_seconds == readings.step_seconds and _put_before(entry, readings, series)
        self._entries[uid] = _Entry(
            readings.step_seconds,
            readings.history_seconds,
            {slot: one for slot, one in series.items() if slot.signal in readings.origins},
            dict(readings.origins),
            dict(readings.read_to),
            readings.startup_seconds,
            whole=False,
        )
        return True

    def take_unsaved(self, uid: str) -> Unsaved | None:
        """What is not stored yet of a policy, which then counts as stored; None when there is nothing."""
        entry = self._entries.get(uid)
        if entry is None or not (entry.unsaved or entry.whole):
            return None
        readings = Readings(
            entry.step_seconds, entry.history_seconds, dict(entry.origins), dict(entry.read_to), entry.startup_seconds
        )
        taken = Unsaved(readings, dict(entry.series), entry.unsaved, entry.whole)
        entry.unsaved, entry.whole = {}, False
        return taken

    def put_back(self, uid: str, unsaved: Unsaved) -> None:
        """It could not be stored: it is unsaved still."""
        entry = self._entries.get(uid)
        if entry is None:
            return
        entry.whole = entry.whole or unsaved.whole
        for slot, since in unsaved.since.items():
            entry.unsaved[slot] = min(since, entry.unsaved.get(slot, math.inf))

    def nothing_is_stored(self) -> None:
        """The store is a new one: all that is held is to be stored."""
        for entry in self._entries.values():
            entry.whole = True

    def request(
        self,
        uid: str,
        namespace: str,
        spec: PolicySpec,
        now: float,
        window_seconds: float,
        counted_since: float | None = None,
        throttling: bool = False,
    ) -> SignalRequest:
        """What is missing of a policy's history at ``now``, in unix seconds, on multiples of the policy's interval.

        ``counted_since`` is from when on counts of pods are needed; None for those of now. ``throttling`` says that CPU
        throttling is wanted too.
        """
        step = spec.analysis.interval
        until = grid_floor(now, step)
        since = grid_floor(until - spec.analysis.history, step)
        request = SignalRequest(
            uid, namespace, spec, since, until, step, window_seconds, counted_since=counted_since, throttling=throttling
        )
        entry = self._usable(request)
        origins = self._origins(request)
        resumed = {
            name: max(since, min(until, read_to - OVERLAP_STEPS * step))
            for name, read_to in entry.read_to.items()
            if entry.origins[name] == origins.get(name)
        }
        if counted_since is not None and entry.coverage:
            held = [coverage.ready for coverage in entry.coverage.values()]
            recent = count_start(request)
            if all(one.start <= counted_since and one.end >= recent for one in held):
                resumed |= {count.name: recent for count in request.counts}
        return replace(request, resumed=resumed)

    def absorb(self, request: SignalRequest, result: FetchResult) -> WorkloadHistory:
        """The history with what was read for ``request``: all series from one start to ``request.until``, gaps as NaN.

        A signal that failed keeps its older samples and is read from there next time; one without data counts as read.
        """
        entry, origins = self._usable(request), self._origins(request)
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
        for slot in entry.series.keys() - old.keys():
            entry.unsaved[slot] = -math.inf
        for slot, series in new.items():
            since = -math.inf if slot not in old else series.start
            entry.unsaved[slot] = min(since, entry.unsaved.get(slot, math.inf))
        entry.series = _merged(old, new, request)
        entry.origins = origins
        entry.read_to = {name: time for name, time in entry.read_to.items() if name in origins}
        entry.history_seconds = request.spec.analysis.history
        entry.startup_seconds = result.history.startup_seconds or entry.startup_seconds
        since = min(count_start(request), math.inf if request.counted_since is None else request.counted_since)
        entry.coverage |= {
            name: new if (older := entry.coverage.get(name)) is None else older.joined(new, request.until - since)
            for name, new in result.history.coverage.items()
        }
        if (listed := entry.coverage.get(LISTED_PODS)) is not None:  # read from further back than the replicas
            replicas = _history(entry, request.spec).replicas
            entry.coverage[LISTED_PODS] = listed_pods(listed.seen, replicas, listed.window_seconds)
        self._entries[request.key] = entry
        return _history(entry, request.spec)

    def _origins(self, request: SignalRequest) -> dict[str, str]:
        target, window = request.spec.target_ref, request.window_seconds
        return {
            query.name: _digest(_Origin(query, request.namespace, target.kind, target.name, window, self._matchers))
            for query in request.queries
        }

    def _usable(self, request: SignalRequest) -> _Entry:
        """The entry of a policy; an empty one where the grid has changed or more history is wanted than is held."""
        step, length = request.step_seconds, request.spec.analysis.history
        entry = self._entries.get(request.key)
        if entry is None or entry.step_seconds != step or entry.history_seconds < length:
            return _Entry(step, length)
        return entry


def _put_before(entry: _Entry, readings: Readings, series: Mapping[Slot, Series]) -> bool:
    """Older samples of the same origin before those that were read; whether there were any."""
    found = False
    for slot, older in series.items():
        newer = entry.series.get(slot)
        same = readings.origins.get(slot.signal, "") == entry.origins.get(slot.signal)
        if newer is not None and same and older.start < newer.start:
            entry.series[slot] = older.joined(newer, newer.end - older.start)
            found = True
    return found


@lru_cache(maxsize=65_536)
def _digest(origin: _Origin) -> str:
    """The same in every process, for as long as the same PromQL is sent."""
    query = origin.query
    sent = query.template
    if sent is None:
        sent = default_query(Signal(query.name), origin.namespace, {origin.kind: {origin.target}}, "$window", ())
    parts = (sent, query.target_label, query.unit, bool(query.by), *origin[1:3], origin.target)
    text = "\0".join([*map(str, parts), repr(origin.window_seconds), *map(repr, origin.matchers)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _slots(history: WorkloadHistory, spec: PolicySpec) -> dict[Slot, Series]:
    """The series of a history that have samples."""
    load = Signal.CPU if spec.metrics.load is None else Signal.LOAD
    slots = {
        Slot("load", "", load): history.load,
        Slot("replicas", "", Signal.REPLICAS): history.replicas,
        Slot("cpu_size", "", Signal.CPU_SIZE): history.cpu_size,
    }
    slots |= {Slot("cpu_cores", name, Signal.CPU): series for name, series in history.cpu_cores.items()}
    slots |= {Slot("memory_bytes", name, Signal.MEMORY): series for name, series in history.memory_bytes.items()}
    slots |= {Slot("throttled", name, Signal.THROTTLED): series for name, series in history.throttled.items()}
    slots |= {Slot("objectives", name, objective_name(name)): series for name, series in history.objectives.items()}
    return {slot: series for slot, series in slots.items() if len(series)}


def _merged(old: dict[Slot, Series], new: dict[Slot, Series], request: SignalRequest) -> dict[Slot, Series]:
    """Both on one grid, the newer samples over the older ones, cut to the length of the history."""
    step = request.step_seconds
    starts = [series.start for series in old.values()] + [_first(series) for series in new.values()]
    start = max(request.since, min(starts, default=request.until))
    count = round((request.until - start) / step) + 1
    merged: dict[Slot, Series] = {}
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
        throttled=group("throttled"),
        objectives={o.name: objectives.get(o.name, empty(entry.step_seconds)) for o in spec.objectives},
        startup_seconds=entry.startup_seconds,
        coverage=dict(entry.coverage),
        read_to=dict(entry.read_to),
    )
