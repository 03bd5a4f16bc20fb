"""What machines and people read: kstatus, Argo CD's health, and one word for each policy, over live statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from lupa.lua51 import LuaRuntime

from demo.stage import Stage
from tests.operator import kstatus
from tests.operator.acting import (
    BAD_REPLICAS,
    FOLLOWING,
    GOOD_REPLICAS,
    REPLICAS,
    SPARE_RATE,
    WELL_REPLICAS,
    counted,
    learned,
    play,
    policy,
    replicas,
    service,
    to_replicas,
)
from trimtab.adapters.kube import JsonObject

pytestmark = pytest.mark.cluster

_LUA: Final = Path(__file__).parents[2] / "docs" / "argocd"
NOBODY: Final = 'sum by (service) (rate(nobody_counts_this{namespace="$namespace",service="$target"}[$window]))'
UNPARSED: Final = [{"name": "latency-p99", "query": "up[", "max": "250m"}]
SPECS: Final[dict[str, JsonObject]] = {
    "trying": {"validation": {"duration": "300s"}},
    "paused": {"paused": True},
    "blind": {"metrics": {"load": {"query": NOBODY, "targetLabel": "service"}}},
    "held": {"horizontal": FOLLOWING},
    "learning": {"analysis": {"history": "2h"}, "guardrails": {"minHistory": "1h"}},
    "recommends": {"mode": "Recommend"},
    "follows": {},
    "undone": {"validation": {"duration": "8s"}},
    "invalid": {"objectives": UNPARSED},
    "lost": {},
}
STATES: Final = {  # column STATUS, kstatus, health in Argo CD
    "trying": ("Trying", "Current", "Healthy"),
    "paused": ("Paused", "Current", "Suspended"),
    "blind": ("NoData", "Current", "Healthy"),
    "held": ("Held", "Current", "Healthy"),
    "learning": ("Learning", "Current", "Healthy"),
    "recommends": ("Recommending", "Current", "Healthy"),
    "follows": ("Following", "Current", "Healthy"),
    "undone": ("Following", "Current", "Healthy"),
    "invalid": ("InvalidSpec", "Failed", "Degraded"),
    "lost": ("TargetNotFound", "InProgress", "Progressing"),
}


async def test_flux_argo_and_people_are_told_the_same(stage: Stage) -> None:
    """Missing metrics, a hold, a pause, a trial: nothing that Flux's ``wait: true`` would time out for."""
    deployed = [name for name in SPECS if name != "lost"]
    rates = {"held": SPARE_RATE}
    await play(stage, *(service(name, rate=rates.get(name, 100.0), namespace=stage.namespace) for name in deployed))
    await stage.apply(*(policy(name, **spec) for name, spec in SPECS.items()))
    unseen = await stage.policy("follows")
    assert health(unseen)[0] == "Progressing"
    stage.operator()
    await learned(stage, "trying", "undone", "held")
    for name, count in (("trying", GOOD_REPLICAS), ("undone", BAD_REPLICAS)):
        await stage.create_run(f"{name}-run", name, changes=to_replicas(count))
    running = await stage.in_phase("trying-run", ["Applying", "Settling", "Validating"])
    assert (kstatus.computed(running), health(running)[0]) == ("InProgress", "Progressing")
    await counted(stage, "held", WELL_REPLICAS)
    await stage.kubectl("scale", "deployment/held", f"--replicas={REPLICAS}")
    undone = await stage.settled("undone-run")
    assert (undone["status"]["phase"], kstatus.computed(undone), health(undone)[0]) == (
        "RolledBack",
        "Current",
        "Healthy",
    )
    assert await replicas(stage, "undone") == REPLICAS
    assert float(undone["status"]["plan"]["predicted"]["cost"]["to"]) > 0
    assert undone["status"]["summary"].get("saves", "") == ""
    kept = (await stage.run("trying-run"))["status"]["summary"]
    assert kept["saves"], "it may still be kept"

    for name, (state, computed, argo) in STATES.items():
        body = await stage.in_state(name, state)
        seen = kstatus.computed(body), health(body)[0]
        assert seen == (computed, argo), (name, body["status"])
        stalled = kstatus.condition(body, "Stalled")["status"]
        assert (kstatus.condition(body, "Ready")["status"], stalled) == {
            "Current": ("True", "False"),
            "Failed": ("False", "True"),
            "InProgress": ("False", "False"),
        }[computed]
    shown = {line.split()[0]: line for line in (await stage.kubectl("get", "perf")).splitlines()}
    told = (await stage.trimtab("get")).splitlines()
    for name, (state, _, _) in STATES.items():
        assert state in shown[name].split()
        assert any({name, state} <= set(line.split()) for line in told), told


def health(body: JsonObject) -> tuple[str, str]:
    """(status, message) by the script for Argo CD that is shipped in docs/."""
    lua: Any = LuaRuntime(unpack_returned_tuples=False)
    lua.globals().obj = _table(lua, body)
    found = lua.execute((_LUA / f"{body['kind'].lower()}.lua").read_text())
    return str(found["status"]), str(found["message"])


def _table(lua: Any, value: Any) -> Any:
    """Objects and lists as tables, as Argo CD hands them over."""
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, one) for key, one in value.items()})
    return lua.table_from([_table(lua, one) for one in value]) if isinstance(value, list) else value
