"""How many trials may be open, whose turn it is, and when failures stop new ones: as truth tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.planning.building import plan, run
from trimtab.domain.objects import Run
from trimtab.domain.run import Phase
from trimtab.domain.run_status import Applied, GuardResult, RunStatus, TimelineEntry
from trimtab.domain.status import Snapshot
from trimtab.planning.fleet import (
    EndedTrial,
    Fleet,
    OpenLimit,
    ended_trial,
    jitter,
    only_waits,
    too_many_failures,
    why_wait,
)

NOW = 100_000.0


@pytest.mark.parametrize(
    ("text", "policies", "limit"),
    [("5%", 0, 3), ("5%", 60, 3), ("5%", 61, 4), ("5%", 1000, 50), ("100%", 8, 8), ("1", 1000, 1), (" 20 ", 3, 20)],
)
def test_limit_of_open_runs(text: str, policies: int, limit: int) -> None:
    assert OpenLimit.parse(text).of(policies) == limit


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "5 percent", "1.5", "three"])
def test_limit_that_is_none_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="write a count from 1, or a share from 1% to 100%"):
        OpenLimit.parse(text)


ROOM = Fleet(open_runs=2, limit=3, open_in_namespace=2, limit_in_namespace=3)
TURNS = {
    "room": (ROOM, ""),
    "no room": (replace(ROOM, open_runs=3), "3 of 3 runs are open (--max-open-runs)"),
    "more than there is room for, as a person's count": (replace(ROOM, open_runs=5), "5 of 3 runs are open"),
    "no room in the namespace": (
        replace(ROOM, limit=50, open_in_namespace=3),
        "3 of 3 runs are open in the namespace (--max-open-runs)",
    ),
    "another goes first": (replace(ROOM, ahead=1), "others go first"),
    "another goes first, and there is room for both": (replace(ROOM, open_runs=1, open_in_namespace=1, ahead=1), ""),
    "another goes first in the namespace": (replace(ROOM, limit=50, ahead=1, ahead_in_namespace=1), "others go first"),
    "another goes first elsewhere": (replace(ROOM, limit=50, ahead=1), ""),
    "not yet": (replace(ROOM, begins_at=NOW + 30), "begins at 1970-01-02T03:47:10Z"),
    "by now": (replace(ROOM, begins_at=NOW), ""),
    "place in the queue": (replace(ROOM, open_runs=3, place=4, waiting=9), "place 4 of 9 that wait"),
}


@pytest.mark.parametrize(("fleet", "words"), TURNS.values(), ids=TURNS.keys())
def test_whose_turn_it_is(fleet: Fleet, words: str) -> None:
    why = why_wait(fleet, NOW)
    assert words in why
    assert bool(why) == bool(words)


def test_a_fleet_does_not_begin_at_once() -> None:
    late = sorted(jitter(f"uid-{number}", 60.0) for number in range(300))
    assert late[0] >= 0
    assert late[-1] < 180
    tenths = [sum(tenth * 18 <= one < tenth * 18 + 18 for one in late) for tenth in range(10)]
    assert min(tenths) >= 15


def trials(*ended: tuple[float, bool]) -> list[EndedTrial]:
    return [EndedTrial(NOW - minutes * 60, failed, f"shop/run-{minutes:g}") for minutes, failed in ended]


BAD, GOOD = True, False
FAILURES = {
    "none": (trials(), 0.0, False),
    "two failed": (trials((1, BAD), (2, BAD)), 0.0, False),
    "three failed": (trials((1, BAD), (2, BAD), (3, BAD)), 0.0, True),
    "three of six": (trials((1, BAD), (2, BAD), (3, BAD), (4, GOOD), (5, GOOD), (6, GOOD)), 0.0, False),
    "three of five": (trials((1, BAD), (2, BAD), (3, BAD), (4, GOOD), (5, GOOD)), 0.0, True),
    "three not within an hour": (trials((1, BAD), (40, BAD), (80, BAD)), 0.0, False),
    "three in an hour this morning": (trials((300, BAD), (310, BAD), (320, BAD)), 0.0, True),
    "three this morning, and well since": (
        trials((300, BAD), (310, BAD), (320, BAD), *((minute, GOOD) for minute in range(20))),
        0.0,
        True,
    ),
    "three, two days ago": (trials((2900, BAD), (2910, BAD), (2920, BAD)), 0.0, False),
    "a person has resumed since": (trials((1, BAD), (2, BAD), (3, BAD)), NOW, False),
    "one more since a person resumed": (trials((1, BAD), (2, BAD), (3, BAD), (4, BAD)), NOW - 90, False),
    "three more since a person resumed": (trials((1, BAD), (2, BAD), (3, BAD), (9, BAD)), NOW - 240, True),
}


@pytest.mark.parametrize(("ended", "resumed_at", "stopped"), FAILURES.values(), ids=FAILURES.keys())
def test_too_many_failures(ended: list[EndedTrial], resumed_at: float, stopped: bool) -> None:
    assert bool(too_many_failures(ended, resumed_at, NOW, 3)) is stopped


def test_too_many_failures_names_them_and_the_way_on() -> None:
    said = too_many_failures(trials((1, BAD), (2, BAD), (3, BAD), (4, GOOD)), 0.0, NOW, 3)
    assert said == (
        "3 of 4 trials failed in the hour before 1970-01-02T03:45:40Z, the last of them shop/run-3, shop/run-2,"
        " shop/run-1; look at them, then trimtab resume --fleet"
    )


def ended(phase: Phase, **spec: object) -> Run:
    applied = Applied(
        uid="uid-1",
        manager="trimtab",
        before=Snapshot(replicas=4),
        after=Snapshot(replicas=6),
        at=NOW - 60,
        validate_from=NOW - 50,
        validate_interval_seconds=5,
        measurements=10,
    )
    timeline = [TimelineEntry(phase=phase, at=NOW, reason="")]
    status = RunStatus(phase=phase, plan=plan(), applied=applied, timeline=timeline)
    return run(status, spec={"trigger": "Cost", **spec})


COUNTED = {
    "kept": (ended(Phase.SUCCEEDED), False),
    "undone": (ended(Phase.ROLLED_BACK), True),
    "failed": (ended(Phase.FAILED), True),
    "superseded": (ended(Phase.SUPERSEDED), None),
    "cancelled": (ended(Phase.CANCELLED), None),
    "refused before its write": (ended(Phase.REJECTED), None),
    "open": (ended(Phase.VALIDATING), None),
    "undone by a person": (ended(Phase.ROLLED_BACK, cancelled=True), None),
    "a person's": (ended(Phase.ROLLED_BACK, trigger="Manual"), None),
    "a dry run": (run(RunStatus(phase=Phase.SUCCEEDED), spec={"trigger": "Cost"}), None),
}


@pytest.mark.parametrize(("one", "failed"), COUNTED.values(), ids=COUNTED.keys())
def test_what_counts_as_a_trial_that_failed(one: Run, failed: bool | None) -> None:
    found = ended_trial(one)
    assert (None if found is None else found.failed) is failed


@pytest.mark.parametrize(
    ("said_no", "waits"),
    [((), False), (("openRuns",), True), (("openRuns", "pausedAll"), True), (("openRuns", "cooldown"), False)],
)
def test_what_is_held_by_the_fleet_alone_waits(said_no: tuple[str, ...], waits: bool) -> None:
    names = ("paused", "pausedAll", "cooldown", "openRuns")
    guards = [GuardResult(name=name, result="Blocked" if name in said_no else "Passed") for name in names]
    assert only_waits(guards) is waits
