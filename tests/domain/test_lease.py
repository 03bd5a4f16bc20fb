"""A lease: when it may be taken, how long it counts, and clocks that stood still or were set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.domain.lease import (
    LeaseRecord,
    LeaseTiming,
    Moment,
    elapsed,
    is_alive,
    is_free,
    lease_body,
    let_go,
    parse_lease,
    sighted,
    taken,
    why_wait,
)

OTHERS = LeaseRecord("shop", "trimtab-operator", "7", holder="other", duration=10.0, renewed="t1", transitions=3)
ME = "me"


def at(seconds: float) -> Moment:
    """So long after the start, by both clocks."""
    return Moment(seconds, 1e9 + seconds)


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        pytest.param(Moment(3.0, 103.0), 3.0, id="both clocks"),
        pytest.param(Moment(0.1, 160.0), 60.0, id="a machine that stood still for one of them"),
        pytest.param(Moment(60.0, 100.1), 60.0, id="a wall clock that stood still"),
        pytest.param(Moment(3.0, 40.0), 3.0, id="a wall clock set back"),
    ],
)
def test_the_clock_that_counted_more_counts(now: Moment, seconds: float) -> None:
    assert elapsed(Moment(0.0, 100.0), now) == pytest.approx(seconds)


@pytest.mark.parametrize(("duration", "deadline", "retry"), [(10, 10, 2), (10, 7, 7), (7, 10, 2), (10, 7, 0)], ids=str)
def test_paces_that_do_not_fit_are_refused(duration: float, deadline: float, retry: float) -> None:
    with pytest.raises(ValueError, match="retry < renew deadline < duration"):
        LeaseTiming(duration, deadline, retry)


def test_a_lease_is_free_when_it_was_not_renewed_for_its_duration_as_we_saw_it() -> None:
    seen = sighted(None, OTHERS, at(0.0))
    assert not is_free(seen, at(9.9))
    assert is_free(seen, at(10.0))
    renewed = sighted(seen, replace(OTHERS, renewed="t2", resource_version="8"), at(9.9))
    assert not is_free(renewed, at(19.8))


def test_whatever_else_is_written_to_the_object_is_no_sign_of_life() -> None:
    seen = sighted(sighted(None, OTHERS, at(0.0)), replace(OTHERS, resource_version="8"), at(9.0))
    assert (seen.since, seen.record.resource_version) == (0.0, "8")


def test_times_that_the_holder_wrote_are_not_believed() -> None:
    """Its clock may be an hour behind ours, or ahead."""
    for renewed in ("1970-01-01T00:00:00.000000Z", "2970-01-01T00:00:00.000000Z"):
        seen = sighted(None, replace(OTHERS, renewed=renewed), at(0.0))
        assert (is_free(seen, at(9.0)), is_free(seen, at(10.0))) == (False, True)


def test_a_lease_that_was_let_go_of_is_free_at_once() -> None:
    assert is_free(sighted(None, let_go(OTHERS, 0.0), at(0.0)), at(0.0))


@pytest.mark.parametrize(
    ("record", "moved", "age", "alive"),
    [
        pytest.param(OTHERS, False, 0.0, True, id="seen for the first time"),
        pytest.param(OTHERS, False, 19.9, True, id="its own standby may be about to take it"),
        pytest.param(OTHERS, False, 20.0, False, id="dead for two durations"),
        pytest.param(let_go(OTHERS, 0.0), False, 0.0, False, id="let go of before we came"),
        pytest.param(let_go(OTHERS, 0.0), True, 5.0, True, id="let go of just now"),
        pytest.param(let_go(OTHERS, 0.0), True, 20.0, False, id="let go of two durations ago"),
    ],
)
def test_signs_of_life_of_the_other_scope(record: LeaseRecord, moved: bool, age: float, alive: bool) -> None:
    before = sighted(None, OTHERS if record != OTHERS else replace(OTHERS, renewed="t0"), at(0.0)) if moved else None
    assert is_alive(sighted(before, record, at(0.0)), at(age)) is alive


def test_why_a_lease_is_not_taken() -> None:
    own = sighted(None, OTHERS, at(0.0))
    rival = sighted(None, replace(OTHERS, namespace="bank", holder="third"), at(0.0))
    assert why_wait(None, (), ME, at(0.0)) == ""
    assert why_wait(own, (), ME, at(0.0)) == "lease shop/trimtab-operator is held by other"
    assert why_wait(own, (), "other", at(0.0)) == ""
    assert why_wait(own, (), ME, at(10.0)) == ""
    assert why_wait(own, [rival], ME, at(10.0)) == (
        "another operator acts under lease bank/trimtab-operator, held by third"
    )


def test_taking_counts_transitions_and_renewing_does_not() -> None:
    first = taken(LeaseRecord("shop", "trimtab-operator", ""), ME, 10.0, 0.0, "shop/trimtab-switch")
    assert (first.holder, first.transitions, first.acquired) == (ME, 0, "1970-01-01T00:00:00.000000Z")
    over = taken(OTHERS, ME, 10.0, 5.0, "shop/trimtab-switch")
    assert (over.holder, over.transitions, over.acquired) == (ME, 4, "1970-01-01T00:00:05.000000Z")
    again = taken(over, ME, 10.0, 7.0, "bank/trimtab-switch")
    assert (again.transitions, again.acquired, again.renewed) == (4, over.acquired, "1970-01-01T00:00:07.000000Z")
    assert parse_lease(lease_body(again)).switch == "bank/trimtab-switch"


def test_a_lease_lasts_no_shorter_than_its_holder_believes() -> None:
    """The API knows whole seconds alone."""
    body = lease_body(replace(OTHERS, duration=2.5))
    assert parse_lease(body).duration == 3.0
    assert parse_lease(lease_body(OTHERS)) == OTHERS
