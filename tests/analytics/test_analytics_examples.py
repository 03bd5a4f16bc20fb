"""The examples in the docstrings of analytics hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["algebra", "quality", "level", "gaps", "trend", "folding", "spectrum", "seasonality"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.analytics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
