"""Who wrote what, from the API server's audit log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

WORKLOADS: Final = frozenset({"deployments", "statefulsets"})


@dataclass(frozen=True, slots=True)
class Write:
    """One write that the API server answered."""

    user: str
    verb: str
    what: str
    """Resource and, after a slash, subresource: ``deployments/scale``."""
    name: str
    status: int
    manager: str
    """Field manager that the request named; empty when it named none."""
    at: float = 0.0
    """Unix time at which the API server got it."""

    @property
    def done(self) -> bool:
        """Whether the API server let it happen."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Audit:
    """The writes of one user in one namespace."""

    log: Path
    namespace: str
    user: str

    def writes(self, user: str | None = None) -> list[Write]:
        """Writes of workloads, refused ones included, oldest first; by another user where one is given."""
        mark = f'"namespace":"{self.namespace}"'.encode()
        found = []
        with self.log.open("rb") as lines:
            for line in lines:
                if mark in line and line.endswith(b"\n"):
                    write = _parsed(json.loads(line))
                    if (
                        write is not None
                        and write.user == (user or self.user)
                        and write.what.split("/")[0] in WORKLOADS
                    ):
                        found.append(write)
        return found

    def last_done_at(self) -> float:
        """When the API server got the last write of a workload that it let happen."""
        return [write.at for write in self.writes() if write.done][-1]

    def done(self) -> Counter[tuple[str, str]]:
        """How often each (name, resource) was written."""
        return Counter((write.name, write.what) for write in self.writes() if write.done)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as rights speak of it."""

    verb: str
    group: str
    resource: str
    """With its subresource after a slash."""


def asked(log: Path, user: str) -> dict[Asked, set[int]]:
    """What a user of whom the log has every request asked for, with the statuses of the answers."""
    found: dict[Asked, set[int]] = {}
    for line in log.read_text().splitlines():
        event = json.loads(line)
        about = event.get("objectRef") or {}
        if event["user"]["username"] == user and "resource" in about:
            what = "/".join(filter(None, (about["resource"], about.get("subresource"))))
            one = Asked(event["verb"], about.get("apiGroup", ""), what)
            found.setdefault(one, set()).add(int((event.get("responseStatus") or {}).get("code", 0)))
    return found


def managers(writes: Iterable[Write]) -> set[str]:
    """The field managers that the writes named."""
    return {write.manager for write in writes}


def _parsed(event: dict[str, object]) -> Write | None:
    about, user, status = (event.get(name) or {} for name in ("objectRef", "user", "responseStatus"))
    assert isinstance(about, dict)
    assert isinstance(user, dict)
    assert isinstance(status, dict)
    if not about or about.get("apiGroup") != "apps":
        return None
    resource, sub = about.get("resource", ""), about.get("subresource", "")
    query = parse_qs(urlsplit(str(event.get("requestURI", ""))).query)
    return Write(
        user=str(user.get("username", "")),
        verb=str(event.get("verb", "")),
        what=f"{resource}/{sub}" if sub else str(resource),
        name=str(about.get("name", "")),
        status=int(status.get("code", 0)),
        manager=(query.get("fieldManager") or [""])[0],
        at=datetime.fromisoformat(str(event["requestReceivedTimestamp"])).timestamp(),
    )
