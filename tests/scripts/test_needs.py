"""Given tests with needs, when pytest runs on a machine without them, then it says what did not run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.conftest import ROOT

_TESTS = """
import subprocess, sys, pytest

def test_runs(): pass

@pytest.mark.needs("node")
def test_of_node(): pass

@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with this project's conftest and one file of tests."""
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "tests/needs.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests/test_some.py").write_text(_TESTS)
    return tmp_path


def run(suite: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Pytest in that folder, on a machine with an empty PATH."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=suite, env={"PATH": ""}, capture_output=True, text=True, timeout=60)


def test_what_did_not_run_is_listed_with_its_package(suite: Path) -> None:
    done = run(suite)
    assert done.returncode == 0, done.stdout
    listed = done.stdout.partition("NOT RUN on this machine")[2]
    assert "test_some.py::test_of_node: needs node (apt-get install nodejs)" in listed
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout.splitlines()[-1]


def test_what_one_process_of_several_did_not_run_is_listed_too(suite: Path) -> None:
    done = run(suite, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "test_some.py::test_of_node: needs node" in done.stdout.partition("NOT RUN on this machine")[2]


def test_with_require_all_it_fails(suite: Path) -> None:
    done = run(suite, "--require-all")
    assert done.returncode == 1
    assert "--require-all was given: needs node (apt-get install nodejs)" in done.stdout
    closing = done.stdout.splitlines()[-1]
    assert "1 passed" in closing
    assert "1 error" in closing or "1 failed" in closing
    assert "skipped" not in closing


def test_any_skip_fails_with_require_all(suite: Path) -> None:
    (suite / "tests/test_some.py").write_text("import pytest\n\npytest.importorskip('nothing_of_this_name')\n")
    assert run(suite).returncode != 1
    assert run(suite, "--require-all").returncode not in (0, 5)


def test_an_unknown_need_is_an_error(suite: Path) -> None:
    (suite / "tests/test_some.py").write_text("import pytest\n\n@pytest.mark.needs('nod')\ndef test_a(): pass\n")
    done = run(suite)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs(nod)" in done.stderr + done.stdout


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_process_left_running_is_killed_and_fails_the_run(suite: Path, processes: str) -> None:
    (suite / "tests/test_some.py").write_text(
        "import subprocess\n\n"
        "def test_leaves():\n"
        "    command = ['/bin/sh', '-c', '/bin/sleep 300 & echo $!']\n"
        "    print('left', subprocess.run(command, stdout=open('left', 'w')))\n"
    )
    done = run(suite, "-n", processes)
    assert done.returncode == 1
    assert "LEFT RUNNING" in done.stdout
    left = Path("/proc", (suite / "left").read_text().strip(), "status")
    assert not left.exists() or "Z" in left.read_text().split("State:")[1].split()[0]


def test_the_packages_to_install_are_those_missing(suite: Path) -> None:
    command = [sys.executable, "-m", "tests.needs"]
    done = subprocess.run(command, cwd=suite, env={"PATH": ""}, capture_output=True, text=True, timeout=60)
    assert "nodejs" in done.stdout.split()
