"""What Prometheus scrapes of the operator: figures of the policies that there are, and of no others."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from trimtab.adapters.telemetry import GAUGES, Telemetry


def scraped(telemetry: Telemetry) -> str:
    return generate_latest(telemetry.registry).decode()


def test_figures_carry_policy_and_own_label() -> None:
    telemetry = Telemetry()
    telemetry.show("shop", "checkout", {"health_score": {"": 87.0}, "replicas": {"current": 4.0, "wanted": 6.0}})
    text = scraped(telemetry)
    assert 'trimtab_health_score{namespace="shop",policy="checkout"} 87.0' in text
    assert 'trimtab_replicas{kind="wanted",namespace="shop",policy="checkout"} 6.0' in text


def test_what_is_not_known_is_absent() -> None:
    telemetry = Telemetry()
    telemetry.show("shop", "checkout", {"demand": {"now": math.nan, "peak": 3.0}})
    assert 'kind="now"' not in scraped(telemetry)
    telemetry.show("shop", "checkout", {})
    assert 'policy="checkout"' not in scraped(telemetry)


def test_a_policy_that_is_gone_leaves_nothing() -> None:
    telemetry = Telemetry()
    for policy in ("checkout", "search"):
        telemetry.show("shop", policy, {"health_score": {"": 50.0}})
    telemetry.keep_only([("shop", "search")])
    assert 'policy="checkout"' not in scraped(telemetry)
    assert 'policy="search"' in scraped(telemetry)


def test_a_gauge_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError, match="moods"):
        Telemetry().show("shop", "checkout", {"moods": {"": 1.0}})


def test_events_are_counted() -> None:
    telemetry = Telemetry()
    telemetry.anomaly_began("shop", "Spike", "Warning")
    telemetry.model_changed("shop")
    text = scraped(telemetry)
    assert 'trimtab_anomalies_total{kind="Spike",namespace="shop",severity="Warning"} 1.0' in text
    assert 'trimtab_model_changes_total{namespace="shop"} 1.0' in text


def test_every_gauge_says_what_it_is() -> None:
    assert all(text and name == name.lower() for name, (text, _) in GAUGES.items())
