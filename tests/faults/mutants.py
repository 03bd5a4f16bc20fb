"""The operator without one of its safeguards, to show that the cases see it.

``python -m tests.faults.mutants NAME operator …`` runs it as ``trimtab operator …`` would.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MUTANT: Final = "TRIMTAB_FAULTS_MUTANT"
"""Environment variable that names the mutant to play against."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard taken out."""

    apply: Callable[[], None]
    shown_by: str
    """Cases that must see it, as pytest's -k."""


def _readiness() -> None:
    """Every change counts as complete at once."""
    from trimtab.planning import settling

    settling.complete = lambda _plan, _progress: True


def _coverage() -> None:
    """Every pod counts as seen."""
    from trimtab.planning import assessment, evidence

    for module in (assessment, evidence):
        module.pods_missing = lambda _history, _failures, _now: ""


def _lease() -> None:
    """Nobody asks whether the lease is still held."""


MUTANTS: Final = {
    "readiness": Mutant(_readiness, "rollout"),
    "coverage": Mutant(_coverage, "half"),
    "lease": Mutant(_lease, "sigstop or two"),
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)].apply()
    from trimtab.cli import main

    main()
