"""What is stored of a policy: from what is known in memory to rows, and back as far as they can be trusted. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import structlog

from trimtab.adapters.codec import CodecError, decode, encode, fingerprint
from trimtab.adapters.metrics_cache import Readings, Slot, Unsaved
from trimtab.adapters.store_rows import Samples, State, Stored
from trimtab.adapters.store_samples import series_of
from trimtab.domain.series import Series
from trimtab.planning.findings import Known

READINGS: Final = "readings"
_STATE_BYTES_A_BATCH: Final = 32 * 2**20
"""States beyond this wait for the next batch, so that many policies do not fill the memory."""
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was stored of one policy, as far as it can be used."""

    readings: Readings | None
    series: dict[Slot, Series]
    known: Known | None


def restored(stored: Stored, now: float) -> Restored:
    """What is stored of one policy, as far as it is whole, of our time and of the present shape of its types."""
    readings, series = _restored_samples(stored, now)
    return Restored(readings, series, _restored_known(stored, now))


def _restored_samples(stored: Stored, now: float) -> tuple[Readings | None, dict[Slot, Series]]:
    readings: Readings | None = _decoded(stored.states.get(READINGS), Readings, now)
    if readings is None or not readings.step_seconds > 0 or not readings.history_seconds > 0:
        return None, {}
    since = now - readings.history_seconds - readings.step_seconds
    try:
        found = series_of(stored.chunks, readings.step_seconds, since, now)
        return readings, {Slot.parse(text): series for text, series in found.items()}
    except ValueError as error:
        _log.warning("stored samples cannot be used and are read again", error=str(error))
        return None, {}


def _restored_known(stored: Stored, now: float) -> Known | None:
    """Each part on its own: one whose type has changed since is learned again, and the others stay."""
    kinds = get_type_hints(Known)
    parts = {name: _decoded(stored.states.get(_state_name(name)), kind, now) for name, kind in kinds.items()}
    optional = [name for name, kind in kinds.items() if NoneType in get_args(kind)]
    given = {name: part for name, part in parts.items() if part is not None or name in optional}
    try:
        return Known(**given)
    except TypeError:  # a part is missing that there is no default for
        return None


def _decoded(state: State | None, kind: Any, now: float) -> Any:
    """None for what has another shape, is damaged, or was stored after now, by a clock that was wrong."""
    try:
        usable = state is not None and state.at <= now and state.fingerprint == fingerprint(kind)
    except CodecError as error:
        _log.error("cannot be restored", error=str(error))
        return None
    return decode(state.data, kind) if usable and state is not None else None


def encoded(taken: dict[str, Unsaved], known: dict[str, Known | None], now: float) -> dict[str, dict[str, State]]:
    """States by uid and name: readings of all, and what is known of as many as one batch may hold."""
    kinds = get_type_hints(Known)
    states: dict[str, dict[str, State]] = {
        uid: {READINGS: State(fingerprint(Readings), now, encode(one.readings, Readings))} for uid, one in taken.items()
    }
    size = 0
    for uid, all_of_it in known.items():
        if size > _STATE_BYTES_A_BATCH:
            break
        for part in fields(Known):
            kind = kinds[part.name]
            try:
                state = State(fingerprint(kind), now, encode(getattr(all_of_it, part.name), kind))
            except CodecError as error:
                _log.error("not stored; it is learned again after a restart", part=part.name, error=str(error))
                continue
            states.setdefault(uid, {})[_state_name(part.name)] = state
            size += len(state.data)
    return states


def _state_name(part: str) -> str:
    return f"known.{part}"


def changed_samples(unsaved: Unsaved) -> Samples:
    """What of a policy's samples is to be written, and what is to go."""
    readings = unsaved.readings
    newest = max((one.end for one in unsaved.series.values()), default=0.0)
    return Samples(
        series={slot.text: series for slot, series in unsaved.series.items()},
        since={slot.text: since for slot, since in unsaved.since.items()},
        whole=unsaved.whole,
        oldest=newest - readings.history_seconds,
        step_seconds=readings.step_seconds,
    )
