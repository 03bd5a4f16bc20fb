"""What the writes of a run meet while it is driven, and what follows from it for its next step. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.adapters.kube import FencedError, KubeError
from trimtab.planning.steps import RunFacts, Step, Write


@dataclass(frozen=True, slots=True)
class Met:
    """Errors that were met since a run is driven; the texts are those of its facts."""

    write_error: str = ""
    undo_error: str = ""
    undo_trouble: str = ""
    undo_told: bool = False
    """Whether a refused undo was recorded: an older definition of runs keeps no record of it."""
    trouble: KubeError | None = None
    """Why a change was not taken just now."""
    stale: bool = False
    """Whether something had changed since it was read."""

    def told(self, facts: RunFacts) -> RunFacts:
        """The facts with what was met."""
        return replace(
            facts,
            write_error=self.write_error,
            write_trouble=str(self.trouble or ""),
            undo_error=self.undo_error,
            undo_trouble=self.undo_trouble,
            undo_told=self.undo_told,
        )

    def done(self, step: Step) -> Met:
        """What a step that succeeded leaves for the next one."""
        return replace(self, stale=False, undo_told=self.undo_told or bool(self.undo_error or self.undo_trouble))

    def then(self, step: Step, error: KubeError) -> Met:
        """What a step that failed leaves for the next one; raises the error where the run has to come again.

        What has changed since it was read is read again, once: an admission webhook that refuses without giving a cause
        looks like that, and does so again.
        """
        changed = error.refused or error.conflict
        if changed and not self.stale:
            return replace(self, stale=True)
        if not isinstance(step, Write):
            if error.not_found:
                return self
            raise error
        passing = error.status in (0, 429) or error.status >= 500
        if isinstance(error, FencedError) or (passing and (step.undo or self.trouble is not None)):
            raise error
        refusal = f"the API server refuses the write: {error.message or error.reason}"
        if step.undo:
            return replace(self, undo_trouble=refusal) if changed else replace(self, undo_error=refusal)
        if passing or changed:
            return replace(self, trouble=error)  # the run says whether it goes on to wait for it
        return replace(self, write_error=refusal)
