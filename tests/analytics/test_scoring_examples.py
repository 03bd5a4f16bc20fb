"""The examples in the docstrings of scoring hold."""

from __future__ import annotations

import doctest

from trimtab.analytics import scoring


def test_examples() -> None:
    result = doctest.testmod(scoring)
    assert result.attempted > 0
    assert result.failed == 0
