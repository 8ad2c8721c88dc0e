"""Given an environment, when the tests are run, then every step runs and the exit code tells."""

from __future__ import annotations

import subprocess

import pytest

from tests.scripts.conftest import ROOT, Checkout

_TOOLS = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$RECORD"
case "$*" in
    "-m tests.needs") printf '%s\\n' "$MISSING" ;;
    *"-m $FAILS"*) exit 1 ;;
    *pytest*) echo "3 passed" ;;
esac
"""

_ENGINE = """#!/usr/bin/env bash
printf 'engine %s\\n' "$*" >>"$RECORD"
[[ $ENGINE != fails ]] || exit 1
[[ $1 != up ]] || printf '%s' "$ENGINE"
"""


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout whose environment is made, with tools that only keep a record."""
    checkout.run("run-tests.sh")
    (checkout.root / ".venv/bin/python").write_text(_TOOLS)
    (checkout.root / "scripts/docker-engine.sh").write_text(_ENGINE)
    checkout.forget()
    checkout.environ |= {"FAILS": "nothing", "MISSING": "", "ENGINE": ""}
    return checkout


def test_every_step_runs_and_pytest_gets_the_rest(ready: Checkout) -> None:
    done = ready.run("run-tests.sh", "-k", "some thing", "tests/cli")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 passed"
    steps = ["ruff check", "ruff format", "mypy", "pytest -n logical --maxprocesses 4 -k some thing tests/cli"]
    assert [any(step in line for line in ready.record()) for step in steps] == [True] * 4


@pytest.mark.parametrize("step", ["ruff check", "ruff format", "mypy"])
def test_a_failed_check_fails_the_run_and_the_tests_still_run(ready: Checkout, step: str) -> None:
    done = ready.run("run-tests.sh", FAILS=step)
    assert done.returncode == 1
    assert f"FAILED before the tests, see above: {step}" in done.stderr
    assert "3 passed" in done.stdout


def test_failed_tests_fail_the_run(ready: Checkout) -> None:
    assert ready.run("run-tests.sh", FAILS="pytest").returncode == 1


def test_what_fails_beside_others_and_passes_alone_fails_and_is_told(ready: Checkout) -> None:
    done = ready.run("run-tests.sh", "tests/cli", FAILS="pytest -n")
    assert done.returncode == 1
    assert "UNSTABLE" in done.stderr
    first, second = ready.record("-m pytest")
    assert first.endswith(" tests/cli")
    assert second == "-m pytest --last-failed --last-failed-no-failures none tests/cli"


def test_install_brings_what_is_missing(ready: Checkout) -> None:
    ready.program("id", "#!/usr/bin/env bash\necho 0\n")
    ready.program("apt-get", '#!/usr/bin/env bash\necho "apt-get $*" >>"$RECORD"\n')
    done = ready.run("run-tests.sh", "--install", MISSING="nodejs shellcheck")
    assert done.returncode == 0, done.stderr
    update, install = ready.record("apt-get")
    assert "update" in update
    assert install.endswith("nodejs shellcheck")
    assert len(ready.record("-m pytest")) == 1


def test_install_without_root_says_what_to_run(ready: Checkout) -> None:
    ready.program("id", "#!/usr/bin/env bash\necho 1000\n")
    ready.program("apt-get", "#!/usr/bin/env bash\nexit 99\n")
    done = ready.run("run-tests.sh", "--install", MISSING="nodejs")
    assert done.returncode == 1
    assert "sudo apt-get install nodejs" in done.stderr


def test_install_with_nothing_missing_needs_no_root(ready: Checkout) -> None:
    ready.program("id", "#!/usr/bin/env bash\necho 1000\n")
    assert ready.run("run-tests.sh", "--install").returncode == 0


@pytest.mark.parametrize("fails", ["nothing", "pytest"])
def test_install_stops_the_engine_that_it_started(ready: Checkout, fails: str) -> None:
    ready.run("run-tests.sh", "--install", ENGINE="started", FAILS=fails)
    assert [*ready.record("engine"), ready.record()[-1]] == ["engine up", "engine down", "engine down"]


def test_install_leaves_an_engine_that_was_there_running(ready: Checkout) -> None:
    ready.run("run-tests.sh", "--install")
    assert ready.record("engine") == ["engine up"]


def test_no_engine_fails_the_run(ready: Checkout) -> None:
    assert ready.run("run-tests.sh", "--install", ENGINE="fails").returncode == 1
    assert not ready.record("pytest")


def test_continuous_integration_requires_all(ready: Checkout) -> None:
    assert ready.run(".ci/run").returncode == 0
    assert ready.record("-m tests.needs")
    assert ready.record("-m pytest")[0].endswith(" --require-all")


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    scripts = ["runserver.sh", "run-tests.sh", "plugbay", ".ci/run", *(str(path) for path in ROOT.glob("scripts/*.sh"))]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
