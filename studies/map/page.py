"""The study's page keeps the tables that are made from its runs between marks."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MADE = re.compile(r"(<!-- made: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, tables: Mapping[str, str]) -> str:
    r"""The page with each table between its marks.

    Raises:
        ValueError: the page asks for a table that is not among these.

    >>> filled("<!-- made: all -->\nold\n<!-- end -->", {"all": "| new |\n"})
    '<!-- made: all -->\n\n| new |\n\n<!-- end -->'
    """

    def fill(found: re.Match[str]) -> str:
        if found["name"] not in tables:
            raise ValueError(f"the page asks for the table {found['name']!r}; there are {', '.join(tables)}")
        return f"{found[1]}\n{tables[found['name']]}\n{found[3]}"

    return _MADE.sub(fill, page)
