"""Scenarios: reading them, what is refused and how, and the manifests they make."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from trimtab.simulation.scenario import Scenario, manifest

TEXT = """
services:
- name: checkout
  namespace: shop
  cpu: 250m
  memory: 256Mi
  arrivals: {kind: Trace, path: traces/day.csv, speed: 60}
  model:
    startup_seconds: 20
    idle_cpu_cores: 20m
    memory_base_bytes: 64Mi
    cliff: {below_cpu_cores: 200m, slowdown: 3}
- name: stock
  namespace: back
  kind: StatefulSet
  arrivals: {kind: Constant, rate_per_second: 5}
"""


def written(folder: Path, text: str = TEXT) -> Path:
    (folder / "traces").mkdir(exist_ok=True)
    (folder / "traces" / "day.csv").write_text("time,requests\n0,60\n60,120\n")
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def test_reading(tmp_path: Path) -> None:
    scenario = Scenario.read(written(tmp_path))
    checkout, stock = scenario.services
    assert scenario.namespaces == ["back", "shop"]
    assert (checkout.cpu, checkout.memory, checkout.model.idle_cpu_cores) == (0.25, 256 * 2**20, 0.02)
    assert checkout.model.cliff is not None
    assert checkout.model.cliff.below_cpu_cores == 0.2
    assert (stock.kind, stock.key, stock.replicas) == ("StatefulSet", ("back", "stock"), 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "name: stock\n  namespace: back", "name: checkout\n  namespace: shop", "more than once", id="twice"
        ),
        pytest.param("kind: Constant", "kind: Sawtooth", "Sawtooth", id="unknown-shape"),
        pytest.param("cpu: 250m", "cpu: lots", "cpu", id="no-quantity"),
        pytest.param("name: stock", "name: Stock_1", "name", id="no-dns-name"),
        pytest.param("startup_seconds: 20", "startupSeconds: 20", "startupSeconds", id="misspelt-field"),
        pytest.param("traces/day.csv", "traces/night.csv", "No such file", id="no-such-trace"),
    ],
)
def test_refusals_name_the_fault(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(ValidationError, match=message):
        Scenario.read(path)


def test_a_bad_row_of_a_trace_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "traces" / "day.csv").write_text("time,requests\n0,60\n60,many\n")
    with pytest.raises(ValidationError, match=r"day\.csv:3: 'many'"):
        Scenario.read(path)


def test_manifest_of_a_deployment(tmp_path: Path) -> None:
    checkout = Scenario.read(written(tmp_path)).services[0]
    made = manifest(checkout, replicas=5, cpu_cores=0.35)
    assert (made["kind"], made["metadata"]["namespace"], made["spec"]["replicas"]) == ("Deployment", "shop", 5)
    template = made["spec"]["template"]
    assert template["metadata"]["annotations"] == {"trimtab.dev/startup-seconds": "20"}
    (container,) = template["spec"]["containers"]
    size = {"cpu": "350m", "memory": "256Mi"}
    assert container["resources"] == {"requests": size, "limits": size}
    selector = made["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert template["spec"].keys() == {"containers"}


def test_manifest_of_a_stateful_set_with_the_size_of_the_scenario(tmp_path: Path) -> None:
    made = manifest(Scenario.read(written(tmp_path)).services[1])
    assert (made["kind"], made["spec"]["serviceName"], made["spec"]["replicas"]) == ("StatefulSet", "stock", 2)
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "500m",
        "memory": "512Mi",
    }
