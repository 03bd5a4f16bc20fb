"""The examples in the docstrings of scoring hold."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from trimtab.analytics import scoring, scoring_ranks


@pytest.mark.parametrize("module", [scoring, scoring_ranks], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
