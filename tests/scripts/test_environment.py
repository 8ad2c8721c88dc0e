"""Given a checkout, when one of its scripts is started, then `.venv` is what the lock file asks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.scripts.conftest import Checkout


def one_line(text: str) -> str:
    """The only line of what a script said."""
    (line,) = text.splitlines()
    return line


def waits_for_lock(pid: int) -> bool:
    """Whether a script is where only one may go on."""
    try:
        return any(child.name() == "flock" for child in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A folder with two pipes: pip says in one that it was reached, and goes on when told in the other."""
    folder = tmp_path / "hold"
    folder.mkdir()
    os.mkfifo(folder / "reached")
    os.mkfifo(folder / "go")
    return folder


def test_the_first_start_makes_it_and_says_so(checkout: Checkout) -> None:
    done = checkout.run("plugbay", "dir")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Installing 0 packages from requirements.lock" in done.stderr
    (pip,) = checkout.record("-m pip install")
    assert "--require-hashes" in pip
    assert pip.endswith(f"-r {checkout.root}/requirements.lock")
    assert checkout.record("python -P -m cli dir")


def test_later_starts_only_start(checkout: Checkout) -> None:
    checkout.run("runserver.sh")
    checkout.forget()
    done = checkout.run("runserver.sh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.record() == ["python -P -m embedded --help"]


def test_a_changed_lock_file_makes_it_anew(checkout: Checkout) -> None:
    checkout.run("runserver.sh")
    checkout.forget()
    (checkout.root / "requirements.lock").write_text("# nothing again\n")
    assert checkout.run("runserver.sh").returncode == 0
    assert len(checkout.record("-m pip install")) == 1
    assert {path.name for path in checkout.root.glob(".venv*")} == {".venv"}


def test_the_tests_environment_serves_the_server_too(checkout: Checkout) -> None:
    checkout.run("run-tests.sh")
    (pip,) = checkout.record("-m pip install")
    assert pip.endswith("requirements-dev.lock")
    checkout.forget()
    checkout.run("runserver.sh")
    assert not checkout.record("pip")


def test_an_environment_with_test_tools_keeps_them(checkout: Checkout) -> None:
    checkout.run("run-tests.sh")
    checkout.forget()
    (checkout.root / "requirements.lock").write_text("# nothing again\n")
    checkout.run("runserver.sh")
    checkout.run("run-tests.sh")
    (pip,) = checkout.record("-m pip install")
    assert pip.endswith("requirements-dev.lock")


def test_an_environment_of_unknown_making_is_replaced(checkout: Checkout) -> None:
    left = checkout.root / ".venv" / "left"
    left.parent.mkdir()
    left.touch()
    assert checkout.run("runserver.sh").returncode == 0
    assert not left.exists()


def test_one_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.run("runserver.sh")
    python = checkout.root / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    assert checkout.run("runserver.sh").returncode == 0


def test_a_killed_build_leaves_nothing_in_the_way(checkout: Checkout, hold: Path) -> None:
    killed = checkout.start("runserver.sh", HOLD=str(hold))
    (hold / "reached").read_text()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (checkout.root / ".venv").exists()
    assert checkout.run("runserver.sh").returncode == 0
    assert {path.name for path in checkout.root.glob(".venv*")} == {".venv"}


def test_a_failed_build_leaves_the_one_before(checkout: Checkout) -> None:
    checkout.run("runserver.sh")
    before = (checkout.root / "requirements.lock").read_text()
    (checkout.root / "requirements.lock").write_text("# cannot be had\n")
    assert checkout.run("runserver.sh", PIP_STATUS="1").returncode == 1
    (checkout.root / "requirements.lock").write_text(before)
    checkout.forget()
    assert checkout.run("runserver.sh").returncode == 0
    assert not checkout.record("pip")


def test_two_at_once_make_it_once(checkout: Checkout, hold: Path) -> None:
    first = checkout.start("runserver.sh", HOLD=str(hold))
    (hold / "reached").read_text()
    second = checkout.start("runserver.sh")
    while second.poll() is None and not waits_for_lock(second.pid):
        pass
    (hold / "go").write_text("go\n")
    assert [first.wait(30), second.wait(30)] == [0, 0], (first.communicate(), second.communicate())
    assert len(checkout.record("-m pip install")) == 1
    assert len(checkout.record("-m embedded")) == 2


def test_too_old(checkout: Checkout) -> None:
    checkout.python("python3")
    done = checkout.run("runserver.sh", PROBE="3", SAYS="3.9.2")
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert "python3 is 3.9.2" in line
    assert "apt-get install python3.11 python3.11-venv" in line


def test_none(checkout: Checkout) -> None:
    checkout.python()
    done = checkout.run("runserver.sh")
    assert done.returncode == 1
    assert "none was found" in one_line(done.stderr)


def test_without_venv(checkout: Checkout) -> None:
    checkout.python("python3.12")
    done = checkout.run("runserver.sh", PROBE="4", SAYS="python3.12")
    assert done.returncode == 1
    assert one_line(done.stderr).endswith("apt-get install python3.12-venv")


def test_the_named_python_is_used_or_nothing(checkout: Checkout) -> None:
    done = checkout.run("runserver.sh", PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "PYTHON=/nowhere/python does not run" in one_line(done.stderr)


def test_no_network(checkout: Checkout) -> None:
    says = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError'"
    done = checkout.run("runserver.sh", PIP_STATUS="1", PIP_SAYS=says)
    assert done.returncode == 1
    assert "the package index does not answer" in done.stderr.splitlines()[-1]
    assert "NewConnectionError" not in done.stderr


def test_what_pip_says_is_shown(checkout: Checkout) -> None:
    done = checkout.run("runserver.sh", PIP_STATUS="1", PIP_SAYS="ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_with_a_real_python(checkout: Checkout) -> None:
    (checkout.root / "cli").mkdir()
    (checkout.root / "cli/__main__.py").write_text("import here; print(here.__file__)")
    (checkout.root / "here.py").touch()
    real = getattr(sys, "_base_executable", sys.executable)
    done = checkout.run("plugbay", PYTHON=real)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(checkout.root / "here.py")
    # Programs of the environment run, though it was made under another name.
    subprocess.run([checkout.root / ".venv/bin/pip", "--version"], check=True, capture_output=True, timeout=60)
