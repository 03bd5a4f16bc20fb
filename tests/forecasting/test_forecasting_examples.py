"""The examples in the docstrings of forecasting hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "correction",
    "models",
    "linear",
    "lags",
    "smoothing",
    "combination",
    "joint",
    "selection",
    "thinning",
    "forecast",
    "burn_rates",
    "early_warning",
    "reliability",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"trimtab.forecasting.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
