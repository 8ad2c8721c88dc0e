"""./docker-up.sh where it cannot start: one clear line, and nothing changed."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stack.stack import ROOT, Stack

TOOLS = (
    *("bash", "sh", "cat", "df", "dirname", "env", "grep", "head", "id", "mktemp", "readlink", "realpath", "rm"),
    *("sed", "sort", "stat", "tail", "basename"),
)
ENGINE = "27.5.1"
COMPOSE = "2.32.0"
"""Versions that are new enough."""


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Stack]:
    """Somebody with an installation that was never started."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    stack = Stack(plugins)
    stack.environ["DOCKER_SOCKET"] = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(stack.environ["DOCKER_SOCKET"])
        yield stack


def tools(folder: Path, programs: Mapping[str, str], without: tuple[str, ...] = ()) -> str:
    """A PATH with the usual tools and these programs of ours, each a script of the shell."""
    folder.mkdir()
    for tool in TOOLS:
        if tool not in programs and tool not in without:
            (folder / tool).symlink_to(str(shutil.which(tool)))
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def docker(*, version: str = f"echo {ENGINE}", compose: str = f"echo {COMPOSE}", runtimes: str = "runc") -> str:
    """Stands in for `docker`: says its versions, and what an Engine tells of itself."""
    return f"""case "$*" in
version*) {version} ;;
"compose version"*) {compose} ;;
*DockerRootDir*) echo /var/lib/docker ;;
*Runtimes*) printf '%s\\n' {runtimes} ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac"""


def refusal(operator: Stack, path: str, **environ: str) -> str:
    """What it says when it refuses to start."""
    done = operator.run("docker-up.sh", PATH=path, **environ)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_docker_is_missing(operator: Stack, tmp_path: Path) -> None:
    said = refusal(operator, tools(tmp_path / "bin", {}))
    assert said == "plugbay: Docker is not installed: see docs.docker.com/engine/install\n"


@pytest.mark.parametrize(("version", "ok"), [("20.10.24", False), ("24.0.9", False), ("25.0.0", True)])
def test_the_engine_is_too_old(operator: Stack, tmp_path: Path, version: str, ok: bool) -> None:
    path = tools(tmp_path / "bin", {"docker": docker(version=f"echo {version}", compose="exit 1")})
    old = f"Docker Engine 25 or newer is needed, and this is {version}: see docs.docker.com/engine/install"
    missing = "Docker Compose is not installed: see docs.docker.com/compose/install"
    assert refusal(operator, path) == f"plugbay: {missing if ok else old}\n"


def test_the_engine_does_not_answer(operator: Stack, tmp_path: Path) -> None:
    answer = "echo 'Cannot connect to the Docker daemon' >&2; exit 1"
    path = tools(tmp_path / "bin", {"docker": docker(version=answer)})
    assert refusal(operator, path) == (
        "plugbay: the Docker Engine does not answer: start it (sudo systemctl start docker)\n"
    )


def test_the_user_may_not_use_the_engine(operator: Stack, tmp_path: Path) -> None:
    answer = "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1"
    path = tools(tmp_path / "bin", {"docker": docker(version=answer), "id": "echo ada"})
    assert refusal(operator, path) == (
        "plugbay: this user may not use Docker: run  sudo usermod -aG docker ada  and log in anew, or use sudo\n"
    )


@pytest.mark.parametrize("version", ["1.29.2", "2.20.3", "v2.23.0"])
def test_compose_is_too_old(operator: Stack, tmp_path: Path, version: str) -> None:
    path = tools(tmp_path / "bin", {"docker": docker(compose=f"echo {version}")})
    assert refusal(operator, path) == (
        f"plugbay: Docker Compose 2.24 or newer is needed, and this is {version}: see docs.docker.com/compose/install\n"
    )


def test_compose_may_be_a_program_of_its_own(operator: Stack, tmp_path: Path) -> None:
    programs = {"docker": docker(compose="exit 1"), "docker-compose": "echo 2.3.0"}
    said = refusal(operator, tools(tmp_path / "bin", programs))
    assert said.startswith("plugbay: Docker Compose 2.24 or newer is needed, and this is 2.3.0")


def test_the_disk_is_full(operator: Stack, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", {"docker": docker(), "df": "printf 'Avail\\n   12\\n'"})
    assert refusal(operator, path) == (
        "plugbay: the disk of /var/lib/docker is full (12 MiB free): make room (docker system prune)\n"
    )


def test_the_runtime_of_tenants_is_not_registered(operator: Stack, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", {"docker": docker(), "runsc": "exit 1"})
    lines = refusal(operator, path, TENANT_RUNTIME="runsc").splitlines()
    assert lines == [
        "To /etc/docker/daemon.json belongs, once gVisor is installed (gvisor.dev/docs/user_guide/install):",
        f'  {{"runtimes": {{"runsc": {{"path": "{tmp_path}/bin/runsc", "runtimeArgs":',
        '    ["--platform=systrap", "--network=none", "--host-uds=open", "--oci-seccomp"]}}}',
        "plugbay: TENANT_RUNTIME: the Docker Engine knows no runtime runsc: "
        "add the lines above, run  sudo systemctl reload docker  and start again",
    ]
    (line,) = refusal(operator, path, TENANT_RUNTIME="kata").splitlines()
    assert line == (
        "plugbay: TENANT_RUNTIME: the Docker Engine knows no runtime kata: "
        "register it in /etc/docker/daemon.json, or set runc"
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"DOCKER_SOCKET": "/nowhere.sock"}, "DOCKER_SOCKET: /nowhere.sock is not the socket of a Docker Engine"),
        ({"PLUGINS": "plugins:/nowhere"}, "PLUGINS: there is no folder /nowhere: make it, or name another"),
        ({"RUNNERS_DIR": "/var/lib/docker/x"}, "RUNNERS_DIR: the Docker Engine does not share what lies in its own"),
        ({"RUNNERS_DIR": "/" + "x" * 70}, "is too long for sockets below it: 70 characters at most"),
        ({"TLS_CERT": "/etc/passwd"}, "TLS_KEY: TLS_CERT is set without it"),
        ({"TLS_KEY": "/etc/passwd"}, "TLS_CERT: TLS_KEY is set without it"),
        ({"TLS_CERT": "/nowhere.pem", "TLS_KEY": "/etc/passwd"}, "TLS_CERT: there is no file /nowhere.pem"),
        ({"ADMIN_ENV_FILE": "/nowhere/a.env"}, "ADMIN_ENV_FILE: there is no folder /nowhere: make it"),
        ({"REQUIRE_SIGN_IN": "all"}, "REQUIRE_SIGN_IN: nobody can sign in: set OIDC_ISSUER as well"),
        ({"OIDC_ISSUER": "https://id.example.org"}, "OIDC_CLIENT_ID: OIDC_ISSUER is set without it: see docs/auth"),
        (
            {"OIDC_ISSUER": "https://id.example.org", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"},
            "PUBLIC_URL: OIDC_ISSUER is set without it",
        ),
        (
            {
                **dict.fromkeys(("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"), "x"),
                "PUBLIC_URL": "https://a/b",
            },
            "PUBLIC_URL: https://a/b is no address as https://plugbay.example, without a path",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    operator: Stack, tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    said = refusal(operator, tools(tmp_path / "bin", {"docker": docker()}), **settings)
    assert said.startswith("plugbay: ")
    assert problem in said
    assert said.count("\n") == 1


def test_variables_that_the_host_cannot_read_are_named_with_the_fix(operator: Stack, tmp_path: Path) -> None:
    operator.variables.touch(mode=0o600)
    said = refusal(operator, tools(tmp_path / "bin", {"docker": docker()}))
    assert said == (
        f"plugbay: ADMIN_ENV_FILE: the runner host cannot read {operator.variables}: "
        f"run  chmod g+x {operator.variables.parent}; chmod g+r {operator.variables}\n"
    )


def test_variables_do_not_lie_beside_other_secrets(operator: Stack, tmp_path: Path) -> None:
    operator.variables.with_name(".env.local").touch()
    said = refusal(operator, tools(tmp_path / "bin", {"docker": docker()}))
    assert said.startswith(f"plugbay: ADMIN_ENV_FILE: {operator.variables.parent} has other secrets in it")


def test_nothing_is_written_by_a_refusal(operator: Stack, tmp_path: Path) -> None:
    before = sorted(ROOT.iterdir())
    refusal(operator, tools(tmp_path / "bin", {"docker": docker(version="echo 19.03.0")}))
    assert sorted(ROOT.iterdir()) == before
