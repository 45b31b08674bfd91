"""How ``make docs`` builds the site: the pages of docs/, and the studies and pages beside them that they link to.

The source folder is the project's root, so that a link is right both here and in a plain view of the files.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx

import emprune

project = "emprune"
author = "the emprune authors"
copyright = "the emprune authors, Apache-2.0"
version = release = emprune.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**", "studies/README.md", "studies/**/README.md", "studies/**/table.md", "studies/gate/search.md",
    "benchmarks/README.md", "lab/README.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md",
]  # fmt: skip
exclude_patterns = ["**/.*", ".*", "build", "dist", "runs", "data", "src", "tests", "lab/src", "**/__pycache__"]
nitpicky = True
# Pages of other projects lie elsewhere.
nitpick_ignore_regex = [("py:class", r"(collections|numpy|pathlib|torch)\..+|ProcessGroup")]
suppress_warnings = ["myst.header"]  # committed tables begin at any level

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # outputs are stored; a test executes the notebook

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give shapes, dtypes and ranges
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"emprune {release}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["static"]
html_extra_path = ["root"]
html_css_files = ["site.css"]
html_show_search_summary = False  # it fetches pages, which a browser refuses to a page that was opened as a file

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")


def setup(app: Sphinx) -> None:
    app.connect("source-read", _tables_are_orphans)
    app.connect("autodoc-process-docstring", _as_written_here, priority=100)  # before napoleon
    app.connect("autodoc-skip-member", _says_nothing)
    app.connect("missing-reference", _where_it_is_shown)


def _tables_are_orphans(app: Sphinx, docname: str, source: list[str]) -> None:
    """Pages that a study links to need no place in the contents."""
    if docname == "README" or re.fullmatch(r"studies/.+/(table|search)", docname):
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"


def _as_written_here(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Indented blocks are code and formulas; what stands before a colon in Returns, or of a property, is no type."""
    if what in ("property", "attribute") and lines:
        lines[0] = f": {lines[0]}"
    section, after_blank = False, False
    lines[:] = [re.sub(r"(: [A-Z])\.$", r"\1", line) for line in lines]  # "N." alone would be the item of a list
    for place, line in enumerate(list(lines)):
        text = line.strip()
        if _SECTION.fullmatch(line):
            section = True
            if line in ("Returns:", "Yields:"):
                indent = len(lines[place + 1]) - len(lines[place + 1].lstrip())
                lines[place + 1] = f"{' ' * indent}: {lines[place + 1].strip()}"
        elif text and not line.startswith(" "):
            section = False
        elif text and after_blank and not section and not _in_block(lines, place):
            lines[place] = f"\x00{line}"
        after_blank = not text
    lines[:] = [part for line in lines for part in (("::", "", line[1:]) if line.startswith("\x00") else (line,))]


def _in_block(lines: list[str], place: int) -> bool:
    """Whether the paragraph before an indented line introduces it, or is such a line, or an item of a list."""
    before = [line for line in lines[:place] if line.strip()]
    if not before:
        return True
    return before[-1].endswith("::") or bool(re.match(r"[ \x00]|[-*] |\d+\. ", before[-1]))


def _says_nothing(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Skip the fields of named tuples, which the class's own docstring describes."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def _where_it_is_shown(app: Sphinx, env: Any, node: Any, contnode: nodes.Element) -> nodes.Node | None:
    """A name of the library by its short name, or by the module that it is written in, where that is one thing."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or ("." in target and not target.startswith("emprune")):
        return None
    domain, last = env.get_domain("py"), target.rpartition(".")[2]
    kinds = domain.objtypes_for_role(node["reftype"]) or ()
    found = [
        name for name, entry in domain.objects.items()
        if name.rpartition(".")[2] == last and entry.objtype in kinds and not entry.aliased
    ]  # fmt: skip
    if len(found) != 1:
        return None
    node["reftarget"] = found[0]
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], found[0], node, contnode)
