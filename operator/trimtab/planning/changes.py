"""Changes of fields: reading a field of a workload, comparing it with a change, and the sizes a change makes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from trimtab.domain.objects import FieldOwner, Workload
from trimtab.domain.run_status import FieldChange
from trimtab.domain.status import Amounts, ContainerSize, Snapshot
from trimtab.domain.units import parse_quantity

REPLICAS: Final = "spec.replicas"
RESOURCES: Final = "resources."
_RESOURCE_PATHS: Final = tuple(
    f"{RESOURCES}{group}.{resource}" for group in ("requests", "limits") for resource in ("cpu", "memory")
)


class Seen(StrEnum):
    """What a field's live value is to a change."""

    BEFORE = "Before"
    AFTER = "After"
    OTHER = "Other"


def on_workload(changes: Iterable[FieldChange]) -> tuple[FieldChange, ...]:
    """The changes that are written to the workload; the others are to the operating point alone."""
    return tuple(change for change in changes if change.path == REPLICAS or change.path.startswith(RESOURCES))


def value(workload: Workload, path: str, container: str = "") -> str:
    """Live value of a field; empty where it is not set or the container is not there."""
    if path == REPLICAS:
        return str(workload.replicas)
    for size in workload.containers:
        if size.name == container:
            return _amount(size, path)
    return ""


def owner(workload: Workload, change: FieldChange) -> FieldOwner | None:
    """Who last wrote the field of a change."""
    return owner_of(workload, change.path, change.container)


def owner_of(workload: Workload, path: str, container: str = "") -> FieldOwner | None:
    """Who last wrote a field."""
    return next(reversed(workload.owners.get((container, path), ())), None)


def same(left: str, right: str) -> bool:
    """Whether two quantities are the same amount.

    >>> same("1", "1000m"), same("", "0"), same("1Gi", "1024Mi")
    (True, False, True)
    """
    if not left or not right:
        return left == right
    return parse_quantity(left) == parse_quantity(right)


def amount(quantity: str) -> float:
    """Number that a quantity stands for; 0 where it is not set."""
    return parse_quantity(quantity) if quantity else 0.0


def seen(workload: Workload, change: FieldChange) -> Seen:
    """What the live value is to the change; one of a container that is there no more is another."""
    if change.container and change.container not in workload.container_order:
        return Seen.OTHER
    live = value(workload, change.path, change.container)
    if same(live, change.to):
        return Seen.AFTER
    return Seen.BEFORE if same(live, change.from_) else Seen.OTHER


def lowers(change: FieldChange) -> bool:
    """Whether a change makes a value less; an amount that is not set is compared with nothing.

    >>> lowers(FieldChange(path="spec.replicas", **{"from": "6"}, to="4"))
    True
    """
    return bool(change.from_ and change.to) and amount(change.to) < amount(change.from_)


def rolls(changes: Iterable[FieldChange]) -> bool:
    """Whether the changes touch the pod template, so that every pod is replaced."""
    return any(change.path.startswith(RESOURCES) for change in changes)


def template_beside(workload: Workload, changes: Iterable[FieldChange]) -> str:
    """Digest of the pod template without what the changes write; empty where the template is not known."""
    if not workload.version:
        return ""
    written = {(change.container, change.path) for change in changes}
    parts = [workload.version, workload.restarted_at]
    for size in workload.containers:
        others = (path for path in _RESOURCE_PATHS if (size.name, path) not in written)
        parts.extend(f"{size.name} {path} {_amount(size, path)}" for path in others)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def reversed_changes(changes: Iterable[FieldChange]) -> tuple[FieldChange, ...]:
    """The changes that undo these."""
    return tuple(change.model_copy(update={"from_": change.to, "to": change.from_}) for change in changes)


def replicas_of(changes: Iterable[FieldChange]) -> int | None:
    """The replica count that the changes set, if any."""
    return next((int(parse_quantity(change.to)) for change in changes if change.path == REPLICAS), None)


def sizes_of(workload: Workload, changes: Iterable[FieldChange]) -> tuple[ContainerSize, ...]:
    """New sizes of the containers that the changes touch."""
    resized: dict[str, ContainerSize] = {}
    for change in changes:
        if not change.path.startswith(RESOURCES):
            continue
        size = resized.get(change.container) or next(c for c in workload.containers if c.name == change.container)
        resized[change.container] = _with_amount(size, change.path, change.to)
    return tuple(resized.values())


def snapshot_of(changes: Iterable[FieldChange], workload: Workload, *, after: bool) -> Snapshot:
    """The touched part of the workload before or after the changes."""
    changes = tuple(changes)
    chosen = changes if after else reversed_changes(changes)
    return Snapshot(replicas=replicas_of(chosen), containers=list(sizes_of(workload, chosen)))


def describe(changes: Iterable[FieldChange]) -> str:
    """The changes in a few words, requests standing for limits that move with them.

    >>> describe([FieldChange(path="spec.replicas", **{"from": "6"}, to="4")])
    '6→4'
    """
    words: list[str] = []
    touched = {(change.path, change.container) for change in changes}
    for change in changes:
        if change.path == REPLICAS:
            words.insert(0, f"{change.from_}→{change.to}")
        elif change.path.startswith("resources.limits."):
            if (change.path.replace("limits", "requests"), change.container) not in touched:
                words.append(f"{change.path.rpartition('.')[2]} limit {change.from_ or 'none'}→{change.to or 'none'}")
        else:
            words.append(f"{change.path.rpartition('.')[2]} {change.from_ or 'none'}→{change.to or 'none'}")
    return ", ".join(words)


def _amount(size: ContainerSize, path: str) -> str:
    _, group, resource = path.split(".")
    amounts = size.requests if group == "requests" else size.limits
    return amounts.cpu if resource == "cpu" else amounts.memory


def _with_amount(size: ContainerSize, path: str, amount: str) -> ContainerSize:
    _, group, resource = path.split(".")
    amounts: Amounts = size.requests if group == "requests" else size.limits
    return size.model_copy(update={group: amounts.model_copy(update={resource: amount})})
