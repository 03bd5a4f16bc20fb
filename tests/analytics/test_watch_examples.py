"""The examples in the docstrings of the watch hold."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["copying", "expectation", "control_charts", "kinds", "evidence", "detection"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.analytics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
