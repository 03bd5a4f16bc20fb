"""An anomaly is told of once: when it begins, or at first sight where it goes on already; not after a restart."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import pytest

from tests.planning.building import policy as built
from tests.planning.building import policy_spec, size
from tests.reconcile.test_insights import LATENCY, SAMPLES, found, history
from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.joint_episodes import JointEpisode
from trimtab.analytics.joint_watch import JointWatch
from trimtab.analytics.watch import WatchState
from trimtab.domain.choices import AnomalyKind, Sensitivity, Severity
from trimtab.domain.series import FloatArray
from trimtab.domain.status import PolicyStatus
from trimtab.planning.assessment import assess
from trimtab.planning.findings import AssessInputs, Assessment, Running
from trimtab.planning.steps import NoPlan
from trimtab.reconcile.announcing import announce
from trimtab.reconcile.insight_news import news
from trimtab.reconcile.insights import anomalies_of
from trimtab.reconcile.outcome import Outcome
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.round import Reconciler
from trimtab.reconcile.services import Services
from trimtab.reconcile.situation import Situation
from trimtab.reconcile.world import World

SPEC: Final = policy_spec(objectives=[LATENCY], analysis={"interval": "60s", "history": "72h"})
SIGNAL: Final = "objective/latency-p99"


def latency(*bad: slice) -> FloatArray:
    """80 ms, and ten times that where it is bad."""
    values = 0.08 * (1.0 + 0.05 * np.random.default_rng(2).standard_normal(SAMPLES))
    for part in bad:
        values[part] *= 10.0
    return values


def assessed(values: FloatArray, before: Assessment | None = None) -> Assessment:
    given = history(values)
    running = Running("deployment/checkout", 4, 4, (size(),), policy="checkout")
    previous = before.known if before is not None else None
    return assess(AssessInputs(SPEC, given, {}, given.load.end, running=running, previous=previous))


@pytest.fixture(scope="module")
def first() -> Assessment:
    """First sight of a workload whose latency was bad an hour ago, and is bad again for 20 minutes."""
    return assessed(latency(slice(-120, -90), slice(-20, None))[:-5])


def told(assessment: Assessment, before: Assessment | None, status: PolicyStatus | None = None) -> tuple[Anomaly, ...]:
    watched = before.known.watched if before is not None else None
    return news(assessment.insights, watched, status.anomalies if status is not None else None)


def test_what_goes_on_at_first_sight_is_news_and_what_ended_is_not(first: Assessment) -> None:
    assert found(first).watched.new == ()
    assert {one.signal for one in found(first).watched.recent} == {SIGNAL}
    assert told(first, None) == found(first).watched.active != ()


def test_it_is_told_once(first: Assessment) -> None:
    second = assessed(latency(slice(-120, -90), slice(-20, None)), first)
    assert found(second).watched.active
    assert told(second, first) == ()


def test_after_a_restart_without_a_store_the_status_tells_what_was_told(first: Assessment) -> None:
    status = PolicyStatus(anomalies=anomalies_of(found(first), SAMPLES * 60.0))
    assert told(first, None, status) == ()
    assert status.anomalies is not None
    assert status.anomalies.latest is not None
    ended = status.anomalies.latest.model_copy(update={"until": 60.0})
    over = PolicyStatus(anomalies=status.anomalies.model_copy(update={"active": 0, "latest": ended}))
    assert told(first, None, over) == found(first).watched.active


def test_values_that_do_not_go_together_are_told_once(first: Assessment) -> None:
    """Their signal is usual by itself, so that its own watch has no episode."""
    together = Anomaly("cpu/app", AnomalyKind.CONTEXTUAL, Severity.INFO, 600.0, None, 2.0, 1.0, 0.99, "2 where 1 goes")
    watched = replace(found(first).watched, active=(together,), new=(together,))
    opened = replace(found(first), watched=watched)
    quiet = WatchState(60.0, joint=JointWatch.start(60.0, Sensitivity.MEDIUM))
    assert news(opened, quiet, None) == (together,)
    assert quiet.joint is not None
    quiet.joint.episode = JointEpisode("cpu/app", 600.0, 0.01, 6, 6, 900.0)
    later = replace(together, evidence="2 where 1 goes, for longer")
    going_on = replace(found(first), watched=replace(watched, active=(later,), new=()))
    assert news(going_on, quiet, None) == ()


def test_after_a_kill_what_began_since_the_store_was_written_is_not_told_again() -> None:
    stored = assessed(latency()[:-20])
    begun = assessed(latency(slice(-20, None)), stored)
    status = PolicyStatus(anomalies=anomalies_of(found(begun), SAMPLES * 60.0))
    read = PolicyStatus.model_validate_json(status.model_dump_json(by_alias=True))
    assert found(begun).watched.new != ()
    assert told(begun, stored, read) == ()


def test_what_begins_later_is_news_as_ever() -> None:
    quiet = assessed(latency()[:-20])
    begun = assessed(latency(slice(-20, None)), quiet)
    assert told(begun, quiet) == found(begun).watched.new != ()
    assert news(None, None, None) == ()


async def test_news_get_an_event_and_a_count(first: Assessment) -> None:
    events: list[tuple[str, str]] = []
    counted: list[tuple[str, str, str]] = []

    async def post(_policy: object, kind: str, reason: str, message: str, _now: float) -> None:
        events.append((kind, reason))
        assert SIGNAL in message

    telemetry = SimpleNamespace(
        anomaly_began=lambda *labels: counted.append(labels), show=lambda *_: None, model_changed=lambda _: None
    )
    services: Any = SimpleNamespace(events=SimpleNamespace(post=post), telemetry=telemetry, clock=lambda: 0.0)
    policy = SimpleNamespace(namespace="shop", name="web")
    situation: Any = SimpleNamespace(
        policy=policy, workload=None, assessment=first, news=told(first, None), now=SAMPLES * 60.0
    )
    outcome = Outcome(NoPlan(""), conflicts=(), following="", wanted_replicas=None)
    await announce(
        cast(Services, services), cast(Situation, situation), outcome, Remembered(PolicyStatus()), PolicyStatus()
    )
    assert events == [("Warning", "Anomaly")]
    assert [labels[0] for labels in counted] == ["shop"]


async def test_news_are_kept_also_where_the_round_fails_for_their_policy(first: Assessment) -> None:
    telemetry = SimpleNamespace(reconciled=lambda **_: None)

    async def nothing(*_: object) -> None:
        """Neither posts nor writes."""

    services: Any = SimpleNamespace(
        store=None,
        clock=lambda: 0.0,
        telemetry=telemetry,
        events=SimpleNamespace(post=nothing),
        resources=SimpleNamespace(write_policy_status=nothing),
    )
    reconciler = Reconciler(cast(Services, services), World())
    situation: Any = SimpleNamespace(policy=built(SPEC), assessment=first, news=told(first, None), now=SAMPLES * 60.0)
    await reconciler._evaluate(cast(Situation, situation), RuntimeError("no plan could be made"))
    kept = [one for _, one in reconciler.remembering._anomalies]
    assert kept == [*told(first, None), *found(first).watched.ended]
