"""The switch: what it says, what it holds, and that it never fails open."""

from __future__ import annotations

from typing import Any, cast

import pytest

from trimtab.adapters.fence import Outgoing, Purpose
from trimtab.adapters.kube import FencedError, JsonObject, KubeClient, KubeError
from trimtab.adapters.switch import Switch, parse_switch

ON = {"paused": "true", "by": "alice", "at": "2026-05-04T10:00:00Z", "reason": "incident 7"}


def config_map(data: dict[str, str] | None) -> JsonObject:
    return {"metadata": {"name": "trimtab-switch", "namespace": "trimtab"}, "data": data}


STATES: dict[str, tuple[dict[str, str] | None, str]] = {
    "empty": (None, ""),
    "off": ({"paused": "false"}, ""),
    "off, in capitals": ({"paused": " False"}, ""),
    "on": (ON, "everything is paused by alice since 2026-05-04T10:00:00Z: incident 7; trimtab resume --all to go on"),
    "on, by kubectl": ({"paused": "true"}, "everything is paused; trimtab resume --all to go on"),
    "neither": ({"paused": "yes"}, "ConfigMap trimtab/trimtab-switch has paused: 'yes', which counts as true"),
}


@pytest.mark.parametrize(("data", "paused"), STATES.values(), ids=STATES.keys())
def test_what_the_switch_says(data: dict[str, str] | None, paused: str) -> None:
    said = parse_switch(config_map(data)).paused
    assert said.startswith(paused)
    assert bool(said) == bool(paused)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1970-01-01T00:01:00Z", 60.0), ("1970-01-01T01:01:00+01:00", 60.0), ("soon", 0.0), ("", 0.0)]
)
def test_when_trials_were_let_go_on(text: str, seconds: float) -> None:
    assert parse_switch(config_map({"fleetResumedAt": text})).resumed_at == seconds


class Server:
    """Answers with what the test says; counts what it is asked."""

    def __init__(self) -> None:
        self.answer: JsonObject | KubeError = config_map(None)
        self.asked = 0
        self.now = 0.0

    async def get(self, path: str) -> JsonObject:
        assert path == "/api/v1/namespaces/trimtab/configmaps/trimtab-switch"
        self.asked += 1
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def switch(server: Server) -> Switch:
    made = Switch("trimtab", clock=lambda: server.now)
    made.use(cast(KubeClient, server))
    return made


def write(purpose: Purpose) -> Outgoing:
    return Outgoing("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web", purpose)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_what_is_held_is_new_and_never_an_undo(server: Server, switch: Switch, purpose: Purpose) -> None:
    server.answer = config_map(ON)
    if purpose in (Purpose.UNDO, Purpose.RECORD):
        (await switch.admit(write(purpose))).check()
        assert server.asked == 0
    else:
        with pytest.raises(FencedError, match="paused by alice"):
            await switch.admit(write(purpose))


async def test_it_is_asked_again_after_a_second(server: Server, switch: Switch) -> None:
    (await switch.admit(write(Purpose.CHANGE))).check()
    server.answer, server.now = config_map(ON), 0.9
    await switch.admit(write(Purpose.CHANGE))
    server.now = 1.0
    with pytest.raises(FencedError):
        await switch.admit(write(Purpose.CHANGE))


async def test_a_write_that_waited_too_long_is_not_sent(server: Server, switch: Switch) -> None:
    admission = await switch.admit(write(Purpose.CHANGE))
    server.now = 3.5
    with pytest.raises(FencedError, match="asked again"):
        admission.check()


async def test_a_write_that_waits_while_another_reads_that_all_is_paused_is_not_sent(
    server: Server, switch: Switch
) -> None:
    admission = await switch.admit(write(Purpose.CHANGE))
    server.answer, server.now = config_map(ON), 1.5
    await switch.read()
    with pytest.raises(FencedError, match="alice"):
        admission.check()


AWAY = KubeError(0, "Unreachable", "cut")
FORBIDDEN = KubeError(403, "Forbidden", "no")
ABSENT = KubeError(404, "NotFound", "none")
UNREAD: dict[str, tuple[list[Any], bool]] = {
    "not there": ([ABSENT], False),
    "never a right to it": ([FORBIDDEN], True),
    "no right to it, after the API server was away": ([AWAY, FORBIDDEN], True),
    "no right to it at first": ([FORBIDDEN, config_map(None)], False),
    "off, then no right to it": ([config_map(None), FORBIDDEN], False),
    "the API server was never there": ([AWAY], True),
    "on, then away": ([config_map(ON), AWAY], True),
    "on, then no right to it": ([config_map(ON), FORBIDDEN], True),
    "off, then away": ([config_map(None), AWAY], False),
    "on, then taken away": ([config_map(ON), ABSENT], False),
}


@pytest.mark.parametrize(("answers", "paused"), UNREAD.values(), ids=UNREAD.keys())
async def test_what_cannot_be_read_is_as_last_seen(
    server: Server, switch: Switch, answers: list[Any], paused: bool
) -> None:
    for answer in answers:
        server.answer, server.now = answer, server.now + 2
        await switch.read()
    assert bool(switch.state.paused) is paused
    assert bool(switch.trouble) is (answers[-1] in (AWAY, FORBIDDEN))


async def test_one_that_may_not_be_read_holds_what_is_new_and_no_undo(server: Server, switch: Switch) -> None:
    server.answer = FORBIDDEN
    with pytest.raises(
        FencedError, match=r"trimtab/trimtab-switch could not be read yet: 403 .*let the operator get it"
    ):
        await switch.admit(write(Purpose.CHANGE))
    (await switch.admit(write(Purpose.UNDO))).check()
