"""What the Engine is asked to create, built here and nowhere else. Only the user id, the runner's id, the
socket's path, what the zygote is told and limits within their range vary; a golden-file test compares the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from runner import sockets
from runner.launcher import RunnerSpec

LABEL_INSTALLATION: Final = "plugbay.installation"
LABEL_RUNNER: Final = "plugbay.runner"
LABEL_TRUST: Final = "plugbay.trust"

_ROOT: Final = "/opt/plugbay"
"""Where the image has `calls`, `expose`, `runner.worker` and `vyperlogix`; see images/runner.Dockerfile."""
_SITE: Final = "/opt/plugbay/site"
"""Where the image has what they import."""
PYTHON: Final = ("python3", "-I", "-S")

MIB: Final = 1024 * 1024
_FILE_BYTES: Final = 64 * MIB
"""Bytes of the largest file a tenant may write, whatever room `/tmp` has."""
_INODES_PER_MIB: Final = 128


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """All that bounds one runner. Raises ValueError naming the field that is out of range."""

    memory: int
    """Bytes of RAM, all processes and `/tmp` together. There is no swap."""
    cpus: float
    """CPUs' worth of time; fractions are allowed."""
    pids: int
    """Processes and threads at once."""
    tmp: int
    """Bytes of `/tmp`, the only place that can be written."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("memory", 32 * MIB, 1024 * 1024 * MIB),
            ("cpus", 0.01, 1024),
            ("pids", 16, 32768),
            ("tmp", MIB, self.memory),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value:g}, not between {least:g} and {most:g}")

    @property
    def inodes(self) -> int:
        """Files and folders `/tmp` can hold."""
        return self.tmp // MIB * _INODES_PER_MIB


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What varies between the containers of one installation."""

    spec: RunnerSpec
    installation: str
    image: str
    """Content address."""
    uid: int
    quota: Quota


def tenant_body(wish: Wish, *, runtime: str, profile: str, systemd: bool) -> dict[str, Any]:
    """A runner for untrusted code. `profile` is the text of a seccomp profile."""
    tmp = f"rw,noexec,nosuid,nodev,size={wish.quota.tmp},nr_inodes={wish.quota.inodes},mode=1777"
    body = _body(wish, tmp)
    body["HostConfig"] |= {
        "Runtime": runtime,
        "NetworkMode": "none",
        "IpcMode": "none",
        "CgroupnsMode": "private",
        # All tenants under one group, whose limits are the operator's to set.
        "CgroupParent": "plugbay-tenants.slice" if systemd else "/plugbay-tenants",
        "CpuShares": 256,
        "OomScoreAdj": 500,
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={profile}"],
        "Ulimits": _ulimits(nofile=256, core=0, fsize=_FILE_BYTES, memlock=0, msgqueue=0),
    }
    return body


def admin_body(wish: Wish, *, network: str) -> dict[str, Any]:
    """A runner for the admin's own code: a network of its own, and the Engine's usual confinement."""
    body = _body(wish, f"rw,nosuid,nodev,size={wish.quota.tmp},mode=1777")
    body["HostConfig"] |= {
        "NetworkMode": network,
        "SecurityOpt": ["no-new-privileges:true"],
        "Ulimits": _ulimits(nofile=4096, core=0),
    }
    return body


def probe_body(body: dict[str, Any], script: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The same container with another program in it, and nothing on its standard input."""
    return body | {
        "Entrypoint": [*PYTHON, "-c", script],
        "Cmd": list(arguments),
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
    }


def changeable(memory: int, cpus: float) -> dict[str, int]:
    """The settings that can change while a container runs: see Quota."""
    return {"Memory": memory, "MemorySwap": memory, "NanoCpus": round(cpus * 1_000_000_000)}


def container_name(spec: RunnerSpec) -> str:
    """The name its container has."""
    return f"plugbay-{spec.id}"


def _body(wish: Wish, tmp: str) -> dict[str, Any]:
    spec, quota = wish.spec, wish.quota
    return {
        "Image": wish.image,
        "User": f"{wish.uid}:{wish.uid}",
        "Hostname": "r",
        "WorkingDir": "/",
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"],
        "Entrypoint": [*PYTHON, f"{_ROOT}/runner/worker/zygote.py"],
        "Cmd": [_ROOT, _SITE, sockets.inside(spec), str(spec.max_log), str(spec.memory_bytes)],
        # The nonce arrives on standard input: it is in no file, no environment and no `docker inspect`.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "StopTimeout": 0,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {LABEL_INSTALLATION: wish.installation, LABEL_RUNNER: spec.id, LABEL_TRUST: spec.trust.value},
        "HostConfig": {
            "Privileged": False,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            **changeable(quota.memory, quota.cpus),
            "PidsLimit": quota.pids,
            "Tmpfs": {"/tmp": tmp},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": str(spec.socket.parent),
                    "Target": sockets.HOST_FOLDER,
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate"},
                }
            ],
            "LogConfig": {"Type": "none", "Config": {}},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "AutoRemove": False,
            "Init": False,
        },
    }


def _ulimits(**limits: int) -> list[dict[str, Any]]:
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in limits.items()]


def label(installation: str) -> str:
    """What every container of this installation is known by."""
    return f"{LABEL_INSTALLATION}={installation}"
