"""Hook of MkDocs for `make docs`: the front page of the README, files beside docs/, docstrings.

Pages of docs/api say what a package is for; what they list below that is read from its door, and said by its
docstrings, without importing anything of the package.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from docs_diagram import drawn

if TYPE_CHECKING:
    from mkdocs.structure.files import Files


LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")
"""What makes a browser ask another host for something."""

ROOT = Path(__file__).resolve().parent.parent

BESIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "conf/strategies/example.py",
    "infra/README.md",
    "notebooks/*.ipynb",
    "notebooks/*.png",
    "notebooks/*.svg",
)
"""Files of the checkout that pages link to or show."""

ROOMS = (
    "whatif",
    "whatif.appraisal",
    "whatif.axes",
    "whatif.engines",
    "whatif.explore",
    "whatif.features",
    "whatif.indicators",
    "whatif.labels",
    "whatif.models",
    "whatif.report",
    "whatif.scenarios",
    "whatif.searches",
    "whatif.sources",
    "whatif.splits",
    "whatif.stats",
    "whatif.strategies",
    "whatif.study",
    "whatif.testing",
    "whatif.timeseries",
)
"""Packages whose names others may use: each has a page in docs/api."""


def on_files(files: Files, config: Any) -> Files:
    """Add pages that docs/ does not hold."""
    from mkdocs.structure.files import File

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=linked(readme)))
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix == ".md":
                made = File.generated(config, name, content=linked(path.read_text(encoding="utf-8")))
            else:
                made = File.generated(config, name, abs_src_path=str(path))
            files.append(made)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to where files of the checkout are on the site, draw flow charts, add docstrings."""
    place = page.file.src_uri
    if place.startswith("api/"):
        return f"{markdown}\n{interface(place.removeprefix('api/').removesuffix('.md'))}"
    markdown = drawn(markdown)
    return re.sub(r"\]\(\.\./README\.md", "](index.md", markdown).replace("](../", "](")


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that a browser would load anything for from elsewhere."""
    from mkdocs.exceptions import PluginError

    leaving = LOADED.search(output)
    if leaving is not None:
        raise PluginError(f"{page.file.src_uri} asks another host: {leaving[0]}")
    return output


def linked(text: str) -> str:
    """Return a page of the checkout's root as one of the site, where docs/ is the root."""
    return re.sub(r"\]\(docs/", "](", text)


def interface(room: str) -> str:
    """Return what a page on a package ends with: the docstrings of all that it exports, in its own order."""
    return "\n".join(f"::: {place}\n" for place in exported(room))


def exported(room: str) -> list[str]:
    """Return where functions and classes are that a package's door names: `module.Name`."""
    tree = ast.parse(_door(room).read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{room}."):
            for one in node.names:
                place = f"{node.module}.{one.name}"
                if not re.fullmatch(r"_.*|[A-Z][A-Z0-9_]*", one.name) and _documented(place):
                    found.append(place)
    return found


def _door(room: str) -> Path:
    return ROOT.joinpath(*room.split(".")) / "__init__.py"


def _documented(place: str) -> bool:
    """Whether a function or class of that name is defined there, or is passed on from where it is."""
    module, _, name = place.rpartition(".")
    base = ROOT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(
        (isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name)
        or (isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names))
        for node in ast.walk(tree)
    )
