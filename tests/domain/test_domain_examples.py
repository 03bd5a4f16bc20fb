"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "name", ["crd", "naming", "printable", "rules", "series", "status_types", "time_zones", "units"]
)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"trimtab.domain.{name}"))
    assert result.attempted
    assert result.failed == 0
