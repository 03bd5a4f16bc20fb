"""Keeping a status small: everyone who watches a policy gets all of it at every change."""

from __future__ import annotations

from typing import Any, Final

from trimtab.domain.status import PolicyStatus

LARGEST_STATUS_BYTES: Final = 16 * 1024
_TEXTS: Final = frozenset({"message", "reason", "title", "effect", "how", "driftMessage"})
_CAPS: Final = (512, 256, 128, 64, 32)
_EXPENDABLE: Final = (
    *("patterns", "advice", "capacityPlan", "budgets", "health", "anomalies", "recommendation"),
    *("warnings", "performance", "reliability", "trend", "conflicts"),
)


def fitted(status: PolicyStatus, limit_bytes: int = LARGEST_STATUS_BYTES) -> PolicyStatus:
    """``status`` with its texts cut as far as needed to stay under ``limit_bytes`` of JSON; most never are.

    Texts for people are cut to 512 characters, and further to 32, then whole sections of the analysis are left out, the
    least needed first. What the operator itself reads again (hold, accepted, scaling, operating point) is never cut.
    """
    if _size(status) < limit_bytes:
        return status
    body: dict[str, Any] = status.model_dump(by_alias=True, mode="json", exclude_none=True)
    for cap in _CAPS:
        smaller = PolicyStatus.model_validate(_cut(body, cap))
        if _size(smaller) < limit_bytes:
            return smaller
    body = _cut(body, _CAPS[-1])
    for name in _EXPENDABLE:
        body.pop(name, None)
        smaller = PolicyStatus.model_validate(body)
        if _size(smaller) < limit_bytes:
            break
    return smaller


def _size(status: PolicyStatus) -> int:
    return len(status.model_dump_json(by_alias=True).encode())


def _cut(value: Any, cap: int, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _cut(inner, cap, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cut(inner, cap) for inner in value]
    if isinstance(value, str) and name in _TEXTS and len(value) > cap:
        return value[: cap - 1] + "…"
    return value
