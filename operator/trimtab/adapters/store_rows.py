"""Statements of the store: what a batch writes, what a policy's rows say. All of it is SQL that any database knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from trimtab.adapters.store_samples import Chunk, chunks_of, index_of
from trimtab.adapters.store_schema import anomalies, model_changes, policies, samples, states
from trimtab.analytics.anomaly import Anomaly
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.series import Series

GRACE_SECONDS: Final = 7 * 86_400.0
"""How long a policy's rows are kept when it is seen no more: an operator that sees less must not forget for others."""
_GROUP: Final = 64
"""Policies whose rows are in memory at a time, and in one list of a query."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class State:
    """An encoded state."""

    fingerprint: str
    at: float
    """When it was encoded."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Samples:
    """The changed samples of one policy."""

    series: dict[str, Series]
    """By slot."""
    since: dict[str, float]
    """Time from which on each is to be written anew; one that is not in ``series`` is gone."""
    whole: bool
    """All that was stored before is to go."""
    oldest: float
    """Samples before are not kept."""
    step_seconds: float


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """Whose rows they are."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A change of the model that forecasts a policy's demand."""

    at: float
    from_: str
    to: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction."""

    samples: dict[str, Samples] = field(default_factory=dict)
    """By uid."""
    states: dict[str, dict[str, State]] = field(default_factory=dict)
    """By uid and name."""
    seen: tuple[PolicyRef, ...] = ()
    """Policies that are there now."""
    anomalies: tuple[tuple[PolicyRef, Anomaly], ...] = ()
    model_changes: tuple[tuple[PolicyRef, ModelChange], ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What there is of one policy."""

    chunks: tuple[Chunk, ...] = ()
    states: dict[str, State] = field(default_factory=dict)


def write(connection: Connection, batch: Batch, now: float) -> None:
    """Write a batch; rows of the same key are replaced."""
    for group in _groups(list(batch.samples.items())):
        _write_samples(connection, dict(group))
    rows = [
        {"policy_uid": uid, "name": name, "fingerprint": one.fingerprint, "at": one.at, "data": one.data}
        for uid, named in batch.states.items()
        for name, one in named.items()
    ]
    _replace(connection, states, ("policy_uid", "name"), rows)
    seen = [{"uid": one.uid, "namespace": one.namespace, "name": one.name, "seen_at": now} for one in batch.seen]
    _replace(connection, policies, ("uid",), seen)
    _replace(
        connection,
        anomalies,
        ("policy_uid", "signal", "started_at"),
        [_anomaly_row(policy, one) for policy, one in batch.anomalies],
    )
    changes = [
        {
            "policy_uid": policy.uid,
            "namespace": policy.namespace,
            "policy": policy.name,
            "at": one.at,
            "from_model": one.from_,
            "to_model": one.to,
            "reason": one.reason,
        }
        for policy, one in batch.model_changes
    ]
    _replace(connection, model_changes, ("policy_uid", "at"), changes)


def read(connection: Connection, uids: Sequence[str]) -> Iterator[tuple[str, Stored]]:
    """What there is of each policy, a few of them at a time."""
    for group in _groups(uids):
        chunks: dict[str, list[Chunk]] = {}
        named: dict[str, dict[str, State]] = {}
        for row in connection.execute(select(samples).where(samples.c.policy_uid.in_(group))):
            chunk = Chunk(row.slot, row.chunk, row.step_seconds, row.unit, row.data)
            chunks.setdefault(row.policy_uid, []).append(chunk)
        for row in connection.execute(select(states).where(states.c.policy_uid.in_(group))):
            named.setdefault(row.policy_uid, {})[row.name] = State(row.fingerprint, row.at, row.data)
        for uid in group:
            yield uid, Stored(tuple(chunks.get(uid, ())), named.get(uid, {}))


def read_anomalies(connection: Connection, uid: str | None, since: float) -> list[tuple[PolicyRef, Anomaly]]:
    """Anomalies of a policy, or of all, that began at ``since`` or later, oldest first; unknown kinds are left out."""
    query = select(anomalies).where(anomalies.c.started_at >= since).order_by(anomalies.c.started_at, anomalies.c.id)
    if uid is not None:
        query = query.where(anomalies.c.policy_uid == uid)
    found = []
    for row in connection.execute(query):
        try:
            kind, severity = AnomalyKind(row.kind), Severity(row.severity)
        except ValueError:
            continue
        one = Anomaly(
            signal=row.signal,
            kind=kind,
            severity=severity,
            start=row.started_at,
            end=row.ended_at,
            value=_number(row.value),
            expected=_number(row.expected),
            score=_number(row.score),
            evidence=row.evidence,
        )
        found.append((PolicyRef(row.policy_uid, row.namespace, row.policy), one))
    return found


def read_model_changes(connection: Connection, uid: str | None, since: float) -> list[tuple[PolicyRef, ModelChange]]:
    """Changes of models of a policy, or of all, at ``since`` or later, oldest first."""
    query = select(model_changes).where(model_changes.c.at >= since).order_by(model_changes.c.at, model_changes.c.id)
    if uid is not None:
        query = query.where(model_changes.c.policy_uid == uid)
    return [
        (
            PolicyRef(row.policy_uid, row.namespace, row.policy),
            ModelChange(row.at, row.from_model, row.to_model, row.reason),
        )
        for row in connection.execute(query)
    ]


def tidy(connection: Connection, now: float, retention_seconds: float) -> None:
    """Forget policies that were not seen for the time of grace, and what happened before the retention."""
    gone = select(policies.c.uid).where(policies.c.seen_at < now - GRACE_SECONDS)
    for table in (samples, states):
        connection.execute(delete(table).where(table.c.policy_uid.in_(gone)))
    connection.execute(delete(policies).where(policies.c.seen_at < now - GRACE_SECONDS))
    # What is still learned is written again and again; what is not belongs to parts that there are no more.
    connection.execute(delete(states).where(states.c.at < now - GRACE_SECONDS))
    connection.execute(delete(anomalies).where(anomalies.c.started_at < now - retention_seconds))
    connection.execute(delete(model_changes).where(model_changes.c.at < now - retention_seconds))


_DELETE_ALL = delete(samples).where(samples.c.policy_uid == bindparam("uid"))
_DELETE_CHUNKS = delete(samples).where(
    samples.c.policy_uid == bindparam("uid"),
    samples.c.slot == bindparam("place"),
    samples.c.chunk >= bindparam("first"),
)
_DELETE_OLD = delete(samples).where(samples.c.policy_uid == bindparam("uid"), samples.c.chunk < bindparam("oldest"))


def _write_samples(connection: Connection, group: dict[str, Samples]) -> None:
    """Delete the chunks that change and those that are too old, and write the former anew."""
    whole: list[dict[str, Any]] = []
    old: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    for uid, given in group.items():
        if given.whole:
            whole.append({"uid": uid})
        else:
            old.append({"uid": uid, "oldest": index_of(given.oldest, given.step_seconds)})
        for slot in given.series.keys() if given.whole else given.since.keys():
            series = given.series.get(slot)
            since = -math.inf if given.whole or series is None else given.since[slot]
            if not given.whole:
                changed.append({"uid": uid, "place": slot, "first": index_of(since, given.step_seconds)})
            if series is not None:
                new += [
                    {
                        "policy_uid": uid,
                        "slot": slot,
                        "chunk": chunk.number,
                        "step_seconds": chunk.step_seconds,
                        "unit": chunk.unit,
                        "data": chunk.data,
                    }
                    for chunk in chunks_of(slot, series, max(since, given.oldest))
                ]
    for statement, rows in (
        (_DELETE_ALL, whole),
        (_DELETE_OLD, old),
        (_DELETE_CHUNKS, changed),
        (insert(samples), new),
    ):
        if rows:
            connection.execute(statement, rows)


def _replace(connection: Connection, table: Table, key: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    same = delete(table).where(*(table.c[name] == bindparam(f"key_{name}") for name in key))
    connection.execute(same, [{f"key_{name}": row[name] for name in key} for row in rows])
    connection.execute(insert(table), rows)


def _anomaly_row(policy: PolicyRef, one: Anomaly) -> dict[str, Any]:
    return {
        "policy_uid": policy.uid,
        "namespace": policy.namespace,
        "policy": policy.name,
        "signal": one.signal,
        "kind": one.kind.value,
        "severity": one.severity.value,
        "started_at": one.start,
        "ended_at": one.end,
        "value": _finite(one.value),
        "expected": _finite(one.expected),
        "score": _finite(one.score),
        "evidence": one.evidence,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _groups(all_of_them: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(all_of_them), _GROUP):
        yield all_of_them[start : start + _GROUP]
