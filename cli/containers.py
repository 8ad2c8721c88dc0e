"""What `plugbay doctor` looks at for the stack and for tenants' modules: that it is installed is not enough."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from cli.check import Check

PROBE_SECS = 10
OLDEST_ENGINE = "25"
OLDEST_COMPOSE = "2.24"
"""The same as in scripts/stack.sh."""

_INSTALL_DOCKER = "curl -fsSL https://get.docker.com | sudo sh"
_USERS = "only the stack (./docker-up.sh) needs it"


def sandboxes() -> Iterator[Check]:
    """bubblewrap, the Docker Engine and Compose."""
    yield _bubblewrap()
    yield _engine()
    yield _compose()


def _bubblewrap() -> Check:
    program = shutil.which("bwrap")
    if program is None:
        return _missing("bubblewrap", "not installed; only tenants' modules need it", "apt-get install bubblewrap")
    if os.stat(program).st_mode & stat.S_ISUID:  # noqa: PTH116  # a path of the system's
        return _missing("bubblewrap", f"{program} is setuid, which is no safe sandbox", f"sudo chmod u-s {program}")
    works, said = _run(program, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "true")
    if works:
        return Check("bubblewrap", True, "works", required=False)
    if "disable-userns" in said:
        fix = "apt-get install bubblewrap, in 0.8 or newer"
    else:
        fix = "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
    return _missing("bubblewrap", f"does not work: {said}", fix)


def _engine() -> Check:
    if shutil.which("docker") is None:
        return _missing("docker", f"not installed; {_USERS}", _INSTALL_DOCKER)
    works, said = _run("docker", "version", "--format", "{{.Server.Version}}")
    if not works:
        login = f"sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in anew"
        fix = login if "permission denied" in said else "sudo systemctl enable --now docker"
        return _missing("docker", f"does not work: {said}", fix)
    if not _at_least(said, OLDEST_ENGINE):
        return _missing("docker", f"Engine {said} is older than {OLDEST_ENGINE}", _INSTALL_DOCKER)
    return Check("docker", True, f"Engine {said} works", required=False)


def _compose() -> Check:
    commands = [("docker", "compose"), ("docker-compose",)]
    for command in commands:
        if shutil.which(command[0]) is None:
            continue
        works, said = _run(*command, "version", "--short")
        if works and _at_least(said.removeprefix("v"), OLDEST_COMPOSE):
            return Check("compose", True, f"Compose {said} works", required=False)
        if works:
            return _missing("compose", f"Compose {said} is older than {OLDEST_COMPOSE}", _INSTALL_DOCKER)
    return _missing("compose", f"not installed; {_USERS}", "apt-get install docker-compose-plugin")


def _missing(name: str, finding: str, fix: str) -> Check:
    return Check(name, False, finding, fix, required=False)


def _run(*command: str) -> tuple[bool, str]:
    """Whether the command succeeds, and the first line it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False, f"no answer within {PROBE_SECS} s"
    except OSError as error:
        return False, error.strerror or str(error)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, said[0] if said else "it does not say why"


def _at_least(version: str, oldest: str) -> bool:
    """Compares the leading numbers of two versions."""
    return _numbers(version) >= _numbers(oldest)


def _numbers(version: str) -> list[int]:
    found: list[int] = []
    for part in version.replace("-", ".").replace("+", ".").split("."):
        if not part.isdecimal():
            break
        found.append(int(part))
    return found
