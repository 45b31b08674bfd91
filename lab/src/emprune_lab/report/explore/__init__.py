"""The report's interactive figures, one a file, found by looking into this folder.

A file holds a VIEW, which makes the data; the script of the same name under ``templates/views`` draws them.
"""

from __future__ import annotations

import importlib
import pkgutil

from emprune_lab.report.explorable import View


def discover() -> list[View]:
    """The VIEW of every module in this folder, in the report's order."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found: list[View] = [module.VIEW for module in modules]
    return sorted(found, key=lambda view: (view.order, view.name))
