"""A status stays under 16 KiB whatever it has to tell, and keeps what the operator reads again."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trimtab.domain.choices import Severity
from trimtab.domain.fitting import LARGEST_STATUS_BYTES, fitted
from trimtab.domain.insights import AdviceState
from trimtab.domain.status import ConditionType, Hold, PolicyStatus


def largest(model: type[BaseModel]) -> BaseModel:
    """An object of a model with every text and list as long as it may be."""
    return model.model_validate(
        {field.alias or name: _largest(field.annotation, field) for name, field in model.model_fields.items()}
    )


def _largest(kind: Any, field: FieldInfo) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    longest = next((rule.max_length for rule in field.metadata if isinstance(rule, MaxLen)), None)
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return [largest(inner).model_dump(by_alias=True) for _ in range(longest or 1)]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return largest(kind).model_dump(by_alias=True)
    if kind is str:
        return "x" * (63 if longest == 253 else longest or 10)  # a name is as long as a label at most
    if kind is bool:
        return True
    if kind is int:
        return 2_147_483_647
    if kind is float:
        return 1_800_000_000.0
    return next(iter(get_args(kind) if get_args(kind) else kind))


def size(status: PolicyStatus) -> int:
    return len(status.model_dump_json(by_alias=True).encode())


def test_a_usual_status_is_left_as_it_is() -> None:
    status = PolicyStatus(active_run="checkout-1")
    assert fitted(status) is status


def test_long_texts_are_cut_and_what_is_read_again_is_not() -> None:
    hold = Hold(field="spec.replicas", value="7", manager="kubectl-" + "m" * 200, since=60.0, generation=3)
    advice = [
        AdviceState(kind="Size", severity=Severity.INFO, title="t" * 512, reason="r" * 512, effect="e" * 512)
        for _ in range(5)
    ]
    small = fitted(PolicyStatus(hold=hold, advice=advice), 4 * 1024)
    assert size(small) < 4 * 1024
    assert small.hold == hold
    assert len(small.advice) == 5
    assert small.advice[0].title.endswith("…")


def test_the_longest_texts_fit_beside_a_few_containers() -> None:
    everything = largest(PolicyStatus)
    assert isinstance(everything, PolicyStatus)
    assert size(everything) > LARGEST_STATUS_BYTES
    usual = everything.model_copy(
        update={
            "current": None,
            "recommendation": None,
            "operating_point": None,
            "conditions": [
                one.model_copy(update={"type": kind.value})
                for one, kind in zip(everything.conditions, ConditionType, strict=False)
            ],
        }
    )
    assert size(fitted(usual)) < LARGEST_STATUS_BYTES
