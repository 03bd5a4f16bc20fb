"""The generated definitions as they are, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import yaml
from pydantic import Field

from trimtab.domain import crd
from trimtab.domain.rules import Rule, SpecModel, list_map
from trimtab.domain.units import Duration, Quantity

ROOT = Path(__file__).parents[2]
CRDS = {"PerformancePolicy": crd.policy_crd(), "OptimizationRun": crd.run_crd()}


def root_schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property below ``schema`` with its path."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from properties(inner, f"{path}.{name}")
        for part in ("items", "additionalProperties"):
            if part in inner:
                yield f"{path}.{name}[]", {"description": "-", **inner[part]}
                yield from properties(inner[part], f"{path}.{name}[]")


def test_files_are_what_the_models_say() -> None:
    assert [str(path) for path in crd.stale(ROOT)] == [], "run: python -m trimtab.domain.crd"


def test_check_names_what_is_stale_and_writing_repairs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--root", str(tmp_path)]) == 0
    assert crd.main(["--root", str(tmp_path), "--check"]) == 0
    edited = tmp_path / "crds" / "optimizationruns.yaml"
    edited.write_text("edited by hand")
    assert crd.main(["--root", str(tmp_path), "--check"]) == 1
    assert "crds/optimizationruns.yaml is stale" in capsys.readouterr().err
    assert crd.main(["--root", str(tmp_path)]) == 0
    assert crd.stale(tmp_path) == []
    assert yaml.safe_load(edited.read_text()) == CRDS["OptimizationRun"]


@pytest.mark.parametrize("kind", CRDS)
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_described_and_bounded(kind: str, part: str) -> None:
    for path, schema in properties(root_schema(kind)["properties"][part], part):
        assert schema.get("description"), f"{path} has no description"
        unbounded_text = schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys()
        assert not unbounded_text, f"{path} has no maxLength"
        assert schema.get("type") != "array" or "maxItems" in schema, f"{path} has no maxItems"
        assert "additionalProperties" not in schema or "maxProperties" in schema, f"{path} has no maxProperties"
        assert not {"$ref", "title", "$defs"} & schema.keys(), f"{path} is not structural"


@pytest.mark.parametrize("kind", CRDS)
def test_a_status_has_no_defaults(kind: str) -> None:
    assert not [path for path, schema in properties(root_schema(kind)["properties"]["status"]) if "default" in schema]


@pytest.mark.parametrize("kind", CRDS)
def test_every_rule_has_a_plain_message_beside_the_one_with_values(kind: str) -> None:
    schema = root_schema(kind)
    everything = [("", schema), *properties(schema)]
    rules = [rule for _, inner in everything for rule in inner.get("x-kubernetes-validations", [])]
    assert len(rules) >= 10
    for rule in rules:
        assert rule["message"], rule
        assert "{" not in rule["message"], rule


@pytest.mark.parametrize("kind", CRDS)
def test_the_file_fits_the_annotation_of_a_client_side_apply(kind: str) -> None:
    plural = CRDS[kind]["spec"]["names"]["plural"]
    assert (ROOT / "crds" / f"{plural}.yaml").stat().st_size < 200_000


class Inner(SpecModel):
    """Something inside."""

    wait: Duration = Field("90s", validate_default=True, ge=1, le=3600)
    """How long."""


class Outer(SpecModel):
    """Something outside."""

    rules: ClassVar = (
        Rule("price {price} of {name} is for {count}, {inner.wait}", cel="self.count > 1", field=".price"),
        Rule("kept by the schema"),
    )

    name: str = Field(max_length=8)
    """What it is called."""
    count: int = Field(1, ge=1, le=9)
    """How many."""
    price: Quantity | None = Field(None, ge=0)
    """What it costs."""
    inner: Inner = Inner()
    """What is inside."""
    inners: list[Inner] = Field(default_factory=list, max_length=3, json_schema_extra=list_map("wait"))
    """What more is inside."""


def test_a_model_becomes_a_structural_schema() -> None:
    wait = {
        "description": "How long.",
        "type": "string",
        "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$",
        "maxLength": 32,
        "x-kubernetes-validations": [
            {
                "rule": r"self.matches(r'^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$')"
                " && duration(self) >= duration('1s') && duration(self) <= duration('1h')",
                "message": "wait must be a duration from 1s to 1h, written like 90s, 10m or 168h",
            }
        ],
        "default": "90s",
    }
    schema = crd.object_schema(Outer, with_defaults=True)
    price = schema["properties"].pop("price")
    assert price.pop("pattern").startswith("^[+-]?")
    assert price == {
        "description": "What it costs.",
        "x-kubernetes-int-or-string": True,
        "maxLength": 32,
        "x-kubernetes-validations": [
            {
                "rule": "isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('0')) >= 0",
                "message": "price must be a quantity of at least 0, written like 250m, 0.5, 2 or 64Mi",
            }
        ],
    }
    assert schema == {
        "type": "object",
        "properties": {
            "name": {"description": "What it is called.", "type": "string", "maxLength": 8},
            "count": {"description": "How many.", "type": "integer", "minimum": 1, "maximum": 9, "default": 1},
            "inner": {"description": "What is inside.", "type": "object", "properties": {"wait": wait}, "default": {}},
            "inners": {
                "description": "What more is inside.",
                "type": "array",
                "maxItems": 3,
                "items": {"type": "object", "properties": {"wait": wait}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["wait"],
                "default": [],
            },
        },
        "required": ["name"],
        "x-kubernetes-validations": [
            {
                "rule": "self.count > 1",
                "message": "price of is for,",
                "messageExpression": "'price ' + string(self.price) + ' of ' + self.name + ' is for '"
                " + string(dyn(self.count)) + ', ' + self.inner.wait",
                "fieldPath": ".price",
            }
        ],
    }


class Undescribed(SpecModel):
    name: str = Field(max_length=8)


class Unbounded(SpecModel):
    name: str
    """What it is called."""


class UnboundedList(SpecModel):
    names: list[Annotated[str, Field(max_length=8)]]
    """What they are called."""


class Floating(SpecModel):
    share: float
    """A float, which the API conventions keep out."""


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(Undescribed, "Undescribed.name needs a docstring", id="no description"),
        pytest.param(Unbounded, "name needs max_length", id="text without a bound"),
        pytest.param(UnboundedList, "maxItems is missing", id="list without a bound"),
        pytest.param(Floating, "share: <class 'float'> has no place", id="float"),
    ],
)
def test_what_a_definition_cannot_hold_is_an_error(model: type[SpecModel], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        crd.object_schema(model, with_defaults=True)
