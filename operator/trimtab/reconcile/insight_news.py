"""Which anomalies are news: they get an Event, a count and a place in the store, each once."""

from __future__ import annotations

from typing import Final

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.watch import WatchState
from trimtab.domain.insights import AnomaliesState, AnomalyState
from trimtab.planning.findings import Insights

_STATUS_SECONDS: Final = 1.0
"""Times in a status are whole seconds."""


def news(found: Insights | None, before: WatchState | None, told: AnomaliesState | None) -> tuple[Anomaly, ...]:
    """Anomalies that began in this round, and those that went on already when their signal was seen first.

    ``before`` is what the round before left, of this process or through the store of the last one; ``told`` is what the
    status says, so that a restart does not tell of the gravest one again, without a store or where the store is older.
    """
    if found is None:
        return ()
    latest = told.latest if told is not None else None
    known = _going_on(before) if before is not None else set()
    if latest is not None and latest.until is None:
        known.add(latest.signal)
    new, active = found.watched.new, found.watched.active
    begun = [one for one in new if latest is None or not _is(one, latest)]
    return (*begun, *(one for one in active if one not in new and one.signal not in known))


def _going_on(state: WatchState) -> set[str]:
    """Signals with an anomaly that was not over."""
    names = {name for name, signal in state.signals.items() if signal.episode is not None}
    if state.joint is not None and state.joint.episode is not None:
        names.add(state.joint.episode.signal)
    return names


def _is(one: Anomaly, told: AnomalyState) -> bool:
    return one.signal == told.signal and abs(one.start - told.since) <= _STATUS_SECONDS
