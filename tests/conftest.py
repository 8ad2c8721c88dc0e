"""What every test run does: honours `needs`, says what did not run, and leaves no process behind.

With `-n`, folders of tests run at the same time, each in one of several processes: what a folder's tests share is
started once. Each process looks after its own, and tells the one that the run was started as.
"""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import psutil
import pytest
import uvloop
from _pytest.terminal import TerminalReporter
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests import needs

_RUN = "PLUGBAY_TEST_RUN"
"""Environment variable that every process of this run inherits, unless its test gave it another environment."""

_left = pytest.StashKey[list[str]]()
"""What was left running."""


class _Folders(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Tests of one folder run in one process, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return str(Path(nodeid.partition("::")[0]).parent)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-all", action="store_true", help="a test that this machine cannot run is a failure, not a skip"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Of a process of several: begins with that of the run.
    os.environ[_RUN] = os.environ.get(_RUN, "") * _is_one_of_several(config) + secrets.token_hex(8)
    config.stash[_left] = []
    # Else each of thousands of clients reads all certificates that this machine trusts.
    pytest.MonkeyPatch().setattr(
        "httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context)
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unknown = {name for item in items for name in _needed(item)} - set(needs.NEEDS)
    if unknown:
        raise pytest.UsageError(f"needs({', '.join(sorted(unknown))}): not in the table of tests/needs.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    unmet = needs.unmet(_needed(item))
    if unmet:
        pytest.skip(f"needs {', '.join(unmet)} (apt-get install {' '.join(needs.packages(unmet))})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--require-all") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"not run, and --require-all was given: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--require-all") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"not run, and --require-all was given: {_reason(report)}"
    return report


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Folders:
    return _Folders(config, log)


def pytest_testnodedown(node: WorkerController) -> None:
    """What a process of several tells when it ends; one that crashed tells nothing."""
    node.config.stash[_left] += getattr(node, "workeroutput", {}).get("left", [])


@pytest.hookimpl(trylast=True)  # a run that stops early ends what is shared by tests only when it finishes
def pytest_sessionfinish(session: pytest.Session) -> None:
    left = session.config.stash[_left]
    left += _processes_left()
    if _is_one_of_several(session.config):
        session.config.workeroutput["left"] = left  # type: ignore[attr-defined]
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("NOT RUN on this machine", red=True, bold=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {_reason(report)}")
        terminalreporter.line("Programs: ./run-tests.sh --install installs what is missing (Debian, Ubuntu; as root).")
    left = config.stash[_left]
    if left:
        terminalreporter.section("LEFT RUNNING by the tests, now killed", red=True, bold=True)
        for line in left:
            terminalreporter.line(line)


def _is_one_of_several(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _needed(item: pytest.Item) -> list[str]:
    return [name for mark in item.iter_markers("needs") for name in mark.args]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a report says skipped; pytest keeps it as (file, line, reason)."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _processes_left() -> list[str]:
    """Ends what the tests started and left running; gives one line for each."""
    mine = {process.pid: process for process in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_RUN, "").startswith(os.environ[_RUN]):
                mine[process.pid] = process
        except (psutil.Error, OSError):
            continue  # gone, or another user's
    _, alive = psutil.wait_procs(mine.values(), timeout=3)
    lines: list[str] = []
    for process in alive:
        try:
            lines.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return lines


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests run on the event loop that the platform runs on."""
    return {"uvloop": uvloop.new_event_loop}
