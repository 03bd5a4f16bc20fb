"""Which cases are played: all by ``make faults``, a few by ``make test``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from tests.faults.scene import When

WHOLE: Final = "TRIMTAB_FAULTS_WHOLE"
"""Environment variable that asks for every case."""


def cases(faults: Iterable[str], phases: Iterable[When], short: Collection[tuple[str, When]]) -> list[ParameterSet]:
    """Each fault in each phase; only those of ``short`` where not all are asked for."""
    every = [(fault, when) for fault in faults for when in phases]
    chosen = every if os.environ.get(WHOLE) else [case for case in every if case in short]
    return [pytest.param(fault, when, id=f"{fault}-{when.value}") for fault, when in chosen]
