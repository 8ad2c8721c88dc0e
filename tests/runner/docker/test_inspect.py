"""Given a running runner, when the Engine is asked about it, then it has every row of the hardening table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.docker.launcher import DockerLauncher
from runner.docker.template import MIB
from runner.launcher import Trust
from tests.runner.docker import stack
from tests.runner.docker.running import Running

pytestmark = pytest.mark.needs("docker")


async def test_a_tenants_runner_is_what_the_table_says(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as running:
        found: dict[str, Any] = stack.client().inspect_container(running.sandbox.container)
        mode = running.spec.socket.stat()
    settings, host = found["Config"], found["HostConfig"]
    assert {name: host[name] or None for name in NOTHING} == dict.fromkeys(NOTHING)
    assert {name: host[name] for name in TABLE} == TABLE
    assert [option for option in host["SecurityOpt"] if not option.startswith("seccomp=")] == ["no-new-privileges:true"]
    assert f"seccomp={stack.PROFILE.read_text()}" in host["SecurityOpt"]
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {
        "nofile": 256,
        "core": 0,
        "fsize": 64 * MIB,
        "memlock": 0,
        "msgqueue": 0,
    }
    assert host["Tmpfs"] == {"/tmp": f"rw,noexec,nosuid,nodev,size={32 * MIB},nr_inodes=4096,mode=1777"}
    assert "/proc/kcore" in host["MaskedPaths"]
    assert "/proc/sys" in host["ReadonlyPaths"]
    uid = int(settings["User"].split(":")[0])
    assert settings["User"] == f"{uid}:{uid}"
    assert 200_001 <= uid < 250_001
    assert settings["Hostname"] == "r"
    assert settings["WorkingDir"] == "/"
    assert found["AppArmorProfile"] != "unconfined"
    (mount,) = found["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"], mount["Propagation"]) == (
        "bind",
        str(running.spec.socket.parent),
        "/run/host",
        False,
        "rprivate",
    )
    assert list(found["NetworkSettings"]["Networks"]) == ["none"]
    assert found["Image"].startswith("sha256:")
    assert running.spec.nonce.hex() not in str(found)
    # The socket is this runner's alone.
    assert (mode.st_uid, mode.st_mode & 0o777) == (uid, 0o600)


NOTHING = (
    *("Privileged", "CapAdd", "Binds", "Devices", "DeviceRequests", "GroupAdd", "Links", "VolumesFrom", "VolumeDriver"),
    *("PidMode", "UTSMode", "UsernsMode", "PortBindings", "PublishAllPorts"),
)
TABLE = {
    "NetworkMode": "none",
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "IpcMode": "none",
    "CgroupnsMode": "private",
    "Memory": 256 * MIB,
    "MemorySwap": 256 * MIB,
    "NanoCpus": 1_000_000_000,
    "CpuShares": 256,
    "PidsLimit": 64,
    "OomScoreAdj": 500,
    "OomKillDisable": False,
    "LogConfig": {"Type": "none", "Config": {}},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "Runtime": "runc",
}


async def test_an_admins_runner_has_its_network_and_nothing_of_the_platforms(
    launcher: DockerLauncher, folder: Path
) -> None:
    async with Running(launcher, folder, Trust.ADMIN) as running:
        found: dict[str, Any] = stack.client().inspect_container(running.sandbox.container)
    host = found["HostConfig"]
    assert list(found["NetworkSettings"]["Networks"]) == [stack.network()]
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["Privileged"]) == (["ALL"], True, False)
    assert [mount["Destination"] for mount in found["Mounts"]] == ["/run/host"]
    assert not host["PortBindings"]
    assert "docker.sock" not in str(found["Mounts"])


async def test_only_the_runners_own_processes_are_admitted(launcher: DockerLauncher, folder: Path) -> None:
    async with Running(launcher, folder) as one, Running(launcher, folder) as other:
        assert launcher.admits(one.spec.id, one.peer)
        assert not launcher.admits(one.spec.id, other.peer)
        assert not launcher.admits("0" * 16, one.peer)
    assert not launcher.admits(one.spec.id, one.peer)
