"""Rollouts: when what runs was changed by anyone, for those who must not take its effect for an anomaly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Rollouts:
    """The pod template as last seen and the times at which another one was seen; at most 20, oldest first."""

    template: str = ""
    times: tuple[float, ...] = ()

    def seen(self, template: str, now: float) -> Rollouts:
        """With the template that is live at ``now``; an empty one is unknown and changes nothing.

        >>> Rollouts().seen("v1", 60.0).seen("v1", 120.0).seen("v2", 180.0)
        Rollouts(template='v2', times=(180.0,))
        """
        if template in ("", self.template):
            return self
        if not self.template:
            return replace(self, template=template)
        return Rollouts(template, (*self.times, now)[-_MOST:])
