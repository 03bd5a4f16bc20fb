"""The custom resource definitions, generated from the models; ``python -m trimtab.domain.crd`` writes them.

Descriptions, bounds, enums and defaults come from the fields; validations from the models' rules and from the bounds
of durations and quantities, which are numbers to us and strings to the API server. The chart holds a copy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel, TypeAdapter, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from trimtab.domain.policy import GROUP, VERSION, PolicySpec
from trimtab.domain.rules import Rule
from trimtab.domain.run import RunSpec
from trimtab.domain.run_status import RunStatus
from trimtab.domain.status import PolicyStatus
from trimtab.domain.units import DURATION_FORM, format_duration, format_memory

JsonObject: TypeAlias = dict[str, Any]

_HEADER: Final = (
    "# Generated from the models in operator/trimtab/domain by `python -m trimtab.domain.crd`; edit those.\n"
)
_FOLDERS: Final = ("crds", "helm/trimtab/files/crds")
_NAME_RULE: Final = Rule(
    "metadata.name must have at most 63 characters, because runs carry it in a label; shorten it",
    cel="size(self.metadata.name) <= 63",
    field=".metadata",
)


def policy_crd() -> JsonObject:
    """The definition of PerformancePolicy."""
    return _definition(
        "PerformancePolicy", "performancepolicies", "perf", PolicySpec, PolicyStatus,
        summary="What good means for one workload, and what may be done for it.",
        selectable=[".spec.targetRef.name", ".spec.mode", ".spec.strategy"],
        rules=[_NAME_RULE],
        columns=[
            _column("Target", ".spec.targetRef.name", "Workload that is tuned"),
            _column("Strategy", ".spec.strategy", "What a plan weighs most"),
            _column("Mode", ".spec.mode", "How far the operator may go"),
            _column("Status", ".status.summary.status", "What it is doing, or why it does nothing"),
            _column("Replicas", ".status.summary.replicas", "Replicas as they are and as recommended"),
            _column("Objectives", ".status.summary.objectives", "How many objectives are met"),
            _column("Last Run", ".status.lastRun.verdict", "How the last run ended"),
            _column("Savings", ".status.summary.savings", "Cost that the recommendation saves a month"),
            _column("Ready", _condition("Ready"), "Whether the spec is accepted and evaluated"),
            _column("Age", ".metadata.creationTimestamp", "Time since creation", type="date"),
            _column("Health", ".status.health.score", "How well the workload does, 0 to 100",
                    type="integer", priority=1),
            _column("Peak", ".status.summary.peak", "Highest demand foreseen over the horizon", priority=1),
            _column("Change", ".status.summary.change", "What is recommended", priority=1),
            _column("Reason", ".status.recommendation.reason", "Why", priority=1),
            _column("Model", ".status.forecast.model", "Forecast model in use", priority=1),
            _column("Outlook", ".status.summary.outlook", "The soonest early warning, or the reliability", priority=1),
            _column("Anomalies", ".status.summary.anomalies", "Anomalies that go on", priority=1),
            _column("Conflicted", _condition("Conflicted"), "Whether another controller claims a field", priority=1),
        ],
    )  # fmt: skip


def run_crd() -> JsonObject:
    """The definition of OptimizationRun."""
    return _definition(
        "OptimizationRun", "optimizationruns", "orun", RunSpec, RunStatus,
        summary="One change to a workload, from plan to proof.",
        selectable=[".spec.policyRef.name", ".spec.trigger", ".status.phase"],
        rules=[],
        columns=[
            _column("Policy", ".spec.policyRef.name", "Policy that the run belongs to"),
            _column("Trigger", ".spec.trigger", "What called for the run"),
            _column("Change", ".status.summary.change", "What changes"),
            _column("Phase", ".status.phase", "Where the run is"),
            _column("Verdict", ".status.summary.verdict", "How the run ended"),
            _column("Saves", ".status.summary.saves", "Cost saved a month, while the change is kept or may be"),
            _column("Age", ".metadata.creationTimestamp", "Time since creation", type="date"),
            _column("Reason", ".status.plan.reason", "Why the change was planned", priority=1),
            _column("Message", ".status.verdict.message", "What the evidence says", priority=1),
        ],
    )  # fmt: skip


def files() -> dict[Path, str]:
    """Text of every generated file by its path in the repository."""
    texts = {f"{crd['spec']['names']['plural']}.yaml": _to_yaml(crd) for crd in (policy_crd(), run_crd())}
    return {Path(folder, name): text for folder in _FOLDERS for name, text in texts.items()}


def stale(root: Path) -> list[Path]:
    """Generated files under ``root`` that are missing or not what the models say."""
    return [
        path
        for path, text in files().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def object_schema(model: type[BaseModel], *, with_defaults: bool) -> JsonObject:
    """Structural schema of a model; TypeError for what a schema cannot say, ValueError for a field without text.

    >>> from trimtab.domain.policy import TargetRef
    >>> object_schema(TargetRef, with_defaults=True)["properties"]["apiVersion"]["default"]
    'apps/v1'
    """
    properties, required = {}, []
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if not field.description:
            raise ValueError(f"{model.__name__}.{name} needs a docstring: it is what kubectl explain tells")
        schema = _schema(field.annotation, field.metadata, alias, with_defaults)
        extra = field.json_schema_extra
        schema |= dict(extra) if isinstance(extra, Mapping) else {}
        default = _default(field)
        if default is PydanticUndefined:
            required.append(alias)
        elif with_defaults and default is not None:
            schema["default"] = default
        properties[alias] = {"description": _one_line(field.description), **schema}
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    rules = [_validation(rule, schema) for rule in getattr(model, "rules", ()) if rule.cel]
    return schema | ({"x-kubernetes-validations": rules} if rules else {})


def _definition(
    kind: str,
    plural: str,
    short: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    *,
    summary: str,
    selectable: list[str],
    rules: list[Rule],
    columns: list[JsonObject],
) -> JsonObject:
    """A namespaced definition with one version and a status subresource."""
    root: JsonObject = {
        "description": summary,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}", "type": "string"},
            "kind": {"description": kind, "type": "string"},
            "metadata": {"type": "object"},
            "spec": {"description": _doc(spec), **object_schema(spec, with_defaults=True)},
            # Without defaults: a status tells nothing that the operator did not find out.
            "status": {"description": _doc(status), **object_schema(status, with_defaults=False)},
        },
    }
    if rules:
        root["x-kubernetes-validations"] = [_validation(rule, root) for rule in rules]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["trimtab"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "selectableFields": [{"jsonPath": path} for path in selectable],
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def _column(name: str, path: str, description: str, *, type: str = "string", priority: int = 0) -> JsonObject:
    column: JsonObject = {"name": name, "type": type, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


def _condition(type: str) -> str:
    return f'.status.conditions[?(@.type=="{type}")].status'


def _schema(annotation: Any, metadata: Sequence[Any], name: str, with_defaults: bool) -> JsonObject:
    """Schema of one value; ``metadata`` has the field's own bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _schema(arguments[0], [*arguments[1:], *metadata], name, with_defaults)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _schema(inner, metadata, name, with_defaults)
    if origin is list:
        items = _schema(arguments[0], [], name, with_defaults)
        return {"type": "array"} | _lengths(metadata, "minItems", "maxItems") | {"items": items}
    if origin is dict:
        values = _schema(arguments[1], [], name, with_defaults)
        bounds = _lengths(metadata, "minProperties", "maxProperties")
        return {"type": "object"} | bounds | {"additionalProperties": values}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return object_schema(annotation, with_defaults=with_defaults)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"type": "string", "enum": [member.value for member in annotation]}
    for entry in metadata:
        if isinstance(entry, WithJsonSchema):
            return _written(dict(entry.json_schema or {}), metadata, name)
    return _plain(annotation, metadata, name)


def _plain(annotation: Any, metadata: Sequence[Any], name: str) -> JsonObject:
    """Schema of text, a number or a flag, with its bounds."""
    if annotation not in (str, int, bool):
        raise TypeError(f"{name}: {annotation} has no place in a custom resource")
    schema = TypeAdapter(Annotated[(annotation, *metadata)] if metadata else annotation).json_schema()
    if annotation is str and "maxLength" not in schema:
        raise ValueError(f"{name} needs max_length: rules on text without a bound cost too much")
    return schema


def _written(schema: JsonObject, metadata: Sequence[Any], name: str) -> JsonObject:
    """Schema of a number that users write as text, with its bounds as a rule."""
    lower: Any = next((entry.ge for entry in metadata if isinstance(entry, annotated_types.Ge)), None)
    upper: Any = next((entry.le for entry in metadata if isinstance(entry, annotated_types.Le)), None)
    if schema.get("pattern") == DURATION_FORM:
        rule = _duration_rule(name, lower, upper)
    elif schema.pop("anyOf", None) and schema.get("x-kubernetes-int-or-string"):
        # Without anyOf, which the mark implies, the API server's answer to a number like 0.25 is one line, not four.
        rule = _quantity_rule(name, lower, upper)
    else:
        return schema
    return schema | {"x-kubernetes-validations": [rule]}


def _duration_rule(name: str, lower: float | None, upper: float | None) -> JsonObject:
    """Form first: ``duration()`` answers a text of another form with an error that helps nobody."""
    bounds = [f"duration(self) >= duration('{format_duration(lower)}')"] if lower is not None else []
    bounds += [f"duration(self) <= duration('{format_duration(upper)}')"] if upper is not None else []
    allowed = _range(lower, upper, format_duration)
    return {
        "rule": " && ".join([f"self.matches(r'{DURATION_FORM}')", *bounds]),
        "message": f"{name} must be a duration{allowed}, written like 90s, 10m or 168h",
    }


def _quantity_rule(name: str, lower: float | None, upper: float | None) -> JsonObject:
    value = "quantity(string(self))"
    bounds = [f"{value}.compareTo(quantity('{_quantity(lower)}')) >= 0"] if lower is not None else []
    bounds += [f"{value}.compareTo(quantity('{_quantity(upper)}')) <= 0"] if upper is not None else []
    allowed = _range(lower, upper, _quantity)
    return {
        "rule": " && ".join(["isQuantity(string(self))", *bounds]),
        "message": f"{name} must be a quantity{allowed}, written like 250m, 0.5, 2 or 64Mi",
    }


def _range(lower: float | None, upper: float | None, text: Callable[[float], str]) -> str:
    """The allowed range in words, for a message."""
    if lower is not None and upper is not None:
        return f" from {text(lower)} to {text(upper)}"
    if lower is not None:
        return f" of at least {text(lower)}"
    return f" of at most {text(upper)}" if upper is not None else ""


def _quantity(bound: float) -> str:
    """A bound as users would write it.

    >>> _quantity(2**20), _quantity(0.001), _quantity(0)
    ('1Mi', '1m', '0')
    """
    if bound and bound % 2**20 == 0:
        return format_memory(bound)
    return f"{bound:g}" if float(bound).is_integer() else f"{bound * 1000:g}m"


def _validation(rule: Rule, schema: JsonObject) -> JsonObject:
    """A rule as the API server takes it; ``schema`` is that of the object whose fields the message names."""
    validation = {"rule": rule.cel, "message": rule.plain_message}
    text, *rest = rule.message_parts
    if rest:
        terms = [repr(text)]
        for field, text in zip(rest[::2], rest[1::2], strict=True):
            terms += [_told(field, schema), repr(text)]
        validation["messageExpression"] = " + ".join(term for term in terms if term != "''")
    if rule.field:
        validation["fieldPath"] = rule.field
    return validation


def _told(field: str, schema: JsonObject) -> str:
    """CEL for the text of a field.

    The API server's estimate of costs has no bound for ``string()`` of a text or of an integer, and refuses the
    definition; it has one for what is dynamic, as a quantity is.
    """
    found = schema
    for key in field.split("."):
        found = found["properties"][key]
    match found.get("type"):
        case "string":
            return f"self.{field}"
        case "integer":
            return f"string(dyn(self.{field}))"
        case _:
            return f"string(self.{field})"


def _lengths(metadata: Sequence[Any], least: str, most: str) -> JsonObject:
    found = {}
    for entry in metadata:
        if isinstance(entry, annotated_types.MinLen):
            found[least] = entry.min_length
        if isinstance(entry, annotated_types.MaxLen):
            found[most] = entry.max_length
    if most not in found:
        raise ValueError(f"{most} is missing: rules on what has no bound cost too much")
    return found


def _default(field: FieldInfo) -> Any:
    """The default as a user would write it: an object's own defaults are filled in by the API server."""
    return _as_written(field.get_default(call_default_factory=True))


def _as_written(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _doc(model: type[BaseModel]) -> str:
    return _one_line(model.__doc__ or "")


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _to_yaml(crd: JsonObject) -> str:
    return _HEADER + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files, or with ``--check`` only tells which are stale; the exit status is then 1."""
    parser = argparse.ArgumentParser(prog="python -m trimtab.domain.crd", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[3], help="the repository")
    options = parser.parse_args(arguments)
    outdated = stale(options.root)
    for path in outdated:
        if options.check:
            print(f"{path} is stale; run python -m trimtab.domain.crd", file=sys.stderr)
        else:
            (options.root / path).parent.mkdir(parents=True, exist_ok=True)
            (options.root / path).write_text(files()[path], encoding="utf-8")
            print(f"wrote {path}")
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
