"""The models and the API server accept the same specs.

The models are laxer about types (they take "2" for 2 and "yes" for true), which no object from the API server shows;
the specs here have the types of the schema, and any values.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.crds.conftest import Objects
from trimtab.domain.policy import PolicySpec
from trimtab.domain.run import CHANGE_PATHS, RunSpec

pytestmark = pytest.mark.cluster

DURATIONS = st.sampled_from(
    ["0s", "999ms", "1s", "1.5s", "2.4s", "60s", "20m", "1h", "1h0m1s", "24h", "168h", "8784h", "9000h", "7d", "h"]
)
QUANTITIES = st.one_of(
    st.integers(-2, 12_000),
    st.from_regex(r"\A[+-]?[0-9]{0,3}\.?[0-9]{0,3}(n|u|m|k|Mi|Gi|E|e[0-9]|E-[0-9])?\Z"),
    st.sampled_from(["", "0", "1Ki", "1048575", "1Mi", ".5", "5.", "1e99", "9E", "two"]),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Ust-Nera", "CET", "utc", "Europe/", "/UTC", "A B", ""])
NAMES = st.sampled_from(["a", "b", "a-b", "A", ""])
QUERIES = st.text(alphabet='$targetx{}"=_1 ', max_size=24) | st.sampled_from(
    ["up", 'up{a="$target"}', "up{a=~'$target'}", 'up{xa="$target"}', "x[$window]", "$", "$$target", "$pods", "$podsy"]
)
FEW = settings(max_examples=120, deadline=None, derandomize=True, database=None)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


OBJECTIVES = st.fixed_dictionaries(
    {"name": NAMES, "query": QUERIES},
    optional={"targetLabel": st.sampled_from(["a", "b", "9"]), "max": QUANTITIES, "min": QUANTITIES},
)
AMOUNTS = some(cpu=QUANTITIES, memory=QUANTITIES)
POLICIES = st.fixed_dictionaries(
    {"targetRef": st.just({"kind": "Deployment", "name": "web"})},
    optional={
        "mode": st.sampled_from(["Observe", "Approve", "Auto"]),
        "objectives": st.lists(OBJECTIVES, max_size=2),
        "horizontal": some(minReplicas=st.integers(0, 4), maxReplicas=st.integers(0, 4)),
        "vertical": some(
            containerPolicies=st.lists(
                some(containerName=st.sampled_from(["*", "a", ""]), minAllowed=AMOUNTS, maxAllowed=AMOUNTS), max_size=2
            )
        ),
        "analysis": some(interval=DURATIONS, history=DURATIONS, timeZone=ZONES),
        "validation": some(interval=DURATIONS, duration=DURATIONS, settle=DURATIONS),
        "guardrails": some(minHistory=DURATIONS, cooldown=DURATIONS),
        "cost": some(cpuCoreHour=QUANTITIES),
    },
)
CHANGES = st.fixed_dictionaries(
    {"path": st.sampled_from(CHANGE_PATHS), "to": QUANTITIES}, optional={"container": st.sampled_from(["", "app"])}
)
RUNS = st.fixed_dictionaries(
    {"policyRef": st.just({"name": "web"})},
    optional={
        "changes": st.lists(CHANGES, max_size=2),
        "objectives": st.lists(some(name=NAMES, max=QUANTITIES, min=QUANTITIES), max_size=2),
    },
)


def model_refusal(model: type[BaseModel], spec: dict[str, Any]) -> str:
    try:
        model.model_validate(spec)
    except ValidationError as error:
        return str(error)
    return ""


def assert_agreement(objects: Objects, kind: str, model: type[BaseModel], spec: dict[str, Any]) -> None:
    body = {"apiVersion": "trimtab.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    by_server, by_model = objects.refusal(body), model_refusal(model, spec)
    assert bool(by_server) == bool(by_model), f"server: {by_server or 'accepts'}\nmodel: {by_model or 'accepts'}"
    assert "evaluating rule" not in by_server, "a rule failed in place of answering"


@FEW
@given(spec=POLICIES)
def test_policies(objects: Objects, spec: dict[str, Any]) -> None:
    assert_agreement(objects, "PerformancePolicy", PolicySpec, spec)


@FEW
@given(analysis=some(interval=DURATIONS, history=DURATIONS), validation=some(interval=DURATIONS, duration=DURATIONS))
def test_times(objects: Objects, analysis: dict[str, Any], validation: dict[str, Any]) -> None:
    spec = {"targetRef": {"kind": "Deployment", "name": "web"}, "analysis": analysis, "validation": validation}
    assert_agreement(objects, "PerformancePolicy", PolicySpec, spec)


@FEW
@given(objective=OBJECTIVES)
def test_objectives(objects: Objects, objective: dict[str, Any]) -> None:
    spec = {"targetRef": {"kind": "Deployment", "name": "web"}, "objectives": [objective]}
    assert_agreement(objects, "PerformancePolicy", PolicySpec, spec)


@FEW
@given(spec=RUNS)
def test_runs(objects: Objects, spec: dict[str, Any]) -> None:
    assert_agreement(objects, "OptimizationRun", RunSpec, spec)
