"""Names of what is made for a policy: valid whatever the policy is called, and the same whoever makes it."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning.building import policy
from trimtab.adapters.events import _name as event_name
from trimtab.domain.naming import policy_label, run_name, shortened

SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
"""RFC 1123, as the API server checks metadata.name."""
LABEL_VALUE: Final = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
POLICY_NAMES: Final = st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253)
LONG_NAMES: Final = st.builds(
    lambda start, middle, end: f"{'a' * start}{middle}{'b' * end}",
    st.integers(1, 220),
    st.sampled_from([".", "-", "--", "---", "a.b-c", ".c-"]),
    st.integers(1, 30),
)


@given(POLICY_NAMES | LONG_NAMES)
def test_every_policy_name_gives_valid_names(name: str) -> None:
    assert SUBDOMAIN.match(name)
    run = run_name(name, "uid", "hash", "last")
    assert SUBDOMAIN.match(run)
    assert len(run) <= 61
    assert LABEL_VALUE.match(policy_label(name))
    assert len(policy_label(name)) <= 63
    event = event_name(policy(name=name), "0123456789abcdef")
    assert SUBDOMAIN.match(event)
    assert len(event) <= 253


@pytest.mark.parametrize("at", range(45, 56))
@pytest.mark.parametrize("mark", [".", "-"])
def test_a_mark_where_the_name_is_cut(at: int, mark: str) -> None:
    name = "a" * (at - 1) + mark + "b" * 30
    assert SUBDOMAIN.match(run_name(name, "uid", "hash", ""))


def test_the_same_plan_after_the_same_run_has_one_name_and_any_other_another() -> None:
    name = run_name("web", "uid", "plan", "last")
    assert name == run_name("web", "uid", "plan", "last")
    others = [("other", "plan", "last"), ("uid", "other", "last"), ("uid", "plan", "other"), ("uid", "plan", "")]
    assert len({name, *(run_name("web", *other) for other in others)}) == 1 + len(others)


def test_a_short_name_is_kept() -> None:
    assert shortened("checkout", 50) == "checkout"
