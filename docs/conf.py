"""How ``make docs`` builds the site: the pages of docs/, and the studies and pages beside them that they link to.

The source folder is the project's root, so that a link is right both here and in a plain view of the files.
"""

import emprune

project = "emprune"
author = "the emprune authors"
copyright = "the emprune authors, Apache-2.0"
version = release = emprune.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**", "studies/README.md", "studies/**/README.md", "studies/**/table.md", "studies/gate/search.md",
    "benchmarks/README.md", "lab/README.md", "CONTRIBUTING.md", "CHANGELOG.md",
]  # fmt: skip
exclude_patterns = ["**/.*", ".*", "build", "dist", "runs", "data", "src", "tests", "lab/src", "docs/README.md"]

nitpicky = True
suppress_warnings = ["myst.header"]  # tables of results begin at any level

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # outputs are stored; a test executes the notebook and compares

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"emprune {release}"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which a browser refuses to a page that was opened as a file
