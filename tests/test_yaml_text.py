"""YAML with bounds: what expands, nests or never ends is refused before it is built."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from whatif.errors import SubmitError
from whatif.submit.settings import load_settings
from whatif.yaml_text import YamlTextError, load_yaml


def layers(item: str, tenfold: str, count: int) -> str:
    """Ten times ten times ... as aliases: `count` lines that stand for 10^count items."""
    lines = [f"a0: &a0 {item}"]
    lines += [f"a{k}: &a{k} " + tenfold.format(", ".join([f"*a{k - 1}"] * 10)) for k in range(1, count)]
    return "\n".join(lines)


BOMBS = {
    "lists": (layers("[x]", "[{}]", 10), "120,000 keys and values"),
    "merges": (layers("{a: 1}", "{{<<: [{}]}}", 10), "120,000 keys and values"),
    "mappings": (layers("{a: 1}", "{{b: [{}]}}", 10), "120,000 keys and values"),
    "texts": ("a: &a " + "x" * 9000 + "\nb: [" + ", ".join(["*a"] * 250_000) + "]", "120,000 keys"),
    "list in itself": ("a: &a [1, *a]", "stands for what it is in"),
    "mapping in itself": ("a: &a {b: *a}", "stands for what it is in"),
    "key of itself": ("a: &a {? *a : 1}", "stands for what it is in"),
    "deep lists": ("a: " + "[" * 3000 + "]" * 3000, "more than 20 levels"),
    "deep mappings": ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "more than 20 levels"),
    "open lists": ("[" * 1_000_000, "more than 20 levels"),
    "deep blocks": ("\n".join(" " * k + "a:" for k in range(500)), "more than 20 levels"),
    "dashes": ("- " * 5000 + "a", "more than 20 levels"),
    "many keys": ("\n".join(f"k{k}: 1" for k in range(50_000)), "passes 2,000 keys"),
    "many values": ("a: [" + "1," * 300_000 + "]", "120,000 keys and values"),
    "long text": ("a: " + "x" * 30_000, "30,000 characters"),
    "long file": ("#" + "x" * 4_000_001, "more than 4,000,000 bytes"),
    "long number": ("a: 1" + "0" * 5000, "more than 40 digits"),
    "long hexadecimal": ("a: 0x" + "f" * 150, "more than 40 digits"),
    "long sexagesimal": ("a: " + "1:" * 2500 + "1", "more than 40 digits"),
}


@pytest.mark.parametrize(("text", "says"), BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_at_once(text: str, says: str) -> None:
    began = time.process_time()
    with pytest.raises(YamlTextError, match=says) as caught:
        load_yaml(text)
    assert time.process_time() - began < 1.0
    assert len(str(caught.value)) < 1000


def test_what_is_within_the_bounds_is_read() -> None:
    found = load_yaml(
        "a: &a [1, 2]\nb: [*a, *a]\nc: &c {x: 1}\nd: {<<: *c, y: 2}\ne: [" + "7, " * 100_000 + "7]"
    )
    assert found["b"] == [[1, 2], [1, 2]]
    assert found["d"] == {"x": 1, "y": 2}
    assert len(found["e"]) == 100_001


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1.0e308", 1.0e308), ("1.5E3", 1500.0), ("-.5e1", -5.0), ("1_0.0e1", 100.0),
        ("1e400", float("inf")),
        ("0x1f", 31), ("1:30", 90), ("1_000", 1000), ("-0", 0), ("1" + "0" * 39, 10**39), ("e5", "e5"),
        ("1e5x", "1e5x"),
        ("2013-02-30", "2013-02-30"), ("2013-02-28", date(2013, 2, 28)), ("yes", True), ("'1'", "1"), ("~",
        None),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    found = load_yaml(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!int x", "!!int ''",
        "!!float x", "!!float ''",
        "!!bool 3", "!!map []", "!!seq {}", "!unknown x", "*none", "{<<: 3}", "{<<: [1]}", "{? [1] : 2}",
        "{? {a: 1} : 2}", "{b: 1, b: 2}", "{1: a, 1.0: b}", "'open", "\x01", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_yaml_says_so(text: str) -> None:
    with pytest.raises(YamlTextError, match="not valid YAML"):
        load_yaml(f"a: {text}")


def test_an_error_shows_the_line() -> None:
    with pytest.raises(YamlTextError, match=r"line 2, column 4:\n    b: \*none"):
        load_yaml("a: 1\nb: *none")


def test_settings_are_read_within_the_same_bounds(tmp_path: Path) -> None:
    (tmp_path / "submit.yaml").write_text(BOMBS["lists"][0])
    with pytest.raises(SubmitError, match=r"submit\.yaml are beyond what is read: it holds"):
        load_settings(tmp_path / "submit.yaml")
    with pytest.raises(SubmitError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")
