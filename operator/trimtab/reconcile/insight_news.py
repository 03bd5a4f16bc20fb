"""Which anomalies are news: they get an Event, a count and a place in the store, each once."""

from __future__ import annotations

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.watch import WatchState
from trimtab.domain.insights import AnomaliesState
from trimtab.planning.findings import Insights


def news(found: Insights | None, before: WatchState | None, told: AnomaliesState | None) -> tuple[Anomaly, ...]:
    """Anomalies that began in this round, and those that went on already when their signal was seen first.

    ``before`` is what the round before left, of this process or through the store of the last one; ``told`` is what the
    status says, so that without a store a restart does not tell of the gravest one again.
    """
    if found is None:
        return ()
    known = {name for name, signal in before.signals.items() if signal.episode is not None} if before else set()
    if told is not None and told.latest is not None and told.latest.until is None:
        known.add(told.latest.signal)
    new, active = found.watched.new, found.watched.active
    return (*new, *(one for one in active if one not in new and one.signal not in known))
