"""Turns the JSON schema of pydantic models into what Kubernetes takes as a structural schema.

Kubernetes wants OpenAPI 3.0 (exclusive limits are flags), no references, one type per field, and no alternatives that
differ in their fields. A union of objects told apart by a tag becomes one object with all their fields; that each kind
has its own fields only is said by rules in CEL beside it. Unknown fields are pruned or refused by Kubernetes itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pydantic import BaseModel

JsonObject = dict[str, Any]
_KEPT: Final = (
    "type",
    "description",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)


def structural_schema(model: type[BaseModel]) -> JsonObject:
    """Return the structural schema of a model whose fields are written in camel case."""
    document = model.model_json_schema(by_alias=True)
    return _convert(document, cast("Mapping[str, JsonObject]", document.get("$defs", {})))


def _convert(node: Mapping[str, Any], definitions: Mapping[str, JsonObject]) -> JsonObject:
    node = _resolved(node, definitions)
    if "discriminator" in node:
        return _merged(node, definitions)
    schema: JsonObject = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        schema["enum"] = [node["const"]]
    for side in ("Minimum", "Maximum"):
        if f"exclusive{side}" in node:
            schema[side.lower()] = node[f"exclusive{side}"]
            schema[f"exclusive{side}"] = True
    rules = _fraction_rules(node) if schema.get("type") == "number" else []
    if rules:
        schema["x-kubernetes-validations"] = rules
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if "properties" in node:
        properties = cast("Mapping[str, JsonObject]", node["properties"])
        schema["properties"] = {name: _convert(item, definitions) for name, item in properties.items()}
        if node.get("required"):
            schema["required"] = list(node["required"])
    elif isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = _convert(node["additionalProperties"], definitions)
    if "items" in node:
        schema["items"] = _convert(node["items"], definitions)
        schema["x-kubernetes-list-type"] = "atomic"
    if node.get("default") is not None:
        schema["default"] = _plain(node["default"])
    return schema


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return a node without reference and without the alternative null, which is the same as leaving it out."""
    resolved = dict(node)
    if "anyOf" in resolved:
        (other,) = [part for part in cast("list[JsonObject]", resolved.pop("anyOf")) if part.get("type") != "null"]
        resolved = {**other, **resolved}
    if "$ref" in resolved:
        target = definitions[str(resolved.pop("$ref")).rpartition("/")[2]]
        # What is said where it is used counts more than what is said where it is defined.
        return _resolved({**target, **resolved}, definitions)
    return resolved


def _merged(node: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return one object for a union of objects; no defaults, since they depend on the kind."""
    tag = str(node["discriminator"]["propertyName"])
    variants = {
        kind: _resolved({"$ref": reference}, definitions)
        for kind, reference in cast("Mapping[str, str]", node["discriminator"]["mapping"]).items()
    }
    properties: JsonObject = {tag: {"type": "string", "enum": list(variants)}}
    for variant in variants.values():
        for name, item in cast("Mapping[str, JsonObject]", variant["properties"]).items():
            if name not in properties:
                properties[name] = {k: v for k, v in _convert(item, definitions).items() if k != "default"}
    return {
        "type": "object",
        **({"description": node["description"]} if "description" in node else {}),
        "required": [tag],
        "properties": properties,
        "x-kubernetes-validations": _kind_rules(tag, variants),
    }


def _kind_rules(tag: str, variants: Mapping[str, JsonObject]) -> list[JsonObject]:
    rules: list[JsonObject] = []
    every = {name for variant in variants.values() for name in variant["properties"]} - {tag}
    for kind, variant in variants.items():
        is_kind = f"self.{tag} == '{kind}'"
        foreign = sorted(every - set(variant["properties"]))
        required = [name for name in cast("Sequence[str]", variant.get("required", [])) if name != tag]
        if foreign:
            absent = " && ".join(f"!has(self.{name})" for name in foreign)
            own = ", ".join(name for name in variant["properties"] if name != tag)
            rules.append(
                {"rule": f"!({is_kind}) || ({absent})", "message": f"{tag} {kind}: allowed are the fields {own}"}
            )
        if required:
            present = " && ".join(f"has(self.{name})" for name in required)
            rules.append(
                {"rule": f"!({is_kind}) || ({present})", "message": f"{tag} {kind}: needs {', '.join(required)}"}
            )
    return rules


def _fraction_rules(node: Mapping[str, Any]) -> list[JsonObject]:
    """Say limits that are no whole numbers again, in CEL.

    An API server compares a number that is written without a fraction with the whole part of the limit, so that 0 would
    pass where 0.5 is the least.
    """
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = {sign: float(node[key]) for key, sign in signs.items() if key in node}
    return [
        {"rule": f"self {sign} {limit}", "message": f"allowed is a number {sign} {limit}"}
        for sign, limit in limits.items()
        if not limit.is_integer()
    ]


def _plain(value: Any) -> Any:
    """Return a default as people write it: whole numbers without a fraction, nothing where there is nothing."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _plain(item) for key, item in items if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
