"""Child processes that log to a file and are ended by an identity that no other process can take over."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cluster.errors import ComponentDiedError, NotReadyError

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_SHOWN_LINES = 15


@dataclass(frozen=True)
class ProcessIdentity:
    """A process id together with the process's start time, which a later process of the same id cannot share."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The identity of the process that has `pid` now; raises ProcessLookupError when none has."""
        status = _read_status(_stat_file(pid))
        if status is None:
            raise ProcessLookupError(pid)
        return cls(pid, status[1])

    def alive(self) -> bool:
        """Whether that very process still runs; a zombie does not."""
        status = _read_status(_stat_file(self.pid))
        return status is not None and status[0] not in "ZX" and status[1] == self.start_ticks

    def suspended(self) -> bool:
        """Whether every thread of it is stopped."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(status is None or status[0] == "T" for status in map(_read_status, tasks))

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to that very process, or to none when it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


def _stat_file(pid: int) -> Path:
    return Path(f"/proc/{pid}/stat")


def _read_status(stat_file: Path) -> tuple[str, int] | None:
    """The state letter and the start time, in ticks since boot, of a process or thread; None when there is none."""
    try:
        text = stat_file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    after_name = text.rpartition(")")[2].split()
    return after_name[0], int(after_name[19])


@dataclass
class Component:
    """A process that was started here, or that a state file tells of."""

    name: str
    identity: ProcessIdentity
    log: Path
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.identity.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        if self.child is not None:
            self.child.poll()
        return self.identity.alive()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        self.identity.send(number)

    def suspend(self) -> None:
        """Makes it hang, and returns when none of its threads runs."""
        self.send(signal.SIGSTOP)
        while self.alive() and not self.identity.suspended():
            time.sleep(_POLL_SECONDS)

    def resume(self) -> None:
        """Lets it go on after `suspend`."""
        self.send(signal.SIGCONT)

    def log_tail(self, lines: int = _SHOWN_LINES) -> str:
        """The last lines that it logged."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def died(self) -> ComponentDiedError:
        """The error to raise when it was found dead."""
        return ComponentDiedError(f"{self.name} ended at start; the end of {self.log}:\n{self.log_tail()}")


def spawn(name: str, command: Sequence[str | Path], log: Path, *, die_with_parent: bool) -> Component:
    """Starts `command` in a session of its own, with its output appended to `log`.

    With `die_with_parent` the kernel kills it when this process ends, however that comes about.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # The kernel's parent is the thread that forked, so one thread that lives as long as this process does all of it.
    child = _spawner(os.getpid()).submit(_popen, command, log, die_with_parent).result()
    return Component(name, ProcessIdentity.of(child.pid), log, child)


@functools.cache
def _spawner(_pid: int) -> ThreadPoolExecutor:
    """The thread that starts processes; a forked process gets its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def _popen(command: Sequence[str | Path], log: Path, die_with_parent: bool) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
            preexec_fn=_bind_to_parent(os.getpid()) if die_with_parent else None,
        )


def _bind_to_parent(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the program, so that it ends when `parent` does (Linux)."""
    libc = ctypes.CDLL(None)

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def wait_until(components: Sequence[Component], ready: Callable[[], bool], seconds: float) -> None:
    """Waits until `ready` holds while all the components run; the last of them is the one that is waited for.

    Raises ComponentDiedError when one ends before, and NotReadyError after `seconds`.
    """
    awaited = components[-1]
    deadline = time.monotonic() + seconds
    while True:
        is_ready = ready()
        for component in components:
            if not component.alive():
                raise component.died()
        if is_ready:
            return
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"{awaited.name} runs but was not ready after {seconds:.0f} s; the end of {awaited.log}:\n"
                f"{awaited.log_tail()}"
            )
        time.sleep(_POLL_SECONDS)


def stop_all(components: Sequence[Component], grace_seconds: float = 10.0) -> None:
    """Asks each to end, the last started first, and kills it when it has not ended after `grace_seconds`.

    Returns when none runs; raises NotReadyError when the kernel does not let one go.
    """
    for component in reversed(components):
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 30.0)):
            component.send(number)
            component.send(signal.SIGCONT)
            if _ended(component, seconds):
                break
        else:
            raise NotReadyError(f"{component.name} (process {component.pid}) could not be ended")


def _ended(component: Component, seconds: float) -> bool:
    """Whether the component ends within `seconds`."""
    deadline = time.monotonic() + seconds
    while component.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def to_json(component: Component) -> dict[str, str | int]:
    """A component as the state file keeps it."""
    return {
        "name": component.name,
        "pid": component.pid,
        "start_ticks": component.identity.start_ticks,
        "log": str(component.log),
    }


def from_json(stored: Mapping[str, str | int]) -> Component:
    """The component that a state file tells of."""
    identity = ProcessIdentity(int(stored["pid"]), int(stored["start_ticks"]))
    return Component(str(stored["name"]), identity, Path(str(stored["log"])))
