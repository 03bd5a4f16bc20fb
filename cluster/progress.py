"""How a build shows that it goes on: a line that counts on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    """Tells of `total` tasks, one after another, on `stream`."""

    def __init__(self, stream: TextIO, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._live = stream.isatty()
        self._number = 0
        self._name = ""
        self._started = 0.0

    def begin(self, name: str) -> None:
        """The next task begins."""
        self._number += 1
        self._name = name
        self._started = self._clock()
        self.tick()
        if not self._live:
            self._line(f"building {name} ({self._number} of {self._total})")

    def tick(self) -> None:
        """The task goes on; on a terminal its seconds are shown."""
        if self._live:
            self._stream.write(
                f"\r\x1b[Kbuilding {self._name} ({self._number} of {self._total}) {self._elapsed():.0f} s"
            )
            self._stream.flush()

    def done(self) -> None:
        """The task is done; one line with its time stays."""
        if self._live:
            self._stream.write("\r\x1b[K")
        self._line(f"built {self._name} ({self._number} of {self._total}) in {self._elapsed():.0f} s")

    def note(self, text: str) -> None:
        """Something else worth a line."""
        if self._live:
            self._stream.write("\r\x1b[K")
        self._line(text)

    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
