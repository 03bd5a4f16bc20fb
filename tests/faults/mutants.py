"""The operator without one of its safeguards, to show that the cases see it.

``python -m tests.faults.mutants NAME operator …`` runs it as ``trimtab operator …`` would.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trimtab.adapters.kube import TIMEOUT_SECONDS

MUTANT: Final = "TRIMTAB_FAULTS_MUTANT"
"""Environment variable that names the mutant to play against."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard taken out."""

    apply: Callable[[], None]
    shown_by: str
    """Cases that must see it, as pytest's -k."""


def _replace(owner: object, name: str, replacement: object) -> None:
    """Put something else in the place of what must be there."""
    assert hasattr(owner, name)
    setattr(owner, name, replacement)


def _readiness() -> None:
    """Every change counts as complete at once."""
    from trimtab.planning import settling

    _replace(settling, "complete", lambda _plan, _progress: True)


def _coverage() -> None:
    """Every pod counts as seen."""
    from trimtab.planning import assessment, evidence
    from trimtab.reconcile import judging

    for module in (assessment, evidence, judging):
        _replace(module, "pods_missing", lambda _history, _failures, _now: "")


def _lease() -> None:
    """Nobody asks whether the lease is held: each operator acts, and each write passes."""
    from trimtab.adapters.fence import Admission, Outgoing
    from trimtab.adapters.leases import Leases

    async def admit(_leases: Leases, _write: Outgoing) -> Admission:
        return Admission(TIMEOUT_SECONDS, lambda: None)

    _replace(Leases, "admit", admit)
    _replace(Leases, "holds", lambda _leases, _namespace: True)


MUTANTS: Final = {
    "readiness": Mutant(_readiness, "test_rollout"),
    "coverage": Mutant(_coverage, "half"),
    "lease": Mutant(_lease, "sigstop or two"),
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)].apply()
    from trimtab.cli import main

    main()
