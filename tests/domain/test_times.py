"""Times without a zone are UTC, whatever the zone of the machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from trimtab.adapters.csvseries import parse_csv, read_time
from trimtab.domain.status_types import format_time, parse_time


@pytest.fixture(params=["America/New_York", "Asia/Kolkata"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is in another zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    assert time.localtime(0).tm_gmtoff != 0
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
def test_a_time_without_a_zone_is_utc_everywhere() -> None:
    assert parse_time("2023-11-14T22:13:20") == parse_time("2023-11-14T22:13:20Z") == 1_700_000_000.0
    assert parse_time(format_time(1_700_000_000.0)) == 1_700_000_000.0
    assert read_time("2023-11-14 22:13:20") == 1_700_000_000.0
    assert parse_csv(["2023-11-14 22:13:20,1", "2023-11-14 22:14:20,2"]).series.start == 1_700_000_000.0
