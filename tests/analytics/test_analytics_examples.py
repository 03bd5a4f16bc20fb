"""The examples in the docstrings of analytics hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "algebra",
    "blocks",
    "bursts",
    "calendar_effects",
    "change_points",
    "control_charts",
    "copying",
    "detection",
    "evidence",
    "expectation",
    "folding",
    "gaps",
    "idle_times",
    "kinds",
    "level",
    "local_time",
    "patterns",
    "quality",
    "red_noise",
    "runs",
    "scoring",
    "scoring_ranks",
    "seasonality",
    "spectrum",
    "trend",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.analytics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
