"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    *("trimtab.survey.options", "trimtab.survey.sizing", "trimtab.survey.plotting", "trimtab.survey.gathering"),
    *("trimtab.adapters.csvseries", "trimtab.adapters.discovery"),
    *("trimtab.reporting.analysis", "trimtab.reporting.analysis_text", "trimtab.reporting.analysis_plot"),
    *("trimtab.reporting.analysis_formats", "trimtab.reporting.styles"),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
