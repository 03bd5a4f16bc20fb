"""A time zone that only the operator can tell to be none is told in the status, and mended by a better one."""

from __future__ import annotations

import pytest

from demo.stage import Stage
from tests.operator.acting import play, policy, service

pytestmark = pytest.mark.cluster


async def test_a_time_zone_that_is_none_is_told(stage: Stage) -> None:
    await play(stage, service("web", namespace=stage.namespace))
    await stage.apply(policy("web", mode="Recommend", analysis={"timeZone": "Europe/Atlantis"}))
    stage.operator()
    told = await stage.told("web", "Ready", "False", "InvalidSpec")
    assert told["message"].startswith("spec.analysis: timeZone Europe/Atlantis is not the name of a time zone")
    await stage.apply(policy("web", mode="Recommend", analysis={"timeZone": "America/St_Johns"}))
    await stage.told("web", "Ready", "True")
    conditions = (await stage.policy("web"))["status"]["conditions"]
    assert [one["type"] for one in conditions if not one.get("message")] == [], "each says something"
