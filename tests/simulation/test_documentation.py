"""What docs/simulation.md shows is what there is."""

import re
from pathlib import Path

import yaml

from trimtab.simulation.exposition import FAMILIES
from trimtab.simulation.faults import Faults
from trimtab.simulation.scenario import Scenario

TEXT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_scenario_is_one() -> None:
    (text,) = blocks("yaml")
    (service,) = Scenario.model_validate(yaml.safe_load(text)).services
    assert set(yaml.safe_load(text)["services"][0]["model"]) == set(type(service.model).model_fields) - {
        "cpu_seconds_per_request"
    }


def test_the_python_runs() -> None:
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)  # the page's own example
    assert len(names["p99"]) == 120  # type: ignore[arg-type]  # a Series


def test_the_commands_take_the_scenario_and_the_fault() -> None:
    shell = "\n".join(blocks("bash"))
    (scenario,) = re.findall(r"<<END\n(.*?)END\n", shell, re.DOTALL)
    assert Scenario.model_validate(yaml.safe_load(scenario)).services[0].name == "checkout"
    (fault,) = re.findall(r"-d '(.*?)'", shell)
    assert len(Faults.model_validate_json(fault).faults) == 1


def test_every_metric_is_listed() -> None:
    section = TEXT.partition("## Metrics")[2].partition("## Faults")[0]
    assert set(FAMILIES) == {
        name for name in re.findall(r"`(\w+)`", section) if re.match("container_|kube_|http_", name)
    }
