"""A pytest plugin: every test's outcome is in a file as soon as it is known, and what has passed is not run again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from accelerator.children import end_with_parent
from accelerator.correctness import DONE, RUNNING, VARIABLE
from accelerator.files import Record

_TAIL = 1500


class Recorder:
    """Outcomes by test: "passed", "skipped", or what is known of a failure."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._known: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        known = [item for item in items if item.nodeid in self.record]
        self._known = [item.nodeid for item in known]
        items[:] = [item for item in items if item.nodeid not in self.record]
        config.hook.pytest_deselected(items=known)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.record.put(nodeid, RUNNING)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            text = str(report.longrepr)
            message = getattr(getattr(report.longrepr, "reprcrash", None), "message", text)
            self.record.put(report.nodeid, {"phase": report.when, "message": message[:_TAIL], "tail": text[-_TAIL:]})
        elif self.record.entries.get(report.nodeid) == RUNNING and (report.when == "call" or report.skipped):
            self.record.put(report.nodeid, report.outcome)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        failure: Any = self.record[nodeid]
        if isinstance(failure, dict) and "CUDA error" in failure["tail"]:
            # CUDA refuses all that this process asks of it from now on; the caller starts another.
            self.record.put(f"{nodeid} (CUDA afterwards)", RUNNING)
            os._exit(1)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Count what earlier processes ran as this one's: nothing left is a success, what failed there is none."""
        if self._known and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            passed = all(self.record[name] in DONE for name in self._known)
            session.exitstatus = pytest.ExitCode.OK if passed else pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    end_with_parent()
    config.pluginmanager.register(Recorder(Record(Path(os.environ[VARIABLE]))))
