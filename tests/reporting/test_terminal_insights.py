"""The page that explains a policy tells what the analysis found, and stays whole at 80 columns."""

from __future__ import annotations

from rich.console import Group

from tests.reporting.test_terminal import shown
from trimtab.domain.choices import AnomalyKind, Severity
from trimtab.domain.insights import (
    AdviceState,
    AnomaliesState,
    AnomalyState,
    BudgetState,
    CapacityLimit,
    CapacityPlanState,
    CapacityStage,
    HealthFactor,
    HealthState,
    PatternState,
    ScoreState,
    WarningState,
)
from trimtab.domain.status import PolicyStatus
from trimtab.reporting.styles import score_style
from trimtab.reporting.terminal_insights import insights

FULL = PolicyStatus(
    health=HealthState(
        score=74, factors=[HealthFactor(name="latency-p99", score=40, reason="0.24 of [0.25] in use " + "x" * 90)]
    ),
    anomalies=AnomaliesState(
        active=1,
        last24h=3,
        suppressed=2,
        latest=AnomalyState(
            signal="load",
            kind=AnomalyKind.LEVEL_SHIFT,
            severity=Severity.WARNING,
            since=0.0,
            message="412 requests/s where 180 was expected",
        ),
    ),
    warnings=[
        WarningState(
            objective="latency-p99", at=900.0, confidence_percent=83, source="Forecast", message="breached in 15m"
        )
    ],
    reliability=ScoreState(score_percent=61, reason="latency-p99 holds with 61 %"),
    budgets=[
        BudgetState(
            objective="latency-p99",
            target_percent="99.5",
            remaining_percent="12",
            covered_percent=40,
            alert="Page",
            message="burns 15 times too fast",
        )
    ],
    capacity_plan=CapacityPlanState(
        stages=[CapacityStage(within="720h", peak="900", upper="1100", replicas=14, cpu="7", memory="14Gi")],
        limits=[CapacityLimit(name="maxReplicas", at=86400.0 * 20, message="40 replicas")],
    ),
    patterns=[PatternState(kind="Idle", message="idle from 20:00 to 06:00")],
    advice=[
        AdviceState(
            kind="MemoryRequest",
            severity=Severity.CRITICAL,
            title="raise memory of app to 512Mi",
            reason="it peaked at 430Mi of 384Mi",
            monthly_saving="-3.10",
            confidence_percent=90,
        )
    ],
)


def test_everything_that_was_found_is_told_at_80_columns() -> None:
    text = shown(Group(*insights(FULL)))
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "Health 74 of 100",
        "[0.25] in use",
        "LevelShift of load, Warning, 1970-01-01T00:00:00Z and still",
        "2, explained by rollouts",
        "breached in 15m (83 % sure)",
        "12 % left of 99.5 %",
        "14 replicas, cpu 7",
        "met at 1970-01-21T00:00:00Z",
        "idle from 20:00",
        "raise memory of app to 512Mi",
        "costs 3.10 a month more",
    ):
        assert words in " ".join(text.split()), words


def test_nothing_found_says_nothing() -> None:
    assert insights(PolicyStatus()) == []


def test_scores_have_the_colour_of_what_to_do() -> None:
    assert [score_style(score) for score in (100, 80, 79, 50, 49, 0)] == ["green"] * 2 + ["yellow"] * 2 + ["red"] * 2
