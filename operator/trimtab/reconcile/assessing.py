"""Assessment in the workers, where an insight that costs a process is left out and the decision is still made."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from trimtab.adapters.workers import OverBudgetError, Workers
from trimtab.planning.assessment import assess, said
from trimtab.planning.findings import AssessInputs, Assessment


async def assess_all(workers: Workers, inputs: Sequence[AssessInputs]) -> list[Assessment | Exception]:
    """The assessment of each, in order; what takes a worker with it is tried once more without insights."""
    found = await workers.map(assess, inputs)
    lost = [at for at, one in enumerate(found) if isinstance(one, BrokenProcessPool | OverBudgetError)]
    again = await workers.map(
        assess, [replace(inputs[at], no_insights=f"given up: {said(_error(found[at]))}") for at in lost]
    )
    for at, one in zip(lost, again, strict=True):
        found[at] = one
    return found


def _error(outcome: Assessment | Exception) -> Exception:
    assert isinstance(outcome, Exception), "looked for above"
    return outcome
