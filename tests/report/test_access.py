"""Pages can be read and used by everybody: axe-core finds no fault, in light and dark, wide and narrow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from whatif.report import Side, html, write_sides

from .test_browser import judged

axe = pytest.importorskip("axe_core_python", reason="it is locked since: make install")

pytestmark = pytest.mark.browser

DARK = "--blink-settings=preferredColorScheme=0"
NARROW = "--window-size=390,844"
SOURCE = (Path(axe.__path__[0]) / "axe.min.js").read_text(encoding="utf-8").replace("</script", "<\\/script")
CHECK = """
    await new Promise((r) => setTimeout(r, 800));
    const found = await axe.run(document, { resultTypes: ['violations'] });
    return {
      dark: matchMedia('(prefers-color-scheme: dark)').matches,
      checked: found.passes.length,
      faults: found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}`)),
    };
    """


@pytest.fixture
def faults(ask):
    """Return what axe-core says is wrong with a page, which is opened with flags of the browser."""

    def check(page: str, *flags: str) -> list[str]:
        found, _ = ask(page, f"{SOURCE};{CHECK}", *flags)
        assert found["dark"] is (DARK in flags)
        assert found["checked"] > 5
        return found["faults"]

    return check


@pytest.mark.parametrize("flags", [(), (DARK,), (NARROW,)], ids=["light", "dark", "narrow"])
def test_the_report(faults, make, flags: tuple[str, ...]) -> None:
    data = dataclasses.replace(make.study(failed=5), verdict=judged(0.004))
    assert faults(html.render(data), *flags) == []


def test_a_study_of_one_configuration_that_failed(faults, make) -> None:
    assert faults(html.render(make.study(axes={}, symbols=("A",), failed=1))) == []


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_two_answers_side_by_side(faults, make, tmp_path: Path, flags: tuple[str, ...]) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(0.004))
    sides = [Side(f"{name} is made up.", data, tmp_path / f"{name}.html") for name in ("A", "B")]
    page = write_sides(sides, tmp_path / "sides.html", "Two answers")
    assert faults(page.read_text(encoding="utf-8"), *flags) == []


def test_a_fault_would_be_seen(faults, make) -> None:
    page = html.render(make.study()).replace("<main", "<img src=data:,x><button></button><main", 1)
    assert {one.partition(":")[0] for one in faults(page)} >= {"image-alt", "button-name"}
