"""Whether an operator hears of a pause, as far as the leases that a person may list tell it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from trimtab.adapters.kube import JsonObject, KubeClient, KubeError
from trimtab.adapters.lease_keeper import API, CLUSTER_LEASE, NAMESPACE_LEASE
from trimtab.commands.shell import RefusedError
from trimtab.commands.stopping import pause_all, resume_all
from trimtab.domain.lease import LeaseRecord, lease_body, let_go, taken

FORBIDDEN = KubeError(403, "Forbidden", "leases is forbidden")
NOW = 1_800_000_000.0
OWN, OTHER = "trimtab/trimtab-switch", "shop/trimtab-switch"


def lease(namespace: str, name: str, switch: str, age: float = 1.0) -> JsonObject:
    """A lease that was renewed so many seconds ago."""
    return lease_body(taken(LeaseRecord(namespace, name, ""), "someone", 10.0, NOW - age, switch))


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.commands.stopping.time", SimpleNamespace(time=lambda: NOW))


class Server:
    """Has a switch in the namespace ``trimtab`` or not, and lists leases everywhere, in a namespace, or nowhere."""

    def __init__(self, *leases: JsonObject, there: bool = True, listed: str = "everywhere") -> None:
        self.leases, self.there, self.listed = leases, there, listed
        self.data: dict[str, str | None] = {}

    async def list(self, path: str, **query: str) -> list[JsonObject]:
        if path == f"{API}/leases":
            if self.listed != "everywhere":
                raise FORBIDDEN
            name = query["fieldSelector"].removeprefix("metadata.name=")
            return [body for body in self.leases if body["metadata"]["name"] == name]
        if self.listed == "nowhere":
            raise FORBIDDEN
        return [body for body in self.leases if path == f"{API}/namespaces/{body['metadata']['namespace']}/leases"]

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        if not self.there:
            raise KubeError(404, "NotFound", path)
        self.data |= body["data"]
        return body

    async def create(self, path: str, body: JsonObject) -> JsonObject:
        if body["kind"] == "SelfSubjectReview":
            return {"status": {"userInfo": {"username": "alice"}}}
        self.data |= body["data"]
        return body


OURS = lease("trimtab", CLUSTER_LEASE, OWN)
THEIRS = lease("shop", NAMESPACE_LEASE, OTHER)
GONE = lease_body(let_go(taken(LeaseRecord("trimtab", CLUSTER_LEASE, ""), "me", 10.0, NOW, OWN), NOW))
HEARD = "everything is paused by ConfigMap trimtab/trimtab-switch; trimtab resume --all to go on"
UNSEEN = "whether an operator reads trimtab/trimtab-switch could not be seen (403 Forbidden: leases is forbidden)"
UNHEARD = f"nothing is paused: no operator reads ConfigMap {OWN}"
CASES: dict[str, tuple[Server, str]] = {
    "one reads it": (Server(OURS), HEARD),
    "one reads it, and it was not there": (Server(OURS, there=False), HEARD),
    "another reads another": (Server(OURS, THEIRS), f"{HEARD}\noperators that read {OTHER} instead are not told"),
    "seen in the namespace of the switch": (Server(OURS, THEIRS, listed="there"), HEARD),
    "one of a version that does not say": (
        Server(lease("trimtab", CLUSTER_LEASE, "")),
        f"{HEARD}\nan operator does not say whether it reads {OWN}; trimtab get -A shows it in STATUS",
    ),
    "not seen": (Server(THEIRS, listed="there"), f"{HEARD}\n{UNSEEN}"),
    "nothing is seen": (Server(OURS, listed="nowhere"), f"{HEARD}\n{UNSEEN}"),
}
REFUSED: dict[str, tuple[Server, str]] = {
    "another alone": (
        Server(THEIRS),
        f"nothing is paused: no operator reads ConfigMap {OWN}, .*those that act read shop/",
    ),
    "none": (
        Server(),
        f"nothing is paused: no operator reads ConfigMap {OWN}, which is set for one that will; none acts",
    ),
    "one that was killed": (Server(lease("trimtab", CLUSTER_LEASE, OWN, age=90.0)), "no operator reads"),
    "one that has ended": (Server(GONE), "no operator reads"),
    "not seen, and it was not there": (Server(OURS, there=False, listed="nowhere"), "nothing is paused for certain: "),
}


@pytest.mark.parametrize(("server", "said"), CASES.values(), ids=CASES.keys())
async def test_a_pause_that_is_heard(server: Server, said: str) -> None:
    told = await pause_all(cast(KubeClient, server), "trimtab", "")
    assert told.startswith(said)
    assert ("\n" in told) is ("\n" in said)


@pytest.mark.parametrize(("server", "why"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_pause_that_nobody_hears_is_set_and_fails(server: Server, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        await pause_all(cast(KubeClient, server), "trimtab", "")
    assert server.data["paused"] == "true"


async def test_going_on_is_told_alike() -> None:
    told = await resume_all(cast(KubeClient, Server(OURS)), "trimtab", everything=True, fleet=True)
    assert told == "everything goes on and new trials begin again: ConfigMap trimtab/trimtab-switch"
    with pytest.raises(RefusedError, match="nothing goes on by that: no operator reads"):
        await resume_all(cast(KubeClient, Server(THEIRS)), "trimtab", everything=False, fleet=True)
