"""Free TCP ports on the loopback address, and starting again when one was taken after all."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cluster.errors import ComponentDiedError

HOST = "127.0.0.1"

# Below the range from which Linux takes the ports of outgoing connections, so that a server that is stopped finds its
# port free when it is started again.
_LOWEST, _HIGHEST = 20000, 32000
_PICKS = 200
_STARTS = 5
_TAKEN = "address already in use"
_LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp

T = TypeVar("T")


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    for _ in range(_PICKS):
        port = random.randint(_LOWEST, _HIGHEST)
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST} on {HOST}")


def is_listening(pid: int, port: int) -> bool:
    """Whether that very process listens on the port; another one that took it does not count."""
    sockets = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
            sockets.add(f"socket:[{fields[9]}]")
    try:
        return any(os.readlink(descriptor) in sockets for descriptor in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def with_free_port(start: Callable[[int], T]) -> T:
    """What `start` returns for a free port; it is called again with another one when that port was taken in between."""
    for _ in range(_STARTS - 1):
        try:
            return start(free_port())
        except ComponentDiedError as error:
            if _TAKEN not in str(error):
                raise
    return start(free_port())
