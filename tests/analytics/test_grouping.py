"""Anomalies that began together."""

from __future__ import annotations

from trimtab.analytics.anomaly import Anomaly
from trimtab.analytics.grouping import grouped
from trimtab.domain.choices import AnomalyKind, Severity

TEN = 36_000.0


def anomaly(signal: str, start: float, value: float = 2.0) -> Anomaly:
    return Anomaly(signal, AnomalyKind.SPIKE, Severity.INFO, start, None, value, 1.0, 1.0, "")


def test_three_that_rose_together() -> None:
    found = grouped(
        [anomaly("objective/latency-p99", TEN + 240), anomaly("cpu/app", TEN + 120), anomaly("load", TEN + 120)], 60.0
    )
    assert [one.message for one in found] == [
        "load, cpu/app and latency-p99 rose together at 10:02; the load is the likely cause."
    ]
    assert found[0].start == TEN + 120


def test_without_the_load() -> None:
    (one,) = grouped([anomaly("cpu/app", TEN, 0.5), anomaly("memory/app", TEN + 60, 0.5)], 60.0)
    assert one.message == "cpu/app and memory/app fell together at 10:00; the load was as expected."


def test_different_ways() -> None:
    (one,) = grouped([anomaly("load", TEN), anomaly("objective/availability", TEN, 0.5)], 60.0)
    assert one.message.startswith("load and availability moved together")


def test_alone_or_too_late() -> None:
    assert grouped([anomaly("load", TEN), anomaly("cpu/app", TEN + 240)], 60.0) == ()
    assert grouped([anomaly("load", TEN), anomaly("load", TEN + 60)], 60.0) == ()
    assert grouped([], 60.0) == ()


def test_an_objective_with_the_name_of_another_signal() -> None:
    (one,) = grouped([anomaly("load", TEN), anomaly("objective/load", TEN)], 60.0)
    assert one.message.startswith("load and load rose together")
