"""The JSON schema of config files, made of the options' declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fexp.config.config_file import DEFAULTS, FOLDERS, GROUPS, OUTPUTS, PATH, PROBES
from fexp.config.entries import keys_of
from fexp.config.probe_entries import PROBE
from fexp.config.shape import Shape, shape_of
from fexp.config.values import Choice
from fexp.text import DURATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fexp.config.options import Group, Option
    from fexp.config.output import OutputSettings

    Schema = dict[str, Any]

_SCALAR = ["string", "number", "boolean"]
_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}


def schema(kinds: Iterable[type[OutputSettings]]) -> Schema:
    """Return the schema of a config file with these outputs."""
    outputs = {kind.kind: _object(_options((kind,))) for kind in kinds}
    sections = {
        name: _object({**_options(groups), **(outputs if name == OUTPUTS else {})}) for name, groups in GROUPS.items()
    }
    path: Schema = {"type": "string", "minLength": 1, "description": "The folder."}
    folder: Schema = _object({PATH: path, **_options(GROUPS[DEFAULTS])})
    folder = {**folder, "type": "object", "required": [PATH]}
    folders: Schema = {"type": ["array", "null"], "items": {"anyOf": [path, folder]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config file of fexp",
        **_object({FOLDERS: folders, **sections, PROBES: _probes()}),
    }


def _probes() -> Schema:
    name: Schema = {"type": "string", "minLength": 1, "description": "A probe: its name, module:name or file.py."}
    parameter: Schema = {"anyOf": [{"type": [*_SCALAR, "null"]}, {"type": "array", "items": {"type": _SCALAR}}]}
    probe: Schema = {"type": "object", "properties": {PROBE: name}, "required": [PROBE]}
    probe = {**probe, "additionalProperties": parameter, "description": "A probe and its parameters."}
    return {"type": ["array", "null"], "items": {"anyOf": [name, probe]}}


def _options(groups: Iterable[type[Group]]) -> Schema:
    return {key: {**_value(option), "description": option.help} for key, option in keys_of(groups).items()}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}


def _value(option: Option) -> Schema:
    shape = shape_of(option)
    if shape is Shape.FLAG:
        return {"anyOf": [{"type": ["boolean", "null"]}, _VARIABLE]}
    if shape is Shape.PAIRS:
        return {"type": ["object", "null"], "additionalProperties": {"type": [*_SCALAR, "null"]}}
    if shape is not Shape.SCALAR:
        items: Schema = {"type": "array", "items": {"type": _SCALAR}, "uniqueItems": True}
        return {"anyOf": [{"type": [*_SCALAR, "null"]}, items]}
    return {"anyOf": [*_scalar(option), {"type": "null"}, _VARIABLE]}


def _scalar(option: Option) -> list[Schema]:
    if isinstance(option.parse, Choice):
        return [{"enum": list(option.parse.known)}]
    if option.metavar == "DURATION":
        return [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^(?:{DURATION.pattern})$"}]
    if option.metavar == "N":
        return [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{1,9}$"}]
    return [{"type": _SCALAR}]
