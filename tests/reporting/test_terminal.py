"""What the terminal shows: complete at 80 columns, and never broken by what users write."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from tests.planning.building import CPU_UP, plan, policy, policy_spec, run, size
from trimtab.domain.objects import InvalidSpec, Policy
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import Phase
from trimtab.domain.run_status import RunStatus, RunSummary, TimelineEntry
from trimtab.domain.status import Condition, PolicyStatus, Recommendation, Summary
from trimtab.reporting.terminal import age, explanation, overview, patch


def shown(renderable: object, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - lives as long as the test
    console.print(renderable)
    return console.export_text()


def ready_policy(message: str = "demand 412 requests/s needs 6 replicas", **changed: object) -> Policy:
    status = PolicyStatus(
        conditions=[Condition(type="Ready", status="True", reason="Auto", message=message)],
        summary=Summary(replicas="4→6", objectives="2/2 met", change="cpu 500m→750m"),
        recommendation=Recommendation(replicas=6, containers=[size("750m")], reason="more is needed"),
    )
    return policy(policy_spec(vertical={}), status=status, **changed)


def ended_run() -> RunStatus:
    timeline = [TimelineEntry(phase=Phase.ROLLED_BACK, at=60.0, reason="latency-p99 was beyond 0.25")]
    return RunStatus(phase=Phase.ROLLED_BACK, plan=plan(CPU_UP), summary=RunSummary(change="cpu"), timeline=timeline)


def test_overview_tells_the_story_at_80_columns() -> None:
    text = shown(overview([ready_policy()], [run(ended_run())], namespaced=True, now=100.0))
    assert max(map(len, text.splitlines())) <= 80
    for word in ("shop", "checkout", "Auto", "4→6", "2/2 met", "412 requests/s", "RolledBack", "beyond 0.25"):
        assert word in text


def test_a_spec_that_cannot_be_used_says_why() -> None:
    text = shown(
        overview(
            [replace(policy(), spec=InvalidSpec("spec.objectives.0.query: unclosed bracket"))],
            [],
            namespaced=False,
            now=0,
        )
    )
    assert "InvalidSpec: spec.objectives.0.query: unclosed bracket" in " ".join(text.split())


def test_markup_of_users_is_shown_as_it_is() -> None:
    text = shown(explanation(ready_policy("rate of [red]x[/red] is odd"), [], now=0.0))
    assert "[red]x[/red]" in text


@pytest.mark.parametrize(("now", "old"), [(124.0, False), (126.0, False), (136.0, True), (520.0, True)])
def test_a_status_that_is_older_than_it_may_be_says_so(now: float, old: bool) -> None:
    """With an interval of 5 s it is written every 25 s, and two intervals later it is too old."""
    one = ready_policy()
    one = replace(one, status=one.status.model_copy(update={"last_evaluated": 100.0}))
    listed = shown(overview([one], [], namespaced=False, now=now))
    explained = shown(explanation(one, [], now=now))
    for text in (listed, explained):
        assert (f"last evaluated {age(now - 100.0)} ago" in text) is old


def test_explanation_has_reason_and_yaml_to_copy() -> None:
    text = shown(explanation(ready_policy(), [run(ended_run())], now=0.0))
    assert "What would be done, and why" in text
    assert "more is needed" in text
    assert "kind: Deployment" in text


@pytest.mark.parametrize(
    ("kind", "status", "colour"),
    [
        ("Healthy", "True", "32"),
        ("Healthy", "False", "33"),
        ("Anomaly", "False", "32"),
        ("Anomaly", "True", "33"),
        ("Conflicted", "Unknown", "2"),
    ],
)
def test_a_condition_is_green_while_all_is_well(kind: str, status: str, colour: str) -> None:
    conditions = [Condition(type=kind, status=status, reason="Because")]
    page = Console(width=80, force_terminal=True, color_system="standard")
    with page.capture() as captured:
        page.print(explanation(policy(status=PolicyStatus(conditions=conditions)), [], now=0.0))
    assert f"\x1b[{colour}m{status}\x1b[0m" in captured.get()


def test_the_patch_holds_only_what_the_policy_may_change() -> None:
    whole = ready_policy()
    assert isinstance(whole.spec, PolicySpec)
    body = yaml.safe_load(patch(whole, whole.spec))
    assert body["spec"]["replicas"] == 6
    assert body["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "750m"
    narrow = policy_spec()
    assert "template" not in yaml.safe_load(patch(whole, narrow))["spec"]


@pytest.mark.parametrize(("seconds", "text"), [(5, "5s"), (119, "119s"), (600, "10m"), (40000, "11h"), (2e5, "2d7h")])
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text
