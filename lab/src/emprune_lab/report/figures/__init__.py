"""The report's figures, one a file, found by looking into this folder."""

from __future__ import annotations

import importlib
import pkgutil

from emprune_lab.report.figure import ReportFigure


def discover() -> list[ReportFigure]:
    """The FIGURE of every module in this folder, in the report's order."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found: list[ReportFigure] = [module.FIGURE for module in modules]
    return sorted(found, key=lambda figure: (figure.order, figure.name))
