"""Sizes that a plan may choose from."""

from __future__ import annotations

from tests.planning.building import size
from trimtab.domain.scaling import Vertical
from trimtab.planning.rightsizing import candidates

UP_TO_ONE_CORE = {"containerPolicies": [{"minAllowed": {"cpu": "700m"}, "maxAllowed": {"cpu": "1"}}]}


def test_the_present_size_comes_first_where_it_is_the_largest_allowed() -> None:
    vertical = Vertical.model_validate(UP_TO_ONE_CORE)
    found = candidates((size("1"),), vertical, {}, memory_margin=0.2, max_step=0.5)
    assert [round(one.cpu_size, 2) for one in found] == [1.0, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
