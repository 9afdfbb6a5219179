"""The keys of a study file as a JSON schema, by which editors complete and check it while it is written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any, get_origin

from pydantic import BaseModel

from whatif.axes import SEAM as AXES
from whatif.axes import Axis, axis_class
from whatif.domain import LOWER_IS_BETTER, METRIC_KEYS, OVERLAY_NAMES, Execution, Overlays
from whatif.labels import SEAM as LABELS
from whatif.models import SEAM as MODELS
from whatif.plugins import Plugin, SectionSeam
from whatif.searches import SEAM as SEARCHES
from whatif.splits import SEAM as SPLITS
from whatif.study.model import CalendarSection, DataSlice, Study

Schema = dict[str, Any]

SEAMS: dict[str, SectionSeam] = {"label": LABELS, "models": MODELS, "search": SEARCHES, "split": SPLITS}
"""Sections that are of one kind among several."""

OWN = "^[^:]+:[^:]+$"
"""How a kind is written that is none of those that are known: module:Name."""

_ATTRIBUTES = re.compile(r"^Attributes\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", flags=re.M | re.S)
_ENTRY = re.compile(r"^(\w[\w, ]*) : [^\n]*\n((?:[ ]+[^\n]*\n?|\n)+)", flags=re.M)


def study_schema(installed: bool = True) -> Schema:
    """Return the JSON schema (draft 2020-12) of a study file.

    It says of each key its type, bounds, default and meaning. What depends on several keys, on the
    strategy, the calendar or the lake is checked by `whatif run` alone.

    Parameters
    ----------
    installed : bool
        Whether kinds that installed distributions bring stand in it beside those that come along.

    Raises
    ------
    PluginError
        If one that is installed cannot be imported.
    """
    found = _of_model(Study)
    defs: Schema = found.setdefault("$defs", {})
    for seam in SEAMS.values():
        kinds = (
            seam.every() if installed else [Plugin(name, kind, "") for name, kind in seam.built_in.items()]
        )
        base = defs[seam.base.__name__]
        kept = {key: base[key] for key in ("description",) if key in base}
        defs[seam.base.__name__] = {**kept, "anyOf": list(_kinds(seam, kinds, defs)), "type": "object"}
    defs["Axis"] = _axis()
    _loosen(found, defs)
    _name_keys(found)
    found = _plain(found)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "whatif study", **found}


def meanings(kind: type[Any]) -> dict[str, str]:
    """Return what the docstring of a class, and of those it derives from, says of each attribute."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        section = _ATTRIBUTES.search(inspect.cleandoc(one.__doc__ or "") + "\n")
        for names, text in _ENTRY.findall(section[1] if section else ""):
            found |= dict.fromkeys((name.strip() for name in names.split(",")), " ".join(text.split()))
    return found


def valid_keys(path: list[str], given: Mapping[Any, Any]) -> list[str]:
    """Return the keys of the section of a study, as it was written, to which a path of keys leads."""
    model: type[BaseModel] = Study
    if path[:1] in (["split"], ["search"], ["label"]):
        seam = {"split": SPLITS, "search": SEARCHES, "label": LABELS}[path[0]]
        model, path = seam.class_of(given.get(path[0])) or Study, path[1:]
    elif path[:1] == ["axes"] and len(path) > 1:
        model, path = axis_class(path[1], given["axes"][path[1]]), path[2:]
    elif path[:1] == ["models"] and len(path) > 1:
        model, path = MODELS.class_of(given["models"].get(path[1])) or Study, path[2:]
    parts = iter(path)
    for part in parts:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is None:
            break
        inner = _section_of(field.annotation)
        if inner is None:
            break
        model = inner
        if get_origin(field.annotation) is dict:
            next(parts, None)  # a name that the author chose
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None


def _of_model(model: type[BaseModel]) -> Schema:
    """Return the schema of a section, with what its docstrings say of its keys."""
    found = model.model_json_schema(by_alias=True)
    for one in _sections(model):
        place = found if one is model else found.get("$defs", {}).get(one.__name__, {})
        said = meanings(one)
        place["description"] = inspect.cleandoc(one.__doc__ or "").partition("\n")[0]
        for name, field in one.model_fields.items():
            if name in said and (field.alias or name) in place.get("properties", {}):
                place["properties"][field.alias or name]["description"] = said[name]
    return found


def _sections(model: Any) -> Iterator[type[BaseModel]]:
    """Yield a section and those that its keys hold."""
    yield model
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            one = waiting.pop()
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from _sections(one)
            waiting += getattr(one, "__args__", ())


def _kinds(seam: SectionSeam, kinds: list[Plugin], defs: Schema) -> Iterator[Schema]:
    """Yield the schema of each kind of a seam, put into `defs`, and that of kinds of one's own."""
    for plugin in kinds:
        one = _of_model(plugin.kind)
        defs |= one.pop("$defs", {})
        family = getattr(plugin.kind, "family", False)
        named: Schema = {"pattern": rf"^{plugin.name}\."} if family else {"const": plugin.name}
        one["properties"]["kind"] = {"type": "string", **named}
        told = plugin.name == seam.default or plugin.name in one["properties"]  # {registered: forest@3}
        required = [key for key in one.get("required", []) if key != "kind"]
        one["required"] = required if told else [*required, "kind"]
        defs[f"{seam.noun}.{plugin.name}"] = one
        yield {"$ref": f"#/$defs/{seam.noun}.{plugin.name}"}
    yield {"type": "object", "properties": {"kind": {"type": "string", "pattern": OWN}}, "required": ["kind"]}


def _axis() -> Schema:
    said = meanings(Axis)
    span = {
        "type": "object",
        "properties": {key: {"type": "number"} for key in ("from", "to", "step")}
        | {"log": {"type": "integer"}},
        "required": ["from", "to"],
        "additionalProperties": False,
    }
    values = {"anyOf": [{"type": "array", "minItems": 1}, span], "description": said["values"]}
    section = {
        "type": "object",
        "properties": {
            "kind": {
                "type": "string",
                "anyOf": [{"enum": sorted(AXES.built_in)}, {}],  # or one that is installed, or module:Name
                "description": said["kind"],
            },
            "values": values,
            "n": {"type": "integer", "minimum": 0},
            "when": {"type": "string", "description": said["when"]},
        },
        "anyOf": [{"required": ["values"]}, {"required": ["n"]}],
    }
    described = "What varies: a list of values, {from, to, step}, or a section."
    return {"description": described, "anyOf": [values["anyOf"][0], span, section]}


def _loosen(found: Schema, defs: Schema) -> None:
    """Let through what is read before the models see it."""
    data, calendar = defs[DataSlice.__name__], defs[CalendarSection.__name__]
    data["required"].remove("symbols")
    data["anyOf"] = [{"required": ["symbols"]}, {"required": ["universe"]}]
    data["properties"]["universe"]["anyOf"].append({"type": "string"})
    data["properties"]["as_of"]["anyOf"].append({"type": "integer"})
    calendar["required"].remove("exchange")
    always = {"properties": {"session": {"const": "24/7"}}, "required": ["session"]}
    calendar["anyOf"] = [{"required": ["exchange"]}, always]
    halved = defs["search.grid"]["properties"].get("halving", {})
    for kind in defs.values():
        if "halving" in kind.get("properties", {}):
            kind["properties"]["halving"] = {**halved, "anyOf": [*halved["anyOf"], {"type": "number"}]}
    found["properties"]["split"]["anyOf"] = [{"$ref": "#/$defs/Split"}, {"type": "null"}]
    del found["properties"]["split"]["$ref"]
    found["properties"]["axes"]["additionalProperties"] = {"$ref": "#/$defs/Axis"}


def _name_keys(found: Schema) -> None:
    """Name the keys of mappings, and the metrics, that the models take as texts."""
    keys = found["properties"]
    of_execution, of_overlays = meanings(Execution), meanings(Overlays)
    settings = {
        one.name: {**_default(one), "description": of_execution[one.name]} for one in fields(Execution)
    }
    keys["execution"] |= {"properties": settings, "additionalProperties": False}
    rules = {
        one.name: {**_default(one), "description": of_overlays[one.name]}
        for one in fields(Overlays)
        if one.name in OVERLAY_NAMES
    }
    keys["overlays"] |= {"properties": rules, "additionalProperties": False}
    keys["axes"]["properties"] = {
        name: {"$ref": "#/$defs/Axis", "description": inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]}
        for name, kind in AXES.built_in.items()
        if kind.reserved
    }
    keys["objective"]["enum"] = list(METRIC_KEYS)
    less = [f"-{name}" for name in METRIC_KEYS if name in LOWER_IS_BETTER]
    keys["objectives"]["items"] = {"type": "string", "enum": [*METRIC_KEYS, *less]}


def _default(one: Field[Any]) -> Schema:
    """Return the default of a setting, where it is a value that a study may write."""
    return (
        {"default": one.default} if one.default is None or isinstance(one.default, int | float | str) else {}
    )


def _plain(schema: Any, named: bool = False) -> Any:
    """Return a schema without the titles that pydantic makes of names; keys that are called so stay."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value, key in ("properties", "$defs"))
        for key, value in schema.items()
        if named or key != "title"
    }
