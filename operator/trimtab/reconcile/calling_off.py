"""Which runs have something to do, and which of it needs no metrics. Pure."""

from __future__ import annotations

from trimtab.adapters.resources import FINALIZER
from trimtab.domain.objects import Policy, Run
from trimtab.domain.run import RunSpec
from trimtab.planning.records import fault_of


def has_to_do(run: Run) -> bool:
    """Whether a run has something to do, or to be let go of."""
    return not run.finished or _to_undo(run) or is_watched(run) or run.deleting or is_held(run)


def is_watched(run: Run) -> bool:
    """Whether it is looked whether the pods of a run that was undone are as before."""
    return run.finished and run.status.rollback is not None and run.status.rollback.watched_until is not None


def is_held(run: Run) -> bool:
    """Whether our finalizer is on a run; on one that has ended, a kill came between its end and letting go of it."""
    return FINALIZER in run.finalizers


def needs_no_metrics(run: Run, policy: Policy | None) -> bool:
    """Whether what a run has to do is to be ended, undone or let go of, whatever the metrics say."""
    if not has_to_do(run):
        return False
    called_off = policy is None or run.deleting or run.finished or _is_cancelled(run)
    return called_off or run.status.verdict is not None or bool(fault_of(run.status))


def _to_undo(run: Run) -> bool:
    """Whether a person asked for a kept change to be undone, and it is not yet."""
    return run.is_kept and _is_cancelled(run)


def _is_cancelled(run: Run) -> bool:
    return isinstance(run.spec, RunSpec) and run.spec.cancelled
