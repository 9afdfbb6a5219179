"""YAML that people write: read with bounds on size, depth and what aliases expand to."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

from whatif.errors import WhatIfError

MAX_BYTES = 4_000_000
"""Longest text."""

MAX_NODES = 120_000
"""Most keys and values, each alias counted as what it stands for."""

MAX_DEPTH = 20
"""Deepest nesting of lists and mappings."""

MAX_KEYS = 2_000
"""Most keys of one mapping."""

MAX_SCALAR = 20_000
"""Longest key or value, characters."""

MAX_INTEGER = 10**40
"""Where whole numbers end."""

_SHORT = 100_000
"""Characters up to which a syntax error is looked for again by the reader that shows the line."""

_EXPONENT = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")
"""Numbers that YAML 1.1 takes for texts: 1e-4 lacks its point, 1.0e8 its sign."""

_C_READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlTextError(WhatIfError):
    """A text cannot be read as YAML; the message goes on after "study.yaml is"."""


def load_yaml(text: str) -> Any:
    """Return what a YAML text says: mappings, lists, texts, numbers, booleans and dates.

    Raises
    ------
    YamlTextError
        If it is no YAML, a key stands twice, or one of the bounds above is passed.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _beyond(f"it has more than {MAX_BYTES:,} bytes: give long axes as {{from, to, step}}")
    try:
        _check_bounds(text)
        return yaml.load(text, Loader=_Quick)
    except yaml.YAMLError as reason:
        raise YamlTextError(f"not valid YAML: {_with_line(text, reason)}") from reason
    except (UnicodeError, RecursionError) as reason:
        raise YamlTextError(f"not valid YAML: {reason}") from reason


def _beyond(rule: str) -> YamlTextError:
    return YamlTextError(f"beyond what is read: {rule}")


def _with_line(text: str, reason: yaml.YAMLError) -> yaml.YAMLError:
    """Return the error as the slower reader puts it, which shows the line; the same one for long texts."""
    if len(text) <= _SHORT:
        try:
            yaml.load(text, Loader=_Plain)
        except yaml.YAMLError as told:
            return told
    return reason


def _check_bounds(text: str) -> None:
    """Refuse too deep, too many or endless nodes; looks at events alone, so nothing is expanded."""
    counted = _Counted()
    for event in yaml.parse(text, Loader=_C_READER):
        if isinstance(event, yaml.NodeEvent):
            counted.add(event, event.start_mark.line + 1 if event.start_mark else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            counted.close()


@dataclass
class _Open:
    """A list or mapping whose end has not come: its anchor, nodes before it, and its own children."""

    anchor: str | None
    before: int
    mapping: bool
    children: int = 0


@dataclass
class _Counted:
    """Nodes so far, aliases counted as what they stand for; those that are open; sizes by anchor."""

    nodes: int = 0
    open: list[_Open] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def add(self, event: yaml.NodeEvent, line: int) -> None:
        """Count a node that begins on `line`."""
        if self.open:
            self.open[-1].children += 1
            if self.open[-1].mapping and self.open[-1].children > 2 * MAX_KEYS:
                raise _beyond(f"on line {line} a mapping passes {MAX_KEYS:,} keys: is it the right file?")
        if isinstance(event, yaml.AliasEvent):
            if any(one.anchor == event.anchor for one in self.open):
                raise _beyond(f"alias *{event.anchor} on line {line} stands for what it is in: write it out")
            self.nodes += self.sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > MAX_SCALAR:
                raise _beyond(
                    f"a text on line {line} has {len(event.value):,} characters, more than {MAX_SCALAR:,}"
                )
            self.nodes += 1
            self._note(event.anchor, 1)
        else:
            self.open.append(_Open(event.anchor, self.nodes, isinstance(event, yaml.MappingStartEvent)))
            self.nodes += 1
            if len(self.open) > MAX_DEPTH:
                raise _beyond(f"it nests more than {MAX_DEPTH} levels deep on line {line}: write it flatter")
        if self.nodes > MAX_NODES:
            raise _beyond(
                f"it holds more than {MAX_NODES:,} keys and values, aliases counted as what they stand for: "
                "give long axes as {from, to, step}"
            )

    def close(self) -> None:
        """End the list or mapping that was opened last."""
        ended = self.open.pop()
        self._note(ended.anchor, self.nodes - ended.before)

    def _note(self, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self.sizes[anchor] = size


class _Rules(yaml.constructor.SafeConstructor):
    """YAML in which a key that stands twice is an error, and 1e-4 and 2013-02-30 are no surprise."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if not isinstance(name, Hashable):
                raise _refused(f"a key may not be a {type(name).__name__}: write a word", key)
            if name in seen:
                raise _refused(f"key {str(name)!r} stands twice; name it once", node)
            seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_timestamp(self, node: yaml.ScalarNode) -> Any:
        """Return a date, or the text if there is no such day: the rule of its key then names both."""
        try:
            return self.construct_yaml_timestamp(node)
        except (ValueError, OverflowError, AttributeError):
            return node.value

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """Return a whole number that can be shown; what a key takes of it is that key's rule."""
        try:
            value = int(self.construct_yaml_int(node)) if len(str(node.value)) <= 200 else MAX_INTEGER
        except (ValueError, IndexError, TypeError):
            raise _refused(f"{node.value!r} is no whole number", node) from None
        if abs(value) >= MAX_INTEGER:
            raise _refused("a whole number has more than 40 digits; put it in quotes if it is a text", node)
        return value

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Return a number; whether it has to be finite is its key's rule."""
        try:
            text = str(node.value).replace("_", "")
            return float(text) if _EXPONENT.match(text) else float(self.construct_yaml_float(node))
        except (ValueError, IndexError, TypeError, OverflowError):
            raise _refused(f"{node.value[:80]!r} is no number", node) from None

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """Return true or false."""
        try:
            return bool(self.construct_yaml_bool(node))
        except (KeyError, AttributeError, TypeError):
            raise _refused("!!bool stands before what is neither true nor false", node) from None


def _refused(rule: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, rule, node.start_mark)


class _Quick(_Rules, _C_READER):  # type: ignore[misc, valid-type]
    """The rules on the compiled reader."""


class _Plain(_Rules, yaml.SafeLoader):
    """The rules on the reader whose errors show the line."""


_loader: Any
for _loader in (_Quick, _Plain):
    _loader.add_constructor("tag:yaml.org,2002:timestamp", _Rules.construct_timestamp)
    _loader.add_constructor("tag:yaml.org,2002:int", _Rules.construct_integer)
    _loader.add_constructor("tag:yaml.org,2002:float", _Rules.construct_number)
    _loader.add_constructor("tag:yaml.org,2002:bool", _Rules.construct_truth)
    _loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789."))
