"""Whether every link inside a built site leads somewhere: ``python docs/links.py build/docs``.

Addresses elsewhere are counted and not looked at: a build asks no network for anything.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.places |= {name for key in ("id", "name") if (name := given.get(key))}
        self.targets += [address for key in ("href", "src") if (address := given.get(key))]


def broken(site: Path) -> tuple[list[str], int]:
    """Links that lead nowhere, as "page: link"; and how many addresses elsewhere there are."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found, elsewhere = [], set()
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                elsewhere.add(target)
                continue
            aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            place = unquote(parts.fragment)
            if not aim.is_file() or (place and aim in pages and place not in pages[aim].places):
                found.append(f"{path.relative_to(site)}: {target}")
    return found, len(elsewhere)


def main() -> int:
    """Returns 1 where a link is broken."""
    found, elsewhere = broken(Path(sys.argv[1]).resolve())
    print("\n".join([*found, f"{len(found)} broken links; {elsewhere} addresses elsewhere were not looked at"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
