"""The page for who is on call names each fault that is played."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.faults.test_api_server import API
from tests.faults.test_people import ACTS
from tests.faults.test_processes import PROCESSES
from tests.faults.test_prometheus import PROMETHEUS
from tests.faults.test_rollouts import ROLLOUTS

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
GROUPS = {
    "API server": API,
    "Prometheus": PROMETHEUS,
    "operator": PROCESSES,
    "people": ACTS,
    "rollouts": ROLLOUTS,
}


@pytest.mark.parametrize(("group", "faults"), GROUPS.items(), ids=GROUPS.keys())
def test_each_fault_has_what_is_seen_and_what_to_do(group: str, faults: Iterable[str]) -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith(f"| {group}: ")]
    assert all(len(row) == 3 for row in rows)
    assert [name for name in faults if not any(f"`{name}`" in row[0] for row in rows)] == []
